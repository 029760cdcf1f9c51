package client_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestSubmitPayment(t *testing.T) {
	t.Parallel()
	body := `{"job":` + job("4711", "available") + `,"payment":{"id":"019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c","status":"pending",
		"amount":1999,"currency":"usd","gateway_requests":0,"created_at":"2030-01-31T09:30:00Z","updated_at":"2030-01-31T09:30:00Z"},
		"invented_later":true}`
	s := newServer(t, answer(http.StatusAccepted, body, "Idempotent-Replayed", "true"))
	c, _ := newClient(t, s.URL, client.Options{})
	price := int64(1999)
	got, err := c.SubmitPayment(t.Context(), client.PaymentRequest{
		Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa",
		Items: []client.Item{{Name: "Ticket", Quantity: 1, Price: &price}},
	}, client.SubmitOptions{
		IdempotencyKey: "order-17", Priority: 2, ScheduledAt: time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC), Wait: 1500 * time.Millisecond,
	})
	require.NoError(t, err)
	require.True(t, got.Replayed)
	require.Equal(t, "4711", got.Job.ID)
	require.Equal(t, client.PaymentPending, got.Payment.Status)
	require.Equal(t, int64(1999), got.Payment.Amount)
	require.JSONEq(t, body, string(got.Raw))
	require.JSONEq(t, job("4711", "available"), string(got.Job.Raw))

	sent := s.one(t)
	require.Equal(t, "POST /v1/payments", sent.method+" "+sent.uri)
	require.Equal(t, "order-17", sent.header.Get("Idempotency-Key"))
	require.Equal(t, "wait=2", sent.header.Get("Prefer"), "rounded up")
	require.Equal(t, "application/json", sent.header.Get("Content-Type"))
	require.JSONEq(t, `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa",
		"items":[{"name":"Ticket","quantity":1,"price":1999}],"scheduled_at":"2030-01-31T09:30:00Z","priority":2}`, sent.body)
}

func TestSubmitOfAnyKind(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusAccepted, `{"job":`+job("1", "available")+`}`))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.Submit(t.Context(), "metric_rollup", json.RawMessage(`{"from":1}`), client.SubmitOptions{})
	require.NoError(t, err)
	require.Nil(t, got.Payment)
	sent := s.one(t)
	require.Equal(t, "POST /v1/jobs", sent.method+" "+sent.uri)
	require.JSONEq(t, `{"kind":"metric_rollup","args":{"from":1}}`, sent.body)
	require.Empty(t, sent.header.Get("Prefer"))
}

func TestSubmitRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{}`))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.Submit(t.Context(), "x", func() {}, client.SubmitOptions{})
	require.ErrorContains(t, err, "encode")
	_, err = c.Submit(t.Context(), "x", nil, client.SubmitOptions{Wait: 31 * time.Second})
	require.ErrorContains(t, err, "Wait")
	_, err = c.Job(t.Context(), "")
	require.ErrorContains(t, err, "empty")
	_, err = c.Payment(t.Context(), "")
	require.ErrorContains(t, err, "empty")
	require.Empty(t, s.received())
	_, err = c.Submit(t.Context(), "x", nil, client.SubmitOptions{})
	require.ErrorContains(t, err, "names no job")
}
