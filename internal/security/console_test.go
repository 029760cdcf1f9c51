package security_test

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/internal/program/intakeserver"
	"millrace/internal/telemetry"
)

// operated has intake connect as production does where there is a console: as a login
// of both roles.
func operated(t *testing.T, db *dbtest.DB) func(*intakeserver.Options) {
	t.Helper()
	return func(o *intakeserver.Options) {
		o.DatabaseURL = telemetry.Secret(loginURL(t, db, postgres.Intake, postgres.Operator))
	}
}

// The console's routes are in no contract, so that the other suites do not find them:
// each of its questions and changes, by everybody who is no operator.
func TestTheConsoleIsNoWayToAnotherTenant(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	s := newSystem(t, db, "", operated(t, db))
	stop := s.work("")
	alice, mallory := newTenant(s, "alice"), newTenant(s, "mallory")
	s.settle()
	stop()
	before := alice.snapshot()
	chosen := `{"ids":["` + alice.ids["waiting job"] + `"]}`
	routes := []request{
		{method: "GET", path: "/"},
		{method: "GET", path: "/jobs"},
		{method: "GET", path: "/assets/"},
		{method: "GET", path: "/api/features"},
		{method: "GET", path: "/api/version"},
		{method: "GET", path: "/api/jobs?state=completed"},
		{method: "GET", path: "/api/jobs/" + alice.ids["job"]},
		{method: "GET", path: "/api/states"},
		{method: "GET", path: "/api/queues"},
		{method: "GET", path: "/api/queues/payments"},
		{method: "GET", path: "/api/autocomplete?facet=job_kind"},
		{method: "GET", path: "/api/autocomplete?facet=queue_name"},
		{method: "GET", path: "/api/health-checks/complete"},
		{method: "POST", path: "/api/jobs/cancel", body: chosen},
		{method: "POST", path: "/api/jobs/retry", body: chosen},
		{method: "POST", path: "/api/jobs/delete", body: chosen},
		{method: "PUT", path: "/api/queues/payments/pause"},
		{method: "PUT", path: "/api/queues/payments/resume"},
		{method: "PATCH", path: "/api/queues/payments", body: "{}"},
		{method: "GET", path: "/../ops/api/jobs"},
		{method: "GET", path: "/%2e%2e/ops/api/jobs"},
		{method: "GET", path: "//api/jobs"},
	}
	basic := func(name, password string) http.Header {
		return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}}
	}
	ask := func(r request, header http.Header) answer {
		return s.do(request{method: r.method, path: "/ops" + r.path, body: r.body, header: header})
	}
	for name, header := range map[string]http.Header{
		"nobody":                  {},
		"no password":             basic("operator", ""),
		"the key as the name":     basic(mallory.key, ""),
		"a guess":                 basic("operator", "mrk_aaaaaaaaaaaaaaaa_"+mallory.key[21:]),
		"a tenant's key":          {"Authorization": {"Bearer " + mallory.key}},
		"a tenant's key in Basic": basic("operator", mallory.key),
		"a name that says more":   basic("ops:console", mallory.key),
		"headers of a proxy":      {"Authorization": {"Bearer " + mallory.key}, "X-Forwarded-User": {"operator"}, "X-Original-Url": {"/healthz"}, "X-Http-Method-Override": {"GET"}},
	} {
		for _, r := range routes {
			got := ask(r, header)
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, got.status, "%s: %s: %s", name, r.path, got.text)
			require.Empty(t, alice.in(got.text), "%s: %s", name, r.path)
		}
	}
	require.Equal(t, before, alice.snapshot())

	// An operator's key opens the console, which shows jobs and nobody's personal
	// data, and nothing else: it is no key to the tenants' own routes.
	key := s.key("operations", apikey.OpsConsole)
	seen := false
	for _, r := range routes[:13] {
		got := ask(r, basic("ann", key))
		require.Contains(t, []int{http.StatusOK}, got.status, "%s: %s", r.path, got.text)
		seen = seen || len(alice.in(got.text)) > 0
	}
	require.True(t, seen, "the attack is worth something")
	for _, r := range s.routes() {
		if a := attacks()[r.String()]; a.open == "" {
			got := s.do(request{method: r.method, path: a.path(r, alice.ids[a.id], alice.mark), body: a.body, key: key})
			require.Equal(t, http.StatusForbidden, got.status, "%s: %s", r, got.text)
		}
	}
	require.Equal(t, before, alice.snapshot())
}

// Below the console too: its role reads jobs and queues, and changes nothing that a
// tenant has.
func TestTheConsolesRoleSeesJobsAndChangesNoTenants(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	stop := s.work("")
	alice := newTenant(s, "alice")
	s.settle()
	stop()
	operator := newSession(t, s.db, postgres.Operator)
	text, err := operator.as("", "SELECT * FROM river_job")
	require.NoError(t, err)
	require.NotEmpty(t, alice.in(text))
	const own = "INSERT INTO river_job (id, kind, args, max_attempts) VALUES (999999, 'audit_sealing', '{}', 1)"
	_, err = s.login.Exec(t.Context(), own)
	require.NoError(t, err)
	for _, tenant := range []string{"", "alice", "%"} {
		text, err := operator.as(tenant, "UPDATE river_job SET state = 'cancelled', finalized_at = now() WHERE metadata ->> 'tenant_id' <> ''")
		require.NoError(t, err)
		require.Equal(t, "(0)", text, "as %q", tenant)
		text, err = operator.as(tenant, "SELECT id FROM river_job WHERE metadata ->> 'tenant_id' <> '' FOR UPDATE")
		require.NoError(t, err)
		require.Equal(t, "(0)", text, "as %q", tenant)
	}
	text, err = operator.as("", "UPDATE river_job SET state = 'cancelled', finalized_at = now() WHERE id = 999999")
	require.NoError(t, err)
	require.Equal(t, "(1)", text, "the platform's own it may")
	for _, sql := range []string{
		"UPDATE river_job SET metadata = '{\"tenant_id\": \"alice\"}' WHERE id = 999999",
		"UPDATE river_job SET args = '{}' WHERE id = 999999", "UPDATE river_job SET kind = 'payment_capture'", "UPDATE river_job SET queue = 'x'", "UPDATE river_job SET id = 1",
		"DELETE FROM river_job", own, "INSERT INTO river_queue (name, updated_at) VALUES ('x', now())", "DELETE FROM river_queue", "UPDATE river_queue SET name = 'x'",
		"UPDATE river_queue SET metadata = '{}'", "SELECT * FROM submissions", "SELECT * FROM payments", "SELECT * FROM river_leader",
	} {
		_, err := operator.as("alice", sql)
		require.True(t, refused(err), "%s: %v", sql, err)
	}
}
