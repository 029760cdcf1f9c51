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
	status, _ := reflect.TypeFor[payment.Payment]().FieldByName("Status")
	require.ElementsMatch(t, strings.Split(status.Tag.Get("enum"), ","), texts(client.PaymentStatuses()))
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
	text, err := json.Marshal(written) //nolint:gosec // the secret is made up
	require.NoError(t, err)
	var read client.Payment
	require.NoError(t, json.Unmarshal(text, &read))
	again, err := json.Marshal(read) //nolint:gosec // the secret is made up
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
