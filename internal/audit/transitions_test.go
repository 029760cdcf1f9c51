package audit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"millrace/internal/audit"
	"millrace/internal/postgres"
)

// pending returns what waits of a tenant, in order, and forgets it.
func (b *book) pending(tenant string) (entries []audit.Sealed) {
	b.t.Helper()
	rows, err := b.login.Query(b.t.Context(), `
		WITH gone AS (DELETE FROM audit_pending WHERE tenant_id = $1
			RETURNING id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details)
		SELECT actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details FROM gone ORDER BY id`, tenant)
	require.NoError(b.t, err)
	entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e audit.Sealed, err error) {
		err = row.Scan(&e.Actor, &e.Source, &e.RequestID, &e.Role, &e.Origin, &e.Action, &e.ResourceType, &e.ResourceID, &e.Outcome, &e.Details)
		return e, err
	})
	require.NoError(b.t, err)
	return entries
}

// lines are entries as a person reads them.
func lines(entries []audit.Sealed) (list []string) {
	for _, e := range entries {
		var details []string
		for name, value := range e.Details {
			details = append(details, name+"="+value)
		}
		slices.Sort(details)
		list = append(list, strings.TrimRight(fmt.Sprintf("%s: %s %s %s: %s %s", e.Origin, e.Action, e.ResourceType, e.ResourceID, e.Outcome, strings.Join(details, ", ")), " "))
	}
	return list
}

const (
	one = "00000000-0000-0000-0000-000000000001"
	two = "00000000-0000-0000-0000-000000000002"
)

// transition is a statement of a role's, and the entries that it makes.
type transition struct {
	role postgres.Role
	sql  string
	want []string
}

