package resendmail

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/provider"
)

// The reasons in a fault's details.
const (
	// ReasonAddressRefused: the recipient's address is none. Final.
	ReasonAddressRefused = "ADDRESS_REFUSED"
	// ReasonMailRefused: Resend does not send such a mail. Final.
	ReasonMailRefused = "MAIL_REFUSED"
	// ReasonMailChanged: Resend has accepted another mail with this one's key within
	// the last 24 hours. Final; the earlier mail is on its way.
	ReasonMailChanged = booking.ReasonMailChanged
	// ReasonProviderError: Resend cannot send it now. Try again.
	ReasonProviderError = "MAIL_PROVIDER_ERROR"
)

const (
	// maxRetryAfter bounds how long a mail is put off because Resend says so, or
	// because many others wait.
	maxRetryAfter = 5 * time.Minute
	// soon is when Resend takes the next request, if it does not say.
	soon = time.Second
	// afterQuota is when a used-up quota is looked at again: it is renewed by day or
	// by month, or when somebody buys more.
	afterQuota = time.Hour
	// afterRepair is when somebody may have mended our configuration.
	afterRepair = time.Minute
)

const (
	laterMessage    = "The mail provider did not take the mail; it will be tried again."
	ownLimitMessage = "The mail waits for its turn; it will be tried again."
)

// classify is the one table from what happened to a fault
// (https://resend.com/docs/api-reference/errors):
//
//	not called: it does not answer     UNAVAILABLE with RetryAfter
//	nothing, half an answer, 408, 5xx  UNAVAILABLE: unknown; the key makes a repeat safe
//	429 daily or monthly quota         UNAVAILABLE with RetryAfter of an hour
//	429                                UNAVAILABLE with RetryAfter: what Resend says
//	409 invalid_idempotent_request     INVALID_INPUT, MAIL_CHANGED
//	409                                UNAVAILABLE with RetryAfter: the first one is still at work
//	400, 422                           INVALID_INPUT, ADDRESS_REFUSED or MAIL_REFUSED
//	413, 451 security_error            INVALID_INPUT, MAIL_REFUSED
//	401, 403, 404, 405 and the rest    UNAVAILABLE with RetryAfter: our key, domain or URL are at fault, or a proxy
func classify(err error) error {
	if open, ok := errors.AsType[*provider.Open](err); ok {
		return unavailable("The mail provider does not answer at present; the mail goes out by itself when it does.", err).After(open.For)
	}
	said, ok := errors.AsType[*answer](err)
	if !ok {
		return unavailable(laterMessage, err)
	}
	switch {
	case said.Status >= http.StatusInternalServerError, said.Status == http.StatusRequestTimeout:
		return unavailable(laterMessage, err).After(said.RetryAfter)
	case said.Status == http.StatusTooManyRequests && (said.Name == "daily_quota_exceeded" || said.Name == "monthly_quota_exceeded"):
		return unavailable(laterMessage, err).After(afterQuota)
	case said.Status == http.StatusTooManyRequests:
		return unavailable(laterMessage, err).After(cmp.Or(said.RetryAfter, soon))
	case said.Status == http.StatusConflict && said.Name == "invalid_idempotent_request":
		return refused(ReasonMailChanged).Because(err)
	case said.Status == http.StatusConflict:
		return unavailable(laterMessage, err).After(soon)
	case said.aboutRecipient && (said.Status == http.StatusUnprocessableEntity || said.Status == http.StatusBadRequest):
		return refused(ReasonAddressRefused).Because(err)
	case said.Status == http.StatusUnprocessableEntity, said.Status == http.StatusBadRequest,
		said.Status == http.StatusRequestEntityTooLarge, said.Status == http.StatusUnavailableForLegalReasons:
		return refused(ReasonMailRefused).Because(err)
	default:
		return unavailable(laterMessage, err).After(afterRepair)
	}
}

// down tells whether Resend itself is out of order, for the circuit breaker. Too
// many requests, a conflict or a refusal are answers.
func down(err error) bool {
	if said, ok := errors.AsType[*answer](err); ok {
		return said.Status >= http.StatusInternalServerError
	}
	return !errors.Is(err, context.Canceled)
}

func unavailable(message string, cause error) *fault.Fault {
	return fault.New(fault.Unavailable, message).With("reason", ReasonProviderError).Because(cause)
}
