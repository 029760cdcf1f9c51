package security_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/apikey"
	"millrace/internal/config"
	"millrace/internal/dbtest"
	"millrace/internal/mailbox"
	"millrace/internal/postgres"
	"millrace/internal/program/intakeserver"
	"millrace/internal/program/workerpool"
	"millrace/internal/ratelimit"
	"millrace/internal/sandbox"
	"millrace/internal/seal"
	"millrace/internal/sentrytest"
	"millrace/internal/telemetry"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// patience is how long something may take that is only waited for.
const patience = 60 * time.Second

// system is all of Millrace on a database of its own: the intake program, and the
// worker program when it is started, over the sandboxes of both vendors.
type system struct {
	t     *testing.T
	db    *dbtest.DB
	login *pgxpool.Pool // sees everything
	owner *postgres.Tenancy

	url                        string
	stripe                     *sandbox.Stripe
	mails                      *mailbox.Mailbox
	gatewayURL, mailURL        string
	stripeSecret, resendSecret string
	keys                       *seal.Keys             // what both programs encrypt with
	logs                       *logBuffer             // of both programs, at debug
	spans                      *logBuffer             // of both programs, as they are exported
	traces                     trace.TracerProvider   // makes them
	metrics                    []*prometheus.Registry // one a program
}

// logBuffer takes a program's log, and tells Sentry of each error in it.
type logBuffer struct {
	sentry  *sentrytest.Server
	tracker *telemetry.Sentry

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

// logger is what a program logs with in production, at its most talkative.
func (l *logBuffer) logger(service string) *slog.Logger {
	return telemetry.NewLogger(l, telemetry.LogOptions{Service: service, Level: slog.LevelDebug, Sentry: l.tracker})
}

func newLogBuffer(t *testing.T) *logBuffer {
	t.Helper()
	l := &logBuffer{sentry: sentrytest.New(t)}
	var minutes atomic.Int64 // one passes between two errors, so that none is held back
	var err error
	l.tracker, err = telemetry.NewSentry(telemetry.SentryOptions{
		DSN: telemetry.Secret(l.sentry.DSN), Release: "test", Service: "test", Now: func() time.Time { return time.Unix(60*minutes.Add(1), 0) },
	})
	require.NoError(t, err)
	t.Cleanup(l.tracker.Close)
	return l
}

// unlimited are rates for tests that are about something else.
func unlimited(t *testing.T) ratelimit.Limits {
	t.Helper()
	var limits ratelimit.Limits
	require.NoError(t, limits.UnmarshalText([]byte("off")))
	return limits
}

// newSystem starts intake, which encrypts and limits nobody. databaseURL is how it
// connects; empty means directly, as a login that may do nothing but take the intake
// role.
func newSystem(t *testing.T, db *dbtest.DB, databaseURL string, change ...func(*intakeserver.Options)) *system {
	t.Helper()
	if databaseURL == "" {
		databaseURL = loginURL(t, db, postgres.Intake)
	}
	s := &system{
		t: t, db: db, login: db.Pool(t, postgres.Login), owner: db.Tenancy(t, postgres.Owner), logs: newLogBuffer(t), spans: &logBuffer{},
	}
	exporter, err := stdouttrace.New(stdouttrace.WithWriter(s.spans))
	require.NoError(t, err)
	s.traces = sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	s.stripe, err = sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.stripe.Close() })
	s.mails = mailbox.New(mailbox.Options{})
	t.Cleanup(func() { _ = s.mails.Close() })
	s.gatewayURL, s.mailURL = serve(t, s.stripe), serve(t, s.mails)

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.url = "http://" + listener.Addr().String()
	s.stripeSecret, err = s.stripe.SetWebhook(s.url+"/webhooks/stripe", "")
	require.NoError(t, err)
	s.resendSecret, err = s.mails.SetWebhook(s.url+"/webhooks/resend", "")
	require.NoError(t, err)
	keys, err := seal.ParseKeys("test:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.KeySize)))
	require.NoError(t, err)
	options := intakeserver.Options{
		DatabaseURL: telemetry.Secret(databaseURL), StripeWebhookSecret: telemetry.Secret(s.stripeSecret), ResendWebhookSecret: telemetry.Secret(s.resendSecret),
		RateLimits: unlimited(t), Keys: keys, Listener: listener, Logger: s.logs.logger("intake"), Registry: s.registry(), Traces: s.traces,
	}
	for _, f := range change {
		f(&options)
	}
	s.keys = options.Keys
	start(t, func(ctx context.Context) error { return intakeserver.Run(ctx, options) })
	require.Eventually(t, func() bool { return s.do(request{path: "/readyz"}).status == http.StatusOK }, patience, 10*time.Millisecond)
	return s
}

func (s *system) registry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	s.metrics = append(s.metrics, registry)
	return registry
}

