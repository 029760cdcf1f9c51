package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"millrace/client"
	"millrace/internal/rollup"
)

func (f *metricsFlags) plot() *cobra.Command {
	var (
		span          spanFlags
		tags          []string
		step, by      string
		width, height int
	)
	cmd := &cobra.Command{
		Use:   "plot NAME",
		Short: "Draw a metric",
		Long: `Draw a metric: all its series taken together, or those with the given tags. Where
there are no points the line has a gap. Times are UTC. --json prints the points
instead, with all that is known of them and without the gaps.`,
		Example: `  millrace metrics plot checkout.latency --last 7d --agg p99
  millrace metrics plot cpu --tag host=a --from 2030-01-01T00:00:00Z --to 2030-02-01T00:00:00Z --step 6h
  millrace metrics plot cpu --step 1m --json | jq -r '[.at, .avg] | @csv'`,
		Args: takes(1, 1, "the NAME of a metric"),
	}
	span.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&tags, "tag", nil, "only series with tag=value; several times for several")
	flags.StringVar(&step, "step", "", "how wide buckets are: 30s, 5m, 1h, 1d, 2w (default by the width)")
	flags.StringVar(&by, "agg", "avg", "what is drawn: "+joinAggregates())
	flags.IntVar(&height, "height", 15, "how high the drawing is, in lines")
	flags.IntVar(&width, "width", 0, "how wide the drawing is, in characters (default the terminal's width, else 80)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, to, err := span.parse(cmd, f.now())
		if err != nil {
			return err
		}
		selected, err := parseTags(cmd, tags)
		if err != nil {
			return err
		}
		if width == 0 {
			width = screenWidth(cmd)
		}
		c := chart{
			title: describeSeries(args[0], selected), aggregate: rollup.Aggregate(by), step: step,
			width: width - chartMargin, height: height,
		}
		if c.step == "" {
			c.step = stepOf(to.Sub(from) / time.Duration(max(1, c.width)))
		}
		_, stepErr := rollup.ParseStep(c.step)
		switch {
		case !isAggregate(by):
			return misuse(cmd, "--agg is one of %s", joinAggregates())
		case stepErr != nil:
			return misuse(cmd, "--step must look like 30s, 5m, 1h, 1d or 2w, up to 366d")
		case c.width < minChartWidth || c.width > maxChartWidth:
			return misuse(cmd, "--width is from %d to %d", minChartWidth+chartMargin, maxChartWidth+chartMargin)
		case height < minChartHeight || height > maxChartHeight:
			return misuse(cmd, "--height is from %d to %d", minChartHeight, maxChartHeight)
		}
		api, err := f.connect(cmd)
		if err != nil {
			return err
		}
		query := client.MetricQuery{Name: args[0], Tags: selected, From: from, To: to, Step: c.step}
		if f.asJSON {
			return f.printPoints(cmd, api, query)
		}
		query.Aggregates, query.Gaps = []string{"count", by}, true
		return f.draw(cmd, api, query, &c, step == "")
	}
	return cmd
}

func (f *metricsFlags) printPoints(cmd *cobra.Command, api *jobsServer, query client.MetricQuery) error {
	out := &printer{w: cmd.OutOrStdout()}
	for point, err := range api.AllMetricPoints(cmd.Context(), query) {
		if err != nil {
			return api.explain("metric "+query.Name, err)
		}
		out.json(point)
		if out.err != nil {
			break
		}
	}
	return out.err
}

func (f *metricsFlags) draw(cmd *cobra.Command, api *jobsServer, query client.MetricQuery, c *chart, coarsen bool) error {
	if err := read(cmd.Context(), api, query, c); err != nil {
		return err
	}
	if spread := c.spread(); coarsen && spread > 1 {
		c.step = stepOf(c.to.Sub(c.from) / time.Duration(len(c.values)) * time.Duration(spread))
		query.Step = c.step
		if err := read(cmd.Context(), api, query, c); err != nil {
			return err
		}
	}
	if c.points == 0 {
		return f.nothing(cmd, api, query)
	}
	out := &printer{w: cmd.OutOrStdout()}
	out.printf("%s", c)
	return out.err
}

// read reads what a chart shows.
func read(ctx context.Context, api *jobsServer, query client.MetricQuery, c *chart) error {
	width, err := rollup.ParseStep(c.step)
	if err != nil {
		return fmt.Errorf("the step: %w", err)
	}
	c.values, c.points = c.values[:0], 0
	for point, err := range api.AllMetricPoints(ctx, query) {
		if err != nil {
			return api.explain("metric "+query.Name, err)
		}
		if len(c.values) == 0 {
			c.from = point.At
		}
		c.to = width.Next(point.At)
		value := math.NaN()
		if drawn := point.Aggregate(string(c.aggregate)); drawn != nil {
			value = *drawn
		}
		if point.Count != nil {
			c.points += *point.Count
		}
		c.values = append(c.values, value)
	}
	return nil
}

// nothing says that there is nothing to draw, and where there is.
func (f *metricsFlags) nothing(cmd *cobra.Command, api *jobsServer, query client.MetricQuery) error {
	problem := fmt.Sprintf("%s has no points from %s to %s", oneLine(describeSeries(query.Name, query.Tags)), stamp(query.From), stamp(query.To))
	newest, err := api.LatestMetrics(cmd.Context(), query.Name, 1)
	switch {
	case err != nil:
		return api.explain("metric "+query.Name, err)
	case len(newest) == 0:
		problem += "; `millrace metrics names` lists what there is"
	default:
		// Rounded up, as the end is not part of the span.
		problem += fmt.Sprintf("; the newest of the metric is shown by --to %s", stamp(newest[0].At.Truncate(time.Second).Add(time.Second)))
	}
	return &exitError{exitNotFound, fmt.Errorf("%s", problem)}
}

// screenWidth is the width of the terminal, in characters.
func screenWidth(cmd *cobra.Command) int {
	const usual = 80
	file, ok := cmd.OutOrStdout().(*os.File)
	if !ok {
		return usual
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < minChartWidth+chartMargin {
		return usual
	}
	return min(width, maxChartWidth+chartMargin)
}
