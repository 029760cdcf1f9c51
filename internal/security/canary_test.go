package security_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/audit"
	"millrace/internal/dbtest"
	"millrace/internal/intake"
	"millrace/internal/postgres"
	"millrace/internal/program/intakeserver"
	"millrace/internal/resendmail"
	"millrace/internal/satisfaction"
	"millrace/internal/stripepay"
	"millrace/jobs"
	"millrace/workers"
)

// sabotage makes the database fail with the row in its message, its detail and its
// hint, which are what a constraint or a trigger of an operator's may hold.
func (s *system) sabotage() {
	s.t.Helper()
	for _, sql := range []string{
		`CREATE FUNCTION canary() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RAISE EXCEPTION 'refused %', row_to_json(NEW) USING DETAIL = row_to_json(NEW)::text, HINT = row_to_json(NEW)::text;
		END $$`,
		`CREATE TRIGGER canary BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.amount = 2001) EXECUTE FUNCTION canary()`,
		`CREATE TRIGGER canary_update BEFORE UPDATE ON payments FOR EACH ROW WHEN (NEW.amount = 2002) EXECUTE FUNCTION canary()`,
		`CREATE FUNCTION canary_cast() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.amount := NEW.description::bigint; RETURN NEW; END $$`,
		`CREATE TRIGGER canary_cast BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.amount = 2003) EXECUTE FUNCTION canary_cast()`,
		`ALTER TABLE payments ADD CONSTRAINT canary CHECK (amount <> 2004)`,
		`CREATE TRIGGER canary BEFORE INSERT ON bookings FOR EACH ROW WHEN (extract(hour FROM NEW.starts_at AT TIME ZONE 'UTC') = 20) EXECUTE FUNCTION canary()`,
		`CREATE TRIGGER canary BEFORE INSERT ON conversations FOR EACH ROW WHEN (NEW.session_id = 'database') EXECUTE FUNCTION canary()`,
		`CREATE TRIGGER canary BEFORE INSERT ON metric_series FOR EACH ROW WHEN (NEW.name = 'database') EXECUTE FUNCTION canary()`,
		`CREATE TRIGGER canary BEFORE INSERT ON metric_receipts FOR EACH ROW WHEN (NEW.idempotency_key LIKE 'database%') EXECUTE FUNCTION canary()`,
	} {
		_, err := s.login.Exec(s.t.Context(), sql)
		require.NoError(s.t, err, sql)
	}
}

// workBadly runs workers whose vendors are hostile and whose adapters panic.
func (s *system) workBadly() *hostile {
	s.t.Helper()
	h := &hostile{served: map[string]bool{}}
	registry := s.registry()
	gateway, err := stripepay.New(stripepay.Options{Key: "sk_test_x", BaseURL: serve(s.t, http.HandlerFunc(h.stripe)), Timeout: time.Second, Pause: 100 * time.Millisecond, Metrics: registry, Traces: s.traces})
	require.NoError(s.t, err)
	mailer, err := resendmail.New(resendmail.Options{Key: "re_x", BaseURL: serve(s.t, http.HandlerFunc(h.resend)), Rate: 1000, Timeout: time.Second, Pause: 100 * time.Millisecond, Metrics: registry, Traces: s.traces})
	require.NoError(s.t, err)
	pool, err := postgres.Open(s.t.Context(), postgres.Options{URL: loginURL(s.t, s.db, postgres.Worker), Role: postgres.Worker})
	require.NoError(s.t, err)
	s.t.Cleanup(pool.Close)
	runner, err := workers.New(workers.Options{
		Pool: pool, Keys: s.keys, Gateway: panickyGateway{gateway, h}, Mailer: panickyMailer{mailer, h}, Model: panickyModel{satisfaction.Default(), h},
		From: "Acme <bookings@acme.example>", AttemptTimeout: 5 * time.Second, StopTimeout: time.Second, Logger: s.logs.logger("worker"), Metrics: registry, Traces: s.traces,
	})
	require.NoError(s.t, err)
	start(s.t, runner.Run)
	return h
}

// The canary: marked personal data goes in through every route and kind, in bodies
// that are right and wrong, in parameters and headers, while everything fails that
// can. Then it is looked for wherever it must not be: answers, headers, logs, what Sentry is told, metrics, spans,
// and every column of every table that is not in belongs.
func TestPersonalDataStaysWhereItBelongs(t *testing.T) {
	t.Parallel()
	for name, encrypted := range map[string]bool{"encrypted": true, "without keys": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, dbtest.New(t), "", func(o *intakeserver.Options) {
				if !encrypted {
					o.Keys = nil
				}
			})
			s.canary(encrypted)
		})
	}
}

