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
	var event booking.MailEvent
	return s.event(ctx, provider{"resend", "Resend", "RESEND_WEBHOOK_SECRET"}, s.opts.ResendEvents != nil, in.RawBody, func() (err error) {
		event, err = s.opts.ResendEvents.Verify(in.RawBody, http.Header{
			"Svix-Id": {in.ID}, "Svix-Timestamp": {in.Timestamp}, "Svix-Signature": {in.Signature},
		})
		return err
	}, func(ctx context.Context) (string, error) { return s.takeResendEvent(ctx, event) })
}

func (s *Server) takeResendEvent(ctx context.Context, event booking.MailEvent) (outcome string, err error) {
	status := event.Status()
	if status == "" || event.MailID == "" {
		return eventIgnored, nil
	}
	mails, err := booking.OfMail(ctx, s.opts.DB, event.MailID)
	if err != nil {
		return "", err
	}
	if len(mails) == 0 && s.opts.Now().Sub(event.CreatedAt) < tooEarly {
		return "", fault.New(fault.Conflict, "This mail is not known yet; tell again shortly.")
	}
	outcome = eventIgnored // another program's mail
	for _, mail := range mails {
		// Where it went is read before the transaction: it may have to be decrypted.
		address, err := booking.AddressOfMail(ctx, s.opts.DB, mail, status)
		if err != nil {
			return "", err
		}
		moved := false
		err = s.opts.Writer.Change(ctx, mail.Tenant, requestID(ctx), func(ctx context.Context, tx pgx.Tx) (_ intake.Change, err error) {
			moved, err = booking.MarkMail(ctx, tx, mail, address, status, s.opts.Now())
			return intake.Change{}, err
		})
		if err != nil {
			return "", err
		}
		if outcome = eventRepeated; moved {
			outcome = eventTaken
			s.metrics.mails.WithLabelValues(string(status)).Inc()
		}
		s.opts.Logger.InfoContext(ctx, "resend event", slog.String("type", event.Type),
			slog.String("bookingId", mail.BookingID.String()), slog.String("tenantId", mail.Tenant), slog.String("outcome", outcome))
	}
	return outcome, nil
}
