package api

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"millrace/internal/fault"
	"millrace/internal/telemetry"
)

// Error is the body of every error answer.
type Error struct {
	Message   string        `json:"error" doc:"What happened and what to do, in words."`
	Code      fault.Code    `json:"code" doc:"What happened, for programs." example:"INVALID_INPUT"`
	Details   fault.Details `json:"details,omitempty" doc:"Particulars by code: fields, reason, limits."`
	RequestID string        `json:"request_id" doc:"Quote it when you report a problem."`

	status  int
	headers http.Header
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// GetStatus implements huma.StatusError.
func (e *Error) GetStatus() int { return e.status }

// GetHeaders implements huma.HeadersError.
func (e *Error) GetHeaders() http.Header { return e.headers }

// status is the one table from fault to HTTP status.
func status(code fault.Code) int {
	switch code {
	case fault.InvalidInput:
		return http.StatusBadRequest
	case fault.IdempotencyMismatch, fault.PHIDetected:
		return http.StatusUnprocessableEntity
	case fault.AuthRequired:
		return http.StatusUnauthorized
	case fault.PaymentFailed:
		return http.StatusPaymentRequired
	case fault.TenantAccessDenied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.RequestTimeout:
		return http.StatusRequestTimeout
	case fault.PayloadTooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.UnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case fault.SlotUnavailable, fault.IdempotencyInProgress, fault.Conflict, fault.JobCancelled:
		return http.StatusConflict
	case fault.RateLimitExceeded:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Unknown, fault.DBError, fault.MaskingFailed:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// errorOf turns any error into an answer. What it hides goes to the log.
func (s *Server) errorOf(ctx context.Context, err error) *Error {
	f := fault.From(err)
	e := s.answerTo(ctx, f)
	// A client that left makes no error of ours.
	if e.status >= http.StatusInternalServerError && ctx.Err() == nil {
		level := slog.LevelWarn // a database that is gone is one matter, not one a request
		if f.Code.Unexpected() {
			level = slog.LevelError
		}
		s.opts.Logger.LogAttrs(ctx, level, "request failed", slog.Any("error", f))
	}
	return e
}

// answerTo is the answer to a fault that somebody has logged.
func (*Server) answerTo(ctx context.Context, f *fault.Fault) *Error {
	requestOf(ctx).code = f.Code
	telemetry.CodeSpan(ctx, f.Code)
	e := &Error{
		Message: f.Message, Code: f.Code, Details: f.Details, RequestID: requestID(ctx),
		status: status(f.Code), headers: http.Header{},
	}
	if f.RetryAfter > 0 {
		e.headers.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	if f.Code == fault.AuthRequired {
		e.headers.Set("WWW-Authenticate", `Bearer realm="millrace"`)
	}
	return e
}

// humaErrors replaces huma's error model, which is a package variable: its own
// would repeat rejected values.
var humaErrors = sync.OnceFunc(func() { //nolint:gochecknoglobals // huma's hook is global; set once
	huma.NewErrorWithContext = func(ctx huma.Context, status int, _ string, errs ...error) huma.StatusError {
		e := &Error{status: status, headers: http.Header{}}
		limit := maxBody
		state := &requestState{}
		if ctx != nil {
			state = requestOf(ctx.Context())
			e.RequestID = state.id
			limit = int(ctx.Operation().MaxBodyBytes) - 1 // see bodyLimit
		}
		f := humaFault(status, errs, limit)
		e.Message, e.Code, e.Details = f.Message, f.Code, f.Details
		state.code = f.Code
		if f.Code == fault.InvalidInput {
			e.status = http.StatusBadRequest
		}
		if ctx != nil {
			telemetry.CodeSpan(ctx.Context(), f.Code)
		}
		return e
	}
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return huma.NewErrorWithContext(nil, status, msg, errs...)
	}
})

func humaFault(status int, errs []error, limit int) *fault.Fault {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return tooLarge(limit)
	case http.StatusRequestTimeout:
		return fault.New(fault.RequestTimeout, "The request body did not arrive in time; send it again.")
	case http.StatusInternalServerError:
		// huma says so when the body cannot be read: the client hung up.
		return fault.New(fault.InvalidInput, "The request body could not be read.")
	}
	var fields fault.Fields
	for _, err := range errs {
		var detailer huma.ErrorDetailer
		if !errors.As(err, &detailer) {
			continue
		}
		detail := detailer.ErrorDetail()
		where, name, _ := strings.Cut(detail.Location, ".")
		if detail.Message == "unknown query parameter" {
			name = where // the name is input
		}
		// huma's messages state expectations; its values are input and stay out.
		fields.Add(name, "is not valid: "+detail.Message)
	}
	if err := fields.Err(); err != nil {
		return fault.From(err)
	}
	return fault.New(fault.InvalidInput, "The request is not valid.")
}

func tooLarge(limit int) *fault.Fault {
	return fault.New(fault.PayloadTooLarge, "The request body is too large; split the request.").With("max_bytes", limit)
}
