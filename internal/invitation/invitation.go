// Package invitation renders what a customer is sent about a booking: the mail as
// HTML and as text, and the calendar entry that goes with it. It imports nothing
// of ours.
//
// The same Invitation renders to the same bytes, always: nothing here reads a
// clock or a random number, because a mail that differs between two attempts is
// refused under one idempotency key.
package invitation

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"
)

// Message is what the customer is told.
type Message string

// The messages. A reminder carries no calendar entry: the confirmation's is in
// the calendar already.
const (
	Confirmation Message = "confirmation"
	Cancellation Message = "cancellation"
	Reminder     Message = "reminder"
)

// Messages lists every message.
func Messages() []Message { return []Message{Confirmation, Cancellation, Reminder} }

// Business is whom the booking is with.
type Business struct {
	// Name is shown as the mail's header, in its subject and in the calendar.
	// Without one, the organiser's address is shown.
	Name string
	// Email is the organiser of the calendar entry, and where the mail says to
	// write to. Empty: Invitation.From organises, and the mail names no address.
	Email string
	// Color is the header's, as #rgb or #rrggbb. Empty or anything else: a default.
	Color string
	// Zone is where the business keeps its calendar. Nil or time.Local: UTC.
	Zone *time.Location
}

// Invitation is one booking, as its customer is told about it. Names may be
// hostile: they are cleaned here, whatever the caller did.
type Invitation struct {
	// BookingID holds ASCII letters, digits, dots, _ and -. With "@millrace" behind
	// it, it is the calendar entry's UID.
	BookingID string
	// Sequence counts the booking's changes from 0 (RFC 5545, 3.8.7.4). A calendar
	// takes the cancellation only with a higher one than the confirmation's.
	Sequence int
	// Stamp is when the booking last changed, and never the present time: it is
	// written into the calendar entry, which must be the same on every attempt.
	Stamp time.Time
	// StartsAt and EndsAt bound the appointment, the end after the start.
	StartsAt, EndsAt time.Time
	// Zone is the customer's: the mail's times are shown in it. Nil or time.Local:
	// Business.Zone.
	Zone *time.Location
	// Name and Email are the customer's. Name may be empty.
	Name, Email string
	Business    Business
	// From sends the mail, as a bare address or with a name. It is the organiser
	// when Business.Email is empty.
	From string
}

// Rendered is one mail.
type Rendered struct {
	// Subject is one line of at most 200 characters, none of them a control.
	Subject string
	HTML    string
	Text    string
	// Calendar is an iCalendar object (RFC 5545), nil for a reminder.
	Calendar []byte
	// Method is what Calendar asks for (RFC 5546): REQUEST, CANCEL, or nothing.
	Method string
}

// The lengths, in characters, that names are cut to. Longer ones say nothing more
// to a reader, and a stranger can have them mailed to somebody else.
const (
	maxBusinessName = 80
	maxCustomerName = 60
)

var bookingID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Render renders one message about one booking. An error says which field of the
// invitation is unusable, without its value; another attempt would end the same.
func Render(m Message, i Invitation) (Rendered, error) {
	i, organiser, err := prepare(i)
	if err != nil {
		return Rendered{}, err
	}
	var method method
	switch m {
	case Confirmation:
		method = request
	case Cancellation:
		method = cancel
	case Reminder:
	default:
		return Rendered{}, fmt.Errorf("invitation: unknown message %q", m)
	}
	p := newPage(m, i)
	r := Rendered{Subject: p.subject(), Method: string(method)}
	if r.HTML, r.Text, err = p.render(); err != nil {
		return Rendered{}, err
	}
	if method != "" {
		if r.Calendar, err = calendar(method, i, organiser); err != nil {
			return Rendered{}, err
		}
	}
	return r, nil
}

// prepare returns the invitation with its defaults, names cleaned and addresses
// bare, and the address that organises it.
func prepare(i Invitation) (_ Invitation, organiser string, err error) {
	switch {
	case !bookingID.MatchString(i.BookingID):
		return i, "", errors.New("invitation: unusable booking id")
	case i.Sequence < 0:
		return i, "", errors.New("invitation: negative sequence")
	case !writable(i.Stamp):
		return i, "", errors.New("invitation: unusable stamp")
	case !writable(i.StartsAt) || !writable(i.EndsAt) || !i.StartsAt.Before(i.EndsAt):
		return i, "", errors.New("invitation: unusable times")
	}
	if i.Email, err = bare(i.Email); err != nil {
		return i, "", fmt.Errorf("invitation: customer's address: %w", err)
	}
	organiser = i.From
	if i.Business.Email != "" {
		organiser = i.Business.Email
	}
	if organiser, err = bare(organiser); err != nil {
		return i, "", fmt.Errorf("invitation: organiser's address: %w", err)
	}
	if i.Business.Email != "" {
		i.Business.Email = organiser
	}
	if i.Business.Name = clean(i.Business.Name, maxBusinessName); i.Business.Name == "" {
		i.Business.Name = clean(organiser, maxBusinessName)
	}
	i.Name = clean(unlink(i.Name), maxCustomerName)
	// time.Local is the server's, and another on the next one.
	if i.Business.Zone == nil || i.Business.Zone == time.Local {
		i.Business.Zone = time.UTC
	}
	if i.Zone == nil || i.Zone == time.Local {
		i.Zone = i.Business.Zone
	}
	return i, organiser, nil
}

// writable tells whether a time has the four digits of a year that iCalendar has
// room for, in any zone.
func writable(t time.Time) bool { return t.Year() > 1970 && t.Year() < 9999 }

// bare returns the address without its name. It refuses quoted local parts: they
// are as good as unused, and could carry what ends a line or a parameter.
func bare(address string) (string, error) {
	a, err := mail.ParseAddress(address)
	if err != nil {
		return "", errors.New("not an address") // the cause repeats the address
	}
	if clean(a.Address, len(a.Address)) != a.Address || strings.ContainsAny(a.Address, " \"(),:;<>[\\]") {
		return "", errors.New("not an address that every calendar can read")
	}
	return a.Address, nil
}
