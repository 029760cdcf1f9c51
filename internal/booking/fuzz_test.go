package booking_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/fault"
)

func FuzzParseSlot(f *testing.F) {
	for _, seed := range []string{"default.20261124T100000Z", "default.20261124T100000.5Z", "default.00000101T000000Z", ".", "a.b.20261124T100000Z", "default.20261124T246000Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		resource, at, ok := booking.ParseSlot(id)
		if ok {
			require.Equal(t, id, booking.SlotID(resource, at))
		}
		calendar := booking.DefaultCalendar("acme")
		if slot, offered := calendar.Find(id, time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)); offered {
			require.True(t, ok)
			require.Equal(t, id, slot.ID)
		}
	})
}

func FuzzDay(f *testing.F) {
	for _, seed := range [][2]string{
		{"2026-11-24", "Europe/Berlin"},
		{"2011-12-30", "Pacific/Apia"},
		{"0001-01-01", "Asia/Kathmandu"},
		{"9999-12-31", "America/St_Johns"},
		{"2026-03-29", "../../etc/passwd"},
		{"2026-1-1", "Local"},
		{"2024-02-29", ""},
		{"1893-04-01", "Europe/Berlin"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, date, name string) {
		zone, err := booking.ParseZone(name)
		if err != nil {
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
			return
		}
		from, to, err := booking.Day(date, zone)
		if err != nil {
			require.Equal(t, fault.InvalidInput, fault.From(err).Code)
			return
		}
		require.True(t, from.Before(to))
		require.Less(t, to.Sub(from), 50*time.Hour)
		require.Equal(t, date, from.Format(time.DateOnly))
	})
}
