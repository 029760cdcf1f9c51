package booking_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/fault"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := booking.ParseZone(name)
	require.NoError(t, err)
	return loc
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

// requireField asserts an INVALID_INPUT fault that names the field first.
func requireField(t *testing.T, err error, field string) {
	t.Helper()
	f := fault.From(err)
	require.NotNil(t, f, field)
	require.Equal(t, fault.InvalidInput, f.Code)
	fields, ok := f.Details["fields"].([]fault.Field)
	require.True(t, ok)
	require.Equal(t, field, fields[0].Field)
}

func TestDayIsAsLongAsItsZoneMakesIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, date, from, to string }{
		{"Europe/Berlin", "2026-06-01", "2026-06-01T00:00:00+02:00", "2026-06-02T00:00:00+02:00"},
		{"Europe/Berlin", "2026-03-29", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},             // 23 h
		{"Europe/Berlin", "2026-10-25", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},             // 25 h
		{"America/New_York", "2026-03-08", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"},          // 23 h
		{"America/New_York", "2026-11-01", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"},          // 25 h
		{"Australia/Lord_Howe", "2026-04-05", "2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:30"},       // 24.5 h
		{"Australia/Lord_Howe", "2026-10-04", "2026-10-04T00:00:00+10:30", "2026-10-05T00:00:00+11:00"},       // 23.5 h
		{"Asia/Kathmandu", "2026-11-24", "2026-11-24T00:00:00+05:45", "2026-11-25T00:00:00+05:45"},            //
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},         // no midnight
		{"America/Sao_Paulo", "2018-11-03", "2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00"},         // ends where that begins
		{"America/Sao_Paulo", "2018-02-17", "2018-02-17T00:00:00-02:00", "2018-02-18T00:00:00-03:00"},         // 23:00 twice
		{"Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"},              // no midnight
		{"Africa/Cairo", "2026-10-29", "2026-10-29T00:00:00+03:00", "2026-10-30T00:00:00+02:00"},              // 23:00 twice
		{"Pacific/Kiritimati", "2026-11-24", "2026-11-24T00:00:00+14:00", "2026-11-25T00:00:00+14:00"},        //
		{"Etc/GMT+12", "2026-11-24", "2026-11-24T00:00:00-12:00", "2026-11-25T00:00:00-12:00"},                //
		{"Europe/Berlin", "2040-12-31", "2040-12-31T00:00:00+01:00", "2041-01-01T00:00:00+01:00"},             // see spans
		{"Australia/Sydney", "2040-12-31", "2040-12-31T00:00:00+11:00", "2041-01-01T00:00:00+11:00"},          //
		{"America/Argentina/Ushuaia", "2024-02-29", "2024-02-29T00:00:00-03:00", "2024-03-01T00:00:00-03:00"}, //
	} {
		from, to, err := booking.Day(c.date, zone(t, c.zone))
		require.NoError(t, err)
		require.Equal(t, c.from, from.Format(time.RFC3339), "%s %s", c.zone, c.date)
		require.Equal(t, c.to, to.Format(time.RFC3339), "%s %s", c.zone, c.date)
	}
	for _, date := range []string{"", "today", "2026-11-31", "2026-1-1", "2025-02-29", "0000-01-01", "20261124", "2026-11-24T10:00:00Z"} {
		_, _, err := booking.Day(date, time.UTC)
		requireField(t, err, "date")
	}
	_, _, err := booking.Day("2011-12-30", zone(t, "Pacific/Apia"))
	requireField(t, err, "date") // Samoa went over the date line and left it out
}

// Every instant belongs to one day: each begins where the one before ends.
func TestDaysFollowEachOther(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Tokyo", "Africa/Cairo",
		"Africa/Casablanca", "Asia/Gaza", "America/Santiago", "Pacific/Chatham", "Europe/Dublin", "Antarctica/Troll", "America/Scoresbysund",
	} {
		loc := zone(t, name)
		day := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		_, last, err := booking.Day(day.Format(time.DateOnly), loc)
		require.NoError(t, err)
		for range 800 {
			day = day.AddDate(0, 0, 1)
			from, to, err := booking.Day(day.Format(time.DateOnly), loc)
			require.NoError(t, err)
			require.True(t, from.Equal(last), "%s %s", name, day)
			require.Equal(t, day.Format(time.DateOnly), from.Format(time.DateOnly), name)
			require.NotEqual(t, day.Format(time.DateOnly), to.Format(time.DateOnly), name)
			last = to
		}
	}
}

func TestZonesMeanTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+12", "EST5EDT"} {
		require.Equal(t, name, zone(t, name).String())
	}
	for _, name := range []string{
		"", "Local", "localtime", "posixrules", "right/Europe/Berlin", "posix/Europe/Berlin", "Factory", "Mars/Olympus", "+02:00",
		"../Europe/Berlin", "/etc/localtime", "Europe/Berlin\x00", "Europe/Berlin\n", " UTC", "Europe//Berlin",
	} {
		_, err := booking.ParseZone(name)
		requireField(t, err, "timezone")
	}
}
