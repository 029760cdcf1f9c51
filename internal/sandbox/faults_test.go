package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"millrace/internal/sandbox"
)

// faultOutcome is what a client sees of a fault on its confirmation, and what happened behind it.
type faultOutcome struct {
	fault   sandbox.Fault
	leave   bool // the client leaves when the fault has struck and, if it charges, the charge is made
	status  int  // of a *stripe.Error; 0: the error is no Stripe error
	code    stripe.ErrorCode
	charged bool
	repeat  int // status of the repetition
	retry   string
}

func faultOutcomes() map[string]faultOutcome {
	kind := func(k sandbox.FaultKind) sandbox.Fault { return sandbox.Fault{Kind: k} }
	return map[string]faultOutcome{
		"timeout_before": {fault: kind(sandbox.FaultTimeoutBefore), leave: true, repeat: 200},
		"timeout_after":  {fault: kind(sandbox.FaultTimeoutAfter), leave: true, charged: true, repeat: 200},
		"reset_before":   {fault: kind(sandbox.FaultResetBefore), repeat: 200},
		"reset_after":    {fault: kind(sandbox.FaultResetAfter), charged: true, repeat: 200},
		"html_502":       {fault: kind(sandbox.FaultHTML502), repeat: 200},
		"html_502 charged": {
			fault: sandbox.Fault{Kind: sandbox.FaultHTML502, Charged: true}, charged: true, repeat: 200,
		},
		"truncated_200": {fault: kind(sandbox.FaultTruncated200), charged: true, repeat: 200},
		"http_500":      {fault: kind(sandbox.FaultHTTP500), status: 500, repeat: 200},
		"http_500 stored": {
			fault: sandbox.Fault{Kind: sandbox.FaultHTTP500, Stored: true}, status: 500, repeat: 500, retry: "false",
		},
		"http_500 charged": {
			fault: sandbox.Fault{Kind: sandbox.FaultHTTP500, Charged: true}, status: 500, charged: true, repeat: 200,
		},
		"http_500 charged stored": {
			fault:  sandbox.Fault{Kind: sandbox.FaultHTTP500, Charged: true, Stored: true},
			status: 500, charged: true, repeat: 500, retry: "false",
		},
		"http_503":         {fault: kind(sandbox.FaultHTTP503), status: 503, repeat: 200},
		"http_503 charged": {fault: sandbox.Fault{Kind: sandbox.FaultHTTP503, Charged: true}, status: 503, charged: true, repeat: 200},
		"rate_limit":       {fault: kind(sandbox.FaultRateLimit), status: 429, code: "rate_limit", repeat: 200},
		"lock_timeout":     {fault: kind(sandbox.FaultLockTimeout), status: 429, code: "lock_timeout", repeat: 200, retry: "true"},
		"conflict":         {fault: kind(sandbox.FaultConflict), status: 409, code: "idempotency_key_in_use", repeat: 200},
	}
}

// TestEveryFault confirms an intent through each kind of fault with stripe-go, says what the client sees and whether
// money moved, and then repeats the request with the same key.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	for name, tc := range faultOutcomes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			pi := r.created("pm_card_visa")
			tc.fault.Count, tc.fault.Path, tc.fault.Method = 1, "/confirm", "POST"
			require.NoError(t, r.Inject(tc.fault))

			p := &stripe.PaymentIntentConfirmParams{}
			p.SetIdempotencyKey("k")
			if tc.leave {
				p.Context = r.cancelWhen(func() bool { return r.Faults()[0].Hits == 1 && (r.paid() == 1) == tc.charged })
			}
			_, err := r.api.PaymentIntents.Confirm(pi.ID, p)
			require.Error(t, err)
			var e *stripe.Error
			if tc.status == 0 {
				assert.False(t, errors.As(err, &e), "no Stripe error: %v", err)
			} else {
				e = stripeError(t, err)
				assert.Equal(t, tc.status, e.HTTPStatusCode)
				assert.Equal(t, tc.code, e.Code)
				assert.Equal(t, tc.retry, e.LastResponse.Header.Get("Stripe-Should-Retry"))
			}
			if tc.leave {
				require.ErrorIs(t, err, context.Canceled)
			}
			r.idle()
			assert.Equal(t, tc.charged, r.paid() == 1, "charged")

			got, err := r.confirm(pi.ID, "k")
			if tc.repeat == 200 {
				require.NoError(t, err)
				assert.Equal(t, stripe.PaymentIntentStatusSucceeded, got.Status)
				assert.Equal(t, tc.charged, got.LastResponse.Header.Get("Idempotent-Replayed") == "true")
				assert.Equal(t, 1, r.paid())
			} else {
				assert.Equal(t, tc.repeat, stripeError(t, err).HTTPStatusCode)
				assert.Equal(t, tc.charged, r.paid() == 1)
				wantStatus := stripe.PaymentIntentStatusRequiresConfirmation
				if tc.charged {
					wantStatus = stripe.PaymentIntentStatusSucceeded
				}
				assert.Equal(t, wantStatus, r.get(pi.ID).Status, "reading tells what the key hides")
			}
		})
	}
}

func TestSlowAnswersLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.created("pm_card_visa")
	require.NoError(t, r.Inject(sandbox.Fault{Kind: sandbox.FaultSlow, Path: "/confirm", DelayMS: 5}))
	got, err := r.confirm(pi.ID, "k")
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, got.Status)
	assert.Equal(t, 1, r.Faults()[0].Hits)
}

