package security_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/stripepay"
	"millrace/jobs"
)

// The risks of the OWASP API Security Top 10 (2023), in their order:
// https://owasp.org/API-Security/editions/2023/en/0x11-t10/

// Nobody gets an object by naming its id. Ids of jobs are numbers that one can
// guess, so all of them are tried; those of domain rows cannot be guessed.
func TestOWASPAPI1BrokenObjectLevelAuthorization(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	s.work("")
	alice, mallory := newTenant(s, "alice"), newTenant(s, "mallory")
	s.settle()
	for _, r := range s.routes() {
		if a := attacks()[r.String()]; a.id != "" {
			got := s.do(request{method: r.method, path: a.path(r, alice.ids[a.id], ""), key: mallory.key})
			require.Equal(t, http.StatusNotFound, got.status, "%s: %s", r, got.text)
		}
	}
	owners := collect[string](t, s, "SELECT tenant_id FROM submissions ORDER BY job_id")
	ids := collect[int64](t, s, "SELECT job_id FROM submissions ORDER BY job_id")
	require.Greater(t, len(ids), 8)
	for i, id := range ids {
		want := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[owners[i] == mallory.name]
		require.Equal(t, want, mallory.ask(http.MethodGet, fmt.Sprint("/v1/jobs/", id)).status, id)
	}
	for _, name := range []string{"payment", "booking", "conversation"} {
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, alice.ids[name], "62 random bits or more")
	}
}

// A key is checked on every route, and one that has ended opens none. The answer
// does not tell why. What a key must look like is in tenants_test.go.
func TestOWASPAPI2BrokenAuthentication(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	soon := time.Now().Add(2 * time.Second)
	_, expiring, err := apikey.Create(t.Context(), s.owner, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes(), ExpiresAt: &soon}, time.Now())
	require.NoError(t, err)
	stored, revoked, err := apikey.Create(t.Context(), s.owner, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	status := func(key string) int { return s.do(request{path: "/v1/payments", key: key}).status }
	require.Equal(t, http.StatusOK, status(revoked.Reveal()))
	require.NoError(t, apikey.Revoke(t.Context(), s.owner, stored.ID, time.Now()))
	for _, key := range []string{revoked.Reveal(), expiring.Reveal()} {
		require.Eventually(t, func() bool { return status(key) == http.StatusUnauthorized }, patience, 20*time.Millisecond)
	}
	unknown := "mrk_" + strings.Repeat("a", 16) + "_" + strings.Repeat("a", len(expiring.Reveal())-len("mrk__")-16)
	refusals := map[string]bool{}
	for _, r := range s.routes() {
		if !r.secured {
			continue
		}
		for name, key := range map[string]string{"none": "", "revoked": revoked.Reveal(), "expired": expiring.Reveal(), "unknown": unknown, "broken": "mrk_"} {
			got := s.do(request{method: r.method, path: r.path, key: key, body: "{}"})
			require.Equal(t, http.StatusUnauthorized, got.status, "%s with a key that is %s: %s", r, name, got.text)
			require.NotEmpty(t, got.header.Get("WWW-Authenticate"))
			refusals[strings.ReplaceAll(got.text, got.at("request_id"), "")] = true
		}
	}
	require.Len(t, refusals, 1, "one answer, whatever is wrong")
	_, secret, _ := apikey.Split(expiring.Reveal())
	require.GreaterOrEqual(t, len(secret)*5, 128, "bits of a secret that cannot be guessed")
}

// What a client may write is what the contract says, and nothing of what answers
// have beside it; what it may read has nothing of the inside.
func TestOWASPAPI3BrokenObjectPropertyLevelAuthorization(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	s.work("")
	alice := newTenant(s, "alice")
	shown := map[string]bool{}
	for _, r := range s.routes() {
		a := attacks()[r.String()]
		if r.method != http.MethodGet || a.open != "" {
			continue
		}
		got := alice.ask(r.method, a.path(r, alice.ids[a.id], alice.mark))
		require.Equal(t, http.StatusOK, got.status, "%s: %s", r, got.text)
		for name := range members(got.body) {
			shown[name] = true
		}
	}
	require.Greater(t, len(shown), 40)
	for name := range shown {
		require.NotRegexp(t, `(?i)tenant|hash|password|api_key|metadata\.|river|provider_id|sequence|busy_until`, name, "answers show the inside")
	}
	for _, r := range s.routes() {
		a := attacks()[r.String()]
		if a.body == "" {
			continue
		}
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte(a.body), &body))
		for name := range shown {
			if _, own := body[name]; own || r.takes[name] {
				continue
			}
			more := maps.Clone(body)
			more[name] = "x"
			text, err := json.Marshal(more)
			require.NoError(t, err)
			got := s.do(request{method: r.method, path: r.path, key: alice.key, body: string(text), header: http.Header{"Idempotency-Key": {"api3"}}})
			require.Equal(t, http.StatusBadRequest, got.status, "%s takes %s: %s", r, name, got.text)
		}
	}
}

