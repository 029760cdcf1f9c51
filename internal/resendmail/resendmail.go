// Package resendmail sends mails through Resend, with resend-go v2. Nothing else
// imports resend-go.
package resendmail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/resend/resend-go/v2"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/provider"
)

const (
	// operation is the one call to Resend, in metrics.
	operation = "send"
	// maxKey is the longest idempotency key that Resend takes, in characters
	// (https://resend.com/docs/dashboard/emails/idempotency-keys).
	maxKey = 256
	// filename is the calendar entry's: Outlook wants the extension.
	filename = "invite.ics"
)

// DefaultRate is how many requests a second Resend takes, for all of a team's keys
// together (https://resend.com/docs/api-reference/rate-limit).
const DefaultRate = 2

// Options configures New.
type Options struct {
	// Key is the API key; "Sending access" is enough. Required.
	Key string
	// BaseURL is where Resend's API is; empty means Resend's own.
	BaseURL string
	// Timeout bounds one request to Resend. Default 10 s.
	Timeout time.Duration
	// Rate is how many requests a second this process makes at most. Default
	// DefaultRate, which several processes share.
	Rate float64
	// Pause is how long Resend is left alone when it does not answer. Default 10 s.
	Pause time.Duration
	// Transport makes the requests; default http.DefaultTransport.
	Transport http.RoundTripper
	// Metrics registers the metrics. Required.
	Metrics prometheus.Registerer
	// Traces makes a span of each call; nil for none.
	Traces trace.TracerProvider
}

// Mailer implements booking.Mailer. It is safe for concurrent use.
type Mailer struct {
	emails   resend.EmailsSvc
	limiter  *rate.Limiter
	provider *provider.Provider
}

var _ booking.Mailer = (*Mailer)(nil)

// New returns a mailer.
func New(opts Options) (*Mailer, error) {
	if opts.Key == "" || opts.Metrics == nil {
		return nil, errors.New("resendmail: an API key and Metrics are required")
	}
	if !isVisible(opts.Key) {
		return nil, errors.New("resendmail: the API key holds characters that no key has")
	}
	opts.Timeout = cmp.Or(opts.Timeout, 10*time.Second)
	opts.Rate = cmp.Or(opts.Rate, DefaultRate)
	if opts.Timeout < 0 || math.IsNaN(opts.Rate) || opts.Rate < 0 {
		return nil, errors.New("resendmail: Timeout and Rate cannot be negative")
	}
	if opts.Transport == nil {
		opts.Transport = http.DefaultTransport
	}
	client := resend.NewCustomClient(&http.Client{
		Timeout:   opts.Timeout,
		Transport: witness{opts.Transport},
		// A redirected POST would become a GET, or carry the key elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, opts.Key)
	// The SDK would take it from the environment, which is not ours to read here.
	base, err := url.Parse(strings.TrimSuffix(cmp.Or(opts.BaseURL, "https://api.resend.com"), "/") + "/")
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, errors.New("resendmail: BaseURL is not an absolute http or https URL")
	}
	client.BaseURL = base
	api, err := provider.New(provider.Options{Name: "resend", Operations: []string{operation}, Down: down, Pause: opts.Pause, Metrics: opts.Metrics, Traces: opts.Traces})
	if err != nil {
		return nil, err
	}
	// A burst of one spaces requests evenly, so that no second ever holds more.
	return &Mailer{emails: client.Emails, limiter: rate.NewLimiter(rate.Limit(opts.Rate), 1), provider: api}, nil
}

// Send implements booking.Mailer.
func (m *Mailer) Send(ctx context.Context, mail booking.Mail) (id string, err error) {
	// Without its key a repeated mail would be a second one; and what no header may
	// hold would look as if Resend did not answer.
	if mail.Key == "" || len(mail.Key) > maxKey || !isVisible(mail.Key) {
		return "", refused(ReasonMailRefused).Because(errors.New("resendmail: the mail's key is not 1 to 256 characters of visible ASCII"))
	}
	if err := m.limiter.Wait(ctx); err != nil {
		return "", unavailable(ownLimitMessage, fmt.Errorf("resendmail: not sent: %w", err)).After(m.turn())
	}
	err = m.provider.Do(ctx, operation, mail.Key, func() error {
		id, err = m.ask(ctx, mail)
		return err
	})
	if err != nil {
		return "", classify(err)
	}
	return id, nil
}

// turn is about when a mail that comes now has its turn.
func (m *Mailer) turn() time.Duration {
	seconds := (1 - m.limiter.Tokens()) / float64(m.limiter.Limit())
	return max(time.Second, min(time.Duration(math.Ceil(seconds))*time.Second, maxRetryAfter))
}

// ask makes one request. Its error is an *answer when Resend said no, and never
// holds Resend's text, which may quote the mail.
func (m *Mailer) ask(ctx context.Context, mail booking.Mail) (string, error) {
	var got answer
	sent, err := m.emails.SendWithOptions(context.WithValue(ctx, answerKey{}, &got), request(mail), &resend.SendEmailOptions{IdempotencyKey: mail.Key})
	switch {
	case got.Status >= http.StatusMultipleChoices:
		return "", &got
	case got.Status != 0 && err != nil:
		return "", fmt.Errorf("resendmail: Resend's answer with status %d cannot be read: %w", got.Status, err)
	case err != nil:
		return "", fmt.Errorf("resendmail: no answer: %w", err)
	case sent.Id == "":
		return "", fmt.Errorf("resendmail: Resend's answer with status %d names no mail", got.Status)
	}
	return sent.Id, nil
}

// request is what Resend is asked. The same mail gives the same bytes, or Resend
// would take a repetition for another mail with its key.
func request(mail booking.Mail) *resend.SendEmailRequest {
	r := &resend.SendEmailRequest{
		From: mail.From, To: []string{mail.To}, ReplyTo: mail.ReplyTo, Subject: mail.Subject, Html: mail.HTML, Text: mail.Text,
		// RFC 3834: nobody's holiday notice needs to answer this.
		Headers: map[string]string{"Auto-Submitted": "auto-generated"},
	}
	for name, value := range mail.Tags {
		r.Tags = append(r.Tags, resend.Tag{Name: name, Value: value})
	}
	slices.SortFunc(r.Tags, func(a, b resend.Tag) int { return cmp.Compare(a.Name, b.Name) })
	if len(mail.Calendar) > 0 {
		r.Attachments = []*resend.Attachment{{
			Content: mail.Calendar, Filename: filename,
			// The method makes it an invitation or a cancellation (RFC 6047, section 2.4).
			ContentType: "text/calendar; method=" + cmp.Or(mail.Method, "REQUEST") + "; charset=utf-8",
		}}
	}
	return r
}

// isVisible reports whether text is visible ASCII only.
func isVisible(text string) bool {
	return strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
}

func refused(reason string) *fault.Fault {
	message := "The mail was refused as it was written; it will not be sent."
	switch reason {
	case ReasonAddressRefused:
		message = "The mail's address was refused; check it. The mail will not be sent."
	case ReasonMailChanged:
		message = "Another mail was sent in this one's place before; this one will not be sent."
	}
	return fault.New(fault.InvalidInput, message).With("reason", reason)
}
