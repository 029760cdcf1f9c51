//go:build prometheus

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"millrace/internal/redistest"
	"millrace/internal/sandbox"
	"millrace/internal/telemetry"
	"millrace/jobs"
	"millrace/workers"
)

// unprovoked are the alerts that only promtool tests, and why.
func unprovoked() map[string]string {
	return map[string]string{
		"MillraceIntakeRefuses":  "8,192 submissions would have to wait at once",
		"MillraceVacuumHeldBack": "ten million transactions would have to pass",
		"MillraceDeadTuples":     "autovacuum would have to lose for a minute, and does not do so reliably",
		"MillraceClockSkew":      "programs and database of a test share a clock",
		"MillraceCrashLoop":      "programs of a test share their process",
	}
}

// A healthy system under load wakes nobody and writes no ticket.
//
//nolint:paralleltest // what else runs would slow it down, and late work is what it must not have
func TestNothingFiresWhileAllIsWell(t *testing.T) {
	m := newMill(t, &sync.Map{})
	m.intake(nil)
	m.worker(nil)
	m.worker(nil)
	half := fastTime()
	half.faster /= 2 // two scrapes may fail
	m.watch(half)
	m.work()
	m.passed(45)
	require.Empty(t, m.everFired())
}

// Every alert but those is provoked for real: real programs, a real Postgres and a real
// Prometheus with the real rules, in which an hour passes in a minute.
func TestEveryAlertIsProvoked(t *testing.T) {
	t.Parallel()
	seen := &sync.Map{}
	courses := map[string]func(*mill){
		"limits, pauses and events": provokeAround,
		"the gateway":               provokeProviders,
		"the database":              provokeDatabase,
		"the programs":              provokePrograms,
	}
	var whole atomic.Int32
	t.Run("with", func(t *testing.T) { // it ends when all of them have
		for name, test := range courses {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(newMill(t, seen))
				whole.Add(1)
			})
		}
	})
	if int(whole.Load()) < len(courses) {
		return // one failed, or was not to run
	}
	for _, name := range alertNames() {
		_, fired := seen.Load(name)
		assert.NotEqual(t, unprovoked()[name] != "", fired, "%s: provoked here or not, but not both", name)
	}
}

