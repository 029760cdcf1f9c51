package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/bench"
)

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
