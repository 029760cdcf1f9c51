package workers

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// rescueDriver counts the jobs that River's leader takes back from workers that
// died. River tells of them only in a line of its log, which leaves out those of a
// scan that fails half way; no hook or middleware sees a job that it discards so.
type rescueDriver struct {
	*riverpgxv5.Driver

	rescued *prometheus.CounterVec
}

var _ riverdriver.Driver[pgx.Tx] = (*rescueDriver)(nil)

// GetExecutor implements riverdriver.Driver.
func (d *rescueDriver) GetExecutor() riverdriver.Executor {
	return &rescueExecutor{d.Driver.GetExecutor(), d.rescued}
}

type rescueExecutor struct {
	riverdriver.Executor

	rescued *prometheus.CounterVec
}

// JobRescueMany implements riverdriver.Executor.
func (e *rescueExecutor) JobRescueMany(ctx context.Context, params *riverdriver.JobRescueManyParams) (*struct{}, error) {
	done, err := e.Executor.JobRescueMany(ctx, params)
	if err != nil {
		return nil, err
	}
	for _, state := range params.State {
		if outcome := rescueOutcome(rivertype.JobState(state)); outcome != "" {
			e.rescued.WithLabelValues(outcome).Inc()
		}
	}
	return done, nil
}

// rescueOutcome names what became of a rescued job; empty for one that an operator
// had cancelled while it ran.
func rescueOutcome(state rivertype.JobState) string {
	switch state { //nolint:exhaustive // River rescues into no other state
	case rivertype.JobStateRetryable:
		return retried
	case rivertype.JobStateDiscarded:
		return discarded
	default:
		return ""
	}
}

func newRescuedCounter(registry prometheus.Registerer) (*prometheus.CounterVec, error) {
	rescued := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "millrace_jobs_rescued_total", Help: "Jobs whose worker died, taken back by the leader, by outcome: retried, discarded.",
	}, []string{"outcome"})
	if err := registry.Register(rescued); err != nil {
		return nil, fmt.Errorf("workers: metrics: %w", err)
	}
	rescued.WithLabelValues(retried)
	rescued.WithLabelValues(discarded)
	return rescued, nil
}
