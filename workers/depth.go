package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"millrace/jobs"
)

const (
	// depthInterval is how often the leader looks at the queues. A scrape only
	// reads what was seen last, and costs the database nothing.
	depthInterval = 5 * time.Second
	// depthCap bounds what is counted of one queue and state, and so the cost.
	depthCap = 10_000
)

// DepthCap is how many jobs of a queue and state millrace_queue_jobs counts at most.
const DepthCap = depthCap

// depth exports how full the queues are. Every worker process has one, but only
// that of River's leader exports anything, so that nothing is counted twice;
// when the leader dies the next one takes over.
type depth struct {
	pool   *pgxpool.Pool
	client string
	logger *slog.Logger
	seen   atomic.Pointer[depths]

	jobs      *prometheus.Desc
	oldest    *prometheus.Desc
	paused    *prometheus.Desc
	watermark *prometheus.Desc
	unsealed  *prometheus.Desc
}

// depths is what was seen at one look.
type depths struct {
	queues []queueDepth
	// unfolded is how long the oldest metric points have been waiting to be folded.
	unfolded time.Duration
	// unsealed is how long the oldest entry of the audit log has been waiting to be sealed.
	unsealed time.Duration
}

type queueDepth struct {
	queue  string
	states map[string]int64
	oldest time.Duration
	paused bool
}

func newDepth(pool *pgxpool.Pool, client string, logger *slog.Logger, registry prometheus.Registerer) (*depth, error) {
	d := &depth{
		pool: pool, client: client, logger: logger,
		jobs: prometheus.NewDesc("millrace_queue_jobs",
			fmt.Sprintf("Jobs in a queue by live state, counted up to %d; exported by the leader only.", depthCap), []string{"queue", "state"}, nil),
		oldest: prometheus.NewDesc("millrace_queue_oldest_available_age_seconds",
			"How long the longest-waiting job that could run has been waiting; 0 when none waits. Exported by the leader only.", []string{"queue"}, nil),
		paused: prometheus.NewDesc("millrace_queue_paused",
			"1 when the queue is paused. Exported by the leader only.", []string{"queue"}, nil),
		watermark: prometheus.NewDesc("millrace_rollup_watermark_age_seconds",
			"How long the metric points that have waited longest have been waiting to be folded; 0 when none wait. Exported by the leader only.", nil, nil),
		unsealed: prometheus.NewDesc("millrace_audit_pending_age_seconds",
			"How long the entry of the audit log that has waited longest has been waiting to be sealed; 0 when none waits. Exported by the leader only.", nil, nil),
	}
	if err := registry.Register(d); err != nil {
		return nil, fmt.Errorf("workers: metrics: %w", err)
	}
	return d, nil
}

// Describe implements prometheus.Collector.
func (d *depth) Describe(descs chan<- *prometheus.Desc) {
	descs <- d.jobs
	descs <- d.oldest
	descs <- d.paused
	descs <- d.watermark
	descs <- d.unsealed
}

// Collect implements prometheus.Collector.
func (d *depth) Collect(metrics chan<- prometheus.Metric) {
	seen := d.seen.Load()
	if seen == nil {
		return
	}
	metrics <- prometheus.MustNewConstMetric(d.watermark, prometheus.GaugeValue, seen.unfolded.Seconds())
	metrics <- prometheus.MustNewConstMetric(d.unsealed, prometheus.GaugeValue, seen.unsealed.Seconds())
	for _, q := range seen.queues {
		for state, n := range q.states {
			metrics <- prometheus.MustNewConstMetric(d.jobs, prometheus.GaugeValue, float64(n), q.queue, state)
		}
		metrics <- prometheus.MustNewConstMetric(d.oldest, prometheus.GaugeValue, q.oldest.Seconds(), q.queue)
		paused := 0.0
		if q.paused {
			paused = 1
		}
		metrics <- prometheus.MustNewConstMetric(d.paused, prometheus.GaugeValue, paused, q.queue)
	}
}

