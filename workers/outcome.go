package workers

import (
	"context"
	"errors"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/internal/fault"
)

// decision is what a failed attempt leads to.
type decision string

const (
	// cancel ends the job: a repeat cannot help.
	cancel decision = "cancel"
	// retry repeats it by the kind's policy and costs an attempt.
	retry decision = "retry"
	// snooze repeats it after the time that the fault names and costs none: the
	// provider asked to wait, is down, or waits for the customer.
	snooze decision = "snooze"
)

// errUnfinished ends an attempt whose time is up although nothing failed: the job
// goes on at once in another one, which costs none of its attempts.
var errUnfinished = errors.New("workers: the job goes on in another attempt")

// decide is the one table from fault to retry.
func decide(f *fault.Fault) decision {
	switch f.Code {
	case fault.Unavailable, fault.RateLimitExceeded, fault.IdempotencyInProgress:
		if f.RetryAfter > 0 {
			return snooze
		}
		return retry
	case fault.PaymentFailed:
		if f.RetryAfter > 0 {
			return snooze // the customer must authenticate it
		}
		return cancel
	case fault.Unknown, fault.DBError, fault.MaskingFailed, fault.RequestTimeout:
		return retry
	case fault.InvalidInput, fault.PHIDetected, fault.IdempotencyMismatch, fault.AuthRequired, fault.TenantAccessDenied,
		fault.NotFound, fault.MethodNotAllowed, fault.PayloadTooLarge, fault.UnsupportedMediaType, fault.SlotUnavailable, fault.Conflict, fault.JobCancelled:
		return cancel
	default:
		return retry
	}
}

// errorHandler lets River cancel a job with the fault's own text; a
// river.JobCancel error would be stored with a prefix of its own.
type errorHandler struct{}

// HandleError implements river.ErrorHandler.
func (*errorHandler) HandleError(_ context.Context, _ *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	return &river.ErrorHandlerResult{SetCancelled: decide(fault.From(err)) == cancel}
}

// HandlePanic implements river.ErrorHandler. The observer recovers panics of
// workers before River sees them.
func (*errorHandler) HandlePanic(context.Context, *rivertype.JobRow, any, string) *river.ErrorHandlerResult {
	return nil
}
