package sandbox_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
	"golang.org/x/sync/errgroup"

	"millrace/internal/sandbox"
)

// confirmed is the form of a creation that is confirmed at once.
func confirmed(method string) url.Values {
	return fields("confirm", "true", "payment_method", method, "payment_method_types[]", "card")
}

func TestReplay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path   string
		form   url.Values
		header []string
		status int
	}{
		"success": {"/v1/payment_intents", confirmed("pm_card_visa"), nil, 200},
		"decline": {"/v1/payment_intents", confirmed("pm_card_chargeDeclined"), nil, 402},
		"unknown": {"/v1/payment_intents/pi_nobody/confirm", url.Values{}, nil, 404},
		"500":     {"/v1/payment_intents", confirmed("pm_card_visa"), []string{sandbox.FaultHeader, "http_500; stored"}, 500},
		"500 that charged": {
			"/v1/payment_intents", confirmed("pm_card_visa"),
			[]string{sandbox.FaultHeader, "http_500; stored; charged"},
			500,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			key := []string{"Idempotency-Key", "k"}
			first := r.raw("POST", tc.path, tc.form, append(tc.header, key...)...)
			require.Equal(t, tc.status, first.status)
			charges := r.Charges()
			r.clock.advance(24*time.Hour - time.Second)

			again := r.raw("POST", tc.path, tc.form, key...)
			assert.Equal(t, first.status, again.status)
			assert.Equal(t, first.body, again.body)
			assert.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
			assert.Equal(t, first.header.Get("Request-Id"), again.header.Get("Original-Request"))
			assert.NotEqual(t, first.header.Get("Request-Id"), again.header.Get("Request-Id"))
			assert.Equal(t, "false", again.header.Get("Stripe-Should-Retry"))
			assert.Equal(t, charges, r.Charges(), "nothing was done twice")
		})
	}
}

func TestAKeyIsForgottenAfterADay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	send := func() reply {
		return r.raw("POST", "/v1/payment_intents", confirmed("pm_card_visa"), "Idempotency-Key", "k")
	}
	first := send()
	r.clock.advance(24 * time.Hour)
	again := send()
	assert.Empty(t, again.header.Get("Idempotent-Replayed"))
	assert.NotEqual(t, first.body, again.body)
	assert.Equal(t, 2, r.paid(), "as Stripe does: the trap of a repetition after a day")
}

func TestAKeyBelongsToItsRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.created("pm_card_visa")
	send := func(path string, form url.Values, headers ...string) reply {
		return r.raw("POST", path, form, append([]string{"Idempotency-Key", "k"}, headers...)...)
	}
	first := send("/v1/payment_intents", confirmed("pm_card_visa"))
	require.Equal(t, 200, first.status)

	for name, a := range map[string]reply{
		"other parameters": send("/v1/payment_intents", confirmed("pm_card_mastercard")),
		"fewer parameters": send("/v1/payment_intents", fields()),
		"other endpoint":   send("/v1/payment_intents/"+pi.ID+"/confirm", url.Values{}),
	} {
		assert.Equal(t, 400, a.status, name)
		assert.Equal(t, "idempotency_error", a.errorField(t, "type"), name)
		assert.Nil(t, a.errorField(t, "code"), name)
	}
	assert.Equal(t, first.body, send("/v1/payment_intents", confirmed("pm_card_visa")).body, "the answer is still there")

	other := send("/v1/payment_intents", confirmed("pm_card_mastercard"), "Authorization", "Bearer sk_test_other")
	assert.Equal(t, 200, other.status, "keys are per API key")
	assert.Empty(t, other.header.Get("Idempotent-Replayed"))
}

func TestAKeyOfOneIntentDoesNotConfirmAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one, other := r.created("pm_card_visa"), r.created("pm_card_visa")
	_, err := r.confirm(one.ID, "k")
	require.NoError(t, err)
	_, err = r.confirm(other.ID, "k") // the same parameters: none
	assert.Equal(t, stripe.ErrorTypeIdempotency, stripeError(t, err).Type)
	assert.Equal(t, 1, r.paid())
}

func TestTheOrderOfParametersDoesNotMatter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	send := func(body string) reply {
		return r.send("POST", "/v1/payment_intents", strings.NewReader(body),
			"Content-Type", "application/x-www-form-urlencoded", "Idempotency-Key", "k")
	}
	first := send("amount=1000&currency=usd")
	assert.Equal(t, first.body, send("currency=usd&amount=1000").body)
}

