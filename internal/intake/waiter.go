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

// Waiter tells waiting requests when their jobs are final, or wait for the
// client. However many wait, one query by primary key asks for all of them, and
// none when nobody waits.
type Waiter struct {
	db     *postgres.Tenancy
	logger *slog.Logger

	mu      sync.Mutex
	waiting map[int64][]*wait
	asking  bool
}

// wait is one request that waits.
type wait struct {
	told      chan struct{}
	finalOnly bool
}

// NewWaiter returns a waiter; db must act as the intake role.
func NewWaiter(db *postgres.Tenancy, logger *slog.Logger) *Waiter {
	return &Waiter{db: db, logger: logger, waiting: map[int64][]*wait{}}
}

// Wait returns true when the job is final (or gone) or, unless finalOnly, waits
// for the client; false when ctx ended first.
func (w *Waiter) Wait(ctx context.Context, job int64, finalOnly bool) bool {
	mine := &wait{told: make(chan struct{}), finalOnly: finalOnly}
	w.add(ctx, job, mine)
	select {
	case <-mine.told:
		return true
	case <-ctx.Done():
		w.remove(job, mine)
		return false
	}
}

func (w *Waiter) add(ctx context.Context, job int64, mine *wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[job] = append(w.waiting[job], mine)
	if !w.asking {
		w.asking = true
		go w.ask(context.WithoutCancel(ctx))
	}
}

func (w *Waiter) remove(job int64, mine *wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(job, func(other *wait) bool { return other != mine })
}

// keep leaves those that still wait for the job. It is called under mu.
func (w *Waiter) keep(job int64, waits func(*wait) bool) {
	rest := slices.DeleteFunc(w.waiting[job], func(one *wait) bool { return !waits(one) })
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

		news, err := w.news(ctx, ids)
		if err != nil {
			// The waiting requests have deadlines of their own; the next tick asks again.
			w.logger.WarnContext(ctx, "intake: jobs could not be looked at", slog.Any("error", err))
			continue
		}
		w.mu.Lock()
		for job, final := range news {
			w.keep(job, func(one *wait) bool {
				if one.finalOnly && !final {
					return true
				}
				close(one.told)
				return false
			})
		}
		w.mu.Unlock()
	}
}

// news tells of the jobs that are final (true) or wait for the client (false).
func (w *Waiter) news(ctx context.Context, ids []int64) (map[int64]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	news := map[int64]bool{}
	err := w.db.Query(ctx, "", func(rows pgx.Rows) error {
		var (
			job   int64
			final bool
		)
		_, err := pgx.ForEachRow(rows, []any{&job, &final}, func() error {
			news[job] = final
			return nil
		})
		return err
	}, "SELECT job_id, final FROM millrace_told_jobs($1)", ids)
	return news, err
}
