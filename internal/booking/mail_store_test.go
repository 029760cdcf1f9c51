package booking_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/postgres"
)

const confirmation = "confirmation"

func (d desk) sent(b booking.Booking, message, id string) (moved bool) {
	d.t.Helper()
	require.NoError(d.t, d.worker.Tx(d.t.Context(), b.Tenant, func(tx pgx.Tx) (err error) {
		moved, err = booking.SentMail(d.t.Context(), tx, b.Tenant, b.ID, message, id, d.now)
		return err
	}))
	return moved
}

func (d desk) failed(b booking.Booking, status booking.EmailStatus) (moved bool) {
	d.t.Helper()
	require.NoError(d.t, d.worker.Tx(d.t.Context(), b.Tenant, func(tx pgx.Tx) (err error) {
		moved, err = booking.FailedMail(d.t.Context(), tx, b.Tenant, b.ID, confirmation, status, fault.New(fault.InvalidInput, "No."), d.now)
		return err
	}))
	return moved
}

func (d desk) mark(tenant string, b booking.Booking, message, id string, status booking.EmailStatus) (moved bool) {
	d.t.Helper()
	mail := booking.SentMessage{Tenant: b.Tenant, BookingID: b.ID, Message: message, MailID: id}
	address, err := booking.AddressOfMail(d.t.Context(), d.intake, mail, status)
	require.NoError(d.t, err)
	require.NoError(d.t, d.intake.Tx(d.t.Context(), tenant, func(tx pgx.Tx) (err error) {
		moved, err = booking.MarkMail(d.t.Context(), tx, mail, address, status, d.now.Add(time.Hour))
		return err
	}))
	return moved
}

func (d desk) suppressed(tenant, email string) bool {
	d.t.Helper()
	byIntake, err := booking.Suppressed(d.t.Context(), d.intake, tenant, email)
	require.NoError(d.t, err)
	byWorker, err := booking.Suppressed(d.t.Context(), d.worker, tenant, email)
	require.NoError(d.t, err)
	require.Equal(d.t, byIntake, byWorker)
	return byWorker
}

// desk with a booking at nine.
func deskAtNine(t *testing.T) (desk, booking.Booking) {
	t.Helper()
	d := newDesk(t)
	return d, d.book("alice", d.hours("room", 30, 0), "09:00")
}

// What the provider tells may come late, twice and in any order.
func TestAMailOnlyMovesOn(t *testing.T) {
	t.Parallel()
	const (
		sent, delivered, bounced = booking.EmailSent, booking.EmailDelivered, booking.EmailBounced
		complained, failed       = booking.EmailComplained, booking.EmailFailed
		suppressed, pending      = booking.EmailSuppressed, booking.EmailPending
	)
	ways := map[booking.EmailStatus][]booking.EmailStatus{ // all of them
		sent:      {delivered, bounced, complained, failed, suppressed},
		delivered: {bounced, complained},
	}
	all := []booking.EmailStatus{pending, sent, delivered, bounced, complained, failed, suppressed}
	for _, from := range []booking.EmailStatus{sent, delivered, bounced, complained, failed, suppressed} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			room := d.hours("room", 5, 0)
			for i, to := range all {
				b := d.book("alice", room, fmt.Sprintf("09:%02d", 5*i))
				mail := "mail_" + string(to)
				require.Equal(t, pending, d.find(b).EmailStatus)
				require.True(t, d.sent(b, confirmation, mail))
				require.Equal(t, sent, d.find(b).EmailStatus)
				if from != sent {
					require.True(t, d.mark("alice", b, confirmation, mail, from))
				}
				var allowed bool
				for _, way := range ways[from] {
					allowed = allowed || way == to
				}
				want := from
				if allowed {
					want = to
				}
				require.Equal(t, allowed, d.mark("alice", b, confirmation, mail, to), "%s to %s", from, to)
				require.Equal(t, want, d.find(b).EmailStatus)
				require.False(t, d.sent(b, confirmation, mail), "and is not counted again")
				require.Equal(t, want, d.find(b).EmailStatus, "a job that repeats itself changes nothing")
				require.False(t, d.failed(b, failed))
				require.Equal(t, want, d.find(b).EmailStatus, "what was sent did not fail")
			}
		})
	}
}

