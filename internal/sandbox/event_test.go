package sandbox_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

// TestEveryChangeHasItsEvents walks what can happen to a payment. The list of events is complete as soon as the request
// is answered; the consumer has to get the same.
func TestEveryChangeHasItsEvents(t *testing.T) {
	t.Parallel()
	confirmed := func(r *rig, method string) string {
		p := payment(method)
		p.Confirm = new(true)
		pi, err := r.api.PaymentIntents.New(p)
		if err != nil {
			return stripeError(r.t, err).PaymentIntent.ID
		}
		return pi.ID
	}
	again := func(r *rig, id, method string) {
		_, _ = r.api.PaymentIntents.Confirm(id, &stripe.PaymentIntentConfirmParams{PaymentMethod: new(method)})
	}
	paid := []string{"payment_intent.created", "payment_intent.succeeded", "charge.succeeded"}
	held := []string{"payment_intent.created", "payment_intent.amount_capturable_updated", "charge.succeeded"}
	processing := []string{"payment_intent.created", "payment_intent.processing", "charge.pending"}
	declined := []string{"payment_intent.created", "payment_intent.payment_failed", "charge.failed"}
	challenged := []string{"payment_intent.created", "payment_intent.requires_action"}
	more := func(had []string, also ...string) []string { return append(append([]string{}, had...), also...) }

	for name, tc := range map[string]struct {
		do   func(r *rig)
		want []string
	}{
		"created": {func(r *rig) { r.created("pm_card_visa") }, []string{"payment_intent.created"}},
		"updated": {func(r *rig) {
			_, err := r.api.PaymentIntents.Update(r.created("").ID, &stripe.PaymentIntentParams{Amount: stripe.Int64(2000)})
			require.NoError(r.t, err)
		}, []string{"payment_intent.created"}},
		"labelled when paid": {func(r *rig) {
			_, err := r.api.PaymentIntents.Update(confirmed(r, "pm_card_visa"), &stripe.PaymentIntentParams{Description: new("x")})
			require.NoError(r.t, err)
		}, paid},
		"paid":           {func(r *rig) { confirmed(r, "pm_card_visa") }, paid},
		"paid by step":   {func(r *rig) { _, _ = r.confirm(r.created("pm_card_visa").ID, "") }, paid},
		"declined":       {func(r *rig) { confirmed(r, "pm_card_chargeDeclined") }, declined},
		"declined twice": {func(r *rig) { again(r, confirmed(r, "pm_card_chargeDeclined"), "pm_card_chargeDeclined") }, more(declined, declined[1:]...)},
		"declined, paid": {func(r *rig) { again(r, confirmed(r, "pm_card_chargeDeclined"), "pm_card_visa") }, more(declined, paid[1:]...)},
		"challenged":     {func(r *rig) { confirmed(r, "pm_card_threeDSecure2Required") }, challenged},
		"challenged twice": {func(r *rig) {
			again(r, confirmed(r, "pm_card_threeDSecure2Required"), "pm_card_threeDSecure2Required")
		}, more(challenged, challenged[1])},
		"challenged, labelled": {func(r *rig) {
			_, err := r.api.PaymentIntents.Update(confirmed(r, "pm_card_threeDSecure2Required"), &stripe.PaymentIntentParams{Description: new("x")})
			require.NoError(r.t, err)
		}, challenged},
		"authenticated": {func(r *rig) {
			_, err := r.Authenticate(confirmed(r, "pm_card_threeDSecure2Required"), true)
			require.NoError(r.t, err)
		}, more(challenged, paid[1:]...)},
		"not authenticated": {func(r *rig) {
			_, err := r.Authenticate(confirmed(r, "pm_card_threeDSecure2Required"), false)
			require.NoError(r.t, err)
		}, more(challenged, "payment_intent.payment_failed")},
		"nobody there": {func(r *rig) {
			p := payment("pm_card_authenticationRequired")
			p.Confirm, p.OffSession = new(true), new(true)
			_, err := r.api.PaymentIntents.New(p)
			require.Error(r.t, err)
		}, declined},
		"held":            {func(r *rig) { r.authorized() }, held},
		"captured":        {func(r *rig) { _, _ = r.capture(r.authorized().ID, 0) }, more(held, "charge.captured", "payment_intent.succeeded")},
		"captured partly": {func(r *rig) { _, _ = r.capture(r.authorized().ID, 400) }, more(held, "charge.captured", "payment_intent.succeeded")},
		"released": {func(r *rig) {
			_, err := r.api.PaymentIntents.Cancel(r.authorized().ID, nil)
			require.NoError(r.t, err)
		}, more(held, "charge.refunded", "payment_intent.canceled")},
		"canceled": {func(r *rig) { r.inState(stripe.PaymentIntentStatusCanceled) }, []string{"payment_intent.created", "payment_intent.canceled"}},
		"expired by time": {func(r *rig) {
			id := r.authorized().ID
			r.clock.advance(week)
			r.get(id)
			r.get(id)
		}, more(held, "charge.expired", "payment_intent.canceled")},
		"expired by hand": {func(r *rig) {
			_, err := r.Expire(r.authorized().ID)
			require.NoError(r.t, err)
		}, more(held, "charge.expired", "payment_intent.canceled")},
		"processing": {func(r *rig) { confirmed(r, "pm_sandbox_processing_succeeds") }, processing},
		"settled": {func(r *rig) {
			confirmed(r, "pm_sandbox_processing_succeeds")
			r.clock.advance(time.Minute)
			r.Charges()
		}, more(processing, paid[1:]...)},
		"settled, failed": {func(r *rig) {
			confirmed(r, "pm_sandbox_processing_fails")
			r.clock.advance(time.Minute)
			r.Charges()
		}, more(processing, declined[1:]...)},
		"settled, failed, and paid by the request that notices": {func(r *rig) {
			id := confirmed(r, "pm_sandbox_processing_fails")
			r.clock.advance(time.Minute)
			again(r, id, "pm_card_visa")
		}, more(more(processing, declined[1:]...), paid[1:]...)},
		"refunded in parts": {func(r *rig) {
			id := confirmed(r, "pm_card_visa")
			r.refund(id, 300)
			r.refund(id, 0)
		}, more(paid, "charge.refunded", "charge.refunded")},
		"disputed":         {func(r *rig) { confirmed(r, "pm_card_createDispute") }, more(paid, "charge.dispute.created")},
		"disputed twice":   {func(r *rig) { confirmed(r, "pm_card_createMultipleDisputes") }, more(paid, "charge.dispute.created", "charge.dispute.created")},
		"disputed by hand": {func(r *rig) { r.dispute(confirmed(r, "pm_card_visa")) }, more(paid, "charge.dispute.created")},
		"inquired, and refunded": {func(r *rig) {
			r.refund(confirmed(r, "pm_card_createDisputeInquiry"), 0)
		}, more(paid, "charge.dispute.created", "charge.refunded")},
		"refused": {func(r *rig) {
			id := confirmed(r, "pm_card_visa")
			_, err := r.api.PaymentIntents.Cancel(id, nil)
			require.Error(r.t, err)
			_, err = r.capture(id, 0)
			require.Error(r.t, err)
		}, paid},
		"replayed": {func(r *rig) {
			id := r.created("pm_card_visa").ID
			for range 3 {
				_, err := r.confirm(id, "k")
				require.NoError(r.t, err)
			}
		}, paid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			in := r.listen(nil)
			tc.do(r)
			var made []string
			intents := map[string]bool{}
			for _, e := range r.delivered() {
				made = append(made, e.Type)
				intents[e.PaymentIntent] = true
				assert.Equal(t, 1, e.Attempts)
			}
			assert.ElementsMatch(t, tc.want, made)
			assert.Len(t, intents, 1)

			var got []string
			ids := map[string]bool{}
			for _, p := range in.await(len(tc.want)) {
				got = append(got, string(p.event.Type))
				ids[p.event.ID] = true
			}
			assert.ElementsMatch(t, tc.want, got)
			assert.Len(t, ids, len(tc.want), "ids are unique")
		})
	}
}

