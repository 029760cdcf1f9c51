package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// Cancel ends a job of the tenant that has not started, and its domain row with
// it. The fault is NOT_FOUND for no such job, CONFLICT for one that has started:
// what a worker has begun at a provider cannot be taken back from here. A job
// that was cancelled before stays so, without an error.
func (w *Writer) Cancel(ctx context.Context, tenant string, id int64) error {
	return control(ctx, w.tenancy, lockSubmission, tenant, id, w.cancel)
}

// cancel ends a job that is locked.
func (w *Writer) cancel(ctx context.Context, tx pgx.Tx, job controlled) error {
	switch {
	case job.state == StateCancelled:
		return nil
	case job.state.Done() || job.state == StateRunning || job.attempt > 0:
		return fault.New(fault.Conflict, "The job has started, so that it cannot be cancelled any more.").With("state", job.state)
	}
	if job.kind != nil && job.resource != nil {
		if err := job.kind.Cancel(ctx, tx, job.tenant, *job.resource, w.opts.Now()); err != nil {
			return err
		}
	}
	if _, err := w.river.JobCancelTx(ctx, tx, job.id); err != nil {
		return fmt.Errorf("intake: cancel: %w", err)
	}
	return nil
}

// Retry makes a discarded job available for one more attempt. The fault is
// NOT_FOUND for no such job, CONFLICT for one that is not discarded: it will be
// tried anyway, has succeeded, or failed for good.
func (w *Writer) Retry(ctx context.Context, tenant string, id int64) error {
	return control(ctx, w.tenancy, lockSubmission, tenant, id, w.retry)
}

// retry makes a job that is locked available once more.
func (w *Writer) retry(ctx context.Context, tx pgx.Tx, job controlled) error {
	if job.state != StateDiscarded {
		return fault.New(fault.Conflict, "Only a discarded job can be retried.").With("state", job.state)
	}
	if _, err := w.river.JobRetryTx(ctx, tx, job.id); err != nil {
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "23505" { // unique_violation
			return fault.New(fault.Conflict, "Another job of the same kind waits to do this work already.").With("state", job.state).Because(err)
		}
		return fmt.Errorf("intake: retry: %w", err)
	}
	return nil
}

// controlled is a job that is locked.
type controlled struct {
	id       int64
	tenant   string
	state    State
	attempt  int
	kind     *jobs.Kind
	resource *uuid.UUID
}

// lockSubmission finds the job of a submission of the tenant.
const lockSubmission = `
	SELECT j.state::text, j.attempt, s.kind, s.resource_id
	FROM submissions AS s JOIN river_job AS j ON j.id = s.job_id
	WHERE s.tenant_id = $1 AND s.job_id = $2
	FOR UPDATE OF j`

// control locks the job that lock finds for the tenant, so that no worker takes it
// meanwhile, and does something with it in the same transaction.
func control(ctx context.Context, db *postgres.Tenancy, lock, tenant string, id int64, do func(context.Context, pgx.Tx, controlled) error) error {
	return postgres.Fault(db.Tx(ctx, tenant, func(tx pgx.Tx) error {
		job := controlled{id: id, tenant: tenant}
		var kind string
		err := tx.QueryRow(ctx, lock, tenant, id).Scan(&job.state, &job.attempt, &kind, &job.resource)
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.NotFound, "There is no such job, or it ended too long ago.")
		}
		if err != nil {
			return fmt.Errorf("intake: lock job: %w", err)
		}
		job.kind = jobs.Find(kind)
		return do(ctx, tx, job)
	}))
}
