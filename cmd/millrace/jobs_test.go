package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testKey = "mrk_aaaaaaaaaaaaaaaa_secret"

// noon is the clock of these tests.
func noon() time.Time { return time.Date(2030, 1, 31, 12, 0, 0, 123, time.UTC) }

// outcome is what a person and a script see of a command.
type outcome struct {
	stdout, stderr string
	code           int
}

// run runs a command as main does.
func run(t *testing.T, cmd *cobra.Command, stdin string, args ...string) outcome {
	t.Helper()
	return runContext(t.Context(), cmd, stdin, args...)
}

func runContext(ctx context.Context, cmd *cobra.Command, stdin string, args ...string) outcome {
	top := &cobra.Command{Use: "millrace", SilenceUsage: true, SilenceErrors: true}
	top.AddCommand(cmd)
	var stdout, stderr bytes.Buffer
	top.SetIn(strings.NewReader(stdin))
	top.SetOut(&stdout)
	top.SetErr(&stderr)
	top.SetArgs(append([]string{cmd.Name()}, args...))
	err := top.ExecuteContext(ctx)
	code := 0
	if err != nil {
		_, _ = fmt.Fprintf(&stderr, "millrace: %s\n", err)
		code = 1
		if exit, ok := errors.AsType[interface {
			error
			ExitCode() int
		}](err); ok {
			code = exit.ExitCode()
		}
	}
	return outcome{stdout.String(), stderr.String(), code}
}

// httpAPI plays the server: each path has a row of answers, of which the last
// stays.
type httpAPI struct {
	url string

	mu      sync.Mutex
	answers map[string][]reply // by method and path
	seen    []received
}

// received is what the server keeps of a request.
type received struct {
	header      http.Header
	query, body string
}

type reply struct {
	status  int
	body    string
	headers map[string]string
}

func newHTTPAPI(t *testing.T, answers map[string][]reply) *httpAPI {
	t.Helper()
	s := &httpAPI{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// ServeHTTP implements http.Handler.
func (s *httpAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, received{r.Header.Clone(), r.URL.RawQuery, string(body)})
	route := r.Method + " " + r.URL.Path
	answer := reply{status: http.StatusNotFound, body: `{"error":"There is no such job.","code":"NOT_FOUND","request_id":"r-1"}`}
	if row := s.answers[route]; len(row) > 0 {
		answer = row[0]
		if len(row) > 1 {
			s.answers[route] = row[1:]
		}
	}
	s.mu.Unlock()
	if answer.status == 0 {
		panic(http.ErrAbortHandler) // the connection breaks
	}
	for name, value := range answer.headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

func (s *httpAPI) requests() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// jobs runs `millrace jobs` against the server.
func (s *httpAPI) jobs(t *testing.T, args ...string) outcome {
	t.Helper()
	return run(t, s.command(t), "", args...)
}

func (s *httpAPI) command(t *testing.T) *cobra.Command {
	t.Helper()
	return newJobsCommand([]string{"MILLRACE_URL=" + s.url, "MILLRACE_API_KEY=" + testKey, "MILLRACE_HOME=" + t.TempDir()}, noon)
}

func ok(body string) reply { return reply{status: http.StatusOK, body: body} }

func refused(status int, code string) reply {
	return reply{status: status, body: fmt.Sprintf(`{"error":"The server says no.","code":%q,"request_id":"r-1"}`, code)}
}

// jobText is a job as the API writes it; more is members to add.
func jobText(id, state, more string) string {
	done := state == "completed" || state == "cancelled" || state == "discarded"
	return fmt.Sprintf(`{"id":%q,"kind":"payment_capture","queue":"payments","state":%q,"done":%t,"priority":1,"attempt":1,`+
		`"max_attempts":25,"created_at":"2030-01-31T09:30:00Z","scheduled_at":"2030-01-31T09:30:00Z","attempted_at":null,`+
		`"finalized_at":null,"links":{"payment":"/v1/payments/p-1","self":"/v1/jobs/%s"}%s}`, id, state, done, id, more)
}

const declined = `,"error":{"code":"PAYMENT_FAILED","error":"The card was declined.","details":{"reason":"DECLINED"}}`

func accepted() reply {
	return reply{status: http.StatusAccepted, body: `{"job":` + jobText("4711", "available", "") + `,"payment":{"id":"p-1","status":"pending"}}`}
}

func TestSubmitSendsWhatWasAsked(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, map[string][]reply{"POST /v1/jobs": {accepted()}})
	got := s.jobs(t, "submit", "payment_capture", "--args", `{"amount":1999}`, "--key", "order-17", "--at", "+10m", "--priority", "2")
	require.Equal(t, 0, got.code, got.stderr)
	require.Contains(t, got.stdout, "job 4711 submitted\n")
	require.Contains(t, got.stdout, "millrace jobs watch 4711\n")
	require.JSONEq(t, `{"kind":"payment_capture","args":{"amount":1999},"scheduled_at":"2030-01-31T12:10:00Z","priority":2}`, s.requests()[0].body)
	require.Equal(t, "order-17", s.requests()[0].header.Get("Idempotency-Key"))
	require.Equal(t, "Bearer "+testKey, s.requests()[0].header.Get("Authorization"))
}

func TestSubmitReadsItsInputFromAFileOrTheStandardInput(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, map[string][]reply{"POST /v1/jobs": {accepted()}})
	file := filepath.Join(t.TempDir(), "order.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"amount":1}`), 0o600))
	require.Equal(t, 0, s.jobs(t, "submit", "payment_capture", "--args-file", file).code)
	require.Contains(t, s.requests()[0].body, `{"amount":1}`)
	require.Equal(t, 0, run(t, s.command(t), `{"amount":2}`, "submit", "payment_capture", "--args-file", "-").code)
	require.Contains(t, s.requests()[1].body, `{"amount":2}`)
	require.NotEqual(t, s.requests()[0].header.Get("Idempotency-Key"), s.requests()[1].header.Get("Idempotency-Key"))
	require.Equal(t, 0, s.jobs(t, "submit", "payment_capture").code)
	require.Contains(t, s.requests()[2].body, `"args":{}`)

	got := run(t, s.command(t), strings.Repeat(" ", maxInput+1), "submit", "payment_capture", "--args-file", "-")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "more than")
}

