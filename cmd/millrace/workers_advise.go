package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/capacity"
	"millrace/internal/capacity/observe"
)

const (
	exitMoreWorkers = 3 // more workers are needed
	exitObstacle    = 5 // as many as are needed, and something that they do not help against
)

const (
	// prometheusWindow is what rates are taken over by default: long enough for a
	// scrape a minute, short enough for a load that changes.
	prometheusWindow = 5 * time.Minute
	// scrapeWindow is the same without a Prometheus, while a person waits. The leader
	// looks at the queues every 5 s, so it sees them three times.
	scrapeWindow = 15 * time.Second
	// shortestWindow has one such look.
	shortestWindow = 6 * time.Second
)

func (f *workersFlags) advise() *cobra.Command {
	var over time.Duration
	goal := capacity.DefaultGoal()
	cmd := &cobra.Command{
		Use:   "advise",
		Short: "Say how many workers the load needs, and why",
		Long: fmt.Sprintf(`Say how many workers the present load needs, and why: enough slots of each queue that
arrivals keep them busy for at most %.0f %% of the time, that at most %.0f %% of attempts start
too late for their kind's target, and that what waits is gone within %s.
docs/scaling.md has the arithmetic.

It also names what more workers do not help against: a paused queue, a provider that
does not answer or sets a limit, a slow database, no leader. It changes nothing.

Exit codes: 0 there are enough, or fewer would do; 1 the metrics cannot be read;
2 wrong usage; 3 more are needed; 4 no process of Millrace was found; 5 there are
enough, but something else stands in the way.`, goal.Utilisation*100, goal.Late*100, goal.Drain),
		Example: `  millrace workers advise
  millrace workers advise --prometheus http://prometheus:9090 --over 10m
  millrace workers advise --json | jq .needed`,
		Args: takes(0, 0, ""),
	}
	cmd.Flags().DurationVar(&over, "over", 0, "time that rates are taken over (default 5m with a Prometheus, else 15s)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("over") && over < shortestWindow {
			return misuse(cmd, "--over must be %s or longer", shortestWindow)
		}
		prometheus, targets, err := f.addresses(cmd)
		if err != nil {
			return err
		}
		shown := adviceShown{Unreachable: []string{}}
		var observed capacity.Observation
		if prometheus.value != "" {
			over = cmp.Or(over, prometheusWindow)
			shown.Source = prometheus.value
			var server *observe.Prometheus
			if server, err = observe.NewPrometheus(prometheus.value, over); err == nil {
				observed, err = observe.Load(cmd.Context(), server, f.now())
			}
		} else {
			over = cmp.Or(over, scrapeWindow)
			shown.Source = "metrics"
			var scraped *observe.Scrapes
			if scraped, err = f.watch(cmd, targets, over); err == nil {
				warnSilent(cmd, scraped.Silent)
				shown.Unreachable = append(shown.Unreachable, slices.Sorted(maps.Keys(scraped.Silent))...)
				observed, err = observe.Load(cmd.Context(), scraped, f.now())
			}
		}
		if err != nil {
			return explainRead(err, prometheus)
		}
		shown.Window = over.Seconds()
		advice := capacity.Advise(observed, goal)
		out := &printer{w: cmd.OutOrStdout()}
		if f.asJSON {
			shown.fill(advice)
			out.json(shown)
		} else {
			showAdvice(out, advice)
		}
		if out.err != nil {
			return out.err
		}
		return adviceError(advice)
	}
	return cmd
}

// watch looks at the processes twice.
func (f *workersFlags) watch(cmd *cobra.Command, targets []observe.Target, over time.Duration) (*observe.Scrapes, error) {
	progress := newProgress(cmd.ErrOrStderr(), f.now)
	defer progress.clear()
	return observe.Scrape(cmd.Context(), targets, f.now, func(ctx context.Context) error {
		return f.pause(ctx, over, func(done time.Duration) {
			progress.show(fmt.Sprintf("watching for %s", over), int64(done), int64(over))
		})
	})
}

