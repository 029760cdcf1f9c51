package intake

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/internal/postgres"
	"millrace/jobs"
)

// Change is what a client's change of a domain row means for jobs.
type Change struct {
	// Enqueue is a job of the platform's own to add; nil for none.
	Enqueue river.JobArgs
	// Cancel is a job to cancel if it has not started; zero for none.
	Cancel int64
}

// Change commits what do changes in the tenant's transaction together with what
// that means for jobs.
func (w *Writer) Change(ctx context.Context, tenant, requestID string, do func(ctx context.Context, tx pgx.Tx) (Change, error)) error {
	var change Change
	err := w.tenancy.Tx(ctx, tenant, func(tx pgx.Tx) (err error) {
		if change, err = do(ctx, tx); err != nil {
			return err
		}
		if change.Enqueue != nil {
			opts := jobs.Find(change.Enqueue.Kind()).InsertOpts(jobs.Metadata{TenantID: tenant, RequestID: requestID})
			if _, err := w.river.InsertTx(ctx, tx, change.Enqueue, opts); err != nil {
				return fmt.Errorf("intake: enqueue: %w", err)
			}
		}
		if change.Cancel != 0 {
			if _, err := w.river.JobCancelTx(ctx, tx, change.Cancel); err != nil {
				return fmt.Errorf("intake: cancel job: %w", err)
			}
		}
		return nil
	})
	if err == nil && change.Enqueue != nil {
		kind := jobs.Find(change.Enqueue.Kind())
		w.metrics.enqueued(kind.Name, kind.Queue)
	}
	return postgres.Fault(err)
}
