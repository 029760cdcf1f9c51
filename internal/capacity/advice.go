package capacity

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Observation is what was seen of an installation at work. What is not known is
// nil, or zero where zero says the same.
type Observation struct {
	// Workers is how many worker processes run.
	Workers int
	// Leads says that a worker leads: it reports the queues' depth and starts
	// scheduled jobs and retries.
	Leads bool
	// Look is how old the leader's last look at the queues is; nil when unknown.
	Look *time.Duration
	// Queues are those of the catalogue, in its order.
	Queues []Queue
	// Open names providers that are left alone because they do not answer.
	Open []string
	// Pools are the database connections, by pool.
	Pools []Pool
	// Commit is what intake's commits take on average, and Fetch what fetching jobs
	// takes; zero when unknown.
	Commit, Fetch time.Duration
	// Skew is the clock of the process that is furthest off, less the database's.
	Skew time.Duration
}

// Queue is what was seen of one queue.
type Queue struct {
	Name string
	Load Load
	// Target is the tightest of its kinds' targets, from accepted to done.
	Target time.Duration
	// Slow names the kind whose slack is the smallest, and Slowest is its run at the
	// 99th percentile; empty when nothing has run.
	Slow    string
	Slowest time.Duration
	// Workers is how many processes work the queue, and Slots how many jobs they run
	// at once in all.
	Workers, Slots int
	// SlotsPerWorker is how many of them another process would bring.
	SlotsPerWorker int
	// Running is how many slots are busy now.
	Running int
	// Attempts is how many a second end, and Saturated says that at every look there
	// was enough waiting to fill all slots.
	Attempts  float64
	Saturated bool
	// Depth says that Backlog, Oldest and Paused are known.
	Depth  bool
	Oldest time.Duration
	Paused bool
	// Capped says that there may be more in the backlog than was counted.
	Capped bool
	// Enqueued and Finished are jobs a second.
	Enqueued, Finished float64
	// Snoozed is the part of the attempts that a provider told to wait.
	Snoozed float64
	// Limit is what a vendor allows the queue, and Calls what is asked of it, a
	// second; zero when it has none that is known.
	Limit, Calls float64
	// Vendor is whose limit that is.
	Vendor string
}

// Pool is the connections of one pool, over all processes.
type Pool struct {
	Name         string
	InUse, Limit int
	// Waits is how often a second somebody finds no free connection.
	Waits float64
}

// Verdict is what to do about the number of workers.
type Verdict string

// The verdicts.
const (
	Enough Verdict = "enough"
	More   Verdict = "more"
	Fewer  Verdict = "fewer"
)

// Advice is how many workers a load needs, and why.
type Advice struct {
	Verdict Verdict
	// Workers is how many run, and Needed how many the load needs.
	Workers, Needed int
	Queues          []QueueAdvice
	// Obstacles are what more workers do not help against.
	Obstacles []Obstacle
}

// QueueAdvice is what one queue needs.
type QueueAdvice struct {
	Queue

	// NeededSlots is how many it needs, and NeededWorkers the processes that bring them.
	NeededSlots, NeededWorkers int
	// Held says that more workers would not help, so that it is given those it has.
	Held bool
	// Reason says why in words.
	Reason string
}

// Cause is what stands in the way.
type Cause string

// The causes.
const (
	NoLeader     Cause = "no_leader"
	OldLook      Cause = "old_look"
	QueuePaused  Cause = "queue_paused"
	NotTaken     Cause = "not_taken"
	RunTooLong   Cause = "run_too_long"
	VendorLimit  Cause = "vendor_limit"
	ToldToWait   Cause = "told_to_wait"
	ProviderOpen Cause = "provider_open"
	PoolFull     Cause = "pool_full"
	DatabaseSlow Cause = "database_slow"
	ClockSkew    Cause = "clock_skew"
)

// Obstacle is something that more workers do not help against.
type Obstacle struct {
	Cause Cause
	// Queue is the one that it concerns; empty for all.
	Queue string
	// Text says what is, and what to do.
	Text string
}

// LimitNear is the part of a vendor's limit from which on it holds a queue up.
const LimitNear = 0.8

// From these on something else is an obstacle.
const (
	oldLook     = 30 * time.Second // the leader looks every 5 s
	snoozedMany = 0.1
	poolNear    = 0.8
	slowQuery   = 100 * time.Millisecond // a healthy one is a few
	largeSkew   = time.Second
	// idleSlots is how many times longer than a run a slot may be held.
	idleSlots = 3
)

