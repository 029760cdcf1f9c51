package client_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestSlots(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"slots":[
		{"id":"room.20301027T003000Z","starts_at":"2030-10-27T02:30:00+02:00","ends_at":"2030-10-27T02:00:00+01:00"},
		{"id":"room.20301027T013000Z","starts_at":"2030-10-27T02:30:00+01:00","ends_at":"2030-10-27T03:00:00+01:00"}]}`),
		answer(http.StatusOK, `{"slots":[]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	slots, err := c.Slots(t.Context(), "2030-10-27", client.SlotsFilter{Timezone: "Europe/Berlin", Resource: "room"})
	require.NoError(t, err)
	var got []string
	for _, slot := range slots {
		got = append(got, fmt.Sprint(slot.ID, " ", slot.StartsAt.Format(time.RFC3339), " ", slot.EndsAt.Format(time.RFC3339)))
	}
	require.Equal(t, []string{
		"room.20301027T003000Z 2030-10-27T02:30:00+02:00 2030-10-27T02:00:00+01:00",
		"room.20301027T013000Z 2030-10-27T02:30:00+01:00 2030-10-27T03:00:00+01:00",
	}, got, "as the clocks show them")
	require.Equal(t, "GET /v1/slots?date=2030-10-27&resource=room&timezone=Europe%2FBerlin", s.one(t).method+" "+s.one(t).uri)

	slots, err = c.Slots(t.Context(), "2030-10-28", client.SlotsFilter{})
	require.NoError(t, err)
	require.Empty(t, slots)
	require.Equal(t, "/v1/slots?date=2030-10-28", s.received()[1].uri, "what is empty is left to the server")
}

func TestSlotsOfNoDay(t *testing.T) {
	t.Parallel()
	s := newServer(t, failure(http.StatusBadRequest, "INVALID_INPUT"))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.Slots(t.Context(), "", client.SlotsFilter{})
	require.ErrorContains(t, err, "empty")
	require.Empty(t, s.received())
	slots, err := c.Slots(t.Context(), "tomorrow", client.SlotsFilter{})
	require.Nil(t, slots)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodeInvalidInput, e.Code)
}
