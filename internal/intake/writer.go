package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// Options configures NewWriter.
type Options struct {
	// Pool connects to the database. Required.
	Pool *pgxpool.Pool
	// Role is what each transaction acts as. Default postgres.Intake.
	Role postgres.Role
	// MaxBatch is how many submissions share a commit at most. Default 512.
	MaxBatch int
	// Committers is how many transactions are under way at once at most. Default 1:
	// a second one takes requests away from the first one's batch.
	Committers int
	// Backlog is how many submissions may wait for the writer before further ones
	// are refused with UNAVAILABLE. Default 8192.
	Backlog int
	// CommitTimeout bounds one transaction; when it passes, its submissions are
	// answered with UNAVAILABLE. Default 5 s.
	CommitTimeout time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is required.
	Logger *slog.Logger
	// Metrics registers the writer's metrics. Required.
	Metrics prometheus.Registerer
	// Traces makes spans of submissions and commits, and has jobs carry them; nil for none.
	Traces trace.TracerProvider
}

// Writer commits submissions. Its only timers are limits: it writes whatever
// waits as soon as the commit before has returned, so a lone request waits for
// nobody and a crowd shares commits.
type Writer struct {
	opts    Options
	tenancy *postgres.Tenancy
	river   *river.Client[pgx.Tx]
	queue   chan *request
	metrics *metrics
	tracer  trace.Tracer // nil for none
	// done is closed when Run returned: nothing will be answered any more.
	done chan struct{}
}