func TestAnEventIsStripes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(nil)
	answer := r.raw("POST", "/v1/payment_intents", confirmed("pm_card_visa"), "Idempotency-Key", "k-1")
	require.Equal(t, 200, answer.status)
	var raw map[string]any
	p := in.of("payment_intent.succeeded")
	require.NoError(t, json.Unmarshal(p.body, &raw))
	data := raw["data"]
	delete(raw, "data")
	assert.Equal(t, map[string]any{
		"id": p.event.ID, "object": "event", "api_version": "2023-10-16", "created": float64(r.clock.Now().Unix()),
		"livemode": false, "pending_webhooks": 1.0, "type": "payment_intent.succeeded",
		"request": map[string]any{"id": answer.header.Get("Request-Id"), "idempotency_key": "k-1"},
	}, raw)
	assert.Equal(t, map[string]any{"object": answer.json(t)}, data, "the object as the API shows it")
	assert.Regexp(t, "^evt_", p.event.ID)
	assert.Equal(t, p.event.ID, r.Events()[1].ID)
}

func TestEventsShowTheirOwnMoment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(nil)
	p := payment("pm_card_createDispute")
	p.Confirm, p.CaptureMethod = new(true), new("manual")
	pi := r.create(p)
	_, err := r.capture(pi.ID, 600)
	require.NoError(t, err)

	intentOf := func(kind string) (pi stripe.PaymentIntent) {
		require.NoError(t, json.Unmarshal(in.of(kind).event.Data.Raw, &pi))
		return pi
	}
	chargeOf := func(kind string) (ch stripe.Charge) {
		require.NoError(t, json.Unmarshal(in.of(kind).event.Data.Raw, &ch))
		return ch
	}
	created := intentOf("payment_intent.created")
	assert.Equal(t, pi.ID, created.ID)
	assert.Equal(t, stripe.PaymentIntentStatusRequiresPaymentMethod, created.Status)
	assert.Nil(t, created.LatestCharge)
	assert.Nil(t, created.PaymentMethod)
	assert.Zero(t, created.AmountCapturable)
	assert.Equal(t, "pay_1", created.Metadata["payment_id"])
	capturable := intentOf("payment_intent.amount_capturable_updated")
	assert.EqualValues(t, 1000, capturable.AmountCapturable)
	assert.EqualValues(t, 600, intentOf("payment_intent.succeeded").AmountReceived)

	held := chargeOf("charge.succeeded")
	assert.False(t, held.Captured)
	assert.NotZero(t, held.PaymentMethodDetails.Card.CaptureBefore)
	captured := chargeOf("charge.captured")
	assert.EqualValues(t, 600, captured.AmountCaptured)
	assert.False(t, captured.Disputed, "the dispute comes after it")

	var d stripe.Dispute
	require.NoError(t, json.Unmarshal(in.of("charge.dispute.created").event.Data.Raw, &d))
	assert.Equal(t, "dispute", d.Object)
	assert.Equal(t, held.ID, d.Charge.ID)
	assert.Equal(t, pi.ID, d.PaymentIntent.ID)
	assert.EqualValues(t, 600, d.Amount)
	assert.Equal(t, stripe.CurrencyUSD, d.Currency)
	assert.Equal(t, stripe.DisputeReasonFraudulent, d.Reason)
	assert.Equal(t, stripe.DisputeStatusNeedsResponse, d.Status)
	assert.Empty(t, in.of("charge.dispute.created").event.Request.ID, "no request did this")
}

