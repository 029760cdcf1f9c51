package payment

import "millrace/internal/fault"

// Reason is why a payment failed, for programs: details.reason of PAYMENT_FAILED
// in the HTTP contract.
type Reason string

// The reasons.
const (
	ReasonDeclined          Reason = "DECLINED"
	ReasonInsufficientFunds Reason = "INSUFFICIENT_FUNDS"
	ReasonInvalidAmount     Reason = "INVALID_AMOUNT"
	ReasonActionRequired    Reason = "ACTION_REQUIRED"
	ReasonGatewayError      Reason = "GATEWAY_ERROR"
)

// Reasons lists every reason, for tables that must be complete.
func Reasons() []Reason {
	return []Reason{ReasonDeclined, ReasonInsufficientFunds, ReasonInvalidAmount, ReasonActionRequired, ReasonGatewayError}
}

// Failure returns a PAYMENT_FAILED fault.
func Failure(reason Reason, message string) *fault.Fault {
	return fault.New(fault.PaymentFailed, message).With("reason", string(reason))
}

// LapsedFault is why a payment fails whose authorisation expired.
func LapsedFault() *fault.Fault {
	return Failure(ReasonGatewayError, "The authorisation expired before it was captured; authorise the amount again.").
		With("decline_code", "charge_expired_for_capture")
}