// work starts the worker program; stop ends it. databaseURL is as for newSystem.
func (s *system) work(databaseURL string) (stop func()) {
	s.t.Helper()
	if databaseURL == "" {
		databaseURL = loginURL(s.t, s.db, postgres.Worker)
	}
	registry := s.registry()
	return start(s.t, func(ctx context.Context) error {
		return workerpool.Run(ctx, workerpool.Options{
			DatabaseURL: telemetry.Secret(databaseURL),
			Stripe:      config.Stripe{Key: "sk_test_x", APIBase: s.gatewayURL},
			Resend:      config.Resend{ResendKey: "re_x", ResendBase: s.mailURL, EmailFrom: "Acme <bookings@acme.example>"},
			Keys:        s.keys, Logger: s.logs.logger("worker"), Registry: registry, Traces: s.traces,
		})
	})
}

// start runs something until the test ends, or stop is called.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func serve(t *testing.T, handler http.Handler) (address string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server.URL
}

// loginURL connects as a login of production: a member of the roles, of which most
// programs need one, and nothing more.
func loginURL(t *testing.T, db *dbtest.DB, role postgres.Role, more ...postgres.Role) string {
	t.Helper()
	u, err := url.Parse(db.URL)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/") + "_" + strings.TrimPrefix(string(role), "millrace_")
	roles := string(role)
	for _, other := range more {
		name += "_" + strings.TrimPrefix(string(other), "millrace_")
		roles += ", " + string(other)
	}
	login := db.Pool(t, postgres.Login)
	var there bool
	require.NoError(t, login.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", name).Scan(&there))
	if !there {
		_, err = login.Exec(t.Context(), "CREATE ROLE "+name+" LOGIN PASSWORD 'of-a-test' IN ROLE "+roles)
		require.NoError(t, err)
		t.Cleanup(func() {
			// Roles are of the whole server. Sessions of it end before the role can go.
			pool := db.Pool(t, postgres.Login)
			ctx := context.WithoutCancel(t.Context())
			_, _ = pool.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", name)
			_, _ = pool.Exec(ctx, "DROP OWNED BY "+name)
			_, _ = pool.Exec(ctx, "DROP ROLE IF EXISTS "+name)
		})
	}
	u.User = url.UserPassword(name, "of-a-test")
	return u.String()
}

// key makes an API key of the tenant with the scopes, or all that reach no further
// than the tenant.
func (s *system) key(tenant string, scopes ...apikey.Scope) string {
	s.t.Helper()
	if len(scopes) == 0 {
		scopes = slices.DeleteFunc(apikey.Scopes(), func(scope apikey.Scope) bool { return scope == apikey.OpsConsole })
	}
	_, key, err := apikey.Create(s.t.Context(), s.owner, apikey.Request{Tenant: tenant, Scopes: scopes}, time.Now())
	require.NoError(s.t, err)
	return key.Reveal()
}

// request is one request to the API. A body is sent as JSON.
type request struct {
	method, path, key, body string
	header                  http.Header
}

type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// at follows names into the body: at("job", "id").
func (a answer) at(path ...string) string {
	var v any = a.body
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	text, _ := v.(string)
	return text
}

// do makes a request; a server that cannot be reached answers 0.
func (s *system) do(r request) answer {
	s.t.Helper()
	return do(s.t, s.url, r)
}

func do(t *testing.T, base string, r request) answer {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, strings.NewReader(r.body))
	require.NoError(t, err)
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range r.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &a.body)
	return a
}

// route is one operation of the server's contract.
type route struct {
	method, path string
	// secured says that the contract wants a key, with one of the scopes.
	secured bool
	scopes  []string
	// body says that it takes one, and takes which members are in it.
	body  bool
	takes map[string]bool
	// params are its query parameters.
	params []string
}

func (r route) String() string { return r.method + " " + r.path }

// schema is what the contract says of an object.
type schema struct {
	Properties map[string]any
	OneOf      []schema
}

// routes reads them from the running server: what it serves is what is attacked.
func (s *system) routes() (list []route) {
	s.t.Helper()
	contract := s.do(request{path: "/openapi.json"})
	require.Equal(s.t, http.StatusOK, contract.status)
	var document struct {
		Paths map[string]map[string]struct {
			Security    []map[string][]string
			RequestBody *struct {
				Content map[string]struct{ Schema schema }
			}
			Parameters []struct{ Name, In string }
		}
	}
	require.NoError(s.t, json.Unmarshal([]byte(contract.text), &document))
	for path, operations := range document.Paths {
		for method, operation := range operations {
			r := route{method: strings.ToUpper(method), path: path, secured: len(operation.Security) > 0, body: operation.RequestBody != nil, takes: map[string]bool{}}
			if r.body {
				body := operation.RequestBody.Content["application/json"].Schema
				for _, object := range append(body.OneOf, body) {
					for name := range object.Properties {
						r.takes[name] = true
					}
				}
			}
			for _, requirement := range operation.Security {
				for _, scopes := range requirement {
					r.scopes = append(r.scopes, scopes...)
				}
			}
			for _, p := range operation.Parameters {
				if p.In == "query" {
					r.params = append(r.params, p.Name)
				}
			}
			list = append(list, r)
		}
	}
	require.Greater(s.t, len(list), 20)
	return list
}

// metricsText is what the programs show a scraper.
func (s *system) metricsText() string {
	s.t.Helper()
	var all strings.Builder
	for _, registry := range s.metrics {
		recorder := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "/metrics", http.NoBody))
		require.Equal(s.t, http.StatusOK, recorder.Code)
		all.WriteString(recorder.Body.String())
	}
	return all.String()
}
