package ratelimit

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// shards is how many locks the memory has: requests of different tenants do not wait
// for each other.
const shards = 64

// memory counts in this process. When it is full it forgets what was not asked for
// the longest.
type memory struct {
	now   func() time.Time
	start time.Time // times are counted from here, by a clock that nobody sets back
	parts [shards]part
}

// part is a shard. Its values are times in microseconds: when a bucket is whole, until
// when an event is remembered.
type part struct {
	mu    sync.Mutex
	times *simplelru.LRU[id, int64]
}

// newMemory returns a memory of so many buckets and events.
func newMemory(size int, now func() time.Time) (*memory, error) {
	m := &memory{now: now, start: now()}
	for i := range m.parts {
		times, err := simplelru.NewLRU[id, int64](max(size/shards, 1), nil)
		if err != nil {
			return nil, fmt.Errorf("ratelimit: memory: %w", err)
		}
		m.parts[i].times = times
	}
	return m, nil
}

// take counts one event, unless it was counted before.
func (m *memory) take(b bucket) level {
	part := &m.parts[b.id[0]%shards]
	now := m.now().Sub(m.start).Microseconds()
	part.mu.Lock()
	defer part.mu.Unlock()
	full, _ := part.times.Get(b.id)
	if b.once != (id{}) {
		if until, found := part.times.Get(b.once); found && now < until {
			return level{allowed: true, repeated: true, used: min(max(full-now, 0), b.whole)}
		}
	}
	after, l := b.take(full, now)
	if l.allowed {
		part.times.Add(b.id, after)
		if b.once != (id{}) {
			part.times.Add(b.once, now+b.whole)
		}
	}
	return l
}

// giveBack undoes a take.
func (m *memory) giveBack(b bucket) {
	part := &m.parts[b.id[0]%shards]
	part.mu.Lock()
	defer part.mu.Unlock()
	if full, found := part.times.Get(b.id); found {
		part.times.Add(b.id, full-b.interval)
	}
	part.times.Remove(b.once)
}
