package invitation

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
)

// method is what a calendar entry asks the customer's calendar to do.
type method = ics.Method

const (
	request = ics.MethodRequest
	cancel  = ics.MethodCancel
)

const (
	product = "-//Millrace//Bookings 1.0//EN"

	local = "20060102T150405"
	utc   = local + "Z"
)

// calendar returns the entry: one event and, unless it is written in UTC, the
// zone of the business.
func calendar(m method, i Invitation, organiser string) ([]byte, error) {
	c := &ics.Calendar{}
	c.SetVersion("2.0")
	c.SetProductId(product)
	c.SetCalscale("GREGORIAN")
	c.SetMethod(m)

	event := ics.NewEvent(i.BookingID + "@millrace")
	zone := i.Business.Zone
	if writtenInUTC(zone, i.StartsAt, i.EndsAt) {
		event.SetProperty(ics.ComponentPropertyDtStart, i.StartsAt.UTC().Format(utc))
		event.SetProperty(ics.ComponentPropertyDtEnd, i.EndsAt.UTC().Format(utc))
	} else {
		c.AddVTimezone(timezone(zone, i.StartsAt, i.EndsAt))
		tzid := ics.WithTZID(zone.String())
		event.SetProperty(ics.ComponentPropertyDtStart, i.StartsAt.In(zone).Format(local), tzid)
		event.SetProperty(ics.ComponentPropertyDtEnd, i.EndsAt.In(zone).Format(local), tzid)
	}
	event.SetSequence(i.Sequence)
	event.SetDtStampTime(i.Stamp)
	event.SetModifiedAt(i.Stamp)
	event.SetSummary("Appointment with " + i.Business.Name)
	event.SetDescription("Booking " + i.BookingID)
	if m == cancel {
		event.SetStatus(ics.ObjectStatusCancelled)
		event.SetTimeTransparency(ics.TransparencyTransparent)
	} else {
		event.SetStatus(ics.ObjectStatusConfirmed)
		event.SetTimeTransparency(ics.TransparencyOpaque)
	}
	event.AddProperty(person(ics.ComponentPropertyOrganizer, i.Business.Name), "mailto:"+organiser)
	// The customer made the booking, so has accepted it, and nobody reads answers.
	event.AddProperty(person(ics.ComponentPropertyAttendee, i.Name), "mailto:"+i.Email,
		ics.CalendarUserTypeIndividual, ics.ParticipationRoleReqParticipant, ics.ParticipationStatusAccepted,
		&ics.KeyValues{Key: string(ics.ParameterRsvp), Value: []string{"FALSE"}})
	c.AddVEvent(event)

	var b bytes.Buffer
	if err := c.SerializeTo(&b, ics.WithNewLineWindows); err != nil {
		return nil, fmt.Errorf("invitation: calendar entry: %w", err)
	}
	return b.Bytes(), nil
}

// person returns a property's name with the parameter CN behind it, quoted. The
// library would write CN unquoted and with backslashes, which mean nothing there
// (RFC 5545, 3.2): a semicolon in a name would begin another parameter, and a
// colon the value. It writes a property's name as it is. Of the characters that a
// name may still have, only the quotation mark cannot be quoted.
func person(property ics.ComponentProperty, name string) ics.ComponentProperty {
	if name == "" {
		return property
	}
	return property + `;CN="` + ics.ComponentProperty(strings.ReplaceAll(name, `"`, "'")) + `"`
}

// tzid is what a zone's name must be to serve as a TZID without quotes.
var tzid = regexp.MustCompile(`^[A-Za-z0-9_+/-]{1,64}$`)

// writtenInUTC tells whether local times will not do: in UTC itself, in a zone
// without a proper name, and in the second of two hours of the same name when
// clocks go back, because a local time there means the first (RFC 5545, 3.3.5).
func writtenInUTC(zone *time.Location, instants ...time.Time) bool {
	if name := zone.String(); name == "UTC" || name == "Etc/UTC" || !tzid.MatchString(name) {
		return true
	}
	for _, t := range instants {
		if begins, _ := t.In(zone).ZoneBounds(); !begins.IsZero() {
			_, before := begins.Add(-1).Zone()
			_, after := begins.Zone()
			if t.Before(begins.Add(time.Duration(before-after) * time.Second)) {
				return true
			}
		}
	}
	return false
}

// timezone describes a zone for as long as the appointment takes: the offset that
// it has at the start, and the one that follows within a year. Calendars that know
// the name use their own rules; Outlook reads this.
func timezone(zone *time.Location, from, until time.Time) *ics.VTimezone {
	begins, ends := from.In(zone).ZoneBounds()
	name, to := from.In(zone).Zone()
	now := observance{name: name, from: to, to: to, onset: "19700101T000000"}
	// Older offsets may have seconds, and older years are beyond some programs.
	if begins.Year() >= 1970 {
		_, now.from = begins.Add(-1).Zone()
		now.onset = onset(begins, now.from)
	}
	z := ics.NewTimezone(zone.String())
	// There may be several changes in one appointment: when it is a long one, or
	// where the clocks stand back for Ramadan.
	for !ends.IsZero() && ends.Before(later(until, from.AddDate(1, 0, 0))) {
		next := observance{from: now.to, onset: onset(ends, now.to)}
		next.name, next.to = ends.Zone()
		now.summer = now.summer || now.to > next.to
		next.summer = next.to > now.to
		z.Components = append(z.Components, now.component())
		now = next
		// After 2037 Go 1.26 may name a moment that is over.
		_, then := ends.ZoneBounds()
		if !ends.Before(until) || (!then.IsZero() && !then.After(ends)) {
			break
		}
		ends = then
	}
	z.Components = append(z.Components, now.component())
	return z
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// onset is when an offset begins, on the clock that still shows the one before.
func onset(t time.Time, before int) string {
	return t.In(time.FixedZone("", before)).Format(local)
}

// observance is a time in which a zone keeps one offset.
type observance struct {
	name, onset string
	from, to    int
	// summer is the larger of two offsets. Ireland by its law has the negative kind
	// in winter, which not every calendar understands.
	summer bool
}

func (o observance) component() ics.Component {
	var base ics.ComponentBase
	base.AddProperty(ics.ComponentPropertyDtStart, o.onset)
	base.AddProperty(ics.ComponentProperty(ics.PropertyTzoffsetfrom), utcOffset(o.from))
	base.AddProperty(ics.ComponentProperty(ics.PropertyTzoffsetto), utcOffset(o.to))
	base.AddProperty(ics.ComponentProperty(ics.PropertyTzname), o.name)
	if o.summer {
		return &ics.Daylight{ComponentBase: base}
	}
	return &ics.Standard{ComponentBase: base}
}

// utcOffset is RFC 5545's form of an offset (3.3.14): +0545, -0330.
func utcOffset(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	s := fmt.Sprintf("%c%02d%02d", sign, seconds/3600, seconds/60%60)
	if seconds%60 != 0 {
		s += fmt.Sprintf("%02d", seconds%60)
	}
	return s
}
