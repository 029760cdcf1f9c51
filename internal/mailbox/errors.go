package mailbox

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// apiError is a refusal as Resend writes it
// (https://resend.com/docs/api-reference/errors).
type apiError struct {
	Status  int    `json:"statusCode"`
	Name    string `json:"name"`
	Message string `json:"message"`

	header map[string]string
}

func refuse(status int, name, message string) *apiError {
	return &apiError{Status: status, Name: name, Message: message}
}

func invalid(message string) *apiError {
	return refuse(http.StatusUnprocessableEntity, "validation_error", message)
}

func missing(field string) *apiError {
	return refuse(http.StatusUnprocessableEntity, "missing_required_field", "Missing `"+field+"` field.")
}

// tooMany is a rate limit's refusal
// (https://resend.com/docs/api-reference/rate-limit).
func tooMany(retryAfter int) *apiError {
	e := refuse(http.StatusTooManyRequests, "rate_limit_exceeded",
		"Too many requests. You can only make 2 requests per second. See rate limit response headers for more information. Or contact support to increase rate limit.")
	seconds := strconv.Itoa(retryAfter)
	e.header = map[string]string{"Retry-After": seconds, "Ratelimit-Limit": "2", "Ratelimit-Remaining": "0", "Ratelimit-Reset": seconds}
	return e
}

func concurrent() *apiError {
	return refuse(http.StatusConflict, "concurrent_idempotent_requests", "Same idempotency key used while original request is still in progress.")
}

func mismatch() *apiError {
	return refuse(http.StatusConflict, "invalid_idempotent_request", "Same idempotency key used with a different request payload.")
}

func serverError() *apiError {
	return refuse(http.StatusInternalServerError, "internal_server_error", "An unexpected error occurred.")
}

func (e *apiError) write(w http.ResponseWriter) {
	for name, value := range e.header {
		w.Header().Set(name, value)
	}
	writeJSON(w, e.Status, e)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(mustJSON(v)) // the client may have left; there is nobody to tell
}

// mustJSON renders the mailbox's own types, which always marshal.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("mailbox: " + err.Error())
	}
	return append(text, '\n')
}
