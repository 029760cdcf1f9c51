package api_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/audit"
)

// operator makes an operator's key, and returns what a browser sends for her.
func (s *site) operator() (key, authorization string) {
	s.t.Helper()
	key = s.key("operations", apikey.OpsConsole)
	return key, basic("ann", key)
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// ops asks the console for something as a browser does.
func (s *site) ops(authorization, method, path, body string, header ...string) answer {
	s.t.Helper()
	h := map[string]string{"Authorization": authorization, "X-Request-Id": "ops"}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return s.do(request{method: method, path: "/ops" + path, body: body, header: h})
}

// waiting submits a payment that is due in a year.
func (s *site) waiting(idempotencyKey string) (job, payment string) {
	s.t.Helper()
	due := time.Now().AddDate(1, 0, 0).Format(time.RFC3339)
	a := s.pay(s.alice, idempotencyKey, strings.Replace(charge, "{", `{"scheduled_at":"`+due+`",`, 1))
	require.Equal(s.t, 202, a.status, a.text)
	job, _ = a.at("job", "id").(string)
	payment, _ = a.at("payment", "id").(string)
	return job, payment
}

func chosen(list ...string) string { return `{"ids":["` + strings.Join(list, `","`) + `"]}` }

func TestTheConsoleIsForOperators(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key, ann := s.operator()
	everything := s.key("alice", apikey.JobsRead, apikey.JobsWrite, apikey.MetricsWrite, apikey.PHIReveal, apikey.OpsAdmin)
	for name, c := range map[string]struct {
		authorization string
		status        int
	}{
		"nothing":                    {"", 401},
		"a wrong key":                {basic("ann", "mrk_nonsense"), 401},
		"the key as the name":        {basic(key, "x"), 401},
		"no Base64":                  {"Basic " + key, 401},
		"an expired key":             {basic("ann", s.expiredKey()), 401},
		"a revoked key":              {basic("ann", s.revokedKey()), 401},
		"a tenant's key":             {basic("ann", s.alice), 403},
		"ops:admin, and all but it":  {"Bearer " + everything, 403},
		"an operator in a browser":   {ann, 200},
		"an operator with curl":      {"Bearer " + key, 200},
		"an operator without a name": {basic("", key), 200},
	} {
		for _, path := range []string{"/", "/jobs", "/jobs/1", "/queues", "/api/states", "/api/jobs", "/robots.txt"} {
			a := s.ops(c.authorization, "GET", path, "")
			require.Equal(t, c.status, a.status, "%s: %s: %s", name, path, a.text)
			require.Equal(t, "no-store", a.header.Get("Cache-Control"))
			require.Equal(t, "DENY", a.header.Get("X-Frame-Options"))
			require.Contains(t, a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
			require.NotContains(t, a.text, key[20:])
			if c.status == 401 {
				require.True(t, strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic realm="), "a browser asks for a name and a password")
				require.Equal(t, "AUTH_REQUIRED", a.code())
				require.Equal(t, a.at("error"), a.at("message"), "River UI's pages read the second")
			}
		}
	}
	require.Equal(t, "/ops/", s.do(request{method: "GET", path: "/ops"}).header.Get("Location"))
	require.NotContains(t, s.do(request{method: "GET", path: "/openapi.json"}).text, "/ops", "it is no part of the contract")
}

func TestARefusedOperatorIsNotedAndLimited(t *testing.T) {
	t.Parallel()
	s := newLimitedSite(t, "failures=3/m")
	s.noted()
	require.Equal(t, 403, s.ops(basic("eve", s.alice), "GET", "/jobs", "").status)
	entries := s.noted()
	require.Len(t, entries, 1)
	require.Equal(t, actorOf(s.alice)+" operator:eve 127.0.0.1 ops requested route refused", done(entries[0]))
	require.Equal(t, "GET /ops/*path", entries[0].ResourceID)
	require.Equal(t, audit.Details{"required_scope": "ops:console"}, entries[0].Details)
	for range 3 {
		require.Equal(t, 401, s.ops(basic("eve", "guess"), "GET", "/", "").status)
	}
	require.Equal(t, 429, s.ops(basic("eve", "guess"), "GET", "/", "").status)
	_, ann := s.operator()
	require.Equal(t, 200, s.ops(ann, "GET", "/", "").status, "who has a key is not kept out")
}

// What a browser sends by itself must not be of use to the pages of other sites.
func TestOtherSitesCannotUseTheConsole(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *api.Options) { o.Origins = []string{"https://app.example.com"} })
	_, ann := s.operator()
	job, _ := s.waiting("k")
	s.noted()
	for name, header := range map[string][]string{
		"another site":        {"Sec-Fetch-Site", "cross-site"},
		"a neighbour":         {"Sec-Fetch-Site", "same-site"},
		"an old browser":      {"Origin", "https://evil.example"},
		"a page of CORS":      {"Origin", "https://app.example.com", "Sec-Fetch-Site", "cross-site"},
		"a page of no origin": {"Origin", "null"},
	} {
		for _, change := range [][3]string{
			{"POST", "/api/jobs/cancel", chosen(job)}, {"PUT", "/api/queues/payments/pause", ""}, {"POST", "/api/jobs/retry", chosen(job)}, {"DELETE", "/api/jobs", ""},
		} {
			a := s.ops(ann, change[0], change[1], change[2], header...)
			require.Equal(t, 403, a.status, "%s: %s", name, a.text)
			require.Equal(t, "CROSS_SITE", a.at("details", "reason"))
		}
	}
	require.Empty(t, s.noted())
	require.Equal(t, "scheduled", s.do(request{method: "GET", path: "/v1/jobs/" + job, key: s.alice}).at("state"))

	// Nor do the origins that may call the API read what operators see.
	for _, method := range []string{"GET", "OPTIONS"} {
		a := s.ops(ann, method, "/api/jobs", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "GET")
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"), method)
	}
	require.Equal(t, "https://app.example.com", s.do(request{method: "GET", path: "/healthz", header: map[string]string{"Origin": "https://app.example.com"}}).header.Get("Access-Control-Allow-Origin"))

	require.Equal(t, 200, s.ops(ann, "POST", "/api/jobs/cancel", chosen(job), "Sec-Fetch-Site", "same-origin", "Origin", s.url).status)
}

func TestAnOperatorSeesTheJobsOfAllTenants(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, ann := s.operator()
	job, payment := s.waiting("k")
	require.Equal(t, 202, s.pay(s.mallory, "k", charge).status)

	scheduled := s.ops(ann, "GET", "/api/jobs?state=scheduled&limit=20", "")
	require.Len(t, scheduled.at("data"), 1, scheduled.text)
	require.Contains(t, scheduled.text, payment)
	require.Len(t, s.ops(ann, "GET", "/api/jobs?state=available&kinds=payment_capture&queues=payments&priorities=1", "").at("data"), 1)
	for _, none := range []string{"", "?state=completed", "?state=available&kinds=x", "?state=available&queues=x", "?state=available&tags=x", "?state=available&priorities=4", "?state=available&ids=" + job} {
		require.Empty(t, s.ops(ann, "GET", "/api/jobs"+none, "").at("data"), none)
	}
	require.Len(t, s.ops(ann, "GET", "/api/jobs?state=scheduled&ids="+job, "").at("data"), 1)
	for _, wrong := range []string{"?state=asleep", "?limit=x", "?limit=1001", "?ids=x", "?priorities=high"} {
		require.Equal(t, 400, s.ops(ann, "GET", "/api/jobs"+wrong, "").status, wrong)
	}

	states := s.ops(ann, "GET", "/api/states", "")
	require.EqualValues(t, 1, states.at("available", "count"), states.text)
	require.Equal(t, "exact", states.at("available", "accuracy"))
	require.EqualValues(t, 0, states.at("discarded", "count"))

	one := s.ops(ann, "GET", "/api/jobs/"+job, "")
	require.Equal(t, "payment_capture", one.at("kind"))
	require.Equal(t, "alice", one.at("metadata", "tenant_id"))
	require.Equal(t, 404, s.ops(ann, "GET", "/api/jobs/999999", "").status)
	require.Equal(t, `{"data":["payment_capture","payment_reconciliation"]}`, strings.TrimSpace(s.ops(ann, "GET", "/api/autocomplete?facet=job_kind&match=PAY", "").text))
	require.Equal(t, 200, s.ops(ann, "GET", "/api/health-checks/complete", "").status)

	// A page that is reloaded is there, and finds what it needs under its own path.
	page := s.ops(ann, "GET", "/jobs/"+job, "", "Accept", "text/html")
	require.Contains(t, page.text, `"apiUrl":"/ops/api"`)
	require.Contains(t, page.text, `<script src="/ops/console.js"></script></head>`)
	own := s.ops(ann, "GET", "/console.js", "")
	require.Contains(t, own.text, "window.fetch =")
	require.Equal(t, "text/javascript; charset=utf-8", own.header.Get("Content-Type"))
	for asset := range strings.SplitSeq(page.text, `"`) {
		if strings.HasPrefix(asset, "/ops/assets/") {
			require.Equal(t, 200, s.do(request{method: "GET", path: asset, header: map[string]string{"Authorization": ann}}).status, asset)
		}
	}
}

// A change through the console is one through Millrace: the domain row goes with the
// job, and the audit log says who it was.
func TestAnOperatorCancelsAndRetries(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key, ann := s.operator()
	actor := actorOf(key) + " operator:ann"
	job, payment := s.waiting("k")
	s.noted()
	a := s.ops(ann, "POST", "/api/jobs/cancel", chosen(job))
	require.Equal(t, 200, a.status, a.text)
	require.JSONEq(t, `{"status":"ok"}`, a.text)
	require.Equal(t, "cancelled", s.do(request{method: "GET", path: "/v1/jobs/" + job, key: s.alice}).at("state"))
	require.Equal(t, "failed", s.do(request{method: "GET", path: "/v1/payments/" + payment, key: s.alice}).at("status"))
	entries := s.noted()
	require.Len(t, entries, 2)
	require.Equal(t, actor+" 127.0.0.1 ops changed payment failed", done(entries[0]))
	require.Equal(t, actor+" 127.0.0.1 ops cancelled job cancelled", done(entries[1]))
	require.Equal(t, job, entries[1].ResourceID)

	// What is final stays so, whatever River UI would do.
	for _, change := range []string{"retry", "delete"} {
		a := s.ops(ann, "POST", "/api/jobs/"+change, chosen(job))
		require.Contains(t, []int{405, 409}, a.status, a.text)
		require.NotEmpty(t, a.at("message"))
	}
	require.Empty(t, s.noted())
	require.Equal(t, 1, s.count("river_job"))

	other, _ := s.waiting("other")
	_, err := s.login.Exec(t.Context(), "UPDATE river_job SET state = 'discarded', attempt = 25, finalized_at = now() WHERE id = $1", other)
	require.NoError(t, err)
	s.noted()
	require.Equal(t, 200, s.ops("Bearer "+key, "POST", "/api/jobs/retry", chosen(other)).status)
	entries = s.noted()
	require.Len(t, entries, 1)
	require.Equal(t, actorOf(key)+" 127.0.0.1 ops retried job available", done(entries[0]))

	// One that has begun is not taken back, and does not keep others from it.
	begun, _ := s.waiting("begun")
	_, err = s.login.Exec(t.Context(), "UPDATE river_job SET state = 'running', attempt = 1 WHERE id = $1", begun)
	require.NoError(t, err)
	fresh, _ := s.waiting("fresh")
	a = s.ops(ann, "POST", "/api/jobs/cancel", chosen(fresh, begun, "999999"))
	require.Equal(t, 409, a.status)
	require.Contains(t, a.at("message"), "1 of 3 jobs were cancelled. Job "+begun+" was not: The job has started")
	require.Equal(t, "cancelled", s.do(request{method: "GET", path: "/v1/jobs/" + fresh, key: s.alice}).at("state"))
	require.Equal(t, 404, s.ops(ann, "POST", "/api/jobs/cancel", chosen("999999")).status)
	for _, wrong := range []string{"", "{}", `{"ids":[]}`, chosen("x"), chosen("-1"), `{"ids":[1]}`, `{"ids":["1"],"force":true}`, strings.Repeat(" ", 70_000)} {
		require.Contains(t, []int{400, 413}, s.ops(ann, "POST", "/api/jobs/cancel", wrong).status, wrong)
	}
}

// Jobs that the platform made for itself, or for a tenant, follow the same rules.
func TestAnOperatorControlsThePlatformsJobs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, ann := s.operator()
	add := func(tenant, kind, state, unique string) (id string) {
		require.NoError(t, s.login.QueryRow(t.Context(), `
			INSERT INTO river_job (kind, args, max_attempts, metadata, state, queue, finalized_at, unique_key, unique_states)
			VALUES ($2, '{}', 3, CASE WHEN $1 = '' THEN '{}' ELSE jsonb_build_object('tenant_id', $1::text) END, $3::text::river_job_state, 'q',
				CASE WHEN $3 = 'discarded' THEN now() END, nullif($4, '')::bytea, CASE WHEN $4 <> '' THEN B'00000001' END)
			RETURNING id::text`, tenant, kind, state, unique).Scan(&id))
		return id
	}
	state := func(id string) (state string) {
		require.NoError(t, s.login.QueryRow(t.Context(), "SELECT state::text FROM river_job WHERE id = $1", id).Scan(&state))
		return state
	}
	for _, tenant := range []string{"", "alice"} {
		waits := add(tenant, "metric_retention", "available", "")
		require.Equal(t, 200, s.ops(ann, "POST", "/api/jobs/cancel", chosen(waits)).status)
		require.Equal(t, "cancelled", state(waits))
		gone := add(tenant, "metric_retention", "discarded", "")
		require.Equal(t, 200, s.ops(ann, "POST", "/api/jobs/retry", chosen(gone)).status)
		require.Equal(t, "available", state(gone))
		require.Equal(t, 409, s.ops(ann, "POST", "/api/jobs/retry", chosen(waits)).status, "what was cancelled stays so")
	}
	// Of a kind of which only one may wait, one does: River's states in the order of
	// its bits, of which the first is available.
	add("", "audit_sealing", "available", "one")
	second := add("", "audit_sealing", "discarded", "one")
	a := s.ops(ann, "POST", "/api/jobs/retry", chosen(second))
	require.Equal(t, 409, a.status, a.text)
	require.Contains(t, a.at("message"), "waits")
	var actors []string
	rows, err := s.login.Query(t.Context(), "SELECT DISTINCT tenant_id || ' ' || role || ' ' || split_part(actor, ' ', 2) FROM audit_pending WHERE actor LIKE '%ann' ORDER BY 1")
	require.NoError(t, err)
	actors, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"- millrace_operator operator:ann", "alice millrace_intake operator:ann"}, actors)
}

