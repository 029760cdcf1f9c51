package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/stripehook"
)

const webhookSecret = "whsec_test"

func takesEvents(o *api.Options) {
	verifier, err := stripehook.New(webhookSecret, time.Now)
	if err == nil {
		o.StripeEvents = verifier
	}
}

// deliver posts an event as Stripe does, signed at a time with a secret.
func (s *site) deliver(body, secret string, at time.Time) answer {
	s.t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	signature := fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
	return s.do(request{method: "POST", path: "/webhooks/stripe", body: body, header: map[string]string{"Stripe-Signature": signature}})
}

func event(id, kind, intent string) string {
	object := `{"id":"` + intent + `","object":"payment_intent"}`
	if strings.HasPrefix(kind, "charge.") {
		object = `{"id":"ch_1","payment_intent":"` + intent + `"}`
	}
	return `{"id":"` + id + `","object":"event","api_version":"2020-08-27","created":1700000000,"type":"` + kind + `","data":{"object":` + object + `}}`
}

// begun is a payment with the intent pi_1, in a state, with its job in a state.
func (s *site) begun(key, status, jobState string) (id string) {
	s.t.Helper()
	a := s.pay(key, uuid.NewString(), `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`)
	require.Equal(s.t, 202, a.status, a.text)
	id, _ = a.at("payment", "id").(string)
	_, err := s.login.Exec(s.t.Context(), "UPDATE payments SET status = $2, intent_id = 'pi_1' WHERE id = $1", id, status)
	require.NoError(s.t, err)
	_, err = s.login.Exec(s.t.Context(), `UPDATE river_job SET state = $2::river_job_state, scheduled_at = now() + interval '1 hour',
		finalized_at = CASE WHEN $2 IN ('completed', 'discarded') THEN now() END WHERE args ->> 'payment_id' = $1`, id, jobState)
	require.NoError(s.t, err)
	return id
}

// jobs lists the states of a payment's jobs by kind.
func (s *site) jobs(id string) (list []string) {
	s.t.Helper()
	rows, err := s.login.Query(s.t.Context(), `SELECT kind || ' ' || state FROM river_job WHERE args ->> 'payment_id' = $1 ORDER BY id`, id)
	require.NoError(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(s.t, rows.Scan(&text))
		list = append(list, text)
	}
	return list
}

// events counts the events of all providers with an outcome.
func (s *site) events(outcome string) float64 {
	s.t.Helper()
	return s.counted("millrace_provider_events_total", "outcome", outcome)
}

// counted adds up the counters of a name that have a label.
func (s *site) counted(name, label, value string) (n float64) {
	s.t.Helper()
	families, err := s.registry.Gather()
	require.NoError(s.t, err)
	found := false
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, pair := range metric.GetLabel() {
				if family.GetName() == name && pair.GetName() == label && pair.GetValue() == value {
					n, found = n+metric.GetCounter().GetValue(), true
				}
			}
		}
	}
	require.True(s.t, found, "%s is there from the start with %s=%s", name, label, value)
	return n
}

func TestAnEventHasThePaymentLookedAt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status, jobState, kind string
		want                   []string
	}{
		"the customer is done":       {"requires_action", "scheduled", "payment_intent.succeeded", []string{"payment_capture available"}},
		"the customer failed":        {"requires_action", "scheduled", "payment_intent.payment_failed", []string{"payment_capture available"}},
		"while the job is at work":   {"processing", "running", "payment_intent.succeeded", []string{"payment_capture running"}},
		"after the job was given up": {"processing", "discarded", "payment_intent.canceled", []string{"payment_capture discarded", "payment_reconciliation available"}},
		"what is known already":      {"captured", "completed", "payment_intent.succeeded", []string{"payment_capture completed"}},
		"refund":                     {"captured", "completed", "charge.refunded", []string{"payment_capture completed", "payment_reconciliation available"}},
		"dispute":                    {"captured", "completed", "charge.dispute.created", []string{"payment_capture completed", "payment_reconciliation available"}},
		"too late":                   {"captured", "completed", "payment_intent.payment_failed", []string{"payment_capture completed"}},
		"an alarm":                   {"failed", "discarded", "payment_intent.succeeded", []string{"payment_capture discarded", "payment_reconciliation available"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, takesEvents)
			id := s.begun(s.alice, c.status, c.jobState)
			for range 3 { // repeated deliveries change nothing
				a := s.deliver(event("evt_1", c.kind, "pi_1"), webhookSecret, time.Now())
				require.Equal(t, 200, a.status, a.text)
				require.Equal(t, c.want, s.jobs(id))
			}
			require.InDelta(t, 1, s.events("taken"), 0)
			require.InDelta(t, 2, s.events("repeated"), 0)
			a := s.do(request{method: "GET", path: "/v1/payments/" + id, key: s.alice})
			require.Equal(t, c.status, a.body["status"], "an event by itself moves nothing")
		})
	}
}

