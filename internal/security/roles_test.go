package security_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// seesAll lists what a role may see of all tenants, each with the reason.
func seesAll() map[string]string {
	return map[string]string{
		"millrace_worker river_job":   "works the jobs of all tenants; they carry ids",
		"millrace_operator river_job": "shows operators the jobs of all tenants, and changes none of a tenant's; see TestTheConsolesRoleSeesJobsAndChangesNoTenants",
	}
}

// definers lists what runs with the owner's rights and who may call it: what it
// tells of other tenants, and why that does no harm.
func definers() map[string]string {
	return map[string]string{
		"millrace_api_key millrace_intake":            "the tenant and the hash of a key whose id one knows",
		"millrace_credential millrace_intake":         "the same, with the tenant's settings",
		"millrace_tenant millrace_intake":             "the settings of a tenant whose name one knows",
		"millrace_keys_used millrace_intake":          "nothing: it notes when a key was used",
		"millrace_finished_jobs millrace_intake":      "whether a job is done whose number one knows, and nothing of it",
		"millrace_told_jobs millrace_intake":          "the same",
		"millrace_payments_of_intent millrace_intake": "whose payment it is, of a PaymentIntent whose id one knows",
		"millrace_mail_of_provider millrace_intake":   "whose mail it is, of a mail whose id at Resend one knows",
		"millrace_abandoned_payments millrace_worker": "ids of payments: it works for all tenants",
		"millrace_metric_partition millrace_intake":   "nothing: it makes a partition",
		"millrace_metric_partition millrace_worker":   "nothing: it makes a partition",
		"millrace_metric_drop millrace_worker":        "nothing: it drops a partition that is over",
		"millrace_metric_forget millrace_worker":      "a number",
		"millrace_metric_backlog millrace_worker":     "names of tenants: it works for all of them",
		"millrace_metric_retention millrace_worker":   "numbers",
		"millrace_conversation_texts millrace_intake": "what was said in one conversation of the transaction's tenant, sealed",
		"millrace_conversation_texts millrace_worker": "the same",
		"millrace_audit millrace_intake":              "nothing: it notes something for the transaction's tenant, as a program's word",
		"millrace_audit millrace_worker":              "the same",
		"millrace_seal_audit millrace_worker":         "a number",
		"millrace_audit_keep millrace_worker":         "the name of a partition that is over",
		"millrace_audit_backlog millrace_worker":      "a time",
		"millrace_held_back millrace_worker":          "two numbers about sessions, and nothing of what they do",
	}
}

// session is a connection of a production login of the role, in a transaction.
type session struct {
	t    *testing.T
	pool *pgxpool.Pool
	role postgres.Role
}

func newSession(t *testing.T, db *dbtest.DB, role postgres.Role) session {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: loginURL(t, db, role), Role: role})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return session{t, pool, role}
}

var errUndo = errors.New("undo")

