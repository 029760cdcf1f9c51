package workers_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/internal/intake"
	"millrace/internal/postgres"
	"millrace/internal/rollup"
	"millrace/workers"
)

// record writes requests of n points each for a tenant, some seconds apart.
func (p *plant) record(tenant string, requests, n int) {
	p.t.Helper()
	recorder := rollup.NewRecorder(p.tenancy)
	now := time.Now()
	for i := range requests {
		points := make([]rollup.Point, n)
		for j := range points {
			points[j] = rollup.Point{Name: "load", Value: "1", At: now.Add(-time.Duration(i*n+j) * time.Second)}
		}
		measured, err := rollup.Request{Points: points}.Check(now)
		require.NoError(p.t, err)
		_, err = recorder.Record(p.t.Context(), tenant, "", [sha256.Size]byte{}, measured, now)
		require.NoError(p.t, err)
	}
}

// folded waits until nothing is pending.
func (p *plant) folded() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		var pending bool
		require.NoError(p.t, p.login.QueryRow(p.t.Context(), "SELECT EXISTS (SELECT FROM metric_chunks WHERE pending)").Scan(&pending))
		return !pending
	}, 60*time.Second, 10*time.Millisecond)
}

// total returns how many points a tenant's buckets of days count, and their sum.
func (p *plant) total(tenant, name string) (count int64, sum float64) {
	p.t.Helper()
	buckets, _, err := rollup.NewQuerier(p.tenancy).Series(p.t.Context(), tenant, rollup.Selector{Name: name},
		rollup.Window{From: time.Now().AddDate(-1, 0, 0), To: time.Now().AddDate(0, 0, 1), Step: rollup.Step{Width: 24 * time.Hour}}, false, 1000)
	require.NoError(p.t, err)
	for _, bucket := range buckets {
		count += bucket.Summary.Count
		sum += bucket.Summary.Sum()
	}
	return count, sum
}

// onlyRollups works the queue of metrics alone, with some slots.
func onlyRollups(slots int) func(*workers.Options) {
	return func(o *workers.Options) { o.Slots = map[string]int{"rollups": slots} }
}

// rollupJobs lists the platform's jobs that fold, in the order in which they ended.
func (p *plant) rollupJobs() (tenants []string, snoozes []int) {
	p.t.Helper()
	rows, err := p.login.Query(p.t.Context(), `
		SELECT metadata->>'tenant_id', coalesce((metadata->>'snoozes')::int, 0), args::text FROM river_job
		WHERE kind = 'metric_rollup' AND NOT args ? 'range' ORDER BY finalized_at, id`)
	require.NoError(p.t, err)
	var (
		tenant, args string
		n            int
	)
	_, err = pgx.ForEachRow(rows, []any{&tenant, &n, &args}, func() error {
		require.JSONEq(p.t, fmt.Sprintf(`{"tenant_id":%q}`, tenant), args)
		tenants, snoozes = append(tenants, tenant), append(snoozes, n)
		return nil
	})
	require.NoError(p.t, err)
	return tenants, snoozes
}

