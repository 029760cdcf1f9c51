package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/console"
	"millrace/internal/dbtest"
	"millrace/internal/intake"
	"millrace/internal/postgres"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// site is a server on a database of its own, with keys of two tenants.
type site struct {
	t        *testing.T
	url      string
	login    *pgxpool.Pool
	owner    *postgres.Tenancy
	intake   *postgres.Tenancy
	alice    string // tenant alice, jobs:read and jobs:write
	mallory  string // tenant mallory, the same
	registry *prometheus.Registry
	server   *api.Server
	logs     *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSite(t *testing.T, change ...func(*api.Options)) *site {
	t.Helper()
	db := dbtest.New(t)
	pool := db.Pool(t, postgres.Intake)
	s := &site{t: t, login: db.Pool(t, postgres.Login), owner: db.Tenancy(t, postgres.Owner), registry: prometheus.NewRegistry(), logs: &logBuffer{}}
	logger := testLogger(s.logs)
	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: logger, Metrics: s.registry})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- writer.Run(ctx) }()
	options := api.Options{DB: postgres.NewTenancy(pool, postgres.Intake), Writer: writer, Logger: logger, Metrics: s.registry}
	s.intake = options.DB
	options.Console, err = console.New(console.Options{Pool: s.login, Path: api.ConsolePath, Writer: writer, Logger: logger})
	require.NoError(t, err)
	for _, f := range change {
		f(&options)
	}
	s.server, err = api.New(options)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	// The real server with its limits, rather than httptest's.
	server := &httptest.Server{Listener: listener, Config: s.server.HTTP()}
	server.Start()
	t.Cleanup(func() {
		server.Close()
		stop()
		require.NoError(t, <-done)
	})
	s.url = server.URL
	s.alice = s.key("alice", apikey.JobsRead, apikey.JobsWrite)
	s.mallory = s.key("mallory", apikey.JobsRead, apikey.JobsWrite)
	return s
}

func (s *site) key(tenant string, scopes ...apikey.Scope) string {
	s.t.Helper()
	_, key, err := apikey.Create(s.t.Context(), s.owner, apikey.Request{Tenant: tenant, Scopes: scopes}, time.Now())
	require.NoError(s.t, err)
	return key.Reveal()
}

type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (a answer) code() string { c, _ := a.body["code"].(string); return c }

// at follows names into the body: at("job", "state").
func (a answer) at(path ...string) any {
	var v any = a.body
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

type request struct {
	method, path, key, body string
	header                  map[string]string
}

func (s *site) do(r request) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), r.method, s.url+r.path, strings.NewReader(r.body))
	require.NoError(s.t, err)
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &a.body)
	return a
}

const charge = `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`

func (s *site) pay(key, idempotencyKey, body string, header ...string) answer {
	s.t.Helper()
	h := map[string]string{"Idempotency-Key": idempotencyKey}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return s.do(request{method: "POST", path: "/v1/payments", key: key, body: body, header: h})
}