// members are the names of all members in an answer.
func members(value any) map[string]bool {
	names := map[string]bool{}
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			names[name] = true
			maps.Copy(names, members(inner))
		}
	case []any:
		for _, inner := range v {
			maps.Copy(names, members(inner))
		}
	}
	return names
}

// What one request may cost is bounded: its size, its depth, how much it may ask
// for, and how long it may take.
func TestOWASPAPI4UnrestrictedResourceConsumption(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	key := s.key("alice")
	refusedAs := func(want int, r request) {
		t.Helper()
		r.key = key
		if r.header == nil {
			r.header = http.Header{}
		}
		r.header.Set("Idempotency-Key", "api4")
		got := s.do(r)
		require.Equal(t, want, got.status, "%s %s: %.200s", r.method, r.path, got.text)
	}
	huge := strings.Repeat(" ", 9<<20)
	for _, r := range s.routes() {
		if r.body {
			header := http.Header{"Stripe-Signature": {"x"}, "Svix-Id": {"x"}, "Svix-Timestamp": {"x"}, "Svix-Signature": {"x"}}
			refusedAs(http.StatusRequestEntityTooLarge, request{method: r.method, path: r.path, body: "{" + huge + "}", header: header})
			if r.secured {
				refusedAs(http.StatusUnsupportedMediaType, request{method: r.method, path: r.path, body: "{}", header: http.Header{"Content-Encoding": {"gzip"}}})
				refusedAs(http.StatusBadRequest, request{method: r.method, path: r.path, body: strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)})
				refusedAs(http.StatusBadRequest, request{method: r.method, path: r.path, body: strings.Repeat("[", 500_000)})
			}
		}
		if slices.Contains(r.params, "limit") {
			for _, limit := range []string{"0", "-1", "5001", "99999999999999999999", "1e9"} {
				refusedAs(http.StatusBadRequest, request{method: r.method, path: attacks()[r.String()].path(r, "", "x") + map[bool]string{true: "&", false: "?"}[attacks()[r.String()].query != ""] + "limit=" + limit})
			}
		}
	}
	many := func(one string, n int) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	refusedAs(http.StatusBadRequest, request{method: "POST", path: "/v1/metrics", body: `{"points":[` + many(`{"name":"a","value":1}`, 10_001) + `]}`})
	refusedAs(http.StatusBadRequest, request{method: "POST", path: "/v1/conversations", body: `{"session_id":"s","messages":[` + many(`{"role":"user","content":"a"}`, 1001) + `]}`})
	refusedAs(http.StatusBadRequest, request{method: "POST", path: "/v1/payments", body: `{"amount":100,"currency":"usd","payment_method":"pm_1","items":[` + many(`{"name":"a","quantity":1}`, 101) + `]}`})
	refusedAs(http.StatusBadRequest, request{method: "POST", path: "/v1/payments", body: `{"amount":100,"currency":"usd","payment_method":"pm_1","description":"` + strings.Repeat("x", 1001) + `"}`})
	refusedAs(http.StatusBadRequest, request{method: "POST", path: "/v1/payments", body: `{"amount":100,"currency":"usd","payment_method":"pm_1","scheduled_at":"2999-01-01T00:00:00Z"}`})
	refusedAs(http.StatusBadRequest, request{method: "GET", path: "/v1/scores/distribution?from=0001-01-01&to=9999-12-31"})
	refusedAs(http.StatusBadRequest, request{method: "GET", path: "/v1/metrics?name=a&from=1970-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&step=1s"})
	refusedAs(http.StatusBadRequest, request{method: "GET", path: "/v1/payments?page_token=" + strings.Repeat("a", 10_000)})
	refusedAs(http.StatusRequestHeaderFieldsTooLarge, request{method: "GET", path: "/v1/payments", header: http.Header{"X-Long": {strings.Repeat("x", 64<<10)}}})

	// A wait is capped.
	accepted := s.do(request{method: "POST", path: "/v1/payments", key: key, body: `{"amount":100,"currency":"usd","payment_method":"pm_card_visa","scheduled_at":"` + time.Now().AddDate(1, 0, 0).Format(time.RFC3339) + `"}`, header: http.Header{"Idempotency-Key": {"a"}}})
	require.Equal(t, http.StatusAccepted, accepted.status, accepted.text)
	cancelled := s.do(request{method: "POST", path: "/v1/jobs/" + accepted.at("job", "id") + "/cancel", key: key})
	require.Equal(t, http.StatusOK, cancelled.status, cancelled.text)
	waited := s.do(request{path: "/v1/jobs/" + accepted.at("job", "id"), key: key, header: http.Header{"Prefer": {"wait=86400"}}})
	require.Equal(t, "wait=30", waited.header.Get("Preference-Applied"))

	// The server leaves nobody hanging: each of its limits is set.
	pool := s.db.Pool(t, postgres.Intake)
	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: s.logs.logger("intake"), Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	server, err := api.New(api.Options{DB: postgres.NewTenancy(pool, postgres.Intake), Writer: writer, Logger: s.logs.logger("intake"), Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	limits := server.HTTP()
	for _, limit := range []time.Duration{limits.ReadHeaderTimeout, limits.ReadTimeout, limits.WriteTimeout, limits.IdleTimeout} {
		require.Positive(t, limit)
		require.LessOrEqual(t, limit, 5*time.Minute)
	}
	require.Positive(t, limits.MaxHeaderBytes)
}

// A key does what its scopes say: each route is tried with a key of each scope.
func TestOWASPAPI5BrokenFunctionLevelAuthorization(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	keys := map[apikey.Scope]string{}
	for _, scope := range apikey.Scopes() {
		keys[scope] = s.key("alice", scope)
	}
	require.Greater(t, len(keys), 2)
	for _, r := range s.routes() {
		if !r.secured {
			continue
		}
		require.Len(t, r.scopes, 1, r)
		for scope, key := range keys {
			a := attacks()[r.String()]
			got := s.do(request{method: r.method, path: a.path(r, never("x"), "x"), key: key, body: map[bool]string{true: "{}", false: ""}[a.body != ""]})
			if string(scope) == r.scopes[0] {
				require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, got.status, "%s with %s: %s", r, scope, got.text)
				continue
			}
			require.Equal(t, http.StatusForbidden, got.status, "%s with %s: %s", r, scope, got.text)
			require.Equal(t, "TENANT_ACCESS_DENIED", got.at("code"))
			require.Equal(t, r.scopes[0], got.at("details", "required_scope"))
		}
	}
	all, refusals := s.key("alice"), map[string]bool{}
	names := []string{"nobodys_kind"}
	for _, kind := range jobs.Catalog() {
		if !kind.Public {
			names = append(names, kind.Name)
		}
	}
	require.Subset(t, names, []string{"audit_sealing", "audit_retention", "metric_retention"})
	for _, name := range names { // what the platform does is nobody's to start
		got := s.do(request{method: http.MethodPost, path: "/v1/jobs", key: all, body: fmt.Sprintf(`{"kind":%q,"args":{}}`, name)})
		require.Equal(t, http.StatusBadRequest, got.status, "%s: %s", name, got.text)
		refusals[strings.ReplaceAll(got.text, got.at("request_id"), "")] = true
	}
	require.Len(t, refusals, 1, "a kind of the platform's is as one that there is not")
}

