package invitation_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-ical"
	"github.com/stretchr/testify/require"

	"millrace/internal/invitation"
)

// entry is a calendar entry as another library reads it.
type entry struct {
	calendar, event *ical.Component
	// zone is the VTIMEZONE, nil when there is none.
	zone *ical.Component
	// names are those of all properties and parameters in order, to show that
	// nothing was added; the zone's are left out.
	names []string
}

// line is RFC 5545's content line, 3.1: a quoted value holds no quotation mark,
// any other none of ";:,\"".
var line = regexp.MustCompile(`^([A-Z-]+)((?:;[A-Z-]+=(?:"[^"\x00-\x1f\x7f]*"|[^";:,\x00-\x1f\x7f]*))*):([^\x00-\x1f\x7f]*)$`)

var parameter = regexp.MustCompile(`;([A-Z-]+)=(?:"[^"]*"|[^";:,]*)`)

// parse reads an entry and checks the form of its lines.
func parse(t *testing.T, b []byte) entry {
	t.Helper()
	var e entry
	require.True(t, bytes.HasSuffix(b, []byte("\r\n")))
	physical := strings.Split(strings.TrimSuffix(string(b), "\r\n"), "\r\n")
	for _, l := range physical {
		require.LessOrEqual(t, len(l), 75, "octets of %q", l)
		require.NotContains(t, l, "\n")
		require.NotContains(t, l, "\r")
		require.NotEmpty(t, strings.TrimSpace(l))
	}
	inZone := false
	for l := range strings.SplitSeq(strings.ReplaceAll(strings.Join(physical, "\r\n"), "\r\n ", ""), "\r\n") {
		m := line.FindStringSubmatch(l)
		require.NotNil(t, m, "%q is no content line", l)
		inZone = inZone || l == "BEGIN:VTIMEZONE"
		if !inZone {
			e.names = append(e.names, m[1])
			for _, p := range parameter.FindAllStringSubmatch(m[2], -1) {
				e.names = append(e.names, ";"+p[1])
			}
		}
		inZone = inZone && l != "END:VTIMEZONE"
	}
	c, err := ical.NewDecoder(bytes.NewReader(b)).Decode()
	require.NoError(t, err)
	// The encoder refuses what RFC 5545 does: missing or doubled properties.
	require.NoError(t, ical.NewEncoder(new(bytes.Buffer)).Encode(c))
	e.calendar = c.Component
	for _, child := range c.Children {
		switch child.Name {
		case ical.CompEvent:
			require.Nil(t, e.event)
			e.event = child
		case ical.CompTimezone:
			require.Nil(t, e.zone)
			e.zone = child
		default:
			require.Fail(t, "unexpected component", child.Name)
		}
	}
	require.NotNil(t, e.event)
	return e
}

func textOf(t *testing.T, c *ical.Component, name string) string {
	t.Helper()
	value, err := c.Props.Text(name)
	require.NoError(t, err)
	return value
}

// instant reads a time of the event by the zone in the same file and no other
// (RFC 5545, 3.6.5): the offset is that of the last onset before it.
func (e entry) instant(t *testing.T, name string) time.Time {
	t.Helper()
	const local = "20060102T150405"
	prop := e.event.Props.Get(name)
	require.NotNil(t, prop)
	id := prop.Params.Get("TZID")
	if id == "" {
		at, err := time.Parse(local+"Z", prop.Value)
		require.NoError(t, err)
		return at
	}
	require.NotNil(t, e.zone)
	require.Equal(t, id, textOf(t, e.zone, "TZID"))
	at, err := time.Parse(local, prop.Value)
	require.NoError(t, err)
	var last time.Time
	var zone *time.Location
	for _, c := range e.zone.Children {
		onset, err := time.Parse(local, c.Props.Get("DTSTART").Value)
		require.NoError(t, err)
		offset, err := time.Parse("-0700", c.Props.Get("TZOFFSETTO").Value)
		require.NoError(t, err)
		if !onset.After(at) && (zone == nil || onset.After(last)) {
			last, zone = onset, offset.Location()
		}
	}
	require.NotNil(t, zone, "no onset before the event")
	at, err = time.ParseInLocation(local, prop.Value, zone)
	require.NoError(t, err)
	return at
}