func TestAnOperatorPausesQueues(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key, ann := s.operator()
	_, err := s.login.Exec(t.Context(), "INSERT INTO river_queue (name, created_at, updated_at) VALUES ('payments', now(), now()), ('emails', now(), now())")
	require.NoError(t, err)
	s.waiting("k")
	require.Equal(t, 202, s.pay(s.alice, "now", charge).status)
	listener, err := pgx.ConnectConfig(t.Context(), s.login.Config().ConnConfig)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close(t.Context()) })
	_, err = listener.Exec(t.Context(), `LISTEN "public.river_control"`)
	require.NoError(t, err)

	for _, c := range []struct{ change, detail string }{{"pause", "after.paused_at"}, {"resume", "before.paused_at"}} {
		require.Equal(t, 200, s.ops(ann, "PUT", "/api/queues/payments/"+c.change, "").status)
		told, err := listener.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Contains(t, told.Payload, c.change, "workers are told")
		var actor, queue string
		var details audit.Details
		require.NoError(t, s.login.QueryRow(t.Context(), `DELETE FROM audit_pending WHERE resource_type = 'queue' AND tenant_id = '-'
			RETURNING actor || ' ' || source || ' ' || request_id || ' ' || role || ' ' || action || ' ' || outcome, resource_id, details`).Scan(&actor, &queue, &details))
		require.Equal(t, actorOf(key)+" operator:ann 127.0.0.1 ops millrace_operator changed done", actor)
		require.Equal(t, "payments", queue)
		require.Contains(t, details, c.detail)

		one := s.ops(ann, "GET", "/api/queues/payments", "")
		require.Equal(t, c.change == "pause", one.at("paused_at") != nil, one.text)
		require.EqualValues(t, 1, one.at("count_available"))
		require.Len(t, s.ops(ann, "GET", "/api/queues?limit=100", "").at("data"), 2)
	}
	require.Equal(t, 404, s.ops(ann, "PUT", "/api/queues/nope/pause", "").status)
	require.Equal(t, 404, s.ops(ann, "GET", "/api/queues/nope", "").status)
	for _, c := range [][2]string{{"PATCH", "/api/queues/payments"}, {"DELETE", "/api/queues/payments"}, {"POST", "/api/jobs"}, {"PUT", "//api/queues/payments/pause"}, {"POST", "/"}} {
		a := s.ops(ann, c[0], c[1], "{}")
		require.Equal(t, 405, a.status, c)
		require.NotEmpty(t, a.at("message"))
	}
	var paused int
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(paused_at) FROM river_queue").Scan(&paused))
	require.Zero(t, paused)
}