func TestResetIsAReset(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/v1/charges", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set(sandbox.FaultHeader, "reset_before")
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestCutJSONHasARightLengthAndStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.raw("POST", "/v1/payment_intents", confirmed("pm_card_visa"), sandbox.FaultHeader, "truncated_200")
	assert.Equal(t, 200, a.status)
	assert.Contains(t, a.body, `"id": "pi_`)
	assert.NotContains(t, a.body, `"status"`)
	assert.Equal(t, 1, r.paid())

	a = r.raw("POST", "/v1/payment_intents", confirmed("pm_card_visa"), sandbox.FaultHeader, "html_502")
	assert.Equal(t, 502, a.status)
	assert.Equal(t, "text/html", a.header.Get("Content-Type"))
	assert.Empty(t, a.header.Get("Request-Id"), "a proxy answers, not Stripe")
}

func TestFaultRulesMatch(t *testing.T) {
	t.Parallel()
	fault := func(f sandbox.Fault) sandbox.Fault {
		f.Kind = sandbox.FaultHTTP503
		return f
	}
	for name, tc := range map[string]struct {
		rule           sandbox.Fault
		create, answer bool // are creation and confirmation struck?
	}{
		"everything":                {fault(sandbox.Fault{}), true, true},
		"method":                    {fault(sandbox.Fault{Method: "get"}), false, false},
		"path":                      {fault(sandbox.Fault{Path: "confirm"}), false, true},
		"path of creation":          {fault(sandbox.Fault{Path: "/v1/payment_intents"}), true, false},
		"payment method":            {fault(sandbox.Fault{PaymentMethod: "pm_card_visa"}), true, true},
		"other payment method":      {fault(sandbox.Fault{PaymentMethod: "pm_card_amex"}), false, false},
		"metadata":                  {fault(sandbox.Fault{Metadata: map[string]string{"payment_id": "pay_1"}}), true, true},
		"other metadata":            {fault(sandbox.Fault{Metadata: map[string]string{"payment_id": "pay_2"}}), false, false},
		"metadata, absent key":      {fault(sandbox.Fault{Metadata: map[string]string{"x": ""}}), false, false},
		"count":                     {fault(sandbox.Fault{Count: 1}), true, false},
		"probability 1":             {fault(sandbox.Fault{Probability: 1}), true, true},
		"probability next to never": {fault(sandbox.Fault{Probability: 1e-12}), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			ready := r.created("pm_card_visa")
			require.NoError(t, r.Inject(tc.rule))
			_, err := r.api.PaymentIntents.New(payment("pm_card_visa"))
			assert.Equal(t, tc.create, err != nil, "creation: %v", err)
			_, err = r.confirm(ready.ID, "")
			assert.Equal(t, tc.answer, err != nil, "confirmation: %v", err)
			r.ClearFaults()
			r.created("pm_card_visa")
		})
	}
}

func TestProbabilityIsRepeatable(t *testing.T) {
	t.Parallel()
	pattern := func(seed uint64) []bool {
		r := newRigWith(t, sandbox.Options{Seed: seed}, newClock())
		require.NoError(t, r.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP503, Probability: 0.5}))
		var out []bool
		for range 40 {
			_, err := r.api.PaymentIntents.New(payment(""))
			out = append(out, err != nil)
		}
		return out
	}
	one := pattern(1)
	assert.Equal(t, one, pattern(1))
	assert.NotEqual(t, one, pattern(2))
	assert.Contains(t, one, true)
	assert.Contains(t, one, false)
}

func TestTheFirstRuleWithHitsLeftStrikes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.Inject(
		sandbox.Fault{Kind: sandbox.FaultHTTP503, Count: 1},
		sandbox.Fault{Kind: sandbox.FaultRateLimit, Count: 1},
	))
	var statuses []int
	for range 2 {
		_, err := r.api.PaymentIntents.New(payment(""))
		statuses = append(statuses, stripeError(t, err).HTTPStatusCode)
	}
	assert.Equal(t, []int{503, 429}, statuses)
	r.created("")
}

func TestWrongFaultsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, f := range map[string]sandbox.Fault{
		"no kind":          {},
		"unknown":          {Kind: "earthquake"},
		"negative":         {Kind: sandbox.FaultSlow, Count: -1},
		"probability":      {Kind: sandbox.FaultSlow, Probability: 1.5},
		"stored 503":       {Kind: sandbox.FaultHTTP503, Stored: true},
		"charged conflict": {Kind: sandbox.FaultConflict, Charged: true},
	} {
		assert.Error(t, r.Inject(sandbox.Fault{Kind: sandbox.FaultSlow}, f), name)
	}
	assert.Empty(t, r.Faults(), "all or none")
	for _, h := range []string{"earthquake", "slow; delay_ms=soon", "slow; loudly", "http_503; stored"} {
		a := r.raw("GET", "/v1/charges", nil, sandbox.FaultHeader, h)
		assert.Equal(t, 400, a.status, h)
	}
	a := r.raw("GET", "/v1/charges", nil, sandbox.FaultHeader, "slow; delay_ms=1")
	assert.Equal(t, 200, a.status)
}

func TestCloseEndsHangingRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.Inject(sandbox.Fault{Kind: sandbox.FaultTimeoutBefore}))
	done := make(chan error, 1)
	go func() {
		_, err := r.api.PaymentIntents.Get("pi_1", nil)
		done <- err
	}()
	require.Eventually(t, func() bool { return r.Faults()[0].Hits == 1 }, patient, tick)
	require.NoError(t, r.Close())
	err := <-done
	require.Error(t, err)
	var e *stripe.Error
	assert.NotErrorAs(t, err, &e, "the connection is cut; an empty 200 would be a lie")
	r.idle()
}
