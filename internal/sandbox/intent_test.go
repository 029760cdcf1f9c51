package sandbox_test

import (
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"millrace/internal/sandbox"
)

func TestCreateThenConfirm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := payment("")
	p.Description, p.ReceiptEmail = new("One visit"), new("ada@example.com")
	pi := r.create(p)

	assert.Equal(t, stripe.PaymentIntentStatusRequiresPaymentMethod, pi.Status)
	assert.Equal(t, "payment_intent", pi.Object)
	assert.EqualValues(t, 1000, pi.Amount)
	assert.Equal(t, stripe.CurrencyUSD, pi.Currency)
	assert.Equal(t, r.clock.Now().Unix(), pi.Created)
	assert.Equal(t, stripe.PaymentIntentCaptureMethodAutomatic, pi.CaptureMethod)
	assert.Equal(t, map[string]string{"payment_id": "pay_1"}, pi.Metadata)
	assert.Equal(t, "One visit", pi.Description)
	assert.Equal(t, "ada@example.com", pi.ReceiptEmail)
	assert.Contains(t, pi.ClientSecret, pi.ID+"_secret_")
	assert.False(t, pi.Livemode)
	assert.Nil(t, pi.LatestCharge)
	assert.Empty(t, r.Charges())

	c := &stripe.PaymentIntentConfirmParams{PaymentMethod: new("pm_card_mastercard")}
	c.SetIdempotencyKey("confirm-1")
	pi, err := r.api.PaymentIntents.Confirm(pi.ID, c)
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)
	assert.EqualValues(t, 1000, pi.AmountReceived)
	assert.Zero(t, pi.AmountCapturable)

	full, err := r.api.Charges.Get(pi.LatestCharge.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, pi.ID, full.PaymentIntent.ID)
	assert.True(t, full.Captured)
	assert.True(t, full.Paid)
	assert.EqualValues(t, 1000, full.AmountCaptured)
	assert.EqualValues(t, "mastercard", full.PaymentMethodDetails.Card.Brand)
	assert.Equal(t, "normal", full.Outcome.RiskLevel)

	want := []sandbox.Charge{{
		ID: full.ID, PaymentIntent: pi.ID, Amount: 1000, AmountCaptured: 1000, Currency: "usd", Status: "succeeded",
		Paid: true, Captured: true, PaymentMethod: "pm_card_mastercard", Metadata: map[string]string{"payment_id": "pay_1"},
		IdempotencyKey: "confirm-1", Created: r.clock.Now(),
	}}
	assert.Empty(t, cmp.Diff(want, r.Charges()))
}

func TestAbsentFieldsAreNull(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.created("")
	raw := r.raw("GET", "/v1/payment_intents/"+pi.ID, nil).json(t)
	for _, name := range []string{
		"canceled_at", "cancellation_reason", "customer", "description", "last_payment_error", "latest_charge", "next_action",
		"payment_method", "receipt_email",
	} {
		v, sent := raw[name]
		assert.True(t, sent, name)
		assert.Nil(t, v, name)
	}
	assert.Equal(t, false, raw["livemode"])
	assert.Equal(t, []any{"card"}, raw["payment_method_types"])
}

// inState makes an intent of each status.
func (r *rig) inState(status stripe.PaymentIntentStatus) *stripe.PaymentIntent {
	r.t.Helper()
	confirmed := func(method string) *stripe.PaymentIntent {
		p := payment(method)
		p.Confirm = new(true)
		return r.create(p)
	}
	var pi *stripe.PaymentIntent
	switch status {
	case stripe.PaymentIntentStatusRequiresPaymentMethod:
		pi = r.created("")
	case stripe.PaymentIntentStatusRequiresConfirmation:
		pi = r.created("pm_card_visa")
	case stripe.PaymentIntentStatusRequiresAction:
		pi = confirmed("pm_card_threeDSecure2Required")
	case stripe.PaymentIntentStatusProcessing:
		pi = confirmed("pm_sandbox_processing_succeeds")
	case stripe.PaymentIntentStatusRequiresCapture:
		pi = r.authorized()
	case stripe.PaymentIntentStatusSucceeded:
		pi = confirmed("pm_card_visa")
	case stripe.PaymentIntentStatusCanceled:
		var err error
		pi, err = r.api.PaymentIntents.Cancel(r.created("").ID, nil)
		require.NoError(r.t, err)
	}
	require.Equal(r.t, status, pi.Status)
	return pi
}

