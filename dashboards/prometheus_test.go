//go:build prometheus

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/config"
	"millrace/internal/dbtest"
	"millrace/internal/mailbox"
	"millrace/internal/postgres"
	"millrace/internal/program"
	"millrace/internal/program/intakeserver"
	"millrace/internal/program/workerpool"
	"millrace/internal/ratelimit"
	"millrace/internal/sandbox"
	"millrace/internal/telemetry"
	"millrace/jobs"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

const (
	// patience is how long data may take to appear: a leader is elected within
	// 5 s and looks at the queues every 5 s.
	patience = 45 * time.Second
	// often is how often is asked meanwhile.
	often = 250 * time.Millisecond
)

// must is what a panel has to show besides any data at all, as label and values.
func must(title string) (label string, values []string) {
	switch title {
	case "Jobs by state":
		return "state", []string{"available", "running", "retryable", "scheduled"}
	case "Failures by kind and outcome", "Failures by outcome":
		return "outcome", []string{"cancelled", "discarded", "retried"}
	case "Put off":
		return "outcome", []string{"snoozed"}
	case "Requests by status":
		return "status", []string{"202", "401"}
	case "Errors by code":
		return "code", []string{"AUTH_REQUIRED", "UNAVAILABLE"}
	case "Provider calls":
		return "outcome", []string{"ok", "refused", "down"}
	case "Provider events":
		return "provider", []string{"stripe", "resend"}
	case "What became of them":
		return "event", []string{"delivered", "bounced", "complained"}
	case "Connections in use", "Waits for a connection":
		return "pool", []string{"intake", "worker"}
	case "Queues":
		var queues []string
		for _, queue := range jobs.Queues() {
			queues = append(queues, queue.Name)
		}
		return "queue", queues
	}
	return "", nil
}

// mayLack says that a column of a list has no value for some of its lines, as
// long as none of their jobs has ended.
func mayLack(column string) bool { return column == "Failed" }

// Every query of every dashboard, as Grafana would send it, is answered with
// data by a real Prometheus that scrapes the real programs at work.
func TestEveryQueryIsAnswered(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	server := startPrometheus(t, p.metrics)
	// Counters that begin at their first failure would hide it from increase().
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		answer, err := server.query(t.Context(), `count(millrace_jobs_finished_total{outcome="discarded"} == 0)`)
		require.NoError(c, err)
		require.NotEmpty(c, answer)
		require.InDelta(c, 2*len(jobs.Catalog()), answer[0].value, 0, "both workers are scraped")
	}, patience, often)
	p.work()

	fill := strings.NewReplacer("$queue", "payments", "$kind", "payment_capture", "$__rate_interval", "15s", "$__range", "1m", "$__interval", "15s")
	for file, m := range load(t) {
		for _, panel := range m.graphs() {
			for _, q := range panel.Targets {
				t.Run(fmt.Sprintf("%s %s %s", filepath.Base(file), panel.name(), q.RefID), func(t *testing.T) {
					t.Parallel()
					expr := fill.Replace(q.Expr)
					require.NotContains(t, expr, "$")
					label, values := must(panel.Title)
					require.EventuallyWithT(t, func(c *assert.CollectT) {
						answer, err := server.query(t.Context(), expr)
						require.NoError(c, err)
						require.NotEmpty(c, answer, "no data for %s", expr)
						shown := map[string]bool{}
						for _, s := range answer {
							shown[s.labels[label]] = true
							if panel.Type == "table" {
								require.Len(c, s.labels, 1, "a line for each value of one label: %s", expr)
							}
							for _, name := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.LegendFormat, -1) {
								require.NotEmpty(c, s.labels[name[1]], "the legend names a label that the series lacks: %s", expr)
							}
						}
						if !mayLack(q.LegendFormat) {
							require.Subset(c, slices.Collect(maps.Keys(shown)), values, expr)
						}
					}, patience, often)
				})
			}
		}
		for _, v := range m.Templating.List {
			if v.Definition == "" {
				continue
			}
			t.Run(fmt.Sprintf("%s lists every %s", filepath.Base(file), v.Name), func(t *testing.T) {
				t.Parallel()
				var all []string
				for _, kind := range jobs.Catalog() {
					all = append(all, map[string]string{"kind": kind.Name, "queue": kind.Queue}[v.Name])
				}
				slices.Sort(all)
				require.EventuallyWithT(t, func(c *assert.CollectT) {
					parts := labelValues.FindStringSubmatch(v.Definition)
					var values []string
					require.NoError(c, server.get(t.Context(), "label/"+parts[2]+"/values", url.Values{"match[]": {parts[1]}}, &values))
					require.ElementsMatch(c, slices.Compact(all), values)
				}, patience, often)
			})
		}
	}

	t.Run("one process reports the depth", func(t *testing.T) {
		t.Parallel()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			answer, err := server.query(t.Context(), "count by (queue) (millrace_queue_paused)")
			require.NoError(c, err)
			require.NotEmpty(c, answer)
			require.InDelta(c, 1, answer[0].value, 0, "two workers run, and one leads")
		}, patience, often)
	})
	t.Run("the first discarded job is seen", func(t *testing.T) {
		t.Parallel()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			answer, err := server.query(t.Context(), `round(sum(increase(millrace_jobs_finished_total{outcome="discarded"}[1h])))`)
			require.NoError(c, err)
			require.NotEmpty(c, answer)
			require.GreaterOrEqual(c, answer[0].value, 1.0)
		}, patience, often)
	})
	t.Run("the README has the types right", func(t *testing.T) {
		t.Parallel()
		listed := documentation(t)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			var scraped map[string][]struct{ Type string }
			require.NoError(c, server.get(t.Context(), "metadata", nil, &scraped))
			for name := range scraped {
				if strings.HasPrefix(name, "millrace_") {
					require.Contains(c, listed, name)
				}
			}
			for name, row := range listed {
				require.Len(c, scraped[name], 1, "%s is not scraped, or not the same everywhere", name)
				require.Equal(c, row.kind, scraped[name][0].Type, name)
			}
		}, patience, often)
	})
}

