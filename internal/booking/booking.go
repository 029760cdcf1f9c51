// Package booking holds what a booking is: calendars and the slots they offer,
// bookings and their rules, their rows, and the record of the mails about them. It
// knows no job queue, no HTTP and no mail provider.
package booking

import (
	"fmt"
	"log/slog"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"millrace/internal/fault"
)

// MaxNotes is how long a customer's notes may be, in characters.
const MaxNotes = 1000

// Request is what a client submits.
type Request struct {
	SlotID   string `json:"slot_id" doc:"Id of a free slot, as GET /v1/slots lists them." maxLength:"81" example:"default.20261124T100000Z"`
	Name     string `json:"name" doc:"The customer's name. Answers mask it: J•••." minLength:"1" maxLength:"100" example:"Jo Doe"`
	Email    string `json:"email" doc:"Where the confirmation goes. Answers mask it: c•••@example.com." format:"email" maxLength:"254" example:"customer@example.com"`
	Timezone string `json:"timezone,omitzero" doc:"IANA time zone in which the customer's mails show times; the calendar's when absent." maxLength:"64" example:"Europe/Berlin"`
	Notes    string `json:"notes,omitzero" doc:"What the customer wants the business to know. Answers mask it: •••." maxLength:"1000" example:"First visit"`
}

// LogValue implements slog.LogValuer: who books stays out of logs.
func (r Request) LogValue() slog.Value { return slog.GroupValue(slog.String("slotId", r.SlotID)) }

// Validate checks a request and returns it normalised. The error is an
// INVALID_INPUT fault that names every field.
func (r Request) Validate() (Request, error) {
	var fields fault.Fields
	_, _, known := ParseSlot(r.SlotID)
	fields.Check(known, "slot_id", "must be the id of a slot, as GET /v1/slots lists them")
	r.Name = checkName(&fields, "name", r.Name)
	// Else whoever books could have us mail a link to whomever they like.
	fields.Check(!link.MatchString(r.Name), "name", "must be a name, not a link")
	r.Email = checkEmail(&fields, "email", r.Email)
	if r.Timezone != "" {
		_, known = loadZone(r.Timezone)
		fields.Check(known, "timezone", problemZone)
	}
	var ok bool
	r.Notes, ok = lines(r.Notes)
	fields.Check(ok, "notes", "must be without control characters")
	fields.Check(utf8.RuneCountInString(r.Notes) <= MaxNotes, "notes", fmt.Sprintf("must have at most %d characters", MaxNotes))
	return r, fields.Err()
}

// link is what mail programs make a link of.
var link = regexp.MustCompile(`(?i)://|\bwww\.|[a-z0-9-]\.[a-z]{2,}/`)

// Status is where a booking stands.
type Status string

// The states of a booking.
const (
	Confirmed Status = "confirmed"
	Cancelled Status = "cancelled"
)

// Booking is one appointment of a tenant. Its times are in UTC.
type Booking struct {
	ID     uuid.UUID `json:"id"`
	Tenant string    `json:"-"`
	Status Status    `json:"status" enum:"confirmed,cancelled"`
	Request
	Resource    string      `json:"resource" doc:"What is booked." example:"default"`
	StartsAt    time.Time   `json:"starts_at"`
	EndsAt      time.Time   `json:"ends_at"`
	EmailStatus EmailStatus `json:"email_status" doc:"What became of the confirmation." enum:"pending,sent,delivered,bounced,complained,failed,suppressed"`
	// JobID is the job that sends the confirmation.
	JobID       int64      `json:"job_id,string,omitzero" doc:"The job that sends the confirmation." example:"4711"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	CancelledAt *time.Time `json:"cancelled_at,omitzero"`
	// Sequence is the revision of the calendar entry (RFC 5545, SEQUENCE).
	Sequence int `json:"-"`
	// ReminderJobID is the job that will remind the customer; zero when there is none.
	ReminderJobID int64 `json:"-"`

	// busyUntil is when the resource is free again: EndsAt and the buffer after it.
	busyUntil time.Time
	// sealed is what private is stored as; nil when the row is plain.
	sealed []byte
}

// LogValue implements slog.LogValuer.
func (b Booking) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", b.ID.String()), slog.String("status", string(b.Status)))
}

// New returns the booking that a valid request asks for; At says for when it is.
// now is truncated to microseconds, which is what the database keeps.
func New(tenant string, id uuid.UUID, r Request, now time.Time) Booking {
	now = now.UTC().Truncate(time.Microsecond)
	return Booking{ID: id, Tenant: tenant, Status: Confirmed, Request: r, EmailStatus: EmailPending, CreatedAt: now, UpdatedAt: now}
}

// At returns the booking for a slot of a calendar. A customer without a time zone
// gets the calendar's.
func (b Booking) At(slot Slot, c Calendar) Booking {
	b.Resource, b.StartsAt, b.EndsAt = c.Resource, slot.StartsAt.UTC(), slot.EndsAt.UTC()
	b.busyUntil = b.EndsAt.Add(c.buffer())
	if b.Timezone == "" {
		b.Timezone = c.Timezone
	}
	return b
}

// Submitted returns the booking as it was when it was accepted, so that a
// replayed submission gets the answer that the first one got.
func (b Booking) Submitted() Booking {
	first := New(b.Tenant, b.ID, b.Request, b.CreatedAt)
	first.Resource, first.StartsAt, first.EndsAt, first.busyUntil = b.Resource, b.StartsAt, b.EndsAt, b.busyUntil
	return first
}
