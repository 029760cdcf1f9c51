package stripepay_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/sandbox"
	"millrace/internal/stripepay"
)

// notary notes the idempotency keys that pass through it.
type notary struct {
	mu   sync.Mutex
	keys []string
}

// RoundTrip implements http.RoundTripper.
func (n *notary) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.keys = append(n.keys, r.Header.Get("Idempotency-Key"))
	n.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// sent returns the keys since it was last called.
func (n *notary) sent() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	keys := n.keys
	n.keys = nil
	return keys
}

func witnessed(n *notary) func(*stripepay.Options) {
	return func(o *stripepay.Options) { o.Transport = n }
}

func TestAnOperationKeepsItsKey(t *testing.T) {
	t.Parallel()
	for operation, call := range calls() {
		t.Run(string(operation), func(t *testing.T) {
			t.Parallel()
			n := &notary{}
			gateway := connect(t, answering(t, writes(http.StatusOK, `{"id": "pi_1"}`)), witnessed(n))
			p := newPayment("pm_card_visa")
			p.IntentID = "pi_1"
			want := "millrace:" + p.ID.String() + ":" + string(operation)
			if operation == payment.OpRead {
				want = "" // it changes nothing
			}
			for range 2 {
				_, err := call(t.Context(), gateway, p)
				require.NoError(t, err)
				require.Equal(t, []string{want}, n.sent())
			}
			p.GatewayLog = payment.Log{{Operation: operation, HTTPStatus: http.StatusInternalServerError}}
			_, err := call(t.Context(), gateway, p)
			require.NoError(t, err)
			require.Equal(t, []string{want}, n.sent(), "nothing is known of that answer")

			for i, next := range []string{":2", ":3"} {
				p.GatewayLog = slices.Repeat(payment.Log{{Operation: operation, Spent: true}}, i+1)
				_, err = call(t.Context(), gateway, p)
				require.NoError(t, err)
				if operation == payment.OpRead {
					next = ""
				}
				require.Equal(t, []string{want + next}, n.sent())
			}
			for _, other := range payment.Operations() {
				if other != operation {
					p.GatewayLog = payment.Log{{Operation: other, Spent: true}}
					_, err = call(t.Context(), gateway, p)
					require.NoError(t, err)
					require.Equal(t, []string{want}, n.sent(), "it is %s whose key is spent", other)
				}
			}
			another := newPayment("pm_card_visa")
			another.IntentID = "pi_1"
			_, err = call(t.Context(), gateway, another)
			require.NoError(t, err)
			require.Equal(t, operation == payment.OpRead, n.sent()[0] == want, "every payment has its own")
		})
	}
}

func TestTheSDKsRetryHasTheSameKey(t *testing.T) {
	t.Parallel()
	box, url := newSandbox(t)
	require.NoError(t, box.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP503, Count: 1}))
	n := &notary{}
	p := newPayment("pm_card_visa")
	_, err := connect(t, url, witnessed(n)).Create(t.Context(), p)
	require.NoError(t, err)
	key := "millrace:" + p.ID.String() + ":create"
	require.Equal(t, []string{key, key}, n.sent())
}

// An error that Stripe keeps is left behind with the next key, and what that one
// did is not done again.
func TestTheNextKeyGetsOn(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	p := newPayment("pm_card_visa")
	intent, err := s.Create(t.Context(), p)
	require.NoError(t, err)
	p.IntentID = intent.ID
	require.NoError(t, s.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "confirm", Count: 1, Stored: true}))
	for _, replayed := range []bool{false, true, true} {
		_, err = s.Confirm(t.Context(), p)
		f := fault.From(err)
		require.Equal(t, fault.Unavailable, f.Code)
		var refusal *payment.Refusal
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, replayed, refusal.Replayed)
		require.Equal(t, http.StatusInternalServerError, refusal.HTTPStatus)
	}
	p.GatewayLog = payment.Log{{Operation: payment.OpConfirm, Spent: true}}
	for _, replayed := range []bool{false, true} {
		intent, err = s.Confirm(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, payment.IntentSucceeded, intent.Status)
		require.Equal(t, replayed, intent.Replayed)
	}
	require.Equal(t, 1, s.ChargesByPayment()[p.ID.String()].Paid)
}

// The same card may be tried again only with another key: with the old one the
// bank is not asked.
func TestTheNextKeyAsksTheBankAgain(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	p := newPayment("pm_sandbox_decline_try_again_later")
	intent, err := s.Create(t.Context(), p)
	require.NoError(t, err)
	p.IntentID = intent.ID
	for spent, tried := range []int{1, 2, 3} {
		p.GatewayLog = slices.Repeat(payment.Log{{Operation: payment.OpConfirm, Spent: true}}, spent)
		for range 2 {
			_, err = s.Confirm(t.Context(), p)
			require.Equal(t, "DECLINED", fault.From(err).Details["reason"])
			require.Positive(t, fault.From(err).RetryAfter)
			require.Equal(t, tried, attempts(s.Stripe, p))
		}
	}
}
