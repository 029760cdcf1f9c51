package capacity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// steady is an installation that is as it should be: two workers, and 10 payments
// a second of 200 ms.
func steady() Observation {
	look := 3 * time.Second
	return Observation{
		Workers: 2, Leads: true, Look: &look, Commit: 4 * time.Millisecond, Fetch: 2 * time.Millisecond,
		Pools: []Pool{{Name: "intake", InUse: 2, Limit: 20}, {Name: "worker", InUse: 3, Limit: 40}},
		Queues: []Queue{
			{
				Name: "payments", Target: 5 * time.Second, Slow: "payment_capture", Slowest: 400 * time.Millisecond,
				Workers: 2, Slots: 4, SlotsPerWorker: 2, Running: 2, Depth: true, Enqueued: 10, Finished: 10, Attempts: 10,
				Load: Load{Arrivals: 10, Run: 200 * time.Millisecond, Slack: 4600 * time.Millisecond},
			},
			{Name: "emails", Target: 30 * time.Second, Workers: 2, Slots: 40, SlotsPerWorker: 20, Depth: true, Load: Load{Slack: 30 * time.Second}},
		},
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	const noReason = ""
	for _, test := range []struct {
		name    string
		change  func(o *Observation, payments *Queue)
		verdict Verdict
		needed  int
		held    bool
		reason  string // of payments
		causes  []Cause
	}{
		{
			"as it should be", func(*Observation, *Queue) {}, Enough, 2, false,
			"10 attempts/s of 200ms keep 2 slots busy; with 3 they are busy for at most 70 % of the time", nil,
		},
		{
			"more arrives", func(_ *Observation, q *Queue) { q.Load.Arrivals = 15 }, More, 3, false,
			"15 attempts/s of 200ms keep 3 slots busy; with 5 they are busy for at most 70 % of the time", nil,
		},
		{
			"little arrives", func(_ *Observation, q *Queue) { q.Load.Arrivals = 0.01 }, Fewer, 1, false,
			"0.01 attempts/s of 200ms keep under 0.01 slots busy; with 1 they are busy for at most 70 % of the time", nil,
		},
		{"nothing arrives", func(_ *Observation, q *Queue) { q.Load.Arrivals = 0 }, Fewer, 1, false, "nothing to do", nil},
		{
			"much waits", func(_ *Observation, q *Queue) { q.Load.Backlog, q.Capped = 10_000, true }, More, 5, false,
			"10 attempts/s of 200ms keep 2 slots busy; 9 work off the 10000 or more that wait in 5m", nil,
		},
		{
			"attempts must not wait", func(_ *Observation, q *Queue) { q.Load.Slack = 10 * time.Millisecond }, More, 4, false,
			"10 attempts/s of 200ms keep 2 slots busy; with 7, 99 % start within 10ms", nil,
		},
		{
			"the run alone takes too long", func(_ *Observation, q *Queue) { q.Load.Slack, q.Slowest = -time.Second, 6*time.Second }, More, 4, false,
			"10 attempts/s of 200ms keep 2 slots busy; with 7, 99 % start within 0s",
			[]Cause{RunTooLong},
		},
		{
			"paused", func(_ *Observation, q *Queue) { q.Paused, q.Load.Backlog = true, 10_000 }, Enough, 2, true,
			"it is paused, so nobody takes its jobs",
			[]Cause{QueuePaused},
		},
		{
			"the vendor's limit", func(_ *Observation, q *Queue) { q.Vendor, q.Limit, q.Calls, q.Load.Backlog = "Acme", 2, 1.9, 10_000 }, Enough, 2, true,
			"Acme takes 2 requests/s, whatever runs here",
			[]Cause{VendorLimit},
		},
		{"far from the vendor's limit", func(_ *Observation, q *Queue) { q.Vendor, q.Limit, q.Calls = "Acme", 2, 1 }, Enough, 2, false, noReason, nil},
		{"told to wait", func(_ *Observation, q *Queue) { q.Snoozed = 0.2 }, Enough, 2, false, noReason, []Cause{ToldToWait}},
		{
			"late though slots are free", func(_ *Observation, q *Queue) {
				q.Oldest, q.Saturated, q.Load.Backlog, q.Attempts = time.Minute, true, 10_000, 6
			}, Enough, 2, true, "jobs wait though its slots are free most of the time", []Cause{NotTaken},
		},
		{
			"late and nothing ends", func(_ *Observation, q *Queue) {
				q.Oldest, q.Saturated, q.Load.Backlog, q.Attempts = time.Minute, true, 10_000, 0
			}, Enough, 2, true, "jobs wait though its slots are free most of the time", []Cause{NotTaken},
		},
		{
			"late with slots that are held for longer than jobs run", func(_ *Observation, q *Queue) {
				q.Oldest, q.Saturated, q.Load.Backlog, q.Load.Arrivals, q.Attempts = time.Minute, true, 100, 15, 10
			}, More, 5, false, "15 attempts/s that hold a slot for 400ms, 200ms of it at work, keep 6 busy; with 9 they are busy for at most 70 % of the time", nil,
		},
		{
			"slots that are held for long, but nobody is late", func(_ *Observation, q *Queue) {
				q.Saturated, q.Load.Backlog, q.Attempts = true, 100, 1
			}, More, 5, false, "10 attempts/s that hold a slot for 600ms, 200ms of it at work, keep 6 busy; with 9 they are busy for at most 70 % of the time", nil,
		},
		{
			"late with busy slots", func(_ *Observation, q *Queue) {
				q.Oldest, q.Saturated, q.Load.Backlog, q.Attempts = time.Minute, true, 10_000, 20
			}, More, 5, false, noReason, nil,
		},
		{
			"nobody works it", func(_ *Observation, q *Queue) { q.Workers, q.Slots, q.Load.Backlog = 0, 0, 1 }, More, 4, false,
			"it has work, and no worker takes it", nil,
		},
		{"nobody works it, and it has no work", func(_ *Observation, q *Queue) { q.Workers, q.Slots, q.Load.Arrivals = 0, 0, 0 }, Enough, 2, false, "nothing to do", nil},
		{
			"nothing has ended yet", func(_ *Observation, q *Queue) { q.Load.Run, q.Load.Backlog = 0, 9 }, Enough, 2, true,
			"no attempt has ended yet, so how long one takes is not known", nil,
		},
		{"no worker at all", func(o *Observation, q *Queue) {
			o.Workers, o.Leads, o.Queues = 0, false, []Queue{{Name: "payments", SlotsPerWorker: 50}}
			*q = o.Queues[0]
		}, More, 1, false, "nothing to do", nil},
		{"no leader", func(o *Observation, _ *Queue) { o.Leads, o.Look = false, nil }, Enough, 2, false, noReason, []Cause{NoLeader}},
		{"a leader that looks no more", func(o *Observation, _ *Queue) { *o.Look = time.Minute }, Enough, 2, false, noReason, []Cause{OldLook}},
		{"a provider is down", func(o *Observation, _ *Queue) { o.Open = []string{"stripe"} }, Enough, 2, false, noReason, []Cause{ProviderOpen}},
		{"no connections left", func(o *Observation, _ *Queue) { o.Pools[1].InUse = 33 }, Enough, 2, false, noReason, []Cause{PoolFull}},
		{"slow commits", func(o *Observation, _ *Queue) { o.Commit = time.Second }, Enough, 2, false, noReason, []Cause{DatabaseSlow}},
		{"slow fetches", func(o *Observation, _ *Queue) { o.Fetch = time.Second }, Enough, 2, false, noReason, []Cause{DatabaseSlow}},
		{"a clock that is late", func(o *Observation, _ *Queue) { o.Skew = -2 * time.Second }, Enough, 2, false, noReason, []Cause{ClockSkew}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := steady()
			test.change(&o, &o.Queues[0])
			a := Advise(o, DefaultGoal())
			require.Equal(t, test.verdict, a.Verdict)
			require.Equal(t, test.needed, a.Needed)
			require.Equal(t, o.Workers, a.Workers)
			require.Equal(t, test.held, a.Queues[0].Held)
			if test.reason != noReason {
				require.Equal(t, test.reason, a.Queues[0].Reason)
			}
			var causes []Cause
			for _, obstacle := range a.Obstacles {
				causes = append(causes, obstacle.Cause)
				require.Contains(t, obstacle.Text, " ", "in words")
				require.NotContains(t, obstacle.Text, "%!")
			}
			require.Equal(t, test.causes, causes)
		})
	}
}

// With pools of workers for some queues each, what one pool lacks is not made up
// for by what another has.
func TestTheQueueThatLacksMostDecides(t *testing.T) {
	t.Parallel()
	o := steady()
	o.Workers = 5
	o.Queues[1].Workers, o.Queues[1].Slots = 3, 60
	o.Queues[0].Load.Arrivals = 15
	a := Advise(o, DefaultGoal())
	require.Equal(t, 6, a.Needed, "one more of those that work payments")
	require.Equal(t, 3, a.Queues[0].NeededWorkers)
	require.Equal(t, 0, a.Queues[1].NeededWorkers)
}