func (d *depth) run(ctx context.Context) {
	ticker := time.NewTicker(depthInterval)
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

// look reads the queues' depths if this process leads, else nil. Each number is
// an index scan of at most depthCap entries.
func (d *depth) look(ctx context.Context) (*depths, error) {
	ctx, cancel := context.WithTimeout(ctx, depthInterval)
	defer cancel()
	var leads bool
	err := d.pool.QueryRow(ctx, `SELECT leader_id = $1 FROM river_leader WHERE expires_at > now()`, d.client).Scan(&leads)
	if errors.Is(err, pgx.ErrNoRows) || (err == nil && !leads) {
		return nil, nil //nolint:nilnil // nothing to export is not an error
	}
	if err != nil {
		return nil, fmt.Errorf("workers: leader: %w", err)
	}
	var names []string
	for _, queue := range jobs.Queues() {
		names = append(names, queue.Name)
	}
	rows, err := d.pool.Query(ctx, `
		SELECT q.name, state.name,
			(SELECT count(*) FROM (
				-- River makes a short retry available a few seconds early.
				SELECT 1 FROM river_job AS j
				WHERE j.state = state.name::river_job_state AND j.queue = q.name AND (j.state <> 'available' OR j.scheduled_at <= now())
				LIMIT $2) AS counted),
			-- Jobs with a deadline are ordered by times long past, so they are looked at apart.
			coalesce(extract(epoch FROM now() - (
				SELECT min(greatest(first.scheduled_at, first.created_at))
				FROM generate_series(1, 4) AS prio (n), unnest(ARRAY['-infinity', now() - interval '30 days']) AS since (t), LATERAL (
					SELECT scheduled_at, created_at FROM river_job
					WHERE state = 'available' AND queue = q.name AND priority = prio.n AND scheduled_at >= since.t
					ORDER BY scheduled_at LIMIT 1) AS first)), 0)::float8,
			EXISTS (SELECT 1 FROM river_queue WHERE name = q.name AND paused_at IS NOT NULL)
		FROM unnest($1::text[]) AS q (name), unnest(ARRAY['available', 'running', 'retryable', 'scheduled']) AS state (name)`,
		names, depthCap)
	if err != nil {
		return nil, fmt.Errorf("workers: depth: %w", err)
	}
	byQueue := map[string]*queueDepth{}
	var (
		queue, state string
		count        int64
		oldest       float64
		paused       bool
	)
	_, err = pgx.ForEachRow(rows, []any{&queue, &state, &count, &oldest, &paused}, func() error {
		q := byQueue[queue]
		if q == nil {
			q = &queueDepth{queue: queue, states: map[string]int64{}}
			byQueue[queue] = q
		}
		q.states[state], q.paused = count, paused
		q.oldest = time.Duration(max(0, oldest) * float64(time.Second))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("workers: depth: %w", err)
	}
	seen := &depths{}
	for _, name := range names {
		if q := byQueue[name]; q != nil {
			seen.queues = append(seen.queues, *q)
		}
	}
	var unfolded, unsealed float64
	// One index entry a tenant that has any.
	err = d.pool.QueryRow(ctx, "SELECT coalesce(extract(epoch FROM now() - min(since)), 0)::float8 FROM millrace_metric_backlog()").Scan(&unfolded)
	if err != nil {
		return nil, fmt.Errorf("workers: watermark: %w", err)
	}
	err = d.pool.QueryRow(ctx, "SELECT coalesce(extract(epoch FROM now() - millrace_audit_backlog()), 0)::float8").Scan(&unsealed)
	if err != nil {
		return nil, fmt.Errorf("workers: audit backlog: %w", err)
	}
	seen.unfolded, seen.unsealed = time.Duration(max(0, unfolded)*float64(time.Second)), time.Duration(max(0, unsealed)*float64(time.Second))
	return seen, nil
}