func TestAnotherParserReadsTheEntry(t *testing.T) {
	t.Parallel()
	i := sample(t)
	confirmed := parse(t, render(t, invitation.Confirmation, i).Calendar)
	i.Sequence, i.Stamp = 1, i.Stamp.Add(time.Hour)
	cancelled := parse(t, render(t, invitation.Cancellation, i).Calendar)

	for e, want := range map[*entry]struct{ method, status, sequence, transp, stamp string }{
		&confirmed: {"REQUEST", "CONFIRMED", "0", "OPAQUE", "20261102T081530Z"},
		&cancelled: {"CANCEL", "CANCELLED", "1", "TRANSPARENT", "20261102T091530Z"},
	} {
		require.Equal(t, "2.0", textOf(t, e.calendar, "VERSION"))
		require.Equal(t, "-//Millrace//Bookings 1.0//EN", textOf(t, e.calendar, "PRODID"))
		require.Equal(t, want.method, textOf(t, e.calendar, "METHOD"))
		require.Equal(t, i.BookingID+"@millrace", textOf(t, e.event, "UID"))
		require.Equal(t, want.status, textOf(t, e.event, "STATUS"))
		require.Equal(t, want.transp, textOf(t, e.event, "TRANSP"))
		require.Equal(t, want.sequence, e.event.Props.Get("SEQUENCE").Value)
		require.Equal(t, want.stamp, e.event.Props.Get("DTSTAMP").Value)
		require.Equal(t, want.stamp, e.event.Props.Get("LAST-MODIFIED").Value)
		require.Equal(t, "Appointment with Lindenhof Dental", textOf(t, e.event, "SUMMARY"))
		require.Equal(t, "mailto:hello@lindenhof.example", e.event.Props.Get("ORGANIZER").Value)
		require.Equal(t, "mailto:ada@example.com", e.event.Props.Get("ATTENDEE").Value)
		require.Equal(t, ical.Params{
			"CN": {"Ada Lovelace"}, "CUTYPE": {"INDIVIDUAL"}, "PARTSTAT": {"ACCEPTED"}, "ROLE": {"REQ-PARTICIPANT"}, "RSVP": {"FALSE"},
		}, e.event.Props.Get("ATTENDEE").Params)
		require.Equal(t, "Europe/Berlin", e.event.Props.Get("DTSTART").Params.Get("TZID"))
		require.Equal(t, i.StartsAt, e.instant(t, "DTSTART").UTC())
		require.Equal(t, i.EndsAt, e.instant(t, "DTEND").UTC())
	}
}

func TestTheSenderOrganisesForABusinessWithoutAddress(t *testing.T) {
	t.Parallel()
	i := sample(t)
	i.Business.Email = ""
	event := parse(t, render(t, invitation.Confirmation, i).Calendar).event
	require.Equal(t, "mailto:bookings@millrace.example", event.Props.Get("ORGANIZER").Value)
	require.Equal(t, "Lindenhof Dental", event.Props.Get("ORGANIZER").Params.Get("CN"))
}

func TestTheZoneInTheEntryGivesTheInstant(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Tokyo", "America/Phoenix",
		"Europe/Dublin", "Africa/Casablanca", "America/St_Johns", "Pacific/Apia", "Pacific/Kiritimati", "Etc/GMT+5", "America/Santiago", "UTC",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := zone(t, name)
			check := func(from time.Time, length time.Duration) {
				i := sample(t)
				i.Business.Zone, i.StartsAt, i.EndsAt = z, from, from.Add(length)
				e := parse(t, render(t, invitation.Confirmation, i).Calendar)
				require.Equal(t, i.StartsAt.UTC(), e.instant(t, "DTSTART").UTC(), "%s", i.StartsAt.In(z))
				require.Equal(t, i.EndsAt.UTC(), e.instant(t, "DTEND").UTC(), "%s", i.EndsAt.In(z))
				require.Equal(t, name == "UTC", e.zone == nil && from.Minute() == 0, "a zone, but for the hour that comes twice")
				if e.zone != nil {
					// Outlook takes no daylight saving without a standard time.
					require.Contains(t, children(e.zone), "STANDARD")
				}
			}
			// Every fifth day of two years, at an hour at which no clock is changed.
			for day := range 146 {
				noon := time.Date(2026, time.January, 1+5*day, 12, 0, 0, 0, z)
				check(noon, 30*time.Minute)
			}
		})
	}
}

