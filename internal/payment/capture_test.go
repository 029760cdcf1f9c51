package payment_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/sandbox"
	"millrace/internal/stripepay"
)

// till is a capturer over a real gateway, and the sandbox behind it.
type till struct {
	ledger
	payment.Capturer

	box *sandbox.Stripe
}

func newTill(t *testing.T) *till {
	t.Helper()
	box, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	gateway, err := stripepay.New(stripepay.Options{Key: "sk_test_x", BaseURL: server.URL, Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	l := newLedger(t)
	return &till{l, payment.Capturer{DB: l.worker, Gateway: gateway, Now: time.Now}, box}
}

// capture does what a job does.
func (l *till) capture(p payment.Payment) (payment.Payment, error) {
	l.t.Helper()
	o, err := l.Capture(l.t.Context(), p.Tenant, p.ID)
	return l.settle(p, o), err
}

// interrupted does something else once an intent was made.
type interrupted struct {
	payment.Gateway

	by func()
}

func (i interrupted) Create(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	defer i.by()
	return i.Gateway.Create(ctx, p)
}

// The reconciler may give a payment up while a retried job takes it up.
func TestAPaymentThatEndedMeanwhileIsNotCharged(t *testing.T) {
	t.Parallel()
	l := newTill(t)
	p := l.accept("alice", charge(nil))
	l.Gateway = interrupted{l.Gateway, func() {
		l.settle(p, payment.Outcome{Status: payment.Failed, Failure: fault.New(fault.PaymentFailed, "Given up.")})
	}}
	got, err := l.capture(p)
	require.Error(t, err)
	require.Empty(t, l.box.Charges())
	require.Equal(t, payment.Failed, got.Status)
	got, err = l.capture(p)
	require.NoError(t, err, "the next attempt reports how it ended")
	require.Equal(t, payment.Failed, got.Status)
	require.Empty(t, l.box.Charges())
}

// A look that fails takes nothing from the customer, who may be authenticating.
func TestTheCustomerKeepsTheSecretWhileTheGatewayIsOut(t *testing.T) {
	t.Parallel()
	l := newTill(t)
	p := l.accept("alice", charge(func(r *payment.Request) { r.PaymentMethod = "pm_card_threeDSecure2Required" }))
	got, err := l.capture(p)
	require.Equal(t, "ACTION_REQUIRED", fault.From(err).Details["reason"])
	secret := got.ClientSecret
	require.Regexp(t, "^"+got.IntentID+"_secret_", secret)

	require.NoError(t, l.box.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP503}))
	got, err = l.capture(p)
	require.Equal(t, fault.Unavailable, fault.From(err).Code)
	require.Equal(t, payment.RequiresAction, got.Status)
	require.Equal(t, secret, got.ClientSecret)

	l.box.ClearFaults()
	_, err = l.box.Authenticate(got.IntentID, true)
	require.NoError(t, err)
	got, err = l.capture(p)
	require.NoError(t, err)
	require.Equal(t, payment.Captured, got.Status)
	require.Empty(t, got.ClientSecret)
}

// The secret that the browser got may pay until the intent ends, also after the
// payment went on to be processed.
func TestAPaymentThatFailsAfterItsSecretWasGivenIsClosed(t *testing.T) {
	t.Parallel()
	l := newTill(t)
	p := l.accept("alice", charge(func(r *payment.Request) { r.PaymentMethod = "pm_card_threeDSecure2Required" }))
	got, err := l.capture(p)
	require.Error(t, err)
	secret := got.ClientSecret
	// The bank takes its time, and then declines.
	got = l.settle(got, payment.Outcome{Status: payment.Processing, IntentID: got.IntentID})
	require.Empty(t, got.ClientSecret)
	_, err = l.box.Authenticate(got.IntentID, false)
	require.NoError(t, err)
	got, err = l.capture(got)
	require.NoError(t, err)
	require.Equal(t, payment.Failed, got.Status)
	_, err = l.box.ConfirmAsCustomer(got.IntentID, secret, "pm_card_visa")
	require.Error(t, err, "nobody can pay for what has failed")
	require.Empty(t, l.box.Charges())
}
