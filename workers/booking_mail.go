package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/invitation"
	"millrace/jobs"
)

// mailed is what a job that sends a mail returns.
type mailed struct {
	BookingID uuid.UUID          `json:"booking_id"`
	Message   invitation.Message `json:"message"`
	// Sent is false when there was nothing to send any more.
	Sent bool `json:"sent"`
	// MailID is the provider's, as far as it told.
	MailID string `json:"mail_id,omitzero"`
}

// BookingConfirmationEmail implements jobs.Handlers. With the mail it schedules
// the reminder.
func (s *Set) BookingConfirmationEmail(ctx context.Context, job *river.Job[jobs.BookingConfirmationEmailArgs]) (any, error) {
	return nil, s.mail(ctx, job.JobRow, job.Args.BookingID, invitation.Confirmation, func(ctx context.Context, tx pgx.Tx, b booking.Booking, c booking.Calendar, m mailed) error {
		if m.Sent {
			if err := s.remind(ctx, tx, b, c); err != nil {
				return err
			}
		}
		return complete(ctx, tx, job, m)
	})
}

// BookingCancellationEmail implements jobs.Handlers.
func (s *Set) BookingCancellationEmail(ctx context.Context, job *river.Job[jobs.BookingCancellationEmailArgs]) (any, error) {
	return nil, s.mail(ctx, job.JobRow, job.Args.BookingID, invitation.Cancellation, func(ctx context.Context, tx pgx.Tx, _ booking.Booking, _ booking.Calendar, m mailed) error {
		return complete(ctx, tx, job, m)
	})
}

// BookingReminderEmail implements jobs.Handlers.
func (s *Set) BookingReminderEmail(ctx context.Context, job *river.Job[jobs.BookingReminderEmailArgs]) (any, error) {
	return nil, s.mail(ctx, job.JobRow, job.Args.BookingID, invitation.Reminder, func(ctx context.Context, tx pgx.Tx, _ booking.Booking, _ booking.Calendar, m mailed) error {
		return complete(ctx, tx, job, m)
	})
}

// mail sends one message about a booking, and records it in one transaction with
// what done does. It is safe to repeat: the provider knows the mail by its key,
// and its bytes follow from the booking.
func (s *Set) mail(
	ctx context.Context, job *rivertype.JobRow, id uuid.UUID, message invitation.Message,
	done func(context.Context, pgx.Tx, booking.Booking, booking.Calendar, mailed) error,
) error {
	err := s.tryMail(ctx, job, id, message, done)
	if outcome, _ := end(job, err); outcome == discarded {
		s.outcomes.mailsFailed.WithLabelValues(job.Kind).Inc()
	}
	return err
}

func (s *Set) tryMail(
	ctx context.Context, job *rivertype.JobRow, id uuid.UUID, message invitation.Message,
	done func(context.Context, pgx.Tx, booking.Booking, booking.Calendar, mailed) error,
) error {
	metadata, err := jobs.MetadataOf(job)
	if err != nil {
		return err
	}
	tenant := metadata.TenantID
	b, err := booking.Find(ctx, s.db, tenant, id)
	if err != nil {
		return err
	}
	calendar, err := booking.FindCalendar(ctx, s.db, tenant, b.Resource)
	if err != nil {
		return err
	}
	result := mailed{BookingID: id, Message: message}
	if !s.pointless(b, message) {
		result.MailID, err = s.send(ctx, b, calendar, message)
		result.Sent = err == nil
	}
	var refused *fault.Fault
	if errors.As(err, &refused) && refused.Details["reason"] == booking.ReasonMailChanged {
		result.Sent, err = true, nil // by an attempt before this one
	}
	moved := false
	if errors.As(err, &refused) && decide(refused) == cancel {
		if err := s.recorded(ctx, tenant, func(ctx context.Context, tx pgx.Tx) (err error) {
			moved, err = booking.FailedMail(ctx, tx, tenant, id, string(message), mailStatus(refused), refused, s.now())
			return err
		}); err != nil {
			return err // what is not written down is tried again
		}
		if moved {
			s.outcomes.mailsFailed.WithLabelValues(job.Kind).Inc()
		}
		return refused
	}
	if err != nil {
		return err
	}
	err = s.recorded(ctx, tenant, func(ctx context.Context, tx pgx.Tx) (err error) {
		if result.Sent {
			if moved, err = booking.SentMail(ctx, tx, tenant, id, string(message), result.MailID, s.now()); err != nil {
				return err
			}
		}
		return done(ctx, tx, b, calendar, result)
	})
	if err == nil && moved {
		s.outcomes.mailsSent.WithLabelValues(job.Kind).Inc()
	}
	return err
}

