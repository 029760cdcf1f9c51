package sandbox_test

import (
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

// refund gives back amount of an intent, or all that is left when it is 0.
func (r *rig) refund(intentID string, amount int64) *stripe.Refund {
	r.t.Helper()
	re, err := r.tryRefund(intentID, amount)
	require.NoError(r.t, err)
	return re
}

func (r *rig) tryRefund(intentID string, amount int64) (*stripe.Refund, error) {
	p := &stripe.RefundParams{PaymentIntent: new(intentID)}
	if amount != 0 {
		p.Amount = new(amount)
	}
	return r.api.Refunds.New(p)
}

func TestRefund(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.inState(stripe.PaymentIntentStatusSucceeded)
	p := &stripe.RefundParams{
		Charge: new(pi.LatestCharge.ID), Amount: stripe.Int64(300), Reason: new("requested_by_customer"),
	}
	p.AddMetadata("why", "late")
	p.AddExpand("charge")
	p.AddExpand("payment_intent")
	re, err := r.api.Refunds.New(p)
	require.NoError(t, err)
	assert.Equal(t, "refund", re.Object)
	assert.EqualValues(t, 300, re.Amount)
	assert.Equal(t, stripe.CurrencyUSD, re.Currency)
	assert.Equal(t, stripe.RefundStatusSucceeded, re.Status)
	assert.Equal(t, stripe.RefundReasonRequestedByCustomer, re.Reason)
	assert.Equal(t, map[string]string{"why": "late"}, re.Metadata)
	assert.Equal(t, r.clock.Now().Unix(), re.Created)
	assert.EqualValues(t, 300, re.Charge.AmountRefunded, "the expanded charge is the refunded one")
	assert.False(t, re.Charge.Refunded)
	assert.Equal(t, pi.ID, re.PaymentIntent.ID)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, re.PaymentIntent.Status)

	got, err := r.api.Refunds.Get(re.ID, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 300, got.Amount)
	assert.Equal(t, pi.LatestCharge.ID, got.Charge.ID)
	assert.Equal(t, pi.ID, got.PaymentIntent.ID)
	_, err = r.api.Refunds.Get("re_x", nil)
	assert.Equal(t, 404, stripeError(t, err).HTTPStatusCode)
}

func TestRefundsAddUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		captured, released int64
	}{"captured whole": {1000, 0}, "captured in part": {400, 600}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.authorized().ID
			_, err := r.capture(id, tc.captured)
			require.NoError(t, err)
			charge := func() *stripe.Charge { return r.get(id).LatestCharge }
			assert.Equal(t, tc.released, charge().AmountRefunded)
			assert.False(t, charge().Refunded)

			r.refund(id, 100)
			assert.Equal(t, tc.released+100, charge().AmountRefunded)
			assert.False(t, charge().Refunded)
			assert.False(t, r.Charges()[0].Refunded)

			_, err = r.tryRefund(id, tc.captured-99)
			e := stripeError(t, err)
			assert.Equal(t, 400, e.HTTPStatusCode)
			assert.Equal(t, "amount", e.Param)
			assert.Contains(t, e.Msg, "is greater than unrefunded amount on charge")
			assert.Equal(t, tc.released+100, charge().AmountRefunded, "a refused refund changes nothing")

			assert.Equal(t, tc.captured-100, r.refund(id, 0).Amount, "the rest")
			assert.EqualValues(t, 1000, charge().AmountRefunded)
			assert.True(t, charge().Refunded)
			assert.True(t, r.Charges()[0].Refunded)
			_, err = r.tryRefund(id, 1)
			e = stripeError(t, err)
			assert.Equal(t, stripe.ErrorCodeChargeAlreadyRefunded, e.Code)
			assert.Equal(t, 400, e.HTTPStatusCode)
		})
	}
}

func TestWhatCannotBeRefunded(t *testing.T) {
	t.Parallel()
	for status, message := range map[stripe.PaymentIntentStatus]string{
		stripe.PaymentIntentStatusRequiresPaymentMethod: "does not have a successful charge to refund",
		stripe.PaymentIntentStatusProcessing:            "does not have a successful charge to refund",
		stripe.PaymentIntentStatusCanceled:              "does not have a successful charge to refund",
		stripe.PaymentIntentStatusRequiresCapture:       "You must cancel the PaymentIntent",
	} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			pi := r.inState(status)
			before := r.Charges()
			_, err := r.tryRefund(pi.ID, 0)
			assert.Contains(t, stripeError(t, err).Msg, message)
			if pi.LatestCharge != nil {
				_, err = r.api.Refunds.New(&stripe.RefundParams{Charge: new(pi.LatestCharge.ID)})
				assert.Contains(t, stripeError(t, err).Msg, message)
			}
			assert.Equal(t, before, r.Charges())
		})
	}
	r := newRig(t)
	pi := r.created("pm_card_chargeDeclined")
	_, err := r.confirm(pi.ID, "")
	_, err = r.api.Refunds.New(&stripe.RefundParams{Charge: new(stripeError(t, err).ChargeID)})
	assert.Contains(t, stripeError(t, err).Msg, "does not have a successful charge to refund")
}

