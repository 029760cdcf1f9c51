package sandbox_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"millrace/internal/sandbox"
)

const week = 7 * 24 * time.Hour

func (r *rig) capture(id string, amount int64) (*stripe.PaymentIntent, error) {
	p := &stripe.PaymentIntentCaptureParams{}
	if amount != 0 {
		p.AmountToCapture = new(amount)
	}
	return r.api.PaymentIntents.Capture(id, p)
}

func TestAnAuthorisationHoldsTheMoney(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.get(r.authorized().ID)
	assert.EqualValues(t, 1000, pi.AmountCapturable)
	assert.Zero(t, pi.AmountReceived)
	assert.True(t, pi.LatestCharge.Paid)
	assert.False(t, pi.LatestCharge.Captured)
	card := pi.LatestCharge.PaymentMethodDetails.Card
	assert.Equal(t, r.clock.Now().Add(week).Unix(), card.CaptureBefore)
	assert.EqualValues(t, 1000, card.AmountAuthorized)
}

func TestCapture(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ ask, captured, released int64 }{
		"all":          {0, 1000, 0},
		"all, by name": {1000, 1000, 0},
		"part":         {400, 400, 600},
		"least":        {1, 1, 999},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			pi, err := r.capture(r.authorized().ID, tc.ask)
			require.NoError(t, err)
			assert.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)
			assert.EqualValues(t, 1000, pi.Amount)
			assert.Equal(t, tc.captured, pi.AmountReceived)
			assert.Zero(t, pi.AmountCapturable)

			require.Len(t, r.Charges(), 1)
			ch := r.Charges()[0]
			assert.True(t, ch.Captured)
			assert.EqualValues(t, 1000, ch.Amount)
			assert.Equal(t, tc.captured, ch.AmountCaptured)
			assert.Equal(t, tc.released, ch.AmountRefunded)

			_, err = r.capture(pi.ID, 1)
			e := stripeError(t, err)
			assert.Equal(t, stripe.ErrorCodePaymentIntentUnexpectedState, e.Code)
			assert.Contains(t, e.Msg, "already been captured")
			assert.Equal(t, ch, r.Charges()[0], "a second capture changes nothing")
		})
	}
}

func TestOverCapture(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.authorized()
	_, err := r.capture(pi.ID, 1001)
	e := stripeError(t, err)
	assert.Equal(t, 400, e.HTTPStatusCode)
	assert.Equal(t, stripe.ErrorCodeAmountTooLarge, e.Code)
	assert.Equal(t, "amount_to_capture", e.Param)
	assert.Equal(t, stripe.PaymentIntentStatusRequiresCapture, r.get(pi.ID).Status)

	_, err = r.capture(pi.ID, -5)
	assert.Equal(t, stripe.ErrorCodeParameterInvalidInteger, stripeError(t, err).Code)
}

func TestAutomaticAsyncIsCapturedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := payment("pm_card_visa")
	p.Confirm, p.CaptureMethod = new(true), new("automatic_async")
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, r.create(p).Status)
	assert.True(t, r.Charges()[0].Captured)
}

func TestCancelReleasesTheAuthorisation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi, err := r.api.PaymentIntents.Cancel(r.authorized().ID, &stripe.PaymentIntentCancelParams{
		CancellationReason: new("requested_by_customer"),
	})
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusCanceled, pi.Status)
	assert.Equal(t, r.clock.Now().Unix(), pi.CanceledAt)
	assert.EqualValues(t, "requested_by_customer", pi.CancellationReason)
	assert.Zero(t, pi.AmountCapturable)
	ch := r.Charges()[0]
	assert.False(t, ch.Captured)
	assert.EqualValues(t, 1000, ch.AmountRefunded)
}

func TestAnAuthorisationExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	late, inTime := r.authorized(), r.authorized()
	expiry := r.clock.Now().Add(week)

	r.clock.advance(week - time.Second)
	_, err := r.capture(inTime.ID, 0)
	require.NoError(t, err)

	r.clock.advance(time.Second)
	_, err = r.capture(late.ID, 0)
	e := stripeError(t, err)
	assert.Equal(t, stripe.ErrorCodePaymentIntentUnexpectedState, e.Code)
	assert.Contains(t, e.Msg, "status of canceled")
	require.NotNil(t, e.PaymentIntent)
	assert.EqualValues(t, "automatic", e.PaymentIntent.CancellationReason)
	assert.Equal(t, expiry.Unix(), e.PaymentIntent.CanceledAt)

	r.clock.advance(time.Hour)
	for _, ch := range r.Charges() {
		assert.Equal(t, ch.PaymentIntent == inTime.ID, ch.Captured)
		if ch.PaymentIntent == late.ID {
			assert.EqualValues(t, 1000, ch.AmountRefunded)
		}
	}
}

func TestTheLedgerKnowsOfExpiriesThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.authorized()
	r.clock.advance(week)
	assert.EqualValues(t, 1000, r.Charges()[0].AmountRefunded)
	assert.Equal(t, stripe.PaymentIntentStatusCanceled, r.get(pi.ID).Status)
}

func TestAnAuthorisationExpiresByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	held, other := r.authorized(), r.authorized()
	path := "/_sandbox/payment_intents/" + held.ID + "/expire"
	a := r.control("POST", path, "")
	require.Equal(t, 200, a.status, a.body)
	assert.Equal(t, map[string]any{"id": held.ID, "status": "canceled"}, a.json(t))

	_, err := r.capture(held.ID, 0)
	e := stripeError(t, err)
	assert.Equal(t, stripe.ErrorCodePaymentIntentUnexpectedState, e.Code)
	assert.Equal(t, 400, e.HTTPStatusCode)
	require.NotNil(t, e.PaymentIntent)
	assert.EqualValues(t, "automatic", e.PaymentIntent.CancellationReason)
	assert.Equal(t, r.clock.Now().Unix(), e.PaymentIntent.CanceledAt)
	ch := r.get(held.ID).LatestCharge
	assert.True(t, ch.Refunded)
	assert.False(t, ch.Captured)
	assert.EqualValues(t, 1000, ch.AmountRefunded)

	status, err := r.Expire(held.ID)
	require.ErrorIs(t, err, sandbox.ErrNoAuthorization)
	assert.Equal(t, "canceled", status)
	assert.Equal(t, 409, r.control("POST", path, "").status)
	_, err = r.Expire("pi_x")
	require.ErrorIs(t, err, sandbox.ErrNoSuchIntent)
	assert.Equal(t, 404, r.control("POST", "/_sandbox/payment_intents/pi_x/expire", "").status)
	_, err = r.Expire(r.inState(stripe.PaymentIntentStatusSucceeded).ID)
	require.ErrorIs(t, err, sandbox.ErrNoAuthorization)
	_, err = r.capture(other.ID, 0)
	require.NoError(t, err, "the other one holds")
}

func TestAShortAuthorisation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := payment("pm_sandbox_short_authorization")
	p.Confirm, p.CaptureMethod = new(true), new("manual")
	late, inTime := r.create(p), r.create(p)
	assert.Equal(t, r.clock.Now().Add(5*time.Second).Unix(), r.get(late.ID).LatestCharge.PaymentMethodDetails.Card.CaptureBefore)
	r.clock.advance(4 * time.Second)
	_, err := r.capture(inTime.ID, 0)
	require.NoError(t, err)
	r.clock.advance(time.Second)
	_, err = r.capture(late.ID, 0)
	assert.Equal(t, stripe.ErrorCodePaymentIntentUnexpectedState, stripeError(t, err).Code)
}

func TestTheChargeCanBeExpandedEverywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	expand := url.Values{"expand[]": {"latest_charge"}}
	create := confirmed("pm_card_visa")
	create.Set("capture_method", "manual")
	create.Set("expand[]", "latest_charge")
	expiry := float64(r.clock.Now().Add(week).Unix())

	check := func(a reply, before any, refunded float64) string {
		t.Helper()
		require.Equal(t, 200, a.status, a.body)
		ch, ok := a.json(t)["latest_charge"].(map[string]any)
		require.True(t, ok, "not expanded: %s", a.body)
		details, ok := ch["payment_method_details"].(map[string]any)
		require.True(t, ok)
		card, ok := details["card"].(map[string]any)
		require.True(t, ok)
		assert.Equal(t, before, card["capture_before"])
		assert.Equal(t, refunded, ch["amount_refunded"])
		assert.Equal(t, refunded == 1000, ch["refunded"])
		assert.Equal(t, false, ch["disputed"])
		id, ok := a.json(t)["id"].(string)
		require.True(t, ok)
		return "/v1/payment_intents/" + id
	}
	canceled := check(r.raw("POST", "/v1/payment_intents", create), expiry, 0)
	check(r.raw("GET", canceled+"?expand[]=latest_charge", nil), expiry, 0)
	check(r.raw("POST", canceled+"/cancel", expand), nil, 1000)

	p := payment("pm_card_visa")
	p.CaptureMethod = new("manual")
	captured := "/v1/payment_intents/" + r.create(p).ID
	check(r.raw("POST", captured+"/confirm", expand), expiry, 0)
	check(r.raw("POST", captured+"/capture", url.Values{"expand[]": {"latest_charge"}, "amount_to_capture": {"400"}}), nil, 600)
}