// transitions make one entry a change of state, in the order of the rows' lives. What
// is between them makes none.
func transitions() []transition {
	const intake, worker, owner = postgres.Intake, postgres.Worker, postgres.Owner
	return []transition{
		{owner, `INSERT INTO tenants (id, created_at) VALUES ('alice', now())`, []string{"tenants: created tenant alice: done after.max_waiting_jobs=100000, after.phi=mask"}},
		{owner, `UPDATE tenants SET phi = 'strict' WHERE id = 'alice'`, []string{"tenants: changed tenant alice: done after.phi=strict, before.phi=mask"}},
		{owner, `UPDATE tenants SET shredded_at = '2026-01-31T10:00Z' WHERE id = 'alice'`, []string{"tenants: changed tenant alice: done after.shredded_at=2026-01-31 10:00:00+00"}},
		{owner, `UPDATE tenants SET created_at = now() WHERE id = 'alice'`, nil},
		{
			owner, `INSERT INTO api_keys (id, tenant_id, name, secret_hash, scopes, created_at) VALUES ('aaaaaaaaaaaaaaaa', 'alice', 'Ada', sha256(''), '{jobs:read}', now())`,
			[]string{"api_keys: created api_key aaaaaaaaaaaaaaaa: done after.scopes={jobs:read}"},
		},
		{
			owner, `UPDATE api_keys SET scopes = '{jobs:read,ops:admin}', limits = '{"payments":"1/m"}', name = 'Bob' WHERE id = 'aaaaaaaaaaaaaaaa'`,
			[]string{`api_keys: changed api_key aaaaaaaaaaaaaaaa: done after.limits={"payments": "1/m"}, after.scopes={jobs:read,ops:admin}, before.scopes={jobs:read}, changed=name`},
		},
		{
			owner, `UPDATE api_keys SET expires_at = '2030-01-31T10:00Z', secret_hash = sha256('x') WHERE id = 'aaaaaaaaaaaaaaaa'`,
			[]string{"api_keys: changed api_key aaaaaaaaaaaaaaaa: done after.expires_at=2030-01-31 10:00:00+00, changed=secret_hash"},
		},
		{
			owner, `UPDATE api_keys SET revoked_at = '2026-01-31T10:00Z' WHERE id = 'aaaaaaaaaaaaaaaa'`,
			[]string{"api_keys: changed api_key aaaaaaaaaaaaaaaa: done after.revoked_at=2026-01-31 10:00:00+00"},
		},
		{intake, `SELECT millrace_keys_used('{aaaaaaaaaaaaaaaa}', now())`, nil},
		{owner, `DELETE FROM api_keys`, []string{`api_keys: deleted api_key aaaaaaaaaaaaaaaa: done before.expires_at=2030-01-31 10:00:00+00, before.limits={"payments": "1/m"}, before.revoked_at=2026-01-31 10:00:00+00, before.scopes={jobs:read,ops:admin}`}},

		{
			intake, `INSERT INTO submissions (tenant_id, job_id, route, idempotency_key, request_hash, kind, queue, priority, max_attempts, resource_id, created_at, scheduled_at)
				SELECT 'alice', n, 'POST /v1/x', nullif(n, 3)::text, '', 'k', 'q', 1, 1, CASE n WHEN 1 THEN '` + one + `'::uuid END, now(), now() FROM generate_series(1, 3) AS n`,
			[]string{
				"submissions: submitted job 1: accepted kind=k, resource=" + one + ", route=POST /v1/x",
				"submissions: submitted job 2: accepted kind=k, route=POST /v1/x", "submissions: submitted job 3: accepted kind=k, route=POST /v1/x",
			},
		},
		{
			intake, `INSERT INTO submissions (tenant_id, job_id, route, idempotency_key, request_hash, kind, queue, priority, max_attempts, created_at, scheduled_at)
				SELECT 'alice', 10 + n, 'POST /v1/x', n::text, '', 'k', 'q', 1, 1, now(), now() FROM generate_series(2, 4) AS n ON CONFLICT (tenant_id, route, idempotency_key) DO NOTHING`,
			[]string{"submissions: submitted job 13: accepted kind=k, route=POST /v1/x", "submissions: submitted job 14: accepted kind=k, route=POST /v1/x"},
		},

		{
			intake, `INSERT INTO payments (tenant_id, id, amount, currency, payment_method, customer_email, created_at, updated_at)
				SELECT 'alice', id, 100, 'usd', 'pm', 'ada@example.com', now(), now() FROM unnest(ARRAY['` + one + `', '` + two + `']::uuid[]) AS id`, nil,
		},
		{worker, `UPDATE payments SET gateway_requests = 1, updated_at = now()`, nil},
		{
			worker, `UPDATE payments SET status = 'processing'`,
			[]string{
				"payments: changed payment " + one + ": processing after.status=processing, before.status=pending",
				"payments: changed payment " + two + ": processing after.status=processing, before.status=pending",
			},
		},
		{worker, `UPDATE payments SET status = 'processing'`, nil},
		{worker, `UPDATE payments SET status = 'captured' WHERE id = '` + one + `'`, []string{"payments: changed payment " + one + ": captured after.status=captured, before.status=processing"}},
		{worker, `UPDATE payments SET amount_refunded = 5 WHERE id = '` + one + `'`, []string{"payments: changed payment " + one + ": captured changed=amount_refunded"}},
		{
			worker, `UPDATE payments SET amount_refunded = 100, status = 'refunded' WHERE id = '` + one + `'`,
			[]string{"payments: changed payment " + one + ": refunded after.status=refunded, before.status=captured, changed=amount_refunded"},
		},
		{
			intake, `INSERT INTO payment_events (tenant_id, payment_id, event_id, type, created_at, received_at) VALUES ('alice', '` + one + `', 'evt_1', 'charge.refunded', now(), now())`,
			[]string{"payment_events: created payment_event " + one + "/evt_1: done after.type=charge.refunded"},
		},

		{
			intake, `INSERT INTO calendars (tenant_id, resource, timezone, hours, slot_minutes, buffer_minutes, days_ahead, reminder_minutes, business_name, business_color, created_at, updated_at)
				VALUES ('alice', 'default', 'UTC', '{}', 30, 0, 60, 0, 'Ada', '#1a6b54', now(), now())`,
			[]string{"calendars: created calendar default: done"},
		},
		{intake, `UPDATE calendars SET hours = '{"mon":[]}', business_email = 'ada@example.com', updated_at = now()`, []string{"calendars: changed calendar default: done changed=hours business_email"}},
		{intake, `UPDATE calendars SET hours = '{"mon": []}', updated_at = now()`, nil},
		{
			intake, `INSERT INTO bookings (tenant_id, id, slot_id, name, email, timezone, resource, starts_at, ends_at, busy_until, created_at, updated_at)
				VALUES ('alice', '` + one + `', 's', 'Ada', 'ada@example.com', 'UTC', 'default', now(), now() + interval '1 h', now() + interval '1 h', now(), now())`, nil,
		},
		{worker, `UPDATE bookings SET reminder_job_id = 7`, nil},
		{intake, `UPDATE bookings SET status = 'cancelled', cancelled_at = now(), sequence = 1`, []string{"bookings: changed booking " + one + ": cancelled after.status=cancelled, before.status=confirmed"}},
		{
			worker, `INSERT INTO booking_mails (tenant_id, booking_id, message, provider_id, status, updated_at) VALUES ('alice', '` + one + `', 'confirmation', 'm1', 'sent', now())`,
			[]string{"booking_mails: created mail " + one + "/confirmation: sent after.status=sent"},
		},
		{intake, `UPDATE booking_mails SET status = 'bounced'`, []string{"booking_mails: changed mail " + one + "/confirmation: bounced after.status=bounced, before.status=sent"}},
		{intake, `UPDATE booking_mails SET status = 'bounced', updated_at = now()`, nil},
		{
			intake, `INSERT INTO suppressed_addresses (tenant_id, address_hash, reason, created_at) VALUES ('alice', sha256('ada@example.com'), 'bounced', now())`,
			[]string{"suppressed_addresses: created suppressed_address : done after.reason=bounced"},
		},

		{
			intake, `INSERT INTO conversations (tenant_id, id, session_id, messages, message_count, skipped_count, has_feedback, created_at)
				VALUES ('alice', '` + one + `', 's', '[{"content":"I am Ada"}]', 1, 0, false, now())`, nil,
		},
		{worker, `UPDATE conversations SET status = 'scored'`, []string{"conversations: changed conversation " + one + ": scored after.status=scored, before.status=queued"}},

		{intake, `INSERT INTO metric_tenants (tenant_id) VALUES ('alice')`, nil},
		{intake, `UPDATE metric_tenants SET series = series + 1`, nil},
		{postgres.Login, `UPDATE metric_tenants SET raw_days = 14`, []string{"metric_tenants: changed metric_settings alice: done after.raw_days=14"}},
		{postgres.Login, `DELETE FROM metric_tenants`, []string{"metric_tenants: deleted metric_settings alice: done before.raw_days=14"}},
		{postgres.Login, `INSERT INTO metric_tenants (tenant_id, max_series) VALUES ('alice', 5)`, []string{"metric_tenants: created metric_settings alice: done after.max_series=5"}},

		{intake, `INSERT INTO river_job (id, kind, args, max_attempts, metadata) SELECT n, 'payment_capture', '{}', 5, '{"tenant_id":"alice","request_id":"req-0"}' FROM generate_series(1, 3) AS n`, nil},
		{worker, `UPDATE river_job SET state = 'running', attempted_at = now() WHERE id = 1`, nil},
		{worker, `UPDATE river_job SET state = 'completed', finalized_at = now() WHERE id = 1`, nil},
		{intake, `UPDATE river_job SET state = 'cancelled', finalized_at = now() WHERE id = 2`, []string{"river_job: cancelled job 2: cancelled before.state=available, kind=payment_capture"}},
		{worker, `UPDATE river_job SET state = 'discarded', finalized_at = now() WHERE id = 3`, []string{"river_job: discarded job 3: discarded before.state=available, kind=payment_capture"}},
		{intake, `UPDATE river_job SET state = 'available', finalized_at = NULL WHERE id IN (1, 3)`, []string{
			"river_job: retried job 1: available before.state=completed, kind=payment_capture", "river_job: retried job 3: available before.state=discarded, kind=payment_capture",
		}},
		{worker, `DELETE FROM river_job WHERE id = 1`, []string{"river_job: deleted job 1: done before.state=available, kind=payment_capture"}},
		{postgres.Login, `DELETE FROM submissions WHERE job_id = 1`, []string{"submissions: deleted submission 1: done before.kind=k"}},
		{postgres.Login, `DELETE FROM payments WHERE id = '` + two + `'`, []string{"payments: deleted payment " + two + ": done before.status=processing"}},
		{postgres.Login, `DELETE FROM bookings`, []string{"bookings: deleted booking " + one + ": done before.status=cancelled"}},
		{postgres.Login, `DELETE FROM booking_mails`, []string{"booking_mails: deleted mail " + one + "/confirmation: done before.status=bounced"}},
		{postgres.Login, `DELETE FROM conversations`, []string{"conversations: deleted conversation " + one + ": done before.status=scored"}},
		{postgres.Login, `DELETE FROM calendars`, []string{"calendars: deleted calendar default: done"}},
		{postgres.Login, `UPDATE suppressed_addresses SET address_hash = sha256('x')`, []string{"suppressed_addresses: changed suppressed_address : done changed=address_hash"}},
		{postgres.Login, `DELETE FROM suppressed_addresses`, []string{"suppressed_addresses: deleted suppressed_address : done before.reason=bounced"}},
		{postgres.Login, `DELETE FROM payment_events`, []string{"payment_events: deleted payment_event " + one + "/evt_1: done before.type=charge.refunded"}},
		{owner, `DELETE FROM tenants`, []string{"tenants: deleted tenant alice: done before.max_waiting_jobs=100000, before.phi=strict, before.shredded_at=2026-01-31 10:00:00+00"}},
	}
}

