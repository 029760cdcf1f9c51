package resendmail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/resendmail"
)

// says answers every request so, with words that nobody may see.
func says(status int, name, message string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"statusCode":%d,"name":%q,"message":%q}`, status, name, message)
	}
}

func answering(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// The whole of https://resend.com/docs/api-reference/errors, and what else HTTP has.
func TestEveryErrorHasItsOutcome(t *testing.T) {
	t.Parallel()
	const (
		later  = "" // UNAVAILABLE
		words  = "vendor text about jo@example.com"
		repair = time.Minute
	)
	for _, c := range []struct {
		status  int
		name    string
		message string
		reason  string // of INVALID_INPUT
		after   time.Duration
	}{
		{400, "invalid_idempotency_key", words, "MAIL_REFUSED", 0},
		{400, "validation_error", words, "MAIL_REFUSED", 0},
		{400, "validation_error", "Invalid `to` field. " + words, "ADDRESS_REFUSED", 0},
		{401, "missing_api_key", words, later, repair},
		{401, "restricted_api_key", words, later, repair},
		{403, "invalid_api_key", words, later, repair},
		{403, "suspended_api_key", words, later, repair},
		{403, "validation_error", "You can only send testing emails to your own email address (" + words + ").", later, repair},
		{403, "validation_error", "The example.com domain is not verified. " + words, later, repair},
		{403, "invalid_from_address", words, later, repair},
		{403, "invalid_to_address", "Invalid `to` field. " + words, later, repair},
		{404, "not_found", words, later, repair},
		{405, "method_not_allowed", words, later, repair},
		{409, "invalid_idempotent_request", words, "MAIL_CHANGED", 0},
		{409, "concurrent_idempotent_requests", words, later, time.Second},
		{409, "named_tomorrow", words, later, time.Second},
		{422, "invalid_attachment", words, "MAIL_REFUSED", 0},
		{422, "invalid_from_address", words, "MAIL_REFUSED", 0},
		{422, "invalid_access", words, "MAIL_REFUSED", 0},
		{422, "invalid_parameter", words, "MAIL_REFUSED", 0},
		{422, "invalid_region", words, "MAIL_REFUSED", 0},
		{422, "invalid_scope", words, "MAIL_REFUSED", 0},
		{422, "missing_required_field", words, "MAIL_REFUSED", 0},
		{422, "missing_required_field", "Missing `to` field. " + words, "ADDRESS_REFUSED", 0},
		{422, "validation_error", words, "MAIL_REFUSED", 0},
		{422, "validation_error", "Invalid `to` field. " + words, "ADDRESS_REFUSED", 0},
		{422, "validation_error", "Invalid `reply_to` field. " + words, "MAIL_REFUSED", 0},
		{422, "jo@example.com", words, "MAIL_REFUSED", 0}, // no name, and nothing to log
		{429, "rate_limit_exceeded", words, later, time.Second},
		{429, "daily_quota_exceeded", words, later, time.Hour},
		{429, "monthly_quota_exceeded", words, later, time.Hour},
		{429, "named_tomorrow", words, later, time.Second},
		{451, "security_error", words, "MAIL_REFUSED", 0},
		{500, "application_error", words, later, 0},
		{500, "internal_server_error", words, later, 0},
		{503, "service_unavailable", words, later, 0},
	} {
		t.Run(fmt.Sprint(c.status, c.name), func(t *testing.T) {
			t.Parallel()
			_, err := connect(t, answering(t, says(c.status, c.name, c.message))).Send(t.Context(), newMail("k"))
			if c.reason != later {
				requireFinal(t, err, c.reason)
				return
			}
			requireLater(t, err, c.after)
		})
	}
}

func requireLater(t *testing.T, err error, after time.Duration) {
	t.Helper()
	f := fault.From(err)
	require.Equal(t, fault.Unavailable, f.Code)
	require.Equal(t, fault.Details{"reason": "MAIL_PROVIDER_ERROR"}, f.Details)
	require.Equal(t, after, f.RetryAfter)
	requirePublic(t, err)
}

// Every status, with an answer that says nothing: none is taken for success, and
// final is only what Resend says of the mail.
func TestEveryStatusHasItsOutcome(t *testing.T) {
	t.Parallel()
	for status := 200; status < 600; status++ {
		asked := 0
		// Its breaker must not open, so each has its own.
		mailer := connect(t, "", func(o *resendmail.Options) {
			o.Transport = transport(func(r *http.Request) (*http.Response, error) {
				asked++
				return &http.Response{
					StatusCode: status, Status: "vendor text", Header: http.Header{"Location": {"https://elsewhere.example.com/"}},
					Body: io.NopCloser(strings.NewReader("<html>vendor text</html>")), Request: r,
				}, nil
			})
		})
		_, err := mailer.Send(t.Context(), newMail("k"))
		require.Equal(t, 1, asked, "status %d: no redirect is followed", status)
		switch {
		case status < 300, status >= 500, status == 408:
			requireLater(t, err, 0)
		case status == 409, status == 429:
			requireLater(t, err, time.Second)
		case status == 400, status == 413, status == 422, status == 451:
			requireFinal(t, err, "MAIL_REFUSED")
		default: // not Resend's, or nothing that the mail could help
			requireLater(t, err, time.Minute)
		}
	}
}

func TestResendSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"3": 3 * time.Second, "300": 5 * time.Minute, "86400": 5 * time.Minute, "9999999999999": 5 * time.Minute,
		"": time.Second, "0": time.Second, "-5": time.Second, "soon": time.Second,
	} {
		url := answering(t, says(429, "rate_limit_exceeded", "vendor", "Retry-After", header))
		_, err := connect(t, url).Send(t.Context(), newMail("k"))
		requireLater(t, err, want)
	}
	_, err := connect(t, answering(t, says(503, "service_unavailable", "vendor", "Retry-After", "20"))).Send(t.Context(), newMail("k"))
	requireLater(t, err, 20*time.Second)
}

type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// broken is a body that ends before its end.
type broken struct{ io.Reader }

// Read implements io.Reader.
func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestNoAnswerIsTriedAgain(t *testing.T) {
	t.Parallel()
	body := func(status int, text string) transport {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(broken{strings.NewReader(text)}), Request: r}, nil
		}
	}
	for name, play := range map[string]transport{
		"refused":             func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"timeout":             func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded },
		"body cut at once":    body(200, ""),
		"body cut in the id":  body(200, `{"id":"56761188`),
		"no id":               body(200, `{}`),
		"empty id":            body(200, `{"id":""}`),
		"HTML":                body(200, `<html>vendor text</html>`),
		"refusal cut at once": body(500, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := connect(t, "", func(o *resendmail.Options) { o.Transport = play }).Send(t.Context(), newMail("k"))
			requireLater(t, err, 0)
		})
	}
	t.Run("a refusal that is cut short is a refusal", func(t *testing.T) {
		t.Parallel()
		_, err := connect(t, "", func(o *resendmail.Options) { o.Transport = body(422, `{"name":"valid`) }).Send(t.Context(), newMail("k"))
		requireFinal(t, err, "MAIL_REFUSED")
	})
	t.Run("a refusal without end", func(t *testing.T) {
		t.Parallel()
		_, err := connect(t, "", func(o *resendmail.Options) {
			o.Transport = body(422, string(bytes.Repeat([]byte{'x'}, 1<<20)))
		}).Send(t.Context(), newMail("k"))
		requireFinal(t, err, "MAIL_REFUSED")
	})
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		mailer := connect(t, "", func(o *resendmail.Options) {
			o.Transport = transport(func(r *http.Request) (*http.Response, error) { cancel(); return nil, r.Context().Err() })
		})
		for range 10 { // it says nothing about Resend
			_, err := mailer.Send(ctx, newMail("k"))
			require.Equal(t, fault.Unavailable, fault.From(err).Code)
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}
