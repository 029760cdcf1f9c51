// Package stripehook verifies the events that Stripe delivers to a webhook
// (https://docs.stripe.com/webhooks). It needs the endpoint's signing secret, and
// no key that could move money.
package stripehook

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"millrace/internal/fault"
	"millrace/internal/payment"
)

// tolerance is how far the stamp of a delivery may be from our clock, before it
// or after it. Stripe's libraries allow five minutes for the past
// (https://docs.stripe.com/webhooks, "Preventing replay attacks") and everything
// for the future.
const tolerance = 5 * time.Minute

// Verifier verifies deliveries. It may be used concurrently.
type Verifier struct {
	secrets []string
	now     func() time.Time
}

// New returns a verifier for the signing secret of an endpoint (whsec_…), or for
// several, separated by commas: while a secret is rolled, Stripe signs with the
// old one and the new one for up to a day.
func New(secret string, now func() time.Time) (*Verifier, error) {
	if now == nil {
		return nil, errors.New("stripehook: a clock is required")
	}
	v := &Verifier{now: now}
	for secret := range strings.SplitSeq(secret, ",") {
		secret = strings.TrimSpace(secret)
		// Anybody can sign with an empty secret.
		if secret == "" {
			return nil, errors.New("stripehook: a signing secret is required, and none may be empty")
		}
		v.secrets = append(v.secrets, secret)
	}
	return v, nil
}

// Verify returns the event of a delivery: payload is the body as it came,
// signature its Stripe-Signature header. An event that comes twice is returned
// twice. The error is an INVALID_INPUT fault.
func (v *Verifier) Verify(payload []byte, signature string) (payment.Event, error) {
	if err := v.authentic(payload, signature); err != nil {
		return payment.Event{}, refused("The signature does not match the delivery; sign it with this endpoint's secret.").Because(err)
	}
	// Only now: nobody without the secret learns what our clock says.
	at, ok := stamp(signature)
	if !ok {
		return payment.Event{}, refused("The signature does not match the delivery; it has no time.")
	}
	switch age := v.now().Sub(at); {
	case age > tolerance:
		return payment.Event{}, refused("The delivery is too old; send it again with a fresh signature.")
	case age < -tolerance:
		return payment.Event{}, refused("The delivery is from a time in the future; check the sender's clock.")
	}
	event, ok := parse(payload)
	if !ok {
		return payment.Event{}, refused("The delivery is not an event of Stripe's.")
	}
	return event, nil
}

// authentic returns nil when one of the secrets made one of the signatures. The
// error holds nothing of the delivery.
func (v *Verifier) authentic(payload []byte, signature string) (err error) {
	for _, secret := range v.secrets {
		// Its own check of the time uses the machine's clock and knows no future.
		if err = webhook.ValidatePayloadIgnoringTolerance(payload, signature, secret); err == nil {
			return nil
		}
	}
	return err
}

// stamp reads the time from a header like "t=1492774577,v1=5257a8…" that is
// authentic. Of several times the last one counts, which is what stripe-go takes
// the signature to be of.
func stamp(signature string) (at time.Time, ok bool) {
	for pair := range strings.SplitSeq(signature, ",") {
		if seconds, found := strings.CutPrefix(pair, "t="); found {
			unix, err := strconv.ParseInt(seconds, 10, 64)
			if err != nil {
				return time.Time{}, false
			}
			at, ok = time.Unix(unix, 0), true
		}
	}
	return at, ok
}

func refused(message string) *fault.Fault {
	return fault.New(fault.InvalidInput, message)
}