func TestSubmitTellsAReplay(t *testing.T) {
	t.Parallel()
	replayed := accepted()
	replayed.headers = map[string]string{"Idempotent-Replayed": "true"}
	s := newHTTPAPI(t, map[string][]reply{"POST /v1/jobs": {replayed}})
	got := s.jobs(t, "submit", "payment_capture", "--key", "order-17")
	require.Contains(t, got.stdout, "job 4711 was submitted before with this key")
}

func TestSubmitJSONIsTheServersAnswer(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, map[string][]reply{"POST /v1/jobs": {accepted()}})
	got := s.jobs(t, "submit", "payment_capture", "--json")
	require.JSONEq(t, accepted().body, got.stdout)
	require.Equal(t, 1, strings.Count(got.stdout, "\n"), "one line")
}

func TestSubmitWaitFollowsTheJob(t *testing.T) {
	t.Parallel()
	answers := func(last string) map[string][]reply {
		return map[string][]reply{
			"POST /v1/jobs": {accepted()},
			"GET /v1/jobs/4711": {
				ok(jobText("4711", "available", `,"why":"Waiting for a free worker slot."`)), ok(jobText("4711", "running", "")), ok(last),
			},
		}
	}
	t.Run("completed", func(t *testing.T) {
		t.Parallel()
		got := newHTTPAPI(t, answers(jobText("4711", "completed", ""))).jobs(t, "submit", "payment_capture", "--wait")
		require.Equal(t, 0, got.code, got.stderr)
		require.Equal(t, []string{
			"job 4711 submitted",
			"12:00:00  available  Waiting for a free worker slot.",
			"12:00:00  running    attempt 1 of 25",
			"12:00:00  completed",
		}, lines(got.stdout))
		require.Empty(t, got.stderr)
	})
	t.Run("failed", func(t *testing.T) {
		t.Parallel()
		got := newHTTPAPI(t, answers(jobText("4711", "cancelled", declined))).jobs(t, "submit", "payment_capture", "--wait")
		require.Equal(t, exitJobFailed, got.code)
		require.Contains(t, got.stdout, "cancelled  PAYMENT_FAILED: The card was declined.")
		require.Equal(t, "millrace: job 4711 was cancelled: PAYMENT_FAILED: The card was declined.\n", got.stderr)
	})
	t.Run("as JSON", func(t *testing.T) {
		t.Parallel()
		last := jobText("4711", "discarded", declined)
		got := newHTTPAPI(t, answers(last)).jobs(t, "submit", "payment_capture", "--wait", "--json")
		require.Equal(t, exitJobFailed, got.code)
		require.JSONEq(t, `{"job":`+last+`}`, got.stdout)
	})
}