func (s *site) count(table string) (n int) {
	s.t.Helper()
	// Cleanups count too, when the test's context has ended.
	ctx := context.WithoutCancel(s.t.Context())
	require.NoError(s.t, s.login.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

func TestAPaymentIsAcceptedReadAndPolled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.pay(s.alice, "k1", charge)
	require.Equal(t, 202, a.status, a.text)
	require.Equal(t, "available", a.at("job", "state"))
	require.Equal(t, false, a.at("job", "done"))
	require.Equal(t, "pending", a.at("payment", "status"))
	require.Equal(t, "1", a.header.Get("Retry-After"))
	location := a.header.Get("Location")
	id, _ := a.at("job", "id").(string)
	require.Equal(t, "/v1/jobs/"+id, location)

	job := s.do(request{method: "GET", path: location, key: s.alice})
	require.Equal(t, 200, job.status)
	require.Equal(t, "payment_capture", job.at("kind"))
	require.Contains(t, job.at("why"), "free worker slot")
	etag := job.header.Get("ETag")
	require.NotEmpty(t, etag)
	same := s.do(request{method: "GET", path: location, key: s.alice, header: map[string]string{"If-None-Match": etag}})
	require.Equal(t, 304, same.status)
	require.Empty(t, same.text)

	link, _ := a.at("job", "links", "payment").(string)
	paid := s.do(request{method: "GET", path: link, key: s.alice})
	require.Equal(t, 200, paid.status)
	require.Equal(t, a.at("payment", "id"), paid.at("id"))

	list := s.do(request{method: "GET", path: "/v1/jobs?kind=payment_capture&state=available", key: s.alice})
	require.Len(t, list.at("jobs"), 1)
}

func TestAnotherTenantsIDsDoNotExist(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.pay(s.alice, "k1", charge)
	location := a.header.Get("Location")
	link, _ := a.at("job", "links", "payment").(string)
	for _, c := range []struct{ method, real, guessed string }{
		{"GET", location, "/v1/jobs/999999"},
		{"POST", location + "/cancel", "/v1/jobs/999999/cancel"},
		{"POST", location + "/retry", "/v1/jobs/999999/retry"},
		{"GET", link, "/v1/payments/" + uuid.NewString()},
	} {
		foreign := s.do(request{method: c.method, path: c.real, key: s.mallory})
		unknown := s.do(request{method: c.method, path: c.guessed, key: s.mallory})
		require.Equal(t, 404, foreign.status, c.real)
		require.Equal(t, 404, unknown.status)
		delete(foreign.body, "request_id")
		delete(unknown.body, "request_id")
		require.Equal(t, unknown.body, foreign.body, "the same answer as for an id that nobody has")
	}
	require.Empty(t, s.do(request{method: "GET", path: "/v1/jobs", key: s.mallory}).at("jobs"))
	// The same key of another tenant is another submission.
	require.Equal(t, 202, s.pay(s.mallory, "k1", `{"amount":500,"currency":"eur","payment_method":"pm_card_visa"}`).status)
}

func TestTheSameIdempotencyKeyGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	answers := make([]answer, 50)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = s.pay(s.alice, "same", charge) })
	}
	group.Wait()
	for _, a := range answers {
		require.Equal(t, 202, a.status, a.text)
		require.Equal(t, answers[0].text, a.text)
	}
	require.Equal(t, 1, s.count("payments"))
	require.Equal(t, 1, s.count("river_job"))

	// Later, when the payment has moved on, the answer is still the first one.
	_, err := s.login.Exec(t.Context(), "UPDATE payments SET status = 'captured', amount_captured = 1999")
	require.NoError(t, err)
	_, err = s.login.Exec(t.Context(), "UPDATE river_job SET state = 'completed', finalized_at = now()")
	require.NoError(t, err)
	later := s.pay(s.alice, "same", ` { "payment_method":"pm_card_visa", "currency":"USD", "amount":1999 } `)
	require.Equal(t, answers[0].text, later.text)
	require.Equal(t, "true", later.header.Get("Idempotent-Replayed"))

	for _, other := range []string{
		`{"amount":2000,"currency":"usd","payment_method":"pm_card_visa"}`,
		`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","priority":2}`,
		`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","scheduled_at":"2030-01-01T00:00:00Z"}`,
	} {
		a := s.pay(s.alice, "same", other)
		require.Equal(t, 422, a.status)
		require.Equal(t, "IDEMPOTENCY_MISMATCH", a.code())
	}
	require.Equal(t, 1, s.count("river_job"))
}

func TestTheGenericDoorTakesTheSamePath(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.do(request{
		method: "POST", path: "/v1/jobs", key: s.alice, header: map[string]string{"Idempotency-Key": "k"},
		body: `{"kind":"payment_capture","args":` + charge + `,"priority":2,"scheduled_at":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"}`,
	})
	require.Equal(t, 202, a.status, a.text)
	require.Equal(t, "scheduled", a.at("job", "state"))
	require.EqualValues(t, 2, a.at("job", "priority"))
	require.Equal(t, "pending", a.at("payment", "status"))
	require.Contains(t, a.at("job", "why"), "Scheduled for")
	require.Equal(t, 1, s.count("payments"))

	for name, body := range map[string]string{
		"unknown kind":  `{"kind":"nonsense","args":{}}`,
		"no args":       `{"kind":"payment_capture"}`,
		"args invalid":  `{"kind":"payment_capture","args":{"amount":-5}}`,
		"args unknown":  `{"kind":"payment_capture","args":{"amont":5}}`,
		"unknown field": `{"kind":"payment_capture","args":` + charge + `,"queue":"x"}`,
	} {
		a := s.do(request{method: "POST", path: "/v1/jobs", key: s.alice, body: body, header: map[string]string{"Idempotency-Key": "k2"}})
		require.Equal(t, 400, a.status, name)
		require.Equal(t, "INVALID_INPUT", a.code(), name)
	}
	require.Equal(t, 1, s.count("submissions"))
}