func (s *system) canary(encrypted bool) {
	s.t.Helper()
	t := s.t
	s.sabotage()
	key := s.key("clinic")
	require.Equal(t, http.StatusOK, s.do(request{method: http.MethodPut, path: "/v1/calendar", key: key, body: everyDay("default", "clinic")}).status)
	h := s.workBadly()

	bodies := canaryBodies()
	for _, kind := range jobs.Catalog() {
		require.Equal(t, kind.Public, bodies[kind.Name] != "", "%s: say in canaryBodies() what personal data it takes", kind.Name)
	}
	s.accepted(key, bodies)
	s.refusedByDatabase(key, bodies)
	s.strict(bodies)
	s.invalid(key, bodies)
	s.panics(key)
	s.reads(key)
	s.reveals(key)
	s.scans(key)
	for _, vendor := range []string{"stripe", "resend"} {
		for _, name := range faults() {
			require.Eventually(t, func() bool { return h.has(vendor, name) }, patience, 10*time.Millisecond, "%s: %s", vendor, name)
		}
	}
	require.True(t, h.has("model", "panic"))
	require.Eventually(t, func() bool { // each attempt has left its mark
		var fresh int
		err := s.login.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE metadata ? 'tenant_id' AND (state IN ('available', 'running') OR errors IS NULL AND metadata -> 'output' IS NULL)
			AND coalesce(cardinality(errors), 0) = 0 AND NOT metadata ? 'snoozes'`).Scan(&fresh)
		return err == nil && fresh == 0
	}, patience, 20*time.Millisecond)

	// What a job says of itself is public text too.
	for path := range maps.Keys(map[string]bool{"/v1/jobs?limit=100": true, "/v1/jobs?limit=100&state=cancelled": true, "/v1/jobs?limit=100&state=retryable": true}) {
		list := s.do(request{path: path, key: key})
		require.Equal(t, http.StatusOK, list.status)
		require.Empty(t, found(list.text), path)
	}
	require.Empty(t, found(s.metricsText()), "metrics")
	for line := range strings.Lines(s.logs.String()) {
		require.Empty(t, found(line), "log: %s", line)
	}
	require.Contains(t, s.logs.String(), "panic", "the accidents are in the log")
	s.tracked()
	s.searchSpans()
	s.audited()
	s.searchTables(belongs(encrypted))

	// Another tenant sees none of it.
	other := s.key("other")
	for _, r := range s.routes() {
		if a := attacks()[r.String()]; r.method == http.MethodGet && a.id == "" {
			require.Empty(t, found(s.do(request{path: a.path(r, "", "x"), key: other}).text), r)
		}
	}
}

// tracked looks through what Sentry was told.
func (s *system) tracked() {
	s.t.Helper()
	s.logs.tracker.Close()
	for line := range strings.Lines(s.logs.sentry.Text()) {
		require.Empty(s.t, found(line), "Sentry: %s", line)
	}
	about := map[string]int{}
	for _, event := range s.logs.sentry.Events() {
		about[event.Exception[0].Type+" "+event.Transaction]++
	}
	for _, accident := range []string{
		"panic: a value of type string payment_capture", "panic: a value of type *errors.errorString booking_confirmation_email", "panic: a value of type string conversation_scoring",
		"panic: a value of type string POST /webhooks/stripe", "panic: a value of type *errors.errorString POST /webhooks/resend",
		"DB_ERROR POST /v1/payments", "DB_ERROR POST /v1/bookings", "DB_ERROR POST /v1/conversations", "DB_ERROR POST /v1/metrics", "DB_ERROR payment_capture",
	} {
		require.NotZero(s.t, about[accident], "Sentry was not told of %q, but of %v", accident, slices.Sorted(maps.Keys(about)))
	}
	require.Equal(s.t, 1, about["panic: a value of type string POST /webhooks/stripe"], "one accident is one event")
}

// searchSpans looks through what is exported of traces: of requests that were answered
// and refused, of sendings, commits and attempts, and of calls of both vendors.
func (s *system) searchSpans() {
	s.t.Helper()
	names := map[string]int{}
	for line := range strings.Lines(s.spans.String()) {
		require.Empty(s.t, found(line), "span: %s", line)
		var span struct {
			Name   string
			Status struct{ Code string }
		}
		require.NoError(s.t, json.Unmarshal([]byte(line), &span), line)
		names[span.Name+" "+span.Status.Code]++
	}
	for _, name := range []string{
		"POST /v1/payments Unset", "POST /v1/payments Error", "POST /webhooks/stripe Error", "HTTP Unset", "send payments Unset", "send payments Error", "commit Unset", "commit Error",
		"process payments Error", "process emails Error", "process scoring Error", "stripe create Error", "resend send Error",
	} {
		require.Positive(s.t, names[name], "%s: %v", name, names)
	}
}

// audited seals the audit log, which has all that has happened in it and nobody's data.
func (s *system) audited() {
	s.t.Helper()
	s.seal()
	report, err := audit.Verify(s.t.Context(), s.owner, audit.VerifyOptions{})
	require.NoError(s.t, err)
	require.True(s.t, report.Holds())
	actions := collect[string](s.t, s, "SELECT DISTINCT resource_type || ' ' || action || ' ' || outcome FROM audit_log WHERE tenant_id = 'clinic'")
	for _, action := range []string{"job submitted accepted", "job cancelled cancelled", "payment changed failed", "payment revealed done", "booking revealed done", "conversation revealed done", "conversation revealed refused", "route requested refused"} {
		require.Contains(s.t, actions, action)
	}
}

// searchTables looks through every column of every table, also of partitions and of
// what no program reads.
func (s *system) searchTables(allowed map[string]string) {
	s.t.Helper()
	type column struct{ Table, Name, Type string }
	rows, err := s.login.Query(s.t.Context(), `SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = 'public'`)
	require.NoError(s.t, err)
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(s.t, err)
	require.Greater(s.t, len(columns), 100)
	holding := map[string][]string{}
	for _, c := range columns {
		value := `"` + c.Name + `"::text`
		if c.Type == "bytea" {
			value = `encode("` + c.Name + `", 'escape')`
		}
		for _, text := range collect[string](s.t, s, "SELECT DISTINCT "+value+" FROM "+c.Table+` WHERE "`+c.Name+`" IS NOT NULL`) {
			if sorts := found(text); len(sorts) > 0 {
				holding[c.Table+"."+c.Name] = sorts
			}
		}
	}
	for column, sorts := range holding {
		require.NotEmpty(s.t, allowed[column], "%s holds %v", column, sorts)
	}
	for column := range allowed {
		require.Contains(s.t, holding, column, "belongs() allows personal data where there is none")
	}
}

// send makes a request and checks what must hold for every answer: headers have no
// personal data, neither has an error, and the rest is masked.
func (s *system) send(r request) answer {
	s.t.Helper()
	// What a caller's tracing says goes with the job.
	r.header = maps.Clone(r.header)
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.header.Set("Tracestate", "canary="+canaries()["email"])
	a := s.do(r)
	require.NotZero(s.t, a.status, "%s %s", r.method, r.path)
	header, err := json.Marshal(a.header)
	require.NoError(s.t, err)
	require.Empty(s.t, found(string(header)), "the headers of %s %s", r.method, r.path)
	if a.status >= 300 {
		require.Empty(s.t, found(a.text), "%s %s with %v: %s", r.method, r.path, r.header, a.text)
	}
	if !strings.HasPrefix(r.path, "/v1/metrics") { // which shows tags
		require.Empty(s.t, found(masked(s.t, a.text)), "%s %s with %v: %s", r.method, r.path, r.header, a.text)
	}
	return a
}

// accepted sends what is right, through both doors of every kind, with a fault for
// each at the vendors.
func (s *system) accepted(key string, bodies map[string]string) {
	s.t.Helper()
	doors := map[string]string{
		"payment_capture": "/v1/payments", "booking_confirmation_email": "/v1/bookings", "conversation_scoring": "/v1/conversations",
		"conversation_rescoring": "/v1/scores/rescorings", "metric_rollup": "/v1/metrics/rollups",
	}
	n := 0
	submit := func(kind, body string) {
		n++
		path := doors[kind]
		if n%2 == 0 {
			path, body = "/v1/jobs", fmt.Sprintf(`{"kind":%q,"args":%s}`, kind, body)
		}
		header := http.Header{"Idempotency-Key": {fmt.Sprint(n, canaries()["email"])}, "X-Request-Id": {canaries()["email"]}}
		a := s.send(request{method: http.MethodPost, path: path, key: key, body: body, header: header})
		require.Equal(s.t, http.StatusAccepted, a.status, "%s %s: %s", path, body, a.text)
	}
	for i, name := range faults() {
		submit("payment_capture", fmt.Sprintf(bodies["payment_capture"], 1000+i))
		submit("booking_confirmation_email", fmt.Sprintf(bodies["booking_confirmation_email"], slotAt(i+1), fmt.Sprintf("fault%d-%s", i, canaries()["email"])))
		_ = name
	}
	for range 2 {
		for _, kind := range []string{"conversation_scoring", "conversation_rescoring", "metric_rollup"} {
			submit(kind, bodies[kind])
		}
	}
	c := canaries()
	points := fmt.Sprintf(`{"points":[{"name":"visits","value":1,"tags":{"patient":%q,"%s":%q}}]}`, c["name"], c["tag"], c["email"])
	a := s.send(request{method: http.MethodPost, path: "/v1/metrics", key: key, body: points, header: http.Header{"Idempotency-Key": {c["email"]}}})
	require.Equal(s.t, http.StatusAccepted, a.status, a.text)
	submit("payment_capture", fmt.Sprintf(bodies["payment_capture"], 2002)) // the worker's update fails
}

// refusedByDatabase sends what the sabotaged database does not take.
func (s *system) refusedByDatabase(key string, bodies map[string]string) {
	s.t.Helper()
	points := fmt.Sprintf(`{"points":[{"name":"database","value":1,"tags":{"patient":%q}}]}`, everything()[:100])
	for n, one := range []struct{ path, body, key string }{
		{"/v1/payments", fmt.Sprintf(bodies["payment_capture"], 2001), ""},
		{"/v1/payments", fmt.Sprintf(bodies["payment_capture"], 2003), ""},
		{"/v1/payments", fmt.Sprintf(bodies["payment_capture"], 2004), ""},
		{"/v1/bookings", fmt.Sprintf(bodies["booking_confirmation_email"], slotAt(20), "database-"+canaries()["email"]), ""},
		{"/v1/conversations", strings.Replace(bodies["conversation_scoring"], "chat-1", "database", 1), ""},
		{"/v1/metrics", points, ""},
		{"/v1/metrics", strings.Replace(points, `"database"`, `"visits"`, 1), "database-" + canaries()["email"]},
	} {
		if one.key == "" {
			one.key = fmt.Sprint("db", n)
		}
		a := s.send(request{method: http.MethodPost, path: one.path, key: key, body: one.body, header: http.Header{"Idempotency-Key": {one.key}}})
		require.Equal(s.t, http.StatusInternalServerError, a.status, "%s: %s", one.body, a.text)
		require.Equal(s.t, "DB_ERROR", a.at("code"))
	}
}

// invalid sends personal data in every place of every route where it is refused.
func (s *system) invalid(key string, bodies map[string]string) {
	s.t.Helper()
	c := canaries()
	all := everything()
	quoted, _ := json.Marshal(all)
	wrong := []string{
		string(quoted), "[" + string(quoted) + "]", "{" + string(quoted) + ":1}", "{" + string(quoted), `{"a":` + all + `}`, all, `{"` + c["email"] + `":{"` + c["ssn"] + `":[1,` + string(quoted) + `]}}`,
		`{"kind":` + string(quoted) + `,"args":{}}`, `{"kind":"payment_capture","args":` + string(quoted) + `}`, `{"scheduled_at":` + string(quoted) + `,"priority":` + string(quoted) + `}`,
		`{"a":"` + c["name"] + `\u0000"}`, `{"a":"` + c["name"] + `\ud800"}`, strings.Repeat(`{"`+c["tag"]+`":`, 40) + "1" + strings.Repeat("}", 40), `{"a":1}` + string(quoted),
		`{"text":[` + string(quoted) + `]}`, `{"text":` + string(quoted) + `,` + string(quoted) + `:1}`, `{"text":"a","text":` + string(quoted) + `}`,
		`{"points":[{"name":` + string(quoted) + `,"value":1}]}`, `{"points":[{"name":"a","value":` + string(quoted) + `}]}`, `{"points":[{"name":"a","value":1,"tags":{` + string(quoted) + `:"x"}}]}`,
		`{"points":[{"name":"a","value":1,"tags":{"x":"` + strings.Repeat(c["tag"], 100) + `"}}]}`, `{"points":[{"name":"a","value":1,"at":` + string(quoted) + `}]}`,
	}
	for _, body := range bodies { // each member in turn has another type, or a text that does not fit
		body = strings.NewReplacer("%d", "1", "%s", slotAt(1)).Replace(body)
		var members map[string]json.RawMessage
		require.NoError(s.t, json.Unmarshal([]byte(body), &members))
		for name := range members {
			for _, value := range []string{string(quoted), "[" + string(quoted) + "]", "{" + string(quoted) + ":" + string(quoted) + "}", `"` + strings.Repeat(c["tag"]+" ", 5000) + `"`} {
				changed := maps.Clone(members)
				changed[name] = json.RawMessage(value)
				text, err := json.Marshal(changed)
				require.NoError(s.t, err)
				wrong = append(wrong, string(text))
			}
		}
	}
	for _, r := range s.routes() {
		path := strings.Replace(r.path, "{id}", url.PathEscape(all), 1)
		if r.body {
			for n, body := range wrong {
				// One that is right is another tenant's, so that it does not fill this one's rows.
				s.send(request{method: r.method, path: path, key: key, body: body, header: http.Header{
					"Idempotency-Key": {fmt.Sprint("wrong", n)}, "Stripe-Signature": {all}, "Svix-Id": {all}, "Svix-Timestamp": {all}, "Svix-Signature": {all},
				}})
			}
		}
		for _, name := range append(slices.Clone(r.params), all, "tag."+c["email"], "tag.a") {
			for _, value := range []string{all, c["email"], c["ssn"]} {
				s.send(request{method: r.method, path: path + "?" + url.Values{name: {value}}.Encode(), key: key})
			}
		}
		for _, name := range []string{"Idempotency-Key", "Prefer", "If-None-Match", "Content-Type", "Content-Encoding", "Accept", "Authorization", "X-Request-Id", "User-Agent", "Referer", "Cookie", "Origin", "Host"} {
			for _, value := range []string{all, "wait=" + c["ssn"], "Bearer mrk_" + c["email"]} {
				s.send(request{method: r.method, path: path, key: key, body: "{}", header: http.Header{name: {value}}})
			}
		}
		s.send(request{method: "CANARY", path: path + url.PathEscape(c["email"]), key: key})
		s.send(request{method: http.MethodPatch, path: path, key: key})
		s.send(request{path: path + "/" + url.PathEscape(c["email"]) + "?" + url.QueryEscape(all) + ";", key: key})
	}
}

// panics sends personal data to handlers that panic with it.
func (s *system) panics(key string) {
	s.t.Helper()
	pool, err := postgres.Open(s.t.Context(), postgres.Options{URL: loginURL(s.t, s.db, postgres.Intake), Role: postgres.Intake})
	require.NoError(s.t, err)
	s.t.Cleanup(pool.Close)
	registry := s.registry()
	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: s.logs.logger("intake"), Metrics: registry, Traces: s.traces})
	require.NoError(s.t, err)
	server, err := api.New(api.Options{
		DB: postgres.NewTenancy(pool, postgres.Intake).WithKeys(s.keys, time.Now), Writer: writer, Logger: s.logs.logger("intake"), Metrics: registry, Traces: s.traces, StripeEvents: panickyStripe{}, ResendEvents: panickyResend{},
	})
	require.NoError(s.t, err)
	address := serve(s.t, server)
	for _, path := range []string{"/webhooks/stripe", "/webhooks/resend"} {
		a := do(s.t, address, request{method: http.MethodPost, path: path, key: key, body: everything(), header: http.Header{
			"Stripe-Signature": {"x"}, "Svix-Id": {"x"}, "Svix-Timestamp": {"x"}, "Svix-Signature": {"x"},
		}})
		require.Equal(s.t, http.StatusInternalServerError, a.status, a.text)
		require.Empty(s.t, found(a.text))
	}
}

// reads asks for everything that is stored: answers mask it.
func (s *system) reads(key string) {
	s.t.Helper()
	for _, r := range s.routes() {
		a := attacks()[r.String()]
		if r.method != http.MethodGet || a.open != "" {
			continue
		}
		if a.id == "" {
			s.send(request{path: a.path(r, "", "x"), key: key})
			continue
		}
		for _, id := range s.stored(a.id) {
			got := s.send(request{path: a.path(r, id, "x"), key: key})
			require.Equal(s.t, http.StatusOK, got.status, "%s: %s", r, got.text)
		}
	}
}

// stored returns ids of what the canary's tenant has of a resource.
func (s *system) stored(resource string) []string {
	s.t.Helper()
	sql := map[string]string{
		"payment": "SELECT id::text FROM payments", "booking": "SELECT id::text FROM bookings", "conversation": "SELECT id::text FROM conversations",
		"score": "SELECT id::text FROM scores", "job": "SELECT job_id::text FROM submissions",
	}[resource]
	require.NotEmpty(s.t, sql, resource)
	return collect[string](s.t, s, sql+" WHERE tenant_id = 'clinic' LIMIT 20")
}

// reveals asks for what is masked, with reasons that say too much.
func (s *system) reveals(key string) {
	s.t.Helper()
	blind := s.key("clinic", apikey.JobsRead)
	said, _, _ := strings.Cut(everything(), ", I live at") // one of 200 characters at most
	reason := "?reveal=" + url.QueryEscape(said)
	for resource, kept := range map[string]bool{"payment": true, "booking": true, "conversation": false} {
		path := "/v1/" + resource + "s/" + s.stored(resource)[0]
		got := s.do(request{path: path + reason, key: key})
		require.Equal(s.t, http.StatusOK, got.status, got.text)
		require.Equal(s.t, kept, len(found(masked(s.t, got.text))) > 0, "%s is for whoever has a reason: %s", path, got.text)
		require.Equal(s.t, http.StatusForbidden, s.send(request{path: path + reason, key: blind}).status)
		require.Equal(s.t, http.StatusBadRequest, s.send(request{path: path + reason + reason[8:], key: key}).status, "one that is too long")
		require.Equal(s.t, http.StatusNotFound, s.send(request{path: "/v1/" + resource + "s/" + never("x") + reason, key: key}).status)
	}
	require.Equal(s.t, http.StatusForbidden, s.send(request{method: http.MethodDelete, path: "/v1/bookings/" + s.stored("booking")[0], key: blind}).status)
}

// scans has texts looked at that nobody stores.
func (s *system) scans(key string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"text": everything()})
	require.NoError(s.t, err)
	got := s.send(request{method: http.MethodPost, path: "/v1/compliance/scan", key: key, body: string(body), header: http.Header{"Idempotency-Key": {canaries()["email"]}}})
	require.Equal(s.t, http.StatusOK, got.status, got.text)
	require.Contains(s.t, got.text, "[NAME_1]")
	require.Contains(s.t, got.text, `"start":`)
}

// strict sends the same for a tenant that takes no personal data in texts. It is told
// where some is, and not what; and nothing of it is stored.
func (s *system) strict(bodies map[string]string) {
	s.t.Helper()
	key := s.key("strict")
	mode := apikey.PHIStrict
	_, err := apikey.SetTenant(s.t.Context(), s.owner, "strict", apikey.TenantChange{PHI: &mode})
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, s.do(request{method: http.MethodPut, path: "/v1/calendar", key: key, body: everyDay("default", "strict")}).status)
	doors := map[string]string{"payment_capture": "/v1/payments", "booking_confirmation_email": "/v1/bookings", "conversation_scoring": "/v1/conversations"}
	refuse := func(path, body string) {
		s.t.Helper()
		got := s.send(request{method: http.MethodPost, path: path, key: key, body: body, header: http.Header{"Idempotency-Key": {"strict"}}})
		require.Equal(s.t, http.StatusUnprocessableEntity, got.status, got.text)
		require.Equal(s.t, "PHI_DETECTED", got.at("code"))
		require.Contains(s.t, got.text, `"start":`)
	}
	for kind, door := range doors {
		body := strings.NewReplacer("%d", "2500", "%s", slotAt(1)).Replace(bodies[kind])
		if kind == "booking_confirmation_email" {
			body = fmt.Sprintf(bodies[kind], slotAt(1), canaries()["email"])
		}
		refuse(door, body)
		refuse("/v1/jobs", fmt.Sprintf(`{"kind":%q,"args":%s}`, kind, body))
	}
	for _, sort := range []string{"email", "phone", "ssn"} {
		refuse("/v1/metrics", fmt.Sprintf(`{"points":[{"name":"visits","value":1,"tags":{"patient":%q}}]}`, canaries()[sort]))
	}
	for _, table := range []string{"submissions", "payments", "bookings", "conversations", "metric_series", "metric_receipts"} {
		require.Empty(s.t, collect[string](s.t, s, "SELECT row_to_json(r)::text FROM "+table+" AS r WHERE tenant_id = 'strict'"), table)
	}
}
