package stripehook

import (
	"encoding/json"
	"strings"
	"time"

	"millrace/internal/payment"
)

// parse reads an event, reduced to what Millrace needs: the intent is read again
// from Stripe, so neither the rest nor the API version matters. Its keys are those of
// https://docs.stripe.com/api/events/object.
func parse(payload []byte) (event payment.Event, ok bool) {
	var body struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Created int64  `json:"created"` // seconds
		Data    struct {
			Object json.RawMessage `json:"object"`
		} `json:"data"`
	}
	if json.Unmarshal(payload, &body) != nil || !isWord(body.ID) || !isWord(body.Type) {
		return payment.Event{}, false
	}
	event = payment.Event{ID: body.ID, Type: body.Type}
	if body.Created != 0 {
		event.CreatedAt = time.Unix(body.Created, 0).UTC()
	}
	event.IntentID, ok = intentOf(body.Type, body.Data.Object)
	return event, ok
}

// intentOf returns the id of the PaymentIntent that an event's object is or
// belongs to. ok is false when the object is not what the type says.
func intentOf(eventType string, object []byte) (id string, ok bool) {
	var about struct {
		ID            string    `json:"id"`
		PaymentIntent reference `json:"payment_intent"`
	}
	resource, _, _ := strings.Cut(eventType, ".")
	switch resource {
	case "payment_intent":
		ok = json.Unmarshal(object, &about) == nil && isWord(about.ID)
		return about.ID, ok
	case "charge", "refund": // charge.dispute.* and charge.refund.* too
		// A charge without an intent was made through the Charges API.
		ok = json.Unmarshal(object, &about) == nil && (about.PaymentIntent == "" || isWord(string(about.PaymentIntent)))
		return string(about.PaymentIntent), ok
	default:
		return "", true
	}
}

// reference is the id of an object that Stripe sends as an id, or as the object
// itself when it is expanded, or as null
// (https://docs.stripe.com/api/expanding_objects).
type reference string

// UnmarshalJSON implements json.Unmarshaler.
func (r *reference) UnmarshalJSON(text []byte) error {
	if text[0] != '{' {
		return json.Unmarshal(text, (*string)(r))
	}
	var expanded struct {
		ID string `json:"id"`
	}
	err := json.Unmarshal(text, &expanded)
	*r = reference(expanded.ID)
	return err
}

// isWord reports whether text may be an id or a type: 1 to 255 characters of
// visible ASCII. Stripe changes the form of its ids without notice, but not their
// length (https://docs.stripe.com/upgrades, "Backward-compatible changes").
func isWord(text string) bool {
	return text != "" && len(text) <= 255 && strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
}
