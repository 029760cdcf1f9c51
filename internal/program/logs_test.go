package program_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"millrace/client"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/internal/sandbox"
	"millrace/internal/sentrytest"
)

// logs has everything happen to the real programs that a log tells of, and reads what
// they wrote and what they told Sentry.
func logs(t *testing.T, dir string) {
	t.Helper()
	db := dbtest.New(t)
	for _, sql := range []string{ // a database that refuses, and quotes the row
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RAISE EXCEPTION 'refused jane@example.com %', row_to_json(NEW) USING DETAIL = row_to_json(NEW)::text;
		END $$`,
		`CREATE TRIGGER refuse BEFORE INSERT ON payments FOR EACH ROW WHEN (NEW.amount = 2001) EXECUTE FUNCTION refuse()`,
		`CREATE TRIGGER refuse_update BEFORE UPDATE ON payments FOR EACH ROW WHEN (NEW.amount = 2002) EXECUTE FUNCTION refuse()`,
	} {
		_, err := db.Pool(t, postgres.Login).Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	stripe, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	gateway := httptest.NewServer(stripe)
	t.Cleanup(gateway.Close)
	_, key, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "acme", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	sentry, line := sentrytest.New(t), newCable(t, db.URL)
	common := []string{"DATABASE_URL=" + line.url, "LOG_LEVEL=debug", "SENTRY_DSN=" + sentry.DSN, "SENTRY_ENVIRONMENT=staging"}

	address, metricsAddress := freePort(t), freePort(t)
	intake := launch(t, dir, "intake", append(common, "LISTEN_ADDR="+address, "METRICS_ADDR="+metricsAddress, "RATE_LIMITS=off")...)
	app := desk{t: t, url: "http://" + address, key: key.Reveal()}
	require.Eventually(t, func() bool { return get(t, app.url+"/readyz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, http.StatusOK, get(t, "http://"+metricsAddress+"/metrics"))
	require.Equal(t, http.StatusNotFound, get(t, app.url+"/nowhere"))
	payment := func(amount int, method string) string {
		return fmt.Sprintf(`{"amount":%d,"currency":"usd","payment_method":%q,"customer_email":"jane@example.com"}`, amount, method)
	}
	pay := func(key string, amount int, method string) (status int, job string) {
		var answer struct {
			Job struct{ ID string }
		}
		return app.do(http.MethodPost, "/v1/payments", key, payment(amount, method), &answer), answer.Job.ID
	}
	jobs := map[string]string{}
	for name, amount := range map[string]int{"good": 1999, "refused-by-the-database": 2002} {
		status, job := pay(name, amount, "pm_card_visa")
		require.Equal(t, http.StatusAccepted, status)
		jobs[name] = job
	}
	_, jobs["declined"] = pay("declined", 1000, "pm_card_visa_chargeDeclined")
	status, _ := pay("invalid", -1, "pm_card_visa")
	require.Equal(t, http.StatusBadRequest, status)
	for n := range 30 {
		status, _ = pay(fmt.Sprint("flood", n), 2001, "pm_card_visa")
		require.Equal(t, http.StatusInternalServerError, status)
	}
	_, err = db.Pool(t, postgres.Login).Exec(t.Context(), "UPDATE river_job SET max_attempts = 1 WHERE id = $1", jobs["refused-by-the-database"])
	require.NoError(t, err)

	worker := launch(t, dir, "worker", append(append(common, mailSettings("")...), "METRICS_ADDR=127.0.0.1:0", "STRIPE_SECRET_KEY=sk_test_x", "STRIPE_API_BASE="+gateway.URL)...)
	sdk, err := client.New(app.url, key.Reveal(), client.Options{})
	require.NoError(t, err)
	for id, want := range map[string]client.State{jobs["good"]: client.Completed, jobs["declined"]: client.Cancelled, jobs["refused-by-the-database"]: client.Discarded} {
		job, err := sdk.WaitJob(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, want, job.State)
	}

	// Whoever waits for a job that was given up is told; the worker has told Sentry.
	again, err := http.NewRequestWithContext(t.Context(), http.MethodPost, app.url+"/v1/payments", strings.NewReader(payment(2002, "pm_card_visa")))
	require.NoError(t, err)
	for name, value := range map[string]string{
		"Authorization": "Bearer " + app.key, "Content-Type": "application/json", "Idempotency-Key": "refused-by-the-database", "Prefer": "wait=5",
	} {
		again.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(again)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusInternalServerError, answer.StatusCode)

	line.cut() // the database goes, and comes back
	for n := range 30 {
		status, _ = pay(fmt.Sprint("gone", n), 1999, "pm_card_visa")
		require.Equal(t, http.StatusServiceUnavailable, status)
	}
	require.Eventually(t, func() bool { return strings.Contains(worker.stderr.String(), "Error fetching jobs") }, 30*time.Second, 10*time.Millisecond)
	line.mend()
	require.Eventually(t, func() bool { status, _ := pay("good", 1999, "pm_card_visa"); return status == http.StatusAccepted }, 30*time.Second, 50*time.Millisecond)
	require.Equal(t, 0, worker.terminate())
	require.Equal(t, 0, intake.terminate())

	told := readLogs(t, "intake", intake.stderr.String())
	told = append(told, readLogs(t, "worker", worker.stderr.String())...)
	require.NotContains(t, intake.stderr.String()+worker.stderr.String()+sentry.Text(), "jane@example.com")
	has := func(want map[string]any) {
		t.Helper()
		for _, line := range told {
			if matches(line, want) {
				return
			}
		}
		require.Fail(t, "no such line", "%v", want)
	}
	has(map[string]any{"msg": "request", "status": 400.0, "errorCode": "INVALID_INPUT", "tenantId": "acme", "route": "/v1/payments", "requestId": nil})
	has(map[string]any{"msg": "request", "status": 404.0, "errorCode": "NOT_FOUND", "route": "none", "requestId": nil})
	has(map[string]any{"msg": "request", "status": 202.0, "tenantId": "acme", "jobId": nil, "requestId": nil})
	has(map[string]any{"msg": "request failed", "level": "ERROR", "errorCode": "DB_ERROR", "error": nil, "tenantId": "acme", "requestId": nil, "route": "/v1/payments"})
	has(map[string]any{"msg": "request failed", "level": "WARN", "errorCode": "UNAVAILABLE", "error": nil, "requestId": nil})
	has(map[string]any{"msg": "job attempt ended", "outcome": "completed", "jobId": nil, "kind": "payment_capture", "tenantId": "acme", "requestId": nil})
	has(map[string]any{"msg": "job attempt ended", "outcome": "cancelled", "level": "WARN", "errorCode": "PAYMENT_FAILED", "error": nil, "jobId": nil})
	has(map[string]any{"msg": "job attempt ended", "outcome": "discarded", "level": "ERROR", "errorCode": "DB_ERROR", "error": nil, "jobId": nil})
	has(map[string]any{"msg": "producer: Error fetching jobs", "level": "WARN", "error": nil, "queue": nil})

	require.Len(t, sentry.Events(), 2, "no flood, no decline, no outage: %v", sentry.Events())
	for _, event := range sentry.Events() {
		require.Equal(t, "staging", event.Environment)
		require.NotEmpty(t, event.Release)
		require.Equal(t, "DB_ERROR", event.Tags["errorCode"])
		require.Equal(t, "acme", event.Tags["tenantId"])
		require.NotEmpty(t, event.Tags["requestId"])
		switch event.Tags["service"] {
		case "intake":
			require.Equal(t, "POST /v1/payments", event.Transaction)
			require.Empty(t, event.Tags["jobId"])
		case "worker":
			require.Equal(t, "payment_capture", event.Transaction)
			require.Equal(t, []string{jobs["refused-by-the-database"], "payments", "1", "discarded"},
				[]string{event.Tags["jobId"], event.Tags["queue"], event.Tags["attempt"], event.Tags["outcome"]})
		default:
			require.Fail(t, "told by nobody", "%v", event)
		}
	}
}

// matches reports whether a line has the wanted fields; nil is any value.
func matches(line, want map[string]any) bool {
	for name, value := range want {
		got, ok := line[name]
		if !ok || (value != nil && got != value) {
			return false
		}
	}
	return true
}

// readLogs checks that each line of a program's log is a JSON object with the fields
// that every line has, without others than those that docs/logs.md lists.
func readLogs(t *testing.T, service, text string) (lines []map[string]any) {
	t.Helper()
	document, err := os.ReadFile("../../docs/logs.md")
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllSubmatch(document, -1) {
		listed[string(row[1])] = true
	}
	require.Greater(t, len(listed), 20)
	for text := range strings.Lines(text) {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line), "one JSON object a line, each name once: %s", text)
		for name := range line {
			require.True(t, listed[name], "docs/logs.md does not list %s: %s", name, text)
		}
		at, _ := line["timestamp"].(string)
		_, err := time.Parse(time.RFC3339Nano, at)
		require.NoError(t, err, text)
		require.Contains(t, []any{"DEBUG", "INFO", "WARN", "ERROR"}, line["level"], text)
		require.Equal(t, service, line["service"], text)
		require.NotEmpty(t, line["msg"], text)
		lines = append(lines, line)
	}
	require.NotEmpty(t, lines)
	return lines
}

// untracked looks at what runs in a program with and without a DSN.
func untracked(t *testing.T, dir string) {
	t.Helper()
	sentry := sentrytest.New(t)
	for _, dsn := range []string{"", sentry.DSN} {
		p := launch(t, dir, "worker", append(mailSettings(""), "DATABASE_URL=postgres://127.0.0.1:1/x?connect_timeout=1", "METRICS_ADDR=127.0.0.1:0",
			"STRIPE_SECRET_KEY=sk_test_x", "STRIPE_API_BASE=http://127.0.0.1:1", "SENTRY_DSN="+dsn)...)
		require.Eventually(t, func() bool { return strings.Contains(p.stderr.String(), "cannot be reached yet") }, 30*time.Second, 10*time.Millisecond)
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGQUIT)) // prints the goroutines
		p.wait()
		require.Contains(t, p.stderr.String(), "goroutine ")
		require.Equal(t, dsn != "", strings.Contains(p.stderr.String(), "getsentry"))
	}
	require.Empty(t, sentry.Events(), "a database that is not there yet is no event")
}

func wrongDSN(t *testing.T, dir string) {
	t.Helper()
	for _, program := range []string{"intake", "worker"} {
		p := launch(t, dir, program, append(mailSettings(""), "DATABASE_URL=postgres://127.0.0.1:1/x", "STRIPE_SECRET_KEY=sk_test_x", "SENTRY_DSN=https://hunter2@host")...)
		require.Equal(t, 1, p.wait())
		require.Regexp(t, `^`+program+`: SENTRY_DSN is wrong: [^\n]*\n$`, p.stderr.String())
		require.NotContains(t, p.stderr.String(), "hunter2")
	}
}

// cable leads to a database, and can be cut.
type cable struct {
	url, database string

	mu    sync.Mutex
	whole bool
	conns []net.Conn
}

func newCable(t *testing.T, databaseURL string) *cable {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{database: u.Host, whole: true}
	u.Host = listener.Addr().String()
	c.url = u.String()
	t.Cleanup(func() { _ = listener.Close(); c.cut() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.lead(conn)
		}
	}()
	return c
}

func (c *cable) lead(from net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to, err := net.Dial("tcp", c.database) //nolint:noctx // it ends with its connection
	if !c.whole || err != nil {
		_ = from.Close()
		return
	}
	c.conns = append(c.conns, from, to)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].Close()
		}()
	}
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = false
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = true
}