// Advise works out what an observed load needs.
func Advise(o Observation, goal Goal) Advice {
	a := Advice{Workers: o.Workers, Obstacles: o.obstacles()}
	change := math.MinInt
	for _, q := range o.Queues {
		a.Obstacles = append(a.Obstacles, q.obstacles()...)
		advised := q.advise(goal)
		a.Queues = append(a.Queues, advised)
		change = max(change, advised.NeededWorkers-q.Workers)
	}
	if len(o.Queues) == 0 {
		change = 0
	}
	// One process stays, to start scheduled jobs and to report the depth.
	a.Needed = max(1, o.Workers+change)
	switch {
	case a.Needed > a.Workers:
		a.Verdict = More
	case a.Needed < a.Workers:
		a.Verdict = Fewer
	default:
		a.Verdict = Enough
	}
	return a
}

func (q Queue) advise(goal Goal) QueueAdvice {
	load := q.Load
	load.Run = q.held()
	slots, driver := load.Slots(goal)
	a := QueueAdvice{Queue: q, NeededSlots: slots, NeededWorkers: processes(slots, q.SlotsPerWorker)}
	switch {
	case q.Paused:
		return a.hold("it is paused, so nobody takes its jobs")
	case q.Workers == 0 && (q.Load.Backlog > 0 || q.Load.Arrivals > 0):
		a.NeededSlots, a.NeededWorkers = max(1, slots), max(1, a.NeededWorkers)
		a.Reason = "it has work, and no worker takes it"
		return a
	case q.limited() && a.NeededWorkers > q.Workers:
		return a.hold(fmt.Sprintf("%s takes %s requests/s, whatever runs here", q.Vendor, number(q.Limit)))
	case q.untaken() && a.NeededWorkers > q.Workers:
		return a.hold("jobs wait though its slots are free most of the time")
	case q.Load.Run <= 0 && q.Load.Backlog > 0:
		return a.hold("no attempt has ended yet, so how long one takes is not known")
	}
	a.Reason = q.reason(goal, load, slots, driver)
	return a
}

// hold gives the queue what it has.
func (a QueueAdvice) hold(reason string) QueueAdvice {
	a.Held, a.Reason, a.NeededSlots, a.NeededWorkers = true, reason, a.Slots, a.Workers
	return a
}

// processes returns how many processes bring as many slots.
func processes(slots, each int) int {
	each = max(1, each)
	return (slots + each - 1) / each
}

// limited says that a vendor's limit is nearly used up.
func (q Queue) limited() bool { return q.Limit > 0 && q.Calls >= LimitNear*q.Limit }

// held returns how long an attempt holds a slot: for its run, and until the slot
// has its next job, which is found out while there are always enough that wait.
func (q Queue) held() time.Duration {
	if !q.Saturated || q.Attempts <= 0 {
		return q.Load.Run
	}
	held := time.Duration(float64(q.Slots) / q.Attempts * float64(time.Second))
	return max(q.Load.Run, min(held, idleSlots*q.Load.Run))
}

// untaken says that jobs are late though slots are free most of the time.
func (q Queue) untaken() bool {
	return q.Saturated && !q.Paused && q.Workers > 0 && q.late() && float64(q.Slots) > idleSlots*q.Attempts*q.Load.Run.Seconds()
}

// late says that the oldest job has waited for longer than it should take in all.
func (q Queue) late() bool { return q.Target > 0 && q.Oldest > q.Target }

// reason says in words what asks for as many slots. load is that of the queue, with
// the time that a slot is held.
func (q Queue) reason(goal Goal, load Load, slots int, driver Driver) string {
	rate := fmt.Sprintf("%s attempts/s of %s keep %s slots busy", number(load.Arrivals), short(load.Run), number(load.Busy()))
	if load.Run > q.Load.Run+q.Load.Run/20 {
		rate = fmt.Sprintf("%s attempts/s that hold a slot for %s, %s of it at work, keep %s busy", number(load.Arrivals), short(load.Run), short(q.Load.Run), number(load.Busy()))
	}
	switch driver {
	case Utilisation:
		return fmt.Sprintf("%s; with %d they are busy for at most %.0f %% of the time", rate, slots, goal.Utilisation*100)
	case Wait:
		return fmt.Sprintf("%s; with %d, %.0f %% start within %s", rate, slots, 100-goal.Late*100, short(max(0, load.Slack)))
	case Backlog:
		more := ""
		if q.Capped {
			more = " or more"
		}
		return fmt.Sprintf("%s; %d work off the %s%s that wait in %s", rate, slots, number(load.Backlog), more, short(goal.Drain))
	case Idle:
	}
	return "nothing to do"
}

