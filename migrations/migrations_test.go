package migrations_test

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/migrations"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func migrator(t *testing.T, db *dbtest.DB) (*migrations.Migrator, *pgxpool.Pool) {
	t.Helper()
	pool := db.Pool(t, postgres.Login)
	return migrations.New(pool, slog.New(slog.DiscardHandler)), pool
}

// schema describes every table, column, index, policy, trigger, function and
// grant, so that two states can be compared.
func schema(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
			FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT 'table ' || relname || ' ' || relrowsecurity || relforcerowsecurity || pg_get_userbyid(relowner)
			FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
		UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
		UNION ALL SELECT 'policy ' || tablename || '.' || policyname || ' ' || roles::text || coalesce(qual, '') FROM pg_policies WHERE schemaname = 'public'
		UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		UNION ALL SELECT 'grant ' || grantee || ' ' || table_name || ' ' || privilege_type FROM information_schema.role_table_grants WHERE table_schema = 'public'
		ORDER BY 1`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	m, pool := migrator(t, dbtest.NewEmpty(t))

	require.NoError(t, m.Up(t.Context()))
	first := schema(t, pool)
	require.NotEmpty(t, first)
	require.NoError(t, m.Up(t.Context()), "up again changes nothing")
	require.Equal(t, first, schema(t, pool))

	require.NoError(t, m.Down(t.Context(), true))
	for _, line := range schema(t, pool) {
		require.Regexp(t, `millrace_migration|goose`, line, "down leaves only the version table")
	}

	require.NoError(t, m.Up(t.Context()))
	require.Equal(t, first, schema(t, pool))
}

// Each step down and up again must leave the schema as it was, whatever the
// newest migration is.
func TestUpDownUpStepByStep(t *testing.T) {
	t.Parallel()
	m, pool := migrator(t, dbtest.New(t))
	status, err := m.Status(t.Context())
	require.NoError(t, err)
	require.Greater(t, len(status), 1)
	for _, s := range status {
		require.True(t, s.Applied, s.Name)
	}
	full := schema(t, pool)
	for steps := 1; steps < len(status); steps++ {
		for range steps {
			require.NoError(t, m.Down(t.Context(), false))
		}
		require.NotEqual(t, full, schema(t, pool))
		require.NoError(t, m.Up(t.Context()))
		require.Equal(t, full, schema(t, pool), "%d steps down and up", steps)
	}
	for range len(status) - 1 {
		require.NoError(t, m.Down(t.Context(), false))
	}
	require.ErrorContains(t, m.Down(t.Context(), false), "--all", "the step that takes the jobs away must be asked for")
}

func TestTwoAtOnceWaitForEachOther(t *testing.T) {
	t.Parallel()
	db := dbtest.NewEmpty(t)
	group, ctx := errgroup.WithContext(t.Context())
	for range 4 {
		m, _ := migrator(t, db)
		group.Go(func() error { return m.Up(ctx) })
	}
	require.NoError(t, group.Wait())
}

// What is encrypted would be lost on the way down, so that there is none; and rows of
// tenants that a look without a tenant does not see count as well.
func TestDownRefusesToLoseWhatIsEncrypted(t *testing.T) {
	t.Parallel()
	for table, insert := range map[string]string{
		"payments":      `INSERT INTO payments (tenant_id, id, amount, currency, payment_method, created_at, updated_at, sealed) VALUES ('a', gen_random_uuid(), 1, 'usd', 'pm', now(), now(), 'x')`,
		"bookings":      `INSERT INTO bookings (tenant_id, id, slot_id, timezone, resource, starts_at, ends_at, busy_until, created_at, updated_at, sealed) VALUES ('a', gen_random_uuid(), 's', 'UTC', 'r', now(), now() + interval '1 h', now() + interval '1 h', now(), now(), 'x')`,
		"conversations": `INSERT INTO conversations (tenant_id, id, session_id, message_count, skipped_count, has_feedback, created_at, sealed) VALUES ('a', gen_random_uuid(), 's', 1, 0, true, now(), 'x')`,
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			m, pool := migrator(t, dbtest.New(t))
			_, err := pool.Exec(t.Context(), insert)
			require.NoError(t, err)
			status, err := m.Status(t.Context())
			require.NoError(t, err)
			for _, s := range slices.Backward(status) {
				err = m.Down(t.Context(), false)
				if strings.HasSuffix(s.Name, "_encryption.sql") {
					break
				}
				require.NoError(t, err, s.Name)
			}
			require.ErrorContains(t, err, "cannot decrypt")
			var left int
			require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE sealed IS NOT NULL").Scan(&left))
			require.Equal(t, 1, left)
			_, err = pool.Exec(t.Context(), "DELETE FROM "+table)
			require.NoError(t, err)
			require.NoError(t, m.Down(t.Context(), false))
		})
	}
}

// Jobs that wait when our migrations go down and up again are still there.
func TestDownAndUpKeepsQueuedJobs(t *testing.T) {
	t.Parallel()
	m, pool := migrator(t, dbtest.New(t))
	_, err := pool.Exec(t.Context(), `INSERT INTO river_job (kind, args, max_attempts, metadata) VALUES ('payment_capture', '{}', 3, '{"tenant_id":"demo"}')`)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, m.Down(t.Context(), false))
	}
	require.NoError(t, m.Up(context.WithoutCancel(t.Context())))
	var n int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM river_job`).Scan(&n))
	require.Equal(t, 1, n)
}
