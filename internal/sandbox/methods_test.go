package sandbox_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"millrace/internal/sandbox"
)

type expectation struct {
	code, declineCode string // "" when it is not declined
	param             string
	status            stripe.PaymentIntentStatus
	outcome           string // the charge's outcome type; "" when there is no charge
}

// documented is Stripe's testing page: the methods that do not simply succeed.
func documented() map[string]expectation {
	declined := func(code, declineCode, param string) expectation {
		return expectation{
			code: code, declineCode: declineCode, param: param,
			status: stripe.PaymentIntentStatusRequiresPaymentMethod, outcome: "issuer_declined",
		}
	}
	blocked := declined("card_declined", "fraudulent", "")
	blocked.outcome = "blocked"
	action := expectation{status: stripe.PaymentIntentStatusRequiresAction}

	table := map[string]expectation{
		"pm_card_radarBlock":         blocked,
		"pm_card_riskLevelHighest":   blocked,
		"pm_card_chargeCustomerFail": declined("card_declined", "generic_decline", ""),

		"pm_card_authenticationRequired":                                action,
		"pm_card_authenticationRequiredOnSetup":                         action,
		"pm_card_authenticationRequiredSetupForOffSession":              action,
		"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": action,
		"pm_card_threeDSecure2Required":                                 action,
		"pm_card_threeDSecureRequired":                                  action,
		"pm_card_threeDSecureRequiredChargeDeclined":                    action,
		"pm_card_threeDSecureRequiredProcessingError":                   declined("card_declined", "generic_decline", ""),
		"pm_sandbox_processing_succeeds":                                {status: stripe.PaymentIntentStatusProcessing},
		"pm_sandbox_processing_fails":                                   {status: stripe.PaymentIntentStatusProcessing},
		"pm_sandbox_decline_do_not_honor":                               declined("card_declined", "do_not_honor", ""),
		"pm_sandbox_decline_issuer_not_available":                       declined("card_declined", "issuer_not_available", ""),
		"pm_sandbox_decline_incorrect_number":                           declined("incorrect_number", "incorrect_number", "number"),
		"pm_sandbox_decline_authentication_required":                    declined("authentication_required", "authentication_required", ""),
		"pm_sandbox_decline_invalid_expiry_year":                        declined("invalid_expiry_year", "invalid_expiry_year", "exp_year"),
		"pm_sandbox_decline_withdrawal_count_limit_exceeded":            declined("card_declined", "withdrawal_count_limit_exceeded", ""),
		"pm_sandbox_decline_online_or_offline_pin_required":             declined("card_declined", "online_or_offline_pin_required", ""),
		"pm_sandbox_decline_revocation_of_all_authorizations":           declined("card_declined", "revocation_of_all_authorizations", ""),
		"pm_sandbox_decline_mobile_device_authentication_required":      declined("card_declined", "mobile_device_authentication_required", ""),
		"pm_sandbox_decline_new_account_information_available":          declined("card_declined", "new_account_information_available", ""),
		"pm_sandbox_decline_pickup_card":                                declined("card_declined", "pickup_card", ""),
		"pm_sandbox_decline_try_again_later":                            declined("card_declined", "try_again_later", ""),
		"pm_sandbox_decline_incorrect_zip":                              declined("incorrect_zip", "incorrect_zip", "address_zip"),
	}
	for suffix, want := range map[string]expectation{
		"chargeDeclined":                      declined("card_declined", "generic_decline", ""),
		"chargeDeclinedInsufficientFunds":     declined("card_declined", "insufficient_funds", ""),
		"chargeDeclinedLostCard":              declined("card_declined", "lost_card", ""),
		"chargeDeclinedStolenCard":            declined("card_declined", "stolen_card", ""),
		"chargeDeclinedExpiredCard":           declined("expired_card", "expired_card", "exp_month"),
		"chargeDeclinedIncorrectCvc":          declined("incorrect_cvc", "incorrect_cvc", "cvc"),
		"chargeDeclinedProcessingError":       declined("processing_error", "processing_error", ""),
		"chargeDeclinedVelocityLimitExceeded": declined("card_declined", "card_velocity_exceeded", ""),
		"chargeDeclinedFraudulent":            blocked,
	} {
		table["pm_card_"+suffix], table["pm_card_visa_"+suffix] = want, want
	}
	return table
}

func expectationOf(method string) expectation {
	if want, ok := documented()[method]; ok {
		return want
	}
	if code, ok := strings.CutPrefix(method, "pm_sandbox_decline_"); ok {
		return expectation{declineCode: code, status: stripe.PaymentIntentStatusRequiresPaymentMethod, outcome: "issuer_declined"}
	}
	return expectation{status: stripe.PaymentIntentStatusSucceeded, outcome: "authorized"}
}

func TestEveryTestPaymentMethod(t *testing.T) {
	t.Parallel()
	names := sandbox.MethodNames()
	for name := range documented() {
		assert.Contains(t, names, name)
	}
	for _, brand := range []string{
		"visa", "visa_debit", "mastercard", "mastercard_debit", "mastercard_prepaid", "amex", "discover", "diners", "jcb",
		"unionpay", "createDispute", "us", "de", "jp", "br",
	} {
		assert.Contains(t, names, "pm_card_"+brand)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkMethod(t, name, expectationOf(name))
		})
	}
}