// plant is intake and two workers, in this process but with a registry and a
// metrics listener each, as if they were processes.
type plant struct {
	t       *testing.T
	db      *dbtest.DB
	url     string
	key     string
	metrics map[string][]string // addresses by program
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, db: dbtest.New(t), metrics: map[string][]string{}}
	_, key, err := apikey.Create(t.Context(), p.db.Tenancy(t, postgres.Owner),
		apikey.Request{Tenant: "alice", Scopes: []apikey.Scope{apikey.JobsRead, apikey.JobsWrite, apikey.MetricsWrite}}, time.Now())
	require.NoError(t, err)
	p.key = key.Reveal()

	stripe, err := sandbox.NewStripe(sandbox.Options{Latency: 20 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, stripe.Inject(
		sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/confirm", PaymentMethod: "pm_card_mastercard", Probability: 0.5},
		sandbox.Fault{Kind: sandbox.FaultRateLimit, Path: "/confirm", PaymentMethod: "pm_card_amex", Probability: 0.5},
		sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/confirm", PaymentMethod: "pm_card_jcb"},
	))
	gateway := httptest.NewServer(stripe)
	mails := mailbox.New(mailbox.Options{})
	post := httptest.NewServer(mails)
	t.Cleanup(func() {
		assert.NoError(t, errors.Join(stripe.Close(), mails.Close()))
		gateway.Close()
		post.Close()
	})

	listener := listen(t)
	p.url = "http://" + listener.Addr().String()
	stripeSecret, err := stripe.SetWebhook(p.url+"/webhooks/stripe", "")
	require.NoError(t, err)
	resendSecret, err := mails.SetWebhook(p.url+"/webhooks/resend", "")
	require.NoError(t, err)
	database := telemetry.Secret(p.db.URL)
	registry := p.measured("intake")
	start(t, func(ctx context.Context) error {
		return intakeserver.Run(ctx, intakeserver.Options{
			DatabaseURL: database, StripeWebhookSecret: telemetry.Secret(stripeSecret), ResendWebhookSecret: telemetry.Secret(resendSecret),
			Listener: listener, Logger: dbtest.Logger(t), Registry: registry,
			// Three people get all mails, for as long as the queries take.
			RateLimits: ratelimit.Limits{ratelimit.Recipients: {Quota: 10000, Period: ratelimit.Hour}},
		})
	})
	for range 2 {
		registry := p.measured("worker")
		start(t, func(ctx context.Context) error {
			return workerpool.Run(ctx, workerpool.Options{
				DatabaseURL: database, Stripe: config.Stripe{Key: "sk_test_x", APIBase: gateway.URL},
				Resend: config.Resend{ResendKey: "re_x", ResendBase: post.URL, EmailFrom: "bookings@acme.example"}, Logger: dbtest.Logger(t), Registry: registry,
			})
		})
	}
	return p
}

