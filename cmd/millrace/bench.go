package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/bench"
	"millrace/internal/devpg"
	"millrace/internal/postgres"
	"millrace/migrations"
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
  millrace bench workers --slots 2`,
	}
	return group(cmd, benchIntake(), benchMetrics(), benchWorkers(), benchWorker())
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

func benchWorkers() *cobra.Command {
	var opts bench.WorkersOptions
	cmd := &cobra.Command{
		Use:   "workers",
		Short: "Payments that take 50 ms, worked by 1, 2 and 4 processes",
		Long: `Measure how the work done grows with the worker processes: payments whose gateway takes
50 ms and costs nothing, through the whole worker stack, with a process for each worker.
Where the ratio stays behind the number of processes, the processors or the database are
used up: fewer --slots show the ratio without that.`,
		Args: takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Slots < 1 || opts.Latency <= 0 || opts.Rounds < 1 || opts.Round <= 0 || slices.ContainsFunc(opts.Processes, func(n int) bool { return n < 1 }) {
				return misuse(cmd, "--processes, --slots, --latency, --rounds and --round must be positive")
			}
			return withPrivateDatabase(cmd.Context(), func(ctx context.Context, url, server string) error {
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("this program's path: %w", err)
				}
				opts.DatabaseURL = url
				opts.Progress = func(text string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), text) }
				opts.Command = []string{self, "bench", "worker", "--slots", strconv.Itoa(opts.Slots), "--latency", opts.Latency.String()}
				out := cmd.OutOrStdout()
				_, _ = fmt.Fprintf(out, "%d CPUs (%s/%s), %s, %s, fsync=on synchronous_commit=on\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), server)
				_, _ = fmt.Fprintf(out, "payments of %s, %d slots a worker, %d rounds of %s after a warm-up; workers and database on one machine\n\n",
					opts.Latency, opts.Slots, opts.Rounds, opts.Round)
				figures, err := bench.Workers(ctx, opts)
				if err != nil {
					return err
				}
				return printWorkers(out, opts, figures)
			})
		},
	}
	cmd.Flags().IntSliceVar(&opts.Processes, "processes", []int{1, 2, 4}, "numbers of worker processes")
	cmd.Flags().IntVar(&opts.Slots, "slots", 4, "jobs that each runs at once")
	cmd.Flags().DurationVar(&opts.Latency, "latency", 50*time.Millisecond, "time that the gateway takes")
	cmd.Flags().IntVar(&opts.Rounds, "rounds", 3, "rounds of each number of processes")
	cmd.Flags().DurationVar(&opts.Round, "round", 5*time.Second, "length of a round")
	return cmd
}

// benchWorker is a process of benchWorkers.
func benchWorker() *cobra.Command {
	var opts bench.WorkerOptions
	cmd := &cobra.Command{
		Use:    "worker",
		Short:  "One worker of bench workers",
		Hidden: true,
		Args:   takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Log, opts.DatabaseURL = cmd.OutOrStdout(), os.Getenv("DATABASE_URL")
			return bench.Worker(cmd.Context(), opts)
		},
	}
	cmd.Flags().IntVar(&opts.Slots, "slots", 1, "jobs that it runs at once")
	cmd.Flags().DurationVar(&opts.Latency, "latency", 0, "time that the gateway takes")
	return cmd
}

// printWorkers prints each number of processes with its ratio to the first, and
// the part of what its slots can do at most.
func printWorkers(out io.Writer, opts bench.WorkersOptions, figures []*bench.WorkersFigures) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "workers\tjobs/s\tmin\tmax\tratio\tof the slots\t")
	first := median(figures[0].PerSecond)
	for _, f := range figures {
		perSecond := median(f.PerSecond)
		_, _ = fmt.Fprintf(table, "%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f %%\t\n", f.Processes, perSecond, slices.Min(f.PerSecond), slices.Max(f.PerSecond),
			perSecond/first, perSecond/f.Best(opts)*100)
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