// provokeAround provokes what fires although work flows.
func provokeAround(m *mill) {
	t, ctx := m.t, m.t.Context()
	redis := redistest.Start(t)
	m.intake(func(o *intakeserver.Options) { o.RedisURL = telemetry.Secret(redis.URL) })
	m.worker(nil)
	m.worker(nil)
	m.watch(fastTime())
	m.work()
	m.passed(10)

	owner := m.db.Tenancy(t, postgres.Owner)
	login := m.db.Pool(t, postgres.Login)
	one := 1
	bob := m.newKey("bob", nil)
	_, err := apikey.SetTenant(ctx, owner, "bob", apikey.TenantChange{MaxWaitingJobs: &one})
	require.NoError(t, err)
	carol := m.newKey("carol", map[string]string{"reads": "10/m"})
	require.NoError(t, m.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/confirm", PaymentMethod: "pm_card_jcb"}))
	later := time.Now().Add(time.Hour)
	orphan, err := m.pay(ctx, "pm_card_visa", &later)
	require.NoError(t, err)

	m.provoke(func() {
		for _, queue := range []string{"rollups", "audit"} {
			require.NoError(t, workers.PauseQueue(ctx, owner, queue))
		}
	}, "MillraceRollupBehind", "MillraceAuditSealingBehind", "MillraceQueuePaused")
	m.provoke(func() { redis.Kill(t) }, "MillraceRateLimiterDegraded")
	m.provoke(func() {
		m.load(func(ctx context.Context, _ int) error { return m.try(ctx, http.MethodGet, "/v1/jobs", carol, nil) })
	}, "MillraceRateLimited")
	m.provoke(func() {
		m.load(func(ctx context.Context, _ int) error {
			return m.try(ctx, http.MethodPost, "/v1/payments", bob, map[string]any{
				"amount": 100, "currency": "usd", "payment_method": "pm_card_visa", "scheduled_at": later.Format(time.RFC3339),
			})
		})
	}, "MillraceWaitingJobsRefused")
	m.provoke(func() {
		m.load(func(ctx context.Context, _ int) error { return m.forge(ctx, http.StatusBadRequest) })
	}, "MillraceWebhooksRefused")
	m.provoke(m.discard, "MillraceDeadLettersGrow")
	m.provoke(func() {
		// As a worker leaves it that is killed.
		_, err := login.Exec(ctx, "UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now() - interval '1 h', attempted_by = '{gone}' WHERE id = $1", orphan)
		require.NoError(t, err)
	}, "MillraceJobsRescued")
	m.provoke(func() { m.book("bounced", 7) }, "MillraceMailsBounce")
	m.fire()

	m.requireData()
}

// provokeProviders breaks what Stripe and Resend do.
func provokeProviders(m *mill) {
	t := m.t
	m.intake(func(o *intakeserver.Options) { o.StripeWebhookSecret, o.ResendWebhookSecret = "", "" })
	worker := m.worker(nil)
	m.watch(fastTime())
	m.provoke(func() {
		m.load(func(ctx context.Context, _ int) error {
			return m.forge(ctx, http.StatusServiceUnavailable)
		})
	}, "MillraceWebhooksFail")
	m.provoke(func() {
		require.NoError(t, m.mails.Inject(mailbox.Fault{Kind: mailbox.FaultRefused}))
		m.book("delivered", 8)
	}, "MillraceMailsFail")
	m.provoke(func() {
		require.NoError(t, m.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultSlow, Path: "/confirm", DelayMS: 6000}))
		m.load(func(ctx context.Context, _ int) error {
			_, err := m.pay(ctx, "pm_card_visa", nil)
			return err
		})
	}, "MillraceBudgetBurnsFast", "MillraceBudgetBurnsSlowly")
	m.fire()

	m.stripe.ClearFaults()
	m.provoke(func() {
		for range 2 {
			m.load(func(ctx context.Context, _ int) error {
				_, err := m.pay(ctx, "pm_card_visa_chargeDeclined", nil)
				return err
			})
		}
	}, "MillracePaymentsFail")
	m.provoke(func() {
		_, err := m.db.Pool(t, postgres.Owner).Exec(t.Context(), "REVOKE ALL ON conversations FROM millrace_worker")
		require.NoError(t, err)
		m.load(func(ctx context.Context, n int) error {
			return m.expect(ctx, http.StatusAccepted, http.MethodPost, "/v1/conversations", m.key,
				map[string]any{"session_id": fmt.Sprintf("s%d", n), "messages": []map[string]any{{"role": "user", "content": "Hello"}}})
		})
	}, "MillraceAttemptsFail")
	m.fire()

	m.provoke(func() {
		require.NoError(t, m.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500}))
	}, "MillraceProviderOpen")
	m.fire()

	m.provoke(func() {
		worker()
		refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":{"type":"invalid_request_error","message":"Invalid API Key provided"}}`))
		}))
		t.Cleanup(refusing.Close)
		m.worker(func(o *workerpool.Options) { o.Stripe.APIBase = refusing.URL })
	}, "MillraceProviderRefusesAll")
	m.fire()
}

