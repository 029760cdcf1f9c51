package client_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/client"
	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/payment"
)

// The client has types of its own, so that apps depend on little. These tests
// hold them to the server's.

func TestTypesHaveTheServersMembers(t *testing.T) {
	t.Parallel()
	for _, pair := range []struct{ server, client reflect.Type }{
		{reflect.TypeFor[api.Job](), reflect.TypeFor[client.Job]()},
		{reflect.TypeFor[api.JobError](), reflect.TypeFor[client.Failure]()},
		{reflect.TypeFor[payment.Request](), reflect.TypeFor[client.PaymentRequest]()},
		{reflect.TypeFor[payment.Item](), reflect.TypeFor[client.Item]()},
		{reflect.TypeFor[payment.Payment](), reflect.TypeFor[client.Payment]()},
		{reflect.TypeFor[payment.Call](), reflect.TypeFor[client.GatewayCall]()},
		{reflect.TypeFor[booking.Request](), reflect.TypeFor[client.BookingRequest]()},
		{reflect.TypeFor[booking.Booking](), reflect.TypeFor[client.Booking]()},
		{reflect.TypeFor[booking.Slot](), reflect.TypeFor[client.Slot]()},
		{reflect.TypeFor[booking.Calendar](), reflect.TypeFor[client.Calendar]()},
		{reflect.TypeFor[booking.Opening](), reflect.TypeFor[client.Opening]()},
		{reflect.TypeFor[booking.Business](), reflect.TypeFor[client.Business]()},
		{reflect.TypeFor[fault.Field](), reflect.TypeFor[client.Field]()},
	} {
		require.ElementsMatch(t, members(pair.server), members(pair.client), pair.client)
	}
}

func TestListsAreTheServers(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, texts(fault.Codes()), texts(client.Codes()))
	require.ElementsMatch(t, texts(intake.States()), texts(client.States()))
	require.ElementsMatch(t, texts(payment.Operations()), texts(client.GatewayOperations()))
	require.ElementsMatch(t, enum[payment.Payment](t, "Status"), texts(client.PaymentStatuses()))
	require.ElementsMatch(t, enum[booking.Booking](t, "Status"), texts(client.BookingStatuses()))
	require.ElementsMatch(t, enum[booking.Booking](t, "EmailStatus"), texts(client.EmailStatuses()))
	require.Equal(t, booking.DefaultResource, client.DefaultResource)
}

// A payment that the server writes with every member comes through the client's
// types unchanged: the names are the same, and so are their JSON types.
func TestPaymentsAreReadWhole(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 31, 9, 30, 0, 123456000, time.UTC)
	price := int64(1999)
	written := payment.Payment{
		ID: uuid.MustParse("019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c"), Tenant: "alice", Status: payment.Disputed,
		Request: payment.Request{
			Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa", PaymentIntent: "pi_1", AmountToCapture: 1000,
			CaptureBefore: &at, CustomerEmail: "customer@example.com", Description: "Two tickets",
			Items: []payment.Item{{Name: "Ticket", Quantity: 1, Price: &price}}, Metadata: map[string]string{"order": "17"},
		},
		JobID: 4711, IntentID: "pi_1", ClientSecret: "pi_1_secret_2", ExpiresAt: &at, AmountCaptured: 1000, AmountRefunded: 1,
		Failure: json.RawMessage(`{"code":"PAYMENT_FAILED","error":"Declined.","details":{"reason":"DECLINED"}}`), GatewayRequests: 2,
		GatewayLog: payment.Log{{Operation: payment.OpConfirm, AskedAt: at, Answer: "card_declined", HTTPStatus: 402, RequestID: "req_1", Spent: true}},
		CreatedAt:  at, UpdatedAt: at,
	}
	for _, whole := range []any{written, written.Items[0], written.GatewayLog[0]} {
		requireNoZeroField(t, whole)
	}
	requireReadWhole[client.Payment](t, written)
}

func TestBookingsAreReadWhole(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 31, 9, 30, 0, 123456000, time.UTC)
	written := booking.Booking{
		ID: uuid.MustParse("019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c"), Tenant: "alice", Status: booking.Cancelled,
		Request: booking.Request{
			SlotID: "default.20300131T093000Z", Name: "Jo Doe", Email: "customer@example.com", Timezone: "Europe/Berlin", Notes: "First visit",
		},
		Resource: "default", StartsAt: at, EndsAt: at.Add(30 * time.Minute), EmailStatus: booking.EmailBounced, JobID: 4711,
		CreatedAt: at, UpdatedAt: at, CancelledAt: &at, Sequence: 1, ReminderJobID: 4712,
	}
	requireNoZeroField(t, written)
	requireReadWhole[client.Booking](t, written)
	requireReadWhole[client.Booking](t, booking.New("alice", written.ID, written.Request, at))
}

func TestSlotsAndCalendarsAreReadWhole(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 31, 9, 30, 0, 0, time.FixedZone("", 3600))
	slot := booking.Slot{ID: "default.20300131T083000Z", StartsAt: at, EndsAt: at.Add(30 * time.Minute)}
	calendar := booking.Calendar{
		Resource: "room", Timezone: "Europe/Berlin", Hours: booking.Hours{"monday": {{From: "09:00", To: "17:00"}}},
		SlotMinutes: 30, BufferMinutes: 10, DaysAhead: 60, ReminderMinutes: 1440,
		Business: booking.Business{Name: "Mill Street Dental", Email: "desk@example.com", Color: "#1a6b54"},
	}
	for _, whole := range []any{slot, calendar, calendar.Hours["monday"][0], calendar.Business} {
		requireNoZeroField(t, whole)
	}
	requireReadWhole[client.Slot](t, slot)
	requireReadWhole[client.Calendar](t, calendar)
	closed := calendar
	closed.Hours, closed.BufferMinutes, closed.ReminderMinutes = booking.Hours{}, 0, 0
	requireReadWhole[client.Calendar](t, closed)
}

// requireReadWhole compares what the server writes with what the client's type C
// makes of it.
func requireReadWhole[C any](t *testing.T, written any) {
	t.Helper()
	text, err := json.Marshal(written)
	require.NoError(t, err)
	var read C
	require.NoError(t, json.Unmarshal(text, &read))
	again, err := json.Marshal(read)
	require.NoError(t, err)
	require.JSONEq(t, string(text), string(again))
}

// requireNoZeroField keeps a sample complete when the type grows.
func requireNoZeroField(t *testing.T, sample any) {
	t.Helper()
	value := reflect.ValueOf(sample)
	for _, field := range reflect.VisibleFields(value.Type()) {
		if field.IsExported() {
			require.False(t, value.FieldByIndex(field.Index).IsZero(), "%s.%s", value.Type(), field.Name)
		}
	}
}

// enum lists the values that the API's description allows a field.
func enum[S any](t *testing.T, field string) []string {
	t.Helper()
	of, ok := reflect.TypeFor[S]().FieldByName(field)
	require.True(t, ok)
	return strings.Split(of.Tag.Get("enum"), ",")
}

// members lists the JSON names of a struct's fields.
func members(of reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

func texts[T ~string](list []T) []string {
	result := make([]string, len(list))
	for i, item := range list {
		result[i] = string(item)
	}
	return result
}