// measured returns a registry whose metrics are served until the test ends.
func (p *plant) measured(name string) *prometheus.Registry {
	p.t.Helper()
	registry := telemetry.NewRegistry("test")
	listener := listen(p.t)
	server := telemetry.MetricsServer(registry, dbtest.Logger(p.t))
	start(p.t, func(ctx context.Context) error { return program.Serve(ctx, server, listener, func() {}) })
	p.metrics[name] = append(p.metrics[name], listener.Addr().String())
	return registry
}

// work keeps the plant busy until the test ends: payments, of which some succeed,
// some are declined, and some are tried again because the gateway fails or asks
// to wait; bookings whose mails arrive, bounce or annoy; conversations; metric
// points; and requests that are refused.
func (p *plant) work() {
	p.t.Helper()
	ctx := p.t.Context()
	later := time.Now().Add(time.Hour)
	_, err := p.pay(ctx, "pm_card_visa", &later)
	require.NoError(p.t, err)
	p.discard()
	p.calendar()
	p.often(200*time.Millisecond, func(ctx context.Context, i int) error {
		methods := []string{"pm_card_visa", "pm_card_visa_chargeDeclined", "pm_card_mastercard", "pm_card_amex"}
		_, err := p.pay(ctx, methods[i%len(methods)], nil)
		return err
	})
	p.often(time.Second, p.book)
	p.often(time.Second, func(ctx context.Context, i int) error {
		at := time.Now().UTC()
		messages := []map[string]any{
			{"role": "user", "content": fmt.Sprintf("My order is late, write to jo%d@example.com or call 212-555-0147.", i), "at": at.Add(-2 * time.Minute)},
			{"role": "assistant", "content": "I am sorry. It is on its way and arrives tomorrow.", "at": at.Add(-time.Minute)},
			{"role": "user", "content": "Thank you, that is great!", "at": at},
		}
		return p.accepted(ctx, "/v1/conversations", map[string]any{"session_id": fmt.Sprintf("s%d", i), "messages": messages})
	})
	p.often(time.Second, func(ctx context.Context, i int) error {
		return p.accepted(ctx, "/v1/metrics", map[string]any{"points": []map[string]any{{"name": "load", "value": i}}})
	})
	p.often(time.Second, func(ctx context.Context, _ int) error {
		for _, refused := range []struct {
			key, path string
			status    int
		}{{"no-key", "/v1/jobs", http.StatusUnauthorized}, {p.key, "/v1/jobs/9000000000", http.StatusNotFound}} {
			status, body, err := p.send(ctx, http.MethodGet, refused.path, refused.key, nil)
			if err == nil && status != refused.status {
				err = fmt.Errorf("%s: %d: %s", refused.path, status, body)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// often does something again and again until the test ends.
func (p *plant) often(pause time.Duration, act func(ctx context.Context, i int) error) {
	p.t.Helper()
	start(p.t, func(ctx context.Context) error {
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for i := 0; ; i++ {
			if err := act(ctx, i); err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	})
}

// calendar is open around the clock, for more bookings than a test makes.
func (p *plant) calendar() {
	p.t.Helper()
	hours := map[string]any{}
	for day := time.Sunday; day <= time.Saturday; day++ {
		hours[strings.ToLower(day.String())] = []map[string]string{{"from": "00:00", "to": "24:00"}}
	}
	status, body, err := p.send(p.t.Context(), http.MethodPut, "/v1/calendar", p.key, map[string]any{
		"resource": "default", "timezone": "UTC", "hours": hours, "slot_minutes": 15, "buffer_minutes": 0, "days_ahead": 30, "reminder_minutes": 60,
		"business": map[string]string{"name": "Acme", "email": "desk@acme.example"},
	})
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusOK, status, string(body))
}

// book takes the i-th slot from three days ahead on. Its mail ends as the address says.
func (p *plant) book(ctx context.Context, i int) error {
	ends := []string{"delivered", "bounced", "complained"}
	at := time.Now().UTC().Truncate(24 * time.Hour).Add(72*time.Hour + time.Duration(i)*15*time.Minute)
	return p.accepted(ctx, "/v1/bookings", map[string]any{
		"slot_id": at.Format("default.20060102T150405Z"), "name": "Jo Doe", "email": fmt.Sprintf("%s+%d@resend.dev", ends[i%len(ends)], i), "timezone": "UTC",
	})
}

// accepted submits something.
func (p *plant) accepted(ctx context.Context, path string, body any) error {
	status, answer, err := p.send(ctx, http.MethodPost, path, p.key, body)
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("%s: %d: %s", path, status, answer)
	}
	return err
}

// discard lets a job fail in its last attempt, which is its first.
func (p *plant) discard() {
	p.t.Helper()
	later := time.Now().Add(time.Hour)
	job, err := p.pay(p.t.Context(), "pm_card_jcb", &later)
	require.NoError(p.t, err)
	_, err = p.db.Pool(p.t, postgres.Login).Exec(p.t.Context(),
		"UPDATE river_job SET max_attempts = 1, state = 'available', scheduled_at = now() WHERE id = $1", job)
	require.NoError(p.t, err)
}

// pay submits a payment and returns its job's id.
func (p *plant) pay(ctx context.Context, method string, at *time.Time) (string, error) {
	payment := map[string]any{"amount": 1999, "currency": "usd", "payment_method": method}
	if at != nil {
		payment["scheduled_at"] = at.Format(time.RFC3339)
	}
	status, body, err := p.send(ctx, http.MethodPost, "/v1/payments", p.key, payment)
	if err != nil {
		return "", err
	}
	var accepted struct{ Job struct{ ID string } }
	if err := json.Unmarshal(body, &accepted); err != nil || status != http.StatusAccepted {
		return "", fmt.Errorf("%d: %s", status, body)
	}
	return accepted.Job.ID, nil
}

func (p *plant) send(ctx context.Context, method, path, key string, body any) (int, []byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", uuid.NewString())
	return do(request)
}

func do(request *http.Request) (int, []byte, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// start runs something until the test ends.
func start(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done) // FailNow would keep the report of a test with subtests back
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// server is a Prometheus.
type server struct{ url string }

// startPrometheus runs a Prometheus on a directory of its own until the test
// ends. It scrapes the addresses, listed by job, every second.
func startPrometheus(t *testing.T, targets map[string][]string) *server {
	t.Helper()
	var jobs []map[string]any
	for job, addresses := range targets {
		jobs = append(jobs, map[string]any{"job_name": job, "static_configs": []map[string]any{{"targets": addresses}}})
	}
	return runPrometheus(t, map[string]any{"global": map[string]any{"scrape_interval": "1s"}, "scrape_configs": jobs})
}

// runPrometheus is startPrometheus with a configuration of its own.
func runPrometheus(t *testing.T, settings map[string]any) *server {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	require.NoError(t, err, "this test needs the program prometheus on the PATH: apt-get install prometheus, brew install prometheus, or https://prometheus.io/download")
	configuration, err := json.Marshal(settings) // JSON is YAML
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, configuration, 0o600))
	// Prometheus does not tell which port it took, so it is told one that is free.
	free := listen(t)
	address := free.Addr().String()
	require.NoError(t, free.Close())

	command := exec.CommandContext(t.Context(), binary, //nolint:gosec // the arguments are our own
		"--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	command.Stdout, command.Stderr = t.Output(), t.Output()
	// When the test ends, its context does: ask that process to stop, and see that it has.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	require.NoError(t, command.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait() // that it was asked to stop is no failure
	}()
	t.Cleanup(func() { <-ended })

	s := &server{url: "http://" + address}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		select {
		case <-ended:
			require.Fail(c, "prometheus has stopped")
		default:
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/-/ready", nil)
		require.NoError(c, err)
		status, _, err := do(request)
		require.NoError(c, err)
		require.Equal(c, http.StatusOK, status)
	}, patience, often)
	return s
}

// get reads the data of an answer of Prometheus's HTTP API.
func (s *server) get(ctx context.Context, path string, parameters url.Values, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/"+path+"?"+parameters.Encode(), nil)
	if err != nil {
		return err
	}
	_, body, err := do(request)
	if err != nil {
		return err
	}
	answer := struct {
		Status string
		Error  string
		Data   any
	}{Data: data}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return nil
}

type series struct {
	labels map[string]string
	value  float64
}

// query evaluates PromQL as of now. Series whose value is no number are left
// out: Grafana draws nothing for them.
func (s *server) query(ctx context.Context, expr string) ([]series, error) {
	var vector struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any // time, and the number as a text
		}
	}
	if err := s.get(ctx, "query", url.Values{"query": {expr}}, &vector); err != nil {
		return nil, err
	}
	var found []series
	for _, r := range vector.Result {
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("a value of %v: %w", r.Value, err)
		}
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			found = append(found, series{labels: r.Metric, value: value})
		}
	}
	return found, nil
}
