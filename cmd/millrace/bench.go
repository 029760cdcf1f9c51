package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/bench"
	"millrace/internal/devpg"
	"millrace/internal/postgres"
	"millrace/migrations"
	"millrace/workers"
)

func benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure Millrace against the plain way of doing the same",
		Long: `Measure on this machine, side by side. Each benchmark starts a private, durable
Postgres (fsync and synchronous_commit on) in a temporary folder and prints the
median, minimum and maximum of interleaved rounds. Ratios travel; figures do not.`,
		Example: `  millrace bench intake --connections 64
  millrace bench metrics --points 1000000
  millrace bench scrape --jobs 1000,100000
  millrace bench workers --slots 2`,
	}
	return group(cmd, benchIntake(), benchMetrics(), benchScrape(), benchWorkers(), benchWorker())
}

func benchIntake() *cobra.Command {
	var opts bench.IntakeOptions
	cmd := &cobra.Command{
		Use:   "intake",
		Short: "POST /v1/payments, shared commits against a commit a request",
		Args:  takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withPrivateDatabase(cmd.Context(), func(ctx context.Context, url, server string) error {
				opts.DatabaseURL = url
				out := cmd.OutOrStdout()
				_, _ = fmt.Fprintf(out, "%d CPUs (%s/%s), %s, %s, fsync=on synchronous_commit=on\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), server)
				_, _ = fmt.Fprintf(out, "%d connections, %d tenant(s), %d rounds of %s after a warm-up; client, server and database on one machine\n\n",
					opts.Connections, opts.Tenants, opts.Rounds, opts.Round)
				figures, err := bench.Intake(ctx, opts)
				if err != nil {
					return err
				}
				return printFigures(out, figures)
			})
		},
	}
	cmd.Flags().IntVar(&opts.Connections, "connections", 256, "clients that submit at once")
	cmd.Flags().IntVar(&opts.Tenants, "tenants", 1, "tenants that the clients belong to")
	cmd.Flags().IntVar(&opts.Rounds, "rounds", 3, "rounds of each contestant")
	cmd.Flags().DurationVar(&opts.Round, "round", 5*time.Second, "length of a round")
	cmd.Flags().BoolVar(&opts.Encrypt, "encrypt", false, "encrypt what payments say about people")
	return cmd
}

func benchMetrics() *cobra.Command {
	var opts bench.MetricsOptions
	cmd := &cobra.Command{
		Use:   "metrics",
		Short: "POST /v1/metrics, and folding against a GROUP BY with percentile_cont",
		Args:  takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withPrivateDatabase(cmd.Context(), func(ctx context.Context, url, server string) error {
				opts.DatabaseURL = url
				opts.Progress = func(text string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), text) }
				out := cmd.OutOrStdout()
				_, _ = fmt.Fprintf(out, "%d CPUs (%s/%s), %s, %s, fsync=on synchronous_commit=on\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), server)
				_, _ = fmt.Fprintf(out, "intake: %d connections, %d rounds of %s after a warm-up, 1,000 points a request; roll-up: %d points of %d series, %d rounds\n\n",
					opts.Connections, opts.Rounds, opts.Round, opts.Points, opts.Series, opts.Rounds)
				figures, err := bench.Metrics(ctx, opts)
				if err != nil {
					return err
				}
				return printMetrics(out, opts, figures)
			})
		},
	}
	cmd.Flags().IntVar(&opts.Connections, "connections", 8, "clients that send points at once")
	cmd.Flags().IntVar(&opts.Points, "points", 10_000_000, "points that are rolled up")
	cmd.Flags().IntVar(&opts.Series, "series", 1000, "series that they are of")
	cmd.Flags().IntVar(&opts.Rounds, "rounds", 3, "rounds of each contestant")
	cmd.Flags().DurationVar(&opts.Round, "round", 5*time.Second, "length of a round of intake")
	return cmd
}