// TestEveryActionInEveryStatus walks the state machine of
// https://docs.stripe.com/payments/paymentintents/lifecycle: what is not allowed is refused with the intent in the
// error, and changes nothing.
func TestEveryActionInEveryStatus(t *testing.T) {
	t.Parallel()
	allowed := map[string][]string{
		"confirm": {"requires_payment_method", "requires_confirmation", "requires_action"},
		"capture": {"requires_capture"},
		"cancel":  {"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"},
		"amount":  {"requires_payment_method", "requires_confirmation", "requires_action"},
		"label":   sandbox.Statuses(),
	}
	act := map[string]func(r *rig, id string) (*stripe.PaymentIntent, error){
		"confirm": func(r *rig, id string) (*stripe.PaymentIntent, error) {
			return r.api.PaymentIntents.Confirm(id, &stripe.PaymentIntentConfirmParams{PaymentMethod: new("pm_card_visa")})
		},
		"capture": func(r *rig, id string) (*stripe.PaymentIntent, error) { return r.api.PaymentIntents.Capture(id, nil) },
		"cancel":  func(r *rig, id string) (*stripe.PaymentIntent, error) { return r.api.PaymentIntents.Cancel(id, nil) },
		"amount": func(r *rig, id string) (*stripe.PaymentIntent, error) {
			return r.api.PaymentIntents.Update(id, &stripe.PaymentIntentParams{Amount: stripe.Int64(2000)})
		},
		"label": func(r *rig, id string) (*stripe.PaymentIntent, error) {
			return r.api.PaymentIntents.Update(id, &stripe.PaymentIntentParams{Description: new("x")})
		},
	}
	for name, do := range act {
		for _, status := range sandbox.Statuses() {
			t.Run(name+" in "+status, func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				pi := r.inState(stripe.PaymentIntentStatus(status))
				before := r.raw("GET", "/v1/payment_intents/"+pi.ID, nil).body
				charges := r.Charges()

				_, err := do(r, pi.ID)
				if slices.Contains(allowed[name], status) {
					require.NoError(t, err)
					return
				}
				e := stripeError(t, err)
				assert.Equal(t, 400, e.HTTPStatusCode)
				assert.Equal(t, stripe.ErrorCodePaymentIntentUnexpectedState, e.Code)
				require.NotNil(t, e.PaymentIntent)
				assert.EqualValues(t, status, e.PaymentIntent.Status)
				assert.Equal(t, before, r.raw("GET", "/v1/payment_intents/"+pi.ID, nil).body)
				assert.Equal(t, charges, r.Charges())
			})
		}
	}
}

func TestEndStatusesAreFinal(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"succeeded", "canceled"} {
		for _, to := range sandbox.Statuses() {
			assert.False(t, sandbox.MayBecome(from, to), "%s to %s", from, to)
		}
	}
}

func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const id = "pi_nobody"
	for name, do := range map[string]func() error{
		"get":     func() error { _, err := r.api.PaymentIntents.Get(id, nil); return err },
		"update":  func() error { _, err := r.api.PaymentIntents.Update(id, nil); return err },
		"confirm": func() error { _, err := r.api.PaymentIntents.Confirm(id, nil); return err },
		"capture": func() error { _, err := r.api.PaymentIntents.Capture(id, nil); return err },
		"cancel":  func() error { _, err := r.api.PaymentIntents.Cancel(id, nil); return err },
		"charge":  func() error { _, err := r.api.Charges.Get(id, nil); return err },
	} {
		e := stripeError(t, do())
		assert.Equal(t, 404, e.HTTPStatusCode, name)
		assert.Equal(t, stripe.ErrorCodeResourceMissing, e.Code, name)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := payment("pm_card_visa_chargeDeclined")
	p.AddMetadata("dropped", "x")
	pi := r.create(p)
	_, err := r.confirm(pi.ID, "")
	require.Error(t, err)
	require.NotNil(t, r.get(pi.ID).LastPaymentError)

	u := &stripe.PaymentIntentParams{Amount: stripe.Int64(2500), PaymentMethod: new("pm_card_visa")}
	u.AddMetadata("dropped", "")
	u.AddMetadata("added", "y")
	pi, err = r.api.PaymentIntents.Update(pi.ID, u)
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusRequiresConfirmation, pi.Status)
	assert.EqualValues(t, 2500, pi.Amount)
	assert.Equal(t, map[string]string{"payment_id": "pay_1", "added": "y"}, pi.Metadata)
	assert.Nil(t, pi.LastPaymentError, "an update clears it")

	cleared := r.raw("POST", "/v1/payment_intents/"+pi.ID, url.Values{"metadata": {""}}).json(t)
	assert.Empty(t, cleared["metadata"])
}

func TestARefusedUpdateChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.inState(stripe.PaymentIntentStatusProcessing)
	r.clock.advance(time.Hour) // the settlement is committed by the request that is refused
	u := &stripe.PaymentIntentParams{Description: new("changed")}
	for i := range 60 {
		u.AddMetadata("k"+strconv.Itoa(i), "v")
	}
	_, err := r.api.PaymentIntents.Update(pi.ID, u)
	require.Error(t, err)
	u = &stripe.PaymentIntentParams{Description: new("changed")}
	for i := range 50 {
		u.AddMetadata("k"+strconv.Itoa(i), "v")
	}
	_, err = r.api.PaymentIntents.Update(pi.ID, u)
	require.Error(t, err, "50 and the one that is there")
	got := r.get(pi.ID)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, got.Status)
	assert.Empty(t, got.Description)
}

func TestChangingAChallengedIntentEndsTheChallenge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.inState(stripe.PaymentIntentStatusRequiresAction)
	pi, err := r.api.PaymentIntents.Update(pi.ID, &stripe.PaymentIntentParams{Amount: stripe.Int64(2000)})
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusRequiresConfirmation, pi.Status)
	assert.Nil(t, pi.NextAction)
	_, err = r.Authenticate(pi.ID, true)
	require.ErrorIs(t, err, sandbox.ErrNoChallenge)
}

func TestReturnURLIsAskedForUnlessRedirectsAreOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := payment("pm_card_visa")
	p.AutomaticPaymentMethods = nil // API version 2023-08-16: all of the Dashboard's
	pi := r.create(p)
	require.NotNil(t, pi.AutomaticPaymentMethods)
	assert.True(t, pi.AutomaticPaymentMethods.Enabled)

	_, err := r.confirm(pi.ID, "")
	e := stripeError(t, err)
	assert.Equal(t, 400, e.HTTPStatusCode)
	assert.Contains(t, e.Msg, "you must provide a `return_url`")
	assert.Equal(t, stripe.PaymentIntentStatusRequiresConfirmation, r.get(pi.ID).Status)

	pi, err = r.api.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{ReturnURL: new("https://app.example/back")})
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)

	p = payment("pm_card_visa")
	p.AutomaticPaymentMethods, p.Confirm = nil, new(true)
	_, err = r.api.PaymentIntents.New(p)
	assert.Contains(t, stripeError(t, err).Msg, "return_url")
	p.PaymentMethodTypes = stripe.StringSlice([]string{"card"})
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, r.create(p).Status)
}

