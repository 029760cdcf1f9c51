// Package stripepay is the payment gateway on Stripe's PaymentIntents, through
// stripe-go v76 (API version 2023-10-16). Nothing else imports stripe-go.
package stripepay

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/paymentintent"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/provider"
)

// Options configures New.
type Options struct {
	// Key is the secret API key. Required.
	Key string
	// BaseURL is where Stripe's API is; empty means Stripe's own.
	BaseURL string
	// Timeout bounds one request to Stripe. Default 10 s: with one SDK retry a
	// call stays well within the job's timeout.
	Timeout time.Duration
	// Pause is how long Stripe is left alone when it does not answer. Default 10 s.
	Pause time.Duration
	// Transport makes the requests; default http.DefaultTransport.
	Transport http.RoundTripper
	// Metrics registers the metrics. Required.
	Metrics prometheus.Registerer
	// Traces makes a span of each call; nil for none.
	Traces trace.TracerProvider
}

// Gateway implements payment.Gateway.
type Gateway struct {
	intents  paymentintent.Client
	provider *provider.Provider
}

var _ payment.Gateway = (*Gateway)(nil)

// New returns a gateway with a Stripe backend of its own: stripe-go's package
// variables stay untouched.
func New(opts Options) (*Gateway, error) {
	if opts.Key == "" || opts.Metrics == nil {
		return nil, errors.New("stripepay: a secret key and Metrics are required")
	}
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	if opts.Transport == nil {
		opts.Transport = http.DefaultTransport
	}
	var operations []string
	for _, operation := range payment.Operations() {
		operations = append(operations, string(operation))
	}
	stripeAPI, err := provider.New(provider.Options{Name: "stripe", Operations: operations, Down: down, Pause: opts.Pause, Metrics: opts.Metrics, Traces: opts.Traces})
	if err != nil {
		return nil, err
	}
	config := &stripe.BackendConfig{
		HTTPClient: &http.Client{
			Timeout: opts.Timeout, Transport: opts.Transport,
			// Stripe sends nobody elsewhere: whoever does is not Stripe, and would get the key.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		// Retried by the SDK with the same key: resets, timeouts, 409, 503, lock timeouts.
		MaxNetworkRetries: stripe.Int64(1),
		// The SDK's own log lines hold vendor text; errors are returned to us anyway.
		LeveledLogger:   &stripe.LeveledLogger{Level: stripe.LevelNull},
		EnableTelemetry: new(false),
	}
	if opts.BaseURL != "" {
		config.URL = new(opts.BaseURL)
	}
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, config)
	return &Gateway{intents: paymentintent.Client{B: backend, Key: opts.Key}, provider: stripeAPI}, nil
}

// Create implements payment.Gateway.
func (g *Gateway) Create(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	params := &stripe.PaymentIntentParams{
		Amount:        new(p.Amount),
		Currency:      new(p.Currency),
		PaymentMethod: new(p.PaymentMethod),
		// Stripe's test and saved cards need no redirect; a payment that wants
		// one must ask the customer, which a job cannot.
		AutomaticPaymentMethods: &stripe.PaymentIntentAutomaticPaymentMethodsParams{
			Enabled:        new(true),
			AllowRedirects: stripe.String(string(stripe.PaymentIntentAutomaticPaymentMethodsAllowRedirectsNever)),
		},
	}
	if p.CustomerEmail != "" {
		params.ReceiptEmail = new(p.CustomerEmail)
	}
	if p.Description != "" {
		params.Description = new(p.Description)
	}
	for key, value := range p.Metadata {
		params.AddMetadata(key, value)
	}
	params.AddMetadata(payment.MetadataID, p.ID.String())
	keyed(ctx, params, p, payment.OpCreate)
	return g.ask(ctx, payment.OpCreate, p.ID.String(), func() (*stripe.PaymentIntent, error) { return g.intents.New(params) })
}

// Find implements payment.Gateway.
func (g *Gateway) Find(ctx context.Context, intentID string) (payment.Intent, error) {
	params := &stripe.PaymentIntentParams{}
	params.Context = ctx
	params.AddExpand("latest_charge") // refunds, disputes, expiry
	return g.ask(ctx, payment.OpRead, intentID, func() (*stripe.PaymentIntent, error) { return g.intents.Get(intentID, params) })
}

// Confirm implements payment.Gateway.
func (g *Gateway) Confirm(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	// A refusal takes the payment method off the intent, so it is named each time.
	params := &stripe.PaymentIntentConfirmParams{PaymentMethod: new(p.PaymentMethod)}
	keyed(ctx, params, p, payment.OpConfirm)
	return g.ask(ctx, payment.OpConfirm, p.IntentID, func() (*stripe.PaymentIntent, error) { return g.intents.Confirm(p.IntentID, params) })
}

