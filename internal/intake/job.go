package intake

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// State is a job's state, with River's names.
type State string

// The states of a job. Cancelled, Completed and Discarded are final.
const (
	StateAvailable State = "available"
	StateCancelled State = "cancelled"
	StateCompleted State = "completed"
	StateDiscarded State = "discarded"
	StatePending   State = "pending"
	StateRetryable State = "retryable"
	StateRunning   State = "running"
	StateScheduled State = "scheduled"
)

// States lists every state, for schemas and filters.
func States() []State {
	return []State{
		StateAvailable, StateCancelled, StateCompleted, StateDiscarded,
		StatePending, StateRetryable, StateRunning, StateScheduled,
	}
}

// Done reports whether the state is final.
func (s State) Done() bool {
	return s == StateCancelled || s == StateCompleted || s == StateDiscarded
}

// Job is a submission with the state of its job: from River's row while there
// is one, from the ledger after River deleted it.
type Job struct {
	ID          int64
	Kind        string
	Queue       string
	State       State
	Priority    int
	Attempt     int
	MaxAttempts int
	CreatedAt   time.Time
	ScheduledAt time.Time
	AttemptedAt *time.Time
	FinalizedAt *time.Time
	ResourceID  *uuid.UUID
	// Output is what the worker returned, or nil.
	Output json.RawMessage
	// LastError is the public fault of the newest failed attempt, or nil. It is
	// the job's outcome when the job is done and not completed.
	LastError *fault.Fault
	// Snoozes counts how often the job was put off without a failure.
	Snoozes int
	// Waiting is why the job was put off the last time, until it runs again.
	Waiting *fault.Fault
	// Progress is how far the job is; nil when it does not tell, and when it is
	// completed.
	Progress *jobs.Progress
	// QueuePaused says that nobody takes jobs from the queue at present.
	QueuePaused bool
}

// A submission's id is its job's id, so both are found by primary key.
const selectJobs = `
	SELECT s.job_id, s.kind, s.queue, coalesce(j.state::text, s.state, 'cancelled'), s.priority,
		coalesce(j.attempt, s.attempt, 0), coalesce(j.max_attempts, s.max_attempts), s.created_at,
		-- River's time is older than the job when a deadline orders it.
		greatest(coalesce(j.scheduled_at, s.scheduled_at), s.created_at), coalesce(j.attempted_at, s.attempted_at),
		coalesce(j.finalized_at, s.finalized_at), s.resource_id,
		CASE WHEN j.id IS NULL THEN s.output ELSE j.metadata -> 'output' END,
		CASE WHEN j.id IS NULL THEN s.error ELSE j.errors[cardinality(j.errors)] ->> 'error' END,
		coalesce((j.metadata ->> 'snoozes')::int, 0), j.metadata #> '{river:resumable_cursor,` + jobs.CheckpointStep + `,progress}', q.paused_at IS NOT NULL
	FROM submissions AS s
	LEFT JOIN river_job AS j ON j.id = s.job_id
	LEFT JOIN river_queue AS q ON q.name = s.queue `

func scanJob(row pgx.CollectableRow) (Job, error) {
	var (
		job       Job
		lastError *string
	)
	err := row.Scan(&job.ID, &job.Kind, &job.Queue, &job.State, &job.Priority,
		&job.Attempt, &job.MaxAttempts, &job.CreatedAt, &job.ScheduledAt, &job.AttemptedAt,
		&job.FinalizedAt, &job.ResourceID, &job.Output, &lastError, &job.Snoozes, &job.Progress, &job.QueuePaused)
	if err != nil {
		return Job{}, err
	}
	job.CreatedAt, job.ScheduledAt = job.CreatedAt.UTC(), job.ScheduledAt.UTC()
	for _, at := range []*time.Time{job.AttemptedAt, job.FinalizedAt} {
		if at != nil {
			*at = at.UTC()
		}
	}
	if job.State == StateCompleted {
		job.Progress = nil // the checkpoint stays where the worker left it
	}
	// A short wait is available at once, with a time that is ahead.
	if job.Snoozes > 0 && (job.State == StateScheduled || job.State == StateAvailable) {
		job.Waiting, _ = fault.Parse(string(job.Output))
	}
	if lastError != nil {
		job.LastError = publicError(*lastError)
	}
	return job, nil
}

// publicError reads what a worker stored. What did not come from a worker (a
// rescue after a crash) has River's wording, which says nothing to a client.
func publicError(text string) *fault.Fault {
	if f, ok := fault.Parse(text); ok {
		return f
	}
	return fault.New(fault.Unavailable, "The worker stopped before it finished the job.")
}

// WaitsForClient returns why the job waits for the client to do something, or
// nil: the payment that it carries has to be authenticated.
func (j Job) WaitsForClient() *fault.Fault {
	if j.Waiting != nil && j.Waiting.Code == fault.PaymentFailed {
		return j.Waiting
	}
	return nil
}

// Outcome returns the fault of a job that is done and not completed, else nil.
func (j Job) Outcome() *fault.Fault {
	switch {
	case !j.State.Done(), j.State == StateCompleted:
		return nil
	case j.State == StateCancelled && j.LastError == nil:
		return fault.New(fault.JobCancelled, "The job was cancelled.")
	case j.LastError == nil:
		return fault.New(fault.Unknown, "The job was given up without an answer.")
	default:
		return j.LastError
	}
}

// Find reads a job of the tenant. The fault is NOT_FOUND when it has none of
// that id.
func Find(ctx context.Context, db *postgres.Tenancy, tenant string, id int64) (Job, error) {
	var job Job
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		job, err = pgx.CollectExactlyOneRow(rows, scanJob)
		return err
	}, selectJobs+"WHERE s.tenant_id = $1 AND s.job_id = $2", tenant, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, fault.New(fault.NotFound, "There is no such job.")
	}
	return job, postgres.Fault(err)
}

// Filter chooses jobs of a list. Zero values do not filter.
type Filter struct {
	Kind  string
	State State
	// Before is the id below which to go on; zero starts with the newest.
	Before int64
	// Limit is how many to return.
	Limit int
}

// List reads the tenant's jobs, newest first.
func List(ctx context.Context, db *postgres.Tenancy, tenant string, filter Filter) ([]Job, error) {
	var list []Job
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, scanJob)
		return err
	}, selectJobs+`
		WHERE s.tenant_id = $1 AND ($2::bigint = 0 OR s.job_id < $2) AND ($3 = '' OR s.kind = $3)
			AND ($4 = '' OR coalesce(j.state::text, s.state, 'cancelled') = $4)
		ORDER BY s.job_id DESC LIMIT $5`,
		tenant, filter.Before, filter.Kind, string(filter.State), filter.Limit)
	return list, postgres.Fault(err)
}