// What costs money or takes what others want is done once, however often and
// however fast it is asked for.
func TestOWASPAPI6UnrestrictedAccessToSensitiveBusinessFlows(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	s.work("")
	key := s.key("alice")
	require.Equal(t, http.StatusOK, s.do(request{method: http.MethodPut, path: "/v1/calendar", key: key, body: everyDay("default", "alice")}).status)
	var paid, booked, repeated atomic.Int32
	var crowd sync.WaitGroup
	for n := range 20 {
		crowd.Go(func() {
			got := s.do(request{method: "POST", path: "/v1/payments", key: key, body: `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`, header: http.Header{"Idempotency-Key": {"one"}, "Prefer": {"wait=30"}}})
			if got.status == http.StatusOK {
				paid.Add(1)
			}
			got = s.do(request{method: "POST", path: "/v1/bookings", key: key, body: fmt.Sprintf(`{"slot_id":%q,"name":"Jo","email":"delivered+%d@resend.dev"}`, slotAt(9), n)})
			switch got.status {
			case http.StatusAccepted:
				booked.Add(1)
			case http.StatusConflict:
				repeated.Add(1)
			}
		})
	}
	crowd.Wait()
	s.settle()
	require.EqualValues(t, 20, paid.Load())
	require.Len(t, s.stripe.Charges(), 1)
	require.EqualValues(t, 1, booked.Load())
	require.EqualValues(t, 19, repeated.Load())
	require.Len(t, s.mails.Mails(), 1)

	job := s.do(request{path: "/v1/jobs?kind=payment_capture", key: key})
	id := regexp.MustCompile(`"id":"(\d+)"`).FindStringSubmatch(job.text)[1]
	for range 3 { // what is done is not done again, nor undone
		require.Equal(t, http.StatusConflict, s.do(request{method: "POST", path: "/v1/jobs/" + id + "/retry", key: key}).status)
		require.Equal(t, http.StatusConflict, s.do(request{method: "POST", path: "/v1/jobs/" + id + "/cancel", key: key}).status)
	}
	// The same key on another door is another submission, of which the contract
	// warns; on the same door another amount is refused.
	got := s.do(request{method: "POST", path: "/v1/payments", key: key, body: `{"amount":2000,"currency":"usd","payment_method":"pm_card_visa"}`, header: http.Header{"Idempotency-Key": {"one"}}})
	require.Equal(t, http.StatusUnprocessableEntity, got.status)
	got = s.do(request{method: "POST", path: "/v1/payments", key: key, body: `{"amount":2000,"currency":"usd","payment_method":"pm_card_visa"}`})
	require.Equal(t, http.StatusBadRequest, got.status, "money is not moved without a key")
	require.Len(t, s.stripe.Charges(), 1)
}

