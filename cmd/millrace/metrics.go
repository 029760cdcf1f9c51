package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/client"
	"millrace/internal/rollup"
)

func metricsCommand() *cobra.Command { return newMetricsCommand(os.Environ(), time.Now) }

// metricsFlags are the flags of every metrics command, and what commands get from
// outside.
type metricsFlags struct {
	serverFlags

	now    func() time.Time
	asJSON bool
}

func newMetricsCommand(environ []string, now func() time.Time) *cobra.Command {
	flags := &metricsFlags{serverFlags: serverFlags{environ: environ}, now: now}
	cmd := &cobra.Command{
		Use:   "metrics",
		Short: "Import, draw and list metrics through the HTTP API",
		Long: `Import, draw and list metrics through the HTTP API.

The server is MILLRACE_URL's and the key MILLRACE_API_KEY's; what is not set comes
from dev.env in MILLRACE_HOME (.millrace), which ` + "`millrace dev`" + ` writes. The settings are
in the database itself (DATABASE_URL).

` + exitCodesHelp,
		Example: `  millrace metrics import cpu.csv
  millrace metrics plot cpu --last 7d
  millrace metrics names`,
	}
	cmd.PersistentFlags().StringVar(&flags.url, "url", "", "the server's address (default MILLRACE_URL, else dev.env's)")
	cmd.PersistentFlags().BoolVar(&flags.asJSON, "json", false, "print JSON, one line a document")
	return group(cmd, flags.importing(), flags.plot(), flags.names(), flags.latest(), flags.top(), flags.settings())
}

func (f *metricsFlags) names() *cobra.Command {
	filter := client.MetricNamesFilter{Limit: 1000}
	cmd := &cobra.Command{
		Use:   "names",
		Short: "List the metrics that there are",
		Example: `  millrace metrics names
  millrace metrics names --prefix checkout. --json | jq -r .name`,
		Args: takes(0, 0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Prefix, "prefix", "", "only names that begin with this")
	limit := flags.Int("limit", 0, "how many to show (default all)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 0 {
			return misuse(cmd, "--limit must not be negative")
		}
		api, err := f.connect(cmd)
		if err != nil {
			return err
		}
		out := &printer{w: cmd.OutOrStdout()}
		rows := [][]string{{"NAME", "SERIES"}}
		shown := 0
		for name, err := range api.AllMetricNames(cmd.Context(), filter) {
			if err != nil {
				return api.explain("metrics", err)
			}
			if f.asJSON {
				out.json(name)
			} else {
				rows = append(rows, []string{name.Name, strconv.Itoa(name.Series)})
			}
			if shown++; shown == *limit || out.err != nil {
				break
			}
		}
		if !f.asJSON {
			out.table(rows)
		}
		return out.err
	}
	return cmd
}

// maxSeriesShown is how many series the server answers with.
const maxSeriesShown = 1000

func (f *metricsFlags) latest() *cobra.Command {
	limit := 0
	cmd := &cobra.Command{
		Use:   "latest NAME",
		Short: "Show the newest value of each series of a metric, the newest first",
		Example: `  millrace metrics latest checkout.latency
  millrace metrics latest checkout.latency --limit 100 --json`,
		Args: takes(1, 1, "the NAME of a metric"),
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many series to show")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 1 || limit > maxSeriesShown {
			return misuse(cmd, "--limit is from 1 to %d", maxSeriesShown)
		}
		api, err := f.connect(cmd)
		if err != nil {
			return err
		}
		series, err := api.LatestMetrics(cmd.Context(), args[0], limit)
		if err != nil {
			return api.explain("metric "+args[0], err)
		}
		return f.showSeries(cmd, "VALUE", series)
	}
	return cmd
}

func (f *metricsFlags) top() *cobra.Command {
	var (
		span  spanFlags
		by    string
		limit int
	)
	cmd := &cobra.Command{
		Use:   "top NAME",
		Short: "Show the series of a metric with the greatest aggregate over a span of time",
		Example: `  millrace metrics top checkout.latency --agg p99 --last 7d
  millrace metrics top requests --agg sum --from 2030-01-01T00:00:00Z --to 2030-02-01T00:00:00Z`,
		Args: takes(1, 1, "the NAME of a metric"),
	}
	span.register(cmd)
	cmd.Flags().StringVar(&by, "agg", "avg", "what is compared: "+joinAggregates())
	cmd.Flags().IntVar(&limit, "limit", 20, "how many series to show")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, to, err := span.parse(cmd, f.now())
		switch {
		case err != nil:
			return err
		case limit < 1 || limit > maxSeriesShown:
			return misuse(cmd, "--limit is from 1 to %d", maxSeriesShown)
		case !isAggregate(by):
			return misuse(cmd, "--agg is one of %s", joinAggregates())
		}
		api, err := f.connect(cmd)
		if err != nil {
			return err
		}
		series, err := api.TopMetrics(cmd.Context(), client.TopMetricsQuery{Name: args[0], From: from, To: to, Aggregate: by, Limit: limit})
		if err != nil {
			return api.explain("metric "+args[0], err)
		}
		return f.showSeries(cmd, strings.ToUpper(by), series)
	}
	return cmd
}

func (f *metricsFlags) showSeries(cmd *cobra.Command, value string, series []client.SeriesValue) error {
	out := &printer{w: cmd.OutOrStdout()}
	rows := [][]string{{value, "NEWEST POINT", "SERIES"}}
	for _, s := range series {
		if f.asJSON {
			out.json(s)
			continue
		}
		rows = append(rows, []string{exactly(s.Value), stamp(s.At), describeSeries(s.Name, s.Tags)})
	}
	if !f.asJSON {
		out.table(rows)
	}
	return out.err
}

// spanFlags are a span of time.
type spanFlags struct{ from, to, last string }

func (s *spanFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.from, "from", "", "where to begin: RFC 3339 (default --last before --to)")
	flags.StringVar(&s.to, "to", "", "where to end: RFC 3339 (default now)")
	flags.StringVar(&s.last, "last", "24h", "how much to show: 15m, 24h or 7d, instead of --from")
}

func (s *spanFlags) parse(cmd *cobra.Command, now time.Time) (from, to time.Time, err error) {
	if s.from != "" && cmd.Flags().Changed("last") {
		return from, to, misuse(cmd, "--from and --last exclude each other")
	}
	to = now
	if s.to != "" {
		if to, err = time.Parse(time.RFC3339, s.to); err != nil {
			return from, to, misuse(cmd, "--to must look like 2030-01-31T09:30:00Z")
		}
	}
	if s.from != "" {
		if from, err = time.Parse(time.RFC3339, s.from); err != nil {
			return from, to, misuse(cmd, "--from must look like 2030-01-31T09:30:00Z")
		}
	} else {
		last, err := parseDuration(s.last)
		if err != nil || last <= 0 {
			return from, to, misuse(cmd, "--last must look like 15m, 24h or 7d")
		}
		from = to.Add(-last)
	}
	if !from.Before(to) {
		return from, to, misuse(cmd, "--from must be before --to")
	}
	return from.UTC(), to.UTC(), nil
}

func isAggregate(name string) bool {
	return slices.Contains(rollup.Aggregates(), rollup.Aggregate(name))
}

func joinAggregates() string {
	var names []string
	for _, aggregate := range rollup.Aggregates() {
		names = append(names, string(aggregate))
	}
	return strings.Join(names, ", ")
}
