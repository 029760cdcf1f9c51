package stripepay_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/sandbox"
	"millrace/internal/stripepay"
)

type stripe struct {
	*sandbox.Stripe

	gateway *stripepay.Gateway
}

func newStripe(t *testing.T) stripe {
	t.Helper()
	box, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	gateway, err := stripepay.New(stripepay.Options{
		Key: "sk_test_x", BaseURL: server.URL, Timeout: 300 * time.Millisecond, Metrics: prometheus.NewRegistry(),
		// Go repeats keyed requests on a reused connection that was reset; a fresh
		// one each time shows the reset to us.
		Transport: &http.Transport{DisableKeepAlives: true},
	})
	require.NoError(t, err)
	return stripe{box, gateway}
}

func newPayment(method string) payment.Payment {
	return payment.New("alice", uuid.New(), payment.Request{
		Amount: 1999, Currency: "usd", PaymentMethod: method, CustomerEmail: "jo@example.com",
		Description: "Two tickets", Metadata: map[string]string{"order": "42"},
	}, time.Now())
}

// confirm makes and confirms an intent.
func (s stripe) confirm(t *testing.T, p payment.Payment) (payment.Intent, error) {
	t.Helper()
	intent, err := s.gateway.Create(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, payment.IntentRequiresConfirmation, intent.Status)
	p.IntentID = intent.ID
	return s.gateway.Confirm(t.Context(), p)
}

func (s stripe) paid() (n int) {
	for _, charge := range s.Charges() {
		if charge.Paid {
			n++
		}
	}
	return n
}

func TestConfirmCharges(t *testing.T) {
	t.Parallel()
	s := newStripe(t)
	p := newPayment("pm_card_visa")
	intent, err := s.confirm(t, p)
	require.NoError(t, err)
	require.Equal(t, payment.IntentSucceeded, intent.Status)
	require.EqualValues(t, 1999, intent.AmountReceived)
	require.Equal(t, "usd", intent.Currency)
	require.Len(t, s.Charges(), 1)
	require.Equal(t, p.ID.String(), s.Charges()[0].Metadata["payment_id"])
	require.Equal(t, "42", s.Charges()[0].Metadata["order"])
}

func TestEveryCallMayBeRepeated(t *testing.T) {
	t.Parallel()
	s := newStripe(t)
	p := newPayment("pm_card_visa")
	first, err := s.confirm(t, p)
	require.NoError(t, err)
	second, err := s.gateway.Create(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID, "one payment, one intent")
	p.IntentID = first.ID
	again, err := s.gateway.Confirm(t.Context(), p)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	again.Answer = first.Answer
	require.Equal(t, first, again)
	require.Equal(t, 1, s.paid())
}

func TestDeclinesAreFinalWithTheirReason(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]struct{ reason, code string }{
		"pm_card_visa_chargeDeclined":                  {"DECLINED", "generic_decline"},
		"pm_card_chargeDeclinedInsufficientFunds":      {"INSUFFICIENT_FUNDS", "insufficient_funds"},
		"pm_card_visa_chargeDeclinedInsufficientFunds": {"INSUFFICIENT_FUNDS", "insufficient_funds"},
		"pm_card_chargeDeclinedLostCard":               {"DECLINED", "lost_card"},
		"pm_card_chargeDeclinedStolenCard":             {"DECLINED", "stolen_card"},
		"pm_card_chargeDeclinedExpiredCard":            {"DECLINED", "expired_card"},
		"pm_card_chargeDeclinedIncorrectCvc":           {"DECLINED", "incorrect_cvc"},
		"pm_card_chargeDeclinedProcessingError":        {"DECLINED", "processing_error"},
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newStripe(t)
			p := newPayment(method)
			_, err := s.confirm(t, p)
			f := fault.From(err)
			require.Equal(t, fault.PaymentFailed, f.Code)
			require.Equal(t, want.reason, f.Details["reason"])
			require.Equal(t, want.code, f.Details["decline_code"])
			require.Zero(t, s.paid())
			for _, text := range []string{"Your card", "jo@example.com", "stripe"} {
				require.NotContains(t, f.Error(), text, "no vendor text, no personal data")
			}
			// The intent says the same when it is read later.
			intent, err := s.gateway.Create(t.Context(), p)
			require.NoError(t, err)
			found, err := s.gateway.Find(t.Context(), intent.ID)
			require.NoError(t, err)
			require.Equal(t, payment.IntentRequiresPaymentMethod, found.Status)
			require.Equal(t, f.Error(), found.Decline.Error())
		})
	}
}