// as runs statements as the tenant, returns all that the last one showed, and
// takes everything back.
func (s session) as(tenant string, sql ...string) (text string, err error) {
	s.t.Helper()
	failed := postgres.NewTenancy(s.pool, s.role).Tx(s.t.Context(), tenant, func(tx pgx.Tx) error {
		for _, one := range sql {
			if text, err = show(s.t.Context(), tx, one); err != nil {
				return err
			}
		}
		return errUndo
	})
	if err == nil {
		require.ErrorIs(s.t, failed, errUndo)
	}
	return text, err
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// show runs a statement and returns its rows as text, and how many it touched.
func show(ctx context.Context, db querier, sql string) (string, error) {
	rows, err := db.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var text strings.Builder
	for rows.Next() {
		for _, value := range rows.RawValues() {
			text.Write(value)
			text.WriteByte(' ')
		}
	}
	rows.Close()
	fmt.Fprintf(&text, "(%d)", rows.CommandTag().RowsAffected())
	return text.String(), rows.Err()
}

func refused(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && slices.Contains([]string{
		"42501", // insufficient_privilege
		"0A000", // feature_not_supported: FOR UPDATE of a view, and the like
		"42P17", "428C9", "55000", "42809",
		"22023", // invalid_parameter_value
	}, refusal.Code)
}

// As each program's role, with mallory's tenant set, everything that SQL offers is
// tried on everything that the catalogue of the database names.
func TestNoRoleReachesAnotherTenantInSQL(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	stop := s.work("")
	alice := newTenant(s, "alice")
	newTenant(s, "mallory")
	s.settle()
	stop()
	s.seal()
	before := alice.snapshot()
	t.Run("attacks", func(t *testing.T) { // which is over when all of them are
		for _, role := range []postgres.Role{postgres.Intake, postgres.Worker, postgres.Operator} {
			mallory := newSession(t, s.db, role)
			for _, table := range relations(t, s) {
				if seesAll()[string(role)+" "+table] == "" {
					t.Run(string(role)+" "+table, func(t *testing.T) { t.Parallel(); inTable(t, s, alice, mallory, table) })
				}
			}
			t.Run(string(role)+" sequences", func(t *testing.T) {
				t.Parallel()
				for _, sequence := range collect[string](t, s, "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'") {
					_, err := mallory.as("mallory", "SELECT setval('"+sequence+"', 1)")
					require.True(t, refused(err), "%s: %v", sequence, err)
				}
			})
			t.Run(string(role)+" session", func(t *testing.T) { t.Parallel(); inSession(t, mallory) })
			if role == postgres.Operator {
				continue // which may call no function; see below
			}
			t.Run(string(role)+" texts", func(t *testing.T) {
				t.Parallel()
				for _, tenant := range []string{"mallory", "", "ALICE", "%"} {
					text, err := mallory.as(tenant, "SELECT messages, feedback, sealed FROM millrace_conversation_texts('"+alice.ids["conversation"]+"')")
					require.NoError(t, err)
					require.Equal(t, "(0)", text, "as %q", tenant)
				}
			})
			t.Run(string(role)+" audit log", func(t *testing.T) { t.Parallel(); inAuditLog(t, s, mallory) })
		}
	})
	require.Equal(t, before, alice.snapshot())
}

func inTable(t *testing.T, s *system, alice *tenant, mallory session, table string) {
	t.Helper()
	columns := collect[string](t, s, "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1", table)
	require.NotEmpty(t, columns)
	partition := collect[bool](t, s, "SELECT relispartition AND relacl IS NULL FROM pg_class WHERE oid = ('public.' || quote_ident($1))::regclass", table)[0]
	for _, tenant := range []string{"mallory", "", "ALICE", "alice ", "alice'--", "%", "*"} {
		asked := []string{"*"}
		if !partition && (tenant == "mallory" || tenant == "") {
			asked = append(asked, columns...) // a privilege may be of a column; nobody has any of a partition
		}
		for _, column := range asked {
			for _, sql := range []string{
				"SELECT " + column + " FROM " + table,
				"TABLE " + table,
				"SELECT " + column + " FROM ONLY " + table,
				"SELECT max(" + column + "::text) FROM " + table + " WHERE " + columns[0] + "::text <> 'mallory'",
			} {
				text, err := mallory.as(tenant, sql)
				require.Empty(t, alice.in(text), "as %q: %s", tenant, sql)
				if err != nil && !refused(err) && !strings.Contains(sql, "max(") {
					require.NoError(t, err, sql)
				}
			}
			if column == "*" {
				continue
			}
			for _, sql := range []string{
				"UPDATE " + table + " SET " + column + " = " + column + " WHERE row_to_json(" + table + ")::text LIKE '%alice%'",
				"UPDATE " + table + " SET " + column + " = DEFAULT WHERE " + column + "::text LIKE 'alice%'",
			} {
				text, err := mallory.as(tenant, sql)
				require.True(t, err != nil || text == "(0)", "as %q: %s: %s", tenant, sql, text)
			}
		}
	}
	for _, sql := range []string{
		"DELETE FROM " + table + " WHERE row_to_json(" + table + ")::text LIKE '%alice%'",
		"TRUNCATE " + table, "TRUNCATE " + table + " CASCADE", "DROP TABLE " + table + " CASCADE",
		"ALTER TABLE " + table + " DISABLE ROW LEVEL SECURITY", "ALTER TABLE " + table + " NO FORCE ROW LEVEL SECURITY", "ALTER TABLE " + table + " OWNER TO CURRENT_USER",
		"CREATE POLICY mine ON " + table + " USING (true)", "DROP POLICY tenant_isolation ON " + table,
		"ALTER POLICY tenant_isolation ON " + table + " USING (true)", "CREATE RULE mine AS ON SELECT TO " + table + " DO INSTEAD NOTHING",
		"CREATE TRIGGER mine BEFORE UPDATE ON " + table + " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"CREATE INDEX mine ON " + table + " ((1))", "COPY " + table + " TO '/tmp/mine'", "COPY " + table + " FROM PROGRAM 'id'",
		"CREATE VIEW public.mine AS SELECT * FROM " + table, "COMMENT ON TABLE " + table + " IS 'mine'", "VACUUM " + table,
	} {
		text, err := mallory.as("mallory", sql)
		require.True(t, err != nil || text == "(0)" && strings.HasPrefix(sql, "DELETE"), "%s: %s", sql, text)
		require.Empty(t, alice.in(fmt.Sprint(err)), sql)
	}
	// To grant what one does not have is a warning only.
	for _, sql := range []string{"GRANT ALL ON " + table + " TO PUBLIC", "GRANT millrace_owner TO CURRENT_USER"} {
		const acl = "SELECT relacl::text FROM pg_class WHERE relname = "
		had, err := mallory.as("mallory", acl+"'"+table+"'")
		require.NoError(t, err)
		has, err := mallory.as("mallory", sql, acl+"'"+table+"'")
		require.True(t, err != nil || has == had, "%s: %s", sql, has)
	}
	// What the planner knows of a column is not for those who may not read it.
	text, err := mallory.as("mallory", "SELECT row_to_json(s)::text FROM pg_stats AS s WHERE tablename = '"+table+"'")
	require.NoError(t, err)
	require.Empty(t, alice.in(text))
}

// inAuditLog: no role reads, writes or changes it, and what a program may note has
// the tenant of its transaction, the role as the database knows it and the origin that
// says that it is a program's word.
func inAuditLog(t *testing.T, s *system, mallory session) {
	t.Helper()
	tables := collect[string](t, s, "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname LIKE 'audit\\_%'")
	require.GreaterOrEqual(t, len(tables), 7, "six and a partition")
	for _, table := range tables {
		for _, sql := range []string{
			"SELECT FROM " + table, "SELECT count(*) FROM " + table, "INSERT INTO " + table + " DEFAULT VALUES", "DELETE FROM " + table, "TRUNCATE " + table,
			"LOCK TABLE " + table, "ALTER TABLE " + table + " DISABLE TRIGGER ALL",
		} {
			_, err := mallory.as("mallory", sql)
			require.True(t, refused(err), "%s: %v", sql, err)
		}
	}
	const forged = "SELECT millrace_audit('changed', 'payment', '1', 'done', '{\"tenant_id\": \"alice\", \"role\": \"millrace_owner\", \"origin\": \"payments\"}')"
	const marked = "SELECT set_config('millrace.actor', '{\"name\": \"operator:alice\", \"role\": \"millrace_owner\", \"origin\": \"payments\", \"tenant_id\": \"alice\"}', true)"
	require.NoError(t, postgres.NewTenancy(mallory.pool, mallory.role).Tx(t.Context(), "mallory", func(tx pgx.Tx) error {
		for _, sql := range []string{marked, forged} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				return err
			}
		}
		return nil
	}))
	require.Equal(t, []string{"mallory program"}, collect[string](t, s, `
		SELECT tenant_id || ' ' || origin FROM audit_pending WHERE actor = 'operator:alice' AND role = $1
		UNION ALL SELECT tenant_id || ' ' || origin FROM audit_log WHERE actor = 'operator:alice' AND role = $1`, string(mallory.role)))
}

