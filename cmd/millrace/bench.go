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
)

func benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure Millrace against the plain way of doing the same",
		Long: `Measure on this machine, side by side. Each benchmark starts a private, durable
Postgres (fsync and synchronous_commit on) in a temporary folder and prints the
median, minimum and maximum of interleaved rounds. Ratios travel; figures do not.`,
		Example: "  millrace bench intake --connections 64",
	}
	return group(cmd, benchIntake())
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
	return cmd
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
