// Package jobs is the catalogue of what Millrace can do: one row a kind in
// catalog.go, one file a kind with its input, its arguments and its policy.
package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/ratelimit"
	"millrace/internal/strictjson"
)

// Kind is one row of the catalogue.
type Kind struct {
	// Name is the kind's name everywhere: in the API, in River, in metrics.
	Name string
	// Queue is where its jobs wait.
	Queue string
	// Slots is how many jobs of the queue one worker process runs at once,
	// unless QUEUES says otherwise.
	Slots int
	// Summary says in one sentence what the kind does.
	Summary string
	// Public kinds may be submitted by clients; the others are the platform's own.
	Public bool
	// Resource is what the answer calls the domain row that the job works on
	// ("payment"); empty for kinds whose jobs stand alone.
	Resource string
	// Yields is what the job makes under the id of the domain row ("score"); empty
	// when the row itself tells the outcome.
	Yields string
	// MaxBody bounds a request that submits the kind, in bytes; zero leaves the
	// API's own limit.
	MaxBody int
	// KeyRequired says that a submission must bring an idempotency key, because
	// a repeat without one would do harm.
	KeyRequired bool
	// Limit is the class of rate limit that submissions of the kind count in; empty is
	// ratelimit.Writes.
	Limit ratelimit.Class
	// PersonLimit is the class that they count in besides, by Accepted.Person; empty
	// for none.
	PersonLimit ratelimit.Class
	// Every is how often the workers enqueue a job of the kind by themselves; zero
	// means never.
	Every time.Duration
	// Policy says how the job is run and repeated.
	Policy Policy
	// Sample is an input that is valid, for documentation and load.
	Sample any

	accept   func(input []byte, at Acceptance) (Accepted, error)
	complete func(ctx context.Context, db *postgres.Tenancy, tenant string, resource any) (any, error)
	insert   func(ctx context.Context, tx pgx.Tx, resources []any, jobIDs []int64) error
	find     func(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (any, error)
	cancel   func(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, now time.Time) error
	original func(resource any) any
	masked   func(resource any) any
	register func(registry *river.Workers, handlers Handlers)
	periodic river.JobArgs
	input    reflect.Type
	resource reflect.Type
}

// Acceptance is the context in which an input becomes a job.
type Acceptance struct {
	Tenant string
	// ID is for the domain row, if the kind has one.
	ID  uuid.UUID
	Now time.Time
	// RefusePHI says that the tenant takes no personal data in free texts.
	RefusePHI bool
}

// Accepted is a valid input, ready to be committed.
type Accepted struct {
	// Args are what the job carries: ids, never personal data.
	Args river.JobArgs
	// Resource is the domain row to insert, and ResourceID its id; nil and zero
	// for kinds without one.
	Resource   any
	ResourceID uuid.UUID
	// Deadline is when the job must have run. Of the jobs of a priority that wait
	// for a slot, those with a deadline run first, the earliest before the others.
	// Zero means none.
	Deadline time.Time
	// Person is the e-mail address of whoever the work is for, which Kind.PersonLimit
	// counts by; empty when nobody is named.
	Person string
	// Size is how many bytes the domain row has to write, about, when that is more
	// than a few thousand.
	Size int
	// Hash is SHA-256 over the normalised input: equal for requests that ask for
	// the same, whatever their order of members and white space.
	Hash [sha256.Size]byte
}

// Accept decodes and validates an input. The error is an INVALID_INPUT fault, or
// PHI_DETECTED where that is refused, or MASKING_FAILED.
func (k *Kind) Accept(input []byte, at Acceptance) (Accepted, error) { return k.accept(input, at) }

// Complete makes an accepted domain row ready to be inserted: it adds what the
// database knows (which slot a booking is for), checks the row against that, and
// seals what the row says about people. A row that is not completed is stored plain.
// The error is a fault.
func (k *Kind) Complete(ctx context.Context, db *postgres.Tenancy, tenant string, accepted Accepted) (Accepted, error) {
	if k.complete == nil {
		return accepted, nil
	}
	resource, err := k.complete(ctx, db, tenant, accepted.Resource)
	accepted.Resource = resource
	return accepted, err
}

// Insert writes the domain rows of accepted inputs of one tenant, which tx must
// have entered, each with the id of its job.
func (k *Kind) Insert(ctx context.Context, tx pgx.Tx, resources []any, jobIDs []int64) error {
	if k.insert == nil {
		return nil
	}
	return k.insert(ctx, tx, resources, jobIDs)
}

// Find reads the domain row as it is now.
func (k *Kind) Find(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (any, error) {
	return k.find(ctx, db, tenant, id)
}

// Cancel ends a domain row whose job is cancelled before it started, in the
// tenant's transaction tx.
func (k *Kind) Cancel(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, now time.Time) error {
	return k.cancel(ctx, tx, tenant, id, now)
}

// Original returns a domain row as it was when its submission was accepted.
func (k *Kind) Original(resource any) any { return k.original(resource) }

// Masked returns a domain row as answers show it: without what it says about people.
func (k *Kind) Masked(resource any) any {
	if k.masked == nil || resource == nil {
		return resource
	}
	return k.masked(resource)
}

// Register adds the kind's worker to River's registry.
func (k *Kind) Register(registry *river.Workers, handlers Handlers) { k.register(registry, handlers) }

// InsertOnceOpts is InsertOpts for a job that does not enter while another one of
// the kind with the same arguments is not done.
func (k *Kind) InsertOnceOpts(m Metadata) *river.InsertOpts {
	opts := k.InsertOpts(m)
	opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
		rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}}
	return opts
}