func TestKeyLength(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.raw("POST", "/v1/payment_intents", fields(), "Idempotency-Key", strings.Repeat("k", 255))
	assert.Equal(t, 200, a.status)
	a = r.raw("POST", "/v1/payment_intents", fields(), "Idempotency-Key", strings.Repeat("k", 256))
	assert.Equal(t, 400, a.status)
}

func TestAKeyIsInUseWhileItsRequestRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.created("pm_card_visa")
	require.NoError(t, r.Inject(sandbox.Fault{Kind: sandbox.FaultSlow, Path: "/confirm", Count: 1, DelayMS: 60_000}))

	leave := make(chan struct{})
	started := func() bool { return r.Faults()[0].Hits == 1 && r.running.Load() == 1 }
	var g errgroup.Group
	g.Go(func() error {
		p := &stripe.PaymentIntentConfirmParams{}
		p.Context = r.cancelWhen(func() bool {
			select {
			case <-leave:
				return true
			default:
				return false
			}
		})
		p.SetIdempotencyKey("k")
		_, err := r.api.PaymentIntents.Confirm(pi.ID, p)
		assert.Error(t, err, "the client has left")
		return nil
	})
	require.Eventually(t, started, patient, tick)
	// The rule has struck; a moment later the key is claimed. Until then a second request would simply be the first.
	require.Eventually(t, func() bool {
		a := r.raw("POST", "/v1/payment_intents/"+pi.ID, url.Values{"description": {"probe"}}, "Idempotency-Key", "k")
		return a.status == 400 // another endpoint: the key is taken
	}, patient, tick)

	_, err := r.confirm(pi.ID, "k")
	e := stripeError(t, err)
	assert.Equal(t, 409, e.HTTPStatusCode)
	assert.Equal(t, stripe.ErrorTypeIdempotency, e.Type)
	assert.Equal(t, stripe.ErrorCodeIdempotencyKeyInUse, e.Code)
	assert.Zero(t, r.paid())

	close(leave)
	require.NoError(t, g.Wait())
	r.idle()
	assert.Equal(t, 1, r.paid(), "Stripe finishes what a client has left")
	got, err := r.confirm(pi.ID, "k")
	require.NoError(t, err)
	assert.Equal(t, stripe.PaymentIntentStatusSucceeded, got.Status)
	assert.Equal(t, 1, r.paid())
}

func TestFiftyRacingConfirmsChargeOnce(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(i int) string{
		"one key":      func(int) string { return "k" },
		"no key":       func(int) string { return "" },
		"key for each": func(i int) string { return "k" + strconv.Itoa(i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			pi := r.created("pm_card_visa")
			var g errgroup.Group
			start := make(chan struct{})
			errs := make([]error, 50)
			for i := range errs {
				g.Go(func() error {
					<-start
					_, errs[i] = r.confirm(pi.ID, key(i))
					return nil
				})
			}
			close(start)
			require.NoError(t, g.Wait())

			assert.Equal(t, 1, r.paid())
			assert.Len(t, r.Charges(), 1)
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
					continue
				}
				assert.Contains(t, []stripe.ErrorCode{"payment_intent_unexpected_state", "idempotency_key_in_use"}, stripeError(t, err).Code)
			}
			assert.GreaterOrEqual(t, won, 1)
			if name != "one key" {
				assert.Equal(t, 1, won)
			}
		})
	}
}

func TestFiftyRacingCreationsWithOneKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var g errgroup.Group
	start := make(chan struct{})
	ids := make([]string, 50)
	for i := range ids {
		g.Go(func() error {
			<-start
			for {
				p := payment("pm_card_visa")
				p.Confirm = new(true)
				p.SetIdempotencyKey("k")
				pi, err := r.api.PaymentIntents.New(p)
				if err == nil {
					ids[i] = pi.ID
					return nil
				}
				if e := stripeError(t, err); e.Code != stripe.ErrorCodeIdempotencyKeyInUse {
					return err
				}
			}
		})
	}
	close(start)
	require.NoError(t, g.Wait())
	for _, id := range ids {
		assert.Equal(t, ids[0], id)
	}
	assert.Equal(t, 1, r.paid())
}
