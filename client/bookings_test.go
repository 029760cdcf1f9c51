package client_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestSubmitBooking(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusAccepted, `{"job":`+job("4711", "available")+`,"booking":`+bookingText("b", "confirmed")+`}`,
		"Idempotent-Replayed", "true"))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.SubmitBooking(t.Context(), client.BookingRequest{
		SlotID: "default.20300131T093000Z", Name: "Jo Doe", Email: "customer@example.com", Timezone: "Europe/Berlin", Notes: "First visit",
	}, client.SubmitOptions{
		IdempotencyKey: "visit-17", Priority: 2, ScheduledAt: time.Date(2030, 1, 30, 9, 30, 0, 0, time.UTC), Wait: 10 * time.Second,
	})
	require.NoError(t, err)
	require.True(t, got.Replayed)
	require.Equal(t, "4711", got.Job.ID)
	require.Nil(t, got.Payment)
	require.Equal(t, "b", got.Booking.ID)
	require.Equal(t, client.BookingConfirmed, got.Booking.Status)

	sent := s.one(t)
	require.Equal(t, "POST /v1/bookings", sent.method+" "+sent.uri)
	require.Equal(t, "visit-17", sent.header.Get("Idempotency-Key"))
	require.Equal(t, "wait=10", sent.header.Get("Prefer"))
	require.JSONEq(t, `{"slot_id":"default.20300131T093000Z","name":"Jo Doe","email":"customer@example.com","timezone":"Europe/Berlin",
		"notes":"First visit","scheduled_at":"2030-01-30T09:30:00Z","priority":2}`, sent.body)
}

// Without a key a repetition would find the slot taken by the first one.
func TestABookingThatIsRepeatedHasOneKey(t *testing.T) {
	t.Parallel()
	s := newServer(t, failure(503, "UNAVAILABLE"), answer(http.StatusAccepted, `{"job":`+job("1", "available")+`}`))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.SubmitBooking(t.Context(), client.BookingRequest{SlotID: "default.20300131T093000Z", Name: "Jo Doe", Email: "customer@example.com"}, client.SubmitOptions{})
	require.NoError(t, err)
	got := s.received()
	require.Len(t, got, 2)
	require.NotEmpty(t, got[0].header.Get("Idempotency-Key"))
	require.Equal(t, got[0].header.Get("Idempotency-Key"), got[1].header.Get("Idempotency-Key"))
	require.JSONEq(t, `{"slot_id":"default.20300131T093000Z","name":"Jo Doe","email":"customer@example.com"}`, got[1].body, "what is empty is left to the server")
}

func TestASlotThatIsTaken(t *testing.T) {
	t.Parallel()
	s := newServer(t, failure(http.StatusConflict, "SLOT_UNAVAILABLE"))
	c, paused := newClient(t, s.URL, client.Options{})
	got, err := c.SubmitBooking(t.Context(), client.BookingRequest{}, client.SubmitOptions{})
	require.Nil(t, got)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, http.StatusConflict, e.Status)
	require.Equal(t, client.CodeSlotUnavailable, e.Code)
	require.Empty(t, e.JobID, "nothing was accepted")
	require.Empty(t, paused.list)
	s.one(t)
}

// The mail failed, and the booking stands: the error leads to both.
func TestABookingWhoseMailFailed(t *testing.T) {
	t.Parallel()
	s := newServer(t,
		answer(http.StatusBadRequest, `{"error":"Mails to this address came back before.","code":"INVALID_INPUT",
			"details":{"reason":"ADDRESS_SUPPRESSED","booking_id":"b"},"request_id":"r-1"}`, "Location", "/v1/jobs/4711", "Preference-Applied", "wait=10"),
		answer(http.StatusOK, bookingText("b", "confirmed", `"job_id":"4711"`)))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.SubmitBooking(t.Context(), client.BookingRequest{}, client.SubmitOptions{Wait: 10 * time.Second})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "4711", e.JobID)
	require.Equal(t, "b", e.Details["booking_id"])
	got, err := c.Booking(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, e.JobID, got.JobID)
}

func TestBooking(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, bookingText("b", "cancelled", `"timezone":"Europe/Berlin","notes":"First visit","job_id":"4711",
		"cancelled_at":"2030-01-30T12:00:00Z"`)))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.Booking(t.Context(), "a/b")
	require.NoError(t, err)
	at := time.Date(2030, 1, 29, 8, 0, 0, 0, time.UTC)
	require.Equal(t, &client.Booking{
		BookingRequest: client.BookingRequest{
			SlotID: "default.20300131T093000Z", Name: "Jo Doe", Email: "customer@example.com", Timezone: "Europe/Berlin", Notes: "First visit",
		},
		ID: "b", Status: client.BookingCancelled, Resource: "default",
		StartsAt: time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC), EndsAt: time.Date(2030, 1, 31, 10, 0, 0, 0, time.UTC),
		EmailStatus: client.EmailDelivered, JobID: "4711", CreatedAt: at, UpdatedAt: at.Add(time.Hour),
		CancelledAt: time.Date(2030, 1, 30, 12, 0, 0, 0, time.UTC),
	}, got)
	require.Equal(t, "GET /v1/bookings/a%2Fb", s.one(t).method+" "+s.one(t).uri)
}

