package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrNoAnswer is what errors.Is finds when a request got no answer at all:
// nobody listens, the connection broke, or the time was over. Whether the
// server did what was asked is then unknown; repeat it with the same
// idempotency key.
var ErrNoAnswer = errors.New("no answer")

// Code names a class of error.
type Code string

// The codes that the API answers with. A newer server may have others.
const (
	CodeInvalidInput          Code = "INVALID_INPUT"
	CodePHIDetected           Code = "PHI_DETECTED"         // texts hold personal data, which the tenant does not take
	CodeIdempotencyMismatch   Code = "IDEMPOTENCY_MISMATCH" // the key was used for another request
	CodeAuthRequired          Code = "AUTH_REQUIRED"
	CodePaymentFailed         Code = "PAYMENT_FAILED" // Details["reason"] says why
	CodeTenantAccessDenied    Code = "TENANT_ACCESS_DENIED"
	CodeNotFound              Code = "NOT_FOUND"
	CodeMethodNotAllowed      Code = "METHOD_NOT_ALLOWED"
	CodeRequestTimeout        Code = "REQUEST_TIMEOUT"
	CodePayloadTooLarge       Code = "PAYLOAD_TOO_LARGE"
	CodeUnsupportedMediaType  Code = "UNSUPPORTED_MEDIA_TYPE"
	CodeIdempotencyInProgress Code = "IDEMPOTENCY_IN_PROGRESS"
	CodeSlotUnavailable       Code = "SLOT_UNAVAILABLE" // taken, or not offered any more; see SubmitBooking
	CodeConflict              Code = "CONFLICT"
	CodeJobCancelled          Code = "JOB_CANCELLED"
	CodeRateLimitExceeded     Code = "RATE_LIMIT_EXCEEDED"
	CodeUnknown               Code = "UNKNOWN"
	CodeDBError               Code = "DB_ERROR"
	CodeMaskingFailed         Code = "MASKING_FAILED" // nothing was stored; see SubmitConversation
	CodeUnavailable           Code = "UNAVAILABLE"
)

// Codes lists the codes that this client knows.
func Codes() []Code {
	return []Code{
		CodeInvalidInput, CodePHIDetected, CodeIdempotencyMismatch, CodeAuthRequired, CodePaymentFailed, CodeTenantAccessDenied,
		CodeNotFound, CodeMethodNotAllowed, CodeRequestTimeout, CodePayloadTooLarge, CodeUnsupportedMediaType,
		CodeSlotUnavailable, CodeIdempotencyInProgress, CodeConflict, CodeJobCancelled, CodeRateLimitExceeded, CodeUnknown, CodeDBError,
		CodeMaskingFailed, CodeUnavailable,
	}
}

// Error is an answer that is an error, a job's failure, or that a payment waits
// for its customer (see SubmitPayment).
type Error struct {
	// Status is the HTTP status; 0 when the error comes from Job.Err.
	Status int
	// Code is empty when the answer is not Millrace's, but a proxy's for instance.
	Code Code
	// Message says what happened and what to do. It may be shown to anybody.
	Message string
	// Details are particulars by code, with JSON's types.
	Details map[string]any
	// RequestID is what to quote when reporting a problem.
	RequestID string
	// RetryAfter is how long the server asks to wait; 0 when it does not say.
	RetryAfter time.Duration
	// JobID is set when the request was accepted and its job has failed: the
	// error is the job's outcome, and repeating the request does not change it.
	// With the reason ACTION_REQUIRED the job may go on (see SubmitPayment).
	JobID string
}

// Error implements error. The text is one line.
func (e *Error) Error() string {
	text := e.Message
	if e.Code != "" {
		text = string(e.Code) + ": " + text
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Field is what is wrong with one field of a request.
type Field struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

// Fields returns what an INVALID_INPUT says about each field; else nothing.
func (e *Error) Fields() []Field {
	text, err := json.Marshal(e.Details["fields"])
	if err != nil {
		return nil
	}
	var fields []Field
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil
	}
	return fields
}

// PHI returns where a PHI_DETECTED found personal data: the first hundred places.
// It returns nothing for any other error.
func (e *Error) PHI() []PHIFinding {
	if e.Code != CodePHIDetected {
		return nil
	}
	text, err := json.Marshal(e.Details["findings"])
	if err != nil {
		return nil
	}
	var findings []PHIFinding
	if err := json.Unmarshal(text, &findings); err != nil {
		return nil
	}
	return findings
}

// errorOf reads an answer that is no success.
func errorOf(a *answer) *Error {
	e := &Error{
		Status: a.status, RequestID: a.header.Get("X-Request-Id"), RetryAfter: retryAfter(a.header, time.Now()),
	}
	var body struct {
		Message   string         `json:"error"`
		Code      Code           `json:"code"`
		Details   map[string]any `json:"details"`
		RequestID string         `json:"request_id"`
	}
	if err := json.Unmarshal(a.body, &body); err != nil || body.Code == "" {
		e.Message = strangeAnswer(a.status)
		return e
	}
	e.Message, e.Code, e.Details = body.Message, body.Code, body.Details
	if body.RequestID != "" {
		e.RequestID = body.RequestID
	}
	// Only the answer to a wait for a job's outcome has both headers.
	if id, ok := strings.CutPrefix(a.header.Get("Location"), jobsPath+"/"); ok && a.header.Get("Preference-Applied") != "" {
		e.JobID = id
	}
	return e
}

// strangeAnswer describes an answer that is not Millrace's. Its text may be
// anything, a page of HTML most likely, and is left out.
func strangeAnswer(status int) string {
	said := strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
	if status >= 300 && status < 400 {
		return fmt.Sprintf("The base URL leads elsewhere (%s), and redirects are not followed; use the address that it leads to.", said)
	}
	return fmt.Sprintf("What answered (%s) is not Millrace; check the base URL, and the proxy in front if there is one.", said)
}

// retryAfter reads the header of that name (RFC 9110, section 10.2.3): seconds
// or a date. It returns 0 when there is none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
