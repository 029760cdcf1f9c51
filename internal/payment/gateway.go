package payment

import (
	"context"
	"errors"
	"strconv"
	"time"

	"millrace/internal/fault"
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

// Intent is what the gateway knows of a payment. Amounts are in minor units.
type Intent struct {
	Answer

	ID string
	// PaymentID is the payment that the intent was made for, as its metadata says;
	// empty when a client made it.
	PaymentID      string
	Status         IntentStatus
	Amount         int64
	AmountReceived int64
	AmountRefunded int64
	Currency       string
	CreatedAt      time.Time
	// ClientSecret lets the customer's browser finish the payment.
	ClientSecret string
	// Lapsed says that the intent was cancelled because its authorisation expired.
	Lapsed bool
	// Disputed says that the customer's bank asks for the money back.
	Disputed bool
	// CaptureBefore is when the authorisation expires; zero when there is none, or
	// when the gateway did not say.
	CaptureBefore time.Time
	// Decline is the last refusal, or nil; see Gateway for its RetryAfter.
	Decline *fault.Fault
}

// Answer is how the gateway answered one request.
type Answer struct {
	// HTTPStatus is 0 when there was no answer, or only a part of one.
	HTTPStatus int
	// Code is the gateway's word for it: an intent's status or an error code.
	Code string
	// RequestID is the gateway's id of the request.
	RequestID string
	// Replayed says that the answer was kept from an earlier request with the same
	// idempotency key.
	Replayed bool
}

// Refusal is the cause of a fault that the gateway answered with.
type Refusal struct {
	Answer

	Err error
}

// Error implements error.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns what lies behind.
func (r *Refusal) Unwrap() error { return r.Err }

var (
	// ErrUnexpectedState says that the gateway refused because the intent is not in
	// the state that the call expects: read it before deciding.
	ErrUnexpectedState = errors.New("payment: the intent is in another state")
	// ErrNotAsked says that the gateway was left alone, because it does not answer
	// at present.
	ErrNotAsked = errors.New("payment: the gateway was not asked")
)

// Gateway moves money. Every call may be repeated for the same payment without
// moving money twice: keys derive from the payment, never from the attempt (see
// Payment.IdempotencyKey). Faults are
//   - PAYMENT_FAILED: the gateway says no. With RetryAfter the same payment method
//     may be tried again then; with the reason ACTION_REQUIRED the customer must
//     authenticate; else it is final.
//   - UNAVAILABLE: the outcome is unknown, or nothing happened; with RetryAfter the
//     gateway named a time. The cause may be ErrNotAsked.
//
// or ErrUnexpectedState. What was answered is a Refusal among the causes.
type Gateway interface {
	// Create makes an unconfirmed intent, which charges nothing.
	Create(ctx context.Context, p Payment) (Intent, error)
	// Find reads an intent.
	Find(ctx context.Context, intentID string) (Intent, error)
	// Confirm charges p's payment method through p.IntentID.
	Confirm(ctx context.Context, p Payment) (Intent, error)
	// Capture takes what p.IntentID has authorised.
	Capture(ctx context.Context, p Payment) (Intent, error)
	// Cancel ends p.IntentID, so that nobody can pay through it any more.
	Cancel(ctx context.Context, p Payment) (Intent, error)
}

// IdempotencyKey returns the key of p's next request of this operation. Every
// attempt sends the same one, until the receipt shows that the gateway keeps an
// answer for it that moved no money and would only be repeated.
func (p Payment) IdempotencyKey(operation Operation) string {
	key := "millrace:" + p.ID.String() + ":" + string(operation)
	if n := p.GatewayLog.spent(operation); n > 0 {
		key += ":" + strconv.Itoa(n+1)
	}
	return key
}