// provokeDatabase lets a lock hold up everything.
func provokeDatabase(m *mill) {
	t, ctx := m.t, m.t.Context()
	m.intake(nil)
	m.worker(nil)
	m.watch(fastTime())
	pay := func(ctx context.Context, _ int) error {
		return m.try(ctx, http.MethodPost, "/v1/payments", m.key, map[string]any{"amount": 100, "currency": "usd", "payment_method": "pm_card_visa"})
	}
	read := func(ctx context.Context, _ int) error { return m.try(ctx, http.MethodGet, "/v1/jobs", m.key, nil) }
	m.load(pay)
	m.passed(10)

	tx, err := m.db.Pool(t, postgres.Login).Begin(ctx)
	require.NoError(t, err)
	m.provoke(func() {
		_, err := tx.Exec(ctx, "LOCK TABLE submissions IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
		// Each waits for its answer, so there are many.
		for range 30 {
			m.load(read) //nolint:contextcheck // it ends with the test
			m.load(pay)  //nolint:contextcheck // it ends with the test
		}
	}, "MillraceAPISlow", "MillraceAPIErrors", "MillracePoolFull", "MillraceOldTransaction")
	m.fire()
	require.NoError(t, tx.Rollback(ctx))

	tx, err = m.db.Pool(t, postgres.Login).Begin(ctx)
	require.NoError(t, err)
	m.provoke(func() {
		_, err := tx.Exec(ctx, "LOCK TABLE river_queue IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
	}, "MillraceMetricsStale")
	m.fire()
	require.NoError(t, tx.Rollback(ctx))
}

// provokePrograms ends them.
func provokePrograms(m *mill) {
	intake := m.intake(nil)
	worker := m.worker(nil)
	m.watch(fastTime())
	pay := func(ctx context.Context, _ int) error {
		_ = m.try(ctx, http.MethodPost, "/v1/payments", m.key, map[string]any{"amount": 100, "currency": "usd", "payment_method": "pm_card_visa"})
		return nil
	}
	m.load(pay)
	m.load(pay)
	m.passed(10)

	m.provoke(worker, "MillraceNoLeader", "MillraceNoWorker", "MillraceTargetDown")
	m.fire()
	// One that works mails only leads and sees the payments wait.
	for range 8 {
		m.load(pay)
	}
	m.provoke(func() {
		m.worker(func(o *workerpool.Options) { o.Queues = config.Queues{"emails": 1} })
	}, "MillraceJobsTooOld", "MillraceBacklogGrows")
	m.fire()
	require.Contains(m.t, m.firing(), "MillraceNoWorker", "nobody works payments")
	m.provoke(intake, "MillraceNoIntake")
	m.fire()
}

// mill is the programs on a database of their own, with sandboxes for Stripe and Resend,
// and a Prometheus that watches them.
type mill struct {
	*plant
	seen   *sync.Map
	stripe *sandbox.Stripe
	mails  *mailbox.Mailbox
	// gateway and post are the addresses of the sandboxes.
	gateway, post string
	// targets is the file in which Prometheus finds the addresses.
	targets   string
	addresses []string
	server    *server
	// since is when nothing was wrong for the first time.
	since time.Time
	// pending are the alerts that were provoked and have not been seen.
	pending []string
}

func newMill(t *testing.T, seen *sync.Map) *mill {
	t.Helper()
	m := &mill{plant: &plant{t: t, db: dbtest.New(t)}, seen: seen, mails: mailbox.New(mailbox.Options{}), targets: filepath.Join(t.TempDir(), "targets.json")}
	var err error
	m.stripe, err = sandbox.NewStripe(sandbox.Options{})
	assert.NoError(t, err)
	gateway, post := httptest.NewServer(m.stripe), httptest.NewServer(m.mails)
	t.Cleanup(func() {
		assert.NoError(t, m.stripe.Close())
		assert.NoError(t, m.mails.Close())
		gateway.Close()
		post.Close()
	})
	m.gateway, m.post = gateway.URL, post.URL
	m.key = m.newKey("alice", nil)
	return m
}

func (m *mill) newKey(tenant string, limits map[string]string) string {
	m.t.Helper()
	_, key, err := apikey.Create(m.t.Context(), m.db.Tenancy(m.t, postgres.Owner), apikey.Request{
		Tenant: tenant, Scopes: []apikey.Scope{apikey.JobsRead, apikey.JobsWrite, apikey.MetricsWrite}, Limits: limits,
	}, time.Now())
	require.NoError(m.t, err)
	return key.Reveal()
}

// run runs something until it is stopped or the test ends.
func (m *mill) run(work func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(m.t.Context())
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(m.t, <-done)
	})
	m.t.Cleanup(stop)
	return stop
}

