package workers

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/jobs"
)

// settleTimeout bounds the transaction that records an outcome.
const settleTimeout = 5 * time.Second

// PaymentCapture implements jobs.Handlers: it brings the payment on its way, and
// records how far it came, together with the job's end when it is there.
func (s *Set) PaymentCapture(ctx context.Context, job *river.Job[jobs.PaymentCaptureArgs]) (any, error) {
	metadata, err := jobs.MetadataOf(job.JobRow)
	if err != nil {
		return nil, err
	}
	id := job.Args.PaymentID
	outcome, open := s.payments.Capture(ctx, metadata.TenantID, id)
	err = s.settle(ctx, metadata.TenantID, id, outcome, func(ctx context.Context, tx pgx.Tx) error {
		if succeeded := open == nil && outcome.Failure == nil; succeeded {
			return complete(ctx, tx, job, outcome.Result(id))
		}
		return nil // the fault below makes River record the attempt's end
	})
	switch {
	case open != nil:
		return nil, open
	case err != nil:
		return nil, err
	case outcome.Failure != nil:
		return nil, outcome.Failure
	default:
		return nil, nil
	}
}

// settle records an outcome, if there is one, in one transaction with what also
// does. What the gateway said is recorded even when the job is being stopped.
func (s *Set) settle(ctx context.Context, tenant string, id uuid.UUID, outcome payment.Outcome, also func(context.Context, pgx.Tx) error) error {
	if outcome.Status == "" {
		return nil
	}
	ended := false
	err := s.recorded(ctx, tenant, func(ctx context.Context, tx pgx.Tx) (err error) {
		if !outcome.Known {
			if ended, err = payment.Settle(ctx, tx, tenant, id, outcome, s.now()); err != nil {
				return err
			}
		}
		return also(ctx, tx)
	})
	if err == nil && ended {
		s.outcomes.payment(outcome)
	}
	return err
}

// recorded runs the transaction that records what a provider did, also when the
// job is being stopped.
func (s *Set) recorded(ctx context.Context, tenant string, work func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return postgres.Fault(s.db.Tx(ctx, tenant, func(tx pgx.Tx) error { return work(ctx, tx) }))
}
