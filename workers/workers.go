// Package workers executes jobs: one file a kind from arguments to domain call
// to outcome, one table that decides what a failure means, and the River client
// that runs it all.
package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/booking"
	"millrace/internal/conversation"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/satisfaction"
	"millrace/internal/seal"
	"millrace/jobs"
)

// Options configures New.
type Options struct {
	// Pool connects to the database as the worker role. Required.
	Pool *pgxpool.Pool
	// Keys wrap tenants' keysets; without them encrypted rows cannot be worked on.
	Keys *seal.Keys
	// Gateway moves money. Required.
	Gateway payment.Gateway
	// Mailer sends mails. Required.
	Mailer booking.Mailer
	// From is the sender of mails, an address that may carry a name. Required.
	From string
	// Model scores conversations. Default satisfaction.Default().
	Model conversation.Model
	// Slots is how many jobs of each queue this process runs at once. A queue
	// that it leaves out is not worked. Default: the catalogue's.
	Slots map[string]int
	// StopTimeout is how long jobs may finish after a stop was asked for, before
	// their contexts are cancelled. An interrupted job costs no attempt. Default DefaultStopTimeout.
	StopTimeout time.Duration
	// AttemptTimeout caps the timeout of every kind; zero leaves the catalogue's.
	// The time after which a dead worker's job is rescued follows from it.
	AttemptTimeout time.Duration
	// AbandonedAfter is how long a payment that no job works on is left alone
	// before it is reconciled. Default 1 min.
	AbandonedAfter time.Duration
	// Now is the clock of domain rows. Default time.Now.
	Now func() time.Time
	// Logger is required.
	Logger *slog.Logger
	// Metrics registers the metrics. Required.
	Metrics prometheus.Registerer
	// Traces makes spans of attempts, and has the jobs that jobs enqueue carry them; nil
	// for none.
	Traces trace.TracerProvider
}

// rescueMargin is how much longer than the longest attempt a job must have been
// running before it counts as orphaned by a dead worker.
const rescueMargin = 15 * time.Second

// DefaultStopTimeout is how long running jobs may finish after a stop was asked for.
const DefaultStopTimeout = 20 * time.Second

// Set holds what the workers of all kinds share. It implements jobs.Handlers.
type Set struct {
	db             *postgres.Tenancy
	now            func() time.Time
	logger         *slog.Logger
	payments       *payment.Capturer
	mailer         booking.Mailer
	from           string
	model          conversation.Model
	scores         *scoreMetrics
	rollups        *rollupMetrics
	outcomes       *outcomeMetrics
	sealed         prometheus.Counter
	abandonedAfter time.Duration
}

var _ jobs.Handlers = (*Set)(nil)

// Runner works jobs until it is stopped.
type Runner struct {
	client *river.Client[pgx.Tx]
	depth  *depth
	logger *slog.Logger
}

