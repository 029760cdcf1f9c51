package payment

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// IntentStatus is a PaymentIntent's status, with Stripe's names (API reference,
// "The PaymentIntent object").
type IntentStatus string

// The statuses of an intent.
const (
	IntentRequiresPaymentMethod IntentStatus = "requires_payment_method"
	IntentRequiresConfirmation  IntentStatus = "requires_confirmation"
	IntentRequiresAction        IntentStatus = "requires_action"
	IntentProcessing            IntentStatus = "processing"
	IntentRequiresCapture       IntentStatus = "requires_capture"
	IntentCanceled              IntentStatus = "canceled"
	IntentSucceeded             IntentStatus = "succeeded"
)

// Intent is what the gateway knows of a payment.
type Intent struct {
	ID             string
	Status         IntentStatus
	Amount         int64 // minor units
	AmountReceived int64 // minor units
	Currency       string
	// Decline is the last refusal, or nil.
	Decline *fault.Fault
}

// ErrUnexpectedState says that the gateway refused because the intent is not in
// the state that the call expects: read it before deciding.
var ErrUnexpectedState = errors.New("payment: the intent is in another state")

// Gateway moves money. Every call may be repeated for the same payment without
// moving money twice: keys derive from the payment's id, never from the attempt.
// Faults are PAYMENT_FAILED (final) or UNAVAILABLE (try again; RetryAfter when
// the gateway named a time), or ErrUnexpectedState.
type Gateway interface {
	// Create makes an unconfirmed intent, which charges nothing.
	Create(ctx context.Context, p Payment) (Intent, error)
	// Find reads an intent.
	Find(ctx context.Context, intentID string) (Intent, error)
	// Confirm charges p's payment method through p.IntentID.
	Confirm(ctx context.Context, p Payment) (Intent, error)
	// Capture takes what p.IntentID has authorised.
	Capture(ctx context.Context, p Payment) (Intent, error)
}

// Capturer carries payments through a gateway.
type Capturer struct {
	DB      *postgres.Tenancy
	Gateway Gateway
	Now     func() time.Time
}

// Capture brings one payment to its outcome, which the caller settles. It is
// safe to run again at any point, after a crash too: an intent is created
// unconfirmed and its id stored before it is confirmed by that id, and one that
// was stored before is read first. The error is a fault for which a repeat is
// right; a payment that failed for good is an Outcome with a Failure.
func (c *Capturer) Capture(ctx context.Context, tenant string, id uuid.UUID) (Outcome, error) {
	p, err := Find(ctx, c.DB, tenant, id)
	if err != nil {
		return Outcome{}, err
	}
	if p.Status.Final() {
		return p.outcome(), nil
	}
	intent, err := c.open(ctx, &p)
	if err == nil {
		intent, err = c.advance(ctx, p, intent)
		if errors.Is(err, ErrUnexpectedState) {
			if intent, err = c.Gateway.Find(ctx, p.IntentID); err == nil {
				intent, err = c.advance(ctx, p, intent)
			}
		}
	}
	return decide(p, intent, err)
}

// open returns the payment's intent, made if there is none, and records it.
func (c *Capturer) open(ctx context.Context, p *Payment) (Intent, error) {
	if p.IntentID == "" {
		p.IntentID = p.PaymentIntent
	}
	if p.IntentID != "" {
		if err := Begin(ctx, c.DB, *p, c.Now()); err != nil {
			return Intent{}, err
		}
		return c.Gateway.Find(ctx, p.IntentID)
	}
	intent, err := c.Gateway.Create(ctx, *p)
	if err != nil {
		return Intent{}, err
	}
	p.IntentID = intent.ID
	return intent, Begin(ctx, c.DB, *p, c.Now())
}

// advance takes the one step that the intent's state calls for.
func (c *Capturer) advance(ctx context.Context, p Payment, intent Intent) (Intent, error) {
	switch intent.Status {
	case IntentRequiresConfirmation:
		return c.Gateway.Confirm(ctx, p)
	case IntentRequiresCapture:
		return c.Gateway.Capture(ctx, p)
	case IntentRequiresPaymentMethod, IntentRequiresAction, IntentProcessing, IntentCanceled, IntentSucceeded:
		return intent, nil
	default:
		return intent, nil
	}
}

// decide is the one place where a gateway's answer becomes an outcome.
func decide(p Payment, intent Intent, err error) (Outcome, error) {
	outcome := Outcome{
		IntentID: p.IntentID, Amount: intent.Amount, AmountCaptured: intent.AmountReceived, Currency: intent.Currency,
	}
	if err != nil {
		if f := fault.From(err); f.Code == fault.PaymentFailed {
			outcome.Status, outcome.Failure = Failed, f
			return outcome, nil
		}
		return Outcome{}, err
	}
	switch intent.Status {
	case IntentSucceeded:
		outcome.Status = Captured
		return outcome, nil
	case IntentRequiresAction:
		outcome.Status = RequiresAction
		outcome.Failure = fault.New(fault.PaymentFailed, "The bank asks the customer to authenticate this payment.").With("reason", "ACTION_REQUIRED")
		return outcome, nil
	case IntentCanceled:
		outcome.Status = Failed
		outcome.Failure = fault.New(fault.PaymentFailed, "The payment was cancelled at the gateway before it was captured.").With("reason", "GATEWAY_ERROR")
		return outcome, nil
	case IntentRequiresPaymentMethod:
		outcome.Status, outcome.Failure = Failed, intent.Decline
		if outcome.Failure == nil {
			outcome.Failure = fault.New(fault.PaymentFailed, "The PaymentIntent has no payment method to charge.").With("reason", "GATEWAY_ERROR")
		}
		return outcome, nil
	case IntentProcessing, IntentRequiresConfirmation, IntentRequiresCapture:
		return Outcome{}, fault.New(fault.Unavailable, "The gateway is still processing the payment; it will be asked again.").After(processingPoll)
	default:
		return Outcome{}, fault.New(fault.Unavailable, "The gateway answered with a state that is not known here; it will be asked again.")
	}
}

// processingPoll is how long to leave an intent that Stripe still processes.
const processingPoll = 10 * time.Second

func (p Payment) outcome() Outcome {
	outcome := Outcome{
		Status: p.Status, IntentID: p.IntentID, Amount: p.Amount, AmountCaptured: p.AmountCaptured, Currency: p.Currency,
	}
	if p.Status == Failed {
		outcome.Failure, _ = fault.Parse(string(p.Failure))
		if outcome.Failure == nil {
			outcome.Failure = fault.New(fault.PaymentFailed, "The payment failed.")
		}
	}
	return outcome
}

// Result returns what the job of p reports when this is its outcome.
func (o Outcome) Result(id uuid.UUID) Result {
	return Result{
		PaymentID: id, Status: o.Status, IntentID: o.IntentID,
		Amount: o.Amount, AmountCaptured: o.AmountCaptured, Currency: o.Currency,
	}
}