// NewWriter returns a writer; Run makes it work.
func NewWriter(opts Options) (*Writer, error) {
	if opts.Pool == nil || opts.Logger == nil || opts.Metrics == nil {
		return nil, errors.New("intake: Pool, Logger and Metrics are required")
	}
	if opts.Role == "" {
		opts.Role = postgres.Intake
	}
	if opts.MaxBatch == 0 {
		opts.MaxBatch = 512
	}
	if opts.Committers == 0 {
		opts.Committers = 1
	}
	if opts.Backlog == 0 {
		opts.Backlog = 8192
	}
	if opts.CommitTimeout == 0 {
		opts.CommitTimeout = 5 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	metrics, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	middleware := []rivertype.Middleware{&assignIDs{now: opts.Now}}
	var tracer trace.Tracer
	if opts.Traces != nil {
		tracer = opts.Traces.Tracer("millrace/internal/intake")
		middleware = append(middleware, &jobs.TraceInserts{Tracer: tracer})
	}
	// The client only inserts; it is never started, so it leads and works nothing.
	client, err := river.NewClient(riverpgxv5.New(opts.Pool), &river.Config{
		// How often at most a queue's workers are told of new jobs.
		FetchCooldown: time.Millisecond,
		Logger:        opts.Logger,
		Middleware:    middleware,
	})
	if err != nil {
		return nil, fmt.Errorf("intake: river client: %w", err)
	}
	return &Writer{
		opts:    opts,
		tenancy: postgres.NewTenancy(opts.Pool, opts.Role),
		river:   client,
		queue:   make(chan *request, opts.Backlog),
		metrics: metrics,
		tracer:  tracer,
		done:    make(chan struct{}),
	}, nil
}

// Submit commits a submission, with others if there are any, and returns after
// the commit. The fault is IDEMPOTENCY_MISMATCH when the key was used for
// another request, UNAVAILABLE when the database cannot be reached or too many
// wait, DB_ERROR when the database refused this submission. After UNAVAILABLE
// it may have been committed all the same: the same key finds out. Who submits is
// the actor of ctx.
func (w *Writer) Submit(ctx context.Context, submission Submission) (Receipt, error) {
	r := &request{Submission: submission, actor: postgres.ActorOf(ctx), reply: make(chan outcome, 1), gone: ctx.Done()}
	if w.tracer == nil {
		return w.submit(ctx, r)
	}
	ctx = w.sending(ctx, r)
	receipt, err := w.submit(ctx, r)
	r.sent(receipt, err)
	return receipt, err
}

func (w *Writer) submit(ctx context.Context, r *request) (Receipt, error) {
	select {
	case w.queue <- r:
	case <-w.done:
		return Receipt{}, stopping()
	default:
		w.metrics.refused.Inc()
		return Receipt{}, fault.New(fault.Unavailable, "Too many submissions are waiting to be written; try again shortly.").After(time.Second)
	}
	select {
	case o := <-r.reply:
		return o.receipt, o.err
	case <-ctx.Done():
		return Receipt{}, fault.From(ctx.Err())
	case <-w.done:
		select {
		case o := <-r.reply:
			return o.receipt, o.err
		default:
			return Receipt{}, stopping()
		}
	}
}

func stopping() *fault.Fault {
	return fault.New(fault.Unavailable, "The server is shutting down; try again.").After(time.Second)
}

// Run writes until ctx ends, and then what is still waiting.
func (w *Writer) Run(ctx context.Context) error {
	defer close(w.done)
	var group sync.WaitGroup
	for range w.opts.Committers {
		group.Go(func() { w.commitAll(ctx) })
	}
	group.Wait()
	return nil
}

// commitAll commits one batch after the other.
func (w *Writer) commitAll(ctx context.Context) {
	for {
		var first *request
		select {
		case first = <-w.queue:
		case <-ctx.Done():
			select {
			case first = <-w.queue:
			default:
				return
			}
		}
		if batch := w.fill(first); len(batch) > 0 {
			// A commit that has begun is finished, whether or not we are stopping.
			w.write(context.WithoutCancel(ctx), batch)
		}
	}
}

// maxBatchBytes is how many bytes of large rows share a commit, about: a commit that
// takes long makes all in it wait, and may fail them all.
const maxBatchBytes = 8 << 20

// fill takes what waits beside the first request, up to the batch's limits. It
// leaves out requests whose caller is gone.
func (w *Writer) fill(first *request) []*request {
	var batch []*request
	size := 0
	add := func(r *request) {
		select {
		case <-r.gone:
		default:
			batch = append(batch, r)
			size += r.Accepted.Size
		}
	}
	add(first)
	for len(batch) < w.opts.MaxBatch && size < maxBatchBytes {
		select {
		case r := <-w.queue:
			add(r)
		default:
			return batch
		}
	}
	return batch
}

// write commits a batch and answers each of its requests. When the database
// refuses the batch because of what is in it, its halves are tried by
// themselves, so that in the end only the row at fault fails.
func (w *Writer) write(ctx context.Context, batch []*request) {
	started := w.opts.Now()
	ctx, span := w.committing(ctx, batch)
	replies, err := w.commit(ctx, batch)
	committed(span, err)
	switch {
	case err == nil:
		w.metrics.committed(len(batch), w.opts.Now().Sub(started))
		for i, r := range batch {
			if reply := replies[i]; reply.err == nil && !reply.receipt.Replayed {
				w.metrics.enqueued(r.Kind.Name, r.Kind.Queue)
			}
			r.answer(replies[i].receipt, replies[i].err)
		}
	case len(batch) == 1 || postgres.Unreachable(err):
		if fault.From(err).Code != fault.SlotUnavailable { // that one is an answer
			// Each request of the batch says so itself, at the level that it deserves.
			w.opts.Logger.WarnContext(ctx, "intake: a batch was not committed", slog.Int("submissions", len(batch)), slog.Any("error", postgres.Fault(err)))
		}
		err = postgres.Fault(err)
		for _, r := range batch {
			r.answer(Receipt{}, err)
		}
	default:
		half := len(batch) / 2
		w.write(ctx, batch[:half])
		w.write(ctx, batch[half:])
	}
}

// Waiting returns how many submissions wait for the writer.
func (w *Writer) Waiting() int { return len(w.queue) }
