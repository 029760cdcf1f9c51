package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// lookInterval is how often a process looks at the database. A scrape only reads
// what was seen last, and costs the database nothing.
const lookInterval = 5 * time.Second

// depth exports what is to be seen in the database: how full the queues are and how
// Postgres fares. Every worker process has one, but only that of River's leader
// exports those, so that nothing is counted twice; when the leader dies the next
// one takes over.
type depth struct {
	pool   *pgxpool.Pool
	client string
	now    func() time.Time
	logger *slog.Logger
	seen   atomic.Pointer[sight]
	// counter is nil while another process leads.
	counter *depthCounter

	leader      *prometheus.Desc
	skew        *prometheus.Desc
	jobs        *prometheus.Desc
	dead        *prometheus.Desc
	oldest      *prometheus.Desc
	paused      *prometheus.Desc
	watermark   *prometheus.Desc
	unsealed    *prometheus.Desc
	took        *prometheus.Desc
	at          *prometheus.Desc
	liveTuples  *prometheus.Desc
	deadTuples  *prometheus.Desc
	xmin        *prometheus.Desc
	transaction *prometheus.Desc
}

// sight is what was seen at one look.
type sight struct {
	// skew is this process's clock less the database's.
	skew time.Duration
	// leads is what only the leader looks at; nil in all others.
	leads *leaderSight
}

// leaderSight is what the leader saw.
type leaderSight struct {
	queues []queueDepth
	// unfolded is how long the oldest metric points have been waiting to be folded.
	unfolded time.Duration
	// unsealed is how long the oldest entry of the audit log has been waiting to be sealed.
	unsealed time.Duration
	tables   []tableTuples
	// held is nil when the database does not let us see it.
	held *heldBack
	// at is when the look began, and took how long its statements took, their way to
	// the database and back included.
	at   time.Time
	took time.Duration
}

func newDepth(pool *pgxpool.Pool, client string, now func() time.Time, logger *slog.Logger, registry prometheus.Registerer) (*depth, error) {
	one := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	d := &depth{
		pool: pool, client: client, now: now, logger: logger,
		leader: one("millrace_leader", "1 in the worker process that leads, 0 in the others."),
		skew:   one("millrace_database_clock_skew_seconds", "This process's clock less the database's."),
		jobs: one("millrace_queue_jobs",
			fmt.Sprintf("Jobs in a queue by live state, counted up to %d; exported by the leader only.", DepthCap), "queue", "state"),
		dead: one("millrace_queue_discarded_jobs",
			fmt.Sprintf("Discarded jobs of a queue that are still kept, counted up to %d; exported by the leader only.", DepthCap), "queue"),
		oldest: one("millrace_queue_oldest_available_age_seconds",
			"How long the longest-waiting job that could run has been waiting; 0 when none waits. Exported by the leader only.", "queue"),
		paused: one("millrace_queue_paused",
			"1 when the queue is paused. Exported by the leader only.", "queue"),
		watermark: one("millrace_rollup_watermark_age_seconds",
			"How long the metric points that have waited longest have been waiting to be folded; 0 when none wait. Exported by the leader only."),
		unsealed: one("millrace_audit_pending_age_seconds",
			"How long the entry of the audit log that has waited longest has been waiting to be sealed; 0 when none waits. Exported by the leader only."),
		took: one("millrace_queue_observation_seconds",
			"Database time of the leader's last look at the queues. Exported by the leader only."),
		at: one("millrace_queue_observation_timestamp_seconds",
			"When the leader last looked at the queues, in Unix seconds. Exported by the leader only."),
		liveTuples: one("millrace_postgres_live_tuples",
			"Rows of a table that autovacuum counts with. Exported by the leader only.", "table"),
		deadTuples: one("millrace_postgres_dead_tuples",
			"Dead rows of a table that autovacuum has not cleared yet. Exported by the leader only.", "table"),
		xmin: one("millrace_postgres_oldest_xmin_age_transactions",
			"How many transactions back the oldest snapshot reaches that vacuum must respect. Exported by the leader only."),
		transaction: one("millrace_postgres_oldest_transaction_age_seconds",
			"Age of the oldest open transaction; 0 without any. Exported by the leader only."),
	}
	if err := registry.Register(d); err != nil {
		return nil, fmt.Errorf("workers: metrics: %w", err)
	}
	return d, nil
}