// run runs a statement as a role, with an actor.
func (b *book) run(ctx context.Context, role postgres.Role, sql string) error {
	as := "none"
	if role != postgres.Login {
		as = string(role)
	}
	return postgres.NewTenancy(b.login, postgres.Role(as)).Tx(ctx, "alice", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql)
		return err
	})
}

func TestEachTransitionIsOneEntry(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	ctx := b.as("key:k")
	for _, step := range transitions() {
		require.NoError(t, b.run(ctx, step.role, step.sql), step.sql)
		entries := b.pending("alice")
		require.Equal(t, step.want, lines(entries), step.sql)
		for _, e := range entries {
			require.Equal(t, []string{"key:k", "192.0.2.7", "req-1"}, []string{e.Actor, e.Source, e.RequestID}, step.sql)
			if step.role != postgres.Login {
				require.Equal(t, string(step.role), e.Role, step.sql)
			}
			for name, value := range e.Details {
				require.NotContains(t, strings.ToLower(name+value), "ada", "no personal data")
			}
		}
	}
}

// What belongs to no tenant is in a chain of its own.
func TestChangesOfThePlatformAreEntries(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.exec(`INSERT INTO river_queue (name, created_at, updated_at) VALUES ('payments', now(), now())`)
	require.Empty(t, b.pending(audit.Platform))
	b.exec(`UPDATE river_queue SET updated_at = now()`)
	require.Empty(t, b.pending(audit.Platform))
	require.NoError(t, b.run(b.as("operator:ada"), postgres.Worker, `UPDATE river_queue SET paused_at = '2026-01-31T10:00Z', updated_at = now()`))
	require.Equal(t, []string{"river_queue: changed queue payments: done after.paused_at=2026-01-31 10:00:00+00"}, lines(b.pending(audit.Platform)))
	b.exec(`INSERT INTO river_job (id, kind, args, max_attempts) VALUES (1, 'metric_retention', '{}', 5)`)
	b.exec(`UPDATE river_job SET state = 'discarded', finalized_at = now()`)
	require.Equal(t, []string{"river_job: discarded job 1: discarded before.state=available, kind=metric_retention"}, lines(b.pending(audit.Platform)))
}

