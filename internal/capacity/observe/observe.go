package observe

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"millrace/internal/capacity"
	"millrace/internal/resendmail"
	"millrace/jobs"
	"millrace/workers"
)

// Vendor is a limit of a provider's that holds for the whole account, however
// many processes run.
type Vendor struct {
	// Name is the vendor's for people, Provider the one in metrics.
	Name, Provider string
	// Queue does nothing without it.
	Queue string
	// PerSecond is how many requests it takes.
	PerSecond float64
}

// Vendors lists the limits that are known.
func Vendors() []Vendor {
	mails := jobs.Find(jobs.BookingConfirmationEmailArgs{}.Kind())
	return []Vendor{{Name: "Resend", Provider: "resend", Queue: mails.Queue, PerSecond: resendmail.DefaultRate}}
}

// read is what was read of all signals.
type read map[string][]value

// ErrNothing says that none of Millrace's metrics are where they were looked for.
var ErrNothing = errors.New("observe: there are no metrics of Millrace")

// Load observes an installation. at is the time that it is observed at. The error
// is ErrNothing when no process of Millrace is known there.
func Load(ctx context.Context, from source, at time.Time) (capacity.Observation, error) {
	all := read{}
	for name, s := range signals() {
		values, err := from.read(ctx, s)
		if err != nil {
			return capacity.Observation{}, err
		}
		all[name] = values
	}
	if len(all["processes"]) == 0 && len(all["limit"]) == 0 {
		return capacity.Observation{}, ErrNothing
	}
	o := capacity.Observation{
		Workers: len(all["processes"]),
		Leads:   len(all["depth"]) > 0,
		Commit:  all.mean("commit", "commits"),
		Fetch:   all.mean("fetch", "fetches"),
	}
	if look, ok := one(all["look"]); ok {
		age := at.Sub(time.UnixMilli(int64(look * 1000)))
		o.Look = &age
	}
	ahead, _ := one(all["skew_ahead"])
	back, _ := one(all["skew_back"])
	o.Skew = seconds(ahead)
	if -back > ahead {
		o.Skew = seconds(back)
	}
	for name, open := range by(all["open"], "provider") {
		if open > 0 {
			o.Open = append(o.Open, name)
		}
	}
	slices.Sort(o.Open)
	inUse, waits := by(all["in_use"], "pool"), by(all["waits"], "pool")
	for name, limit := range by(all["limit"], "pool") {
		o.Pools = append(o.Pools, capacity.Pool{Name: name, InUse: int(inUse[name]), Limit: int(limit), Waits: waits[name]})
	}
	slices.SortFunc(o.Pools, func(a, b capacity.Pool) int { return cmp.Compare(a.Name, b.Name) })
	for _, queue := range jobs.Queues() {
		o.Queues = append(o.Queues, all.queue(queue))
	}
	return o, nil
}

// queue is what was seen of one queue.
func (r read) queue(queue jobs.Queue) capacity.Queue {
	of := func(name string) float64 { return by(r[name], "queue")[queue.Name] }
	q := capacity.Queue{
		Name: queue.Name, Workers: int(of("workers")), Slots: int(of("slots")), SlotsPerWorker: int(of("slots_per_worker")), Running: int(of("running")),
		Oldest: seconds(of("oldest")), Paused: of("paused") > 0, Enqueued: of("enqueued"), Finished: of("finished"),
	}
	if q.SlotsPerWorker == 0 {
		q.SlotsPerWorker = queue.Slots
	}
	q.Load.Backlog = of("depth")
	_, q.Depth = by(r["depth"], "queue")[queue.Name]
	q.Capped = q.Load.Backlog >= workers.DepthCap

	attempts := of("attempts")
	q.Attempts, q.Saturated = attempts, q.Slots > 0 && of("least") >= float64(q.Slots)
	if attempts > 0 {
		q.Load.Run, q.Snoozed = seconds(of("run")/attempts), of("snoozed")/attempts
	} else if all := of("attempts_all"); all > 0 {
		q.Load.Run = seconds(of("run_all") / all)
	}
	q.Load.Arrivals = r.arrivals(q, attempts)
	r.targets(&q)
	for _, v := range Vendors() {
		if v.Queue == queue.Name {
			q.Vendor, q.Limit, q.Calls = v.Name, v.PerSecond, by(r["calls"], "provider")[v.Provider]
		}
	}
	return q
}

// arrivals returns how many attempts a second become ready to start. What
// became ready has either run or still waits or runs, so it is the attempts that
// ended and what the queue grew by: that counts repeats, scheduled jobs that fall
// due and the platform's own jobs, and leaves out what is worked off. Where the
// growth is not known, or hidden by what is counted at most, it is at least what
// intake takes in, as often as each job is tried.
func (r read) arrivals(q capacity.Queue, attempts float64) float64 {
	grows := by(r["growth"], "queue")
	growth, known := grows[q.Name]
	if known && !q.Capped {
		return max(0, attempts+growth)
	}
	tries := 1.0
	if q.Finished > 0 {
		tries = max(1, attempts/q.Finished)
	}
	return max(attempts+max(0, growth), q.Enqueued*tries)
}

// targets finds the kind of the queue that may wait for the shortest time: its
// target, less what its slowest attempts take. Kinds that did not run may wait
// for their whole target.
func (r read) targets(q *capacity.Queue) {
	first := true
	for _, kind := range jobs.Catalog() {
		if kind.Queue != q.Name {
			continue
		}
		target := kind.Policy.Target
		slowest := quantile(0.99, r["run_buckets"], kind.Name)
		if first || target < q.Target {
			q.Target = target
		}
		if slack := target - slowest; first || slack < q.Load.Slack {
			q.Load.Slack, q.Slow, q.Slowest = slack, "", slowest
			if slowest > 0 {
				q.Slow = kind.Name
			}
		}
		first = false
	}
}

// quantile estimates a quantile from a histogram's buckets as Prometheus does:
// evenly spread within a bucket, and no higher than the last bound. Zero when
// nothing was observed.
func quantile(q float64, buckets []value, kind string) time.Duration {
	type bucket struct{ bound, count float64 }
	var all []bucket
	for _, b := range buckets {
		if bound, err := strconv.ParseFloat(b.labels["le"], 64); err == nil && b.labels["kind"] == kind {
			all = append(all, bucket{bound, b.value})
		}
	}
	slices.SortFunc(all, func(a, b bucket) int { return cmp.Compare(a.bound, b.bound) })
	if len(all) == 0 || all[len(all)-1].count <= 0 {
		return 0
	}
	rank, from, below := q*all[len(all)-1].count, 0.0, 0.0
	for _, b := range all {
		switch {
		case math.IsInf(b.bound, 1):
			return seconds(from)
		case b.count >= rank:
			return seconds(from + (b.bound-from)*(rank-below)/(b.count-below))
		}
		from, below = b.bound, b.count
	}
	return seconds(from)
}

// mean is a total time over a number of times; zero without any.
func (r read) mean(total, times string) time.Duration {
	all, _ := one(r[total])
	n, _ := one(r[times])
	if n <= 0 {
		return 0
	}
	return seconds(all / n)
}

// seconds is a duration from a number of seconds.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
