package stripepay_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/payment"
	"millrace/internal/sandbox"
	"millrace/internal/stripepay"
)

// till is a sandbox, and the gateway to it.
type till struct {
	*sandbox.Stripe
	*stripepay.Gateway

	t   *testing.T
	url string
}

func newTill(t *testing.T) till {
	t.Helper()
	box, at := newSandbox(t)
	return till{box, connect(t, at), t, at}
}

// post asks the sandbox for what the gateway does not: what a shop's own server or
// its dashboard would. It returns the id of what was made.
func (s till) post(path string, form url.Values) (id string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
	require.NoError(s.t, err)
	request.Header.Set("Authorization", "Bearer sk_test_x")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(s.t, http.StatusOK, response.StatusCode)
	var made struct{ ID string }
	require.NoError(s.t, json.NewDecoder(response.Body).Decode(&made))
	return made.ID
}

// authorise makes an intent of 1999 usd that waits for its capture.
func (s till) authorise() payment.Payment {
	s.t.Helper()
	p := newPayment("")
	p.IntentID = s.post("/v1/payment_intents", url.Values{
		"amount": {"1999"}, "currency": {"usd"}, "payment_method": {"pm_card_visa"}, "confirm": {"true"}, "capture_method": {"manual"},
		"automatic_payment_methods[enabled]": {"true"}, "automatic_payment_methods[allow_redirects]": {"never"},
	})
	return p
}

func (s till) find(p payment.Payment) payment.Intent {
	s.t.Helper()
	intent, err := s.Find(s.t.Context(), p.IntentID)
	require.NoError(s.t, err)
	require.Equal(s.t, p.IntentID, intent.ID)
	return intent
}

// pay charges a payment method.
func (s till) pay(method string) payment.Payment {
	s.t.Helper()
	p := newPayment(method)
	intent, err := s.Create(s.t.Context(), p)
	require.NoError(s.t, err)
	p.IntentID = intent.ID
	intent, err = s.Confirm(s.t.Context(), p)
	require.NoError(s.t, err)
	require.Equal(s.t, payment.IntentSucceeded, intent.Status)
	return p
}

func TestAnIntentTellsWhatItWas(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	p := newPayment("pm_card_visa")
	intent, err := s.Create(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, payment.IntentRequiresConfirmation, intent.Status)
	require.EqualValues(t, 1999, intent.Amount)
	require.Zero(t, intent.AmountReceived)
	require.Equal(t, "usd", intent.Currency)
	require.WithinDuration(t, time.Now(), intent.CreatedAt, time.Minute)
	require.Regexp(t, "^"+intent.ID+"_secret_", intent.ClientSecret)
	require.Equal(t, http.StatusOK, intent.HTTPStatus)
	require.Equal(t, "requires_confirmation", intent.Code)
	require.Regexp(t, "^req_", intent.RequestID)
	require.False(t, intent.Replayed)
	require.False(t, intent.Lapsed)
	require.False(t, intent.Disputed)
	require.Zero(t, intent.CaptureBefore)
	require.Nil(t, intent.Decline)
}

// What a partial capture releases, Stripe books as refunded.
func TestWhatWasReleasedIsNotARefund(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	p := s.authorise()
	intent := s.find(p)
	require.Equal(t, payment.IntentRequiresCapture, intent.Status)
	require.WithinDuration(t, time.Now().Add(7*24*time.Hour), intent.CaptureBefore, time.Minute)
	require.Zero(t, intent.AmountReceived)
	require.Zero(t, intent.AmountRefunded)

	p.AmountToCapture = 500
	intent, err := s.Capture(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, payment.IntentSucceeded, intent.Status)
	require.EqualValues(t, 500, intent.AmountReceived)
	require.EqualValues(t, 1999, intent.Amount)
	require.EqualValues(t, 1499, s.Charges()[0].AmountRefunded, "Stripe's books")
	intent = s.find(p)
	require.Zero(t, intent.AmountRefunded)
	require.Zero(t, intent.CaptureBefore)

	s.post("/v1/refunds", url.Values{"payment_intent": {p.IntentID}, "amount": {"200"}})
	require.EqualValues(t, 200, s.find(p).AmountRefunded)
	s.post("/v1/refunds", url.Values{"payment_intent": {p.IntentID}})
	require.EqualValues(t, 500, s.find(p).AmountRefunded)
}

func TestARefundIsSeen(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	p := s.pay("pm_card_visa")
	require.Zero(t, s.find(p).AmountRefunded)
	s.post("/v1/refunds", url.Values{"payment_intent": {p.IntentID}, "amount": {"1"}})
	require.EqualValues(t, 1, s.find(p).AmountRefunded)
	s.post("/v1/refunds", url.Values{"payment_intent": {p.IntentID}})
	intent := s.find(p)
	require.EqualValues(t, 1999, intent.AmountRefunded)
	require.EqualValues(t, 1999, intent.AmountReceived)
	require.Equal(t, payment.IntentSucceeded, intent.Status)
}

func TestADisputeIsSeen(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	p := s.pay("pm_card_visa")
	require.False(t, s.find(p).Disputed)
	_, err := s.Dispute(s.Charges()[0].ID)
	require.NoError(t, err)
	require.True(t, s.find(p).Disputed)
}

func TestAnAuthorisationThatExpiredHasLapsed(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	p := s.authorise()
	_, err := s.Expire(p.IntentID)
	require.NoError(t, err)
	intent := s.find(p)
	require.Equal(t, payment.IntentCanceled, intent.Status)
	require.True(t, intent.Lapsed)
	require.Zero(t, intent.AmountRefunded)
	_, err = s.Capture(t.Context(), p)
	require.ErrorIs(t, err, payment.ErrUnexpectedState)
}

// Stripe has had more than one word for it.
func TestOnlyTimeLetsAnIntentLapse(t *testing.T) {
	t.Parallel()
	for reason, lapsed := range map[string]bool{
		"automatic": true, "expired": true, "abandoned": false, "requested_by_customer": false, "duplicate": false,
		"fraudulent": false, "failed_invoice": false, "void_invoice": false, "": false,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			at := answering(t, writes(http.StatusOK, `{"id": "pi_1", "status": "canceled", "cancellation_reason": "`+reason+`"}`))
			intent, err := connect(t, at).Find(t.Context(), "pi_1")
			require.NoError(t, err)
			require.Equal(t, payment.IntentCanceled, intent.Status)
			require.Equal(t, lapsed, intent.Lapsed)
		})
	}
}

func TestACancelledIntentCannotBePaid(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	p := newPayment("pm_card_threeDSecure2Required")
	intent, err := s.Create(t.Context(), p)
	require.NoError(t, err)
	p.IntentID = intent.ID
	_, err = s.Confirm(t.Context(), p)
	require.NoError(t, err)
	intent, err = s.Cancel(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, payment.IntentCanceled, intent.Status)
	require.False(t, intent.Lapsed)
	_, err = s.Authenticate(p.IntentID, true)
	require.ErrorIs(t, err, sandbox.ErrNoChallenge)
	require.False(t, s.find(p).Lapsed)
	intent, err = s.Cancel(t.Context(), p)
	require.NoError(t, err)
	require.True(t, intent.Replayed)

	paid := s.pay("pm_card_visa")
	_, err = s.Cancel(t.Context(), paid)
	require.ErrorIs(t, err, payment.ErrUnexpectedState)
	authorised := s.authorise()
	_, err = s.Cancel(t.Context(), authorised)
	require.NoError(t, err)
}
