// Package resendhook verifies the events that Resend delivers to a webhook
// (https://resend.com/docs/dashboard/webhooks/verify-webhooks-requests), which
// Svix signs by the Standard Webhooks specification
// (https://github.com/standard-webhooks/standard-webhooks). It needs the endpoint's
// signing secret, and no key that could send.
package resendhook

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"millrace/internal/booking"
	"millrace/internal/fault"
)

const (
	// tolerance is how far the stamp of a delivery may be from our clock, before it
	// or after it: the library's, which uses the machine's clock.
	tolerance = 5 * time.Minute
	// minSecret and maxSecret bound a secret, in bytes, as the specification does.
	minSecret, maxSecret = 24, 64
	prefix               = "whsec_"
)

// Verifier verifies deliveries. It may be used concurrently.
type Verifier struct {
	hooks []*standardwebhooks.Webhook
	now   func() time.Time
}

// New returns a verifier for the signing secret of an endpoint (whsec_ and base64),
// or for several, separated by commas: while a secret is rolled, both sign.
func New(secret string, now func() time.Time) (*Verifier, error) {
	if now == nil {
		return nil, errors.New("resendhook: a clock is required")
	}
	v := &Verifier{now: now}
	for secret := range strings.SplitSeq(secret, ",") {
		secret = strings.TrimSpace(secret)
		// The library takes an empty one, with which anybody can sign.
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, prefix))
		if err != nil || len(key) < minSecret || len(key) > maxSecret {
			return nil, errors.New("resendhook: a signing secret is required, and each must be whsec_ and the base64 of 24 to 64 bytes")
		}
		hook, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, errors.New("resendhook: the signing secret cannot be used")
		}
		v.hooks = append(v.hooks, hook)
	}
	return v, nil
}

// Verify returns the event of a delivery: payload is the body as it came, header
// the request's. An event that comes twice is returned twice, with one ID. The
// error is an INVALID_INPUT fault.
func (v *Verifier) Verify(payload []byte, header http.Header) (booking.MailEvent, error) {
	signed := standard(header)
	if err := v.authentic(payload, signed); err != nil {
		return booking.MailEvent{}, refused("The signature does not match the delivery; sign it with this endpoint's secret.").Because(err)
	}
	// Only now: nobody without the secret learns what our clock says.
	unix, err := strconv.ParseInt(signed.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil {
		return booking.MailEvent{}, refused("The signature does not match the delivery; it has no time.")
	}
	switch age := v.now().Sub(time.Unix(unix, 0)); {
	case age > tolerance:
		return booking.MailEvent{}, refused("The delivery is too old; send it again with a fresh signature.")
	case age < -tolerance:
		return booking.MailEvent{}, refused("The delivery is from a time in the future; check the sender's clock.")
	}
	event, ok := parse(payload)
	event.ID = signed.Get(standardwebhooks.HeaderWebhookID)
	if !ok || !isWord(event.ID) {
		return booking.MailEvent{}, refused("The delivery is not an event of Resend's.")
	}
	return event, nil
}

// standard returns the headers of a delivery by the names of the specification.
// Svix has its own, from before; they count only where none of the others is, so
// that a delivery is never read half from the one and half from the other.
func standard(header http.Header) http.Header {
	names := map[string]string{
		standardwebhooks.HeaderWebhookID:        "svix-id",
		standardwebhooks.HeaderWebhookTimestamp: "svix-timestamp",
		standardwebhooks.HeaderWebhookSignature: "svix-signature",
	}
	signed := http.Header{}
	for name := range names {
		if value := header.Get(name); value != "" {
			signed.Set(name, value)
		}
	}
	if len(signed) == 0 {
		for name, svix := range names {
			signed.Set(name, header.Get(svix))
		}
	}
	return signed
}

// authentic returns nil when one of the secrets made one of the signatures. The
// error holds nothing of the delivery.
func (v *Verifier) authentic(payload []byte, header http.Header) error {
	for _, hook := range v.hooks {
		// Its own check of the time uses the machine's clock.
		if hook.VerifyIgnoringTimestamp(payload, header) == nil {
			return nil
		}
	}
	// The library's error may quote the header.
	return standardwebhooks.ErrNoMatchingSignature
}

// parse reads an event without its ID
// (https://resend.com/docs/dashboard/webhooks/event-types).
func parse(payload []byte) (event booking.MailEvent, ok bool) {
	var body struct {
		Type      string    `json:"type"`
		CreatedAt time.Time `json:"created_at"`
		Data      struct {
			EmailID string `json:"email_id"`
			Bounce  struct {
				Type string `json:"type"` // Permanent, Transient or Undetermined
			} `json:"bounce"`
		} `json:"data"`
	}
	if json.Unmarshal(payload, &body) != nil || !isWord(body.Type) {
		return booking.MailEvent{}, false
	}
	event = booking.MailEvent{Type: body.Type, MailID: body.Data.EmailID, Transient: body.Data.Bounce.Type == "Transient"}
	if !body.CreatedAt.IsZero() {
		event.CreatedAt = body.CreatedAt.UTC()
	}
	aboutMail := strings.HasPrefix(body.Type, "email.")
	return event, isWord(event.MailID) || (event.MailID == "" && !aboutMail)
}

// isWord reports whether text may be an id or a type: 1 to 255 characters of
// visible ASCII.
func isWord(text string) bool {
	return text != "" && len(text) <= 255 && strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
}

func refused(message string) *fault.Fault {
	return fault.New(fault.InvalidInput, message)
}
