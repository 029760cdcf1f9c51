package stripepay_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/sandbox"
	"millrace/internal/stripepay"
)

func pausing(pause time.Duration) func(*stripepay.Options) {
	return func(o *stripepay.Options) { o.Pause = pause }
}

func asked(box *sandbox.Stripe) (n int) {
	for _, request := range box.Requests() {
		n += request.Count
	}
	return n
}

// fail makes five payments at a time that must fail, for the SDK's retries take a while.
func fail(t *testing.T, gateway *stripepay.Gateway) {
	t.Helper()
	var group errgroup.Group
	for range 5 {
		group.Go(func() error {
			_, err := gateway.Create(t.Context(), newPayment("pm_card_visa"))
			return err
		})
	}
	require.Equal(t, fault.Unavailable, fault.From(group.Wait()).Code)
}

func TestAGatewayThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	t.Parallel()
	box, url := newSandbox(t)
	gateway := connect(t, url, pausing(time.Hour))
	require.NoError(t, box.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP503}))
	fail(t, gateway)
	require.Equal(t, 10, asked(box), "with one retry of the SDK each")
	for operation, call := range calls() {
		p := newPayment("pm_card_visa")
		p.IntentID = "pi_1"
		_, err := call(t.Context(), gateway, p)
		require.ErrorIs(t, err, payment.ErrNotAsked, operation)
		f := fault.From(err)
		require.Equal(t, fault.Unavailable, f.Code)
		require.Equal(t, fault.Details{"reason": "GATEWAY_ERROR"}, f.Details)
		require.GreaterOrEqual(t, f.RetryAfter, time.Hour)
		require.LessOrEqual(t, f.RetryAfter, time.Hour+time.Minute)
		requirePublic(t, f)
		var refusal *payment.Refusal
		require.NotErrorAs(t, err, &refusal, "nobody answered")
	}
	require.Equal(t, 10, asked(box))
}

func TestAGatewayThatAnswersAgainIsAskedAgain(t *testing.T) {
	t.Parallel()
	box, url := newSandbox(t)
	gateway := connect(t, url, pausing(20*time.Millisecond))
	require.NoError(t, box.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP503}))
	fail(t, gateway)
	box.ClearFaults()
	p := newPayment("pm_card_visa")
	require.Eventually(t, func() bool {
		_, err := gateway.Create(t.Context(), p)
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	for range 3 {
		_, err := gateway.Create(t.Context(), newPayment("pm_card_visa"))
		require.NoError(t, err)
	}
}

// What is no answer of Stripe's counts, whatever it is instead.
func TestWhatIsNoAnswerCountsAsDown(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.Handler{
		"500":               says(500, apiError, "", ""),
		"an HTML page":      writes(502, "<html></html>"),
		"half an answer":    writes(200, `{"id": "pi_1", "status": "succ`),
		"a reset":           reset(),
		"a proxy's refusal": writes(403, "<html></html>"),
		"silence":           hangs(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gateway := connect(t, answering(t, answer), within(200*time.Millisecond), pausing(time.Hour))
			fail(t, gateway)
			_, err := gateway.Create(t.Context(), newPayment("pm_card_visa"))
			require.ErrorIs(t, err, payment.ErrNotAsked)
		})
	}
}

func TestRefusalsAreAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.Handler{
		"a decline":          says(402, "card_error", "card_declined", "generic_decline"),
		"a bank that is out": says(402, "card_error", "card_declined", "issuer_not_available"),
		"too many requests":  says(429, invalidRequest, "rate_limit", ""),
		"a lock":             says(429, invalidRequest, "lock_timeout", ""),
		"a key in use":       says(409, idempotency, "idempotency_key_in_use", ""),
		"an invalid key":     says(401, invalidRequest, "", ""),
		"a forbidden one":    says(403, invalidRequest, "", ""),
		"a wrong request":    says(400, invalidRequest, "parameter_unknown", ""),
		"another state":      says(400, invalidRequest, "payment_intent_unexpected_state", ""),
		"nothing there":      says(404, invalidRequest, "resource_missing", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var served atomic.Int32
			gateway := connect(t, answering(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				answer.ServeHTTP(w, r)
			})), pausing(time.Hour))
			var group errgroup.Group
			for range 25 {
				group.Go(func() error {
					_, err := gateway.Create(t.Context(), newPayment("pm_card_visa"))
					return err
				})
			}
			require.Error(t, group.Wait())
			before := served.Load()
			_, err := gateway.Create(t.Context(), newPayment("pm_card_visa"))
			require.NotErrorIs(t, err, payment.ErrNotAsked)
			require.Greater(t, served.Load(), before)
		})
	}
}

// A worker that is stopped gives up its calls: that is no sign of Stripe's.
func TestWhoGivesUpSaysNothingOfTheGateway(t *testing.T) {
	t.Parallel()
	_, url := newSandbox(t)
	metrics := prometheus.NewRegistry()
	gateway := connect(t, url, pausing(time.Hour), func(o *stripepay.Options) { o.Metrics = metrics })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 25 {
		_, err := gateway.Create(ctx, newPayment("pm_card_visa"))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, fault.Unavailable, fault.From(err).Code)
	}
	_, err := gateway.Create(t.Context(), newPayment("pm_card_visa"))
	require.NoError(t, err)

	families, err := metrics.Gather()
	require.NoError(t, err)
	calls := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "millrace_provider_calls_total" {
			for _, metric := range family.GetMetric() { // labels are sorted: operation, outcome, provider
				calls[metric.GetLabel()[1].GetValue()] += metric.GetCounter().GetValue()
			}
		}
	}
	require.InDelta(t, 1, calls["ok"], 0)
	require.InDelta(t, 0, calls["down"], 0, "nor to whoever looks at the metrics")
}