func children(c *ical.Component) (names []string) {
	for _, child := range c.Children {
		names = append(names, child.Name)
	}
	return names
}

// Every quarter of an hour around each change of two years, the hours that come
// twice included.
func TestTheEntryIsRightAroundChangesOfTheClock(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string]int{
		"Europe/Berlin": 4, "America/New_York": 4, "Australia/Lord_Howe": 4, "Asia/Kathmandu": 0, "Africa/Casablanca": 4, "Europe/Dublin": 4, "UTC": 0,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := zone(t, name)
			at, seen, inUTC := time.Date(2026, time.January, 1, 0, 0, 0, 0, z), 0, 0
			for {
				_, change := at.ZoneBounds()
				if change.IsZero() || change.Year() > 2027 {
					break
				}
				seen, at = seen+1, change
				for quarter := -16; quarter <= 16; quarter++ {
					for _, length := range []time.Duration{15 * time.Minute, 2 * time.Hour, 400 * 24 * time.Hour} {
						i := sample(t)
						i.Business.Zone, i.StartsAt = z, change.Add(time.Duration(quarter)*15*time.Minute)
						i.EndsAt = i.StartsAt.Add(length)
						e := parse(t, render(t, invitation.Confirmation, i).Calendar)
						require.Equal(t, i.StartsAt.UTC(), e.instant(t, "DTSTART").UTC(), "%s", i.StartsAt.In(z))
						require.Equal(t, i.EndsAt.UTC(), e.instant(t, "DTEND").UTC(), "%s", i.EndsAt.In(z))
						if e.zone == nil {
							inUTC++
						}
					}
				}
			}
			require.Equal(t, changes, seen)
			require.Equal(t, changes > 0, inUTC > 0, "the hour that comes twice has no local form")
		})
	}
}

// Go's time zones are out of order on such days; the entry must be made all the same.
func TestTheEntryIsMadeOnTheLastDayOfALeapYear(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Sydney"} {
		i := sample(t)
		i.Business.Zone = zone(t, name)
		i.StartsAt = time.Date(2040, time.December, 31, 10, 0, 0, 0, i.Business.Zone)
		i.EndsAt = i.StartsAt.Add(time.Hour)
		e := parse(t, render(t, invitation.Confirmation, i).Calendar)
		require.Equal(t, i.StartsAt.UTC(), e.instant(t, "DTSTART").UTC(), name)
	}
}

func TestAZoneWithoutAProperNameIsWrittenInUTC(t *testing.T) {
	t.Parallel()
	for _, z := range []*time.Location{nil, time.UTC, time.Local, time.FixedZone("", 3600), time.FixedZone("x\r\nSTATUS:CANCELLED", 3600), time.FixedZone(`x";y`, 3600)} {
		i := sample(t)
		i.Business.Zone = z
		e := parse(t, render(t, invitation.Confirmation, i).Calendar)
		require.Nil(t, e.zone)
		require.Equal(t, "20261124T090000Z", e.event.Props.Get("DTSTART").Value)
		require.Equal(t, "20261124T093000Z", e.event.Props.Get("DTEND").Value)
	}
}

func TestTheEntryIsSmall(t *testing.T) {
	t.Parallel()
	i := sample(t)
	require.Less(t, len(render(t, invitation.Confirmation, i).Calendar), 1200)
	i.Name, i.Business.Name = strings.Repeat("🦷", 1000), strings.Repeat("🦷", 1000)
	require.Less(t, len(render(t, invitation.Confirmation, i).Calendar), 2400)
}
