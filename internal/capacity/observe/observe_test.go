package observe

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/capacity"
)

// process serves a text of metrics, which may change.
type process struct {
	*httptest.Server

	text atomic.Pointer[string]
}

func newProcess(t *testing.T, text string) *process {
	t.Helper()
	p := &process{}
	p.say(text)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(*p.text.Load()))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *process) say(text string) { p.text.Store(&text) }

// clock goes on by ten seconds when it is told to.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// looks reads the processes, lets them change, and reads them again ten seconds later.
func looks(t *testing.T, change func(), processes ...*process) (*Scrapes, error) {
	t.Helper()
	var targets []Target
	for _, p := range processes {
		targets = append(targets, Target{p.URL + "/metrics"})
	}
	c := &clock{time.Unix(1_000_000, 0)}
	return Scrape(t.Context(), targets, c.now, func(context.Context) error {
		c.at = c.at.Add(10 * time.Second)
		change()
		return nil
	})
}

const (
	worker1 = `
millrace_worker_slots{queue="payments"} 50
millrace_worker_slots_busy{queue="payments"} 9
# TYPE millrace_job_run_seconds histogram
millrace_job_run_seconds_bucket{kind="payment_capture",queue="payments",le="0.1"} 100
millrace_job_run_seconds_bucket{kind="payment_capture",queue="payments",le="0.2"} 100
millrace_job_run_seconds_bucket{kind="payment_capture",queue="payments",le="+Inf"} 100
millrace_job_run_seconds_sum{kind="payment_capture",queue="payments"} 5
millrace_job_run_seconds_count{kind="payment_capture",queue="payments"} 100
# TYPE millrace_jobs_finished_total counter
millrace_jobs_finished_total{kind="payment_capture",queue="payments",outcome="completed"} 80
millrace_job_attempts_total{kind="payment_capture",queue="payments",outcome="completed"} 80
millrace_job_attempts_total{kind="payment_capture",queue="payments",outcome="snoozed"} 20
millrace_queue_jobs{queue="payments",state="available"} 100
millrace_queue_jobs{queue="payments",state="running"} 10
millrace_queue_jobs{queue="payments",state="scheduled"} 1
millrace_queue_oldest_available_age_seconds{queue="payments"} 2
millrace_queue_paused{queue="payments"} 0
millrace_queue_observation_timestamp_seconds 999998
millrace_provider_open{provider="stripe"} 0
millrace_pool_connections_in_use{pool="worker"} 2
millrace_pool_connections_limit{pool="worker"} 20
millrace_worker_fetch_seconds_sum{queue="payments"} 1
millrace_worker_fetch_seconds_count{queue="payments"} 100
millrace_database_clock_skew_seconds 0.1
`
	worker1Later = `
millrace_worker_slots{queue="payments"} 50
millrace_worker_slots_busy{queue="payments"} 12
# TYPE millrace_job_run_seconds histogram
millrace_job_run_seconds_bucket{kind="payment_capture",queue="payments",le="0.1"} 100
millrace_job_run_seconds_bucket{kind="payment_capture",queue="payments",le="0.2"} 200
millrace_job_run_seconds_bucket{kind="payment_capture",queue="payments",le="+Inf"} 200
millrace_job_run_seconds_sum{kind="payment_capture",queue="payments"} 20
millrace_job_run_seconds_count{kind="payment_capture",queue="payments"} 200
# TYPE millrace_jobs_finished_total counter
millrace_jobs_finished_total{kind="payment_capture",queue="payments",outcome="completed"} 160
millrace_job_attempts_total{kind="payment_capture",queue="payments",outcome="completed"} 160
millrace_job_attempts_total{kind="payment_capture",queue="payments",outcome="snoozed"} 40
millrace_queue_jobs{queue="payments",state="available"} 150
millrace_queue_jobs{queue="payments",state="running"} 20
millrace_queue_jobs{queue="payments",state="scheduled"} 1000
millrace_queue_oldest_available_age_seconds{queue="payments"} 7
millrace_queue_paused{queue="payments"} 1
millrace_queue_observation_timestamp_seconds 1000008
millrace_provider_open{provider="stripe"} 1
millrace_pool_connections_in_use{pool="worker"} 3
millrace_pool_connections_limit{pool="worker"} 20
millrace_worker_fetch_seconds_sum{queue="payments"} 2
millrace_worker_fetch_seconds_count{queue="payments"} 200
millrace_database_clock_skew_seconds 0.1
`
	// The other worker was started anew between the looks.
	worker2 = `
millrace_worker_slots{queue="payments"} 30
millrace_worker_slots_busy{queue="payments"} 1
millrace_jobs_finished_total{kind="payment_capture",queue="payments",outcome="completed"} 1000
millrace_pool_connections_in_use{pool="worker"} 2
millrace_pool_connections_limit{pool="worker"} 20
millrace_database_clock_skew_seconds -0.4
`
	worker2Later = `
millrace_worker_slots{queue="payments"} 30
millrace_worker_slots_busy{queue="payments"} 2
millrace_jobs_finished_total{kind="payment_capture",queue="payments",outcome="completed"} 20
millrace_pool_connections_in_use{pool="worker"} 2
millrace_pool_connections_limit{pool="worker"} 20
millrace_database_clock_skew_seconds -0.4
# As the leader that was, it says something for some seconds more.
millrace_queue_jobs{queue="payments",state="available"} 100
millrace_queue_jobs{queue="payments",state="running"} 10
`
	intake = `
millrace_jobs_enqueued_total{kind="payment_capture",queue="payments"} 0
millrace_pool_connections_in_use{pool="intake"} 5
millrace_pool_connections_limit{pool="intake"} 24
millrace_intake_commit_seconds_sum 1
millrace_intake_commit_seconds_count 10
`
	intakeLater = `
millrace_jobs_enqueued_total{kind="payment_capture",queue="payments"} 130
millrace_pool_connections_in_use{pool="intake"} 5
millrace_pool_connections_limit{pool="intake"} 24
millrace_intake_commit_seconds_sum 1.05
millrace_intake_commit_seconds_count 20
`
)