func TestEachTenantsPointsAreFoldedByOneJobOfItsOwn(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	for _, tenant := range []string{"alice", "bob", "carol"} {
		p.record(tenant, 3, 10)
	}
	registry := prometheus.NewRegistry()
	p.work(onlyRollups(4), func(o *workers.Options) { o.Metrics = registry })
	p.folded()
	require.Eventually(t, func() bool {
		var unfinished int
		require.NoError(t, p.login.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'metric_rollup' AND finalized_at IS NULL").Scan(&unfinished))
		return unfinished == 0
	}, 20*time.Second, 10*time.Millisecond)
	tenants, _ := p.rollupJobs()
	require.ElementsMatch(t, []string{"alice", "bob", "carol"}, tenants, "one each, and none for anybody without points")
	for _, tenant := range tenants {
		count, sum := p.total(tenant, "load")
		require.EqualValues(t, 30, count)
		require.InDelta(t, 30, sum, 0)
	}
	require.InDelta(t, 90, counter(t, registry, "millrace_rollup_points_total", nil), 0)
	require.Positive(t, counter(t, registry, "millrace_rollup_buckets_total", nil))
	var output string
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT metadata->>'output' FROM river_job WHERE kind = 'metric_rollup' LIMIT 1").Scan(&output))
	var folded rollup.Folded
	require.NoError(t, json.Unmarshal([]byte(output), &folded))
	require.Equal(t, 3, folded.Chunks)
	require.Equal(t, 30, folded.Points)
	require.WithinDuration(t, time.Now(), folded.Watermark, time.Minute)
	// A second look finds nothing, and more points need a second job.
	p.record("bob", 1, 5)
	p.folded()
	count, _ := p.total("bob", "load")
	require.EqualValues(t, 35, count)
}

// A flood of one tenant's points does not delay another's: with one slot, its job
// gives way although it is not done.
func TestAFloodDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.record("alice", 2600, 2) // more requests than one transaction takes
	p.record("bob", 1, 3)
	var (
		mu  sync.Mutex
		now = time.Now()
	)
	p.work(onlyRollups(1), func(o *workers.Options) {
		o.Now = func() time.Time { // each look at the clock is a second later: a turn is one transaction
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(time.Second)
			return now
		}
	})
	p.folded()
	var tenants []string
	var snoozes []int
	require.Eventually(t, func() bool { tenants, snoozes = p.rollupJobs(); return len(tenants) == 2 && snoozes[1] > 0 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, []string{"bob", "alice"}, tenants, "bob's is done first, although alice's was enqueued before")
	require.Equal(t, 0, snoozes[0])
	count, _ := p.total("alice", "load")
	require.EqualValues(t, 5200, count)
}

// A worker that is killed in the middle of folding loses nothing and counts nothing
// twice.
func TestAFoldThatIsKilledCountsOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.record("alice", 2100, 2)
	ctx, kill := context.WithCancel(t.Context())
	worker := p.db.Tenancy(t, postgres.Worker)
	looks := 0
	_, err := rollup.Fold(ctx, worker, "alice", time.Now().Add(time.Hour), func() time.Time {
		if looks++; looks == 3 { // one transaction is through, the next is under way
			kill()
		}
		return time.Now()
	})
	require.Error(t, err)
	var folded, pending int
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE NOT pending), count(*) FILTER (WHERE pending) FROM metric_chunks").Scan(&folded, &pending))
	require.Equal(t, []int{2000, 100}, []int{folded, pending})
	count, _ := p.total("alice", "load")
	require.EqualValues(t, 4200, count)
	p.work(onlyRollups(2))
	p.folded()
	count, sum := p.total("alice", "load")
	require.EqualValues(t, 4200, count)
	require.InDelta(t, 4200, sum, 0)
	// River runs finished work again.
	var id int64
	require.Eventually(t, func() bool {
		return p.login.QueryRow(t.Context(), "SELECT id FROM river_job WHERE kind = 'metric_rollup' AND state = 'completed'").Scan(&id) == nil
	}, 20*time.Second, 10*time.Millisecond)
	_, err = p.login.Exec(t.Context(), "UPDATE river_job SET state = 'available', finalized_at = NULL, attempt = 0 WHERE id = $1", id)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var done bool
		require.NoError(t, p.login.QueryRow(t.Context(), "SELECT state = 'completed' FROM river_job WHERE id = $1", id).Scan(&done))
		return done
	}, 20*time.Second, 10*time.Millisecond)
	count, _ = p.total("alice", "load")
	require.EqualValues(t, 4200, count)
}

func TestARangeIsComputedAnewForItsTenantOnly(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.record("alice", 1, 30)
	p.record("bob", 1, 30)
	p.work(onlyRollups(1))
	p.folded()
	// A bug of ours, or a disk's.
	_, err := p.login.Exec(t.Context(), "UPDATE metric_buckets_1d SET sum = 7")
	require.NoError(t, err)
	now := time.Now().UTC()
	job := p.done(p.accept("metric_rollup", fmt.Sprintf(`{"from":%q,"to":%q}`, now.AddDate(0, 0, -20).Format(time.RFC3339), now.Format(time.RFC3339))).ID)
	require.Equal(t, intake.StateCompleted, job.State, job.LastError)
	var result struct {
		Checked, Written, Kept int
		Watermark              time.Time
	}
	require.NoError(t, json.Unmarshal(job.Output, &result))
	require.Positive(t, result.Checked)
	require.Contains(t, []int{1, 2}, result.Written, "two when midnight is among the points")
	require.Zero(t, result.Kept)
	require.WithinDuration(t, now, result.Watermark, time.Minute)
	var wrong []string
	rows, err := p.login.Query(t.Context(), "SELECT DISTINCT tenant_id FROM metric_buckets_1d WHERE sum = 7")
	require.NoError(t, err)
	wrong, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"bob"}, wrong)
}

