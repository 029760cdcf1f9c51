package booking_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
)

// salon is a valid calendar, changed.
func salon(change func(*booking.Calendar)) booking.Calendar {
	c := booking.Calendar{
		Timezone: "Europe/Berlin", Hours: booking.Hours{"monday": {{From: "09:00", To: "12:00"}}},
		SlotMinutes: 30, BufferMinutes: 10, DaysAhead: 30, ReminderMinutes: 60,
		Business: booking.Business{Name: "Salon", Email: "desk@example.com", Color: "#aabbcc"},
	}
	if change != nil {
		change(&c)
	}
	return c
}

func TestACalendarIsNormalised(t *testing.T) {
	t.Parallel()
	given := salon(func(c *booking.Calendar) {
		c.Hours = booking.Hours{"monday": {{From: "13:00", To: "24:00"}, {From: "00:00", To: "09:30"}, {From: "09:30", To: "13:00"}}, "sunday": {}}
		c.Business = booking.Business{Name: " Cafe\u0301 ", Email: " Desk@EXAMPLE.com ", Color: ""}
	})
	got, err := given.Validate()
	require.NoError(t, err)
	require.Equal(t, salon(func(c *booking.Calendar) {
		c.Resource = "default"
		c.Hours = booking.Hours{"monday": {{From: "00:00", To: "09:30"}, {From: "09:30", To: "13:00"}, {From: "13:00", To: "24:00"}}}
		c.Business = booking.Business{Name: "Café", Email: "Desk@example.com", Color: "#1a6b54"}
	}), got)
	require.Equal(t, "13:00", given.Hours["monday"][0].From, "what was given is left alone")
	again, err := got.Validate()
	require.NoError(t, err)
	require.Equal(t, got, again)

	for _, change := range []func(*booking.Calendar){
		func(c *booking.Calendar) { c.Resource = "room_1-" + strings.Repeat("x", 57) },
		func(c *booking.Calendar) { c.Hours = booking.Hours{} },
		func(c *booking.Calendar) {
			c.SlotMinutes, c.BufferMinutes, c.DaysAhead, c.ReminderMinutes = 5, 0, 1, 0
		},
		func(c *booking.Calendar) {
			c.SlotMinutes, c.BufferMinutes, c.DaysAhead, c.ReminderMinutes = 480, 240, 366, 10080
		},
		func(c *booking.Calendar) { c.Business = booking.Business{Name: strings.Repeat("é", 100)} },
	} {
		_, err := salon(change).Validate()
		require.NoError(t, err)
	}
}

func TestACalendarNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	open := func(from, to string) func(*booking.Calendar) {
		return func(c *booking.Calendar) { c.Hours = booking.Hours{"monday": {{From: from, To: to}}} }
	}
	for name, c := range map[string]struct {
		change func(*booking.Calendar)
		field  string
	}{
		"resource in capitals": {func(c *booking.Calendar) { c.Resource = "Room" }, "resource"},
		"resource with a dot":  {func(c *booking.Calendar) { c.Resource = "a.b" }, "resource"},
		"resource too long":    {func(c *booking.Calendar) { c.Resource = strings.Repeat("a", 65) }, "resource"},
		"no zone":              {func(c *booking.Calendar) { c.Timezone = "" }, "timezone"},
		"the host's zone":      {func(c *booking.Calendar) { c.Timezone = "Local" }, "timezone"},
		"unknown zone":         {func(c *booking.Calendar) { c.Timezone = "Europe/Nowhere" }, "timezone"},
		"no hours":             {func(c *booking.Calendar) { c.Hours = nil }, "hours"},
		"unknown day":          {func(c *booking.Calendar) { c.Hours = booking.Hours{"Monday": nil} }, "hours"},
		"no time":              {open("", "10:00"), "hours.monday[0].from"},
		"short time":           {open("9:00", "10:00"), "hours.monday[0].from"},
		"off the step":         {open("09:01", "10:00"), "hours.monday[0].from"},
		"from 24:00":           {open("24:00", "24:00"), "hours.monday[0].to"},
		"after 24:00":          {open("09:00", "24:05"), "hours.monday[0].to"},
		"25:00":                {open("09:00", "25:00"), "hours.monday[0].to"},
		"60 minutes":           {open("09:00", "10:60"), "hours.monday[0].to"},
		"empty opening":        {open("09:00", "09:00"), "hours.monday[0].to"},
		"backwards":            {open("22:00", "06:00"), "hours.monday[0].to"},
		"overlap": {func(c *booking.Calendar) {
			c.Hours["monday"] = []booking.Opening{{From: "10:00", To: "11:05"}, {From: "11:00", To: "12:00"}}
		}, "hours.monday"},
		"overlap, in disorder": {func(c *booking.Calendar) {
			c.Hours["monday"] = []booking.Opening{{From: "11:00", To: "12:00"}, {From: "10:00", To: "11:05"}}
		}, "hours.monday"},
		"the same twice": {func(c *booking.Calendar) {
			c.Hours["monday"] = []booking.Opening{{From: "10:00", To: "11:00"}, {From: "10:00", To: "11:00"}}
		}, "hours.monday"},
		"no slot":                {func(c *booking.Calendar) { c.SlotMinutes = 0 }, "slot_minutes"},
		"slot off the step":      {func(c *booking.Calendar) { c.SlotMinutes = 32 }, "slot_minutes"},
		"slot too long":          {func(c *booking.Calendar) { c.SlotMinutes = 485 }, "slot_minutes"},
		"negative buffer":        {func(c *booking.Calendar) { c.BufferMinutes = -5 }, "buffer_minutes"},
		"buffer off the step":    {func(c *booking.Calendar) { c.BufferMinutes = 1 }, "buffer_minutes"},
		"buffer too long":        {func(c *booking.Calendar) { c.BufferMinutes = 245 }, "buffer_minutes"},
		"no days":                {func(c *booking.Calendar) { c.DaysAhead = 0 }, "days_ahead"},
		"too many days":          {func(c *booking.Calendar) { c.DaysAhead = 367 }, "days_ahead"},
		"reminder afterwards":    {func(c *booking.Calendar) { c.ReminderMinutes = -1 }, "reminder_minutes"},
		"reminder too early":     {func(c *booking.Calendar) { c.ReminderMinutes = 10081 }, "reminder_minutes"},
		"nameless":               {func(c *booking.Calendar) { c.Business.Name = " " }, "business.name"},
		"name too long":          {func(c *booking.Calendar) { c.Business.Name = strings.Repeat("é", 101) }, "business.name"},
		"name with a header":     {func(c *booking.Calendar) { c.Business.Name = "Salon\r\nBcc: all@example.com" }, "business.name"},
		"e-mail":                 {func(c *booking.Calendar) { c.Business.Email = "desk" }, "business.email"},
		"colour by name":         {func(c *booking.Calendar) { c.Business.Color = "red" }, "business.color"},
		"colour that is a style": {func(c *booking.Calendar) { c.Business.Color = "#aabbcc;background:url(x)" }, "business.color"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := salon(c.change).Validate()
			requireField(t, err, c.field)
		})
	}
}

func TestTheDefaultCalendarIsValid(t *testing.T) {
	t.Parallel()
	c := booking.DefaultCalendar("demo")
	got, err := c.Validate()
	require.NoError(t, err)
	require.Equal(t, got, c)
	require.Equal(t, "demo", c.Business.Name)
	from := instant(t, "2026-11-23T00:00:00Z") // a Monday
	slots := c.Slots(from, from.AddDate(0, 0, 7), from)
	require.Len(t, slots, 5*16)
	require.Equal(t, "default.20261123T090000Z", slots[0].ID)
	require.Equal(t, "default.20261127T163000Z", slots[len(slots)-1].ID)
	require.Equal(t, 1440, c.ReminderMinutes)
	last := c.Slots(from, from.AddDate(1, 0, 0), from)
	require.Equal(t, "default.20270122T163000Z", last[len(last)-1].ID, "60 days")
}

func TestLogsDoNotShowTheBusiness(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("calendar", salon(nil)))
	require.NotContains(t, out.String(), "desk@example.com")
	require.Contains(t, out.String(), "Europe/Berlin")
}
