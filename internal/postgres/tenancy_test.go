package postgres_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/postgres"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// tenantTables lists every table whose rows belong to tenants: what the attack
// below must cover. River's jobs name theirs in metadata.
func tenantTables(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		SELECT table_name::text FROM information_schema.columns
		WHERE table_schema = 'public' AND column_name = 'tenant_id'
		UNION SELECT 'river_job' ORDER BY 1`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return tables
}

// seed writes one row of each tenant table for the tenant.
func seed(t *testing.T, pool *pgxpool.Pool, tenant string, job int64) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO tenants (id, created_at) VALUES ($1, now())`,
		`INSERT INTO api_keys (id, tenant_id, name, secret_hash, scopes, created_at) VALUES (substr(md5($1), 1, 16), $1, 'k', decode(repeat('00', 32), 'hex'), '{}', now())`,
		`INSERT INTO submissions (tenant_id, job_id, route, request_hash, kind, queue, priority, max_attempts, created_at, scheduled_at)
			VALUES ($1, ` + fmt.Sprint(job) + `, 'r', '\x00', 'payment_capture', 'payments', 1, 1, now(), now())`,
		`INSERT INTO payments (tenant_id, id, amount, currency, payment_method, created_at, updated_at)
			VALUES ($1, gen_random_uuid(), 100, 'usd', 'pm_card_visa', now(), now())`,
		`INSERT INTO payment_events (tenant_id, payment_id, event_id, type, created_at, received_at)
			VALUES ($1, gen_random_uuid(), 'evt_1', 'charge.refunded', now(), now())`,
		`INSERT INTO calendars (tenant_id, resource, timezone, hours, slot_minutes, buffer_minutes, days_ahead, reminder_minutes, business_name, business_color, created_at, updated_at)
			VALUES ($1, 'default', 'UTC', '{}', 30, 0, 60, 0, $1, '#1a6b54', now(), now())`,
		`INSERT INTO bookings (tenant_id, id, slot_id, name, email, timezone, resource, starts_at, ends_at, busy_until, created_at, updated_at)
			VALUES ($1, gen_random_uuid(), 's', 'n', 'e', 'UTC', 'default', now(), now() + interval '1 h', now() + interval '1 h', now(), now())`,
		`INSERT INTO booking_ticks (tenant_id, resource, tick, booking_id) VALUES ($1, 'default', '2026-11-24T10:00Z', gen_random_uuid())`,
		`INSERT INTO booking_mails (tenant_id, booking_id, message, provider_id, status, updated_at)
			VALUES ($1, gen_random_uuid(), 'confirmation', 'mail_1', 'sent', now())`,
		`INSERT INTO suppressed_addresses (tenant_id, address_hash, reason, created_at) VALUES ($1, decode(repeat('00', 32), 'hex'), 'bounced', now())`,
		`INSERT INTO conversations (tenant_id, id, session_id, messages, message_count, skipped_count, has_feedback, created_at)
			VALUES ($1, gen_random_uuid(), 's', '[]', 1, 0, false, now())`,
		`INSERT INTO scores (tenant_id, id, session_id, created_at, satisfaction, rating, confidence, verdict, model, detail, scored_at)
			VALUES ($1, gen_random_uuid(), 's', now(), 50, 3, 0, 'neutral', '1', '{}', now())`,
		`INSERT INTO score_days (tenant_id, day, bucket, count, total) VALUES ($1, '2026-01-31', 5, 1, 50)`,
		`INSERT INTO metric_series (tenant_id, name, tags, key_hash, created_at) VALUES ($1, 'n', '{}', decode(repeat('00', 32), 'hex'), now())`,
		`INSERT INTO metric_tenants (tenant_id) VALUES ($1)`,
		`INSERT INTO metric_receipts (tenant_id, idempotency_key, request_hash, points, created_at) VALUES ($1, 'k', '', 1, now())`,
		`SELECT millrace_metric_partition(parent, now()), $1::text
			FROM unnest(ARRAY['metric_chunks', 'metric_buckets_1m', 'metric_buckets_1h', 'metric_buckets_1d']) AS parent`,
		`INSERT INTO metric_chunks (tenant_id, id, received_at, first_at, last_at, points, samples)
			VALUES ($1, gen_random_uuid(), now(), now(), now(), 1, '')`,
		`INSERT INTO metric_buckets_1m (tenant_id, series_id, at, count, sum, min, max, first, last, first_at, last_at, state)
			VALUES ($1, 1, now(), 1, 1, 1, 1, 1, 1, now(), now(), '')`,
		`INSERT INTO metric_buckets_1h (tenant_id, series_id, at, count, sum, min, max, first, last, first_at, last_at, state)
			VALUES ($1, 1, now(), 1, 1, 1, 1, 1, 1, now(), now(), '')`,
		`INSERT INTO metric_buckets_1d (tenant_id, series_id, at, count, sum, min, max, first, last, first_at, last_at, state)
			VALUES ($1, 1, now(), 1, 1, 1, 1, 1, 1, now(), now(), '')`,
		`INSERT INTO tenant_keysets (tenant_id, sealing, digesting, kek, created_at) VALUES ($1, '', '', 'k', now())`,
		`INSERT INTO river_job (id, kind, args, max_attempts, metadata) VALUES (` + fmt.Sprint(job) + `, 'payment_capture', '{}', 1, jsonb_build_object('tenant_id', $1::text))`,
		`INSERT INTO audit_anchors (tenant_id, seq, hash, sealed_until) VALUES ($1, 1, sha256(''), now())`,
		`SELECT millrace_seal_audit(1000), $1::text`, // what the triggers of the tables above wrote
	} {
		_, err := pool.Exec(t.Context(), sql, tenant)
		require.NoError(t, err, sql)
	}
}

