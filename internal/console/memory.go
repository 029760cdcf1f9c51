package console

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"millrace/internal/fault"
)

const (
	// keepFactor is for how many times as long as it took an answer is repeated, so
	// that a page that is left open, which asks every two seconds, takes a
	// twentieth of one connection's time at most, however many jobs there are.
	keepFactor = 20
	// maxKeep is the longest that an answer is repeated.
	maxKeep = time.Minute
	// maxKept bounds how many answers are kept.
	maxKept = 64
)

// memory keeps answers to questions that took long.
type memory struct {
	now    func() time.Time
	flight singleflight.Group

	mu   sync.Mutex
	kept *lru.Cache[string, kept]
	// changes counts what was changed: an answer of before is none any more.
	changes int
}

type kept struct {
	answer answer
	until  time.Time
}

// answer is what River UI said, or the fault to answer with in its place.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func newMemory(now func() time.Time) *memory {
	cache, _ := lru.New[string, kept](maxKept) // fails only for a size below one
	return &memory{now: now, kept: cache}
}

// get returns the answer to a question: one that is kept, else a new one, for which
// all who ask at the same time wait together.
func (m *memory) get(question string, ask func() answer) answer {
	known, changes, ok := m.known(question)
	if ok {
		return known
	}
	asked, _, _ := m.flight.Do(strconv.Itoa(changes)+" "+question, func() (any, error) {
		if known, _, ok := m.known(question); ok {
			return known, nil // whoever asked it first was just about to end
		}
		started := m.now()
		a := ask()
		m.keep(question, a, m.now().Sub(started), changes)
		return a, nil
	})
	a, _ := asked.(answer)
	return a
}

// known returns the answer that is kept, and how many changes there were before it.
func (m *memory) known(question string) (a answer, changes int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.kept.Get(question)
	return k.answer, m.changes, ok && m.now().Before(k.until)
}

func (m *memory) keep(question string, a answer, took time.Duration, changes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if changes == m.changes {
		m.kept.Add(question, kept{a, m.now().Add(min(keepFactor*took, maxKeep))})
	}
}

// forget is called after changes: whoever made one sees it.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	m.kept.Purge()
}

type readingKey struct{}

// reading is what is known of a question while it is asked.
type reading struct {
	// failed is why there is no answer, as far as we know.
	failed error
}

func readingOf(ctx context.Context) *reading {
	if r, ok := ctx.Value(readingKey{}).(*reading); ok {
		return r
	}
	return &reading{}
}

// read answers what River UI's pages ask for.
func (c *Console) read(w http.ResponseWriter, r *http.Request) error {
	a := c.memory.get(r.URL.RequestURI(), func() answer { return c.ask(r) })
	if a.err != nil {
		return a.err
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // who asked may be gone
	return nil
}

// ask asks. Others may wait for the answer too, so that it does not
// end with the request.
func (c *Console) ask(r *http.Request) answer {
	known := &reading{}
	ctx, cancel := context.WithTimeout(context.WithValue(context.WithoutCancel(r.Context()), readingKey{}, known), patience)
	defer cancel()
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	c.reads.ServeHTTP(rec, r.WithContext(ctx))
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return answer{err: fault.New(fault.Unavailable, "There are too many jobs to answer this within 5 seconds. Look at fewer: choose a state, a kind or a queue, or open the job by its number.").
			After(maxKeep).Because(ctx.Err())}
	case known.failed != nil:
		return answer{err: explain(known.failed)}
	case rec.status >= http.StatusInternalServerError:
		return answer{err: errors.New("console: River UI failed; it logged why")}
	}
	return answer{status: rec.status, header: rec.header, body: rec.body.Bytes()}
}

// recorder is an answer that is kept before it is sent.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
