package client

import "time"

// GatewayOperation is one kind of request to the gateway, which is Stripe.
type GatewayOperation string

// The operations.
const (
	GatewayCreate  GatewayOperation = "create"
	GatewayRead    GatewayOperation = "read"
	GatewayConfirm GatewayOperation = "confirm"
	GatewayCapture GatewayOperation = "capture"
	GatewayCancel  GatewayOperation = "cancel"
)

// GatewayOperations lists the operations that this client knows.
func GatewayOperations() []GatewayOperation {
	return []GatewayOperation{GatewayCreate, GatewayRead, GatewayConfirm, GatewayCapture, GatewayCancel}
}

// GatewayCall is one request to the gateway for a payment.
type GatewayCall struct {
	Operation GatewayOperation `json:"operation"`
	AskedAt   time.Time        `json:"asked_at"`
	// Answer is a PaymentIntent's status, Stripe's error or decline code, or
	// no_answer. It is empty when the worker ended before it knew.
	Answer string `json:"answer,omitzero"`
	// HTTPStatus is 0 when there was no answer.
	HTTPStatus int `json:"http_status,omitzero"`
	// RequestID is Stripe's id of the request (req_…).
	RequestID string `json:"request_id,omitzero"`
	// KeySpent says that Stripe keeps this answer for the request's idempotency
	// key, so that Millrace's next try of the operation has another key.
	KeySpent bool `json:"key_spent,omitzero"`
}