func (q Queue) obstacles() []Obstacle {
	var found []Obstacle
	add := func(cause Cause, format string, args ...any) {
		found = append(found, Obstacle{cause, q.Name, fmt.Sprintf("queue %s ", q.Name) + fmt.Sprintf(format, args...)})
	}
	if q.Paused {
		add(QueuePaused, "is paused, with %s jobs waiting: resume it when the reason is gone", number(q.Load.Backlog))
	}
	if q.untaken() {
		add(NotTaken, "has jobs that have waited for %s, and its %d slots end %s attempts/s of %s: they are free most of the time. "+
			"The database or the processors are slow, or a worker has too few slots for jobs this short (QUEUES); where none end, see the workers' log",
			short(q.Oldest), q.Slots, number(q.Attempts), short(q.Load.Run))
	}
	if q.Load.Slack <= 0 && q.Slow != "" {
		add(RunTooLong, "cannot meet its target: one attempt in a hundred of %s runs for %s or longer; find out what it waits for", q.Slow, short(q.Slowest))
	}
	if q.limited() {
		add(VendorLimit, "asks %s %s times a second, which takes %s: ask for a higher limit, or spread the work", q.Vendor, number(q.Calls), number(q.Limit))
	}
	if q.Snoozed >= snoozedMany {
		add(ToldToWait, "is told to wait by its provider in %.0f %% of its attempts: more workers only ask more often", q.Snoozed*100)
	}
	return found
}

func (o Observation) obstacles() []Obstacle {
	var found []Obstacle
	add := func(cause Cause, format string, args ...any) {
		found = append(found, Obstacle{Cause: cause, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case o.Workers > 0 && !o.Leads:
		add(NoLeader, "no worker leads: depth and age are unknown, and scheduled jobs and retries do not start; see that workers reach the database")
	case o.Look != nil && *o.Look > oldLook:
		add(OldLook, "the leader last looked at the queues %s ago: depth and age are old; see whether the database answers", short(*o.Look))
	}
	for _, name := range o.Open {
		add(ProviderOpen, "%s does not answer and is left alone: its jobs wait without holding slots, and go on by themselves", name)
	}
	for _, pool := range o.Pools {
		if pool.Limit > 0 && float64(pool.InUse) > poolNear*float64(pool.Limit) {
			add(PoolFull, "%d of %d connections of the pool %s are in use, and %s times a second there is none: see what the database waits for before it is given more to do",
				pool.InUse, pool.Limit, pool.Name, number(pool.Waits))
		}
	}
	for _, one := range []struct {
		what string
		took time.Duration
	}{{"a commit of intake", o.Commit}, {"fetching jobs", o.Fetch}} {
		if one.took > slowQuery {
			add(DatabaseSlow, "%s takes %s on average: the database is the bottleneck, and more workers make it slower", one.what, short(one.took))
		}
	}
	if o.Skew.Abs() > largeSkew {
		add(ClockSkew, "the clock of a worker is %s off the database's: jobs start early or late by that; mend its time service", short(o.Skew.Abs()))
	}
	return found
}

// number writes a rate or a count for people: three digits, or all before the point.
func number(value float64) string {
	switch {
	case value >= 99.95:
		return strconv.FormatFloat(math.Round(value), 'f', 0, 64)
	case value > 0 && value < 0.005:
		return "under 0.01"
	case value >= 9.995:
		return trimmed(value, 1)
	default:
		return trimmed(value, 2)
	}
}

func trimmed(value float64, digits int) string {
	text := strconv.FormatFloat(value, 'f', digits, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// short writes a duration for people, to three digits or so.
func short(d time.Duration) string {
	switch {
	case d >= time.Minute:
		text := d.Round(time.Second).String()
		if whole, ok := strings.CutSuffix(text, "m0s"); ok {
			return whole + "m"
		}
		return text
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(10 * time.Microsecond).String()
	}
}
