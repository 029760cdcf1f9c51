package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/intake"
)

type resendEventInput struct {
	ID        string `header:"Svix-Id" doc:"The event's id." required:"true"`
	Timestamp string `header:"Svix-Timestamp" doc:"When it was signed, in Unix seconds." required:"true"`
	Signature string `header:"Svix-Signature" doc:"The signature (Standard Webhooks)." required:"true"`
	RawBody   []byte `contentType:"application/json"`
}

// tooEarly is how long after an event its mail may still be unknown: the provider
// can be faster with it than the worker is to write down the mail's id.
const tooEarly = 30 * time.Second

// resendEvent takes in what became of a mail: delivered, bounced or complained.
// An address whose mails come back gets no more of the tenant's.
func (s *Server) resendEvent(ctx context.Context, in *resendEventInput) (*eventOutput, error) {
	if s.opts.ResendEvents == nil {
		s.metrics.events.WithLabelValues("resend", "refused").Inc()
		return nil, fault.New(fault.Unavailable, "This server takes no events of Resend: its operator has to set RESEND_WEBHOOK_SECRET.")
	}
	if len(in.RawBody) > maxBody {
		return nil, tooLarge()
	}
	event, err := s.opts.ResendEvents.Verify(in.RawBody, http.Header{
		"Svix-Id": {in.ID}, "Svix-Timestamp": {in.Timestamp}, "Svix-Signature": {in.Signature},
	})
	if err != nil {
		s.metrics.events.WithLabelValues("resend", "refused").Inc()
		return nil, err
	}
	out := &eventOutput{}
	out.Body.Received = true
	status := event.Status()
	if status == "" || event.MailID == "" {
		s.metrics.events.WithLabelValues("resend", "ignored").Inc()
		return out, nil
	}
	mails, err := booking.OfMail(ctx, s.opts.DB, event.MailID)
	if err != nil {
		return nil, err
	}
	if len(mails) == 0 && s.opts.Now().Sub(event.CreatedAt) < tooEarly {
		return nil, fault.New(fault.Conflict, "This mail is not known yet; tell again shortly.")
	}
	outcome := "ignored" // another program's mail
	for _, mail := range mails {
		err := s.opts.Writer.Change(ctx, mail.Tenant, requestID(ctx), func(ctx context.Context, tx pgx.Tx) (intake.Change, error) {
			moved, err := booking.MarkMail(ctx, tx, mail, status, s.opts.Now())
			if outcome = "repeated"; moved {
				outcome = "taken"
			}
			return intake.Change{}, err
		})
		if err != nil {
			return nil, err
		}
		s.opts.Logger.InfoContext(ctx, "resend event", slog.String("requestId", requestID(ctx)), slog.String("type", event.Type),
			slog.String("bookingId", mail.BookingID.String()), slog.String("tenantId", mail.Tenant), slog.String("outcome", outcome))
	}
	s.metrics.events.WithLabelValues("resend", outcome).Inc()
	return out, nil
}
