package jobs

import (
	"hash/fnv"
	"slices"
	"strconv"
	"time"
)

// Policy says how jobs of a kind are run and repeated.
type Policy struct {
	// MaxAttempts is how often a job is tried before it is discarded.
	MaxAttempts int
	// Timeout bounds one attempt.
	Timeout time.Duration
	// FirstRetry is the delay after the first failed attempt; it doubles with
	// each further one up to MaxRetry.
	FirstRetry time.Duration
	MaxRetry   time.Duration
	// Target is how long a job should take from accepted to done at the 99th
	// percentile when nothing is wrong.
	Target time.Duration
}

// Delay returns how long to wait after the given failed attempt (1 is the
// first). It varies by up to a tenth between jobs, so that jobs that failed
// together do not come back together; the same job always gets the same.
func (p Policy) Delay(jobID int64, attempt int) time.Duration {
	delay := p.MaxRetry
	if shift := max(attempt-1, 0); shift < 32 {
		delay = min(p.FirstRetry<<shift, p.MaxRetry)
	}
	hash := fnv.New32a()
	_, _ = hash.Write(strconv.AppendInt(nil, jobID, 10))
	_, _ = hash.Write([]byte{byte(attempt)}) //nolint:gosec // wraps after 255 attempts, which is as good a seed
	return delay - delay/10*time.Duration(hash.Sum32()%1000)/1000
}

// Horizon returns the longest time between the first attempt and the last.
func (p Policy) Horizon() time.Duration {
	total := time.Duration(p.MaxAttempts) * p.Timeout
	for attempt := 1; attempt < p.MaxAttempts; attempt++ {
		total += min(p.FirstRetry<<min(attempt-1, 32), p.MaxRetry)
	}
	return total
}

// Queue is one queue of the catalogue with its default slots.
type Queue struct {
	Name  string
	Slots int
	// Platform queues have no kind that clients submit. Every worker works them.
	Platform bool
}

// Queues lists the catalogue's queues in its order.
func Queues() []Queue {
	var queues []Queue
	for _, kind := range Catalog() {
		at := slices.IndexFunc(queues, func(q Queue) bool { return q.Name == kind.Queue })
		if at < 0 {
			at = len(queues)
			queues = append(queues, Queue{Name: kind.Queue, Slots: kind.Slots, Platform: true})
		}
		if kind.Public {
			queues[at].Platform = false
		}
	}
	return queues
}

// Find returns the kind of that name, or nil.
func Find(name string) *Kind {
	for _, kind := range Catalog() {
		if kind.Name == name {
			return kind
		}
	}
	return nil
}

// LongestTimeout returns the longest attempt of any kind.
func LongestTimeout() time.Duration {
	var longest time.Duration
	for _, kind := range Catalog() {
		longest = max(longest, kind.Policy.Timeout)
	}
	return longest
}