func TestThreeDSecure(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method  string
		manual  bool
		passed  bool
		want    stripe.PaymentIntentStatus
		code    stripe.ErrorCode // of last_payment_error
		charges int
		paid    int
	}{
		"passed":               {"pm_card_threeDSecure2Required", false, true, "succeeded", "", 1, 1},
		"passed, manual":       {"pm_card_authenticationRequired", true, true, "requires_capture", "", 1, 1},
		"failed":               {"pm_card_threeDSecure2Required", false, false, "requires_payment_method", "payment_intent_authentication_failure", 0, 0},
		"passed, then no fund": {"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", false, true, "requires_payment_method", "card_declined", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			p := payment(tc.method)
			p.Confirm, p.ReturnURL = new(true), new("https://app.example/back")
			if tc.manual {
				p.CaptureMethod = new("manual")
			}
			pi := r.create(p)
			require.Equal(t, stripe.PaymentIntentStatusRequiresAction, pi.Status)
			require.NotNil(t, pi.NextAction.RedirectToURL)
			assert.Equal(t, "https://app.example/back", pi.NextAction.RedirectToURL.ReturnURL)
			assert.Contains(t, pi.NextAction.RedirectToURL.URL, r.url+"/_sandbox/payment_intents/"+pi.ID)

			status, err := r.Authenticate(pi.ID, tc.passed)
			require.NoError(t, err)
			assert.Equal(t, string(tc.want), status)
			pi = r.get(pi.ID)
			assert.Equal(t, tc.want, pi.Status)
			assert.Nil(t, pi.NextAction)
			if tc.code == "" {
				assert.Nil(t, pi.LastPaymentError)
				assert.EqualValues(t, "authenticated", pi.LatestCharge.PaymentMethodDetails.Card.ThreeDSecure.Result)
			} else {
				require.NotNil(t, pi.LastPaymentError)
				assert.Equal(t, tc.code, pi.LastPaymentError.Code)
			}
			assert.Len(t, r.Charges(), tc.charges)
			assert.Equal(t, tc.paid, r.paid())
		})
	}
}

func TestAuthenticationWithNobodyThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	attempt := func(method string, change func(p *stripe.PaymentIntentParams)) (*stripe.PaymentIntent, error) {
		p := payment(method)
		p.Confirm = new(true)
		change(p)
		return r.api.PaymentIntents.New(p)
	}
	offSession := func(p *stripe.PaymentIntentParams) { p.OffSession = new(true) }
	noAction := func(p *stripe.PaymentIntentParams) { p.ErrorOnRequiresAction = new(true) }

	_, err := attempt("pm_card_authenticationRequired", offSession)
	e := stripeError(t, err)
	assert.Equal(t, stripe.ErrorCodeAuthenticationRequired, e.Code)
	assert.Equal(t, stripe.DeclineCodeAuthenticationRequired, e.DeclineCode)
	assert.NotEmpty(t, e.ChargeID)

	_, err = attempt("pm_card_authenticationRequired", noAction)
	e = stripeError(t, err)
	assert.Equal(t, stripe.ErrorCodeAuthenticationRequired, e.Code)
	assert.EqualValues(t, "authentication_not_handled", e.DeclineCode)
	assert.Empty(t, e.ChargeID)

	pi, err := attempt("pm_card_authenticationRequiredSetupForOffSession", offSession)
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)

	pi, err = attempt("pm_card_threeDSecureOptional", func(p *stripe.PaymentIntentParams) {
		p.PaymentMethodOptions = &stripe.PaymentIntentPaymentMethodOptionsParams{
			Card: &stripe.PaymentIntentPaymentMethodOptionsCardParams{RequestThreeDSecure: new("any")},
		}
	})
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusRequiresAction, pi.Status)
	assert.Equal(t, 1, r.paid())
}

func TestProcessingSettlesByTheClock(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]stripe.PaymentIntentStatus{
		"pm_sandbox_processing_succeeds": stripe.PaymentIntentStatusSucceeded,
		"pm_sandbox_processing_fails":    stripe.PaymentIntentStatusRequiresPaymentMethod,
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			p := payment(method)
			p.Confirm = new(true)
			pi := r.create(p)
			r.clock.advance(19 * time.Second)
			assert.Equal(t, stripe.PaymentIntentStatusProcessing, r.get(pi.ID).Status)
			assert.Zero(t, r.paid())
			r.clock.advance(time.Second)
			pi = r.get(pi.ID)
			assert.Equal(t, want, pi.Status)
			require.Len(t, r.Charges(), 1)
			assert.Equal(t, want == stripe.PaymentIntentStatusSucceeded, r.Charges()[0].Paid)
			if want != stripe.PaymentIntentStatusSucceeded {
				assert.NotNil(t, pi.LastPaymentError)
			}
		})
	}
}