// measuredProgram returns a program with its metrics listener: they end together.
func (m *mill) measuredProgram(registry *prometheus.Registry, work func(context.Context) error) func(context.Context) error {
	m.t.Helper()
	listener := listen(m.t)
	server := telemetry.MetricsServer(registry, dbtest.Logger(m.t))
	m.addresses = append(m.addresses, listener.Addr().String())
	m.scrape()
	return func(ctx context.Context) error {
		served := make(chan error, 1)
		serving, stop := context.WithCancel(ctx)
		defer stop()
		go func() { served <- program.Serve(serving, server, listener, func() {}) }()
		err := work(ctx)
		stop()
		if serveErr := <-served; err == nil {
			err = serveErr
		}
		return err
	}
}

const stripeSecret = "whsec_of_a_test" //nolint:gosec // it signs nothing

func (m *mill) intakeProgram(change func(*intakeserver.Options)) func(context.Context) error {
	m.t.Helper()
	listener := listen(m.t)
	m.url = "http://" + listener.Addr().String()
	secret, err := m.mails.SetWebhook(m.url+"/webhooks/resend", "")
	require.NoError(m.t, err)
	options := intakeserver.Options{
		DatabaseURL: telemetry.Secret(m.db.URL), Listener: listener, Logger: dbtest.Logger(m.t), Registry: telemetry.NewRegistry("test"),
		StripeWebhookSecret: stripeSecret, ResendWebhookSecret: telemetry.Secret(secret),
	}
	if change != nil {
		change(&options)
	}
	return m.measuredProgram(options.Registry, func(ctx context.Context) error { return intakeserver.Run(ctx, options) })
}

func (m *mill) intake(change func(*intakeserver.Options)) (stop func()) {
	m.t.Helper()
	return m.run(m.intakeProgram(change))
}

func (m *mill) worker(change func(*workerpool.Options)) (stop func()) {
	m.t.Helper()
	options := workerpool.Options{
		DatabaseURL: telemetry.Secret(m.db.URL), Stripe: config.Stripe{Key: "sk_test_x", APIBase: m.gateway},
		Resend: config.Resend{ResendKey: "re_x", ResendBase: m.post, EmailFrom: "bookings@acme.example"},
		Logger: dbtest.Logger(m.t), Registry: telemetry.NewRegistry("test"),
	}
	if change != nil {
		change(&options)
	}
	return m.run(m.measuredProgram(options.Registry, func(ctx context.Context) error { return workerpool.Run(ctx, options) }))
}

// scrape tells Prometheus the addresses.
func (m *mill) scrape() {
	m.t.Helper()
	text, err := json.Marshal([]map[string]any{{"targets": m.addresses}})
	require.NoError(m.t, err)
	require.NoError(m.t, os.WriteFile(m.targets, text, 0o600))
}

// watch starts Prometheus with the rules when a worker leads, and returns when it has
// seen that nothing is wrong.
func (m *mill) watch(p pace) {
	m.t.Helper()
	dir := m.t.TempDir()
	all, err := rulesOf(p, jobs.Catalog())
	require.NoError(m.t, err)
	for _, f := range all {
		if filepath.Dir(f.path) == "rules" {
			require.NoError(m.t, os.WriteFile(filepath.Join(dir, filepath.Base(f.path)), f.text, 0o600))
		}
	}
	m.server = runPrometheus(m.t, map[string]any{
		"global":     map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"},
		"rule_files": []string{filepath.Join(dir, "*.yaml")},
		"scrape_configs": []map[string]any{{
			"job_name": "millrace", "file_sd_configs": []map[string]any{{"files": []string{m.targets}, "refresh_interval": "1s"}},
		}},
	})
	require.EventuallyWithT(m.t, func(c *assert.CollectT) {
		answer, err := m.server.query(m.t.Context(), `sum(millrace_leader) == 1 and on () millrace_http_requests_in_flight and on () queue:millrace_jobs_finished:rate5m unless on () ALERTS`)
		require.NoError(c, err)
		require.NotEmpty(c, answer)
	}, patience, often)
	m.since = time.Now()
}