// InsertOpts returns how a job of the kind enters River.
func (k *Kind) InsertOpts(m Metadata) *river.InsertOpts {
	metadata, _ := json.Marshal(m) // strings
	return &river.InsertOpts{MaxAttempts: k.Policy.MaxAttempts, Metadata: metadata, Queue: k.Queue}
}

// Input returns the Go type of the kind's input, for its JSON schema.
func (k *Kind) Input() reflect.Type { return k.input }

// ResourceType returns the Go type of the kind's domain row, or nil.
func (k *Kind) ResourceType() reflect.Type { return k.resource }

// input is what a client submits: it knows its rules, and returns itself
// normalised.
type input[I any] interface {
	Validate() (I, error)
}

// work is a method of Handlers, as a method expression.
type work[A river.JobArgs] func(Handlers, context.Context, *river.Job[A]) (any, error)

// standalone completes the row of a kind whose input is its arguments.
func standalone[A interface {
	river.JobArgs
	input[A]
}](kind Kind, do work[A],
) *Kind {
	var none A
	kind.periodic = none
	return converted(kind, func(args A) A { return args }, do)
}

// converted completes the row of a kind whose arguments are made of its input.
func converted[I input[I], A river.JobArgs](kind Kind, convert func(I) A, do work[A]) *Kind {
	kind.input = reflect.TypeFor[I]()
	kind.accept = func(body []byte, at Acceptance) (Accepted, error) {
		in, hash, err := decode[I](body, at)
		if err != nil {
			return Accepted{}, err
		}
		return Accepted{Args: convert(in), Hash: hash}, nil
	}
	kind.register = func(registry *river.Workers, handlers Handlers) { register(registry, &kind, handlers, do) }
	return &kind
}

