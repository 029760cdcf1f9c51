package stripepay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/stripepay"
)

// vendorText is what Stripe says to developers, with what must not get out.
const vendorText = "Your card was declined, jo@example.com: pm_1Card4242 at https://dashboard.stripe.com/logs"

// requirePublic says that a fault shows nothing of vendorText, and keeps it for logs.
func requirePublic(t *testing.T, f *fault.Fault) {
	t.Helper()
	for _, private := range []string{"Your card", "example.com", "pm_1", "4242", "stripe", "Two tickets", "pi_1"} {
		require.NotContains(t, strings.ToLower(f.Error()), strings.ToLower(private))
	}
}

// connect opens a gateway, by default on connections of its own.
func connect(t *testing.T, url string, change ...func(*stripepay.Options)) *stripepay.Gateway {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	opts := stripepay.Options{Key: "sk_test_x", BaseURL: url, Transport: transport, Metrics: prometheus.NewRegistry()}
	for _, c := range change {
		c(&opts)
	}
	gateway, err := stripepay.New(opts)
	require.NoError(t, err)
	return gateway
}

func within(timeout time.Duration) func(*stripepay.Options) {
	return func(o *stripepay.Options) { o.Timeout = timeout }
}

// calls are the gateway's operations, each for the same payment.
func calls() map[payment.Operation]func(context.Context, *stripepay.Gateway, payment.Payment) (payment.Intent, error) {
	return map[payment.Operation]func(context.Context, *stripepay.Gateway, payment.Payment) (payment.Intent, error){
		payment.OpCreate: func(ctx context.Context, g *stripepay.Gateway, p payment.Payment) (payment.Intent, error) {
			return g.Create(ctx, p)
		},
		payment.OpRead: func(ctx context.Context, g *stripepay.Gateway, p payment.Payment) (payment.Intent, error) {
			return g.Find(ctx, p.IntentID)
		},
		payment.OpConfirm: func(ctx context.Context, g *stripepay.Gateway, p payment.Payment) (payment.Intent, error) {
			return g.Confirm(ctx, p)
		},
		payment.OpCapture: func(ctx context.Context, g *stripepay.Gateway, p payment.Payment) (payment.Intent, error) {
			return g.Capture(ctx, p)
		},
		payment.OpCancel: func(ctx context.Context, g *stripepay.Gateway, p payment.Payment) (payment.Intent, error) {
			return g.Cancel(ctx, p)
		},
	}
}

// result is what the table of outcomes makes of an answer.
type result struct {
	code    fault.Code
	details fault.Details
	after   time.Duration
	answer  payment.Answer
}

// unknown is the outcome of what was not answered, or not so that it tells anything.
func unknown(after time.Duration, status int, code string) result {
	return result{
		code: fault.Unavailable, details: fault.Details{"reason": "GATEWAY_ERROR"}, after: after, answer: answered(status, code),
	}
}

// final is the outcome of a refusal.
func final(reason string, status int, code string) result {
	return result{code: fault.PaymentFailed, details: fault.Details{"reason": reason}, answer: answered(status, code)}
}

func answered(status int, code string) payment.Answer {
	if status == 0 {
		return payment.Answer{}
	}
	return payment.Answer{HTTPStatus: status, Code: code, RequestID: "req_1"}
}

func (r result) replayed() result { r.answer.Replayed = true; return r }

func (r result) lapsed() result {
	r.details["decline_code"] = "charge_expired_for_capture"
	return r
}

const (
	invalidRequest = "invalid_request_error"
	apiError       = "api_error"
	idempotency    = "idempotency_error"
	retryAfter     = "Retry-After"
	replayed       = "Idempotent-Replayed"
)

func TestEveryAnswerHasItsOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.Handler
		want   result
	}{
		"429 lock_timeout":            {says(429, invalidRequest, "lock_timeout", ""), unknown(time.Second, 429, "lock_timeout")},
		"429 lock_timeout, with time": {says(429, invalidRequest, "lock_timeout", "", retryAfter, "3"), unknown(3*time.Second, 429, "lock_timeout")},
		"429 rate_limit":              {says(429, invalidRequest, "rate_limit", ""), unknown(2*time.Second, 429, "rate_limit")},
		"429 rate_limit, with time":   {says(429, invalidRequest, "rate_limit", "", retryAfter, "7"), unknown(7*time.Second, 429, "rate_limit")},
		"429 rate_limit, with a date": {says(429, invalidRequest, "rate_limit", "", retryAfter, "Wed, 21 Oct 2026 07:28:00 GMT"), unknown(2*time.Second, 429, "rate_limit")},
		"429 rate_limit, at once":     {says(429, invalidRequest, "rate_limit", "", retryAfter, "0"), unknown(2*time.Second, 429, "rate_limit")},
		"429 rate_limit, before":      {says(429, invalidRequest, "rate_limit", "", retryAfter, "-5"), unknown(2*time.Second, 429, "rate_limit")},
		"429 without a code":          {says(429, apiError, "", ""), unknown(2*time.Second, 429, "api_error")},
		"409 idempotency_key_in_use":  {says(409, idempotency, "idempotency_key_in_use", ""), unknown(time.Second, 409, "idempotency_key_in_use")},
		"424":                         {says(424, invalidRequest, "", ""), unknown(0, 424, invalidRequest)},
		"429 rate_limit, for a day":   {says(429, invalidRequest, "rate_limit", "", retryAfter, "86400"), unknown(5*time.Minute, 429, "rate_limit")},
		"409":                         {says(409, invalidRequest, "", ""), unknown(0, 409, invalidRequest)},
		"500":                         {says(500, apiError, "", ""), unknown(0, 500, apiError)},
		"500 that is kept":            {says(500, apiError, "", "", replayed, "true"), unknown(0, 500, apiError).replayed()},
		"500 that is not kept":        {says(500, apiError, "", "", replayed, "false"), unknown(0, 500, apiError)},
		"500 of another type":         {says(500, invalidRequest, "", ""), unknown(0, 500, invalidRequest)},
		"502":                         {says(502, apiError, "", ""), unknown(0, 502, apiError)},
		"503":                         {says(503, apiError, "", ""), unknown(0, 503, apiError)},
		"504":                         {says(504, apiError, "", ""), unknown(0, 504, apiError)},
		"400 api_error":               {says(400, apiError, "", ""), unknown(0, 400, apiError)},
		"401":                         {says(401, invalidRequest, "", ""), unknown(time.Minute, 401, invalidRequest)},
		"401 api_key_expired":         {says(401, invalidRequest, "api_key_expired", ""), unknown(time.Minute, 401, "api_key_expired")},
		"403":                         {says(403, invalidRequest, "", ""), unknown(time.Minute, 403, invalidRequest)},

		"502 of a proxy":      {writes(502, "<html><body>"+vendorText+"</body></html>"), unknown(0, 0, "")},
		"404 of a proxy":      {writes(404, "<html><body>"+vendorText+"</body></html>"), unknown(0, 0, "")},
		"500 without a body":  {writes(500, ""), unknown(0, 0, "")},
		"JSON without error":  {writes(500, `{"message": "`+vendorText+`"}`), unknown(0, 0, "")},
		"200 of half a body":  {writes(200, `{"id": "pi_1", "status": "succ`), unknown(0, 0, "")},
		"200 that is cut off": {cutOff(), unknown(0, 0, "")},
		"reset":               {reset(), unknown(0, 0, "")},
		"timeout":             {hangs(), unknown(0, 0, "")},

		"400":                        {says(400, invalidRequest, "", ""), final("GATEWAY_ERROR", 400, invalidRequest)},
		"400 parameter_unknown":      {says(400, invalidRequest, "parameter_unknown", ""), final("GATEWAY_ERROR", 400, "parameter_unknown")},
		"400 resource_missing":       {says(400, invalidRequest, "resource_missing", ""), final("GATEWAY_ERROR", 400, "resource_missing")},
		"404 resource_missing":       {says(404, invalidRequest, "resource_missing", ""), final("GATEWAY_ERROR", 404, "resource_missing")},
		"400 key of another request": {says(400, idempotency, "", ""), final("GATEWAY_ERROR", 400, idempotency)},

		"400 amount_too_small":      {says(400, invalidRequest, "amount_too_small", ""), final("INVALID_AMOUNT", 400, "amount_too_small")},
		"400 amount_too_large":      {says(400, invalidRequest, "amount_too_large", ""), final("INVALID_AMOUNT", 400, "amount_too_large")},
		"400 invalid_charge_amount": {says(400, invalidRequest, "invalid_charge_amount", ""), final("INVALID_AMOUNT", 400, "invalid_charge_amount")},

		"400 charge_expired_for_capture": {
			says(400, invalidRequest, "charge_expired_for_capture", ""), final("GATEWAY_ERROR", 400, "charge_expired_for_capture").lapsed(),
		},
		"402 charge_expired_for_capture": {
			says(402, "card_error", "charge_expired_for_capture", ""), final("GATEWAY_ERROR", 402, "charge_expired_for_capture").lapsed(),
		},
		"400 capture_charge_authorization_expired": {
			says(400, invalidRequest, "capture_charge_authorization_expired", ""),
			final("GATEWAY_ERROR", 400, "capture_charge_authorization_expired").lapsed(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := 10 * time.Second
			if name == "timeout" {
				timeout = 200 * time.Millisecond
			}
			p := newPayment("pm_card_visa")
			p.IntentID = "pi_1"
			_, err := connect(t, answering(t, c.answer), within(timeout)).Capture(t.Context(), p)
			f, ok := errors.AsType[*fault.Fault](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.want.code, f.Code)
			require.Equal(t, c.want.details, f.Details)
			require.Equal(t, c.want.after, f.RetryAfter)
			refusal, ok := errors.AsType[*payment.Refusal](err)
			require.True(t, ok)
			require.Equal(t, c.want.answer, refusal.Answer)
			require.NotErrorIs(t, err, payment.ErrUnexpectedState)
			require.NotErrorIs(t, err, payment.ErrNotAsked)
			requirePublic(t, f)
			if refusal.HTTPStatus != 0 {
				require.NotContains(t, f.Cause().Error(), vendorText, "logs see it")
				require.ErrorContains(t, f.Cause(), strconv.Itoa(refusal.HTTPStatus))
				require.ErrorContains(t, f.Cause(), refusal.RequestID, "with which Stripe's dashboard shows all of it")
			}
		})
	}
}

