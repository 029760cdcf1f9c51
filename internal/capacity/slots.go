// Package capacity works out how many workers a load needs, and why. It is
// arithmetic on what was observed: it asks nobody and knows no clock.
package capacity

import (
	"math"
	"time"
)

// Goal is what enough slots are enough for.
type Goal struct {
	// Utilisation is the part of the slots that arrivals may keep busy. The rest is
	// for bursts, and for what a process leaves behind that dies.
	Utilisation float64
	// Late is the part of the attempts that may start too late for their target.
	Late float64
	// Drain is how soon what waits now is to be gone.
	Drain time.Duration
}

// DefaultGoal returns the goal of `millrace workers advise`.
func DefaultGoal() Goal {
	return Goal{Utilisation: 0.7, Late: 0.01, Drain: 5 * time.Minute}
}

// Load is what a queue's slots have to do.
type Load struct {
	// Arrivals is how many attempts a second become ready to start.
	Arrivals float64
	// Run is how long an attempt runs on average.
	Run time.Duration
	// Backlog is how many jobs could run and wait for a slot.
	Backlog float64
	// Slack is how long an attempt may wait and still meet its target. Zero and less
	// mean that it must not wait.
	Slack time.Duration
}

// Busy is how many slots arrivals keep busy on average (Little's law).
func (l Load) Busy() float64 { return l.Arrivals * l.Run.Seconds() }

// drained is how many slots keep up with arrivals and work off the backlog in time.
func (l Load) drained(g Goal) float64 {
	return l.Busy() + l.Backlog*l.Run.Seconds()/g.Drain.Seconds()
}

// Driver says which part of the goal asks for the most slots.
type Driver string

// The drivers.
const (
	// Idle: there is nothing to do.
	Idle Driver = "idle"
	// Utilisation: fewer slots would be too busy.
	Utilisation Driver = "utilisation"
	// Wait: with fewer slots too many attempts would start too late.
	Wait Driver = "wait"
	// Backlog: fewer slots would take too long for what waits.
	Backlog Driver = "backlog"
)

// maxSlots ends the search: no installation has as many.
const maxSlots = 10_000_000

// Slots returns the fewest slots that carry a load, and what asks for the last of
// them. It never falls when arrivals, run time or backlog grow, or slack shrinks.
//
// Attempts of a queue start in their order in any free slot, so the queue is an
// M/M/c: the part that waits longer than t is C(c, a) e^(-(c-a) t / run), with a
// the busy slots and C Erlang's formula (Erlang 1917).
func (l Load) Slots(g Goal) (int, Driver) {
	busy := l.Busy()
	if l.Run <= 0 || (l.Arrivals <= 0 && l.Backlog <= 0) {
		return 0, Idle
	}
	utilised := max(1, atLeast(busy/g.Utilisation))
	slots, driver := l.waiting(g, utilised), Utilisation
	if slots > utilised {
		driver = Wait
	}
	if drained := atLeast(l.drained(g)); drained > slots {
		slots, driver = drained, Backlog
	}
	return slots, driver
}

// waiting returns the fewest slots, from least on, with which few enough attempts
// start too late.
func (l Load) waiting(g Goal, least int) int {
	busy, slack := l.Busy(), max(0, l.Slack.Seconds())
	blocked := 1.0 // Erlang's B, by its recursion over the number of slots
	for slots := 1; slots < maxSlots; slots++ {
		blocked = busy * blocked / (float64(slots) + busy*blocked)
		if slots < least {
			continue
		}
		if late(blocked, slots, busy, slack/l.Run.Seconds()) <= g.Late {
			return slots
		}
	}
	return maxSlots
}

// late returns the part of the attempts that wait longer than slack, which is in
// run times. blocked is Erlang's B of as many slots.
func late(blocked float64, slots int, busy, slack float64) float64 {
	free := float64(slots) - busy
	if free <= 0 {
		return 1
	}
	waits := blocked / (1 - busy/float64(slots)*(1-blocked)) // Erlang's C
	return waits * math.Exp(-free*slack)
}

// Late returns the part of the attempts that start too late for their target
// when arrivals go on as they are: 1 when the slots cannot keep up.
func (l Load) Late(slots int) float64 {
	if slots < 1 || l.Run <= 0 {
		return 1
	}
	blocked := 1.0
	for n := 1; n <= slots; n++ {
		blocked = l.Busy() * blocked / (float64(n) + l.Busy()*blocked)
	}
	return late(blocked, slots, l.Busy(), max(0, l.Slack.Seconds())/l.Run.Seconds())
}

// Drains returns when as many slots have worked off what waits; ok is false when
// they never do.
func (l Load) Drains(slots float64) (in time.Duration, ok bool) {
	if l.Backlog <= 0 {
		return 0, true
	}
	free := slots - l.Busy()
	if free <= 0 || l.Run <= 0 {
		return 0, false
	}
	seconds := l.Backlog * l.Run.Seconds() / free
	return time.Duration(min(seconds, math.MaxInt32) * float64(time.Second)), true
}

// atLeast rounds up, but for what is a rounding error of a whole number.
func atLeast(slots float64) int {
	return int(math.Ceil(min(slots, maxSlots) - 1e-9))
}
