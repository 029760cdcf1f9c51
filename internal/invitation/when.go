package invitation

import (
	"fmt"
	"strings"
	"time"
)

// when is an appointment's time as it is read in one zone.
type when struct {
	// Date is "Tuesday, 24 November 2026"; short has the subject's form.
	Date, short string
	// Time is "10:00–10:30", or with the date of the end when that is another day.
	Time, start string
	// Zone is "Europe/Berlin (UTC+1)".
	Zone string
}

func newWhen(from, until time.Time, zone *time.Location) when {
	const clock, date = "15:04", "Monday, 2 January 2006"
	from, until = from.In(zone), until.In(zone)
	w := when{
		Date:  from.Format(date),
		short: from.Format("Mon 2 Jan 2006"),
		start: from.Format(clock),
	}
	w.Time = w.start + "–" + until.Format(clock)
	if end := until.Format(date); end != w.Date {
		w.Time = w.start + " – " + end + ", " + until.Format(clock)
	}
	// An appointment across a change of the clocks would seem to take an hour more
	// or less than it does.
	w.Zone = offset(from)
	if end := offset(until); end != w.Zone {
		w.Zone += ", then " + end
	}
	if name := zoneName(zone); name != "" && name != w.Zone {
		w.Zone = name + " (" + w.Zone + ")"
	}
	return w
}

// String is the whole of it on one line.
func (w when) String() string { return w.Date + ", " + w.Time + ", " + w.Zone }

// zoneName returns the name to show, "America/New York", or nothing when a zone
// has none.
func zoneName(zone *time.Location) string {
	return strings.ReplaceAll(clean(zone.String(), 64), "_", " ")
}

// offset is the distance from UTC that a time's zone has: UTC, UTC+1, UTC−3:30.
func offset(t time.Time) string {
	_, seconds := t.Zone()
	if seconds == 0 {
		return "UTC"
	}
	sign := "+"
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	if minutes := seconds / 60 % 60; minutes != 0 {
		return fmt.Sprintf("UTC%s%d:%02d", sign, seconds/3600, minutes)
	}
	return fmt.Sprintf("UTC%s%d", sign, seconds/3600)
}

// sameClock tells whether two zones show the same time at both instants.
func sameClock(a, b *time.Location, instants ...time.Time) bool {
	for _, t := range instants {
		_, there := t.In(a).Zone()
		_, here := t.In(b).Zone()
		if there != here {
			return false
		}
	}
	return true
}
