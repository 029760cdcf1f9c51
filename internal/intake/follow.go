package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// Follow is news from outside about what a job of the tenant works on.
type Follow struct {
	Tenant string
	// JobID is that job. If it waits, it runs at once; if it is at work, it will
	// see by itself.
	JobID int64
	// Args are of the job that looks instead, when that one has ended.
	Args river.JobArgs
	// Note records the news in the same transaction. fresh is false when it is old,
	// and then nothing else happens.
	Note func(ctx context.Context, tx pgx.Tx) (fresh bool, err error)
}

// Follow commits the news together with the job that follows it up.
func (w *Writer) Follow(ctx context.Context, f Follow) error {
	return w.Change(ctx, f.Tenant, "", func(ctx context.Context, tx pgx.Tx) (Change, error) {
		if fresh, err := f.Note(ctx, tx); err != nil || !fresh {
			return Change{}, err
		}
		var state State
		err := tx.QueryRow(ctx, "SELECT state::text FROM river_job WHERE id = $1 FOR UPDATE", f.JobID).Scan(&state)
		gone := errors.Is(err, pgx.ErrNoRows)
		if err != nil && !gone {
			return Change{}, fmt.Errorf("intake: lock job: %w", err)
		}
		switch {
		case gone || state.Done():
			return Change{Enqueue: f.Args}, nil
		case state == StateScheduled || state == StateRetryable:
			if _, err := w.river.JobRetryTx(ctx, tx, f.JobID); err != nil {
				return Change{}, fmt.Errorf("intake: wake job: %w", err)
			}
		}
		return Change{}, nil
	})
}