func TestCancelBooking(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, bookingText("b", "cancelled")), failure(http.StatusConflict, "CONFLICT"))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.CancelBooking(t.Context(), "a/b")
	require.NoError(t, err)
	require.Equal(t, client.BookingCancelled, got.Status)
	require.Equal(t, "DELETE /v1/bookings/a%2Fb", s.one(t).method+" "+s.one(t).uri)
	require.Empty(t, s.one(t).body)
	got, err = c.CancelBooking(t.Context(), "b")
	require.Nil(t, got)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodeConflict, e.Code)
}

// A repetition of what was done would be told CONFLICT.
func TestCancellingABookingIsNotRepeatedBlindly(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]http.HandlerFunc{"hang up": hangUp, "unavailable": failure(503, "UNAVAILABLE")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, first)
			c, _ := newClient(t, s.URL, client.Options{})
			_, err := c.CancelBooking(t.Context(), "b")
			require.Error(t, err)
			s.one(t)
		})
	}
}

func TestABookingWithoutAnIDIsNotAskedFor(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, bookingText("b", "confirmed")))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.Booking(t.Context(), "")
	require.ErrorContains(t, err, "empty")
	_, err = c.CancelBooking(t.Context(), "")
	require.ErrorContains(t, err, "empty")
	require.Empty(t, s.received())
}

func TestBookingsAreListed(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"bookings":[`+bookingText("2", "cancelled")+`,`+bookingText("1", "confirmed")+`],"next_page_token":"next"}`),
		answer(http.StatusOK, `{"bookings":[]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	page, err := c.Bookings(t.Context(), client.BookingsFilter{Limit: 2, PageToken: "a&b"})
	require.NoError(t, err)
	require.Len(t, page.Bookings, 2)
	require.Equal(t, "2", page.Bookings[0].ID)
	require.Equal(t, client.BookingCancelled, page.Bookings[0].Status)
	require.Equal(t, "next", page.NextPageToken)
	page, err = c.Bookings(t.Context(), client.BookingsFilter{})
	require.NoError(t, err)
	require.Equal(t, &client.BookingsPage{Bookings: []*client.Booking{}}, page)
	require.Equal(t, "/v1/bookings?limit=2&page_token=a%26b", s.received()[0].uri)
	require.Equal(t, "/v1/bookings", s.received()[1].uri)
}

func TestAllBookingsReadsPageByPage(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"bookings":[`+bookingText("3", "confirmed")+`,`+bookingText("2", "cancelled")+`],"next_page_token":"next"}`),
		answer(http.StatusOK, `{"bookings":[`+bookingText("1", "confirmed")+`]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	var ids []string
	for booking, err := range c.AllBookings(t.Context(), client.BookingsFilter{Limit: 2, PageToken: "first"}) {
		require.NoError(t, err)
		ids = append(ids, booking.ID)
	}
	require.Equal(t, []string{"3", "2", "1"}, ids)
	require.Len(t, s.received(), 2)
	require.Equal(t, "/v1/bookings?limit=2&page_token=first", s.received()[0].uri)
	require.Equal(t, "/v1/bookings?limit=2&page_token=next", s.received()[1].uri)
}

func TestAllBookingsEndsWithAnErrorAndWithItsReader(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"bookings":[`+bookingText("2", "confirmed")+`,`+bookingText("1", "confirmed")+`],"next_page_token":"next"}`),
		failure(http.StatusForbidden, "TENANT_ACCESS_DENIED"))
	c, _ := newClient(t, s.URL, client.Options{})
	for _, err := range c.AllBookings(t.Context(), client.BookingsFilter{}) {
		require.NoError(t, err)
		break
	}
	require.Len(t, s.received(), 1, "the next page was not needed")
	var errs []error
	for booking, err := range c.AllBookings(t.Context(), client.BookingsFilter{}) {
		require.Nil(t, booking)
		errs = append(errs, err)
	}
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "TENANT_ACCESS_DENIED")
}

// bookingText is a booking as the server writes it, with further members.
func bookingText(id, status string, members ...string) string {
	return fmt.Sprintf(`{%s"id":%q,"status":%q,"slot_id":"default.20300131T093000Z","name":"Jo Doe","email":"customer@example.com",
		"resource":"default","starts_at":"2030-01-31T09:30:00Z","ends_at":"2030-01-31T10:00:00Z","email_status":"delivered",
		"created_at":"2030-01-29T08:00:00Z","updated_at":"2030-01-29T09:00:00Z"}`, strings.Join(append(members, ""), ","), id, status)
}
