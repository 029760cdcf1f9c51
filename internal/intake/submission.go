// Package intake turns accepted requests into durable jobs. One writer commits
// the submissions of concurrent requests together: ledger row, domain row and
// River job in one transaction, each request answered after that commit with
// its own outcome.
package intake

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// Submission is one accepted request on its way into the database.
type Submission struct {
	Tenant string
	// Route is the door that the request came through. An idempotency key is
	// unique within tenant and route.
	Route string
	// Key is the client's idempotency key; empty means that nothing is deduplicated.
	Key string
	// Hash tells whether a repeated key asks for the same.
	Hash [sha256.Size]byte
	Kind *jobs.Kind
	// Accepted is what Kind made of the input.
	Accepted jobs.Accepted
	// Priority is from 1 (first) to 4.
	Priority int
	// ScheduledAt is when to run at the earliest; zero means at once.
	ScheduledAt time.Time
	// RequestID goes into the job's metadata, so that logs of both sides meet.
	RequestID string
}

// Receipt says what became of a submission that was committed.
type Receipt struct {
	// Job is the job as it was when it was accepted.
	Job Job
	// Replayed says that an earlier submission with the same key was answered
	// for, and nothing was added.
	Replayed bool
}

func mismatch() *fault.Fault {
	return fault.New(fault.IdempotencyMismatch, "This Idempotency-Key was used before with another request; use a new key for a new request.")
}

// request is a submission with the way back to its caller.
type request struct {
	Submission

	// actor is who submits: the transaction has no single one.
	actor     postgres.Actor
	jobID     int64
	createdAt time.Time
	// reply receives exactly one outcome; it has room for it, so that the writer
	// never waits for a caller that left.
	reply chan outcome
	// gone is closed when the caller left before its submission was written.
	gone <-chan struct{}
	// span is that of the sending, and trace what of it the job carries; nil and empty
	// when nothing is traced.
	span  trace.Span
	trace jobs.Trace
}

type outcome struct {
	receipt Receipt
	err     error
}

func (r *request) answer(receipt Receipt, err error) {
	r.reply <- outcome{receipt: receipt, err: err}
}

func (r *request) scheduledAt() time.Time {
	if r.ScheduledAt.IsZero() {
		return r.createdAt
	}
	return r.ScheduledAt
}

// farAhead is longer than any deadline is ahead that orders jobs.
const farAhead = 60 * 24 * time.Hour

// runAt is the time by which River orders the job among those that wait: a
// deadline as far before the present as keeps the order, so that jobs with one
// come first; zero means now.
func (r *request) runAt() time.Time {
	if at := r.Accepted.Deadline.Add(-farAhead); r.ScheduledAt.IsZero() && !r.Accepted.Deadline.IsZero() && at.Before(r.createdAt) {
		return at
	}
	return r.ScheduledAt
}

// initialState is the state in which River takes a job in.
func initialState(created, scheduled time.Time) State {
	if scheduled.After(created) {
		return StateScheduled
	}
	return StateAvailable
}

// receipt returns the answer to a submission that was added.
func (r *request) receipt() Receipt {
	job := Job{
		ID: r.jobID, Kind: r.Kind.Name, Queue: r.Kind.Queue, State: initialState(r.createdAt, r.scheduledAt()), Priority: r.Priority,
		MaxAttempts: r.Kind.Policy.MaxAttempts, CreatedAt: r.createdAt, ScheduledAt: r.scheduledAt(),
	}
	if r.Accepted.ResourceID != uuid.Nil {
		job.ResourceID = &r.Accepted.ResourceID
	}
	return Receipt{Job: job}
}
