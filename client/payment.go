package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
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

// The states of a payment. PaymentCaptured and PaymentFailed are final.
const (
	PaymentPending        PaymentStatus = "pending"         // accepted, not yet worked
	PaymentProcessing     PaymentStatus = "processing"      // the gateway has been asked
	PaymentRequiresAction PaymentStatus = "requires_action" // the customer must authenticate
	PaymentCaptured       PaymentStatus = "captured"
	PaymentFailed         PaymentStatus = "failed"
)

// Payment is a payment as it was when it was read.
type Payment struct {
	PaymentRequest

	ID     string        `json:"id"`
	Status PaymentStatus `json:"status"`
	// IntentID is Stripe's PaymentIntent, once there is one.
	IntentID string `json:"payment_intent_id,omitzero"`
	// AmountCaptured is in minor units.
	AmountCaptured int64 `json:"amount_captured,omitzero"`
	// Failure is why it failed; nil otherwise.
	Failure *Failure `json:"failure,omitempty"`
	// GatewayRequests is how many times the gateway was asked to move the payment on.
	GatewayRequests int       `json:"gateway_requests"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
}

// SubmitPayment submits a payment. With opts.Wait a declined one is an *Error
// with the code PAYMENT_FAILED and JobID set; Details["reason"] is DECLINED,
// INSUFFICIENT_FUNDS, INVALID_AMOUNT, ACTION_REQUIRED or GATEWAY_ERROR.
func (c *Client) SubmitPayment(ctx context.Context, payment PaymentRequest, opts SubmitOptions) (*Submission, error) {
	return c.submit(ctx, paymentsPath, struct {
		PaymentRequest
		submitFields
	}{payment, opts.fields()}, opts)
}

// Payment reads a payment. The error has the code NOT_FOUND when the key's
// tenant has none of that id.
func (c *Client) Payment(ctx context.Context, id string) (*Payment, error) {
	if id == "" {
		return nil, errors.New("client: the payment's id is empty")
	}
	var payment Payment
	if err := c.call(ctx, request{method: http.MethodGet, path: paymentsPath + "/" + url.PathEscape(id)}, &payment); err != nil {
		return nil, err
	}
	return &payment, nil
}
