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
	"millrace/internal/conversation"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/rollup"
	"millrace/internal/satisfaction"
	"millrace/internal/screen"
	"millrace/jobs"
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
		{reflect.TypeFor[conversation.Request](), reflect.TypeFor[client.ConversationRequest]()},
		{reflect.TypeFor[conversation.Message](), reflect.TypeFor[client.Message]()},
		{reflect.TypeFor[conversation.Feedback](), reflect.TypeFor[client.Feedback]()},
		{reflect.TypeFor[conversation.Conversation](), reflect.TypeFor[client.Conversation]()},
		{reflect.TypeFor[conversation.Turn](), reflect.TypeFor[client.StoredMessage]()},
		{reflect.TypeFor[conversation.Skip](), reflect.TypeFor[client.SkippedMessage]()},
		{reflect.TypeFor[conversation.Score](), reflect.TypeFor[client.Score]()},
		{reflect.TypeFor[conversation.Summary](), reflect.TypeFor[client.ScoreSummary]()},
		{reflect.TypeFor[conversation.Day](), reflect.TypeFor[client.ScoreDay]()},
		{reflect.TypeFor[satisfaction.Estimate](), reflect.TypeFor[client.Estimate]()},
		{reflect.TypeFor[satisfaction.SubScore](), reflect.TypeFor[client.SubScore]()},
		{reflect.TypeFor[satisfaction.Sentiment](), reflect.TypeFor[client.Sentiment]()},
		{reflect.TypeFor[satisfaction.Point](), reflect.TypeFor[client.Point]()},
		{reflect.TypeFor[satisfaction.Reason](), reflect.TypeFor[client.Reason]()},
		{reflect.TypeFor[rollup.Point](), reflect.TypeFor[client.MetricPoint]()},
		{reflect.TypeFor[api.MetricBucket](), reflect.TypeFor[client.MetricBucket]()},
		{reflect.TypeFor[api.MetricValue](), reflect.TypeFor[client.SeriesValue]()},
		{reflect.TypeFor[rollup.Metric](), reflect.TypeFor[client.MetricName]()},
		{reflect.TypeFor[rollup.Tag](), reflect.TypeFor[client.MetricTag]()},
		{reflect.TypeFor[screen.Scanned](), reflect.TypeFor[client.PHIScan]()},
		{reflect.TypeFor[screen.Finding](), reflect.TypeFor[client.PHIFinding]()},
		{reflect.TypeFor[jobs.Progress](), reflect.TypeFor[client.Progress]()},
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
	require.ElementsMatch(t, enum[conversation.Conversation](t, "Status"), texts(client.ConversationStatuses()))
	require.ElementsMatch(t, enum[conversation.Message](t, "Role"), texts(client.Roles()))
	require.ElementsMatch(t, enum[conversation.Summary](t, "Verdict"), texts(client.Verdicts()))
	require.ElementsMatch(t, enum[satisfaction.Score](t, "Verdict"), texts(client.Verdicts()))
	require.ElementsMatch(t, texts(conversation.Verdicts()), texts(client.Verdicts()))
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

func TestConversationsAreReadWhole(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 31, 9, 30, 0, 123456000, time.UTC)
	written := conversation.Conversation{
		ID: uuid.MustParse("019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c"), Tenant: "alice", SessionID: "chat-4711", Status: conversation.Scored,
		MessageCount: 2, SkippedCount: 1, Skipped: []conversation.Skip{{Index: 1, Problem: "must be an object"}}, Masked: map[string]int{"EMAIL": 1},
		HasFeedback: true, JobID: 4711, Model: "1", CreatedAt: at, ScoredAt: &at,
		Messages: []conversation.Turn{{Index: 1, Role: satisfaction.User, Content: "Hello", At: at}}, Feedback: &conversation.Feedback{Thumbs: "up"},
	}
	for _, whole := range []any{written, written.Skipped[0], written.Messages[0]} {
		requireNoZeroField(t, whole)
	}
	requireReadWhole[client.Conversation](t, written)
	requireReadWhole[client.Conversation](t, conversation.New("alice", written.ID, conversation.Request{SessionID: "s"}, at))

	stars := 4
	asked := conversation.Request{
		SessionID: "chat-4711", Messages: conversation.Messages{{Role: satisfaction.User, Content: "Hello", At: at}},
		Feedback: &conversation.Feedback{Stars: &stars, Thumbs: "up", Text: "ok"},
	}
	requireReadWhole[client.ConversationRequest](t, asked)
}

func TestScoresAreReadWhole(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 31, 9, 30, 0, 123456000, time.UTC)
	estimate := satisfaction.Estimate{Satisfaction: 63.5, Rating: 3.54, Confidence: 0.62}
	reasons := []satisfaction.Reason{{Feature: "thanks", Effect: 4.2, Text: "The user said thank you.", Turns: []int{2}}}
	aspect := &satisfaction.SubScore{Score: 58, Reasons: reasons}
	id := uuid.MustParse("019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c")
	written := conversation.Score{
		ID: id, Tenant: "alice", SessionID: "chat-4711", CreatedAt: at, ScoredAt: at,
		Score: satisfaction.Score{
			Model: "1", Estimate: estimate, Verdict: satisfaction.Neutral, Inferred: estimate, Stated: &estimate, Reasons: reasons,
			Sentiment:  satisfaction.Sentiment{SubScore: *aspect, Course: []satisfaction.Point{{Turn: 2, Sentiment: 0.42}}},
			Engagement: aspect, Responsiveness: aspect, Resolution: aspect, AgentQuality: aspect,
		},
	}
	mean := 63.5
	day := conversation.Day{Date: "2030-01-31", Count: 1, Mean: &mean, Buckets: []int64{0, 0, 0, 0, 0, 0, 1, 0, 0, 0}}
	summary := conversation.Summary{ID: id, SessionID: "chat-4711", CreatedAt: at, ScoredAt: at, Model: "1", Estimate: estimate, Verdict: satisfaction.Neutral}
	for _, whole := range []any{written, written.Sentiment, written.Sentiment.Course[0], reasons[0], day, summary} {
		requireNoZeroField(t, whole)
	}
	requireReadWhole[client.Score](t, written)
	requireReadWhole[client.ScoreSummary](t, summary)
	requireReadWhole[client.ScoreDay](t, day)
}

func TestMetricsAreReadWhole(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC)
	point := rollup.Point{Name: "checkout.latency", Value: "12.5", Tags: map[string]string{"region": "eu"}, At: at}
	value := api.MetricValue{Name: "checkout.latency", Tags: map[string]string{"region": "eu"}, Value: 12.5, At: at}
	name := rollup.Metric{Name: "checkout.latency", Series: 3}
	tag := rollup.Tag{Name: "region", Values: []string{"eu", "us"}, More: true}
	for _, whole := range []any{point, value, name, tag} {
		requireNoZeroField(t, whole)
	}
	requireReadWhole[client.MetricPoint](t, point)
	requireReadWhole[client.SeriesValue](t, value)
	requireReadWhole[client.MetricName](t, name)
	requireReadWhole[client.MetricTag](t, tag)
	for _, aggregate := range rollup.Aggregates() {
		text := `{"at":"2030-01-31T09:30:00Z","` + string(aggregate) + `":7}`
		var bucket client.MetricBucket
		require.NoError(t, json.Unmarshal([]byte(text), &bucket))
		require.InDelta(t, 7, *bucket.Aggregate(string(aggregate)), 0)
		again, err := json.Marshal(bucket)
		require.NoError(t, err)
		require.JSONEq(t, text, string(again))
	}
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
