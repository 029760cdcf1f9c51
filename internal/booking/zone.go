package booking

import (
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // a zone that was accepted when a calendar was stored is known on every host

	"millrace/internal/fault"
)

// zoneName is the form of a name in the IANA time zone database.
var zoneName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$`)

// loadZone finds an IANA time zone. Names that mean something else on every host
// (Local, localtime) and leap-second variants (right/…) are not found.
func loadZone(name string) (*time.Location, bool) {
	const maxName = 64 // characters; the longest there is has 32
	if len(name) > maxName || !zoneName.MatchString(name) {
		return nil, false
	}
	switch directory, _, _ := strings.Cut(name, "/"); directory {
	case "Local", "localtime", "posixrules", "Factory", "posix", "right":
		return nil, false
	}
	zone, err := time.LoadLocation(name)
	return zone, err == nil
}

// ParseZone finds the IANA time zone that a request names. The fault is
// INVALID_INPUT and names the field timezone.
func ParseZone(name string) (*time.Location, error) {
	zone, ok := loadZone(name)
	if !ok {
		var fields fault.Fields
		fields.Add("timezone", problemZone)
		return nil, fields.Err()
	}
	return zone, nil
}

const problemZone = "must be an IANA time zone such as Europe/Berlin"

// Day returns the instants at which a calendar date (2006-01-02) begins and ends
// in the zone of whoever looks at it: 23, 24 or 25 hours mostly. A date whose
// midnight does not exist begins at the first instant that does. The fault is
// INVALID_INPUT, also for a date that a zone left out.
func Day(date string, zone *time.Location) (from, to time.Time, err error) {
	var fields fault.Fields
	day, err := time.Parse(time.DateOnly, date)
	if err != nil || day.Year() < 1 {
		fields.Add("date", "must be a date such as 2026-11-24")
		return time.Time{}, time.Time{}, fields.Err()
	}
	parts := spans(zone, day, day.AddDate(0, 0, 1))
	if len(parts) == 0 {
		fields.Add("date", "must be a date that the time zone has")
		return time.Time{}, time.Time{}, fields.Err()
	}
	return parts[0].from.In(zone), parts[len(parts)-1].to.In(zone), nil
}

// span is the time from an instant up to another one.
type span struct{ from, to time.Time }

// spans lists the time during which a zone's clocks show a reading in [from, to),
// oldest first. Readings are written as if they were UTC. Those that do not exist
// yield nothing, those that come twice yield both; so the spans of readings that
// follow each other never overlap.
func spans(zone *time.Location, from, to time.Time) []span {
	const reach = 26 * time.Hour // no clock is further from UTC
	var list []span
	stop := to.Add(reach)
	for at := from.Add(-reach); at.Before(stop); {
		_, offset := at.In(zone).Zone()
		_, end := at.In(zone).ZoneBounds()
		switch {
		case end.IsZero() || end.After(stop):
			end = stop
		case !end.After(at):
			// On the last day of leap years after 2037 Go 1.26 names a moment that is
			// over; then look again a little later.
			end = earlier(at.Add(time.Hour), stop)
		}
		ahead := time.Duration(offset) * time.Second
		part := span{later(from.Add(-ahead), at), earlier(to.Add(-ahead), end)}
		switch n := len(list); {
		case !part.from.Before(part.to):
		case n > 0 && list[n-1].to.Equal(part.from): // clocks changed in between
			list[n-1].to = part.to
		default:
			list = append(list, part)
		}
		at = end.UTC()
	}
	return list
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