func TestEveryTenantTableForcesRowSecurity(t *testing.T) {
	t.Parallel()
	pool := dbtest.New(t).Pool(t, postgres.Login)
	for _, table := range tenantTables(t, pool) {
		var enabled, forced bool
		var owner string
		require.NoError(t, pool.QueryRow(t.Context(),
			`SELECT relrowsecurity, relforcerowsecurity, pg_get_userbyid(relowner)::text FROM pg_class WHERE oid = $1::regclass`, table).
			Scan(&enabled, &forced, &owner))
		require.True(t, enabled && forced, table)
		require.Equal(t, string(postgres.Owner), owner, table)
	}
	for _, role := range []postgres.Role{postgres.Intake, postgres.Worker, postgres.Operator} {
		var dangerous bool
		require.NoError(t, pool.QueryRow(t.Context(), `
			SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR EXISTS (SELECT 1 FROM pg_class WHERE relowner = r.oid)
				OR pg_has_role(r.oid, 'millrace_owner', 'MEMBER')
			FROM pg_roles AS r WHERE rolname = $1`, role).Scan(&dangerous))
		require.False(t, dangerous, role)
	}
}

// The attack: as the intake role, with the tenant "mallory" set, read and write
// what belongs to "alice", in every table.
func TestIntakeRoleCannotCrossTenants(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	login := db.Pool(t, postgres.Login)
	seed(t, login, "alice", 1001)
	seed(t, login, "mallory", 1002)
	_, err := login.Exec(t.Context(), "UPDATE tenants SET phi = 'strict'") // an entry of each that waits to be sealed
	require.NoError(t, err)
	tenancy := db.Tenancy(t, postgres.Intake)

	as := func(tenant, sql string, args ...any) (affected int64, err error) {
		err = tenancy.Tx(t.Context(), tenant, func(tx pgx.Tx) error {
			tag, err := tx.Exec(t.Context(), sql, args...)
			affected = tag.RowsAffected()
			return err
		})
		return affected, err
	}
	owner := func(table string) string {
		if table == "river_job" {
			return "metadata ->> 'tenant_id'"
		}
		return "tenant_id"
	}
	for _, table := range tenantTables(t, login) {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			count := func() (n int) {
				require.NoError(t, login.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE "+owner(table)+" = 'alice'").Scan(&n))
				return n
			}
			before := count()
			require.Positive(t, before)
			for _, tenant := range []string{"mallory", "", "ALICE", "alice'--"} {
				n, err := as(tenant, "SELECT 1 FROM "+table+" WHERE "+owner(table)+" = 'alice'")
				require.True(t, err != nil || n == 0, "reads as %q", tenant)
				n, err = as(tenant, "UPDATE "+table+" SET "+map[bool]string{true: "state = 'available'", false: "tenant_id = tenant_id"}[table == "river_job"]+" WHERE "+owner(table)+" = 'alice'")
				require.True(t, err != nil || n == 0, "updates as %q", tenant)
				n, err = as(tenant, "DELETE FROM "+table+" WHERE "+owner(table)+" = 'alice'")
				require.True(t, err != nil || n == 0, "deletes as %q", tenant)
			}
			require.Equal(t, before, count())
		})
	}

	for name, sql := range map[string]string{
		"insert a job of another tenant":        `INSERT INTO river_job (kind, args, max_attempts, metadata) VALUES ('payment_capture', '{}', 1, '{"tenant_id":"alice"}')`,
		"insert a job of no tenant":             `INSERT INTO river_job (kind, args, max_attempts) VALUES ('payment_capture', '{}', 1)`,
		"hand a job to another tenant":          `UPDATE river_job SET metadata = '{"tenant_id":"alice"}' WHERE id = 1002`,
		"insert a payment of another tenant":    `INSERT INTO payments (tenant_id, id, amount, currency, payment_method, created_at, updated_at) VALUES ('alice', gen_random_uuid(), 1, 'usd', 'x', now(), now())`,
		"insert a submission of another tenant": `INSERT INTO submissions (tenant_id, job_id, route, request_hash, kind, queue, priority, max_attempts, created_at, scheduled_at) VALUES ('alice', 1, 'r', '\x00', 'k', 'q', 1, 1, now(), now())`,
		"read the texts of conversations":       `SELECT messages FROM conversations`,
		"read what users said of them":          `SELECT feedback FROM conversations`,
		"read them encrypted":                   `SELECT sealed FROM conversations`,
		"exchange a keyset":                     `UPDATE tenant_keysets SET kek = 'mine'`,
		"destroy a keyset":                      `DELETE FROM tenant_keysets`,
		"make a keyset for another tenant":      `INSERT INTO tenant_keysets (tenant_id, sealing, digesting, kek, created_at) VALUES ('carol', '', '', 'k', now())`,
		"write a score":                         `INSERT INTO scores (tenant_id, id, session_id, created_at, satisfaction, rating, confidence, verdict, model, detail, scored_at) VALUES ('mallory', gen_random_uuid(), 's', now(), 50, 3, 0, 'neutral', '1', '{}', now())`,
		"read the keys":                         `SELECT * FROM api_keys`,
		"switch row security off":               `ALTER TABLE payments DISABLE ROW LEVEL SECURITY`,
		"become the owner's equal":              `GRANT millrace_owner TO millrace_intake`,
		"run the owner's trigger":               `SELECT millrace_keep_final_state()`,
		"truncate":                              `TRUNCATE river_job`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := as("mallory", sql)
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused)
			require.Contains(t, []string{"42501", "0A000"}, refused.Code, refused.Message)
		})
	}
}