// A change without a word of who makes it, in SQL, is noted with what the database knows.
func TestChangesMadeInSQLAreEntries(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.exec(`INSERT INTO tenants (id, created_at) VALUES ('alice', now())`)
	var login string
	require.NoError(t, b.login.QueryRow(t.Context(), "SELECT session_user::text").Scan(&login))
	entries := b.pending("alice")
	require.Len(t, entries, 1)
	require.Equal(t, []string{"role:" + login, login}, []string{entries[0].Actor, entries[0].Role})

	// Workers end jobs in bulk: the job itself acts.
	b.exec(`INSERT INTO river_job (id, kind, args, max_attempts, metadata) VALUES (1, 'payment_capture', '{}', 5, '{"tenant_id":"alice","request_id":"req-5"}')`)
	b.exec(`SET ROLE millrace_worker; UPDATE river_job SET state = 'discarded', finalized_at = now(); RESET ROLE`)
	entries = b.pending("alice")
	require.Len(t, entries, 1)
	require.Equal(t, []string{"job:payment_capture", "req-5", "millrace_worker"}, []string{entries[0].Actor, entries[0].RequestID, entries[0].Role})
	// River forgets it later, which is no news; that a person does, is.
	b.exec(`DELETE FROM river_job`)
	require.Empty(t, b.pending("alice"))
	b.exec(`INSERT INTO river_job (id, kind, args, max_attempts, state, finalized_at, metadata) VALUES (1, 'k', '{}', 5, 'completed', now(), '{"tenant_id":"alice"}')`)
	require.NoError(t, b.run(b.as("operator:ada"), postgres.Worker, `DELETE FROM river_job`))
	require.Equal(t, []string{"river_job: deleted job 1: done before.state=completed, kind=k"}, lines(b.pending("alice")))
}

