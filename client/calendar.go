package client

import (
	"context"
	"net/http"
)

const calendarPath = "/v1/calendar"

// DefaultResource is what is booked when nothing else is said. It has a calendar
// before one is put there.
const DefaultResource = "default"

// Calendar says when a resource can be booked. Lengths of time are in minutes.
type Calendar struct {
	// Resource is what is booked, a room or a person for instance: 1 to 64 of the
	// characters a-z, 0-9, _ and -. Default: DefaultResource.
	Resource string `json:"resource,omitzero"`
	// Timezone is the IANA name of the time zone of Hours.
	Timezone string `json:"timezone"`
	// Hours must be given; a calendar with Hours{} is closed.
	Hours Hours `json:"hours"`
	// SlotMinutes is how long a slot is: a multiple of 5 from 5 to 480.
	SlotMinutes int `json:"slot_minutes"`
	// BufferMinutes are kept free after each slot: a multiple of 5 from 0 to 240.
	BufferMinutes int `json:"buffer_minutes,omitzero"`
	// DaysAhead is how many days after today can be booked, from 1 to 366.
	DaysAhead int `json:"days_ahead"`
	// ReminderMinutes is how long before an appointment the customer is reminded,
	// at most a week; 0 for no reminder.
	ReminderMinutes int `json:"reminder_minutes"`
	// Business is who invites, as mails show it.
	Business Business `json:"business"`
}

// Hours are opening hours by day of the week, "monday" to "sunday". A day that is
// not named is closed.
type Hours map[string][]Opening

// Opening is a time of a day during which a calendar is open: wall-clock times such
// as 09:00, in steps of 5 minutes. To may be 24:00, the end of the day; a night
// is two openings.
type Opening struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Business is who invites.
type Business struct {
	// Name has at most 100 characters.
	Name string `json:"name"`
	// Email is the organiser of the invitation, and where answers to mails go.
	// Default none.
	Email string `json:"email,omitzero"`
	// Color is that of buttons and borders in mails, such as #1a6b54. Default: the
	// server's.
	Color string `json:"color,omitzero"`
}

// Calendar reads the calendar of a resource; "" is DefaultResource. The error has
// the code NOT_FOUND when the resource has none.
func (c *Client) Calendar(ctx context.Context, resource string) (*Calendar, error) {
	path := withQuery(calendarPath, map[string]string{"resource": resource})
	return c.calendarRequest(ctx, request{method: http.MethodGet, path: path})
}

// PutCalendar makes or replaces the calendar of calendar.Resource, and returns it
// as it is kept, defaults filled in. Bookings stay as they are. To
// change a part, read the Calendar first. The code is INVALID_INPUT, with
// Error.Fields, for a calendar that cannot be.
func (c *Client) PutCalendar(ctx context.Context, calendar Calendar) (*Calendar, error) {
	text, err := encode(calendar)
	if err != nil {
		return nil, err
	}
	return c.calendarRequest(ctx, request{method: http.MethodPut, path: calendarPath, body: text})
}

func (c *Client) calendarRequest(ctx context.Context, r request) (*Calendar, error) {
	var calendar Calendar
	if err := c.call(ctx, r, &calendar); err != nil {
		return nil, err
	}
	return &calendar, nil
}
