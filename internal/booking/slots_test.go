package booking_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
)

// daily is a calendar that opens every day at the same times.
func daily(t *testing.T, zone string, slot, buffer int, openings ...booking.Opening) booking.Calendar {
	t.Helper()
	hours := booking.Hours{}
	for _, day := range []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"} {
		hours[day] = openings
	}
	c, err := booking.Calendar{
		Timezone: zone, Hours: hours, SlotMinutes: slot, BufferMinutes: buffer, DaysAhead: 366, Business: booking.Business{Name: "Mill"},
	}.Validate()
	require.NoError(t, err)
	return c
}

// starts lists the local times at which a calendar's slots of a date start.
func starts(t *testing.T, c booking.Calendar, date string) []string {
	t.Helper()
	from, to, err := booking.Day(date, zone(t, c.Timezone))
	require.NoError(t, err)
	list := []string{}
	for _, s := range c.Slots(from, to, from.Add(-time.Hour)) {
		require.Equal(t, time.Duration(c.SlotMinutes)*time.Minute, s.EndsAt.Sub(s.StartsAt))
		list = append(list, s.StartsAt.Format("15:04-07:00"))
	}
	return list
}

func TestSlotsFollowTheClocksOfTheCalendar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, date, from, to string
		slot                 int
		want                 []string
	}{
		// No change of clocks.
		{"Europe/Berlin", "2026-11-24", "09:00", "11:00", 30, []string{"09:00+01:00", "09:30+01:00", "10:00+01:00", "10:30+01:00"}},
		{"Asia/Kathmandu", "2026-03-29", "09:00", "10:00", 30, []string{"09:00+05:45", "09:30+05:45"}},
		{"Asia/Kathmandu", "2026-10-25", "09:00", "10:00", 30, []string{"09:00+05:45", "09:30+05:45"}},
		{"Asia/Tokyo", "2026-03-29", "01:00", "04:00", 60, []string{"01:00+09:00", "02:00+09:00", "03:00+09:00"}},
		{"Asia/Tokyo", "2026-10-25", "01:00", "04:00", 60, []string{"01:00+09:00", "02:00+09:00", "03:00+09:00"}},
		{"UTC", "2026-11-24", "23:00", "24:00", 30, []string{"23:00+00:00", "23:30+00:00"}},
		// What does not fit before closing is left out.
		{"UTC", "2026-11-24", "09:00", "10:20", 30, []string{"09:00+00:00", "09:30+00:00"}},
		{"UTC", "2026-11-24", "09:00", "09:20", 30, []string{}},
		// The day before and after a change is a day like any other.
		{"Europe/Berlin", "2026-03-28", "01:00", "04:00", 60, []string{"01:00+01:00", "02:00+01:00", "03:00+01:00"}},
		{"Europe/Berlin", "2026-03-30", "01:00", "04:00", 60, []string{"01:00+02:00", "02:00+02:00", "03:00+02:00"}},
		// 02:00 becomes 03:00: two hours between one and four.
		{"Europe/Berlin", "2026-03-29", "01:00", "04:00", 60, []string{"01:00+01:00", "03:00+02:00"}},
		{"Europe/Berlin", "2026-03-29", "02:00", "03:00", 30, []string{}},
		{"Europe/Berlin", "2026-03-29", "02:30", "04:00", 30, []string{"03:00+02:00", "03:30+02:00"}},
		{"Europe/Berlin", "2026-03-29", "01:30", "02:30", 30, []string{"01:30+01:00"}},
		{"Europe/Berlin", "2026-03-29", "09:00", "10:00", 30, []string{"09:00+02:00", "09:30+02:00"}},
		// 03:00 becomes 02:00: four hours between one and four, and two between two and three.
		{"Europe/Berlin", "2026-10-25", "01:00", "04:00", 60, []string{"01:00+02:00", "02:00+02:00", "02:00+01:00", "03:00+01:00"}},
		{"Europe/Berlin", "2026-10-25", "02:00", "03:00", 60, []string{"02:00+02:00", "02:00+01:00"}},
		{"Europe/Berlin", "2026-10-25", "02:30", "03:30", 30, []string{"02:30+02:00", "02:30+01:00", "03:00+01:00"}},
		{"Europe/Berlin", "2026-10-25", "01:30", "02:30", 30, []string{"01:30+02:00", "02:00+02:00", "02:00+01:00"}},
		{"Europe/Berlin", "2026-10-25", "01:00", "04:00", 90, []string{"01:00+02:00", "02:30+02:00"}},
		{"America/New_York", "2026-03-08", "01:00", "04:00", 60, []string{"01:00-05:00", "03:00-04:00"}},
		{"America/New_York", "2026-11-01", "00:00", "03:00", 60, []string{"00:00-04:00", "01:00-04:00", "01:00-05:00", "02:00-05:00"}},
		// Lord Howe moves by half an hour.
		{"Australia/Lord_Howe", "2026-10-04", "01:00", "03:00", 30, []string{"01:00+10:30", "01:30+10:30", "02:30+11:00"}},
		{"Australia/Lord_Howe", "2026-10-04", "01:00", "03:00", 60, []string{"01:00+10:30"}},
		{"Australia/Lord_Howe", "2026-04-05", "01:00", "03:00", 30, []string{"01:00+11:00", "01:30+11:00", "01:30+10:30", "02:00+10:30", "02:30+10:30"}},
		{"Australia/Lord_Howe", "2026-04-05", "01:00", "03:00", 60, []string{"01:00+11:00", "01:30+10:30"}},
		// Midnight itself moves.
		{"Africa/Cairo", "2026-04-24", "00:00", "02:00", 30, []string{"01:00+03:00", "01:30+03:00"}},
		{"Africa/Cairo", "2026-10-29", "22:00", "24:00", 60, []string{"22:00+03:00", "23:00+03:00", "23:00+02:00"}},
	} {
		calendar := daily(t, c.zone, c.slot, 0, booking.Opening{From: c.from, To: c.to})
		require.Equal(t, c.want, starts(t, calendar, c.date), "%+v", c)
	}
}

