// Package stripepay is the payment gateway on Stripe's PaymentIntents, through
// stripe-go v76 (API version 2023-10-16). Nothing else imports stripe-go.
package stripepay

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/paymentintent"

	"millrace/internal/fault"
	"millrace/internal/payment"
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
	// Transport makes the requests; default http.DefaultTransport.
	Transport http.RoundTripper
}

// Gateway implements payment.Gateway.
type Gateway struct {
	intents paymentintent.Client
}

var _ payment.Gateway = (*Gateway)(nil)

// New returns a gateway with a Stripe backend of its own: stripe-go's package
// variables stay untouched.
func New(opts Options) (*Gateway, error) {
	if opts.Key == "" {
		return nil, errors.New("stripepay: a secret key is required")
	}
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	if opts.Transport == nil {
		opts.Transport = http.DefaultTransport
	}
	config := &stripe.BackendConfig{
		HTTPClient: &http.Client{Timeout: opts.Timeout, Transport: opts.Transport},
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
	return &Gateway{intents: paymentintent.Client{B: backend, Key: opts.Key}}, nil
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
	return intent(g.intents.New(keyed(ctx, params, p, "create")))
}

// Find implements payment.Gateway.
func (g *Gateway) Find(ctx context.Context, intentID string) (payment.Intent, error) {
	params := &stripe.PaymentIntentParams{}
	params.Context = ctx
	return intent(g.intents.Get(intentID, params))
}

// Confirm implements payment.Gateway.
func (g *Gateway) Confirm(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	params := &stripe.PaymentIntentConfirmParams{}
	return intent(g.intents.Confirm(p.IntentID, keyed(ctx, params, p, "confirm")))
}

// Capture implements payment.Gateway.
func (g *Gateway) Capture(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	params := &stripe.PaymentIntentCaptureParams{}
	if p.AmountToCapture > 0 {
		params.AmountToCapture = new(p.AmountToCapture)
	}
	return intent(g.intents.Capture(p.IntentID, keyed(ctx, params, p, "capture")))
}

// keyed sets the context and the idempotency key, which names the payment and
// the step: every attempt of a payment sends the same one.
func keyed[P interface {
	SetIdempotencyKey(key string)
	GetParams() *stripe.Params
}](ctx context.Context, params P, p payment.Payment, step string) P {
	params.GetParams().Context = ctx
	params.SetIdempotencyKey("millrace:" + p.ID.String() + ":" + step)
	return params
}

func intent(answer *stripe.PaymentIntent, err error) (payment.Intent, error) {
	if err != nil {
		return payment.Intent{}, classify(err)
	}
	result := payment.Intent{
		ID:             answer.ID,
		Status:         payment.IntentStatus(answer.Status),
		Amount:         answer.Amount,
		AmountReceived: answer.AmountReceived,
		Currency:       string(answer.Currency),
	}
	if answer.LastPaymentError != nil {
		result.Decline = decline(answer.LastPaymentError)
	}
	return result, nil
}

// retryAfter reads Stripe's Retry-After, in seconds; fallback when it has none.
func retryAfter(err *stripe.Error, fallback time.Duration) time.Duration {
	if err.LastResponse != nil {
		if seconds, parseErr := strconv.Atoi(err.LastResponse.Header.Get("Retry-After")); parseErr == nil && seconds > 0 {
			return time.Duration(seconds) * time.Second
		}
	}
	return fallback
}

func failed(reason, message string) *fault.Fault {
	return fault.New(fault.PaymentFailed, message).With("reason", reason)
}
