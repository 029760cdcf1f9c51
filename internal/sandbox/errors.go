package sandbox

import (
	"fmt"
	"net/http"
	"strings"
)

// Error types. Source: https://docs.stripe.com/api/errors.
const (
	typeAPI            = "api_error"
	typeCard           = "card_error"
	typeIdempotency    = "idempotency_error"
	typeInvalidRequest = "invalid_request_error"
)

// Error codes that more than one place uses. Source: https://docs.stripe.com/error-codes.
const (
	codeAmountTooLarge         = "amount_too_large"
	codeAmountTooSmall         = "amount_too_small"
	codeAuthenticationRequired = "authentication_required"
	codeCardDeclined           = "card_declined"
	codeChargeDisputed         = "charge_disputed"
	codeChargeRefunded         = "charge_already_refunded"
	codeInvalidInteger         = "parameter_invalid_integer"
	codeKeyInUse               = "idempotency_key_in_use"
	codeParameterMissing       = "parameter_missing"
	codeParameterUnknown       = "parameter_unknown"
	codeParametersExclusive    = "parameters_exclusive"
	codeResourceMissing        = "resource_missing"
	codeUnexpectedState        = "payment_intent_unexpected_state"
)

// apiError is an answer that says no. Status is the HTTP status.
type apiError struct {
	Status int
	Body   errorBody
	Header map[string]string
}

// errorBody is Stripe's error object; it is also what an intent keeps as last_payment_error.
// Source: https://docs.stripe.com/api/errors.
type errorBody struct {
	Charge        string         `json:"charge,omitempty"`
	Code          string         `json:"code,omitempty"`
	DeclineCode   string         `json:"decline_code,omitempty"`
	DocURL        string         `json:"doc_url,omitempty"`
	Message       string         `json:"message"`
	Param         string         `json:"param,omitempty"`
	PaymentIntent any            `json:"payment_intent,omitempty"`
	PaymentMethod *paymentMethod `json:"payment_method,omitempty"`
	Type          string         `json:"type"`
}

func (e *apiError) answer() answer {
	return answer{status: e.Status, body: mustJSON(map[string]errorBody{"error": e.Body}), header: e.Header}
}

func newError(status int, kind, code, param, format string, args ...any) *apiError {
	return &apiError{Status: status, Body: errorBody{
		Type: kind, Code: code, DocURL: docURL(code), Param: param, Message: fmt.Sprintf(format, args...),
	}}
}

func invalidRequest(code, param, format string, args ...any) *apiError {
	return newError(http.StatusBadRequest, typeInvalidRequest, code, param, format, args...)
}

func unauthorized(message string) *apiError {
	e := newError(http.StatusUnauthorized, typeInvalidRequest, "", "", "%s", message)
	e.Header = map[string]string{"WWW-Authenticate": `Bearer realm="Stripe"`}
	return e
}

// noSuch is a 404 when the id stands in the path, and a 400 when it stands in a parameter.
func noSuch(status int, object, param, id string) *apiError {
	return newError(status, typeInvalidRequest, codeResourceMissing, param, "No such %s: '%s'", object, id)
}

func missing(param string) *apiError {
	return invalidRequest(codeParameterMissing, param, "Missing required param: %s.", param)
}

// unexpectedState carries the intent, so that a caller can see what it is instead of what it should have been.
func unexpectedState(in *intent, format string, args ...any) *apiError {
	e := invalidRequest(codeUnexpectedState, "", format, args...)
	e.Body.PaymentIntent = &in.API
	return e
}

func serverError() *apiError {
	return newError(http.StatusInternalServerError, typeAPI, "", "",
		"An unknown error occurred in the sandbox.")
}

func docURL(code string) string {
	if code == "" {
		return ""
	}
	return "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(code, "_", "-")
}

func parseUnrecognized(c *call) (operation, *apiError) {
	return nil, newError(http.StatusNotFound, typeInvalidRequest, "", "",
		"Unrecognized request URL (%s: %s). The sandbox speaks PaymentIntents, Charges and Refunds only.", c.method, c.path)
}