// Whatever the clocks do: slots lie in opening hours, leave no time for another
// one, do not meet, and have ids of their own.
func TestSlotsFillOpeningHours(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Tokyo", "Africa/Cairo", "Africa/Casablanca"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := zone(t, name)
			const slot, buffer = 25 * time.Minute, 10 * time.Minute
			c := daily(t, name, 25, 10, booking.Opening{From: "21:45", To: "24:00"}, booking.Opening{From: "00:30", To: "05:00"}, booking.Opening{From: "09:00", To: "09:40"})
			open := func(at time.Time) bool { // the definition, instant by instant
				clock := at.In(loc).Format("15:04")
				return clock >= "21:45" || (clock >= "00:30" && clock < "05:00") || (clock >= "09:00" && clock < "09:40")
			}
			begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
			end := begin.AddDate(0, 11, 25)
			var want []time.Time
			for at := begin.Add(-48 * time.Hour); at.Before(end); {
				// The run of open time from here.
				if !open(at) {
					at = at.Add(5 * time.Minute)
					continue
				}
				stop := at
				for open(stop) && stop.In(loc).Day() == at.In(loc).Day() {
					stop = stop.Add(5 * time.Minute)
				}
				for ; !at.Add(slot).After(stop); at = at.Add(slot + buffer) {
					if at.After(begin) && at.Before(end) {
						want = append(want, at)
					}
				}
				at = stop
			}
			seen := map[string]bool{}
			got := c.Slots(begin, end, begin)
			require.Greater(t, len(got), 300*11)
			for i, s := range got {
				require.True(t, s.StartsAt.Equal(want[i]), "%s, want %s", s.StartsAt, want[i])
				require.False(t, seen[s.ID])
				seen[s.ID] = true
			}
			require.Len(t, got, len(want))
		})
	}
}