func TestRefundParameters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.inState(stripe.PaymentIntentStatusSucceeded)
	for name, tc := range map[string]struct {
		form   url.Values
		status int
		param  any
	}{
		"neither":     {url.Values{"amount": {"1"}}, 400, nil},
		"both":        {url.Values{"charge": {pi.LatestCharge.ID}, "payment_intent": {pi.ID}}, 400, "charge"},
		"zero":        {url.Values{"payment_intent": {pi.ID}, "amount": {"0"}}, 400, "amount"},
		"fraction":    {url.Values{"payment_intent": {pi.ID}, "amount": {"1.5"}}, 400, "amount"},
		"reason":      {url.Values{"payment_intent": {pi.ID}, "reason": {"boredom"}}, 400, "reason"},
		"metadata":    {url.Values{"payment_intent": {pi.ID}, "metadata": {"x"}}, 400, "metadata"},
		"expand":      {url.Values{"payment_intent": {pi.ID}, "expand[]": {"customer"}}, 400, "expand"},
		"unknown":     {url.Values{"payment_intent": {pi.ID}, "amonut": {"1"}}, 400, "amonut"},
		"unsupported": {url.Values{"payment_intent": {pi.ID}, "reverse_transfer": {"true"}}, 400, "reverse_transfer"},
		"no charge":   {url.Values{"charge": {"ch_x"}}, 404, "id"},
		"no intent":   {url.Values{"payment_intent": {"pi_x"}}, 404, "payment_intent"},
	} {
		a := r.raw("POST", "/v1/refunds", tc.form)
		assert.Equal(t, tc.status, a.status, name)
		assert.Equal(t, tc.param, a.errorField(t, "param"), name)
	}
	assert.Zero(t, r.Charges()[0].AmountRefunded)

	// UGX is sent with two decimals that must be 00.
	p := payment("pm_card_visa")
	p.Confirm, p.Currency, p.Amount = new(true), new("ugx"), stripe.Int64(500_000)
	_, err := r.tryRefund(r.create(p).ID, 150)
	assert.Contains(t, stripeError(t, err).Msg, "divisible by 100")
}

func TestARefundIsMadeOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.inState(stripe.PaymentIntentStatusSucceeded)
	form := url.Values{"payment_intent": {pi.ID}, "amount": {"400"}}
	first := r.raw("POST", "/v1/refunds", form, "Idempotency-Key", "once")
	require.Equal(t, 200, first.status)
	again := r.raw("POST", "/v1/refunds", form, "Idempotency-Key", "once")
	assert.Equal(t, first.body, again.body)
	assert.EqualValues(t, 400, r.Charges()[0].AmountRefunded)
}

func TestListsOfRefunds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one, two := r.inState(stripe.PaymentIntentStatusSucceeded), r.inState(stripe.PaymentIntentStatusSucceeded)
	var ids []string // newest first
	for _, id := range []string{one.ID, one.ID, two.ID} {
		ids = append([]string{r.refund(id, 100).ID}, ids...)
		r.clock.advance(time.Second)
	}
	list := func(p *stripe.RefundListParams) (got []string) {
		p.AddExpand("data.charge")
		it := r.api.Refunds.List(p)
		for it.Next() {
			got = append(got, it.Refund().ID)
			assert.True(t, it.Refund().Charge.Paid)
		}
		require.NoError(t, it.Err())
		return got
	}
	all := &stripe.RefundListParams{}
	all.Limit = stripe.Int64(2)
	assert.Equal(t, ids, list(all))
	assert.Equal(t, ids[1:], list(&stripe.RefundListParams{PaymentIntent: new(one.ID)}))
	assert.Equal(t, ids[:1], list(&stripe.RefundListParams{Charge: new(two.LatestCharge.ID)}))
	assert.Equal(t, ids[:1], list(&stripe.RefundListParams{CreatedRange: &stripe.RangeQueryParams{
		GreaterThanOrEqual: r.clock.Now().Unix() - 1,
	}}))
	assert.Equal(t, 400, r.raw("GET", "/v1/refunds?starting_after=re_x", nil).status)
	assert.Equal(t, 400, r.raw("GET", "/v1/refunds?x=1", nil).status)
}

func TestRefundsAndDisputesOutliveRestarts(t *testing.T) {
	t.Parallel()
	path, c := filepath.Join(t.TempDir(), "stripe.jsonl"), newClock()
	r := restart(t, path, c)
	in := r.listen(nil)
	refunded, disputed := r.inState(stripe.PaymentIntentStatusSucceeded), r.inState(stripe.PaymentIntentStatusSucceeded)
	r.refund(refunded.ID, 300)
	r.refund(refunded.ID, 200)
	r.dispute(disputed.ID)
	in.of("charge.dispute.created")
	refunds := r.raw("GET", "/v1/refunds", nil).body
	charges := r.Charges()
	journal := contentOf(t, path)
	assert.NotContains(t, string(journal), "evt_", "events are not journaled")

	for range 2 {
		r = restart(t, path, c)
		assert.Equal(t, refunds, r.raw("GET", "/v1/refunds", nil).body)
		assert.Empty(t, cmp.Diff(charges, r.Charges()))
		_, err := r.tryRefund(disputed.ID, 0)
		assert.Equal(t, stripe.ErrorCodeChargeDisputed, stripeError(t, err).Code)
	}
	assert.EqualValues(t, 500, r.refund(refunded.ID, 0).Amount)
	in = r.listen(nil)
	_, err := r.api.PaymentIntents.Update(disputed.ID, &stripe.PaymentIntentParams{Description: new("x")})
	require.NoError(t, err)
	assert.Empty(t, r.Events(), "what the journal told is no news")
	assert.Empty(t, in.parcels())
}
