package sandbox_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"millrace/internal/sandbox"
)

// dispute lets the customer dispute an intent's charge.
func (r *rig) dispute(intentID string) {
	r.t.Helper()
	_, err := r.Dispute(r.get(intentID).LatestCharge.ID)
	require.NoError(r.t, err)
}

func TestDisputedCards(t *testing.T) {
	t.Parallel()
	for method, tc := range map[string]struct {
		reason, status string
		events         int
		refundable     bool
	}{
		"pm_card_createDispute":                   {"fraudulent", "needs_response", 1, false},
		"pm_card_createDisputeProductNotReceived": {"product_not_received", "needs_response", 1, false},
		"pm_card_createDisputeInquiry":            {"fraudulent", "warning_needs_response", 1, true},
		"pm_card_createMultipleDisputes":          {"fraudulent", "needs_response", 2, false},
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			in := r.listen(nil)
			p := payment(method)
			p.Confirm, p.CaptureMethod = new(true), new("manual")
			p.AddExpand("latest_charge")
			pi := r.create(p)
			assert.False(t, r.get(pi.ID).LatestCharge.Disputed, "no money has moved")

			c := &stripe.PaymentIntentCaptureParams{}
			c.AddExpand("latest_charge")
			pi, err := r.api.PaymentIntents.Capture(pi.ID, c)
			require.NoError(t, err)
			assert.False(t, pi.LatestCharge.Disputed, "the dispute comes after the answer")
			assert.True(t, r.get(pi.ID).LatestCharge.Disputed)
			assert.True(t, r.Charges()[0].Disputed)

			n := 0
			for _, p := range in.await(5 + tc.events) {
				if p.event.Type != stripe.EventTypeChargeDisputeCreated {
					continue
				}
				n++
				object := p.event.Data.Object
				assert.Equal(t, tc.reason, object["reason"])
				assert.Equal(t, tc.status, object["status"])
				assert.Equal(t, tc.refundable, object["is_charge_refundable"])
			}
			assert.Equal(t, tc.events, n)

			_, err = r.tryRefund(pi.ID, 0)
			if tc.refundable {
				require.NoError(t, err)
				return
			}
			assert.Equal(t, stripe.ErrorCodeChargeDisputed, stripeError(t, err).Code)
			assert.Zero(t, r.Charges()[0].AmountRefunded)
		})
	}
}

func TestDisputesByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	paid := r.inState(stripe.PaymentIntentStatusSucceeded).LatestCharge.ID
	a := r.control("POST", "/_sandbox/charges/"+paid+"/dispute", "")
	require.Equal(t, 200, a.status, a.body)
	assert.Equal(t, paid, a.json(t)["id"])
	assert.Regexp(t, "^du_", a.json(t)["dispute"])
	ch, err := r.api.Charges.Get(paid, nil)
	require.NoError(t, err)
	assert.True(t, ch.Disputed)

	_, err = r.Dispute(paid)
	require.ErrorIs(t, err, sandbox.ErrNotDisputable)
	assert.Equal(t, 409, r.control("POST", "/_sandbox/charges/"+paid+"/dispute", "").status)
	_, err = r.Dispute("ch_x")
	require.ErrorIs(t, err, sandbox.ErrNoSuchCharge)
	assert.Equal(t, 404, r.control("POST", "/_sandbox/charges/ch_x/dispute", "").status)
	_, err = r.Dispute(r.authorized().LatestCharge.ID)
	require.ErrorIs(t, err, sandbox.ErrNotDisputable)

	settling := r.inState(stripe.PaymentIntentStatusProcessing).LatestCharge.ID
	_, err = r.Dispute(settling)
	require.ErrorIs(t, err, sandbox.ErrNotDisputable)
	r.clock.advance(week)
	_, err = r.Dispute(settling)
	require.NoError(t, err, "time has settled it")
}
