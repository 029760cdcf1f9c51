package capacity

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSlots(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		load   Load
		slots  int
		driver Driver
	}{
		{"nothing to do", Load{}, 0, Idle},
		{"nothing is known of how long it takes", Load{Arrivals: 5, Backlog: 7}, 0, Idle},
		{"little", Load{Arrivals: 0.1, Run: 100 * time.Millisecond, Slack: 5 * time.Second}, 1, Utilisation},
		{"seven tenths exactly", Load{Arrivals: 70, Run: 100 * time.Millisecond, Slack: 5 * time.Second}, 10, Utilisation},
		{"and one more", Load{Arrivals: 71, Run: 100 * time.Millisecond, Slack: 5 * time.Second}, 11, Utilisation},
		// 20 Erlang, of which no more than 1 % may wait at all.
		{"must not wait", Load{Arrivals: 20, Run: time.Second}, 32, Wait},
		{"may wait less than nothing", Load{Arrivals: 20, Run: time.Second, Slack: -time.Minute}, 32, Wait},
		{"a backlog of a minute's work in 5 min", Load{Backlog: 1200, Run: time.Second, Slack: time.Minute}, 4, Backlog},
		{"a backlog on top of arrivals", Load{Arrivals: 10, Run: time.Second, Backlog: 3000, Slack: time.Minute}, 20, Backlog},
		{"a backlog that the spare slots drain", Load{Arrivals: 70, Run: time.Second, Backlog: 3000, Slack: time.Minute}, 100, Utilisation},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			slots, driver := test.load.Slots(DefaultGoal())
			require.Equal(t, test.slots, slots)
			require.Equal(t, test.driver, driver)
		})
	}
}

// anyLoad returns a load such as there may be.
func anyLoad(random *rand.Rand) Load {
	return Load{
		Arrivals: random.Float64() * 300, Run: time.Duration(1 + random.Int64N(int64(5*time.Second))),
		Backlog: float64(random.IntN(10_000)), Slack: time.Duration(random.Int64N(int64(time.Minute))),
	}
}

func TestMoreWorkNeverNeedsFewerSlots(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same in every run
	for range 300 {
		load := anyLoad(random)
		slots, _ := load.Slots(DefaultGoal())
		for name, more := range map[string]Load{
			"arrivals": {load.Arrivals * (1 + random.Float64()), load.Run, load.Backlog, load.Slack},
			"run":      {load.Arrivals, load.Run + time.Duration(random.Int64N(int64(time.Second))), load.Backlog, load.Slack},
			"backlog":  {load.Arrivals, load.Run, load.Backlog + float64(random.IntN(1000)), load.Slack},
			"slack":    {load.Arrivals, load.Run, load.Backlog, load.Slack - time.Duration(random.Int64N(int64(time.Minute)))},
		} {
			needed, _ := more.Slots(DefaultGoal())
			require.GreaterOrEqual(t, needed, slots, "%s: %+v needs fewer than %+v", name, more, load)
		}
	}
}

func TestSlotsAreEnoughAndNotOneTooMany(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same in every run
	goal := DefaultGoal()
	enough := func(l Load, slots int) bool {
		drains, ok := l.Drains(float64(slots))
		return l.Busy() <= goal.Utilisation*float64(slots)+1e-6 && l.Late(slots) <= goal.Late && ok && drains <= goal.Drain+time.Millisecond
	}
	for range 300 {
		load := anyLoad(random)
		slots, _ := load.Slots(goal)
		require.True(t, enough(load, slots), "%+v with %d", load, slots)
		require.False(t, enough(load, slots-1), "%+v with %d", load, slots-1)
	}
}

// The formula against the thing itself: jobs that arrive at random, run for a
// random time, and wait for a free slot in their order.
func TestASimulatedQueueMeetsItsTarget(t *testing.T) {
	t.Parallel()
	for _, load := range []Load{
		{Arrivals: 0.5, Run: 2 * time.Second, Slack: 3 * time.Second},
		{Arrivals: 3, Run: 2 * time.Second, Slack: time.Second},
		{Arrivals: 20, Run: time.Second},
		{Arrivals: 100, Run: 200 * time.Millisecond, Slack: 100 * time.Millisecond},
		{Arrivals: 200, Run: 50 * time.Millisecond, Slack: 5 * time.Second},
		{Arrivals: 1, Run: 20 * time.Second, Slack: 10 * time.Second},
	} {
		slots, driver := load.Slots(DefaultGoal())
		late := simulate(load, slots)
		require.LessOrEqual(t, late, 0.013, "%+v with %d slots", load, slots)
		require.InDelta(t, load.Late(slots), late, 0.004, "%+v with %d slots", load, slots)
		if driver == Wait {
			require.Greater(t, simulate(load, slots-1), 0.009, "%+v is met with fewer than %d slots", load, slots)
		}
	}
}

// simulate returns the part of the jobs that waits longer than the slack.
func simulate(load Load, slots int) float64 {
	const jobs = 200_000
	random := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // the same in every run
	free := make(times, slots)            // when each slot is free
	now, late := 0.0, 0
	for range jobs {
		now += random.ExpFloat64() / load.Arrivals
		start := max(now, free[0])
		if start-now > load.Slack.Seconds() {
			late++
		}
		free[0] = start + random.ExpFloat64()*load.Run.Seconds()
		heap.Fix(&free, 0)
	}
	return float64(late) / jobs
}

// times is a heap with the earliest first.
type times []float64

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i] < t[j] }
func (t times) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t times) Push(any)           {}
func (t times) Pop() any           { return nil }
