package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// gauges are a worker with two slots for payments at work, and another second's
// worth of payments waits.
const gauges = `
millrace_build_info{version="v9"} 1
millrace_worker_slots{queue="payments"} 2
millrace_worker_slots_busy{queue="payments"} 2
millrace_queue_jobs{queue="payments",state="available"} 10
millrace_queue_jobs{queue="payments",state="running"} 2
millrace_queue_oldest_available_age_seconds{queue="payments"} 1
millrace_queue_paused{queue="payments"} 0
millrace_pool_connections_in_use{pool="worker"} 3
millrace_pool_connections_limit{pool="worker"} 20
`

// staff is a worker whose metrics are these, before and after the command waited,
// and `millrace workers` that reads them.
type staff struct {
	t       *testing.T
	environ []string
	before  string
	after   string
	waited  time.Duration
}

func (s *staff) run(args ...string) outcome {
	s.t.Helper()
	text := s.before
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }))
	defer server.Close()
	now := noon()
	return run(s.t, newWorkersCommand(append(s.environ, "METRICS_URL="+server.URL), func() time.Time { return now },
		func(_ context.Context, d time.Duration, told func(time.Duration)) error {
			told(d)
			s.waited, text, now = d, s.after, now.Add(d)
			return nil
		}), "", args...)
}

// ran is the counters after as many attempts of 200 ms.
func ran(n, seconds string) string {
	return gauges + `
# TYPE millrace_job_run_seconds histogram
millrace_job_run_seconds_bucket{kind="payment_capture",queue="payments",le="0.5"} ` + n + `
millrace_job_run_seconds_bucket{kind="payment_capture",queue="payments",le="+Inf"} ` + n + `
millrace_job_run_seconds_sum{kind="payment_capture",queue="payments"} ` + seconds + `
millrace_job_run_seconds_count{kind="payment_capture",queue="payments"} ` + n + "\n"
}

func newStaff(t *testing.T, before, after string) *staff {
	t.Helper()
	return &staff{t: t, environ: []string{"MILLRACE_HOME=" + t.TempDir()}, before: before, after: after}
}

func TestWorkersAdviseMore(t *testing.T) {
	t.Parallel()
	s := newStaff(t, ran("0", "0"), ran("150", "30"))
	got := s.run("advise")
	require.Equal(t, exitMoreWorkers, got.code, got.stderr)
	require.Equal(t, 15*time.Second, s.waited)
	said := lines(got.stdout)
	require.Equal(t, "1 worker runs; 2 are needed: queue payments, 10 attempts/s of 200ms keep 2 slots busy; with 3 they are busy for at most 70 % of the time.", said[0])
	require.Regexp(t, `^QUEUE +WAITING +OLDEST +TARGET +ARRIVE/S +END/S +RUN +BUSY +NEEDS +WORKERS +WHY$`, said[2])
	require.Regexp(t, `^payments +10 +1s +5s +10.0 +0.0 +200ms +2 of 2 +3 +2 of 1 +10 attempts/s`, said[3])
	require.Equal(t, "millrace: 1 more worker is needed\n", got.stderr)

	asked := newStaff(t, ran("0", "0"), ran("150", "30")).run("advise", "--json")
	require.Equal(t, exitMoreWorkers, asked.code)
	shown := decode[adviceShown](t, asked.stdout)
	require.Equal(t, 1, shown.Workers)
	require.Equal(t, 2, shown.Needed)
	require.InDelta(t, 15, shown.Window, 0)
	require.Len(t, shown.Queues, 5)
	require.InDelta(t, 10, shown.Queues[0].Arrivals, 1e-9)
	require.InDelta(t, 10, *shown.Queues[0].Backlog, 0)
	require.Nil(t, shown.Queues[1].Backlog, "not 0: nobody knows")
}

func TestWorkersAdviseEnough(t *testing.T) {
	t.Parallel()
	s := newStaff(t, ran("0", "0"), ran("20", "4"))
	got := s.run("advise", "--over", "20s")
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, 20*time.Second, s.waited)
	require.Equal(t, "1 worker runs: enough.", lines(got.stdout)[0])
	require.Empty(t, got.stderr)
}

