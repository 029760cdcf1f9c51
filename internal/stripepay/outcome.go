package stripepay

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"

	"millrace/internal/fault"
	"millrace/internal/payment"
)

// tryAgain is how soon a payment method may be tried again when its bank asks so.
const tryAgain = time.Second

// classify is the one table from what stripe-go returns to a fault (Stripe's API
// reference, "Errors" and "Error codes"):
//
//	nothing, or half an answer     UNAVAILABLE: unknown; the intent is read first
//	409, 424, 5xx, api_error       UNAVAILABLE
//	429, lock and key conflicts    UNAVAILABLE with RetryAfter: wait, it costs nothing
//	401, 403                       UNAVAILABLE with RetryAfter: our key is at fault
//	the intent is elsewhere        ErrUnexpectedState: look first
//	402 card_error                 see decline
//	amount                         PAYMENT_FAILED, INVALID_AMOUNT
//	authorisation expired          PAYMENT_FAILED, with that reason
//	any other 4xx                  PAYMENT_FAILED, GATEWAY_ERROR
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
		return payment.Failure(payment.ReasonInvalidAmount, "The gateway does not accept this amount in this currency.").Because(err)
	case stripe.ErrorCodePaymentIntentAuthenticationFailure:
		return decline(answer).Because(err)
	case stripe.ErrorCodeChargeExpiredForCapture, stripe.ErrorCodeCaptureChargeAuthorizationExpired:
		return payment.LapsedFault().Because(err)
	}
	switch {
	case answer.Type == stripe.ErrorTypeCard:
		return decline(answer).Because(err)
	case answer.HTTPStatusCode == http.StatusTooManyRequests:
		return unavailable(err).After(retryAfter(answer, 2*time.Second))
	case answer.HTTPStatusCode == http.StatusConflict, answer.HTTPStatusCode == http.StatusFailedDependency,
		answer.HTTPStatusCode >= http.StatusInternalServerError, answer.Type == stripe.ErrorTypeAPI:
		return unavailable(err)
	case answer.HTTPStatusCode == http.StatusUnauthorized, answer.HTTPStatusCode == http.StatusForbidden:
		return unavailable(err).After(time.Minute)
	default:
		return payment.Failure(payment.ReasonGatewayError, "The gateway refused the payment as it was asked; check the payment method and the intent.").Because(err)
	}
}

// down tells whether Stripe itself is out of order, for the circuit breaker. Too
// many requests, a conflict or a refusal are answers.
func down(err error) bool {
	var answer *stripe.Error
	if !errors.As(err, &answer) {
		return !errors.Is(err, context.Canceled)
	}
	return answer.HTTPStatusCode >= http.StatusInternalServerError
}

func unavailable(err error) *fault.Fault {
	return fault.New(fault.Unavailable, "The payment gateway did not answer as expected; the payment will be tried again.").
		With("reason", string(payment.ReasonGatewayError)).Because(err)
}

// decline is the table of refusals of a card (https://docs.stripe.com/declines/codes).
// Stripe's codes are public vocabulary; its message is not passed on.
func decline(refusal *stripe.Error) *fault.Fault {
	code := refusal.DeclineCode
	if code == "" || refusal.Code == stripe.ErrorCodeAuthenticationRequired {
		code = stripe.DeclineCode(refusal.Code)
	}
	f := refused(code)
	if known := word(string(code)); known != "" {
		f = f.With("decline_code", known)
	}
	return f
}

func refused(code stripe.DeclineCode) *fault.Fault {
	switch code {
	case stripe.DeclineCodeInsufficientFunds:
		return payment.Failure(payment.ReasonInsufficientFunds, "The card was declined for insufficient funds.")
	case stripe.DeclineCodeInvalidAmount:
		return payment.Failure(payment.ReasonInvalidAmount, "The card's bank does not allow this amount.")
	case stripe.DeclineCodeAuthenticationRequired, "authentication_not_handled", "mobile_device_authentication_required":
		return payment.Failure(payment.ReasonActionRequired, "The bank asks the customer to authenticate this payment.")
	case stripe.DeclineCode(stripe.ErrorCodePaymentIntentAuthenticationFailure):
		return payment.Failure(payment.ReasonDeclined, "The customer did not pass the bank's authentication.")
	case stripe.DeclineCodeExpiredCard:
		return payment.Failure(payment.ReasonDeclined, "The card has expired.")
	case stripe.DeclineCodeApproveWithID, stripe.DeclineCodeIssuerNotAvailable, stripe.DeclineCodeProcessingError,
		stripe.DeclineCodeReenterTransaction, stripe.DeclineCodeTryAgainLater:
		// "The payment needs to be attempted again": Stripe's advice for these and no others.
		return payment.Failure(payment.ReasonDeclined, "The card's bank could not process the payment.").After(tryAgain)
	default:
		return payment.Failure(payment.ReasonDeclined, "The card was declined.")
	}
}
