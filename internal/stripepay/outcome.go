package stripepay

import (
	"errors"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"

	"millrace/internal/fault"
	"millrace/internal/payment"
)

// classify maps what stripe-go returns to a fault (Stripe's API reference,
// "Errors" and "Error codes"). Anything that is not an answer of Stripe's, a cut
// body included, leaves the outcome unknown: UNAVAILABLE, so that the intent is
// read before anything is repeated.
func classify(err error) error {
	var answer *stripe.Error
	if !errors.As(err, &answer) {
		return unavailable(err)
	}
	switch answer.Code {
	case stripe.ErrorCodePaymentIntentUnexpectedState, stripe.ErrorCodeChargeAlreadyCaptured:
		return errors.Join(payment.ErrUnexpectedState, err)
	case stripe.ErrorCodeLockTimeout, stripe.ErrorCodeIdempotencyKeyInUse:
		return unavailable(err).After(retryAfter(answer, time.Second))
	case stripe.ErrorCodeAmountTooLarge, stripe.ErrorCodeAmountTooSmall, stripe.ErrorCodeInvalidChargeAmount:
		return failed("INVALID_AMOUNT", "The gateway does not accept this amount in this currency.").Because(err)
	}
	switch {
	case answer.Type == stripe.ErrorTypeCard:
		return decline(answer)
	case answer.HTTPStatusCode == http.StatusTooManyRequests:
		return unavailable(err).After(retryAfter(answer, 2*time.Second))
	case answer.HTTPStatusCode == http.StatusConflict, answer.HTTPStatusCode >= http.StatusInternalServerError, answer.Type == stripe.ErrorTypeAPI:
		return unavailable(err)
	case answer.HTTPStatusCode == http.StatusUnauthorized, answer.HTTPStatusCode == http.StatusForbidden:
		// Our key, not the payment, is at fault: keep trying while somebody mends it.
		return unavailable(err).After(time.Minute)
	default:
		return failed("GATEWAY_ERROR", "The gateway refused the payment as it was asked; check the payment method and the intent.").Because(err)
	}
}

func unavailable(err error) *fault.Fault {
	return fault.New(fault.Unavailable, "The payment gateway did not answer as expected; the payment will be tried again.").
		With("reason", "GATEWAY_ERROR").Because(err)
}

// decline maps a refusal of the card. Stripe's decline codes are public
// vocabulary; its message is not passed on.
func decline(refusal *stripe.Error) *fault.Fault {
	var f *fault.Fault
	switch {
	case refusal.DeclineCode == stripe.DeclineCodeInsufficientFunds:
		f = failed("INSUFFICIENT_FUNDS", "The card was declined for insufficient funds.")
	case refusal.Code == stripe.ErrorCodeAuthenticationRequired, refusal.DeclineCode == stripe.DeclineCodeAuthenticationRequired:
		f = failed("ACTION_REQUIRED", "The bank asks the customer to authenticate this payment.")
	default:
		f = failed("DECLINED", "The card was declined.")
	}
	code := string(refusal.DeclineCode)
	if code == "" {
		code = string(refusal.Code)
	}
	if code != "" {
		f = f.With("decline_code", code)
	}
	return f
}