func TestAnEventIsAboutOneMail(t *testing.T) {
	t.Parallel()
	d, b := deskAtNine(t)
	other := d.book("bob", d.hours("room", 30, 0), "09:00")
	d.sent(b, confirmation, "mail_1")
	d.sent(b, "reminder", "mail_2")
	d.sent(other, confirmation, "mail_3")

	got, err := booking.OfMail(t.Context(), d.intake, "mail_2")
	require.NoError(t, err)
	require.Equal(t, []booking.SentMessage{{Tenant: "alice", BookingID: b.ID, Message: "reminder", MailID: "mail_2"}}, got)
	got, err = booking.OfMail(t.Context(), d.intake, "mail_4")
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = booking.OfMail(t.Context(), d.worker, "mail_2")
	requireCode(t, fault.DBError, err) // it sees all tenants, so that only what serves the provider may ask it

	require.False(t, d.mark("mallory", b, confirmation, "mail_1", booking.EmailDelivered))
	require.False(t, d.mark("alice", b, confirmation, "mail_2", booking.EmailDelivered), "another mail")
	require.True(t, d.mark("alice", b, "reminder", "mail_2", booking.EmailDelivered))
	require.Equal(t, booking.EmailSent, d.find(b).EmailStatus, "a booking shows its confirmation")
	require.True(t, d.mark("alice", b, confirmation, "mail_1", booking.EmailDelivered))
	require.Equal(t, booking.EmailDelivered, d.find(b).EmailStatus)
	require.Equal(t, booking.EmailSent, d.find(other).EmailStatus)

	cancelled, err := d.cancel("alice", b.ID, d.now)
	require.NoError(t, err)
	require.Equal(t, booking.EmailDelivered, cancelled.EmailStatus)
	require.Equal(t, booking.EmailPending, cancelled.Submitted().EmailStatus)
}

func TestAMailThatFailedMayBeSentLater(t *testing.T) {
	t.Parallel()
	d, b := deskAtNine(t)
	d.failed(b, booking.EmailSuppressed)
	require.Equal(t, booking.EmailSuppressed, d.find(b).EmailStatus)
	require.True(t, d.failed(b, booking.EmailFailed))
	require.False(t, d.failed(b, booking.EmailFailed), "a job that repeats itself changes nothing")
	require.Equal(t, booking.EmailFailed, d.find(b).EmailStatus)
	var failure string
	login := d.db.Pool(t, postgres.Login)
	require.NoError(t, login.QueryRow(t.Context(), "SELECT failure ->> 'code' FROM booking_mails").Scan(&failure))
	require.Equal(t, "INVALID_INPUT", failure)
	d.sent(b, confirmation, "mail_1")
	require.Equal(t, booking.EmailSent, d.find(b).EmailStatus)
	var left int
	require.NoError(t, login.QueryRow(t.Context(), "SELECT count(*) FROM booking_mails WHERE failure IS NOT NULL").Scan(&left))
	require.Zero(t, left)
	require.True(t, d.mark("alice", b, confirmation, "mail_1", booking.EmailBounced))
	d.sent(b, confirmation, "mail_2")
	require.Equal(t, booking.EmailSent, d.find(b).EmailStatus, "another mail")
	require.False(t, d.mark("alice", b, confirmation, "mail_1", booking.EmailDelivered))
}

func TestABouncedAddressIsSuppressedForItsTenant(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for status, want := range map[booking.EmailStatus]bool{
		booking.EmailBounced: true, booking.EmailComplained: true,
		booking.EmailDelivered: false, booking.EmailFailed: false, booking.EmailSuppressed: false,
	} {
		tenant := string(status)
		b := d.book(tenant, d.hours("room", 30, 0), "09:00")
		d.sent(b, "reminder", "mail_1")
		require.False(t, d.suppressed(tenant, "jo@example.com"))
		require.True(t, d.mark(tenant, b, "reminder", "mail_1", status))
		require.Equal(t, want, d.suppressed(tenant, "jo@example.com"), status)
		require.Equal(t, want, d.suppressed(tenant, " Jo@EXAMPLE.com "), "as it may be written")
		require.False(t, d.suppressed(tenant, "joe@example.com"))
	}
	require.False(t, d.suppressed("alice", "jo@example.com"), "another tenant finds out by itself")
}

func TestTheFirstReasonOfASuppressionStays(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	address, err := booking.AddressOf(t.Context(), d.intake, "alice", "Jo@Example.com")
	require.NoError(t, err)
	for _, reason := range []booking.EmailStatus{booking.EmailBounced, booking.EmailComplained} {
		require.NoError(t, d.intake.Tx(t.Context(), "alice", func(tx pgx.Tx) error {
			return booking.Suppress(t.Context(), tx, "alice", address, reason, d.now)
		}))
	}
	require.True(t, d.suppressed("alice", "jo@example.com"))
	var reason, stored string
	require.NoError(t, d.db.Pool(t, postgres.Login).QueryRow(t.Context(), "SELECT reason, suppressed_addresses::text FROM suppressed_addresses").Scan(&reason, &stored))
	require.Equal(t, "bounced", reason)
	require.NotContains(t, stored, "example", "no address is stored")
}

func TestEventsOfTheProvider(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]booking.EmailStatus{
		"email.delivered": booking.EmailDelivered, "email.bounced": booking.EmailBounced, "email.complained": booking.EmailComplained,
		"email.failed": booking.EmailFailed, "email.suppressed": booking.EmailSuppressed,
		"email.sent": "", "email.opened": "", "email.clicked": "", "email.delivery_delayed": "", "contact.created": "", "": "",
	} {
		require.Equal(t, want, booking.MailEvent{Type: event}.Status(), event)
	}
}