// New returns a runner. Every kind of the catalogue is registered, whatever
// queues are worked: a leader that does not know a kind would discard its
// stuck jobs.
func New(opts Options) (*Runner, error) {
	if opts.Pool == nil || opts.Gateway == nil || opts.Mailer == nil || opts.From == "" || opts.Logger == nil || opts.Metrics == nil {
		return nil, errors.New("workers: Pool, Gateway, Mailer, From, Logger and Metrics are required")
	}
	if opts.StopTimeout == 0 {
		opts.StopTimeout = DefaultStopTimeout
	}
	if opts.AbandonedAfter == 0 {
		opts.AbandonedAfter = time.Minute
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Model == nil {
		opts.Model = satisfaction.Default()
	}
	observer, err := newObserver(opts.Logger, opts.Metrics)
	if err != nil {
		return nil, err
	}
	scores, err := newScoreMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	rollups, err := newRollupMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	outcomes, err := newOutcomeMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	sealed, err := newSealedCounter(opts.Metrics)
	if err != nil {
		return nil, err
	}
	db := postgres.NewTenancy(opts.Pool, postgres.Worker).WithKeys(opts.Keys, opts.Now)
	set := &Set{
		db:             db,
		now:            opts.Now,
		logger:         opts.Logger,
		payments:       &payment.Capturer{DB: db, Gateway: opts.Gateway, Now: opts.Now},
		mailer:         opts.Mailer,
		from:           opts.From,
		model:          opts.Model,
		scores:         scores,
		rollups:        rollups,
		outcomes:       outcomes,
		sealed:         sealed,
		abandonedAfter: opts.AbandonedAfter,
	}
	longest := jobs.LongestTimeout()
	if opts.AttemptTimeout > 0 {
		longest = min(longest, opts.AttemptTimeout)
	}
	registry := river.NewWorkers()
	for _, kind := range jobs.Catalog() {
		kind.Policy.Timeout = min(kind.Policy.Timeout, longest)
		kind.Register(registry, set)
	}
	rescued, err := newRescuedCounter(opts.Metrics)
	if err != nil {
		return nil, err
	}
	middleware := []rivertype.Middleware{observer}
	if opts.Traces != nil {
		middleware = []rivertype.Middleware{&tracing{jobs.TraceInserts{Tracer: opts.Traces.Tracer("millrace/workers")}}, observer}
	}
	client, err := river.NewClient(&rescueDriver{riverpgxv5.New(opts.Pool), rescued}, &river.Config{
		ErrorHandler: &errorHandler{},
		// River's default of 100 ms is a median of 45 ms from insert to start.
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: time.Second,
		Hooks:             []rivertype.Hook{observer},
		JobTimeout:        longest,
		Logger:            quiet(opts.Logger),
		Middleware:        middleware,
		PeriodicJobs:      jobs.Periodic(),
		PollOnly:          pooled(opts.Pool),
		Queues:            queueConfig(opts.Slots),
		// The worker role does not own River's indexes, and so cannot rebuild them.
		ReindexerIndexNames:  []string{},
		RescueStuckJobsAfter: longest + rescueMargin,
		SoftStopTimeout:      opts.StopTimeout,
		Workers:              registry,
	})
	if err != nil {
		return nil, fmt.Errorf("workers: river client: %w", err)
	}
	depth, err := newDepth(opts.Pool, client.ID(), opts.Now, opts.Logger, opts.Metrics)
	if err != nil {
		return nil, err
	}
	slots := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "millrace_worker_slots", Help: "Jobs that this process runs at once at most, by queue.",
	}, []string{"queue"})
	if err := opts.Metrics.Register(slots); err != nil {
		return nil, fmt.Errorf("workers: metrics: %w", err)
	}
	for name, queue := range queueConfig(opts.Slots) {
		slots.WithLabelValues(name).Set(float64(queue.MaxWorkers))
	}
	return &Runner{client: client, depth: depth, logger: opts.Logger}, nil
}

// pooled says that there is a pooler between us and Postgres that hands out its
// connections by the transaction: whoever has one says so in DATABASE_URL, in how
// statements are sent (default_query_exec_mode). LISTEN does not come through it, so
// jobs are looked for every FetchPollInterval.
func pooled(pool *pgxpool.Pool) bool {
	return pool.Config().ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement
}

func queueConfig(slots map[string]int) map[string]river.QueueConfig {
	config := make(map[string]river.QueueConfig, len(slots))
	for _, queue := range jobs.Queues() {
		if slots == nil || queue.Platform {
			config[queue.Name] = river.QueueConfig{MaxWorkers: queue.Slots}
		}
	}
	for name, n := range slots {
		config[name] = river.QueueConfig{MaxWorkers: n}
	}
	return config
}

// Run works jobs until ctx ends; then it takes no new ones, lets those that run
// finish within StopTimeout, and returns when all have.
// A database that cannot be reached at the start is waited for.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // stopped before it had begun
		}
		return fmt.Errorf("workers: start: %w", postgres.Fault(err))
	}
	r.logger.InfoContext(ctx, "workers: working")
	go r.depth.run(ctx)
	<-r.client.Stopped()
	r.logger.InfoContext(ctx, "workers: stopped")
	return nil
}

// startRetry is how often a database that cannot be reached is tried.
const startRetry = time.Second

func (r *Runner) start(ctx context.Context) error {
	for {
		err := r.client.Start(ctx)
		if err == nil || !postgres.Unreachable(err) {
			return err
		}
		r.logger.WarnContext(ctx, "workers: the database cannot be reached yet", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(startRetry):
		}
	}
}

// complete makes a job's completion part of tx, with its result, so that the
// domain row and the job change together.
func complete[A river.JobArgs](ctx context.Context, tx pgx.Tx, job *river.Job[A], result any) error {
	if err := river.RecordOutput(ctx, result); err != nil {
		return fmt.Errorf("workers: record output: %w", err)
	}
	if _, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job); err != nil {
		return fmt.Errorf("workers: complete: %w", err)
	}
	return nil
}