// work is what clients do all day, all of it successful.
func (m *mill) work() {
	m.t.Helper()
	m.load(func(ctx context.Context, n int) error {
		if _, err := m.pay(ctx, "pm_card_visa", nil); err != nil {
			return err
		}
		if n%5 != 0 {
			return nil
		}
		return m.expect(ctx, http.StatusAccepted, http.MethodPost, "/v1/conversations", m.key,
			map[string]any{"session_id": fmt.Sprintf("s%d", n), "messages": []map[string]any{{"role": "user", "content": "Thank you!"}}})
	})
	m.load(func(ctx context.Context, _ int) error {
		return m.expect(ctx, http.StatusAccepted, http.MethodPost, "/v1/metrics", m.key, map[string]any{"points": []map[string]any{{"name": "cpu", "value": 1}}})
	})
	m.load(func(ctx context.Context, _ int) error {
		return m.expect(ctx, http.StatusOK, http.MethodGet, "/v1/jobs", m.key, nil)
	})
	m.book("delivered", 3)
}

// load does something five times a second, or as often as it gets answers, until the
// test ends.
func (m *mill) load(do func(ctx context.Context, n int) error) {
	m.run(func(ctx context.Context) error {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for n := 0; ; n++ {
			if err := do(ctx, n); err != nil && ctx.Err() == nil {
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

// expect sends a request that has one right answer.
func (m *mill) expect(ctx context.Context, want int, method, path, key string, body any) error {
	status, answer, err := m.send(ctx, method, path, key, body)
	if err == nil && status != want {
		return fmt.Errorf("%s %s: %d, not %d: %s", method, path, status, want, answer)
	}
	return err
}

// forge sends an event that Stripe has not signed.
func (m *mill) forge(ctx context.Context, want int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/webhooks/stripe", strings.NewReader(`{"id":"evt_forged"}`))
	if err != nil {
		return err
	}
	request.Header.Set("Stripe-Signature", fmt.Sprintf("t=%d,v1=%064x", time.Now().Unix(), 7))
	status, answer, err := do(request)
	if err == nil && status != want {
		return fmt.Errorf("a forged event: %d, not %d: %s", status, want, answer)
	}
	return err
}

// try sends a request, whatever the answer.
func (m *mill) try(ctx context.Context, method, path, key string, body any) error {
	_, _, err := m.send(ctx, method, path, key, body)
	return err
}

// book takes so many slots for addresses of the mailbox to which it does that.
func (m *mill) book(what string, n int) {
	m.t.Helper()
	ctx := m.t.Context()
	for day := time.Now().AddDate(0, 0, 1); n > 0; day = day.AddDate(0, 0, 1) {
		status, body, err := m.send(ctx, http.MethodGet, "/v1/slots?timezone=UTC&date="+day.Format(time.DateOnly), m.key, nil)
		require.NoError(m.t, err)
		require.Equal(m.t, http.StatusOK, status, string(body))
		var free struct{ Slots []struct{ ID string } }
		require.NoError(m.t, json.Unmarshal(body, &free))
		for _, slot := range free.Slots[:min(n, len(free.Slots))] {
			require.NoError(m.t, m.expect(ctx, http.StatusAccepted, http.MethodPost, "/v1/bookings", m.key,
				map[string]any{"slot_id": slot.ID, "name": "Ada", "email": fmt.Sprintf("%s+%d@resend.dev", what, n), "timezone": "UTC"}))
			n--
		}
	}
}

// passed waits until the rules were evaluated for so many seconds.
func (m *mill) passed(seconds int) {
	m.t.Helper()
	require.EventuallyWithT(m.t, func(c *assert.CollectT) {
		answer, err := m.server.query(m.t.Context(), fmt.Sprintf(`count_over_time(queue:millrace_jobs_finished:rate5m{queue="payments"}[10m]) > %d`, seconds))
		require.NoError(c, err)
		require.NotEmpty(c, answer)
	}, 2*patience, often)
}

// everFired names the alerts that have fired since the beginning.
func (m *mill) everFired() []string {
	m.t.Helper()
	answer, err := m.server.query(m.t.Context(),
		fmt.Sprintf(`count by (alertname, kind, queue) (max_over_time(ALERTS{alertstate="firing"}[%ds]))`, int(time.Since(m.since).Seconds())+1))
	require.NoError(m.t, err)
	var names []string
	for _, s := range answer {
		names = append(names, fmt.Sprint(s.labels))
	}
	return names
}

// firing names the alerts that fire now, whose texts must be whole.
func (m *mill) firing() []string {
	m.t.Helper()
	var answer struct {
		Alerts []struct {
			State               string
			Labels, Annotations map[string]string
		}
	}
	require.NoError(m.t, m.server.get(m.t.Context(), "alerts", url.Values{}, &answer))
	var names []string
	for _, a := range answer.Alerts {
		if a.State != "firing" {
			continue
		}
		require.NotRegexp(m.t, `<no value>|<error|\{\{`, fmt.Sprint(a.Annotations), a.Labels["alertname"])
		names = append(names, a.Labels["alertname"])
	}
	return names
}

// provoke does what must make alerts fire that do not fire yet.
func (m *mill) provoke(do func(), alerts ...string) {
	m.t.Helper()
	firing := m.firing()
	for _, name := range alerts {
		require.NotContains(m.t, firing, name, "before it was provoked")
	}
	m.pending = append(m.pending, alerts...)
	do()
}

// fire waits until what was provoked has fired.
func (m *mill) fire() {
	m.t.Helper()
	started := time.Now()
	require.EventuallyWithT(m.t, func(c *assert.CollectT) {
		for _, name := range m.firing() {
			m.pending = slices.DeleteFunc(m.pending, func(one string) bool {
				if one == name {
					m.seen.Store(name, true)
					m.t.Logf("%s fires after %.0f s", name, time.Since(started).Seconds())
				}
				return one == name
			})
		}
		require.Empty(c, m.pending)
	}, 3*patience, often)
}

// requireData shows that every rule is evaluated without error, that every recording
// rule returns data, and that everything that an alert asks for is there.
func (m *mill) requireData() {
	m.t.Helper()
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	require.NoError(m.t, m.server.get(m.t.Context(), "rules", url.Values{}, &answer))
	rules := 0
	for _, group := range answer.Groups {
		for _, rule := range group.Rules {
			rules++
			require.Equal(m.t, "ok", rule.Health, "%s: %s", rule.Name, rule.LastError)
		}
	}
	require.Equal(m.t, len(recordings(realTime()))+len(everyAlert(realTime(), jobs.Catalog())), rules)
	selectors := map[string]bool{}
	for _, r := range recordings(fastTime()) {
		selectors[r.name] = true
	}
	form := regexp.MustCompile(`\b(?:[a-z]+:)?(?:millrace|process)_[\w:]+(?:\{[^}]*\})?|\bup\b`)
	for _, a := range everyAlert(fastTime(), jobs.Catalog()) {
		for _, selector := range form.FindAllString(a.expr, -1) {
			selectors[selector] = true
		}
	}
	for selector := range selectors {
		// A kind of which none has ended is not recorded, nor is there a 5xx without one.
		if regexp.MustCompile(`^kind:millrace_jobs_late:\w+\{`).MatchString(selector) || regexp.MustCompile(`status=~"5`).MatchString(selector) {
			continue
		}
		answer, err := m.server.query(m.t.Context(), "count(last_over_time("+selector+"[5m]))")
		require.NoError(m.t, err)
		require.NotEmpty(m.t, answer, "no data for %s", selector)
	}
}
