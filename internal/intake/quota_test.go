package intake_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/postgres"
)

// counted is a quota over a database that a test fills, with a clock that it moves.
type counted struct {
	t        *testing.T
	quota    *intake.Quota
	login    *pgxpool.Pool
	registry *prometheus.Registry
	at       atomic.Int64
}

func newCounted(t *testing.T) *counted {
	t.Helper()
	db := dbtest.New(t)
	c := &counted{t: t, login: db.Pool(t, postgres.Login), registry: prometheus.NewRegistry()}
	c.at.Store(time.Now().UnixMicro())
	var err error
	c.quota, err = intake.NewQuota(intake.QuotaOptions{
		DB: db.Tenancy(t, postgres.Intake), Metrics: c.registry, Now: func() time.Time { return time.UnixMicro(c.at.Load()) },
	})
	require.NoError(t, err)
	return c
}

// wait adds jobs of a tenant.
func (c *counted) wait(tenant, state string, n int) {
	c.t.Helper()
	_, err := c.login.Exec(c.t.Context(), `
		INSERT INTO river_job (kind, queue, args, max_attempts, metadata, state, attempted_at, finalized_at)
		SELECT 'payment_capture', 'payments', '{}', 3, jsonb_build_object('tenant_id', $1::text), $2::text::river_job_state, now(),
			CASE WHEN $2 IN ('cancelled', 'completed', 'discarded') THEN now() END
		FROM generate_series(1, $3)`, tenant, state, n)
	require.NoError(c.t, err)
}

// reserve takes places until none is left, and says how many there were.
func (c *counted) reserve(tenant string, most int) (n int) {
	c.t.Helper()
	for n < 1000 {
		settle, err := c.quota.Reserve(c.t.Context(), tenant, most)
		if err != nil {
			f := fault.From(err)
			require.Equal(c.t, fault.RateLimitExceeded, f.Code)
			require.Equal(c.t, fault.Details{"limit": "waiting_jobs", "quota": most}, f.Details)
			require.Greater(c.t, f.RetryAfter, time.Duration(0))
			require.LessOrEqual(c.t, f.RetryAfter, 5*time.Second)
			return n
		}
		settle(true)
		n++
	}
	return n
}

func TestOnlyJobsOfTheTenantThatWaitCount(t *testing.T) {
	t.Parallel()
	c := newCounted(t)
	for _, state := range intake.States() {
		c.wait("alice", string(state), 2)
		c.wait("bob", string(state), 100)
	}
	require.Equal(t, 10-4*2, c.reserve("alice", 10), "available, pending, retryable and scheduled")
	require.Equal(t, 3, c.reserve("carol", 3))
	require.Equal(t, 0, c.reserve("dave", 0))
	require.NoError(t, testutil.GatherAndCompare(c.registry, strings.NewReader(`
		# HELP millrace_waiting_jobs_refused_total Submissions refused because as many jobs of the tenant waited as may.
		# TYPE millrace_waiting_jobs_refused_total counter
		millrace_waiting_jobs_refused_total 3
	`)))
}

func TestACountIsUsedForAWhileWithWhatCameSince(t *testing.T) {
	t.Parallel()
	c := newCounted(t)
	c.wait("alice", "available", 5)
	require.Equal(t, 1, c.reserve("alice", 6))
	// Its jobs are done, of which the quota learns with its next count.
	_, err := c.login.Exec(t.Context(), "DELETE FROM river_job")
	require.NoError(t, err)
	require.Equal(t, 0, c.reserve("alice", 6))
	c.at.Add((5 * time.Second).Microseconds())
	require.Equal(t, 6, c.reserve("alice", 6))
	c.at.Add((5 * time.Second).Microseconds())
	c.wait("alice", "scheduled", 6)
	require.Equal(t, 0, c.reserve("alice", 6), "and it does not count double what is in the database by now")
	require.Equal(t, 1, c.reserve("alice", 7))
}

func TestACrowdGetsExactlyThePlacesThatThereAre(t *testing.T) {
	t.Parallel()
	c := newCounted(t)
	c.wait("alice", "available", 90)
	var (
		mu      sync.Mutex
		settles []func(bool)
		group   sync.WaitGroup
	)
	for range 50 {
		group.Go(func() {
			if settle, err := c.quota.Reserve(t.Context(), "alice", 100); err == nil {
				mu.Lock()
				defer mu.Unlock()
				settles = append(settles, settle)
			}
		})
	}
	group.Wait()
	require.Len(t, settles, 10)
	for i, settle := range settles {
		settle(i >= 4)
	}
	require.Equal(t, 4, c.reserve("alice", 100), "what was not accepted is free again")
}

func TestAFailedCountIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := newCounted(t)
	_, err := c.login.Exec(t.Context(), "ALTER TABLE river_job RENAME TO elsewhere")
	require.NoError(t, err)
	_, err = c.quota.Reserve(t.Context(), "alice", 1)
	require.Equal(t, fault.DBError, fault.From(err).Code)
	_, err = c.login.Exec(t.Context(), "ALTER TABLE elsewhere RENAME TO river_job")
	require.NoError(t, err)
	require.Equal(t, 1, c.reserve("alice", 1))
}

func TestWaitingJobsAreCountedOverTheirIndex(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	c := &counted{t: t, login: db.Pool(t, postgres.Login)}
	c.wait("alice", "available", 300)
	c.wait("bob", "available", 10_000)
	c.wait("alice", "completed", 10_000)
	_, err := c.login.Exec(t.Context(), "ANALYZE river_job")
	require.NoError(t, err)
	var plan string
	require.NoError(t, db.Tenancy(t, postgres.Intake).Query(context.WithoutCancel(t.Context()), "alice", func(rows pgx.Rows) error {
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	}, "EXPLAIN "+intake.SelectWaiting, "alice", 100_000))
	require.Contains(t, plan, "river_job_waiting")
	require.NotContains(t, plan, "Seq Scan")
}
