package stripepay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/stripe/stripe-go/v76"
)

// quiet is an error of stripe-go without its text, which may quote what was sent:
// logs show it.
type quiet struct {
	err error
}

// Error implements error.
func (q quiet) Error() string {
	var (
		answer *stripe.Error
		lost   *url.Error
	)
	switch {
	case errors.As(q.err, &answer):
		a := refusal(answer)
		return strings.TrimSpace(fmt.Sprintf("stripepay: Stripe answered %d %s %s", a.HTTPStatus, a.Code, a.RequestID))
	case errors.As(q.err, &lost), errors.Is(q.err, context.Canceled), errors.Is(q.err, context.DeadlineExceeded):
		return "stripepay: no answer: " + q.err.Error()
	default:
		return fmt.Sprintf("stripepay: Stripe's answer cannot be read: an error of type %T", q.err)
	}
}

// Unwrap returns stripe-go's error.
func (q quiet) Unwrap() error { return q.err }

// word returns what Stripe calls something if it can be a name or an id; anything
// else could be what was sent, and goes no further.
func word(text string) string {
	if len(text) > 255 || strings.ContainsFunc(text, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) {
		return ""
	}
	return text
}