// The function that shows texts shows those of the tenant of the transaction alone,
// and the owner, as whom it runs, is bound like everybody else.
func TestTextsOfConversationsAreReadOneByOneAndByTheirTenant(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	login := db.Pool(t, postgres.Login)
	seed(t, login, "alice", 1001)
	seed(t, login, "mallory", 1002)
	var id uuid.UUID
	require.NoError(t, login.QueryRow(t.Context(), "SELECT id FROM conversations WHERE tenant_id = 'alice'").Scan(&id))
	for _, role := range []postgres.Role{postgres.Intake, postgres.Worker, postgres.Owner} {
		for tenant, want := range map[string]int{"alice": 1, "mallory": 0, "": 0} {
			rows := -1
			require.NoError(t, db.Tenancy(t, role).Query(t.Context(), tenant, func(r pgx.Rows) error {
				texts, err := pgx.CollectRows(r, pgx.RowTo[string])
				rows = len(texts)
				return err
			}, "SELECT messages::text FROM millrace_conversation_texts($1)", id))
			require.Equal(t, want, rows, "%s for %q", role, tenant)
		}
	}
}

// What a transaction set must not be seen by whoever gets its connection next.
func TestTenantDoesNotOutliveItsTransaction(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	login := db.Pool(t, postgres.Login)
	seed(t, login, "alice", 1001)
	// One connection, opened as a superuser who forgot to take a role: the worst case.
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: db.URL + "&pool_max_conns=1", Role: postgres.Login})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	tenancy := postgres.NewTenancy(pool, postgres.Intake)

	count := func(tenant string) (n int) {
		require.NoError(t, tenancy.Query(t.Context(), tenant, func(rows pgx.Rows) error {
			var err error
			n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
			return err
		}, "SELECT count(*)::int FROM payments"))
		return n
	}
	require.Equal(t, 1, count("alice"))
	require.Equal(t, 0, count("mallory"))
	require.Equal(t, 0, count(""))

	var tenant, role string
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT coalesce(current_setting('millrace.tenant', true), ''), current_user::text").Scan(&tenant, &role))
	require.Empty(t, tenant)
	require.NotEqual(t, string(postgres.Intake), role)

	require.Error(t, tenancy.Tx(t.Context(), "alice", func(pgx.Tx) error { return context.Canceled }))
	require.Equal(t, 0, count("mallory"))
}