// settle ends every job as a worker would.
func (s *site) settle(job, payment string) {
	s.t.Helper()
	_, err := s.login.Exec(s.t.Context(), "UPDATE river_job SET "+job)
	require.NoError(s.t, err)
	_, err = s.login.Exec(s.t.Context(), "UPDATE payments SET "+payment)
	require.NoError(s.t, err)
}

func TestPreferWaitAnswersWithTheOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		job, payment string
		status       int
		check        func(*testing.T, answer)
	}{
		"captured": {
			`state = 'completed', finalized_at = now(), metadata = metadata || '{"output":{"status":"captured"}}'`, "status = 'captured'", 200,
			func(t *testing.T, a answer) {
				t.Helper()
				require.Equal(t, "captured", a.at("payment", "status"))
				require.Equal(t, "completed", a.at("job", "state"))
				require.Equal(t, "captured", a.at("job", "result", "status"))
			},
		},
		"declined": {
			`state = 'cancelled', finalized_at = now(), errors = ARRAY[jsonb_build_object('error', '{"code":"PAYMENT_FAILED","error":"The card was declined.","details":{"reason":"DECLINED","decline_code":"lost_card"}}')]`,
			"status = 'failed'", 402,
			func(t *testing.T, a answer) {
				t.Helper()
				require.Equal(t, "PAYMENT_FAILED", a.code())
				require.Equal(t, "DECLINED", a.at("details", "reason"))
				require.Equal(t, "lost_card", a.at("details", "decline_code"))
				require.NotEmpty(t, a.header.Get("Location"))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			got := make(chan answer, 1)
			go func() { got <- s.pay(s.alice, "k", charge, "Prefer", "respond-async, wait=20") }()
			require.Eventually(t, func() bool { return s.count("river_job") == 1 }, 10*time.Second, time.Millisecond)
			s.settle(c.job, c.payment)
			a := <-got
			require.Equal(t, c.status, a.status, a.text)
			require.Equal(t, "wait=20", a.header.Get("Preference-Applied"))
			c.check(t, a)
		})
	}
}

func TestAWaitThatEndsFirstAnswersWithTheState(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.pay(s.alice, "k", charge, "Prefer", "wait=1")
	require.Equal(t, 202, a.status)
	require.Equal(t, "wait=1", a.header.Get("Preference-Applied"))
	require.Equal(t, false, a.at("job", "done"))
	job := s.do(request{method: "GET", path: a.header.Get("Location"), key: s.alice, header: map[string]string{"Prefer": "wait=1"}})
	require.Equal(t, 200, job.status)
	require.Equal(t, "available", job.at("state"))
	require.Equal(t, "wait=1", job.header.Get("Preference-Applied"))
}

func TestDrainingEndsWaitsAndReadiness(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.Equal(t, 200, s.do(request{method: "GET", path: "/readyz"}).status)
	got := make(chan answer, 1)
	go func() { got <- s.pay(s.alice, "k", charge, "Prefer", "wait=30") }()
	require.Eventually(t, func() bool { return s.count("river_job") == 1 }, 10*time.Second, time.Millisecond)
	s.server.Drain()
	require.Equal(t, 202, (<-got).status)
	require.Equal(t, 503, s.do(request{method: "GET", path: "/readyz"}).status)
	require.Equal(t, 200, s.do(request{method: "GET", path: "/healthz"}).status)
}

func TestCancelAndRetry(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	location := s.pay(s.alice, "k", charge).header.Get("Location")
	require.Equal(t, 409, s.do(request{method: "POST", path: location + "/retry", key: s.alice}).status)
	a := s.do(request{method: "POST", path: location + "/cancel", key: s.alice})
	require.Equal(t, 200, a.status, a.text)
	require.Equal(t, "cancelled", a.at("state"))
	require.Equal(t, "JOB_CANCELLED", a.at("error", "code"))
	// The wait for a job that is done already is no wait.
	require.Equal(t, 409, s.pay(s.alice, "k", charge, "Prefer", "wait=30").status)
}

func TestListPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, key := range []string{"a", "b", "c"} {
		require.Equal(t, 202, s.pay(s.alice, key, charge).status)
	}
	first := s.do(request{method: "GET", path: "/v1/jobs?limit=2", key: s.alice})
	require.Len(t, first.at("jobs"), 2)
	token, _ := first.at("next_page_token").(string)
	second := s.do(request{method: "GET", path: "/v1/jobs?limit=2&page_token=" + token, key: s.alice})
	require.Len(t, second.at("jobs"), 1)
	require.Nil(t, second.at("next_page_token"))
}
