package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/internal/postgres"
	"millrace/jobs"
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
	kind, added := jobs.Find(f.Args.Kind()), false
	err := w.tenancy.Tx(ctx, f.Tenant, func(tx pgx.Tx) error {
		if fresh, err := f.Note(ctx, tx); err != nil || !fresh {
			return err
		}
		var state State
		err := tx.QueryRow(ctx, "SELECT state::text FROM river_job WHERE id = $1 FOR UPDATE", f.JobID).Scan(&state)
		switch {
		case err != nil && !errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("intake: lock job: %w", err)
		case err != nil || state.Done():
			if _, err := w.river.InsertTx(ctx, tx, f.Args, kind.InsertOpts(jobs.Metadata{TenantID: f.Tenant})); err != nil {
				return fmt.Errorf("intake: follow up: %w", err)
			}
			added = true
		case state == StateScheduled || state == StateRetryable:
			if _, err := w.river.JobRetryTx(ctx, tx, f.JobID); err != nil {
				return fmt.Errorf("intake: wake job: %w", err)
			}
		}
		return nil
	})
	if err == nil && added {
		w.metrics.enqueued(kind.Name, kind.Queue)
	}
	return postgres.Fault(err)
}