func TestProcessesAreObserved(t *testing.T) {
	t.Parallel()
	one, two, three := newProcess(t, worker1), newProcess(t, worker2), newProcess(t, intake)
	scrapes, err := looks(t, func() {
		one.say(worker1Later)
		two.say(worker2Later)
		three.say(intakeLater)
	}, one, two, three)
	require.NoError(t, err)
	require.Empty(t, scrapes.Silent)
	o, err := Load(t.Context(), scrapes, time.Unix(1_000_010, 0))
	require.NoError(t, err)

	require.Equal(t, 2, o.Workers)
	require.True(t, o.Leads)
	require.Equal(t, 2*time.Second, *o.Look)
	require.Equal(t, []string{"stripe"}, o.Open)
	require.Equal(t, []capacity.Pool{{Name: "intake", InUse: 5, Limit: 24}, {Name: "worker", InUse: 5, Limit: 40}}, o.Pools)
	require.InDelta(t, 0.005, o.Commit.Seconds(), 1e-9)
	require.InDelta(t, 0.01, o.Fetch.Seconds(), 1e-9)
	require.Equal(t, -400*time.Millisecond, o.Skew, "the one that is furthest off")

	payments := o.Queues[0]
	require.Equal(t, "payments", payments.Name)
	require.Equal(t, 2, payments.Workers)
	require.Equal(t, 80, payments.Slots)
	require.Equal(t, 50, payments.SlotsPerWorker)
	require.Equal(t, 14, payments.Running)
	require.True(t, payments.Depth)
	require.True(t, payments.Paused)
	require.Equal(t, 7*time.Second, payments.Oldest)
	require.InDelta(t, 13, payments.Enqueued, 1e-9)
	require.InDelta(t, 8+2, payments.Finished, 1e-9, "a counter that begins anew has grown by what it says")
	require.InDelta(t, 0.2, payments.Snoozed, 1e-9)
	require.Equal(t, 5*time.Second, payments.Target)
	require.InDelta(t, 150, payments.Load.Backlog, 0, "two leaders are not counted twice")
	require.InDelta(t, 10, payments.Attempts, 1e-9)
	require.True(t, payments.Saturated, "100 waited before and 150 after, for 80 slots")
	require.InDelta(t, 10+6, payments.Load.Arrivals, 1e-9, "what was tried, and what the queue grew by")
	require.Equal(t, 150*time.Millisecond, payments.Load.Run, "of those that ended in the time")
	// All of the time ran for 0.1 s to 0.2 s.
	require.Equal(t, "payment_capture", payments.Slow)
	require.InDelta(t, 0.199, payments.Slowest.Seconds(), 1e-6)
	require.InDelta(t, 4.801, payments.Load.Slack.Seconds(), 1e-6)
	emails := o.Queues[1]
	require.Equal(t, "Resend", emails.Vendor)
	require.InDelta(t, 2, emails.Limit, 0)
	require.False(t, emails.Depth)
	require.Equal(t, 20, emails.SlotsPerWorker, "where nobody works it, what the catalogue says")
}