func benchScrape() *cobra.Command {
	var opts bench.ScrapeOptions
	cmd := &cobra.Command{
		Use:   "scrape",
		Short: "What the figures of queues cost the database, against a GROUP BY over all jobs",
		Args:  takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withPrivateDatabase(cmd.Context(), func(ctx context.Context, url, server string) error {
				opts.DatabaseURL = url
				opts.Progress = func(text string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), text) }
				out := cmd.OutOrStdout()
				_, _ = fmt.Fprintf(out, "%d CPUs (%s/%s), %s, %s\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), server)
				_, _ = fmt.Fprintf(out, "the leader's look, every 5 s however many scrape, which counts at most %d jobs of a queue and state; %d rounds\n\n", workers.DepthCap, opts.Rounds)
				figures, err := bench.Scrape(ctx, opts)
				if err != nil {
					return err
				}
				return printScrape(out, figures)
			})
		},
	}
	cmd.Flags().IntSliceVar(&opts.Jobs, "jobs", []int{1000, 1_000_000, 5_000_000}, "how many jobs wait, in rising order")
	cmd.Flags().IntVar(&opts.Finished, "finished", 100_000, "jobs that are worked off in the end, without a vacuum")
	cmd.Flags().IntVar(&opts.Rounds, "rounds", 9, "rounds of each")
	return cmd
}

// printScrape prints each look with its ratio to the one with the fewest jobs.
func printScrape(out io.Writer, figures []bench.ScrapeFigures) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "jobs\tlook ms\tmin\tmax\tfirst\tratio\tGROUP BY ms\tmin\tmax\t")
	for _, f := range figures {
		_, _ = fmt.Fprintf(table, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.2f\t%.1f\t%.1f\t%.1f\t\n", f.Name,
			milliseconds(median(f.Look)), milliseconds(slices.Min(f.Look)), milliseconds(slices.Max(f.Look)), milliseconds(f.First),
			float64(median(f.Look))/float64(median(figures[0].Look)),
			milliseconds(median(f.Plain)), milliseconds(slices.Min(f.Plain)), milliseconds(slices.Max(f.Plain)))
	}
	return table.Flush()
}

// printMetrics prints each way to roll up with its ratio to the plain one.
func printMetrics(out io.Writer, opts bench.MetricsOptions, figures *bench.MetricsFigures) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "intake\tpoints/s\tmin\tmax\t")
	_, _ = fmt.Fprintf(table, "Millrace\t%.0f\t%.0f\t%.0f\t\n\n", median(figures.Intake), slices.Min(figures.Intake), slices.Max(figures.Intake))
	_, _ = fmt.Fprintln(table, "roll-up\tseconds\tmin\tmax\tpoints/s\ttimes as fast\t")
	plain := median(figures.SQL)
	for _, one := range []struct {
		name string
		took []time.Duration
	}{
		{"Millrace: folds into minutes, hours and days", figures.Fold},
		{"GROUP BY: minutes", figures.SQL},
		{"GROUP BY: minutes, hours and days", figures.AllSQL},
	} {
		took := median(one.took)
		_, _ = fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%.0f\t%.2f\t\n", one.name, took.Seconds(), slices.Min(one.took).Seconds(), slices.Max(one.took).Seconds(),
			float64(opts.Points)/took.Seconds(), plain.Seconds()/took.Seconds())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nbuckets: %d folded, %d grouped by minute; heap while folding: at most %.1f MiB\n",
		figures.Buckets, figures.SQLBuckets, float64(slices.Max(figures.Heap))/(1<<20))
	return err
}

// printFigures prints each contestant with its ratio to the second one, which
// is the plain way.
func printFigures(out io.Writer, figures []*bench.Figures) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\trequests/s\tmin\tmax\tp50 ms\tp99 ms\tratio\tp99 ratio\t")
	plain := figures[1]
	for _, f := range figures {
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.2f\t%.2f\t\n", f.Name,
			median(f.PerSecond), slices.Min(f.PerSecond), slices.Max(f.PerSecond), milliseconds(median(f.P50)), milliseconds(median(f.P99)),
			median(f.PerSecond)/median(plain.PerSecond), float64(median(f.P99))/float64(median(plain.P99)))
	}
	return table.Flush()
}

func median[T float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// withPrivateDatabase runs work on a migrated database that is thrown away.
func withPrivateDatabase(ctx context.Context, work func(ctx context.Context, url, server string) error) (err error) {
	dir, err := os.MkdirTemp("", "millrace-bench-")
	if err != nil {
		return fmt.Errorf("a temporary folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := devpg.Start(ctx, devpg.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = server.Stop(ctx)
	}()
	if err := server.CreateDatabase(ctx, databaseName); err != nil {
		return err
	}
	url := server.URL(databaseName)
	pool, err := postgres.Open(ctx, postgres.Options{URL: url})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.New(pool, slog.New(slog.DiscardHandler)).Up(ctx); err != nil {
		return err
	}
	var version string
	if err := pool.QueryRow(ctx, "SELECT 'PostgreSQL ' || current_setting('server_version')").Scan(&version); err != nil {
		return postgres.Fault(err)
	}
	return work(ctx, url, version)
}