func inSession(t *testing.T, mallory session) {
	t.Helper()
	for _, sql := range []string{
		"SET ROLE millrace_owner", "SELECT set_config('role', 'millrace_owner', true)", "SET SESSION AUTHORIZATION millrace", "SET SESSION AUTHORIZATION DEFAULT; SET ROLE millrace_owner",
		"RESET ROLE; SET ROLE millrace_owner", "GRANT millrace_owner TO CURRENT_USER", "ALTER ROLE CURRENT_USER SUPERUSER", "ALTER ROLE CURRENT_USER BYPASSRLS", "CREATE ROLE mine",
		"CREATE DATABASE mine", "CREATE EXTENSION plpython3u", "CREATE TABLE public.mine ()", "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE SCHEMA mine",
		"ALTER SYSTEM SET row_security = off", "SELECT pg_read_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')", "SELECT pg_ls_dir('/')",
		"SELECT * FROM pg_authid", "SELECT rolpassword FROM pg_authid", "SELECT pg_reload_conf()", "ALTER FUNCTION millrace_credential(text) SECURITY INVOKER",
		"CREATE OR REPLACE FUNCTION public.millrace_credential(key_id text) RETURNS int LANGUAGE sql AS 'SELECT 1'", "SET session_replication_role = replica",
		"SET row_security = off; SELECT count(*) FROM payments", "DROP FUNCTION millrace_credential(text)", "ALTER DATABASE template1 SET row_security = off",
	} {
		_, err := mallory.as("mallory", strings.Split(sql, "; ")...)
		require.Error(t, err, sql)
	}
	other := postgres.Worker
	if mallory.role == postgres.Worker {
		other = postgres.Intake
	}
	_, err := mallory.as("mallory", "SET ROLE "+string(other))
	require.True(t, refused(err), "the roles are no members of each other: %v", err)
}