func checkMethod(t *testing.T, name string, want expectation) {
	t.Helper()
	r := newRig(t)
	p := payment(name)
	p.Confirm = new(true)
	pi, err := r.api.PaymentIntents.New(p)

	if want.declineCode == "" {
		require.NoError(t, err)
	} else {
		e := stripeError(t, err)
		assert.Equal(t, 402, e.HTTPStatusCode)
		assert.Equal(t, stripe.ErrorTypeCard, e.Type)
		assert.Equal(t, want.declineCode, string(e.DeclineCode))
		if want.code != "" {
			assert.Equal(t, want.code, string(e.Code))
			assert.Equal(t, want.param, e.Param)
		}
		assert.NotEmpty(t, e.Msg)
		assert.NotEmpty(t, e.DocURL)
		assert.NotEmpty(t, e.RequestID)
		require.NotNil(t, e.PaymentMethod)
		require.NotNil(t, e.PaymentIntent)
		pi = e.PaymentIntent
		require.NotNil(t, pi.LastPaymentError)
		assert.Equal(t, e.Code, pi.LastPaymentError.Code)
		assert.Equal(t, e.ChargeID, pi.LastPaymentError.ChargeID)
		assert.Nil(t, pi.PaymentMethod, "a failed method is taken off the intent")
	}
	assert.Equal(t, want.status, pi.Status)
	assert.Equal(t, pi.Status, r.get(pi.ID).Status)

	charges := r.Charges()
	if want.status == stripe.PaymentIntentStatusRequiresAction {
		assert.Empty(t, charges)
		require.NotNil(t, pi.NextAction)
		assert.Equal(t, "use_stripe_sdk", string(pi.NextAction.Type))
		return
	}
	require.Len(t, charges, 1)
	ch := charges[0]
	if want.status == stripe.PaymentIntentStatusProcessing {
		assert.Equal(t, "pending", ch.Status)
		return
	}
	assert.Equal(t, pi.ID, ch.PaymentIntent)
	assert.Equal(t, name, ch.PaymentMethod)
	assert.Equal(t, "pay_1", ch.Metadata["payment_id"])
	assert.Equal(t, want.declineCode, ch.DeclineCode)

	full := r.get(pi.ID).LatestCharge
	require.NotNil(t, full)
	assert.Equal(t, ch.ID, full.ID)
	assert.Equal(t, want.outcome, full.Outcome.Type)
	if want.declineCode != "" {
		assert.False(t, ch.Paid)
		assert.Zero(t, ch.AmountCaptured)
		assert.NotEmpty(t, full.FailureCode)
		return
	}
	assert.True(t, ch.Paid)
	assert.True(t, ch.Captured)
	assert.EqualValues(t, 1000, ch.AmountCaptured)
	assert.EqualValues(t, 1000, pi.AmountReceived)
	assert.Empty(t, full.FailureCode)
}

func TestUnknownPaymentMethod(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.api.PaymentIntents.New(payment("pm_card_nobody"))
	e := stripeError(t, err)
	assert.Equal(t, 400, e.HTTPStatusCode)
	assert.Equal(t, stripe.ErrorCodeResourceMissing, e.Code)
	assert.Equal(t, "payment_method", e.Param)
	assert.Equal(t, "No such PaymentMethod: 'pm_card_nobody'", e.Msg)

	pi := r.created("pm_card_visa")
	_, err = r.api.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: new("pm_x")})
	assert.Equal(t, stripe.ErrorCodeResourceMissing, stripeError(t, err).Code)
	assert.Equal(t, pi.PaymentMethod.ID, r.get(pi.ID).PaymentMethod.ID, "a refused confirmation changes nothing")
}

func TestADeclinedIntentIsPaidByAnotherCard(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.created("pm_card_visa_chargeDeclinedInsufficientFunds")
	require.Equal(t, stripe.PaymentIntentStatusRequiresConfirmation, pi.Status)
	_, err := r.confirm(pi.ID, "")
	require.Equal(t, stripe.ErrorCodeCardDeclined, stripeError(t, err).Code)

	_, err = r.confirm(pi.ID, "")
	e := stripeError(t, err)
	assert.Equal(t, stripe.ErrorCodePaymentIntentUnexpectedState, e.Code, "the failed card is gone")
	assert.Equal(t, stripe.PaymentIntentStatusRequiresPaymentMethod, e.PaymentIntent.Status)

	paid, err := r.api.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: new("pm_card_visa")})
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, paid.Status)
	assert.Nil(t, paid.LastPaymentError)
	assert.Len(t, r.Charges(), 2)
	assert.Equal(t, 1, r.paid())
}

func TestEachUseMakesAPaymentMethod(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.created("pm_card_visa"), r.created("pm_card_visa")
	assert.NotEqual(t, a.PaymentMethod.ID, b.PaymentMethod.ID)
	assert.NotEqual(t, "pm_card_visa", a.PaymentMethod.ID)

	p := &stripe.PaymentIntentParams{}
	p.AddExpand("payment_method")
	full, err := r.api.PaymentIntents.Get(a.ID, p)
	require.NoError(t, err)
	assert.Equal(t, "4242", full.PaymentMethod.Card.Last4)

	again := r.created(a.PaymentMethod.ID)
	done, err := r.confirm(again.ID, "")
	require.NoError(t, err)
	assert.Equal(t, a.PaymentMethod.ID, done.PaymentMethod.ID)
	assert.Equal(t, "pm_card_visa", r.Charges()[0].PaymentMethod)
}