// A name is what somebody typed: it gets into the audit log when it is one, and an
// e-mail address does not.
func TestTheOperatorsNameIsAClaim(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key, _ := s.operator()
	for i, c := range []struct{ name, actor string }{
		{"ann.o-2_x", actorOf(key) + " operator:ann.o-2_x"},
		{"", actorOf(key)},
		{"ann@example.com", actorOf(key)},
		{strings.Repeat("a", 33), actorOf(key)},
		{"ann \n", actorOf(key)},
	} {
		job, _ := s.waiting(fmt.Sprint(i))
		s.noted()
		require.Equal(t, 200, s.ops(basic(c.name, key), "POST", "/api/jobs/cancel", chosen(job)).status, c.name)
		for _, e := range s.noted() {
			require.Equal(t, c.actor, e.Actor)
		}
	}
}

// A real browser opens the console: its scripts run under our policy, and its pages
// come back when they are reloaded.
func TestTheConsoleInABrowser(t *testing.T) {
	t.Parallel()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("Chromium is not installed: apt-get install chromium")
	}
	s := newSite(t)
	_, ann := s.operator()
	job, payment := s.waiting("k")
	_, err = s.login.Exec(t.Context(), "INSERT INTO river_queue (name, created_at, updated_at) VALUES ('payments', now(), now())")
	require.NoError(t, err)
	// Whoever types a name and a password; scripts get no address that has them.
	address, err := url.Parse(s.url)
	require.NoError(t, err)
	typist := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(address)
		r.Out.Header.Set("Authorization", ann)
	}})
	t.Cleanup(typist.Close)
	for path, shows := range map[string]string{
		"/ops/": "Scheduled", "/ops/jobs?state=scheduled": "payment_capture", "/ops/jobs/" + job: payment, "/ops/queues": "payments", "/ops/queues/payments": "payments",
	} {
		home := t.TempDir()
		logs := filepath.Join(home, "log")
		cmd := exec.CommandContext(t.Context(), browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+home, //nolint:gosec // what LookPath found
			"--enable-logging", "--log-file="+logs, "--virtual-time-budget=10000", "--dump-dom", typist.URL+path)
		page, err := cmd.Output()
		require.NoError(t, err, path)
		require.Contains(t, string(page), shows, path)
		file, err := os.Open(logs) //nolint:gosec // of the test
		require.NoError(t, err)
		for lines := bufio.NewScanner(file); lines.Scan(); {
			require.NotContains(t, lines.Text(), "CONSOLE", "%s: the page complains", path)
		}
		require.NoError(t, file.Close())
	}
}

func TestWithoutAConsoleThereIsNone(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *api.Options) { o.Console = nil })
	_, ann := s.operator()
	require.Equal(t, http.StatusNotFound, s.ops(ann, "GET", "/", "").status)
}