// What runs with the owner's rights is watched: each such function is named, is
// called by those who need it, and cannot be led to objects of the caller's.
func TestDefinerFunctionsAreFewAndCannotBeMisled(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	known := definers()
	seen := map[string]bool{}
	type function struct {
		Name, Settings, Owner, Returns            string
		Definer, Public, Intake, Worker, Operator bool
	}
	rows, err := s.login.Query(t.Context(), `
		SELECT p.proname::text, coalesce(array_to_string(p.proconfig, ';'), ''), pg_get_userbyid(p.proowner)::text, format_type(p.prorettype, NULL),
			p.prosecdef, p.proacl IS NULL OR p.proacl::text ~ '[{,]=X', has_function_privilege('millrace_intake', p.oid, 'EXECUTE'), has_function_privilege('millrace_worker', p.oid, 'EXECUTE'),
			has_function_privilege('millrace_operator', p.oid, 'EXECUTE')
		FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace`)
	require.NoError(t, err)
	functions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[function])
	require.NoError(t, err)
	for _, f := range functions {
		if !f.Definer {
			continue
		}
		require.Contains(t, ";"+f.Settings+";", ";search_path=pg_catalog, pg_temp;", f.Name)
		require.Equal(t, string(postgres.Owner), f.Owner, f.Name)
		if f.Returns == "trigger" {
			continue // cannot be called; see below
		}
		require.False(t, f.Public, "%s may be called by anybody", f.Name)
		for role, may := range map[postgres.Role]bool{postgres.Intake: f.Intake, postgres.Worker: f.Worker, postgres.Operator: f.Operator} {
			if name := f.Name + " " + string(role); may {
				require.Contains(t, known, name, "say in definers() what it tells of other tenants")
				seen[name] = true
			}
		}
	}
	require.Len(t, seen, len(known), "definers() names what is gone")

	// A trigger's function does its work for any table that it is put on: with one of
	// their own, made up rows, somebody could write the ledger and the audit log.
	for _, f := range functions {
		if !f.Definer || f.Returns != "trigger" {
			continue
		}
		for _, role := range []postgres.Role{postgres.Intake, postgres.Worker, postgres.Operator} {
			_, err := newSession(t, s.db, role).as("mallory", "CREATE TEMP TABLE mine (LIKE river_job)",
				"CREATE TRIGGER mine BEFORE DELETE ON pg_temp.mine FOR EACH ROW EXECUTE FUNCTION public."+f.Name+"()",
				`INSERT INTO mine (id, state, attempt, max_attempts, priority, args, metadata, tags, kind, queue, created_at, scheduled_at, finalized_at)
					VALUES (1, 'completed', 1, 1, 1, '{}', '{"tenant_id": "alice"}', '{}', 'payment_capture', 'payments', now(), now(), now())`, "DELETE FROM mine")
			require.True(t, refused(err), "%s as %s: %v", f.Name, role, err)
		}
	}

	// Temporary objects come first in the search path of whoever forgets to say
	// otherwise: tables and functions in the owner's name.
	intake := newSession(t, s.db, postgres.Intake)
	key := s.key("alice")
	id, _, _ := strings.Cut(strings.TrimPrefix(key, "mrk_"), "_")
	text, err := intake.as("",
		"CREATE TEMP TABLE api_keys AS SELECT '"+id+"'::text AS id, 'mallory'::text AS tenant_id",
		"CREATE TEMP TABLE tenants AS SELECT 'mallory'::text AS id",
		"CREATE FUNCTION pg_temp.mine(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
		"CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.mine)",
		"SET LOCAL search_path = pg_temp, public, pg_catalog",
		"SELECT tenant_id FROM public.millrace_credential('"+id+"')")
	require.NoError(t, err)
	require.Equal(t, "alice (1)", text)
	text, err = intake.as("",
		"CREATE FUNCTION pg_temp.mine(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
		"CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.mine)",
		"SET LOCAL search_path = pg_temp, public, pg_catalog",
		"SELECT tenant_id FROM public.millrace_credential('nobodys')")
	require.NoError(t, err)
	require.Equal(t, "(0)", text)
}