func TestQueryReturnsTheStatementsError(t *testing.T) {
	t.Parallel()
	tenancy := dbtest.New(t).Tenancy(t, postgres.Intake)
	none := func(rows pgx.Rows) error { _, err := pgx.CollectRows(rows, pgx.RowTo[int]); return err }
	require.Error(t, tenancy.Query(t.Context(), "alice", none, "SELECT 1/0"))
	require.Error(t, tenancy.Query(t.Context(), "alice", none, "SELECT nonsense"))
	require.NoError(t, tenancy.Query(t.Context(), "alice", none, "SELECT 1"), "the connection is usable after errors")
}

func TestCheckTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	require.NoError(t, dbtest.New(t).Tenancy(t, postgres.Intake).Check(t.Context()))
	require.Error(t, dbtest.NewEmpty(t).Tenancy(t, postgres.Login).Check(t.Context()))
}

func TestOpenDoesNotRepeatThePassword(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Options{URL: "postgres://u:hunter2@host:port/db"})
	require.ErrorContains(t, err, "DATABASE_URL")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestFaultTellsUnreachableFromRefused(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.Equal(t, fault.Unavailable, fault.From(postgres.Fault(pool.Ping(t.Context()))).Code)

	db := dbtest.New(t)
	_, err = db.Pool(t, postgres.Login).Exec(t.Context(), "INSERT INTO payments (tenant_id, id) VALUES ('x', $1)", uuid.New())
	require.Equal(t, fault.DBError, fault.From(postgres.Fault(err)).Code)
	for code, want := range map[string]fault.Code{
		"57P01": fault.Unavailable, "53300": fault.Unavailable, "08006": fault.Unavailable, "40P01": fault.Unavailable, "25006": fault.Unavailable,
		"23505": fault.DBError, "42501": fault.DBError, "22021": fault.DBError,
	} {
		require.Equal(t, want, fault.From(postgres.Fault(&pgconn.PgError{Code: code})).Code, code)
	}
	require.NoError(t, postgres.Fault(nil))
}

func TestWhoActsIsSaidInEachTransaction(t *testing.T) {
	t.Parallel()
	tenancy := dbtest.New(t).Tenancy(t, postgres.Intake)
	require.Zero(t, postgres.ActorOf(t.Context()))
	actor := postgres.Actor{Name: "key:k", Source: "192.0.2.7", RequestID: "r"}
	ctx := postgres.WithActor(t.Context(), actor)
	require.Equal(t, actor, postgres.ActorOf(ctx))
	const ask = "SELECT current_setting('millrace.actor')"
	said := func(rows pgx.Rows) error {
		text, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		require.JSONEq(t, `{"name":"key:k","source":"192.0.2.7","request_id":"r"}`, text)
		return err
	}
	require.NoError(t, tenancy.Query(ctx, "alice", said, ask))
	for _, run := range []func(context.Context, string, func(pgx.Tx) error) error{tenancy.Tx, tenancy.Snapshot} {
		require.NoError(t, run(ctx, "alice", func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, ask)
			require.NoError(t, err)
			return said(rows)
		}))
	}
}

func TestASnapshotSeesOneMoment(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	login := db.Pool(t, postgres.Login)
	require.NoError(t, db.Tenancy(t, postgres.Intake).Snapshot(t.Context(), "alice", func(tx pgx.Tx) error {
		count := func() (n int) {
			require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM payments").Scan(&n))
			return n
		}
		require.Zero(t, count())
		seed(t, login, "alice", 1001)
		require.Zero(t, count(), "what was committed since is not seen")
		return nil
	}))
	require.Error(t, db.Tenancy(t, postgres.Intake).Snapshot(t.Context(), "alice", func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "UPDATE payments SET status = 'failed'")
		return err
	}), "it only reads")
}
