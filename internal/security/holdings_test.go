package security_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/audit"
	"millrace/internal/postgres"
	"millrace/internal/rollup"
)

// tenant is a customer of Millrace with something of everything in it.
type tenant struct {
	*system

	name, key string
	// mark is a word in all that the tenant sends, so that it is seen wherever it
	// gets to.
	mark string
	// ids are of what the tenant has, by the name of the resource.
	ids map[string]string
	// slot is one that the tenant has booked.
	slot string
}

const idempotencyKey = "the-same-key-for-everybody"

// everyDay is a calendar that is always open.
func everyDay(resource, business string) string {
	var hours []string
	for _, day := range []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"} {
		hours = append(hours, fmt.Sprintf(`%q:[{"from":"00:00","to":"24:00"}]`, day))
	}
	return fmt.Sprintf(`{"resource":%q,"timezone":"UTC","hours":{%s},"slot_minutes":30,"buffer_minutes":0,"days_ahead":30,"reminder_minutes":60,"business":{"name":%q,"email":"desk@%s.example"}}`,
		resource, strings.Join(hours, ","), business, business)
}

// bookableDay is a day on which such a calendar has slots.
func bookableDay() time.Time { return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 7) }

func slotAt(hour int) string {
	return "default." + bookableDay().Add(time.Duration(hour)*time.Hour).Format("20060102T150405Z")
}

// newTenant fills a tenant through the API, as its app would. Workers must run.
func newTenant(s *system, name string) *tenant {
	s.t.Helper()
	t := &tenant{system: s, name: name, key: s.key(name), mark: name + "mark", ids: map[string]string{}, slot: slotAt(10)}
	wait := http.Header{"Prefer": {"wait=30"}, "Idempotency-Key": {idempotencyKey}}
	submit := func(path, body string) (a answer) {
		s.t.Helper()
		// Repeated with its key, until there was time to do it.
		require.Eventually(s.t, func() bool {
			a = s.do(request{method: http.MethodPost, path: path, key: t.key, body: body, header: wait})
			return a.status != http.StatusAccepted
		}, 4*patience, 10*time.Millisecond)
		require.Equal(s.t, http.StatusOK, a.status, "%s: %s", path, a.text)
		return a
	}

	a := submit("/v1/payments", fmt.Sprintf(`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","description":"%s","customer_email":"jo@%[1]s.example","metadata":{"order":"%[1]s"},"items":[{"name":"%[1]s","quantity":1,"price":1999}]}`, t.mark))
	t.ids["payment"], t.ids["job"], t.ids["intent"] = a.at("payment", "id"), a.at("job", "id"), a.at("payment", "payment_intent_id")
	for _, resource := range []string{"default", t.mark} {
		a = s.do(request{method: http.MethodPut, path: "/v1/calendar", key: t.key, body: everyDay(resource, t.mark)})
		require.Equal(s.t, http.StatusOK, a.status, a.text)
	}
	a = submit("/v1/bookings", fmt.Sprintf(`{"slot_id":%q,"name":"%s Doe","email":"delivered+%[2]s@resend.dev","notes":"%[2]s"}`, t.slot, t.mark))
	t.ids["booking"] = a.at("booking", "id")
	a = submit("/v1/conversations", fmt.Sprintf(`{"session_id":"%s-1","messages":[{"role":"user","content":"Where is my %[1]s parcel?"},{"role":"assistant","content":"With you before noon."},{"role":"user","content":"Great, thank you, that solves it!"}],"feedback":{"stars":5,"text":"%[1]s"}}`, t.mark))
	t.ids["conversation"], t.ids["score"] = a.at("conversation", "id"), a.at("conversation", "id")
	now := time.Now().UTC()
	points := fmt.Sprintf(`{"points":[{"name":"%s.latency","value":12.5,"tags":{"region":"%[1]s"}},{"name":"shared.latency","value":%d,"tags":{"customer":"%[1]s"}}]}`, t.mark, 1000+len(name))
	a = s.do(request{method: http.MethodPost, path: "/v1/metrics", key: t.key, body: points, header: http.Header{"Idempotency-Key": {idempotencyKey}}})
	require.Equal(s.t, http.StatusAccepted, a.status, a.text)
	day := fmt.Sprintf(`{"from":%q,"to":%q}`, now.Add(-time.Hour).Truncate(time.Hour).Format(time.RFC3339), now.Add(time.Hour).Truncate(time.Hour).Format(time.RFC3339))
	submit("/v1/metrics/rollups", day)
	submit("/v1/scores/rescorings", day)
	later := fmt.Sprintf(`{"amount":700,"currency":"usd","payment_method":"pm_card_visa","description":%q,"scheduled_at":%q}`, t.mark, now.AddDate(1, 0, 0).Format(time.RFC3339))
	a = s.do(request{method: http.MethodPost, path: "/v1/payments", key: t.key, body: later, header: http.Header{"Idempotency-Key": {"later"}}})
	require.Equal(s.t, http.StatusAccepted, a.status, a.text)
	t.ids["waiting job"] = a.at("job", "id")
	for name, id := range t.ids {
		require.NotEmpty(s.t, id, name)
	}
	t.fold()
	require.Eventually(s.t, func() bool { // the provider's event about the mail is taken in
		return s.do(request{path: "/v1/bookings/" + t.ids["booking"], key: t.key}).at("email_status") == "delivered"
	}, patience, 20*time.Millisecond)
	return t
}