// fetches lists what of the contract takes an address that the server then calls,
// with the test that nobody can point inside with it.
func fetches() map[string]string { return map[string]string{} }

// The server calls nobody whom a client names: no route takes an address. And a
// vendor cannot send us elsewhere either.
func TestOWASPAPI7ServerSideRequestForgery(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	contract := s.do(request{path: "/openapi.json"})
	var document struct {
		Paths map[string]map[string]struct {
			Parameters  []struct{ Name string }
			RequestBody struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(contract.text), &document))
	address := regexp.MustCompile(`(?i)url|uri|callback|webhook|host|endpoint|redirect|"format":"(uri|hostname|ipv4)`)
	for path, operations := range document.Paths {
		for method, operation := range operations {
			for _, p := range operation.Parameters {
				require.NotRegexp(t, address, p.Name, "%s %s: say in fetches() what keeps it outside", method, path)
			}
			for name := range properties(operation.RequestBody.Content["application/json"].Schema) {
				if fetches()[path+" "+name] == "" {
					require.NotRegexp(t, address, name, "%s %s: say in fetches() what keeps it outside", method, path)
				}
			}
		}
	}

	var called atomic.Bool
	inside := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called.Store(true)
		_, _ = w.Write([]byte(`{"id":"pi_1"}`))
	}))
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", inside+"/latest/meta-data")
		w.WriteHeader([]int{http.StatusFound, http.StatusTemporaryRedirect}[len(r.URL.Path)%2])
	}))
	gateway, err := stripepay.New(stripepay.Options{Key: "sk_test_x", BaseURL: elsewhere, Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	_, err = gateway.Create(t.Context(), payment.Payment{Request: payment.Request{Amount: 100, Currency: "usd", PaymentMethod: "pm_1"}})
	require.Error(t, err)
	for _, id := range []string{"pi_1", "pi_12"} {
		_, err = gateway.Find(t.Context(), id)
		require.Error(t, err)
	}
	require.False(t, called.Load(), "a redirect was followed")
}

// properties are the names of all properties of a schema.
func properties(schema any) map[string]bool {
	names := map[string]bool{}
	switch v := schema.(type) {
	case map[string]any:
		for key, inner := range v {
			if list, ok := inner.(map[string]any); ok && key == "properties" {
				for name := range list {
					names[name] = true
				}
			}
			maps.Copy(names, properties(inner))
		}
	case []any:
		for _, inner := range v {
			maps.Copy(names, properties(inner))
		}
	}
	return names
}

// Every answer has the headers that protect whoever reads it, errors are ours, and
// there is nothing that is only for developers.
func TestOWASPAPI8SecurityMisconfiguration(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	key := s.key("alice")
	requests := []request{{path: "/docs"}, {path: "/nothing"}, {method: "BREW", path: "/v1/jobs"}, {method: http.MethodTrace, path: "/v1/jobs"}, {path: "/%2e%2e/etc/passwd"}, {path: "/v1/jobs%2f1", key: key}}
	for _, r := range s.routes() {
		a := attacks()[r.String()]
		requests = append(requests, request{method: r.method, path: a.path(r, never("x"), "x")}, request{method: r.method, path: a.path(r, never("x"), "x"), key: key},
			request{method: http.MethodOptions, path: r.path, header: http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {r.method}}})
	}
	for _, r := range requests {
		got := s.do(r)
		require.NotZero(t, got.status)
		require.Less(t, got.status, 500, "%s %s: %s", r.method, r.path, got.text)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Server": "", "X-Powered-By": "",
		} {
			require.Equal(t, want, got.header.Get(name), "%s of %s %s", name, r.method, r.path)
		}
		require.NotContains(t, []string{"*", "https://evil.example"}, got.header.Get("Access-Control-Allow-Origin"))
		if got.status >= 400 {
			require.Contains(t, got.header.Get("Content-Type"), "json", "%s %s: %s", r.method, r.path, got.text)
			require.NotEmpty(t, got.at("code"), got.text)
			require.NotEmpty(t, got.at("request_id"), got.text)
			require.NotRegexp(t, `(?i)goroutine|\.go:\d|SQLSTATE|pgx|panic|/root/|stack`, got.text)
		}
		if r.key != "" {
			require.Equal(t, "no-store", got.header.Get("Cache-Control"))
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/vars", "/.env", "/.git/config", "/actuator", "/admin", "/server-status", "/swagger", "/graphql", "/openapi.json.bak"} {
		require.Equal(t, http.StatusNotFound, s.do(request{path: path, key: key}).status, path)
	}
}