// store is how a kind keeps its domain rows.
type store[R any] struct {
	insertMany func(ctx context.Context, tx pgx.Tx, rows []R, jobIDs []int64) error
	find       func(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (R, error)
	cancel     func(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, now time.Time) error
	original   func(R) R
	// deadline returns Accepted.Deadline; nil when no row has one.
	deadline func(R) time.Time
	// person returns Accepted.Person; nil when the kind has no PersonLimit.
	person func(R) string
	// size returns Accepted.Size; nil when rows are small.
	size func(R) int
	// complete adds what the database knows; nil when the input says everything.
	complete func(ctx context.Context, db *postgres.Tenancy, tenant string, row R) (R, error)
	// seal encrypts what a complete row says about people.
	seal func(ctx context.Context, db *postgres.Tenancy, row R) (R, error)
	// masked is Kind.Masked; nil when rows show nothing about people.
	masked func(R) R
}

// stored completes the row of a kind whose input becomes a domain row, which
// its job refers to by id.
func stored[I input[I], R any, A river.JobArgs](kind Kind, rows store[R], accept func(I, Acceptance) (R, A), do work[A]) *Kind {
	kind.input, kind.resource = reflect.TypeFor[I](), reflect.TypeFor[R]()
	kind.accept = func(body []byte, at Acceptance) (Accepted, error) {
		in, hash, err := decode[I](body, at)
		if err != nil {
			return Accepted{}, err
		}
		row, args := accept(in, at)
		accepted := Accepted{Args: args, Resource: row, ResourceID: at.ID, Hash: hash}
		if rows.deadline != nil {
			accepted.Deadline = rows.deadline(row)
		}
		if rows.person != nil {
			accepted.Person = rows.person(row)
		}
		if rows.size != nil {
			accepted.Size = rows.size(row)
		}
		return accepted, nil
	}
	kind.insert = func(ctx context.Context, tx pgx.Tx, resources []any, jobIDs []int64) error {
		typed := make([]R, len(resources))
		for i, resource := range resources {
			row, ok := resource.(R)
			if !ok {
				return fmt.Errorf("jobs: %s: a row of type %T", kind.Name, resource)
			}
			typed[i] = row
		}
		return rows.insertMany(ctx, tx, typed, jobIDs)
	}
	kind.find = func(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (any, error) {
		return rows.find(ctx, db, tenant, id)
	}
	kind.complete = func(ctx context.Context, db *postgres.Tenancy, tenant string, resource any) (any, error) {
		row, ok := resource.(R)
		if !ok {
			return nil, fmt.Errorf("jobs: %s: a row of type %T", kind.Name, resource)
		}
		if rows.complete != nil {
			var err error
			if row, err = rows.complete(ctx, db, tenant, row); err != nil {
				return nil, err
			}
		}
		return rows.seal(ctx, db, row)
	}
	kind.cancel = rows.cancel
	if rows.masked != nil {
		kind.masked = func(resource any) any {
			if row, ok := resource.(R); ok {
				return rows.masked(row)
			}
			return resource
		}
	}
	kind.original = func(resource any) any {
		if row, ok := resource.(R); ok {
			return rows.original(row)
		}
		return resource
	}
	kind.register = func(registry *river.Workers, handlers Handlers) { register(registry, &kind, handlers, do) }
	return &kind
}

func decode[I input[I]](body []byte, at Acceptance) (in I, hash [sha256.Size]byte, err error) {
	var sent I
	if err := strictjson.Decode(body, &sent); err != nil {
		return in, hash, err
	}
	if in, err = sent.Validate(); err != nil {
		return in, hash, err
	}
	if at.RefusePHI { // in what was sent: what is valid may be masked
		if err := refusePHI(sent); err != nil {
			return in, hash, err
		}
	}
	normalised, err := json.Marshal(in)
	if err != nil {
		return in, hash, fault.From(err)
	}
	return in, sha256.Sum256(normalised), nil
}

// register adapts a handler to River: timeout and retry from the policy, the
// result recorded as the job's output.
func register[A river.JobArgs](registry *river.Workers, kind *Kind, handlers Handlers, do work[A]) {
	river.AddWorker(registry, &worker[A]{kind: kind, handlers: handlers, do: do})
}

type worker[A river.JobArgs] struct {
	river.WorkerDefaults[A]

	kind     *Kind
	handlers Handlers
	do       work[A]
}

func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return w.kind.Policy.Timeout }

func (w *worker[A]) NextRetry(job *river.Job[A]) time.Time {
	return time.Now().Add(w.kind.Policy.Delay(job.ID, job.Attempt))
}

func (w *worker[A]) Work(ctx context.Context, job *river.Job[A]) error {
	result, err := w.do(w.handlers, ctx, job)
	if err != nil || result == nil {
		return err
	}
	return river.RecordOutput(ctx, result)
}