func TestAQueueThatWasShortOfJobsIsNotSaturated(t *testing.T) {
	t.Parallel()
	gauge := func(n string) string {
		return "millrace_worker_slots{queue=\"payments\"} 50\nmillrace_queue_jobs{queue=\"payments\",state=\"available\"} " + n + "\n"
	}
	for then, saturated := range map[string]bool{"50": true, "49": false} {
		one := newProcess(t, gauge(then))
		scrapes, err := looks(t, func() { one.say(gauge("1000")) }, one)
		require.NoError(t, err)
		o, err := Load(t.Context(), scrapes, time.Unix(1_000_010, 0))
		require.NoError(t, err)
		require.Equal(t, saturated, o.Queues[0].Saturated, then)
	}
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	grows := func(perSecond float64) read {
		return read{"growth": {
			{labels: map[string]string{"queue": "payments", "state": "available"}, value: perSecond},
			{labels: map[string]string{"queue": "emails", "state": "available"}, value: 1000},
		}}
	}
	q := capacity.Queue{Name: "payments", Enqueued: 7, Finished: 5}
	capped := q
	capped.Capped = true
	require.InDelta(t, 10, grows(0).arrivals(q, 10), 0, "a queue that stays as it is gets what is tried")
	require.InDelta(t, 3, grows(-7).arrivals(q, 10), 0, "what is worked off does not arrive")
	require.InDelta(t, 0, grows(-70).arrivals(q, 10), 0, "nor does less than nothing")
	require.InDelta(t, 17, grows(7).arrivals(q, 10), 0)
	require.InDelta(t, 14, grows(0).arrivals(capped, 10), 0, "two attempts a job, and more of them than are counted")
	require.InDelta(t, 14, read{}.arrivals(q, 10), 0, "without a leader")
	require.InDelta(t, 20, read{}.arrivals(capacity.Queue{Name: "payments", Enqueued: 3, Finished: 5}, 20), 0)
	require.InDelta(t, 7, read{}.arrivals(capacity.Queue{Name: "payments", Enqueued: 7}, 0), 0, "nobody works")
}

func TestAProcessThatIsSilentIsLeftOut(t *testing.T) {
	t.Parallel()
	one, gone := newProcess(t, worker1), newProcess(t, worker2)
	gone.Close()
	scrapes, err := looks(t, func() { one.say(worker1Later) }, one, gone)
	require.NoError(t, err)
	require.Len(t, scrapes.Silent, 1)
	require.Contains(t, scrapes.Silent, gone.URL+"/metrics")
	o, err := Load(t.Context(), scrapes, time.Unix(1_000_010, 0))
	require.NoError(t, err)
	require.Equal(t, 1, o.Workers)

	_, err = looks(t, func() {}, gone)
	require.ErrorContains(t, err, "connection refused")
	wrong := newProcess(t, "<html>")
	_, err = looks(t, func() {}, wrong)
	require.ErrorContains(t, err, "does not answer with metrics")
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	_, err = looks(t, func() {}, &process{Server: missing})
	require.ErrorContains(t, err, "404")
}

