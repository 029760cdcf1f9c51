package api

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/jobs"
)

type stripeEventInput struct {
	Signature string `header:"Stripe-Signature" doc:"Stripe's signature over the body." required:"true"`
	RawBody   []byte `contentType:"application/json"`
}

// stripeEvent takes in what Stripe tells by itself. An event only says where to
// look: it is recorded, and the payment's job, or another one in its place, asks
// Stripe. So events that come twice, late or out of order do no harm, and 200
// means that the look is as durable as any job.
func (s *Server) stripeEvent(ctx context.Context, in *stripeEventInput) (*eventOutput, error) {
	var event payment.Event
	return s.event(ctx, provider{"stripe", "Stripe", "STRIPE_WEBHOOK_SECRET"}, s.opts.StripeEvents != nil, in.RawBody, func() (err error) {
		event, err = s.opts.StripeEvents.Verify(in.RawBody, in.Signature)
		return err
	}, func(ctx context.Context) (string, error) { return s.takeStripeEvent(ctx, event) })
}

func (s *Server) takeStripeEvent(ctx context.Context, event payment.Event) (outcome string, err error) {
	if !event.Known() || event.IntentID == "" {
		return eventIgnored, nil
	}
	payments, err := payment.OfIntent(ctx, s.opts.DB, event.IntentID)
	if err != nil {
		return "", err
	}
	outcome = eventIgnored // another program's intent
	for _, p := range payments {
		fresh, err := s.followEvent(ctx, event, p)
		if err != nil {
			return "", err
		}
		if outcome = eventRepeated; fresh {
			outcome = eventTaken
			s.opts.Logger.InfoContext(ctx, "stripe event", slog.String("eventId", event.ID),
				slog.String("type", event.Type), slog.String("paymentId", p.ID.String()), slog.String("tenantId", p.Tenant))
		}
	}
	return outcome, nil
}

// followEvent records an event about a payment and has the payment looked at, if
// the event can be news for it.
func (s *Server) followEvent(ctx context.Context, event payment.Event, p payment.Carried) (fresh bool, err error) {
	err = s.opts.Writer.Follow(ctx, intake.Follow{
		Tenant: p.Tenant, JobID: p.JobID, Args: jobs.PaymentReconciliationArgs{PaymentID: p.ID},
		Note: func(ctx context.Context, tx pgx.Tx) (bool, error) {
			fresh, err = payment.RecordEvent(ctx, tx, p.Tenant, p.ID, event, s.opts.Now())
			return fresh && event.IsNewsFor(p.Status), err
		},
	})
	return fresh, err
}
