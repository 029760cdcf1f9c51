package workers

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// PaymentCapture implements jobs.Handlers: it brings the payment to its outcome
// and settles it together with the job.
func (s *Set) PaymentCapture(ctx context.Context, job *river.Job[jobs.PaymentCaptureArgs]) (any, error) {
	metadata, err := jobs.MetadataOf(job.JobRow)
	if err != nil {
		return nil, err
	}
	id := job.Args.PaymentID
	outcome, err := s.payments.Capture(ctx, metadata.TenantID, id)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, metadata.TenantID, func(tx pgx.Tx) error {
		if err := payment.Settle(ctx, tx, metadata.TenantID, id, outcome, s.now()); err != nil {
			return err
		}
		if outcome.Failure == nil {
			return complete(ctx, tx, job, outcome.Result(id))
		}
		return nil // the fault below makes River record the job's end
	})
	switch {
	case err != nil:
		return nil, postgres.Fault(err)
	case outcome.Failure != nil:
		return nil, outcome.Failure
	default:
		return nil, nil
	}
}