// An SQL injection in intake (there is none that we know of: every statement has
// parameters) could set another tenant, as intake itself does. That is the limit of
// row-level security; what it could not do even then is held here.
func TestWhatAnInjectionInIntakeCouldNotDo(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	stop := s.work("")
	alice := newTenant(s, "alice")
	s.settle()
	stop()
	intake := newSession(t, s.db, postgres.Intake)
	become := "SELECT set_config('millrace.tenant', 'alice', true)"
	text, err := intake.as("mallory", become, "SELECT name FROM metric_series")
	require.NoError(t, err)
	require.NotEmpty(t, alice.in(text), "the limit: intake can be any tenant, one at a time")
	for _, sql := range []string{ // where it finds nothing legible of people
		"SELECT row_to_json(payments)::text FROM payments", "SELECT row_to_json(bookings)::text FROM bookings", "SELECT row_to_json(k)::text FROM tenant_keysets AS k",
		"SELECT row_to_json(t)::text FROM conversations AS c, millrace_conversation_texts(c.id) AS t",
	} {
		text, err = intake.as("mallory", become, sql)
		if refused(err) {
			continue
		}
		require.NoError(t, err, sql)
		require.Contains(t, text, `\\x`, sql)
		require.NotContains(t, text, alice.mark, sql)
	}

	for name, sql := range map[string]string{
		"read what was said":             "SELECT messages FROM conversations",
		"read feedback":                  "SELECT feedback FROM conversations",
		"read keys":                      "SELECT secret_hash FROM api_keys",
		"list tenants":                   "SELECT id FROM tenants",
		"move money":                     "UPDATE payments SET amount = 1",
		"send money elsewhere":           "UPDATE payments SET payment_intent = 'pi_1'",
		"say that a payment was charged": "UPDATE payments SET amount_captured = 1",
		"change a booking's address":     "UPDATE bookings SET email = 'mallory@example.com'",
		"write a score":                  "UPDATE scores SET satisfaction = 0",
		"rewrite the ledger":             "UPDATE submissions SET state = 'completed'",
		"erase the ledger":               "DELETE FROM submissions",
		"erase jobs":                     "DELETE FROM river_job",
		"erase payments":                 "DELETE FROM payments",
		"change buckets":                 "UPDATE metric_buckets_1d SET count = 1",
	} {
		_, err := intake.as("mallory", become, sql)
		require.True(t, refused(err), "%s: %v", name, err)
	}
	// All tenants at once are never to be seen.
	text, err = intake.as("mallory", "SELECT count(*) FROM payments WHERE tenant_id = 'alice' OR set_config('millrace.tenant', 'alice', true) = 'alice'", "SELECT count(DISTINCT tenant_id) FROM payments")
	require.NoError(t, err)
	require.Contains(t, []string{"0 (1)", "1 (1)"}, text)
}

