package intake

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/postgres"
)

// waitInterval is how often the waiter asks, while anybody waits.
const waitInterval = 20 * time.Millisecond

// Waiter tells waiting requests when their jobs are final. However many wait,
// one query by primary key asks for all of them, and none when nobody waits.
type Waiter struct {
	db     *postgres.Tenancy
	logger *slog.Logger

	mu      sync.Mutex
	waiting map[int64][]chan struct{}
	asking  bool
}

// NewWaiter returns a waiter; db must act as the intake role.
func NewWaiter(db *postgres.Tenancy, logger *slog.Logger) *Waiter {
	return &Waiter{db: db, logger: logger, waiting: map[int64][]chan struct{}{}}
}

// Wait returns true when the job is final (or gone), false when ctx ended first.
func (w *Waiter) Wait(ctx context.Context, job int64) bool {
	done := w.add(ctx, job)
	select {
	case <-done:
		return true
	case <-ctx.Done():
		w.remove(job, done)
		return false
	}
}

func (w *Waiter) add(ctx context.Context, job int64) chan struct{} {
	done := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[job] = append(w.waiting[job], done)
	if !w.asking {
		w.asking = true
		go w.ask(context.WithoutCancel(ctx))
	}
	return done
}

func (w *Waiter) remove(job int64, done chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := slices.DeleteFunc(w.waiting[job], func(c chan struct{}) bool { return c == done })
	if len(rest) == 0 {
		delete(w.waiting, job)
		return
	}
	w.waiting[job] = rest
}

// ask runs until nobody waits any more.
func (w *Waiter) ask(ctx context.Context) {
	ticker := time.NewTicker(waitInterval)
	defer ticker.Stop()
	for range ticker.C {
		w.mu.Lock()
		if len(w.waiting) == 0 {
			w.asking = false
			w.mu.Unlock()
			return
		}
		ids := slices.Collect(maps.Keys(w.waiting))
		w.mu.Unlock()

		finished, err := w.finished(ctx, ids)
		if err != nil {
			// The waiting requests have deadlines of their own; the next tick asks again.
			w.logger.WarnContext(ctx, "intake: finished jobs could not be read", slog.Any("error", err))
			continue
		}
		w.mu.Lock()
		for _, id := range finished {
			for _, done := range w.waiting[id] {
				close(done)
			}
			delete(w.waiting, id)
		}
		w.mu.Unlock()
	}
}

func (w *Waiter) finished(ctx context.Context, ids []int64) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var finished []int64
	err := w.db.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		finished, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	}, "SELECT millrace_finished_jobs($1)", ids)
	return finished, err
}