// fold puts the tenant's points into buckets, so that no worker does so later, when
// nothing of the tenant's may change.
func (t *tenant) fold() {
	t.t.Helper()
	worker := t.db.Tenancy(t.t, postgres.Worker)
	require.Eventually(t.t, func() bool { // while a worker does it, nothing is done
		_, err := rollup.Fold(t.t.Context(), worker, t.name, time.Now().Add(patience), time.Now)
		return err == nil && len(collect[bool](t.t, t.system, "SELECT true FROM metric_chunks WHERE tenant_id = $1 AND pending", t.name)) == 0
	}, patience, 20*time.Millisecond)
}

// ask makes a request with the tenant's key.
func (t *tenant) ask(method, path string) answer {
	t.t.Helper()
	return t.do(request{method: method, path: path, key: t.key})
}

// traces are what gives the tenant's data away.
func (t *tenant) traces() []string {
	list := []string{t.mark, `"` + t.name + `"`}
	for _, id := range t.ids {
		if len(id) > 16 { // a job's number may be anywhere by chance
			list = append(list, id)
		}
	}
	return list
}

// in returns which of the tenant's traces a text has.
func (t *tenant) in(text string) (found []string) {
	text = strings.ToLower(text)
	for _, trace := range t.traces() {
		if strings.Contains(text, strings.ToLower(trace)) {
			found = append(found, trace)
		}
	}
	return found
}

// relations lists the tables, partitioned ones and their partitions, views and
// materialised views of the schema.
func relations(t *testing.T, s *system) []string {
	t.Helper()
	return collect[string](t, s, `SELECT c.relname::text FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY 1`)
}

func collect[T any](t *testing.T, s *system, sql string, args ...any) []T {
	t.Helper()
	rows, err := s.login.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return list
}

// snapshot is every row of the tenant's, wherever it is. Nothing that another
// tenant does may change it. When keys were used is no matter.
func (t *tenant) snapshot() string {
	t.t.Helper()
	tables := collect[string](t.t, t.system, `SELECT table_name::text FROM information_schema.columns
		WHERE table_schema = 'public' AND column_name = 'tenant_id' AND table_name <> 'api_keys' AND table_name NOT LIKE 'audit\_%' ORDER BY 1`)
	var all strings.Builder
	// Workers move entries of the audit log from where they wait to where they stay.
	entries := collect[string](t.t, t.system, `
		SELECT row_to_json(r)::text FROM (
			SELECT at, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details FROM audit_pending WHERE tenant_id = $1
			UNION ALL
			SELECT at, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details FROM audit_log WHERE tenant_id = $1
		) AS r ORDER BY at, 1`, t.name)
	fmt.Fprintln(&all, "audit", strings.Join(entries, "\n"))
	for _, table := range append(tables, "river_job") {
		owner := "tenant_id"
		if table == "river_job" {
			owner = "metadata ->> 'tenant_id'"
		}
		rows := collect[string](t.t, t.system, "SELECT row_to_json(r)::text FROM "+pgx.Identifier{table}.Sanitize()+" AS r WHERE "+owner+" = $1 ORDER BY 1", t.name)
		if len(rows) > 0 { // workers make and drop partitions
			fmt.Fprintln(&all, table, strings.Join(rows, "\n"))
		}
	}
	return all.String()
}

// settle waits until no job that could run now is left.
func (s *system) settle() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		var busy int
		err := s.login.QueryRow(context.WithoutCancel(s.t.Context()), `SELECT count(*) FROM river_job
			WHERE finalized_at IS NULL AND scheduled_at < now() + interval '10 s' AND (metadata ? 'tenant_id' OR kind = 'metric_rollup_scheduling')`).Scan(&busy)
		return err == nil && busy == 0
	}, patience, 20*time.Millisecond)
}

// seal moves all entries of the audit log that wait into their chains, as workers do.
func (s *system) seal() {
	s.t.Helper()
	worker := s.db.Tenancy(s.t, postgres.Worker)
	require.Eventually(s.t, func() bool { // while another does it, nothing is done
		sealed, err := audit.Seal(s.t.Context(), worker, 100_000)
		var waiting int
		return err == nil && (sealed > 0 || s.login.QueryRow(s.t.Context(), "SELECT count(*) FROM audit_pending").Scan(&waiting) == nil && waiting == 0)
	}, patience, 10*time.Millisecond)
}

func query(pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return "?" + values.Encode()
}