func TestSubmitSaysHowToRepeatWhatMayHaveBeenAccepted(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]reply{"the connection breaks": {}, "the server fails": refused(http.StatusInternalServerError, "DB_ERROR")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newHTTPAPI(t, map[string][]reply{"POST /v1/jobs": {answer}})
			got := s.jobs(t, "submit", "payment_capture", "--at", "+1h")
			require.Equal(t, 1, got.code)
			key := s.requests()[0].header.Get("Idempotency-Key")
			require.Contains(t, got.stderr, "repeat it with --key "+key+" --at 2030-01-31T13:00:00Z")
			require.Equal(t, 1, strings.Count(got.stderr, "\n"), "one line")
		})
	}
}

func TestGetShowsAJob(t *testing.T) {
	t.Parallel()
	text := jobText("4711", "cancelled", declined)
	s := newHTTPAPI(t, map[string][]reply{"GET /v1/jobs/4711": {ok(text)}})
	got := s.jobs(t, "get", "4711")
	require.Equal(t, 0, got.code, "it is there, failed or not")
	for _, line := range []string{
		"id         4711", "kind       payment_capture", "state      cancelled", "note       PAYMENT_FAILED: The card was declined.",
		"attempt    1 of 25", "created    2030-01-31T09:30:00Z", "reason     DECLINED", "payment    /v1/payments/p-1",
	} {
		require.Contains(t, lines(got.stdout), line)
	}
	require.Equal(t, text+"\n", s.jobs(t, "get", "4711", "--json").stdout)

	got = s.jobs(t, "get", "1")
	require.Equal(t, exitNotFound, got.code)
	require.Equal(t, "millrace: job 1: There is no such job\n", got.stderr)
}

func TestWatchShowsEachChange(t *testing.T) {
	t.Parallel()
	answers := func() map[string][]reply {
		return map[string][]reply{"GET /v1/jobs/4711": {
			ok(jobText("4711", "running", "")), ok(jobText("4711", "running", "")), ok(jobText("4711", "discarded", declined)),
		}}
	}
	got := newHTTPAPI(t, answers()).jobs(t, "watch", "4711")
	require.Equal(t, exitJobFailed, got.code)
	require.Equal(t, []string{
		"12:00:00  running    attempt 1 of 25", "12:00:00  discarded  PAYMENT_FAILED: The card was declined.",
	}, lines(got.stdout))

	got = newHTTPAPI(t, answers()).jobs(t, "watch", "4711", "--json")
	require.Equal(t, exitJobFailed, got.code)
	require.Equal(t, []string{jobText("4711", "running", ""), jobText("4711", "discarded", declined)}, lines(got.stdout))

	done := newHTTPAPI(t, map[string][]reply{"GET /v1/jobs/4711": {ok(jobText("4711", "completed", ""))}})
	require.Equal(t, 0, done.jobs(t, "watch", "4711").code)
	require.Len(t, done.requests(), 1)
	require.Equal(t, exitNotFound, done.jobs(t, "watch", "1").code)
}

func TestWatchOnATerminalShowsThatTimeGoesBy(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, map[string][]reply{"GET /v1/jobs/4711": {
		ok(jobText("4711", "running", "")), ok(jobText("4711", "running", "")), ok(jobText("4711", "completed", "")),
	}})
	flags := &serverFlags{environ: []string{"MILLRACE_URL=" + s.url, "MILLRACE_API_KEY=" + testKey, "MILLRACE_HOME=" + t.TempDir()}}
	api, err := flags.connect(&cobra.Command{})
	require.NoError(t, err)
	var screen bytes.Buffer
	clock := noon()
	follow := follower{out: &printer{w: &screen}, live: true, now: func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}}
	_, err = follow.run(t.Context(), api, "4711")
	require.NoError(t, err)
	require.Equal(t, "12:00:02  running    attempt 1 of 25\n"+
		clearLine+"… 2s"+ // nothing changed
		clearLine+"12:00:04  completed\n", screen.String())
}