// A job of mallory's that names what is alice's does nothing to it: what a job may
// touch follows from its metadata, which row-level security guards.
func TestAJobCannotBeMadeToTouchAnotherTenantsRows(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	stop := s.work("")
	alice := newTenant(s, "alice")
	newTenant(s, "mallory")
	s.settle()
	stop()
	before := alice.snapshot()
	mails, charges := len(s.mails.Mails()), len(s.stripe.Charges())
	intake := newSession(t, s.db, postgres.Intake)
	for kind, args := range map[string]string{
		"payment_capture":            `{"payment_id":"` + alice.ids["payment"] + `"}`,
		"payment_reconciliation":     `{"payment_id":"` + alice.ids["payment"] + `"}`,
		"booking_confirmation_email": `{"booking_id":"` + alice.ids["booking"] + `"}`,
		"booking_cancellation_email": `{"booking_id":"` + alice.ids["booking"] + `"}`,
		"booking_reminder_email":     `{"booking_id":"` + alice.ids["booking"] + `"}`,
		"conversation_scoring":       `{"conversation_id":"` + alice.ids["conversation"] + `"}`,
		"conversation_rescoring":     `{"from":"2026-01-01T00:00:00Z","to":"2036-01-01T00:00:00Z","tenant_id":"alice"}`,
		"metric_rollup":              `{"tenant_id":"alice","range":{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z"}}`,
	} {
		require.NoError(t, postgres.NewTenancy(intake.pool, postgres.Intake).Tx(t.Context(), "mallory", func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO river_job (kind, args, max_attempts, queue, metadata) VALUES ($1, $2, 1, $3, '{"tenant_id":"mallory"}')`, kind, args, jobs.Find(kind).Queue)
			return err
		}))
	}
	s.work("")
	s.settle()
	require.Equal(t, before, alice.snapshot())
	require.Len(t, s.mails.Mails(), mails, "nobody gets a mail")
	require.Len(t, s.stripe.Charges(), charges)
}

// Whatever happens in one tenant's transaction, the next one on its connection
// sees nothing of it.
func TestAPooledConnectionCarriesNothingOver(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	s.work("")
	alice := newTenant(s, "alice")
	for _, role := range []postgres.Role{postgres.Intake, postgres.Worker} {
		pool, err := postgres.Open(t.Context(), postgres.Options{URL: loginURL(t, s.db, role) + "&pool_max_conns=1", Role: role, MaxConns: 1})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		tenancy := postgres.NewTenancy(pool, role)
		see := func(db querier) string {
			text, err := show(t.Context(), db, "SELECT count(*) FROM payments")
			require.NoError(t, err)
			return text
		}
		accidents := map[string]func(pgx.Tx) error{
			"nothing":            func(tx pgx.Tx) error { require.NotEqual(t, "0 (1)", see(tx)); return nil },
			"an error":           func(pgx.Tx) error { return context.Canceled },
			"a failed statement": func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), "SELECT 1/0"); return err },
			"a panic":            func(pgx.Tx) error { panic(alice.mark) },
			"a savepoint left open": func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), "SAVEPOINT a; SELECT set_config('millrace.tenant', 'alice', true)")
				return err
			},
			"a cancelled context": func(tx pgx.Tx) error {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				_, err := tx.Exec(ctx, "SELECT pg_sleep(10)")
				return err
			},
			"a lost connection": func(tx pgx.Tx) error { return tx.Conn().PgConn().Conn().Close() },
		}
		for name, accident := range accidents {
			func() {
				defer func() { _ = recover() }()
				_ = tenancy.Tx(t.Context(), "alice", accident)
			}()
			require.Equal(t, "0 (1)", see(pool), "%s: after %s", role, name)
			text, err := show(t.Context(), pool, "SELECT coalesce(current_setting('millrace.tenant', true), '') || coalesce(current_setting('millrace.actor', true), '')")
			require.NoError(t, err)
			require.Equal(t, " (1)", text, "%s: after %s", role, name)
		}
		require.EqualValues(t, 1, pool.Stat().MaxConns())
	}
}