// What is served is what the contract says, in one version; the contract that is
// reviewed is the one that runs.
func TestOWASPAPI9ImproperInventoryManagement(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	key := s.key("alice")
	text, err := os.ReadFile(filepath.Join("..", "..", "api", "testdata", "openapi.json"))
	require.NoError(t, err)
	var reviewed, running struct{ Paths map[string]any }
	slot := regexp.MustCompile(`default\.\d{8}T`) // that of a sample can be booked, and so has another day tomorrow
	require.NoError(t, json.Unmarshal(slot.ReplaceAll(text, nil), &reviewed))
	require.NoError(t, json.Unmarshal(slot.ReplaceAll([]byte(s.do(request{path: "/openapi.json"}).text), nil), &running))
	require.Equal(t, reviewed.Paths, running.Paths)
	for path := range running.Paths {
		require.Regexp(t, `^/(v1/|webhooks/|healthz$|readyz$)`, path)
	}
	routes := s.routes()
	for _, r := range routes {
		rest, versioned := strings.CutPrefix(r.path, "/v1/")
		if !versioned {
			continue
		}
		for _, version := range []string{"/", "/v0/", "/v2/", "/v1beta/", "/V1/", "/api/v1/", "/internal/", "/test/"} {
			got := s.do(request{method: r.method, path: version + rest, key: key})
			require.Equal(t, http.StatusNotFound, got.status, version+rest)
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if !slices.ContainsFunc(routes, func(other route) bool { return other.path == r.path && other.method == method }) {
				got := s.do(request{method: method, path: r.path, key: key})
				require.Contains(t, []int{http.StatusMethodNotAllowed, http.StatusNotFound}, got.status, "%s %s is served and in no contract", method, r.path)
			}
		}
	}
}

// What a vendor answers is foreign input: nonsense moves no money and gets nowhere.
// TestPersonalDataStaysWhereItBelongs has vendors that repeat what they were sent.
func TestOWASPAPI10UnsafeConsumptionOfAPIs(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing": ``, "null": `null`, "a number": `1`, "an array": `[]`, "no object": `{}`, "half": `{"id":"pi_1","status":"succ`, "HTML": `<html>`,
		"another type": `{"id":1,"status":[],"amount":"x"}`, "a huge number": `{"id":"pi_1","amount":1e400}`, "deep": strings.Repeat(`{"a":`, 20_000),
		"an unknown state": `{"id":"pi_1","status":"jackpot","amount":100,"currency":"usd"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
			t.Cleanup(vendor.Close)
			gateway, err := stripepay.New(stripepay.Options{Key: "sk_test_x", BaseURL: vendor.URL, Metrics: prometheus.NewRegistry()})
			require.NoError(t, err)
			intent, err := gateway.Find(t.Context(), "pi_1")
			if err == nil {
				require.NotEqual(t, payment.IntentSucceeded, intent.Status)
				require.Zero(t, intent.AmountReceived)
			}
		})
	}
}
