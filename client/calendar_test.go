package client_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

const calendarText = `{"resource":"room","timezone":"Europe/Berlin","hours":{"monday":[{"from":"09:00","to":"12:00"},{"from":"13:00","to":"24:00"}]},
	"slot_minutes":30,"buffer_minutes":10,"days_ahead":60,"reminder_minutes":1440,
	"business":{"name":"Mill Street Dental","email":"desk@example.com","color":"#1a6b54"}}`

func roomCalendar() *client.Calendar {
	return &client.Calendar{
		Resource: "room", Timezone: "Europe/Berlin",
		Hours:       client.Hours{"monday": {{From: "09:00", To: "12:00"}, {From: "13:00", To: "24:00"}}},
		SlotMinutes: 30, BufferMinutes: 10, DaysAhead: 60, ReminderMinutes: 1440,
		Business: client.Business{Name: "Mill Street Dental", Email: "desk@example.com", Color: "#1a6b54"},
	}
}

func TestCalendar(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, calendarText), failure(http.StatusNotFound, "NOT_FOUND"))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.Calendar(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, roomCalendar(), got)
	got, err = c.Calendar(t.Context(), "a&b")
	require.Nil(t, got)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodeNotFound, e.Code)
	require.Equal(t, "GET /v1/calendar", s.received()[0].method+" "+s.received()[0].uri)
	require.Equal(t, "/v1/calendar?resource=a%26b", s.received()[1].uri)
}

// The resource goes in the body: the server refuses a query that it does not know.
func TestPutCalendar(t *testing.T) {
	t.Parallel()
	s := newServer(t, failure(503, "UNAVAILABLE"), answer(http.StatusOK, calendarText))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.PutCalendar(t.Context(), *roomCalendar())
	require.NoError(t, err, "to repeat it changes nothing")
	require.Equal(t, roomCalendar(), got)
	require.Len(t, s.received(), 2)
	sent := s.received()[1]
	require.Equal(t, "PUT /v1/calendar", sent.method+" "+sent.uri)
	require.Equal(t, "application/json", sent.header.Get("Content-Type"))
	require.JSONEq(t, calendarText, sent.body)
}

func TestPutCalendarLeavesDefaultsToTheServer(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, calendarText))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.PutCalendar(t.Context(), client.Calendar{
		Timezone: "UTC", Hours: client.Hours{}, SlotMinutes: 30, DaysAhead: 60, Business: client.Business{Name: "Acme"},
	})
	require.NoError(t, err)
	require.Equal(t, roomCalendar(), got, "what the server made of it")
	require.JSONEq(t, `{"timezone":"UTC","hours":{},"slot_minutes":30,"days_ahead":60,"reminder_minutes":0,"business":{"name":"Acme"}}`,
		s.one(t).body, "no reminder, and no hours, are said")
}
