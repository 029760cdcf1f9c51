package sandbox_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"millrace/internal/sandbox"
)

func TestTheCustomerConfirms(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{
		"pm_card_visa":                   "succeeded",
		"pm_card_chargeDeclined":         "requires_payment_method",
		"pm_card_threeDSecure2Required":  "requires_action",
		"pm_sandbox_processing_succeeds": "processing",
	} {
		for _, attached := range []bool{true, false} {
			t.Run(method, func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				p := payment(method)
				p.AutomaticPaymentMethods = nil // redirects are allowed, and Stripe.js brings no return_url
				given := ""
				if !attached {
					p.PaymentMethod, given = nil, method
				}
				pi := r.create(p)
				status, err := r.ConfirmAsCustomer(pi.ID, pi.ClientSecret, given)
				require.NoError(t, err)
				assert.Equal(t, want, status)
				got := r.get(pi.ID)
				assert.EqualValues(t, want, got.Status)
				assert.Equal(t, method == "pm_card_chargeDeclined", got.LastPaymentError != nil)
				if want == "requires_action" {
					assert.EqualValues(t, "use_stripe_sdk", got.NextAction.Type)
				}
			})
		}
	}
}

func TestTheCustomerTriesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := payment("pm_card_threeDSecure2Required")
	p.Confirm, p.ReturnURL, p.CaptureMethod = new(true), new("https://app.example/back"), new("manual")
	pi := r.create(p)
	status, err := r.Authenticate(pi.ID, false)
	require.NoError(t, err)
	require.Equal(t, "requires_payment_method", status)

	_, err = r.ConfirmAsCustomer(pi.ID, pi.ClientSecret, "")
	require.ErrorIs(t, err, sandbox.ErrRefused, "the method that failed is gone")
	status, err = r.ConfirmAsCustomer(pi.ID, pi.ClientSecret, "pm_card_threeDSecure2Required")
	require.NoError(t, err)
	require.Equal(t, "requires_action", status)
	assert.EqualValues(t, "use_stripe_sdk", r.get(pi.ID).NextAction.Type, "the page shows it; nobody is sent away")
	status, err = r.Authenticate(pi.ID, true)
	require.NoError(t, err)
	assert.Equal(t, "requires_capture", status)
	assert.Nil(t, r.get(pi.ID).LastPaymentError)
	_, err = r.capture(pi.ID, 0)
	require.NoError(t, err)
	assert.Equal(t, 1, r.paid())
}

func TestTheCustomersRoute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.created("")
	path := "/_sandbox/payment_intents/" + pi.ID + "/confirm"
	secret := `"client_secret":"` + pi.ClientSecret + `"`

	assert.Equal(t, 400, r.control("POST", path, `{"clientsecret":"x"}`).status)
	assert.Equal(t, 400, r.control("POST", path, ``).status)
	assert.Equal(t, 403, r.control("POST", path, `{}`).status)
	assert.Equal(t, 403, r.control("POST", path, `{"client_secret":"`+pi.ID+`_secret_x","payment_method":"pm_card_visa"}`).status)
	assert.Equal(t, 404, r.control("POST", "/_sandbox/payment_intents/pi_x/confirm", `{`+secret+`}`).status)
	refused := r.control("POST", path, `{`+secret+`,"payment_method":"pm_x"}`)
	assert.Equal(t, 409, refused.status)
	assert.Contains(t, refused.body, "No such PaymentMethod")
	assert.Equal(t, stripe.PaymentIntentStatusRequiresPaymentMethod, r.get(pi.ID).Status)
	assert.Empty(t, r.Charges(), "nothing was attempted so far")

	a := r.control("POST", path, `{`+secret+`,"payment_method":"pm_card_visa"}`)
	assert.Equal(t, 200, a.status, a.body)
	assert.Equal(t, map[string]any{"id": pi.ID, "status": "succeeded"}, a.json(t))
	assert.Equal(t, 409, r.control("POST", path, `{`+secret+`}`).status, "once")
	assert.Equal(t, 1, r.paid())

	p := payment("pm_card_visa")
	p.AutomaticPaymentMethods, p.ConfirmationMethod = nil, new("manual")
	manual := r.create(p)
	status, err := r.ConfirmAsCustomer(manual.ID, manual.ClientSecret, "")
	require.ErrorIs(t, err, sandbox.ErrRefused, "only the server confirms this one")
	assert.Equal(t, "requires_confirmation", status)
}
