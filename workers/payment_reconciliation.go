package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// maxReconciled is how many payments one job reconciles at most; the next goes on.
const maxReconciled = 200

// reconciled is what a payment_reconciliation job returns.
type reconciled struct {
	Settled int `json:"settled"`
	Open    int `json:"open"`
}

// PaymentReconciliation implements jobs.Handlers: it looks at one payment that an
// event is about, or at all that are in flight though no job works on them.
func (s *Set) PaymentReconciliation(ctx context.Context, job *river.Job[jobs.PaymentReconciliationArgs]) (any, error) {
	if job.Args.PaymentID != uuid.Nil {
		metadata, err := jobs.MetadataOf(job.JobRow)
		if err != nil {
			return nil, err
		}
		if err := s.reconcile(ctx, payment.Reference{Tenant: metadata.TenantID, ID: job.Args.PaymentID}); err != nil {
			return nil, err
		}
		return reconciled{Settled: 1}, nil
	}
	abandoned, err := payment.Abandoned(ctx, s.db, s.now().Add(-s.abandonedAfter), maxReconciled)
	if err != nil {
		return nil, err
	}
	var result reconciled
	for _, reference := range abandoned {
		if ctx.Err() != nil {
			break
		}
		if err := s.reconcile(ctx, reference); err != nil {
			// It is looked at again by the next job.
			result.Open++
			s.logger.WarnContext(ctx, "workers: an abandoned payment is not settled yet",
				slog.String("paymentId", reference.ID.String()), slog.String("tenantId", reference.Tenant), slog.Any("error", fault.From(err)))
			continue
		}
		result.Settled++
	}
	if len(abandoned) > 0 {
		s.logger.InfoContext(ctx, "workers: abandoned payments were looked at",
			slog.Int("settled", result.Settled), slog.Int("open", result.Open))
	}
	return result, nil
}

// reconcile settles one payment. A job that was given up although its payment
// came through runs once more, so that it tells the same.
func (s *Set) reconcile(ctx context.Context, reference payment.Reference) error {
	outcome, open := s.payments.Reconcile(ctx, reference.Tenant, reference.ID)
	err := s.settle(ctx, reference.Tenant, reference.ID, outcome, func(ctx context.Context, tx pgx.Tx) error {
		if outcome.Status != payment.Captured || outcome.JobID == 0 {
			return nil
		}
		client := river.ClientFromContext[pgx.Tx](ctx)
		job, err := client.JobGetTx(ctx, tx, outcome.JobID)
		switch {
		case errors.Is(err, rivertype.ErrNotFound):
			return nil
		case err != nil:
			return fmt.Errorf("workers: read job: %w", err)
		case job.State == rivertype.JobStateDiscarded:
			if _, err := client.JobRetryTx(ctx, tx, job.ID); err != nil {
				return fmt.Errorf("workers: retry job: %w", err)
			}
		}
		return nil
	})
	if open == nil {
		return postgres.Fault(err)
	}
	if fault.From(open).Code == fault.Conflict {
		s.logger.ErrorContext(ctx, "workers: a payment that has failed was charged; a person has to give it back",
			slog.String("paymentId", reference.ID.String()), slog.String("tenantId", reference.Tenant))
	}
	return open
}
