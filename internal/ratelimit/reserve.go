package ratelimit

import (
	"context"
	"slices"
	"sync"

	"millrace/internal/fault"
)

// pending is what may yet be given back in this process, by bucket.
type pending struct {
	mu      sync.Mutex
	buckets map[id]*reservations
}

// reservations are those of one bucket that are under way.
type reservations struct {
	users int // how many have joined; guarded by pending.mu

	// mu lets one after the other ask, so that what is counted is held when the next
	// one asks.
	mu sync.Mutex
	// held is how many are counted and not settled.
	held int
	// waiting are told true when a place was given back, which they hold from then on,
	// or false when nothing will be.
	waiting []chan bool
}

func (p *pending) join(bucket id) *reservations {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.buckets[bucket]
	if r == nil {
		r = &reservations{}
		p.buckets[bucket] = r
	}
	r.users++
	return r
}

func (p *pending) leave(bucket id, r *reservations) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.users--; r.users == 0 {
		delete(p.buckets, bucket)
	}
}

// settle ends a reservation, whose place was given back if it did not happen.
func (p *pending) settle(bucket id, r *reservations, happened bool) {
	r.mu.Lock()
	if happened {
		r.release()
	} else {
		r.pass()
	}
	r.mu.Unlock()
	p.leave(bucket, r)
}

// pass hands a place that was given back to who has waited the longest. r.mu is held.
func (r *reservations) pass() {
	if len(r.waiting) == 0 {
		r.release()
		return
	}
	r.waiting[0] <- true // has room
	r.waiting = r.waiting[1:]
}

// release ends a hold. After the last one there is nothing to wait for. r.mu is held.
func (r *reservations) release() {
	if r.held--; r.held > 0 {
		return
	}
	for _, waiting := range r.waiting {
		waiting <- false // has room
	}
	r.waiting = nil
}

// wait returns when a place was given back, and true; or when none will be. r.mu is
// held, and let go.
func (r *reservations) wait(ctx context.Context) (free bool, err error) {
	answer := make(chan bool, 1)
	r.waiting = append(r.waiting, answer)
	r.mu.Unlock()
	select {
	case free = <-answer:
		return free, nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := slices.Index(r.waiting, answer); at >= 0 {
		r.waiting = slices.Delete(r.waiting, at, at+1)
	} else if <-answer {
		r.pass()
	}
	return false, fault.From(ctx.Err())
}

// Reserve is Allow for an event that may come to nothing: settle says whether it did
// happen, and must be called. What did not is given back; so nobody is refused while
// that may be for another of the same subject in this process, but waits until it is
// settled.
func (l *Limiter) Reserve(ctx context.Context, take Take) (result Result, settle func(happened bool), err error) {
	row, b, rate, err := l.bucket(take)
	if err != nil || rate.Unlimited() {
		return Result{Class: take.Class, Allowed: err == nil}, func(bool) {}, err
	}
	row.checked.Inc()
	r := l.pending.join(b.id)
	for holds := false; ; {
		r.mu.Lock()
		after, err := l.take(ctx, b, row.Closed)
		result = b.result(take.Class, rate, after)
		switch {
		case err == nil && after.repeated:
			if holds {
				r.pass()
			}
			r.mu.Unlock()
			l.pending.leave(b.id, r)
			return result, func(bool) {}, nil // it is the first one's to give back
		case err == nil && after.allowed:
			if !holds {
				r.held++
			}
			r.mu.Unlock()
			return result, func(happened bool) {
				if !happened {
					l.giveBack(ctx, b, after)
				}
				l.pending.settle(b.id, r, happened)
			}, nil
		case holds:
			r.release()
		}
		free := false
		if err == nil && r.held > 0 {
			free, err = r.wait(ctx)
		} else {
			r.mu.Unlock()
		}
		if free {
			holds = true
			continue
		}
		l.pending.leave(b.id, r)
		if err != nil {
			return Result{}, nil, err
		}
		row.limited.Inc()
		return result, nil, refuse(result)
	}
}

// giveBack takes back one event, where it was counted. In Redis it stays counted when
// that fails.
func (l *Limiter) giveBack(ctx context.Context, b bucket, counted level) {
	if counted.shared {
		l.shared.giveBack(ctx, b)
		return
	}
	l.memory.giveBack(b)
}
