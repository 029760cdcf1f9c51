package workers_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/intake"
	"millrace/internal/mailbox"
	"millrace/jobs"
)

// book takes the nth free slot of the coming days for a customer.
func (p *plant) book(n int, email string) intake.Job {
	p.t.Helper()
	calendar, err := booking.FindCalendar(p.t.Context(), p.tenancy, "alice", booking.DefaultResource)
	require.NoError(p.t, err)
	now := time.Now()
	slots := calendar.Slots(now.Add(24*time.Hour), now.Add(10*24*time.Hour), now)
	kind := jobs.Find("booking_confirmation_email")
	body, err := json.Marshal(booking.Request{SlotID: slots[n].ID, Name: "Jo Doe", Email: email, Timezone: "Europe/Berlin"})
	require.NoError(p.t, err)
	accepted, err := kind.Accept(body, jobs.Acceptance{Tenant: "alice", ID: uuid.New(), Now: now})
	require.NoError(p.t, err)
	accepted, err = kind.Complete(p.t.Context(), p.tenancy, "alice", accepted)
	require.NoError(p.t, err)
	receipt, err := p.writer.Submit(p.t.Context(), intake.Submission{
		Tenant: "alice", Route: "POST /v1/bookings", Hash: accepted.Hash, Kind: kind, Accepted: accepted, Priority: 1,
	})
	require.NoError(p.t, err)
	return receipt.Job
}

// booked waits for the job and returns it with its booking.
func (p *plant) booked(id int64) (intake.Job, booking.Booking) {
	p.t.Helper()
	p.until(id, func(job intake.Job) bool { return job.State.Done() })
	job, err := intake.Find(p.t.Context(), p.tenancy, "alice", id)
	require.NoError(p.t, err)
	got, err := booking.Find(p.t.Context(), p.tenancy, "alice", *job.ResourceID)
	require.NoError(p.t, err)
	return job, got
}

func TestABookingIsConfirmedOnceAndRemindedOf(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work()
	job, got := p.booked(p.book(0, "jo@example.com").ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Equal(t, booking.EmailSent, got.EmailStatus)
	mails := p.mails.Mails()
	require.Len(t, mails, 1)
	require.Equal(t, []string{"jo@example.com"}, mails[0].To)
	require.NotContains(t, string(job.Output), "jo@example.com", "operators see what jobs return")

	var reminder time.Time
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT scheduled_at FROM river_job WHERE kind = 'booking_reminder_email'").Scan(&reminder))
	require.WithinDuration(t, got.StartsAt.Add(-24*time.Hour), reminder, time.Second)
	var id int64
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT id FROM river_job WHERE kind = 'booking_reminder_email'").Scan(&id))
	p.wake(id)
	require.Eventually(t, func() bool { return len(p.mails.Mails()) == 2 }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, "reminder", p.mails.Mails()[1].Tags["message"])
}

// The provider took the mail, and the worker died before it could write that down.
func TestAKilledWorkersMailIsSentOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.mails.Inject(mailbox.Fault{Kind: mailbox.FaultTimeoutAfter, Count: 1}))
	submitted := p.book(0, "jo@example.com")
	victim := p.spawn(0)
	require.Eventually(t, func() bool { return len(p.mails.Mails()) == 1 }, 30*time.Second, 10*time.Millisecond)
	kill(t, victim)
	p.work()
	job, got := p.booked(submitted.ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Equal(t, 2, job.Attempt)
	require.Equal(t, booking.EmailSent, got.EmailStatus)
	require.Len(t, p.mails.Mails(), 1, "one mail")
}

func TestWhatTheProviderRefusesFailsForGood(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.mails.Inject(mailbox.Fault{Kind: mailbox.FaultRefused, Count: 1}))
	p.work()
	job, got := p.booked(p.book(0, "jo@example.com").ID)
	require.Equal(t, intake.StateCancelled, job.State)
	require.Equal(t, 1, job.Attempt)
	require.Equal(t, booking.EmailFailed, got.EmailStatus)
	require.NotContains(t, job.Outcome().Error(), "jo@example.com")
	require.Empty(t, p.mails.Mails())
}

func TestASuppressedAddressGetsNoMail(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	address, err := booking.AddressOf(t.Context(), p.tenancy, "alice", "Jo@Example.com")
	require.NoError(t, err)
	require.NoError(t, p.tenancy.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
		return booking.Suppress(t.Context(), tx, "alice", address, booking.EmailBounced, time.Now())
	}))
	p.work()
	job, got := p.booked(p.book(0, "Jo@example.com").ID)
	require.Equal(t, intake.StateCancelled, job.State)
	require.Equal(t, "ADDRESS_SUPPRESSED", job.Outcome().Details["reason"])
	require.Equal(t, booking.EmailSuppressed, got.EmailStatus)
	require.Empty(t, p.mails.Mails())
	_, got = p.booked(p.book(1, "other@example.com").ID)
	require.Equal(t, booking.EmailSent, got.EmailStatus)
}

// A booking that is cancelled before its confirmation went out is not confirmed.
func TestACancelledBookingIsNotConfirmed(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	submitted := p.book(0, "jo@example.com")
	require.NoError(t, p.writer.Change(t.Context(), "alice", "", func(ctx context.Context, tx pgx.Tx) (intake.Change, error) {
		_, err := booking.Cancel(ctx, tx, "alice", *submitted.ResourceID, time.Now())
		return intake.Change{Enqueue: jobs.BookingCancellationEmailArgs{BookingID: *submitted.ResourceID}}, err
	}))
	p.work()
	p.booked(submitted.ID)
	require.Eventually(t, func() bool { return len(p.mails.Mails()) == 1 }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, "cancellation", p.mails.Mails()[0].Tags["message"])
	require.True(t, strings.Contains(string(p.mails.Mails()[0].Attachments[0].Content), "STATUS:CANCELLED"))
}

// A version with other templates sent the mail, and did not live to write it down.
func TestAMailThatWasSentWithOtherBytesCountsAsSent(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.mails.Inject(mailbox.Fault{Kind: mailbox.FaultMismatch, Count: 1}))
	p.work()
	job, got := p.booked(p.book(0, "jo@example.com").ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Equal(t, booking.EmailSent, got.EmailStatus)
	var reminders int
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'booking_reminder_email'").Scan(&reminders))
	require.Equal(t, 1, reminders)
}
