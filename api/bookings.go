package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/strictjson"
	"millrace/jobs"
)

type bookingInput struct {
	ID string `path:"id" doc:"The booking's id." example:"019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c"`
}

type bookingOutput struct {
	Body booking.Booking
}

func (s *Server) getBooking(ctx context.Context, in *readInput) (*bookingOutput, error) {
	id, ok := newUUID(in.ID)
	if !ok {
		return nil, noSuchBooking()
	}
	revealed, err := s.reveal(ctx, in, "booking", id)
	if err != nil {
		return nil, err
	}
	b, err := booking.Find(ctx, s.opts.DB, principal(ctx).Tenant, id)
	if err != nil {
		return nil, err
	}
	if !revealed {
		b = b.Masked()
	}
	return &bookingOutput{Body: b}, nil
}

func noSuchBooking() *fault.Fault { return fault.New(fault.NotFound, "There is no such booking.") }

// cancelBooking frees the slot at once, in one transaction with the job that
// tells the customer, and without the reminder.
func (s *Server) cancelBooking(ctx context.Context, in *bookingInput) (*bookingOutput, error) {
	id, ok := newUUID(in.ID)
	if !ok {
		return nil, noSuchBooking()
	}
	tenant, out := principal(ctx).Tenant, &bookingOutput{}
	// What is sealed never changes, and is opened before anything is done.
	asked, err := booking.Find(ctx, s.opts.DB, tenant, id)
	if err != nil {
		return nil, err
	}
	err = s.opts.Writer.Change(ctx, tenant, requestID(ctx), func(ctx context.Context, tx pgx.Tx) (change intake.Change, err error) {
		out.Body, err = booking.Cancel(ctx, tx, tenant, id, s.opts.Now())
		return intake.Change{Enqueue: jobs.BookingCancellationEmailArgs{BookingID: id}, Cancel: out.Body.ReminderJobID}, err
	})
	if err != nil {
		return nil, err
	}
	out.Body.Request = asked.Request
	out.Body = out.Body.Masked()
	return out, nil
}

type bookingsOutput struct {
	Body struct {
		Bookings      []booking.Booking `json:"bookings"`
		NextPageToken string            `json:"next_page_token,omitzero" doc:"For the next page; absent on the last."`
	}
}

func (s *Server) listBookings(ctx context.Context, in *pageInput) (*bookingsOutput, error) {
	before, err := in.before("booking")
	if err != nil {
		return nil, err
	}
	list, err := booking.List(ctx, s.opts.DB, principal(ctx).Tenant, booking.Filter{Before: before, Limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i] = list[i].Masked()
	}
	out := &bookingsOutput{}
	out.Body.Bookings, out.Body.NextPageToken = page(list, in.Limit, "booking", func(b booking.Booking) string { return b.ID.String() })
	return out, nil
}

type calendarInput struct {
	Resource string `query:"resource" doc:"What is booked: a room, a person; a tenant may have many." default:"default" maxLength:"64"`
}

type calendarOutput struct {
	Body booking.Calendar
}

func (s *Server) getCalendar(ctx context.Context, in *calendarInput) (*calendarOutput, error) {
	c, err := booking.FindCalendar(ctx, s.opts.DB, principal(ctx).Tenant, in.Resource)
	if err != nil {
		return nil, err
	}
	return &calendarOutput{Body: c}, nil
}

type putCalendarInput struct {
	ContentType     string `header:"Content-Type" hidden:"true"`
	ContentEncoding string `header:"Content-Encoding" hidden:"true"`
	RawBody         []byte `contentType:"application/json"`
}

func (s *Server) putCalendar(ctx context.Context, in *putCalendarInput) (*calendarOutput, error) {
	if err := jsonBody(in.ContentType, in.ContentEncoding, in.RawBody, maxBody); err != nil {
		return nil, err
	}
	c := booking.Calendar{Resource: booking.DefaultResource, ReminderMinutes: booking.DefaultReminderMinutes}
	if err := strictjson.Decode(in.RawBody, &c); err != nil {
		return nil, err
	}
	c, err := c.Validate()
	if err != nil {
		return nil, err
	}
	if err := booking.PutCalendar(ctx, s.opts.DB, principal(ctx).Tenant, c, s.opts.Now()); err != nil {
		return nil, err
	}
	return &calendarOutput{Body: c}, nil
}

type slotsInput struct {
	Date     string `query:"date" required:"true" doc:"The day in the time zone asked for." example:"2026-11-24"`
	Timezone string `query:"timezone" doc:"IANA name of the time zone to answer in; the calendar's when absent." example:"Europe/Berlin" maxLength:"64"`
	Resource string `query:"resource" doc:"What is booked." default:"default" maxLength:"64"`
}

type slotsOutput struct {
	Body struct {
		Slots []booking.Slot `json:"slots"`
	}
}

func (s *Server) listSlots(ctx context.Context, in *slotsInput) (*slotsOutput, error) {
	tenant := principal(ctx).Tenant
	c, err := booking.FindCalendar(ctx, s.opts.DB, tenant, in.Resource)
	if err != nil {
		return nil, err
	}
	name := in.Timezone
	if name == "" {
		name = c.Timezone
	}
	zone, err := booking.ParseZone(name)
	if err != nil {
		return nil, err
	}
	from, to, err := booking.Day(in.Date, zone)
	if err != nil {
		return nil, err
	}
	slots := c.Slots(from, to, s.opts.Now())
	taken, err := booking.Taken(ctx, s.opts.DB, tenant, c.Resource, from, to)
	if err != nil {
		return nil, err
	}
	out := &slotsOutput{}
	out.Body.Slots = []booking.Slot{}
	for _, slot := range c.Free(slots, taken) {
		slot.StartsAt, slot.EndsAt = slot.StartsAt.In(zone), slot.EndsAt.In(zone)
		out.Body.Slots = append(out.Body.Slots, slot)
	}
	return out, nil
}