func TestThreeDSecureRequiresAction(t *testing.T) {
	t.Parallel()
	s := newStripe(t)
	intent, err := s.confirm(t, newPayment("pm_card_threeDSecure2Required"))
	require.NoError(t, err)
	require.Equal(t, payment.IntentRequiresAction, intent.Status)
}

func TestRefusedRequestsAreFinal(t *testing.T) {
	t.Parallel()
	s := newStripe(t)
	small := newPayment("pm_card_visa")
	small.Amount = 1
	_, err := s.gateway.Create(t.Context(), small)
	require.Equal(t, "INVALID_AMOUNT", fault.From(err).Details["reason"])

	_, err = s.gateway.Create(t.Context(), newPayment("pm_no_such_method"))
	require.Equal(t, fault.PaymentFailed, fault.From(err).Code)
	require.Equal(t, "GATEWAY_ERROR", fault.From(err).Details["reason"])

	_, err = s.gateway.Find(t.Context(), "pi_unknown")
	require.Equal(t, fault.PaymentFailed, fault.From(err).Code)
}

func TestAWrongStateAsksToLookFirst(t *testing.T) {
	t.Parallel()
	s := newStripe(t)
	p := newPayment("pm_card_visa")
	intent, err := s.confirm(t, p)
	require.NoError(t, err)
	p.IntentID = intent.ID
	_, err = s.gateway.Capture(t.Context(), p)
	require.ErrorIs(t, err, payment.ErrUnexpectedState)
}

// Whatever the gateway does instead of answering, the outcome is unknown and
// the same call may be made again: then there is one charge.
func TestFaultsAreTransientAndRepeatable(t *testing.T) {
	t.Parallel()
	for kind, retryAfter := range map[sandbox.FaultKind]bool{
		sandbox.FaultTimeoutBefore: false, sandbox.FaultTimeoutAfter: false,
		sandbox.FaultResetBefore: false, sandbox.FaultResetAfter: false,
		sandbox.FaultHTTP500: false, sandbox.FaultHTTP503: false, sandbox.FaultHTML502: false,
		sandbox.FaultRateLimit: true, sandbox.FaultLockTimeout: true, sandbox.FaultConflict: true,
		sandbox.FaultTruncated200: false,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newStripe(t)
			p := newPayment("pm_card_visa")
			// Often enough that the SDK's own retry meets it too.
			require.NoError(t, s.Inject(sandbox.Fault{Kind: kind, Path: "confirm", Count: 2}))
			_, err := s.confirm(t, p)
			f := fault.From(err)
			require.Equal(t, fault.Unavailable, f.Code, err)
			require.Equal(t, retryAfter, f.RetryAfter > 0)
			require.NotEmpty(t, f.Cause())

			s.ClearFaults()
			intent, err := s.gateway.Create(t.Context(), p)
			require.NoError(t, err)
			p.IntentID = intent.ID
			intent, err = s.gateway.Confirm(t.Context(), p)
			if errors.Is(err, payment.ErrUnexpectedState) {
				intent, err = s.gateway.Find(t.Context(), p.IntentID)
			}
			require.NoError(t, err)
			require.Equal(t, payment.IntentSucceeded, intent.Status)
			require.Equal(t, 1, s.paid())
		})
	}
}

func TestAnInvalidKeyIsNotThePaymentsFault(t *testing.T) {
	t.Parallel()
	box, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	gateway, err := stripepay.New(stripepay.Options{Key: "nonsense", BaseURL: server.URL, Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	_, err = gateway.Create(t.Context(), newPayment("pm_card_visa"))
	f := fault.From(err)
	require.Equal(t, fault.Unavailable, f.Code)
	require.Positive(t, f.RetryAfter)

	_, err = stripepay.New(stripepay.Options{})
	require.Error(t, err)
}

func TestTheContextEndsACall(t *testing.T) {
	t.Parallel()
	s := newStripe(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.gateway.Create(ctx, newPayment("pm_card_visa"))
	require.ErrorIs(t, err, context.Canceled)
}
