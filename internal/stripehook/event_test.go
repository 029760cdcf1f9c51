package stripehook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/payment"
	"millrace/internal/stripehook"
)

func TestTheIntentOfEachType(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, secret)
	const (
		intent   = `{"id":"pi_1","object":"payment_intent","latest_charge":"ch_1","invoice":null}`
		byID     = `{"id":"other_1","amount":1999,"payment_intent":"pi_1"}`
		expanded = `{"id":"other_1","payment_intent":{"id":"pi_1","object":"payment_intent","charges":{"data":[{"id":"ch_1"}]}}}`
		null     = `{"id":"other_1","payment_intent":null}`
		absent   = `{"id":"other_1"}`
		emptied  = `{"id":"other_1","payment_intent":""}`
	)
	// https://docs.stripe.com/api/events/types
	for _, kind := range []string{
		"payment_intent.amount_capturable_updated", "payment_intent.canceled", "payment_intent.created",
		"payment_intent.partially_funded", "payment_intent.payment_failed", "payment_intent.processing",
		"payment_intent.requires_action", "payment_intent.succeeded",
	} {
		requireIntent(t, verifier, kind, intent, "pi_1")
	}
	for _, kind := range []string{
		"charge.captured", "charge.expired", "charge.failed", "charge.pending", "charge.refunded", "charge.succeeded", "charge.updated",
		"charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.funds_withdrawn",
		"charge.dispute.updated", "charge.refund.updated", "refund.created", "refund.failed", "refund.updated",
	} {
		requireIntent(t, verifier, kind, byID, "pi_1")
		requireIntent(t, verifier, kind, expanded, "pi_1")
		requireIntent(t, verifier, kind, null, "")
		requireIntent(t, verifier, kind, absent, "")
		requireIntent(t, verifier, kind, emptied, "")
	}
	for _, kind := range []string{
		"checkout.session.completed", "invoice.paid", "customer.created", "setup_intent.succeeded", "payment_method.attached",
		"payout.paid", "review.opened", "account.updated", "application_fee.refunded", "charges.succeeded", "payment_intents.succeeded",
		"v2.core.event_destination.ping", "tomorrow",
	} {
		for _, object := range []string{intent, byID, expanded, null, `{"payment_intent":1}`, `null`, `[]`, `7`} {
			requireIntent(t, verifier, kind, object, "")
		}
	}
}

func requireIntent(t *testing.T, verifier *stripehook.Verifier, kind, object, intent string) {
	t.Helper()
	payload := fmt.Sprintf(`{"id":"evt_9","created":1700000000,"type":%q,"data":{"object":%s,"previous_attributes":{"id":"pi_0"}}}`, kind, object)
	event, err := verifier.Verify([]byte(payload), header(now(), payload))
	require.NoError(t, err, "%s %s", kind, object)
	require.Equal(t, payment.Event{ID: "evt_9", Type: kind, IntentID: intent, CreatedAt: time.Unix(1_700_000_000, 0).UTC()}, event, object)
}

func TestWhatIsSignedAndNoEvent(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, secret)
	const right = `{"id":"evt_1","created":1,"type":"charge.captured","data":{"object":{"payment_intent":"pi_1"}}}`
	for name, payload := range map[string]string{
		"empty":                   ``,
		"no JSON":                 `jo@example.com`,
		"cut short":               right[:40],
		"two documents":           right + right,
		"null":                    `null`,
		"array":                   `[` + right + `]`,
		"text":                    `"evt_1"`,
		"number":                  `7`,
		"nested too deeply":       strings.Repeat(`{"data":`, 20_000),
		"no id":                   strings.Replace(right, `"id":"evt_1",`, ``, 1),
		"empty id":                strings.Replace(right, "evt_1", "", 1),
		"null id":                 strings.Replace(right, `"evt_1"`, `null`, 1),
		"id is a number":          strings.Replace(right, `"evt_1"`, `1`, 1),
		"id with a space":         strings.Replace(right, "evt_1", "evt 1", 1),
		"id with a zero byte":     strings.Replace(right, "evt_1", `evt_1\u0000`, 1),
		"id is not ASCII":         strings.Replace(right, "evt_1", `evt_ä`, 1),
		"id is too long":          strings.Replace(right, "evt_1", strings.Repeat("e", 256), 1),
		"no type":                 strings.Replace(right, `"type":"charge.captured",`, ``, 1),
		"empty type":              strings.Replace(right, "charge.captured", "", 1),
		"type is a number":        strings.Replace(right, `"charge.captured"`, `1`, 1),
		"created is text":         strings.Replace(right, `"created":1`, `"created":"jo@example.com"`, 1),
		"created is a fraction":   strings.Replace(right, `"created":1`, `"created":1.5`, 1),
		"no data":                 `{"id":"evt_1","type":"charge.captured"}`,
		"no object":               `{"id":"evt_1","type":"charge.captured","data":{}}`,
		"object is text":          `{"id":"evt_1","type":"charge.captured","data":{"object":"pi_1"}}`,
		"intent is a number":      strings.Replace(right, `"pi_1"`, `1`, 1),
		"intent is a list":        strings.Replace(right, `"pi_1"`, `["pi_1"]`, 1),
		"intent with a zero byte": strings.Replace(right, "pi_1", `pi_\u0000`, 1),
		"expanded, id a number":   strings.Replace(right, `"pi_1"`, `{"id":1}`, 1),
		"no intent id":            `{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{}}}`,
		"empty intent id":         `{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":""}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := verifier.Verify([]byte(payload), header(now(), payload))
			requireRefusal(t, event, err, "is not an event")
		})
	}
	// The longest id, and an event that does not say when it happened.
	long := strings.Repeat("e", 255)
	payload := `{"id":"` + long + `","type":"tomorrow"}`
	event, err := verifier.Verify([]byte(payload), header(now(), payload))
	require.NoError(t, err)
	require.Equal(t, payment.Event{ID: long, Type: "tomorrow"}, event)
}