// adviceError is what the exit code says.
func adviceError(a capacity.Advice) error {
	switch {
	case a.Verdict == capacity.More:
		return &exitError{exitMoreWorkers, fmt.Errorf("%s needed", count(a.Needed-a.Workers, "more worker is", "more workers are"))}
	case len(a.Obstacles) > 0:
		return &exitError{exitObstacle, fmt.Errorf("%s in the way that more workers do not help against", count(len(a.Obstacles), "thing stands", "things stand"))}
	}
	return nil
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// verdict is the advice in a line.
func verdict(a capacity.Advice) string {
	run := count(a.Workers, "worker runs", "workers run")
	switch a.Verdict {
	case capacity.More:
		var short []string
		for _, q := range a.Queues {
			if q.NeededWorkers > q.Workers {
				short = append(short, fmt.Sprintf("queue %s, %s", q.Name, q.Reason))
			}
		}
		if len(short) == 0 {
			short = []string{"one starts scheduled jobs and retries, and reports what waits"}
		}
		return fmt.Sprintf("%s; %s needed: %s.", run, count(a.Needed, "is", "are"), strings.Join(short, "; and "))
	case capacity.Fewer:
		return fmt.Sprintf("%s; %d would do. Keep two where one may fail.", run, a.Needed)
	case capacity.Enough:
	}
	return run + ": enough."
}

func showAdvice(out *printer, a capacity.Advice) {
	out.printf("%s\n\n", oneLine(verdict(a)))
	rows := [][]string{{"QUEUE", "WAITING", "OLDEST", "TARGET", "ARRIVE/S", "END/S", "RUN", "BUSY", "NEEDS", "WORKERS", "WHY"}}
	for _, q := range a.Queues {
		waiting, oldest := "?", "?"
		if q.Depth {
			waiting, oldest = strconv.FormatFloat(q.Load.Backlog, 'f', 0, 64), tidy(q.Oldest)
			if q.Capped {
				waiting += "+"
			}
		}
		rows = append(rows, []string{
			q.Name, waiting, oldest, tidy(q.Target), rate(q.Load.Arrivals), rate(q.Finished), tidy(q.Load.Run),
			fmt.Sprintf("%d of %d", q.Running, q.Slots), strconv.Itoa(q.NeededSlots), fmt.Sprintf("%d of %d", q.NeededWorkers, q.Workers), q.Reason,
		})
	}
	out.table(rows)
	if len(a.Obstacles) > 0 {
		out.printf("\nMore workers do not help against this:\n")
	}
	for _, o := range a.Obstacles {
		out.printf("- %s\n", oneLine(o.Text))
	}
}

func rate(perSecond float64) string { return strconv.FormatFloat(perSecond, 'f', 1, 64) }

// tidy rounds a duration to what a person reads.
func tidy(d time.Duration) string {
	if d >= time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// adviceShown is the advice as JSON. Times are seconds, rates a second.
type adviceShown struct {
	Verdict     capacity.Verdict `json:"verdict"`
	Workers     int              `json:"workers"`
	Needed      int              `json:"needed"`
	Source      string           `json:"source"`
	Window      float64          `json:"window_seconds"`
	Queues      []queueShown     `json:"queues"`
	Obstacles   []obstacleShown  `json:"obstacles"`
	Unreachable []string         `json:"unreachable"`
}

type queueShown struct {
	Name           string   `json:"name"`
	Workers        int      `json:"workers"`
	NeededWorkers  int      `json:"needed_workers"`
	Slots          int      `json:"slots"`
	NeededSlots    int      `json:"needed_slots"`
	SlotsPerWorker int      `json:"slots_per_worker"`
	Busy           int      `json:"busy"`
	Backlog        *float64 `json:"backlog"` // null without a leader
	BacklogCapped  bool     `json:"backlog_capped"`
	Oldest         *float64 `json:"oldest_seconds"` // null without a leader
	Paused         bool     `json:"paused"`
	Target         float64  `json:"target_seconds"`
	Arrivals       float64  `json:"arrivals"`
	Enqueued       float64  `json:"enqueued"`
	Finished       float64  `json:"finished"`
	Run            float64  `json:"run_seconds"`
	Held           bool     `json:"held"`
	Reason         string   `json:"reason"`
}

type obstacleShown struct {
	Cause capacity.Cause `json:"cause"`
	Queue string         `json:"queue,omitempty"`
	Text  string         `json:"text"`
}

func (s *adviceShown) fill(a capacity.Advice) {
	s.Verdict, s.Workers, s.Needed, s.Obstacles = a.Verdict, a.Workers, a.Needed, []obstacleShown{}
	for _, q := range a.Queues {
		shown := queueShown{
			Name: q.Name, Workers: q.Workers, NeededWorkers: q.NeededWorkers, Slots: q.Slots, NeededSlots: q.NeededSlots, SlotsPerWorker: q.SlotsPerWorker,
			Busy: q.Running, BacklogCapped: q.Capped, Paused: q.Paused, Target: q.Target.Seconds(), Arrivals: q.Load.Arrivals, Enqueued: q.Enqueued,
			Finished: q.Finished, Run: q.Load.Run.Seconds(), Held: q.Held, Reason: q.Reason,
		}
		if q.Depth {
			shown.Backlog, shown.Oldest = new(q.Load.Backlog), new(q.Oldest.Seconds())
		}
		s.Queues = append(s.Queues, shown)
	}
	for _, o := range a.Obstacles {
		s.Obstacles = append(s.Obstacles, obstacleShown(o))
	}
}
