package workers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

// lastQuery keeps what was asked last.
type lastQuery struct {
	sql  string
	args []any
}

// TraceQueryStart implements pgx.QueryTracer.
func (l *lastQuery) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	l.sql, l.args = data.SQL, data.Args
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*lastQuery) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Of a long queue a fetch reads what it takes: it does not sort what waits, whatever
// row-level security lets Postgres see of the order.
func TestAFetchReadsNoMoreThanItTakes(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	_, err := db.Pool(t, postgres.Login).Exec(t.Context(), `
		INSERT INTO river_job (kind, args, max_attempts, queue, scheduled_at)
			SELECT 'payment_capture', '{}', 25, CASE n % 10 WHEN 0 THEN 'emails' ELSE 'payments' END, now() - n * interval '1 second' FROM generate_series(1, 20000) AS n;
		ANALYZE river_job`)
	require.NoError(t, err)

	asked := &lastQuery{}
	cfg := db.Pool(t, postgres.Worker).Config()
	cfg.ConnConfig.Tracer = asked
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	now := time.Now()
	fetched, err := riverpgxv5.New(pool).GetExecutor().JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
		ClientID: "worker", MaxAttemptedBy: 100, MaxToLock: 10, Now: &now, Queue: "emails",
	})
	require.NoError(t, err)
	require.Len(t, fetched.Jobs, 10)

	fetch, args := asked.sql, asked.args
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		var plan string
		require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SET LOCAL plan_cache_mode = "+mode); err != nil {
				return err
			}
			rows, err := tx.Query(t.Context(), "EXPLAIN "+fetch, args...)
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			plan = strings.Join(lines, "\n")
			return err
		}))
		locked, _, found := strings.Cut(plan[strings.Index(plan, "LockRows"):], "CTE Scan")
		require.True(t, found, plan)
		require.Contains(t, locked, "Index Scan using river_job_available", "%s\n%s", mode, plan)
		require.NotContains(t, locked, "Sort", "%s\n%s", mode, plan)
	}
}
