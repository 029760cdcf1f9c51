package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

const bookingsPath = "/v1/bookings"

// BookingRequest asks for a slot in a customer's name.
type BookingRequest struct {
	// SlotID is the ID of a Slot.
	SlotID string `json:"slot_id"`
	// Name is the customer's, at most 100 characters; not a link.
	Name string `json:"name"`
	// Email is where the customer's mails go.
	Email string `json:"email"`
	// Timezone is the IANA name of the time zone in which the customer's mails show
	// times. Default: the calendar's.
	Timezone string `json:"timezone,omitzero"`
	// Notes are what the customer wants the business to know; at most 1000
	// characters.
	Notes string `json:"notes,omitzero"`
}

// BookingStatus is where a booking stands.
type BookingStatus string

// The states of a booking. A cancelled one stays so.
const (
	BookingConfirmed BookingStatus = "confirmed"
	BookingCancelled BookingStatus = "cancelled"
)

// BookingStatuses lists the statuses that this client knows.
func BookingStatuses() []BookingStatus {
	return []BookingStatus{BookingConfirmed, BookingCancelled}
}

// EmailStatus is what became of a mail.
type EmailStatus string

// The states of a mail. One that was delivered may still bounce, or be complained
// of.
const (
	EmailPending    EmailStatus = "pending"    // not sent yet
	EmailSent       EmailStatus = "sent"       // the mail provider took it
	EmailDelivered  EmailStatus = "delivered"  // the customer's mail server took it
	EmailBounced    EmailStatus = "bounced"    // the customer's mail server refused it for good
	EmailComplained EmailStatus = "complained" // the customer called it spam
	EmailFailed     EmailStatus = "failed"     // the mail provider refused it for good
	EmailSuppressed EmailStatus = "suppressed" // not sent: the address bounced or complained before
)

// EmailStatuses lists the statuses that this client knows.
func EmailStatuses() []EmailStatus {
	return []EmailStatus{
		EmailPending, EmailSent, EmailDelivered, EmailBounced, EmailComplained, EmailFailed, EmailSuppressed,
	}
}

// Booking is a booking as it was when it was read. Name, Email and Notes are masked
// (J•••, c•••@example.com), except in what RevealBooking returns. Times are UTC.
type Booking struct {
	BookingRequest

	ID     string        `json:"id"`
	Status BookingStatus `json:"status"`
	// Resource is what is booked; see Calendar.
	Resource string    `json:"resource"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
	// EmailStatus is what became of the confirmation; other mails do not change it.
	EmailStatus EmailStatus `json:"email_status"`
	// JobID is the job that sends the confirmation. It is empty in the answer to a
	// submission that did not wait; Submission.Job has it there.
	JobID     string    `json:"job_id,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// CancelledAt is zero unless Status is BookingCancelled.
	CancelledAt time.Time `json:"cancelled_at,omitzero"`
}

// SubmitBooking books a slot, and sends the customer a confirmation by mail. The
// slot is taken and the booking confirmed when it returns, even with
// opts.ScheduledAt: the job is only the mail's. The code is SLOT_UNAVAILABLE
// (CodeSlotUnavailable) when the slot is taken, or not offered any more; list the
// Slots again.
//
// With opts.Wait a mail that cannot be sent is an *Error with JobID set. The
// booking stands nevertheless: Details["booking_id"] names it. Do not submit it
// again with another key, for which its own slot is taken; CancelBooking gives the
// slot back.
func (c *Client) SubmitBooking(ctx context.Context, booking BookingRequest, opts SubmitOptions) (*Submission, error) {
	return c.submit(ctx, bookingsPath, struct {
		BookingRequest
		submitFields
	}{booking, opts.fields()}, opts)
}

// Booking reads a booking. The error has the code NOT_FOUND when the key's
// tenant has none of that id.
func (c *Client) Booking(ctx context.Context, id string) (*Booking, error) {
	return c.booking(ctx, id, "")
}

func (c *Client) booking(ctx context.Context, id, query string) (*Booking, error) {
	return c.bookingRequest(ctx, request{method: http.MethodGet}, id, query)
}

// CancelBooking cancels a booking, and returns it. Its slot is free at once, the
// customer is told by mail, and no reminder follows. The code is CONFLICT for a
// booking that is cancelled or over already, NOT_FOUND for no such booking. It is
// not repeated when it gets no answer: look at the booking first.
func (c *Client) CancelBooking(ctx context.Context, id string) (*Booking, error) {
	return c.bookingRequest(ctx, request{method: http.MethodDelete, unrepeatable: true}, id, "")
}

func (c *Client) bookingRequest(ctx context.Context, r request, id, query string) (*Booking, error) {
	if id == "" {
		return nil, errors.New("client: the booking's id is empty")
	}
	r.path = bookingsPath + "/" + url.PathEscape(id) + query
	var booking Booking
	if err := c.call(ctx, r, &booking); err != nil {
		return nil, err
	}
	return &booking, nil
}