// Capture implements payment.Gateway.
func (g *Gateway) Capture(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	params := &stripe.PaymentIntentCaptureParams{}
	if p.AmountToCapture > 0 {
		params.AmountToCapture = new(p.AmountToCapture)
	}
	keyed(ctx, params, p, payment.OpCapture)
	return g.ask(ctx, payment.OpCapture, p.IntentID, func() (*stripe.PaymentIntent, error) { return g.intents.Capture(p.IntentID, params) })
}

// Cancel implements payment.Gateway.
func (g *Gateway) Cancel(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	params := &stripe.PaymentIntentCancelParams{
		CancellationReason: stripe.String(string(stripe.PaymentIntentCancellationReasonAbandoned)),
	}
	keyed(ctx, params, p, payment.OpCancel)
	return g.ask(ctx, payment.OpCancel, p.IntentID, func() (*stripe.PaymentIntent, error) { return g.intents.Cancel(p.IntentID, params) })
}

// keyed sets the context and the payment's idempotency key.
func keyed(ctx context.Context, params interface {
	SetIdempotencyKey(key string)
	GetParams() *stripe.Params
}, p payment.Payment, operation payment.Operation,
) {
	params.GetParams().Context = ctx
	params.SetIdempotencyKey(p.IdempotencyKey(operation))
}

// ask makes one call, unless Stripe does not answer at present.
func (g *Gateway) ask(ctx context.Context, operation payment.Operation, of string, call func() (*stripe.PaymentIntent, error)) (payment.Intent, error) {
	var answer *stripe.PaymentIntent
	err := g.provider.Do(ctx, string(operation), of, func() (err error) {
		answer, err = call()
		return err
	})
	var open *provider.Open
	switch {
	case errors.As(err, &open):
		return payment.Intent{}, fault.New(fault.Unavailable, "The payment gateway does not answer at present; the payment goes on by itself when it does.").
			With("reason", string(payment.ReasonGatewayError)).After(open.For).Because(errors.Join(payment.ErrNotAsked, err))
	case err != nil:
		return payment.Intent{}, classify(&payment.Refusal{Answer: refusal(err), Err: quiet{err}})
	}
	return intent(answer), nil
}

func intent(answer *stripe.PaymentIntent) payment.Intent {
	result := payment.Intent{
		ID:             answer.ID,
		PaymentID:      answer.Metadata[payment.MetadataID],
		Status:         payment.IntentStatus(answer.Status),
		Amount:         answer.Amount,
		AmountReceived: answer.AmountReceived,
		Currency:       string(answer.Currency),
		CreatedAt:      time.Unix(answer.Created, 0),
		ClientSecret:   answer.ClientSecret,
		// Newer API versions call it expired, which stripe-go v76 has no name for.
		Lapsed: answer.CancellationReason == stripe.PaymentIntentCancellationReasonAutomatic || answer.CancellationReason == "expired",
		Answer: payment.Answer{Code: word(string(answer.Status))},
	}
	if answer.LastResponse != nil {
		result.HTTPStatus, result.RequestID, result.Replayed = responded(answer.LastResponse)
	}
	if charge := answer.LatestCharge; charge != nil {
		result.Disputed = charge.Disputed
		// What a partial capture released is booked as refunded too.
		result.AmountRefunded = max(0, charge.AmountRefunded-(charge.Amount-charge.AmountCaptured))
		if details := charge.PaymentMethodDetails; details != nil && details.Card != nil && details.Card.CaptureBefore > 0 {
			result.CaptureBefore = time.Unix(details.Card.CaptureBefore, 0)
		}
	}
	if answer.LastPaymentError != nil {
		result.Decline = decline(answer.LastPaymentError)
	}
	return result
}

// refusal reads what Stripe answered, if it did.
func refusal(err error) (a payment.Answer) {
	var answer *stripe.Error
	if !errors.As(err, &answer) {
		return a
	}
	a.HTTPStatus, a.RequestID = answer.HTTPStatusCode, word(answer.RequestID)
	if answer.LastResponse != nil {
		_, _, a.Replayed = responded(answer.LastResponse)
	}
	a.Code = word(cmp.Or(string(answer.DeclineCode), string(answer.Code), string(answer.Type)))
	return a
}

func responded(r *stripe.APIResponse) (status int, requestID string, replayed bool) {
	return r.StatusCode, word(r.RequestID), r.Header.Get("Idempotent-Replayed") == "true"
}

// maxRetryAfter bounds how long a payment is put off because Stripe says so.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads Stripe's Retry-After, in seconds; fallback when it has none.
func retryAfter(err *stripe.Error, fallback time.Duration) time.Duration {
	if err.LastResponse != nil {
		if seconds, parseErr := strconv.Atoi(err.LastResponse.Header.Get("Retry-After")); parseErr == nil && seconds > 0 {
			return min(time.Duration(seconds)*time.Second, maxRetryAfter)
		}
	}
	return fallback
}