// A submission has the actor of its own, whoever shares its transaction; be the
// trigger one for all rows, or, as YugabyteDB has it, one for each.
func TestASubmissionHasItsOwnActor(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for _, level := range []string{"", `
		DROP TRIGGER audit_insert ON submissions;
		CREATE TRIGGER audit_insert AFTER INSERT ON submissions FOR EACH ROW EXECUTE FUNCTION millrace_audit_submissions();
		DELETE FROM submissions; DELETE FROM audit_pending`} {
		b.exec(level)
		require.NoError(t, b.run(b.as("key:other"), postgres.Intake, `
			INSERT INTO submissions (tenant_id, job_id, route, request_hash, kind, queue, priority, max_attempts, resource_id, created_at, scheduled_at, actor, source, request_id) VALUES
				('alice', 1, 'r', '', 'k', 'q', 1, 1, '`+one+`', now(), now(), 'key:a', '192.0.2.1', 'req-a'),
				('alice', 2, 'r', '', 'k', 'q', 1, 1, NULL, now(), now(), 'key:b', NULL, NULL),
				('alice', 3, 'r', '', 'k', 'q', 1, 1, NULL, now(), now(), NULL, NULL, NULL)`))
		entries := b.pending("alice")
		var got []string
		for _, e := range entries {
			got = append(got, e.Actor+" "+e.Source+" "+e.RequestID)
		}
		require.Equal(t, []string{"key:a 192.0.2.1 req-a", "key:b  req-1", "key:other 192.0.2.7 req-1"}, got)
		require.Equal(t, []string{
			"submissions: submitted job 1: accepted kind=k, resource=" + one + ", route=r",
			"submissions: submitted job 2: accepted kind=k, route=r", "submissions: submitted job 3: accepted kind=k, route=r",
		}, lines(entries))
	}
}

// What is rolled back did not happen.
func TestARolledBackChangeIsNoEntry(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	require.Error(t, b.run(b.as("key:k"), postgres.Owner, `INSERT INTO tenants (id, created_at) VALUES ('alice', now()), ('ALICE', now())`))
	require.Empty(t, b.pending("alice"))
}

// Every table with rows of tenants is audited, or there is a reason.
func TestEveryTableIsAuditedOrExempt(t *testing.T) {
	t.Parallel()
	exempt := map[string]string{
		"audit_anchors": "the log itself", "audit_heads": "the log itself", "audit_log": "the log itself", "audit_pending": "the log itself",
		"booking_ticks":   "follow their booking",
		"scores":          "follow their conversation, or a rescoring, which was submitted",
		"score_days":      "counts of scores",
		"metric_series":   "measurements",
		"metric_receipts": "measurements", "metric_chunks": "measurements",
		"metric_buckets_1m": "measurements", "metric_buckets_1h": "measurements", "metric_buckets_1d": "measurements",
	}
	b := newBook(t)
	rows, err := b.login.Query(t.Context(), `
		SELECT c.relname::text, EXISTS (
			SELECT FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid WHERE t.tgrelid = c.oid AND p.proname LIKE 'millrace\_audit\_%')
		FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'tenant_id'`)
	require.NoError(t, err)
	var table string
	var audited bool
	_, err = pgx.ForEachRow(rows, []any{&table, &audited}, func() error {
		if exempt[table] == "" {
			require.True(t, audited, "%s: add its triggers as migrations/0012_audit.sql does, or say here why not", table)
		}
		delete(exempt, table)
		return nil
	})
	require.NoError(t, err)
	require.Empty(t, exempt, "are gone")
}

