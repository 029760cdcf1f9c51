package audit_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/internal/audit"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

// BenchmarkSeal seals 5,000 entries of ten tenants an operation.
func BenchmarkSeal(b *testing.B) {
	db := dbtest.New(b)
	login, worker := db.Pool(b, postgres.Login), db.Tenancy(b, postgres.Worker)
	const batch = 5000
	for b.Loop() {
		b.StopTimer()
		_, err := login.Exec(b.Context(), `
			INSERT INTO audit_pending (tenant_id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details)
			SELECT 'tenant' || n % 10, 'key:k7q2m5x4w3v6z2y5', '192.0.2.7', gen_random_uuid()::text, 'millrace_intake', 'submissions', 'submitted', 'job', n::text, 'accepted',
				jsonb_build_object('kind', 'payment_capture', 'route', 'POST /v1/payments', 'resource', gen_random_uuid()::text)
			FROM generate_series(1, $1::int) AS n`, batch)
		require.NoError(b, err)
		b.StartTimer()
		n, err := audit.Seal(b.Context(), worker, batch)
		require.NoError(b, err)
		require.EqualValues(b, batch, n)
	}
	b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkVerify verifies 50,000 entries an operation.
func BenchmarkVerify(b *testing.B) {
	db := dbtest.New(b)
	login, worker, owner := db.Pool(b, postgres.Login), db.Tenancy(b, postgres.Worker), db.Tenancy(b, postgres.Owner)
	const entries = 50_000
	_, err := login.Exec(b.Context(), `
		INSERT INTO audit_pending (tenant_id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details)
		SELECT 'tenant' || n % 10, 'key:k7q2m5x4w3v6z2y5', '192.0.2.7', gen_random_uuid()::text, 'millrace_intake', 'submissions', 'submitted', 'job', n::text, 'accepted',
			jsonb_build_object('kind', 'payment_capture', 'route', 'POST /v1/payments')
		FROM generate_series(1, $1::int) AS n`, entries)
	require.NoError(b, err)
	_, err = audit.Seal(b.Context(), worker, entries)
	require.NoError(b, err)
	for b.Loop() {
		report, err := audit.Verify(b.Context(), owner, audit.VerifyOptions{})
		require.NoError(b, err)
		require.True(b, report.Holds())
	}
	b.ReportMetric(float64(b.N)*entries/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkTriggers measures what the triggers of the hot path cost.
func BenchmarkTriggers(b *testing.B) {
	for name, c := range map[string]struct{ table, prepare, sql string }{
		"submissions=256": {"submissions", "", `
			INSERT INTO submissions (tenant_id, job_id, route, idempotency_key, request_hash, kind, queue, priority, max_attempts, resource_id, created_at, scheduled_at, actor, source, request_id)
			SELECT 'alice', nextval('river_job_id_seq'), 'POST /v1/payments', gen_random_uuid()::text, sha256(''), 'payment_capture', 'payments', 1, 5, gen_random_uuid(), now(), now(), 'key:k7q2m5x4w3v6z2y5', '192.0.2.7', 'r'
			FROM generate_series(1, 256)`},
		"payments=256": {
			"payments", `INSERT INTO payments (tenant_id, id, amount, currency, payment_method, created_at, updated_at)
				SELECT 'alice', gen_random_uuid(), 100, 'usd', 'pm', now(), now() FROM generate_series(1, 256)`,
			`UPDATE payments SET status = CASE status WHEN 'pending' THEN 'processing' ELSE 'pending' END`,
		},
		"river_job=1000,completed": {
			"river_job", `INSERT INTO river_job (kind, args, max_attempts, metadata) SELECT 'payment_capture', '{}', 5, '{"tenant_id":"alice"}' FROM generate_series(1, 1000)`,
			`UPDATE river_job SET state = CASE state WHEN 'available' THEN 'running'::river_job_state WHEN 'running' THEN 'retryable'::river_job_state ELSE 'running'::river_job_state END`,
		},
	} {
		for _, enabled := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/audited=%t", name, enabled), func(b *testing.B) {
				login := dbtest.New(b).Pool(b, postgres.Login)
				run(b, login, c.prepare)
				if !enabled {
					run(b, login, "ALTER TABLE "+c.table+" DISABLE TRIGGER ALL")
				}
				for b.Loop() {
					run(b, login, c.sql)
				}
			})
		}
	}
}

func run(b *testing.B, pool *pgxpool.Pool, sql string) {
	b.Helper()
	_, err := pool.Exec(b.Context(), sql)
	require.NoError(b, err)
}
