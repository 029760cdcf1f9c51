package workers

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"millrace/internal/postgres"
	"millrace/internal/rollup"
	"millrace/jobs"
)

// rollupTurn is how long one attempt works on a tenant's points when others may wait
// for theirs, unless half its time is less.
const rollupTurn = 5 * time.Second

// MetricRollup implements jobs.Handlers: it folds the tenant's pending points, or
// makes the buckets of a client's range anew.
func (s *Set) MetricRollup(ctx context.Context, job *river.Job[jobs.MetricRollupArgs]) (any, error) {
	metadata, err := jobs.MetadataOf(job.JobRow)
	if err != nil {
		return nil, err
	}
	if job.Args.Range == nil {
		return s.fold(ctx, metadata.TenantID)
	}
	var at recomputing
	river.ResumableStepCursor(ctx, jobs.CheckpointStep, nil, func(ctx context.Context, checkpoint recomputing) error {
		at, err = s.recompute(ctx, metadata.TenantID, job, checkpoint)
		return err
	})
	if err != nil {
		return nil, err
	}
	watermark, err := rollup.Watermark(ctx, s.db, metadata.TenantID)
	if err != nil {
		return nil, err
	}
	return recomputed{Recomputed: at.Recomputed, Watermark: watermark}, nil
}

// fold works for one turn. What is left goes on in another attempt, behind the jobs
// that wait by then: those of other tenants.
func (s *Set) fold(ctx context.Context, tenant string) (any, error) {
	folded, err := rollup.Fold(ctx, s.db, tenant, s.turn(ctx), s.now)
	s.rollups.points.Add(float64(folded.Points))
	s.rollups.buckets.Add(float64(folded.Buckets))
	if err != nil {
		return nil, err
	}
	if folded.More {
		return nil, errUnfinished
	}
	return folded, nil
}

// turn is when an attempt gives way to others.
func (s *Set) turn(ctx context.Context) time.Time {
	half, turn := s.halfTime(ctx), s.now().Add(rollupTurn)
	if half.Before(turn) {
		return half
	}
	return turn
}

// recomputed is what a metric_rollup job of a client's returns.
type recomputed struct {
	rollup.Recomputed

	Watermark time.Time `json:"watermark,omitzero"`
}

// recomputing is how far such a job is: its checkpoint, written after each day.
type recomputing struct {
	Progress jobs.Progress `json:"progress"`
	rollup.Recomputed
}

// recompute works a range day by day from a checkpoint on. A day that is done but not
// written down so is done once more, which changes nothing.
func (s *Set) recompute(ctx context.Context, tenant string, job *river.Job[jobs.MetricRollupArgs], at recomputing) (recomputing, error) {
	until := s.turn(ctx)
	days := job.Args.Range.Days()
	at.Progress.Total = len(days)
	for at.Progress.Done < len(days) {
		first := days[at.Progress.Done]
		done, err := rollup.Recompute(ctx, s.db, tenant, first, first.Add(time.Nanosecond), func(int, int) {})
		if err != nil {
			return at, err
		}
		at.Add(done)
		at.Progress.Done++
		if err := s.db.Tx(ctx, tenant, func(tx pgx.Tx) error {
			_, err := river.ResumableSetStepCursorTx[*riverpgxv5.Driver](ctx, tx, job, at)
			return err
		}); err != nil {
			return at, fmt.Errorf("workers: write checkpoint: %w", postgres.Fault(err))
		}
		if at.Progress.Done < len(days) && !s.now().Before(until) {
			return at, errUnfinished
		}
	}
	return at, nil
}

// scheduled is what a metric_rollup_scheduling job returns.
type scheduled struct {
	// Tenants is how many have pending points.
	Tenants int `json:"tenants"`
	// Enqueued is for how many of them no job was there yet.
	Enqueued int `json:"enqueued"`
}

// MetricRollupScheduling implements jobs.Handlers.
func (s *Set) MetricRollupScheduling(ctx context.Context, _ *river.Job[jobs.MetricRollupSchedulingArgs]) (any, error) {
	backlogs, err := rollup.Backlogs(ctx, s.db)
	if err != nil || len(backlogs) == 0 {
		return scheduled{}, err
	}
	kind := jobs.Find(jobs.MetricRollupArgs{}.Kind())
	inserts := make([]river.InsertManyParams, len(backlogs))
	for i, backlog := range backlogs {
		inserts[i] = river.InsertManyParams{
			Args:       jobs.MetricRollupArgs{Tenant: backlog.Tenant},
			InsertOpts: kind.InsertOnceOpts(jobs.Metadata{TenantID: backlog.Tenant}),
		}
	}
	results, err := river.ClientFromContext[pgx.Tx](ctx).InsertMany(ctx, inserts)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	out := scheduled{Tenants: len(backlogs)}
	for _, result := range results {
		if !result.UniqueSkippedAsDuplicate {
			out.Enqueued++
		}
	}
	return out, nil
}

// MetricRetention implements jobs.Handlers.
func (s *Set) MetricRetention(ctx context.Context, _ *river.Job[jobs.MetricRetentionArgs]) (any, error) {
	kept, err := rollup.Keep(ctx, s.db, s.now())
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// rollupMetrics counts what was folded.
type rollupMetrics struct {
	points  prometheus.Counter
	buckets prometheus.Counter
}

func newRollupMetrics(registry prometheus.Registerer) (*rollupMetrics, error) {
	m := &rollupMetrics{
		points: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_rollup_points_total", Help: "Metric points that were folded into buckets.",
		}),
		buckets: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_rollup_buckets_total", Help: "Buckets that folding wrote, those that it changed among them.",
		}),
	}
	for _, collector := range []prometheus.Collector{m.points, m.buckets} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("workers: metrics: %w", err)
		}
	}
	return m, nil
}
