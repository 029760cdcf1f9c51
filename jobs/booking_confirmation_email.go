package jobs

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/ratelimit"
)

// BookingConfirmationEmailArgs is what a booking_confirmation_email job carries.
type BookingConfirmationEmailArgs struct {
	BookingID uuid.UUID `json:"booking_id"`
}

// Kind implements river.JobArgs.
func (BookingConfirmationEmailArgs) Kind() string { return "booking_confirmation_email" }

func bookingConfirmationEmail(do work[BookingConfirmationEmailArgs]) *Kind {
	return stored(Kind{
		Name:        BookingConfirmationEmailArgs{}.Kind(),
		Queue:       EmailQueue,
		Slots:       emailSlots,
		Summary:     "Sends the customer of a booking its confirmation, with the calendar entry, through Resend.",
		Public:      true,
		Resource:    "booking",
		Limit:       ratelimit.Bookings,
		PersonLimit: ratelimit.Recipients, // whoever is booked for is written to, wanted or not
		Policy:      emailPolicy(),
		Sample:      booking.Request{SlotID: sampleSlot(time.Now()), Name: "Jo Doe", Email: "customer@example.com"},
	}, store[booking.Booking]{
		insertMany: booking.InsertMany,
		find:       booking.Find,
		cancel: func(context.Context, pgx.Tx, string, uuid.UUID, time.Time) error {
			return fault.New(fault.Conflict, "A booking is not left without its confirmation; cancel the booking instead.")
		},
		original: booking.Booking.Submitted,
		complete: booking.Resolve,
		person:   func(b booking.Booking) string { return b.Email },
		seal:     booking.Seal,
		masked:   booking.Booking.Masked,
	}, func(in booking.Request, at Acceptance) (booking.Booking, BookingConfirmationEmailArgs) {
		return booking.New(at.Tenant, at.ID, in, at.Now), BookingConfirmationEmailArgs{BookingID: at.ID}
	}, do)
}

// EmailQueue is the queue of the kinds that send mails, and of no others.
const EmailQueue = "emails"

const emailSlots = 20

func emailPolicy() Policy {
	return Policy{
		MaxAttempts: 25,
		Timeout:     30 * time.Second, // one request to Resend at its slowest, and a wait for its rate limit
		FirstRetry:  2 * time.Second,
		MaxRetry:    30 * time.Minute, // all attempts within 9 h, while Resend still knows our keys (24 h)
		Target:      30 * time.Second,
	}
}

// sampleSlot is a slot that the calendar of a tenant without one offers.
func sampleSlot(now time.Time) string {
	at := now.UTC().Truncate(24 * time.Hour).Add(34 * time.Hour) // 10:00 of tomorrow
	for at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
		at = at.Add(24 * time.Hour)
	}
	return booking.SlotID(booking.DefaultResource, at)
}