// pointless reports whether nobody wants the message any more.
func (s *Set) pointless(b booking.Booking, message invitation.Message) bool {
	switch message {
	case invitation.Confirmation:
		return b.Status == booking.Cancelled
	case invitation.Reminder:
		return b.Status == booking.Cancelled || !s.now().Before(b.StartsAt)
	case invitation.Cancellation:
		return false
	default:
		return false
	}
}

// reasonSuppressed is why a mail is not even tried.
const reasonSuppressed = "ADDRESS_SUPPRESSED"

func mailStatus(f *fault.Fault) booking.EmailStatus {
	if f.Details["reason"] == reasonSuppressed {
		return booking.EmailSuppressed
	}
	return booking.EmailFailed
}

func (s *Set) send(ctx context.Context, b booking.Booking, c booking.Calendar, message invitation.Message) (string, error) {
	suppressed, err := booking.Suppressed(ctx, s.db, b.Tenant, b.Email)
	if err != nil {
		return "", err
	}
	if suppressed {
		return "", fault.New(fault.InvalidInput, "Mails to this address came back before, so that no more are sent to it; ask the customer for another one.").
			With("reason", reasonSuppressed)
	}
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return "", fmt.Errorf("workers: the calendar's zone: %w", err)
	}
	theirs := zone
	if b.Timezone != "" {
		if theirs, err = time.LoadLocation(b.Timezone); err != nil {
			return "", fmt.Errorf("workers: the customer's zone: %w", err)
		}
	}
	rendered, err := invitation.Render(message, invitation.Invitation{
		BookingID: b.ID.String(), Sequence: b.Sequence, Stamp: b.UpdatedAt, StartsAt: b.StartsAt, EndsAt: b.EndsAt, Zone: theirs,
		Name: b.Name, Email: b.Email, From: s.from,
		Business: invitation.Business{Name: c.Business.Name, Email: c.Business.Email, Color: c.Business.Color, Zone: zone},
	})
	if err != nil {
		return "", fmt.Errorf("workers: render the mail: %w", err)
	}
	return s.mailer.Send(ctx, booking.Mail{
		Key:  "millrace:" + b.ID.String() + ":" + string(message),
		From: s.from, ReplyTo: c.Business.Email, To: b.Email,
		Subject: rendered.Subject, HTML: rendered.HTML, Text: rendered.Text,
		Calendar: rendered.Calendar, Method: rendered.Method,
		Tags: map[string]string{"message": string(message)},
	})
}

// remind schedules the reminder, and tells the booking of its job, which is
// cancelled with it.
func (s *Set) remind(ctx context.Context, tx pgx.Tx, b booking.Booking, c booking.Calendar) error {
	at := b.StartsAt.Add(-time.Duration(c.ReminderMinutes) * time.Minute)
	if c.ReminderMinutes == 0 || !at.After(s.now()) {
		return nil
	}
	args := jobs.BookingReminderEmailArgs{BookingID: b.ID}
	opts := jobs.Find(args.Kind()).InsertOpts(jobs.Metadata{TenantID: b.Tenant, ScheduledAt: at})
	inserted, err := river.ClientFromContext[pgx.Tx](ctx).InsertTx(ctx, tx, args, opts)
	if err != nil {
		return fmt.Errorf("workers: schedule the reminder: %w", err)
	}
	return booking.SetReminder(ctx, tx, b.Tenant, b.ID, inserted.Job.ID)
}
