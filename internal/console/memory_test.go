package console

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clock is a time that the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestAnAnswerIsRepeatedTwentyTimesAsLongAsItTook(t *testing.T) {
	t.Parallel()
	for took, keeps := range map[time.Duration]time.Duration{
		10 * time.Millisecond: 200 * time.Millisecond,
		time.Second:           20 * time.Second,
		5 * time.Second:       time.Minute,
	} {
		c := &clock{at: time.Unix(0, 0)}
		m := newMemory(c.now)
		asked := 0
		get := func() {
			m.get("q", func() answer {
				asked++
				c.advance(took)
				return answer{status: 200}
			})
		}
		get()
		c.advance(keeps - 1)
		get()
		require.Equal(t, 1, asked, took)
		c.advance(1)
		get()
		require.Equal(t, 2, asked, took)
		m.get("another", func() answer { asked++; return answer{} })
		require.Equal(t, 3, asked, took)
		m.forget()
		get()
		require.Equal(t, 4, asked, "%s: whoever changed something sees it", took)
	}
}

func TestAnAnswerOfBeforeAChangeIsNotKept(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(0, 0)}
	m := newMemory(c.now)
	m.get("q", func() answer {
		c.advance(time.Second)
		m.forget() // while it is being asked
		return answer{status: 1}
	})
	require.Equal(t, 2, m.get("q", func() answer { return answer{status: 2} }).status)
}

// Who asks while the same is being asked waits for that answer.
func TestWhoAsksAtTheSameTimeSharesTheAnswer(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(0, 0)}
	m := newMemory(c.now)
	asking, finish := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		m.get("q", func() answer {
			close(asking)
			<-finish
			c.advance(time.Second)
			return answer{status: 1}
		})
	})
	<-asking
	for range 10 {
		group.Go(func() {
			assert.Equal(t, 1, m.get("q", func() answer { return answer{status: 2} }).status)
		})
	}
	m.get("another", func() answer { close(finish); return answer{} })
	group.Wait()
}
