package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const paymentsPath = "/v1/payments"

// PaymentRequest asks either for a new charge (PaymentMethod, with Amount and
// Currency) or for the capture of an authorised Stripe PaymentIntent
// (PaymentIntent, with AmountToCapture for a part of it).
type PaymentRequest struct {
	// Amount is in the currency's minor unit: cents for usd, yen for jpy.
	Amount int64 `json:"amount,omitzero"`
	// Currency is an ISO 4217 code such as usd.
	Currency string `json:"currency,omitzero"`
	// PaymentMethod is the id of a Stripe PaymentMethod (pm_…).
	PaymentMethod string `json:"payment_method,omitzero"`
	// PaymentIntent is the id of an authorised Stripe PaymentIntent (pi_…).
	PaymentIntent string `json:"payment_intent,omitzero"`
	// AmountToCapture is in minor units; 0 captures all that is authorised.
	AmountToCapture int64 `json:"amount_to_capture,omitzero"`
	// CaptureBefore is when the authorisation of PaymentIntent expires
	// (capture_before of the Stripe charge); zero when it is not told. Captures
	// run soonest-expiring first. It goes with PaymentIntent only.
	CaptureBefore time.Time `json:"capture_before,omitzero"`
	// CustomerEmail is where Stripe sends the receipt.
	CustomerEmail string `json:"customer_email,omitzero"`
	// Description is shown to the customer; at most 1000 characters.
	Description string `json:"description,omitzero"`
	// Items are what is paid for, at most 100. When each has a price, they must
	// add up to Amount.
	Items []Item `json:"items,omitzero"`
	// Metadata is the app's own references, at most 50. No personal data.
	Metadata map[string]string `json:"metadata,omitzero"`
}

// Item is one line of what is paid for.
type Item struct {
	Name     string `json:"name"`
	Quantity int64  `json:"quantity"`
	// Price is that of one unit, in minor units; nil when it is not told.
	Price *int64 `json:"price,omitzero"`
}

// PaymentStatus is where a payment stands.
type PaymentStatus string

// The states of a payment. Its job ends with one of the last four. After that
// a captured payment may become disputed, and either of them refunded; a failed
// or refunded one stays so.
const (
	PaymentPending        PaymentStatus = "pending"         // accepted, not yet worked
	PaymentProcessing     PaymentStatus = "processing"      // the gateway has been asked
	PaymentRequiresAction PaymentStatus = "requires_action" // the customer must authenticate; see Payment.ClientSecret
	PaymentCaptured       PaymentStatus = "captured"
	PaymentFailed         PaymentStatus = "failed"
	PaymentRefunded       PaymentStatus = "refunded" // captured, and all of it given back
	PaymentDisputed       PaymentStatus = "disputed" // captured, and the customer's bank asks for it back
)

// PaymentStatuses lists the statuses that this client knows.
func PaymentStatuses() []PaymentStatus {
	return []PaymentStatus{
		PaymentPending, PaymentProcessing, PaymentRequiresAction, PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentDisputed,
	}
}

// ReasonActionRequired is the reason of a PAYMENT_FAILED whose customer must
// authenticate the payment (3-D Secure), or has not done so within a day: see
// SubmitPayment.
const ReasonActionRequired = "ACTION_REQUIRED"

// Payment is a payment as it was when it was read. CustomerEmail is masked
// (c•••@example.com), except in what RevealPayment returns. Times are UTC.
type Payment struct {
	PaymentRequest

	ID     string        `json:"id"`
	Status PaymentStatus `json:"status"`
	// JobID is the job that carries the payment. It is empty in the answer to a
	// submission that did not wait; Submission.Job has it there.
	JobID string `json:"job_id,omitzero"`
	// IntentID is Stripe's PaymentIntent, once there is one.
	IntentID string `json:"payment_intent_id,omitzero"`
	// ClientSecret is what Stripe.js needs to let the customer authenticate the
	// payment; empty unless Status is PaymentRequiresAction. Whoever has it can
	// act on the payment: give it to the customer's browser, and do not log or
	// store it.
	ClientSecret string `json:"client_secret,omitzero"`
	// AuthorizationExpiresAt is when an authorised amount can be captured no
	// more; zero as long as Stripe has not said.
	AuthorizationExpiresAt time.Time `json:"authorization_expires_at,omitzero"`
	// AmountCaptured is in minor units.
	AmountCaptured int64 `json:"amount_captured,omitzero"`
	// AmountRefunded is in minor units. Status is PaymentRefunded only when it is
	// all that was captured.
	AmountRefunded int64 `json:"amount_refunded,omitzero"`
	// Failure is why it failed; nil otherwise.
	Failure *Failure `json:"failure,omitempty"`
	// GatewayRequests is how many times the gateway was asked.
	GatewayRequests int `json:"gateway_requests"`
	// GatewayLog is what the gateway was asked and what it answered, oldest first:
	// the newest 100, and of reads that kept getting the same answer the first and
	// the last.
	GatewayLog []GatewayCall `json:"gateway_log,omitzero"`
	CreatedAt  time.Time     `json:"created_at"`
	UpdatedAt  time.Time     `json:"updated_at"`
}

// SubmitPayment submits a payment. With opts.Wait a declined one is an *Error
// with the code PAYMENT_FAILED and JobID set; Details["reason"] is DECLINED,
// INSUFFICIENT_FUNDS, INVALID_AMOUNT, ACTION_REQUIRED or GATEWAY_ERROR.
//
// With the reason ACTION_REQUIRED (ReasonActionRequired) the error comes as soon
// as the customer's bank asks for the customer, and the payment may still
// succeed: while PaymentOfJob of the error's JobID has the status
// PaymentRequiresAction, give its ClientSecret to Stripe.js in the customer's
// browser. The job goes on by itself and ends when the customer has
// authenticated, when that failed, or after a day; WaitJob tells. Do not submit
// the payment again with another key meanwhile.
//
// A submission whose Job.Done is false may come to that later. Nothing but the
// payment's status tells then: look at it while waiting, or submit again with
// the same key and opts.Wait.
func (c *Client) SubmitPayment(ctx context.Context, payment PaymentRequest, opts SubmitOptions) (*Submission, error) {
	return c.submit(ctx, paymentsPath, struct {
		PaymentRequest
		submitFields
	}{payment, opts.fields()}, opts)
}

// Payment reads a payment. The error has the code NOT_FOUND when the key's
// tenant has none of that id.
func (c *Client) Payment(ctx context.Context, id string) (*Payment, error) {
	return c.payment(ctx, id, "")
}

func (c *Client) payment(ctx context.Context, id, query string) (*Payment, error) {
	if id == "" {
		return nil, errors.New("client: the payment's id is empty")
	}
	var payment Payment
	if err := c.call(ctx, request{method: http.MethodGet, path: paymentsPath + "/" + url.PathEscape(id) + query}, &payment); err != nil {
		return nil, err
	}
	return &payment, nil
}

// PaymentOfJob reads the payment that a job carries, for which an Error tells
// the job only. The error has the code NOT_FOUND when the key's tenant has no
// such job, and is no *Error when the job is one of another kind.
func (c *Client) PaymentOfJob(ctx context.Context, jobID string) (*Payment, error) {
	job, err := c.Job(ctx, jobID)
	if err != nil {
		return nil, err
	}
	id, ok := strings.CutPrefix(job.Links["payment"], paymentsPath+"/")
	if !ok {
		return nil, fmt.Errorf("client: job %s carries no payment", jobID)
	}
	return c.Payment(ctx, id)
}