// Describe implements prometheus.Collector.
func (d *depth) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		d.leader, d.skew, d.jobs, d.dead, d.oldest, d.paused, d.watermark, d.unsealed, d.took, d.at,
		d.liveTuples, d.deadTuples, d.xmin, d.transaction,
	} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (d *depth) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	seen := d.seen.Load()
	gauge(d.leader, number(seen != nil && seen.leads != nil))
	if seen == nil {
		return
	}
	gauge(d.skew, seen.skew.Seconds())
	leads := seen.leads
	if leads == nil {
		return
	}
	gauge(d.watermark, leads.unfolded.Seconds())
	gauge(d.unsealed, leads.unsealed.Seconds())
	gauge(d.took, leads.took.Seconds())
	gauge(d.at, float64(leads.at.UnixMilli())/1000)
	for _, q := range leads.queues {
		for state, n := range q.states {
			if state == discarded {
				gauge(d.dead, float64(n), q.queue)
				continue
			}
			gauge(d.jobs, float64(n), q.queue, state)
		}
		gauge(d.oldest, q.oldest.Seconds(), q.queue)
		gauge(d.paused, number(q.paused), q.queue)
	}
	for _, t := range leads.tables {
		gauge(d.liveTuples, float64(t.Live), t.Table)
		gauge(d.deadTuples, float64(t.Dead), t.Table)
	}
	if leads.held != nil {
		gauge(d.xmin, float64(leads.held.XminAge))
		gauge(d.transaction, leads.held.TransactionAge.Seconds())
	}
}

// number is how Prometheus writes truth.
func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (d *depth) run(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		seen, err := d.look(ctx)
		switch {
		case err == nil:
			d.seen.Store(seen)
		case ctx.Err() == nil:
			// Old figures would lie: export none until the database answers again.
			d.seen.Store(nil)
			d.logger.WarnContext(ctx, "workers: queue depth could not be read", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			d.seen.Store(nil) // somebody else leads while the last jobs run
			return
		case <-ticker.C:
		}
	}
}

// look reads the database's clock, and if this process leads how the queues and
// Postgres are.
func (d *depth) look(ctx context.Context) (*sight, error) {
	ctx, cancel := context.WithTimeout(ctx, lookInterval)
	defer cancel()
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("workers: connection: %w", err)
	}
	defer conn.Release()
	var (
		theirs time.Time
		leads  bool
	)
	began := d.now()
	err = conn.QueryRow(ctx, `
		SELECT clock_timestamp(), EXISTS (SELECT FROM river_leader WHERE leader_id = $1 AND expires_at > now())`, d.client).Scan(&theirs, &leads)
	if err != nil {
		return nil, fmt.Errorf("workers: leader: %w", err)
	}
	// The database looked at its clock half way of the round trip, about.
	seen := &sight{skew: began.Add(d.now().Sub(began) / 2).Sub(theirs)}
	if !leads {
		d.counter = nil
		return seen, nil
	}
	if d.counter == nil {
		d.counter = newDepthCounter()
	}
	seen.leads, err = lookAsLeader(ctx, conn.Conn(), d.counter)
	return seen, err
}

// lookAsLeader reads all that only the leader exports, in two round trips.
func lookAsLeader(ctx context.Context, conn *pgx.Conn, counter *depthCounter) (*leaderSight, error) {
	seen := &leaderSight{at: time.Now()}
	var (
		batch              pgx.Batch
		unfolded, unsealed float64
		err                error
	)
	batch.Queue("BEGIN READ ONLY")
	// Row-level security hides from the planner how many jobs are in which state, so
	// that it takes them for many or few whatever they are; the index is always right.
	batch.Queue("SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)")
	counter.count(&batch, &seen.queues)
	// One index entry a tenant that has any.
	batch.Queue("SELECT coalesce(extract(epoch FROM now() - min(since)), 0)::float8 FROM millrace_metric_backlog()").
		QueryRow(func(row pgx.Row) error { return row.Scan(&unfolded) })
	batch.Queue("SELECT coalesce(extract(epoch FROM now() - millrace_audit_backlog()), 0)::float8").
		QueryRow(func(row pgx.Row) error { return row.Scan(&unsealed) })
	tuples(&batch, &seen.tables)
	batch.Queue("COMMIT")
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("workers: look: %w", err)
	}
	seen.unfolded, seen.unsealed = seconds(unfolded), seconds(unsealed)
	if seen.held, err = findHeldBack(ctx, conn); err != nil {
		return nil, err
	}
	seen.took = time.Since(seen.at)
	return seen, nil
}

// Look does what the leader does every 5 s, on the turn of the catalogue's first queue
// to be counted up to DepthCap, and returns how long that took: for benchmarks. conn
// acts as the worker role.
func Look(ctx context.Context, conn *pgx.Conn) (time.Duration, error) {
	seen, err := lookAsLeader(ctx, conn, newDepthCounter())
	if err != nil {
		return 0, err
	}
	return seen.took, nil
}

// seconds returns what the database says is how long ago: its clock may be behind
// ours, which set the time.
func seconds(n float64) time.Duration { return time.Duration(max(0, n) * float64(time.Second)) }