func TestSlotsAreNeitherPastNorTooFarAhead(t *testing.T) {
	t.Parallel()
	c := daily(t, "Europe/Berlin", 60, 0, booking.Opening{From: "09:00", To: "12:00"})
	c.DaysAhead = 2
	far := instant(t, "2027-06-01T00:00:00Z")
	ids := func(from, to, now string) (list []string) {
		t.Helper()
		for _, s := range c.Slots(instant(t, from), instant(t, to), instant(t, now)) {
			list = append(list, s.ID)
		}
		return list
	}
	require.Equal(t, []string{
		"default.20261124T100000Z",
		"default.20261125T080000Z", "default.20261125T090000Z", "default.20261125T100000Z",
		"default.20261126T080000Z", "default.20261126T090000Z", "default.20261126T100000Z",
	}, ids("2026-01-01T00:00:00Z", "2027-06-01T00:00:00Z", "2026-11-24T10:00:00+01:00"), "one that starts now has passed")
	require.Equal(t, []string{"default.20261126T100000Z"}, ids("2026-11-26T11:00:00+01:00", "2027-06-01T00:00:00Z", "2026-11-24T23:59:59+01:00"),
		"days are the calendar's")
	require.Equal(t, []string{"default.20261125T080000Z"}, ids("2026-11-25T08:00:00Z", "2026-11-25T09:00:00Z", "2026-11-24T10:00:00Z"), "from is in, to is not")
	require.Empty(t, ids("2026-11-25T08:00:01Z", "2026-11-25T09:00:00Z", "2026-11-24T10:00:00Z"))
	require.Empty(t, c.Slots(far, far.Add(24*time.Hour), instant(t, "2026-11-24T10:00:00Z")))
	require.Empty(t, booking.Calendar{}.Slots(far, far, far), "a calendar that is none")
	c.Hours = booking.Hours{"tuesday": c.Hours["tuesday"]}
	require.Equal(t, []string{"default.20261124T100000Z"}, ids("2026-01-01T00:00:00Z", "2027-06-01T00:00:00Z", "2026-11-24T10:00:00+01:00"))
}

// A day of the viewer may lie across two of the calendar's.
func TestSlotsAreShownInTheViewersZone(t *testing.T) {
	t.Parallel()
	c := daily(t, "Europe/Berlin", 60, 0, booking.Opening{From: "09:00", To: "12:00"})
	from, to, err := booking.Day("2026-11-25", zone(t, "Asia/Tokyo"))
	require.NoError(t, err)
	slots := c.Slots(from, to, from)
	text, err := json.Marshal(slots[0])
	require.NoError(t, err)
	require.JSONEq(t, `{"id": "default.20261125T080000Z", "starts_at": "2026-11-25T17:00:00+09:00", "ends_at": "2026-11-25T18:00:00+09:00"}`, string(text))
	require.Len(t, slots, 3)

	from, to, err = booking.Day("2026-11-25", zone(t, "Pacific/Honolulu")) // 11:00 to 11:00 of the next day in Berlin
	require.NoError(t, err)
	var list []string
	for _, s := range c.Slots(from, to, from.Add(-time.Hour)) {
		list = append(list, s.StartsAt.Format("02 15:04"))
	}
	require.Equal(t, []string{"25 00:00", "25 22:00", "25 23:00"}, list)
}

// Until 2011 clocks in Newfoundland went back at 00:01, into the day before.
func TestSlotsOfADateThatComesBack(t *testing.T) {
	t.Parallel()
	c := daily(t, "America/St_Johns", 30, 0, booking.Opening{From: "23:00", To: "24:00"})
	now := instant(t, "2010-11-06T12:00:00Z")
	var list []string
	for _, s := range c.Slots(instant(t, "2010-11-07T00:00:00-02:30").In(zone(t, "America/St_Johns")), instant(t, "2010-11-07T12:00:00Z"), now) {
		list = append(list, s.StartsAt.Format(time.RFC3339))
	}
	require.Equal(t, []string{"2010-11-06T23:01:00-03:30"}, list)
}