// A long range is worked by several attempts, which tell how far they are.
func TestALongRangeGivesOthersTheirTurn(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.record("alice", 1, 30)
	var (
		mu  sync.Mutex
		now = time.Now()
	)
	p.work(onlyRollups(1), func(o *workers.Options) {
		o.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(400 * time.Millisecond)
			return now
		}
	})
	p.folded()
	job := p.accept("metric_rollup", fmt.Sprintf(`{"from":%q,"to":%q}`, now.UTC().AddDate(0, 0, -9).Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
	job = p.done(job.ID)
	require.Equal(t, intake.StateCompleted, job.State, job.LastError)
	require.Equal(t, 1, job.Attempt)
	require.Positive(t, job.Snoozes)
	var result struct{ Checked, Written, Kept int }
	require.NoError(t, json.Unmarshal(job.Output, &result))
	require.Zero(t, result.Written)
	require.Positive(t, result.Checked)
}

func TestRetentionMakesAndDropsPartitions(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	old := time.Now().AddDate(0, 0, -40)
	_, err := p.login.Exec(t.Context(), "SELECT millrace_metric_partition('metric_chunks', $1)", old)
	require.NoError(t, err)
	_, err = p.login.Exec(t.Context(), "UPDATE metric_partitions SET written_at = to_at")
	require.NoError(t, err)
	_, err = p.login.Exec(t.Context(), `INSERT INTO metric_receipts (tenant_id, idempotency_key, request_hash, points, created_at)
		SELECT 'alice', n::text, '', 1, now() - n * interval '1 day' FROM generate_series(0, 20) AS n`)
	require.NoError(t, err)
	p.work(onlyRollups(1))
	var output string
	require.Eventually(t, func() bool {
		return p.login.QueryRow(t.Context(), "SELECT metadata->>'output' FROM river_job WHERE kind = 'metric_retention' AND state = 'completed'").Scan(&output) == nil
	}, 20*time.Second, 10*time.Millisecond)
	require.JSONEq(t, fmt.Sprintf(`{"dropped":["metric_chunks_%s"],"forgotten":14}`, old.UTC().Format("20060102")), output)
	var parents, keys int
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT count(DISTINCT parent), (SELECT count(*) FROM metric_receipts) FROM metric_partitions WHERE to_at > now() + interval '1 day'").Scan(&parents, &keys))
	require.Equal(t, 4, parents)
	require.Equal(t, 7, keys)
}

// The first score of a conversation is a point of its tenant's metrics, once.
func TestAFirstScoreIsAMetricPoint(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	p.work(func(o *workers.Options) { o.Model, o.Metrics = &graded{version: "1", grade: 91.5}, registry })
	job := p.done(p.accept("conversation_scoring", chat).ID)
	require.Equal(t, intake.StateCompleted, job.State)
	p.again(job.ID)
	check := func() {
		buckets, _, err := rollup.NewQuerier(p.tenancy).Series(t.Context(), "alice",
			rollup.Selector{Name: "conversation.satisfaction", Tags: map[string]string{"verdict": "satisfied"}},
			rollup.Window{From: job.CreatedAt, To: job.CreatedAt.Add(time.Second), Step: rollup.Step{Width: time.Minute}}, false, 10)
		require.NoError(t, err)
		require.Len(t, buckets, 1)
		require.EqualValues(t, 1, buckets[0].Summary.Count)
		require.InDelta(t, 91.5, buckets[0].Summary.Last, 0)
		require.Equal(t, p.scoreOf(*job.ResourceID).CreatedAt.UnixMicro(), buckets[0].Summary.LastAt)
		count, sum := p.total("alice", "conversation.rating")
		require.EqualValues(t, 1, count)
		require.InDelta(t, 3, sum, 0)
	}
	check()
	p.folded()
	check()
	require.InDelta(t, 2, counter(t, registry, "millrace_rollup_points_total", nil), 0)
}

// A tenant that may have no more series gets its scores all the same.
func TestAScoreThatCannotBeAPointIsKept(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, rollup.Set(t.Context(), p.db.Tenancy(t, postgres.Owner), "alice", rollup.Settings{MaxSeries: 1}))
	p.work(func(o *workers.Options) { o.Model = &graded{version: "1", grade: 91.5} })
	job := p.done(p.accept("conversation_scoring", chat).ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.InDelta(t, 91.5, p.scoreOf(*job.ResourceID).Satisfaction, 0)
	var series, chunks int
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM metric_series), (SELECT count(*) FROM metric_chunks)").Scan(&series, &chunks))
	require.Equal(t, []int{0, 0}, []int{series, chunks})
}

// What waits to be folded is told, by its age, though nobody folds.
func TestTheAgeOfUnfoldedPointsIsExported(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	p.record("alice", 1, 1)
	p.work(func(o *workers.Options) { o.Slots, o.Metrics = map[string]int{"emails": 1}, registry })
	require.Eventually(t, func() bool {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == "millrace_rollup_watermark_age_seconds" {
				return family.GetMetric()[0].GetGauge().GetValue() > 0
			}
		}
		return false
	}, 30*time.Second, 20*time.Millisecond)
}