func TestWorkersAdviseNamesWhatWorkersDoNotHelpAgainst(t *testing.T) {
	t.Parallel()
	paused := strings.ReplaceAll(ran("20", "4"), `paused{queue="payments"} 0`, `paused{queue="payments"} 1`)
	got := newStaff(t, paused, paused).run("advise")
	require.Equal(t, exitObstacle, got.code)
	require.Contains(t, got.stdout, "\nMore workers do not help against this:\n- queue payments is paused, with 10 jobs waiting: resume it when the reason is gone\n")
	require.Equal(t, "millrace: 1 thing stands in the way that more workers do not help against\n", got.stderr)
	shown := decode[adviceShown](t, newStaff(t, paused, paused).run("advise", "--json").stdout)
	require.Equal(t, "payments", shown.Obstacles[0].Queue)
	require.True(t, shown.Queues[0].Held)
}

func TestWorkersSaysWhereItLooked(t *testing.T) {
	t.Parallel()
	elsewhere := []string{"MILLRACE_HOME=" + t.TempDir()}
	workers := func(environ []string, args ...string) outcome {
		return run(t, newWorkersCommand(environ, time.Now, pause), "", args...)
	}
	for _, test := range []struct {
		environ []string
		args    []string
		code    int
		says    string
	}{
		{nil, []string{"advise"}, 1, "METRICS_URL is not set"},
		{nil, []string{"advise", "--over", "1s"}, exitUsage, "--over must be 6s or longer"},
		{nil, []string{"advise", "--metrics", "ftp://x"}, exitUsage, "--metrics cannot be used"},
		{nil, []string{"advise", "--metrics", "127.0.0.1:1"}, 1, "see that the processes run"},
		{nil, []string{"advise", "--metrics", "a:1", "--prometheus", "http://b"}, exitUsage, "are both given"},
		{[]string{"PROMETHEUS_URL=http://127.0.0.1:1"}, []string{"advise"}, 1, "http://127.0.0.1:1 (from the environment) is the URL of a Prometheus"},
		{[]string{"PROMETHEUS_URL=http://127.0.0.1:1"}, []string{"list"}, 1, "is the URL of a Prometheus"},
		{nil, []string{"advise", "--prometheus", "http://127.0.0.1:1"}, 1, "(from --prometheus)"},
	} {
		got := workers(append(test.environ, elsewhere...), test.args...)
		require.Equal(t, test.code, got.code, "%v: %s", test.args, got.stderr)
		require.Contains(t, got.stderr, test.says)
	}
	nothing := newStaff(t, "go_goroutines 1\n", "go_goroutines 1\n").run("advise")
	require.Equal(t, exitNotFound, nothing.code)
	require.Contains(t, nothing.stderr, "name all of them with --metrics or METRICS_URL")
}

func TestWorkersList(t *testing.T) {
	t.Parallel()
	got := newStaff(t, gauges+"millrace_leader 1\n", "").run("list")
	require.Equal(t, 0, got.code, got.stderr)
	said := lines(got.stdout)
	require.Regexp(t, `^INSTANCE +BUSY +SLOTS +CONNECTIONS +LEADER +VERSION$`, said[0])
	require.Regexp(t, `^127.0.0.1:\d+ +2 +2 +3 of 20 +yes +v9$`, said[1])
	shown := decode[processShown](t, newStaff(t, gauges, "").run("list", "--json").stdout)
	require.Equal(t, 2, shown.Slots)
	require.False(t, shown.Leader)
	none := newStaff(t, "go_goroutines 1\n", "").run("list")
	require.Equal(t, exitNotFound, none.code)
}

func TestAPauseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	told := time.Duration(-1)
	require.NoError(t, pause(t.Context(), 0, func(d time.Duration) { told = d }))
	require.Zero(t, told)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.EqualError(t, pause(ended, time.Hour, func(time.Duration) {}), "interrupted")
}