func TestFindTakesOnlyWhatIsOffered(t *testing.T) {
	t.Parallel()
	c := daily(t, "Europe/Berlin", 30, 10, booking.Opening{From: "01:00", To: "04:00"})
	now := instant(t, "2026-10-20T00:00:00Z")
	for _, id := range []string{"default.20261024T230000Z", "default.20261025T002000Z"} {
		s, ok := c.Find(id, now)
		require.True(t, ok, id)
		require.Equal(t, id, s.ID)
		require.Equal(t, "Europe/Berlin", s.StartsAt.Location().String())
		require.Equal(t, 30*time.Minute, s.EndsAt.Sub(s.StartsAt))
	}
	for _, id := range []string{
		"", "default", "default.20261024T231000Z" /* in the middle of a slot */, "default.20261024T233000Z", /* in the buffer */
		"other.20261024T230000Z", "default.20261024T230001Z", "default.20261025T030000Z", /* closed */
		"default.20261019T230000Z" /* past */, "default.20281024T230000Z" /* too far ahead */, "default.99991024T230000Z",
	} {
		_, ok := c.Find(id, now)
		require.False(t, ok, id)
	}
	for _, s := range c.Slots(now, now.AddDate(0, 1, 0), now) {
		found, ok := c.Find(s.ID, now)
		require.True(t, ok)
		require.True(t, found.StartsAt.Equal(s.StartsAt))
	}
}

func TestSlotIDs(t *testing.T) {
	t.Parallel()
	at := instant(t, "2026-11-24T11:00:00+01:00")
	require.Equal(t, "room-1.20261124T100000Z", booking.SlotID("room-1", at))
	resource, parsed, ok := booking.ParseSlot("room-1.20261124T100000Z")
	require.True(t, ok)
	require.Equal(t, "room-1", resource)
	require.True(t, parsed.Equal(at))
	for _, id := range []string{
		"", ".", "room-1", "room-1.", ".20261124T100000Z", "Room.20261124T100000Z", "r m.20261124T100000Z", "a.b.20261124T100000Z",
		"room-1.20261124T100000", "room-1.20261124T100000.5Z", "room-1.20261324T100000Z", "room-1.20261124T100000Z ", "room-1.2026-11-24T10:00:00Z",
		fmt.Sprintf("%065d.20261124T100000Z", 0),
	} {
		_, _, ok := booking.ParseSlot(id)
		require.False(t, ok, id)
	}
}

func TestFreeLeavesOutWhatIsTaken(t *testing.T) {
	t.Parallel()
	c := daily(t, "UTC", 30, 10, booking.Opening{From: "09:00", To: "11:00"}) // 09:00, 09:40, 10:20
	from, to, err := booking.Day("2026-11-24", time.UTC)
	require.NoError(t, err)
	slots := c.Slots(from, to, from)
	free := func(taken ...string) (list []string) {
		t.Helper()
		var ticks []time.Time
		for _, clock := range taken {
			ticks = append(ticks, instant(t, "2026-11-24T"+clock+":00Z"))
		}
		for _, s := range c.Free(slots, ticks) {
			list = append(list, s.StartsAt.Format("15:04"))
		}
		return list
	}
	require.Equal(t, []string{"09:00", "09:40", "10:20"}, free())
	require.Equal(t, []string{"09:00", "09:40", "10:20"}, free("08:55", "11:00"))
	require.Equal(t, []string{"09:40", "10:20"}, free("09:00"))
	require.Equal(t, []string{"09:40", "10:20"}, free("09:35"), "the buffer after a slot is needed too")
	require.Equal(t, []string{"09:00", "10:20"}, free("08:55", "09:40"))
	require.Equal(t, []string{"09:00", "09:40"}, free("10:55"))
	require.Empty(t, free("09:10", "10:00", "10:40"))
}
