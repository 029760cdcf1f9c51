package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/capacity/observe"
)

func workersCommand() *cobra.Command { return newWorkersCommand(os.Environ(), time.Now, pause) }

// workersFlags are the flags of every workers command, and what commands get from
// outside.
type workersFlags struct {
	environ []string
	now     func() time.Time
	// pause waits, and tells how far it is.
	pause func(ctx context.Context, d time.Duration, told func(done time.Duration)) error

	asJSON     bool
	prometheus string
	metrics    string
}

func newWorkersCommand(environ []string, now func() time.Time, pause func(context.Context, time.Duration, func(time.Duration)) error) *cobra.Command {
	flags := &workersFlags{environ: environ, now: now, pause: pause}
	cmd := &cobra.Command{
		Use:   "workers",
		Short: "See which workers run, and how many the load needs",
		Long: `See which workers run, and how many the load needs.

What they do is read from a Prometheus that scrapes them (--prometheus, else
PROMETHEUS_URL), or else from the processes themselves: all of them, intake too
(--metrics, else METRICS_URL, else that of dev.env in MILLRACE_HOME).`,
		Example: `  millrace workers advise
  millrace workers advise --prometheus http://prometheus:9090 --json
  millrace workers list --metrics 10.0.0.5:9464,10.0.0.6:9465,10.0.0.7:9465`,
	}
	cmd.PersistentFlags().BoolVar(&flags.asJSON, "json", false, "print JSON")
	cmd.PersistentFlags().StringVar(&flags.prometheus, "prometheus", "", "URL of a Prometheus that scrapes all processes")
	cmd.PersistentFlags().StringVar(&flags.metrics, "metrics", "", "metrics addresses of all processes, with commas between them")
	return group(cmd, flags.advise(), flags.list())
}

// pause waits for as long, unless ctx ends.
func pause(ctx context.Context, d time.Duration, told func(done time.Duration)) error {
	started := time.Now()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		told(min(d, time.Since(started)))
		if time.Since(started) >= d {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted")
		case <-ticker.C:
		}
	}
}

// addresses returns where to read: the URL of a Prometheus, or the processes.
func (f *workersFlags) addresses(cmd *cobra.Command) (prometheus setting, targets []observe.Target, err error) {
	env, err := readEnvironment(f.environ)
	if err != nil {
		return setting{}, nil, err
	}
	if f.metrics != "" && f.prometheus != "" {
		return setting{}, nil, misuse(cmd, "--prometheus and --metrics are both given; leave one of them")
	}
	processes := setting{f.metrics, "--metrics"}
	if f.metrics == "" {
		if f.prometheus != "" {
			return setting{f.prometheus, "--prometheus"}, nil, nil
		}
		if found, ok := env.find("PROMETHEUS_URL"); ok {
			return found, nil, nil
		}
		found, ok := env.find("METRICS_URL")
		if !ok {
			return setting{}, nil, env.missing("METRICS_URL", "the metrics addresses of all processes, such as 10.0.0.5:9464,10.0.0.6:9465, or PROMETHEUS_URL to a Prometheus")
		}
		processes = found
	}
	targets, err = observe.ParseTargets(processes.value)
	if err != nil {
		return setting{}, nil, misuse(cmd, "%s cannot be used: %s", processes.source, err)
	}
	return setting{}, targets, nil
}

// explainRead says in one line why nothing could be read.
func explainRead(err error, prometheus setting) error {
	switch {
	case errors.Is(err, observe.ErrNothing) && prometheus.value != "":
		return &exitError{exitNotFound, fmt.Errorf("the Prometheus at %s knows no worker and no intake; see that it scrapes their metrics addresses", prometheus.value)}
	case errors.Is(err, observe.ErrNothing):
		return &exitError{exitNotFound, errors.New("no worker and no intake answers at the metrics addresses; name all of them with --metrics or METRICS_URL")}
	case prometheus.value != "":
		return fmt.Errorf("%w; see that %s (from %s) is the URL of a Prometheus", err, prometheus.value, prometheus.source)
	}
	return fmt.Errorf("%w; see that the processes run and that --metrics or METRICS_URL has their METRICS_ADDR", err)
}

func (f *workersFlags) list() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the worker processes",
		Long: `List the worker processes: how many jobs each runs of how many at most, its database
connections, which one leads, and what version runs.

Exit codes: 0 done, 1 nothing answered, 2 wrong usage, 4 no worker was found.`,
		Example: `  millrace workers list --prometheus http://prometheus:9090`,
		Args:    takes(0, 0, ""),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		prometheus, targets, err := f.addresses(cmd)
		if err != nil {
			return err
		}
		var (
			processes []observe.Process
			silent    map[string]error
		)
		if prometheus.value != "" {
			var server *observe.Prometheus
			if server, err = observe.NewPrometheus(prometheus.value, prometheusWindow); err == nil {
				processes, err = observe.Processes(cmd.Context(), server)
			}
		} else {
			var scraped *observe.Scrapes
			if scraped, err = observe.Scrape(cmd.Context(), targets, f.now, nil); err == nil {
				silent = scraped.Silent
				processes, err = observe.Processes(cmd.Context(), scraped)
			}
		}
		if err != nil {
			return explainRead(err, prometheus)
		}
		return f.showProcesses(cmd, processes, silent)
	}
	return cmd
}

// processShown is a process as JSON.
type processShown struct {
	Instance    string `json:"instance"`
	Version     string `json:"version"`
	Slots       int    `json:"slots"`
	Busy        int    `json:"busy"`
	Leader      bool   `json:"leader"`
	InUse       int    `json:"connections_in_use"`
	Connections int    `json:"connections_limit"`
}

func (f *workersFlags) showProcesses(cmd *cobra.Command, processes []observe.Process, silent map[string]error) error {
	warnSilent(cmd, silent)
	out := &printer{w: cmd.OutOrStdout()}
	rows := [][]string{{"INSTANCE", "BUSY", "SLOTS", "CONNECTIONS", "LEADER", "VERSION"}}
	for _, p := range processes {
		if f.asJSON {
			out.json(processShown{p.Instance, p.Version, p.Slots, p.Busy, p.Leads, p.InUse, p.Connections})
			continue
		}
		leads := "-"
		if p.Leads {
			leads = "yes"
		}
		rows = append(rows, []string{p.Instance, strconv.Itoa(p.Busy), strconv.Itoa(p.Slots), fmt.Sprintf("%d of %d", p.InUse, p.Connections), leads, p.Version})
	}
	if !f.asJSON {
		out.table(rows)
	}
	return out.err
}

// warnSilent names the processes that did not answer.
func warnSilent(cmd *cobra.Command, silent map[string]error) {
	for _, url := range slices.Sorted(maps.Keys(silent)) {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "millrace: left out, as it does not answer: %s: %s\n", oneLine(url), oneLine(silent[url].Error()))
	}
}