// None of our roles can read the log, write or forge an entry, change or forget one.
func TestNoRoleGetsAtTheLog(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("alice", 3)
	b.seal()
	b.write("alice", 1)
	statements := []string{
		"SELECT FROM %s", "DELETE FROM %s", "TRUNCATE %s", "DROP TABLE %s", "ALTER TABLE %s DISABLE TRIGGER ALL", "ALTER TABLE %s DISABLE ROW LEVEL SECURITY",
		"LOCK TABLE %s", "CREATE RULE r AS ON INSERT TO %s DO INSTEAD NOTHING",
	}
	var tables []string
	rows, err := b.login.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relname ~ '^audit' AND relkind IN ('r', 'p', 'S')`)
	require.NoError(t, err)
	tables, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(tables), 7)
	refused := func(role postgres.Role, sql string) {
		t.Helper()
		err := b.run(b.as("key:k"), role, sql)
		var refusal *pgconn.PgError
		require.ErrorAs(t, err, &refusal, "%s: %s", role, sql)
		require.Contains(t, []string{"42501", "0A000", "42809"}, refusal.Code, "%s: %s: %s", role, sql, refusal.Message)
	}
	for _, role := range []postgres.Role{postgres.Intake, postgres.Worker, postgres.Operator} {
		for _, table := range tables {
			for _, statement := range statements {
				refused(role, fmt.Sprintf(statement, table))
			}
		}
		refused(role, `INSERT INTO audit_pending (tenant_id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome)
			VALUES ('alice', '', '', '', '', 'payments', '', '', '', '')`)
		refused(role, `UPDATE audit_log SET actor = ''`)
		refused(role, `UPDATE audit_settings SET keep_years = 1`)
		refused(role, `UPDATE audit_heads SET seq = 1`)
		// A trigger's function on a table of one's own would write what it is told.
		for _, function := range []string{"millrace_audit_change('payment', 'tenant_id', 'id', 'status', '')", "millrace_audit_submissions()", "millrace_audit_job()"} {
			refused(role, `CREATE TEMP TABLE payments (tenant_id text, id text, status text); CREATE TRIGGER t AFTER INSERT ON pg_temp.payments FOR EACH ROW EXECUTE FUNCTION `+function)
		}
		for _, call := range []string{"millrace_audit_actor()", "millrace_audit_partition(now())", "millrace_netstring('')", "millrace_audit_link('', '', '')"} {
			refused(role, "SELECT "+call)
		}
		refused(role, `ALTER TABLE payments DISABLE TRIGGER audit_update`)
		refused(role, `DROP TRIGGER audit_update ON payments`)
		refused(role, `SET session_replication_role = replica`)
	}
	for _, call := range []string{"millrace_seal_audit(1)", "millrace_audit_keep()", "millrace_audit_backlog()"} {
		refused(postgres.Intake, "SELECT "+call)
	}
	// What a program records says so, whatever it claims to be.
	require.NoError(t, b.run(b.as("key:k"), postgres.Intake, `SELECT millrace_audit('changed', 'payment', '1', 'captured', '{}')`))
	entries := b.pending("alice")
	require.Equal(t, "program", entries[len(entries)-1].Origin)

	// Nor does the owner by an ordinary statement.
	for _, table := range tables {
		if !strings.HasPrefix(table, "audit_log") || strings.HasSuffix(table, "_seq") {
			continue
		}
		for _, statement := range []string{"UPDATE %s SET actor = 'x'", "DELETE FROM %s", "TRUNCATE %s"} {
			refused(postgres.Owner, fmt.Sprintf(statement, table))
			refused(postgres.Login, fmt.Sprintf(statement, table))
		}
	}
	refused(postgres.Owner, "UPDATE audit_pending SET actor = 'x'")
	refused(postgres.Owner, "TRUNCATE audit_pending")
	require.True(t, b.verify(audit.VerifyOptions{}).Holds())
}