func TestADeclineShowsItsReason(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(nil)
	_, err := r.confirm(r.created("pm_card_visa_chargeDeclinedInsufficientFunds").ID, "k")
	require.Error(t, err)
	p := in.of("payment_intent.payment_failed")
	var pi stripe.PaymentIntent
	require.NoError(t, json.Unmarshal(p.event.Data.Raw, &pi))
	require.NotNil(t, pi.LastPaymentError)
	assert.EqualValues(t, "insufficient_funds", pi.LastPaymentError.DeclineCode)
	assert.Equal(t, stripeError(t, err).RequestID, p.event.Request.ID)
	assert.Equal(t, "k", p.event.Request.IdempotencyKey)
	var ch stripe.Charge
	require.NoError(t, json.Unmarshal(in.of("charge.failed").event.Data.Raw, &ch))
	assert.Equal(t, "card_declined", ch.FailureCode)
}

func TestARequestDidNotCauseWhatItNotices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(nil)
	id := r.inState(stripe.PaymentIntentStatusProcessing).ID
	r.clock.advance(time.Minute)
	_, err := r.tryRefund(id, 100)
	require.NoError(t, err)
	assert.Empty(t, in.of("payment_intent.succeeded").event.Request.ID)
	assert.NotEmpty(t, in.of("charge.refunded").event.Request.ID)
}