func TestWatchThatIsInterruptedSaysThatTheJobGoesOn(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := runContext(ctx, s.command(t), "", "watch", "4711")
	require.Equal(t, 1, got.code)
	require.Equal(t, "millrace: interrupted; the job goes on: `millrace jobs watch 4711`\n", got.stderr)
}

func TestListIsATable(t *testing.T) {
	t.Parallel()
	first := `{"jobs":[` + jobText("4711", "discarded", declined) + `,` + jobText("9", "retryable", `,"why":"Trying\tagain\u001b[2J."`) + `],"next_page_token":"abc"}`
	s := newHTTPAPI(t, map[string][]reply{"GET /v1/jobs": {ok(first), ok(`{"jobs":[]}`)}})
	got := s.jobs(t, "list", "--kind", "payment_capture", "--limit", "2")
	require.Equal(t, 0, got.code)
	require.Equal(t, []string{
		"ID    KIND             STATE      ATTEMPT  CREATED               NOTE",
		"4711  payment_capture  discarded  1 of 25  2030-01-31T09:30:00Z  PAYMENT_FAILED: The card was declined.",
		"9     payment_capture  retryable  1 of 25  2030-01-31T09:30:00Z  Trying again [2J.",
	}, lines(got.stdout))
	require.Contains(t, got.stderr, "--page-token abc")
	require.Equal(t, "kind=payment_capture&limit=2", s.requests()[0].query)

	got = s.jobs(t, "list", "--state", "completed", "--page-token", "abc")
	require.Equal(t, []string{"ID  KIND  STATE  ATTEMPT  CREATED  NOTE"}, lines(got.stdout))
	require.Empty(t, got.stderr)
	require.Equal(t, "limit=20&page_token=abc&state=completed", s.requests()[1].query)
}

func TestListAllReadsEveryPage(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, map[string][]reply{"GET /v1/jobs": {
		ok(`{"jobs":[` + jobText("2", "completed", "") + `],"next_page_token":"abc"}`), ok(`{"jobs":[` + jobText("1", "completed", "") + `]}`),
	}})
	got := s.jobs(t, "list", "--all", "--json")
	require.Equal(t, []string{jobText("2", "completed", ""), jobText("1", "completed", "")}, lines(got.stdout))
	require.Empty(t, got.stderr)
	require.Equal(t, "limit=100&page_token=abc", s.requests()[1].query)
}

func TestControlGoesOnAfterAJobThatRefuses(t *testing.T) {
	t.Parallel()
	answers := map[string][]reply{
		"POST /v1/jobs/1/cancel": {ok(jobText("1", "cancelled", ""))},
		"POST /v1/jobs/3/cancel": {refused(http.StatusConflict, "CONFLICT")},
		"POST /v1/jobs/4/retry":  {ok(jobText("4", "available", ""))},
	}
	for _, try := range []struct {
		args   []string
		code   int
		stdout string
		stderr []string
	}{
		{[]string{"cancel", "1"}, 0, "job 1 cancelled\n", nil},
		{[]string{"retry", "4"}, 0, "job 4 retried\n", nil},
		{[]string{"cancel", "1", "--json"}, 0, jobText("1", "cancelled", "") + "\n", nil},
		{[]string{"cancel", "2"}, exitNotFound, "", []string{"millrace: job 2: There is no such job"}},
		{[]string{"cancel", "3"}, 1, "", []string{"millrace: job 3: The server says no"}},
		{
			[]string{"cancel", "2", "1"},
			exitNotFound, "job 1 cancelled\n",
			[]string{"job 2: There is no such job", "millrace: 1 of 2 jobs were not cancelled"},
		},
		{
			[]string{"cancel", "2", "3", "1"},
			1, "job 1 cancelled\n",
			[]string{"job 2: There is no such job", "job 3: The server says no", "millrace: 2 of 3 jobs were not cancelled"},
		},
	} {
		t.Run(strings.Join(try.args, " "), func(t *testing.T) {
			t.Parallel()
			got := newHTTPAPI(t, answers).jobs(t, try.args...)
			assert.Equal(t, try.code, got.code)
			assert.Equal(t, try.stdout, got.stdout)
			assert.Equal(t, try.stderr, lines(got.stderr))
		})
	}
}

