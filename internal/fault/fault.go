// Package fault is Millrace's one error vocabulary. A fault has a code and a
// public message that people may see, and a cause that only logs see. It is
// mapped to an HTTP status in package api and to a retry decision in package
// workers, and nowhere else.
package fault

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Code names a class of fault. The values are part of the HTTP contract.
type Code string

// The codes, in the order of the HTTP contract.
const (
	InvalidInput          Code = "INVALID_INPUT"
	PHIDetected           Code = "PHI_DETECTED"
	IdempotencyMismatch   Code = "IDEMPOTENCY_MISMATCH"
	AuthRequired          Code = "AUTH_REQUIRED"
	PaymentFailed         Code = "PAYMENT_FAILED"
	TenantAccessDenied    Code = "TENANT_ACCESS_DENIED"
	NotFound              Code = "NOT_FOUND"
	MethodNotAllowed      Code = "METHOD_NOT_ALLOWED"
	RequestTimeout        Code = "REQUEST_TIMEOUT"
	PayloadTooLarge       Code = "PAYLOAD_TOO_LARGE"
	UnsupportedMediaType  Code = "UNSUPPORTED_MEDIA_TYPE"
	SlotUnavailable       Code = "SLOT_UNAVAILABLE"
	IdempotencyInProgress Code = "IDEMPOTENCY_IN_PROGRESS"
	Conflict              Code = "CONFLICT"
	JobCancelled          Code = "JOB_CANCELLED"
	RateLimitExceeded     Code = "RATE_LIMIT_EXCEEDED"
	Unknown               Code = "UNKNOWN"
	DBError               Code = "DB_ERROR"
	MaskingFailed         Code = "MASKING_FAILED"
	Unavailable           Code = "UNAVAILABLE"
)

// Codes lists every code, for tables that must be complete.
func Codes() []Code {
	return []Code{
		InvalidInput, PHIDetected, IdempotencyMismatch, AuthRequired, PaymentFailed, TenantAccessDenied, NotFound, MethodNotAllowed,
		RequestTimeout, PayloadTooLarge, UnsupportedMediaType, SlotUnavailable, IdempotencyInProgress, Conflict, JobCancelled,
		RateLimitExceeded, Unknown, DBError, MaskingFailed, Unavailable,
	}
}

// Unexpected reports whether the code says that something is wrong with us, rather than
// with a request, a customer's card, or the moment: a person should look at it.
func (c Code) Unexpected() bool {
	switch c {
	case Unknown, DBError, MaskingFailed:
		return true
	case InvalidInput, PHIDetected, IdempotencyMismatch, AuthRequired, PaymentFailed, TenantAccessDenied, NotFound, MethodNotAllowed,
		RequestTimeout, PayloadTooLarge, UnsupportedMediaType, SlotUnavailable, IdempotencyInProgress, Conflict, JobCancelled,
		RateLimitExceeded, Unavailable:
		return false
	default:
		return true
	}
}

// Details carries machine-readable particulars. Values must be public: names of
// fields, limits, reasons; never the input itself.
type Details map[string]any

// Fault is an error whose Message and Details may be shown to anybody.
type Fault struct {
	Code    Code
	Message string
	Details Details
	// RetryAfter is how long to wait before the same thing may succeed; zero
	// when nothing is known.
	RetryAfter time.Duration

	cause error
}

// New returns a fault. The message says what happened and what to do, in one
// sentence or two, without personal data or vendor text.
func New(code Code, message string) *Fault {
	return &Fault{Code: code, Message: message}
}

// With adds one detail and returns the fault.
func (f *Fault) With(key string, value any) *Fault {
	if f.Details == nil {
		f.Details = Details{}
	}
	f.Details[key] = value
	return f
}

// After sets RetryAfter and returns the fault.
func (f *Fault) After(d time.Duration) *Fault {
	f.RetryAfter = d
	return f
}

// Because sets the cause, which is for logs only, and returns the fault.
func (f *Fault) Because(cause error) *Fault {
	f.cause = cause
	return f
}

// Error returns the public text as a JSON object of code, error and details:
// River stores it with the attempt, and the API reads it back from there.
func (f *Fault) Error() string {
	if text, err := json.Marshal(f.public()); err == nil {
		return string(text)
	}
	return `{"code":"` + string(f.Code) + `"}`
}

// Cause returns what lies behind the fault, or nil. It may hold vendor text.
func (f *Fault) Cause() error { return f.cause }

// Unwrap lets errors.Is and errors.As look at the cause.
func (f *Fault) Unwrap() error { return f.cause }

type public struct {
	Code    Code    `json:"code"`
	Message string  `json:"error"`
	Details Details `json:"details,omitempty"`
}

func (f *Fault) public() public {
	return public{Code: f.Code, Message: f.Message, Details: f.Details}
}

// From returns err as a fault. An error that is none becomes UNAVAILABLE when
// its context ended, else UNKNOWN, with err as the cause.
func From(err error) *Fault {
	var f *Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return New(Unavailable, "The work was interrupted before it finished; try again.").Because(err)
	default:
		return New(Unknown, "Something unexpected happened on our side; try again, and quote the request id if it persists.").Because(err)
	}
}

// Parse reads a text that Error wrote. ok is false for any other text.
func Parse(text string) (f *Fault, ok bool) {
	var p public
	if json.Unmarshal([]byte(text), &p) != nil || p.Code == "" {
		return nil, false //nolint:nilerr // ok says it
	}
	return &Fault{Code: p.Code, Message: p.Message, Details: p.Details}, true
}