// One intent, two tenants: each is told, and neither sees the other.
func TestAnEventReachesEveryTenantOfTheIntent(t *testing.T) {
	t.Parallel()
	s := newSite(t, takesEvents)
	one := s.begun(s.alice, "requires_action", "scheduled")
	two := s.begun(s.mallory, "requires_action", "scheduled")
	require.Equal(t, 200, s.deliver(event("evt_1", "payment_intent.succeeded", "pi_1"), webhookSecret, time.Now()).status)
	require.Equal(t, []string{"payment_capture available"}, s.jobs(one))
	require.Equal(t, []string{"payment_capture available"}, s.jobs(two))
}

func TestEventsAboutNothingOfOursAreAcknowledged(t *testing.T) {
	t.Parallel()
	s := newSite(t, takesEvents)
	for _, body := range []string{
		event("evt_1", "payment_intent.succeeded", "pi_of_somebody_else"),
		event("evt_2", "payment_intent.tomorrow", "pi_1"),
		`{"id":"evt_3","type":"customer.created","created":1700000000,"data":{"object":{"id":"cus_1"}}}`,
		`{"id":"evt_4","type":"charge.refunded","created":1700000000,"data":{"object":{"id":"ch_1","payment_intent":null}}}`,
	} {
		a := s.deliver(body, webhookSecret, time.Now())
		require.Equal(t, 200, a.status, a.text)
	}
	require.InDelta(t, 4, s.events("ignored"), 0)
	var rows int
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(*) FROM payment_events").Scan(&rows))
	require.Zero(t, rows)
}

func TestOnlyStripesDeliveriesAreBelieved(t *testing.T) {
	t.Parallel()
	s := newSite(t, takesEvents)
	id := s.begun(s.alice, "requires_action", "scheduled")
	body := event("evt_1", "payment_intent.succeeded", "pi_1")
	for name, a := range map[string]answer{
		"another secret": s.deliver(body, "whsec_guess", time.Now()),
		"old":            s.deliver(body, webhookSecret, time.Now().Add(-6*time.Minute)),
		"future":         s.deliver(body, webhookSecret, time.Now().Add(6*time.Minute)),
		"not an event":   s.deliver(`{"jane":"jane@example.com"}`, webhookSecret, time.Now()),
		"unsigned":       s.do(request{method: "POST", path: "/webhooks/stripe", body: body}),
		"with an API key instead": s.do(request{
			method: "POST", path: "/webhooks/stripe", body: body, key: s.alice,
			header: map[string]string{"Stripe-Signature": "t=1,v1=00"},
		}),
	} {
		require.Equal(t, 400, a.status, name)
		require.Equal(t, "INVALID_INPUT", a.code(), name)
		require.NotContains(t, a.text, "jane")
	}
	large := s.deliver(`{"x":"`+strings.Repeat("x", 1<<20)+`"}`, webhookSecret, time.Now())
	require.Equal(t, 413, large.status)
	require.Equal(t, []string{"payment_capture scheduled"}, s.jobs(id))
}

func TestWithoutASecretEventsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.deliver(event("evt_1", "payment_intent.succeeded", "pi_1"), webhookSecret, time.Now())
	require.Equal(t, 503, a.status)
	require.Equal(t, "UNAVAILABLE", a.code())
	require.Contains(t, a.text, "STRIPE_WEBHOOK_SECRET")
	// An empty secret signs nothing either.
	require.Equal(t, 503, s.deliver(event("evt_1", "payment_intent.succeeded", "pi_1"), "", time.Now()).status)
}

func TestPaymentsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var ids []any
	for range 5 {
		a := s.pay(s.alice, uuid.NewString(), `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`)
		ids = append([]any{a.at("payment", "id")}, ids...)
	}
	s.pay(s.mallory, uuid.NewString(), `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`)
	var seen []any
	path := "/v1/payments?limit=2"
	for pages := 1; ; pages++ {
		a := s.do(request{method: "GET", path: path, key: s.alice})
		require.Equal(t, 200, a.status, a.text)
		list, _ := a.body["payments"].([]any)
		for _, p := range list {
			payment, _ := p.(map[string]any)
			require.NotEmpty(t, payment["job_id"])
			seen = append(seen, payment["id"])
		}
		next, more := a.body["next_page_token"].(string)
		if !more {
			require.Equal(t, 3, pages)
			break
		}
		path = "/v1/payments?limit=2&page_token=" + next
	}
	require.Equal(t, ids, seen)
	for _, token := range []string{"nonsense", "am9iOjE", "cGF5bWVudDow"} {
		require.Equal(t, 400, s.do(request{method: "GET", path: "/v1/payments?page_token=" + token, key: s.alice}).status)
	}
	require.Equal(t, 401, s.do(request{method: "GET", path: "/v1/payments"}).status)
}