func TestControlStopsWhenNoJobCanFareBetter(t *testing.T) {
	t.Parallel()
	answers := map[string][]reply{"POST /v1/jobs/1/retry": {refused(http.StatusForbidden, "TENANT_ACCESS_DENIED")}}
	s := newHTTPAPI(t, answers)
	got := s.jobs(t, "retry", "1", "2", "3")
	require.Equal(t, 1, got.code)
	require.Len(t, s.requests(), 1)
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, nil)
	for _, try := range []struct {
		args []string
		says string
	}{
		{[]string{"sumbit"}, "there are submit, get, watch, list, retry, cancel"},
		{[]string{"submit"}, "KIND"},
		{[]string{"submit", "a", "b"}, "once"},
		{[]string{"submit", "a", "--args", "{"}, "--args is not JSON"},
		{[]string{"submit", "a", "--args", "[]"}, "--args must be a JSON object"},
		{[]string{"submit", "a", "--args", "null"}, "--args must be a JSON object"},
		{[]string{"submit", "a", "--args", "{}", "--args-file", "-"}, "exclude each other"},
		{[]string{"submit", "a", "--at", "tomorrow"}, "--at must look like"},
		{[]string{"submit", "a", "--at", "+tomorrow"}, "--at must look like"},
		{[]string{"submit", "a", "--priority", "0"}, "--priority is from 1 to 4"},
		{[]string{"submit", "a", "--priority", "high"}, "--priority"},
		{[]string{"submit", "a", "--api-key", "b"}, "unknown flag: --api-key"},
		{[]string{"get"}, "a job's ID is missing"},
		{[]string{"get", "1", "2"}, "once"},
		{[]string{"watch"}, "a job's ID is missing"},
		{[]string{"retry"}, "at least one job's ID is missing"},
		{[]string{"cancel"}, "at least one job's ID is missing"},
		{[]string{"list", "1"}, "no arguments"},
		{[]string{"list", "--limit", "101"}, "--limit is from 1 to 100"},
		{[]string{"list", "--limit", "5", "--all"}, "exclude each other"},
		{[]string{"list", "--state", "sleeping"}, "--state is one of available"},
	} {
		t.Run(strings.Join(try.args, " "), func(t *testing.T) {
			t.Parallel()
			got := s.jobs(t, try.args...)
			assert.Equal(t, exitUsage, got.code)
			assert.Contains(t, got.stderr, try.says)
			assert.Regexp(t, "; see `millrace jobs.* --help`\n$", got.stderr)
			assert.Equal(t, 1, strings.Count(got.stderr, "\n"), "one line")
			assert.Empty(t, got.stdout)
		})
	}
	require.Empty(t, s.requests())
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	var config net.ListenConfig
	closed, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	gone := "http://" + closed.Addr().String()
	answering := newHTTPAPI(t, map[string][]reply{
		"GET /v1/jobs/1": {refused(http.StatusUnauthorized, "AUTH_REQUIRED")},
		"GET /v1/jobs/2": {{status: http.StatusForbidden, body: `{"error":"This key lacks the scope that the request needs.",
			"code":"TENANT_ACCESS_DENIED","details":{"required_scope":"jobs:read"},"request_id":"r-1"}`}},
		"GET /v1/jobs/3": {{status: http.StatusTeapot, body: "<html>"}},
		"GET /v1/jobs/4": {{
			status: http.StatusTooManyRequests, body: `{"error":"Too many requests.","code":"RATE_LIMIT_EXCEEDED","request_id":"r-1"}`,
			headers: map[string]string{"Retry-After": "90"},
		}},
		"GET /v1/jobs/5": {refused(http.StatusInternalServerError, "UNKNOWN")},
		"POST /v1/jobs": {{status: http.StatusBadRequest, body: `{"error":"The request is not valid; details name each field.",
			"code":"INVALID_INPUT","details":{"fields":[{"field":"amount","problem":"must be positive"},{"field":"currency","problem":"must be known"}]}}`}},
	})
	key, there := "MILLRACE_API_KEY="+testKey, "MILLRACE_URL="+answering.url
	for name, try := range map[string]struct {
		environ, args []string
		says          []string
	}{
		"no address":       {[]string{key}, []string{"get", "1"}, []string{"MILLRACE_URL is not set", "dev.env", "`millrace dev`"}},
		"no key":           {[]string{there}, []string{"get", "1"}, []string{"MILLRACE_API_KEY is not set", "dev.env", "`millrace keys create`"}},
		"a wrong address":  {[]string{key, "MILLRACE_URL=localhost"}, []string{"get", "1"}, []string{"from the environment", "https://"}},
		"nobody there":     {[]string{key, "MILLRACE_URL=" + gone}, []string{"get", "1"}, []string{gone, "connection refused", "MILLRACE_URL", "`millrace dev`"}},
		"nobody at --url":  {[]string{key, there}, []string{"list", "--url", gone}, []string{gone + " (from --url)"}},
		"a key refused":    {[]string{key, there}, []string{"get", "1"}, []string{"refuses the key (from the environment)", "`millrace keys create`"}},
		"a scope missing":  {[]string{key, there}, []string{"get", "2"}, []string{"lacks the scope", "jobs:read"}},
		"not Millrace":     {[]string{key, there}, []string{"get", "3"}, []string{answering.url, "not Millrace"}},
		"too many":         {[]string{key, there}, []string{"get", "4"}, []string{"Too many requests", "try again in 1m30s"}},
		"a server's fault": {[]string{key, there}, []string{"get", "5"}, []string{"request r-1"}},
		"invalid input":    {[]string{key, there}, []string{"submit", "payment_capture"}, []string{"amount must be positive; currency must be known"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, newJobsCommand(append(try.environ, "MILLRACE_HOME="+home), noon), "", try.args...)
			assert.Equal(t, 1, got.code)
			for _, text := range try.says {
				assert.Contains(t, got.stderr, text)
			}
			assert.Equal(t, 1, strings.Count(got.stderr, "\n"), "one line")
			assert.NotContains(t, got.stderr, testKey)
		})
	}
}