func TestAnotherStateAsksToLookFirst(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"payment_intent_unexpected_state", "charge_already_captured"} {
		for operation, call := range calls() {
			t.Run(code+" to "+string(operation), func(t *testing.T) {
				t.Parallel()
				gateway := connect(t, answering(t, says(400, invalidRequest, code, "")))
				p := newPayment("pm_card_visa")
				p.IntentID = "pi_1"
				_, err := call(t.Context(), gateway, p)
				require.ErrorIs(t, err, payment.ErrUnexpectedState)
				_, ok := errors.AsType[*fault.Fault](err)
				require.False(t, ok, "nobody is told before the intent was read")
				requirePublic(t, fault.From(err))
				refusal, ok := errors.AsType[*payment.Refusal](err)
				require.True(t, ok)
				require.Equal(t, answered(400, code), refusal.Answer)
			})
		}
	}
}

func TestEveryOperationClassifiesItsErrors(t *testing.T) {
	t.Parallel()
	all := calls()
	for _, operation := range payment.Operations() {
		require.Contains(t, all, operation)
	}
	for operation, call := range all {
		t.Run(string(operation), func(t *testing.T) {
			t.Parallel()
			gateway := connect(t, answering(t, says(400, invalidRequest, "amount_too_large", "")))
			p := newPayment("pm_card_visa")
			p.IntentID = "pi_1"
			_, err := call(t.Context(), gateway, p)
			f := fault.From(err)
			require.Equal(t, fault.PaymentFailed, f.Code)
			require.Equal(t, "INVALID_AMOUNT", f.Details["reason"])
			requirePublic(t, f)
		})
	}
}

// writes answers with what is no error of Stripe's.
func writes(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// cutOff ends the connection within the body.
func cutOff() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"id": "pi_1", "status": "succ`)
	})
}

func reset() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	})
}

// hangs until the client leaves.
func hangs() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice
		<-r.Context().Done()
	})
}
