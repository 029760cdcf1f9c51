package resendmail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is what resend-go does not tell of a refusal: it returns plain text.
type answer struct {
	// Status is the HTTP status; 0 when there was no answer.
	Status int
	// Name is Resend's name of the error, or empty.
	Name string
	// RetryAfter is how long Resend wants to be left alone; 0 when it does not say.
	RetryAfter time.Duration
	// aboutRecipient says that the recipient's address is what was wrong.
	aboutRecipient bool
}

// Error implements error. Resend's message stays out, as it may quote the mail.
func (a *answer) Error() string {
	return fmt.Sprintf("resendmail: Resend answered %d %s", a.Status, a.Name)
}

// answerKey is the key of an *answer in a request's context.
type answerKey struct{}

// maxRefusal bounds how much of a refusal is read, in bytes.
const maxRefusal = 64 << 10

// witness is a RoundTripper that fills in the *answer of the request's context.
type witness struct {
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (w witness) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(r)
	got, ok := r.Context().Value(answerKey{}).(*answer)
	if err != nil || !ok {
		return response, err
	}
	got.Status = response.StatusCode
	if response.StatusCode < http.StatusMultipleChoices {
		return response, nil
	}
	// A refusal that is cut short is a refusal all the same.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	got.read(body, response.Header)
	return response, nil
}

func (a *answer) read(body []byte, header http.Header) {
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		a.RetryAfter = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	}
	var said struct {
		Name    string `json:"name"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &said) != nil {
		return
	}
	// A name goes into logs: nothing but a name may pass for one.
	if len(said.Name) <= 64 && strings.Trim(said.Name, "abcdefghijklmnopqrstuvwxyz_") == "" {
		a.Name = said.Name
	}
	// Resend has no name for it: "Invalid `to` field. The email address needs to follow …".
	a.aboutRecipient = strings.Contains(said.Message, "`to`")
}