func TestWhatTheEnvironmentLacksIsInDevEnv(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, map[string][]reply{"GET /v1/jobs/1": {ok(jobText("1", "completed", ""))}})
	home := t.TempDir()
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(home, "dev.env"), []byte(text), 0o600))
	}
	write("# written by a person\n\nexport MILLRACE_URL='" + s.url + "'\nMILLRACE_API_KEY=mrk_of_dev\r\n")
	environ := []string{"MILLRACE_HOME=" + home, "MILLRACE_API_KEY="}
	got := run(t, newJobsCommand(environ, noon), "", "get", "1")
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, "Bearer mrk_of_dev", s.requests()[0].header.Get("Authorization"))

	environ = append(environ, "MILLRACE_API_KEY="+testKey)
	require.Equal(t, 0, run(t, newJobsCommand(environ, noon), "", "get", "1").code)
	require.Equal(t, "Bearer "+testKey, s.requests()[1].header.Get("Authorization"), "the environment comes first")

	write("MILLRACE_URL=" + strings.Repeat("x", 1<<17))
	got = run(t, newJobsCommand(environ, noon), "", "get", "1")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "dev.env cannot be read")
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	t.Parallel()
	for _, cmd := range []*cobra.Command{newJobsCommand(nil, noon), newMetricsCommand(nil, noon), newKeysCommand(nil, noon)} {
		for _, sub := range append(cmd.Commands(), cmd) {
			require.NotEmpty(t, sub.Short, sub.Name())
			require.Contains(t, sub.Example, "millrace "+cmd.Name(), sub.Name())
			require.Nil(t, sub.Flag("api-key"))
		}
		got := run(t, cmd, "")
		require.Equal(t, 0, got.code)
		require.Contains(t, got.stdout, "Exit codes: 0 done")
	}
}

func TestAnOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	s := newHTTPAPI(t, map[string][]reply{"GET /v1/jobs/1": {ok(jobText("1", "completed", ""))}})
	for _, args := range [][]string{{"get", "1"}, {"get", "1", "--json"}, {"watch", "1"}} {
		cmd := s.command(t)
		cmd.SetOut(fullDisk{})
		cmd.SetArgs(args)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		require.ErrorIs(t, cmd.ExecuteContext(t.Context()), io.ErrShortWrite)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(text), &value), text)
	return value
}