func TestNothingOfMillraceIsTold(t *testing.T) {
	t.Parallel()
	other := newProcess(t, "go_goroutines 7\n")
	scrapes, err := looks(t, func() {}, other)
	require.NoError(t, err)
	_, err = Load(t.Context(), scrapes, time.Unix(1_000_010, 0))
	require.ErrorIs(t, err, ErrNothing)
	_, err = Processes(t.Context(), scrapes)
	require.ErrorIs(t, err, ErrNothing)
}

func TestAStoppedCommandStops(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	_, err := Scrape(t.Context(), []Target{{newProcess(t, worker1).URL}}, time.Now, func(context.Context) error { return stopped })
	require.ErrorIs(t, err, stopped)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Scrape(ended, []Target{{newProcess(t, worker1).URL}}, time.Now, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestParseTargets(t *testing.T) {
	t.Parallel()
	targets, err := ParseTargets("127.0.0.1:9464, http://b:1/metrics,https://c/x/")
	require.NoError(t, err)
	require.Equal(t, []Target{{"http://127.0.0.1:9464/metrics"}, {"http://b:1/metrics"}, {"https://c/x"}}, targets)
	for _, wrong := range []string{"", "a,", "ftp://x", "http://", ":\x00"} {
		_, err := ParseTargets(wrong)
		require.Error(t, err, wrong)
	}
}

func TestSignalsAsPromQL(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"snoozed": `sum by (queue) (rate(millrace_job_attempts_total{outcome=~"snoozed"}[300s]))`,
		"growth":  `deriv(max by (queue, state) (millrace_queue_jobs{state=~"available|running"})[300s:15s])`,
		"least":   `min_over_time(max by (queue, state) (millrace_queue_jobs{state=~"available"})[300s:15s])`,
		"look":    `max (millrace_queue_observation_timestamp_seconds)`,
		"workers": `count by (queue) (millrace_worker_slots)`,
	} {
		require.Equal(t, query, signals()[name].promQL(300))
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	bucket := func(le string, count float64) value {
		return value{map[string]string{"kind": "k", "le": le}, count}
	}
	buckets := []value{bucket("+Inf", 100), bucket("1", 50), bucket("2", 90), bucket("4", 98)}
	require.Equal(t, time.Second, quantile(0.5, buckets, "k"))
	require.Equal(t, 1500*time.Millisecond, quantile(0.7, buckets, "k"))
	require.Equal(t, 4*time.Second, quantile(0.99, buckets, "k"), "above the last bound there is no saying")
	require.Zero(t, quantile(0.5, buckets, "other"))
	require.Zero(t, quantile(0.5, []value{bucket("1", 0), bucket("+Inf", 0)}, "k"))
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	one := newProcess(t, `
millrace_build_info{version="v1",go_version="go1.26"} 1
millrace_worker_slots{queue="payments"} 50
millrace_worker_slots{queue="emails"} 20
millrace_worker_slots_busy{queue="payments"} 3
millrace_leader 1
millrace_pool_connections_in_use{pool="worker"} 2
millrace_pool_connections_limit{pool="worker"} 20
`)
	scrapes, err := Scrape(t.Context(), []Target{{one.URL}, {newProcess(t, intake).URL}}, time.Now, nil)
	require.NoError(t, err)
	processes, err := Processes(t.Context(), scrapes)
	require.NoError(t, err)
	require.Equal(t, []Process{{
		Instance: one.Listener.Addr().String(), Version: "v1", Slots: 70, Busy: 3, Leads: true, InUse: 2, Connections: 20,
	}}, processes)
}
