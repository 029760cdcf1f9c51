package sandbox

import "time"

// Types of the events that the sandbox sends. Source: https://docs.stripe.com/api/events/types.
const (
	eventIntentCreated    = "payment_intent.created"
	eventIntentProcessing = "payment_intent.processing"
	eventIntentAction     = "payment_intent.requires_action"
	eventIntentCapturable = "payment_intent.amount_capturable_updated"
	eventIntentSucceeded  = "payment_intent.succeeded"
	eventIntentFailed     = "payment_intent.payment_failed"
	eventIntentCanceled   = "payment_intent.canceled"

	eventChargePending   = "charge.pending"
	eventChargeSucceeded = "charge.succeeded" // authorised counts
	eventChargeFailed    = "charge.failed"
	eventChargeCaptured  = "charge.captured" // after an authorisation only
	eventChargeRefunded  = "charge.refunded" // a canceled authorisation counts: see chargeEvents
	eventChargeExpired   = "charge.expired"
	eventChargeDisputed  = "charge.dispute.created"
)

// Event is one row of the list of events: a notification, and how its delivery went.
type Event struct {
	ID            string    `json:"id"`
	Type          string    `json:"type"`
	PaymentIntent string    `json:"payment_intent"`
	Created       time.Time `json:"created"` // by the sandbox's clock
	Delivered     bool      `json:"delivered"`
	Attempts      int       `json:"attempts"`    // those of Resend included
	LastStatus    int       `json:"last_status"` // HTTP status of the last attempt; 0 before the first, and when nobody answered
}

// event is one change of one object.
type event struct {
	id      string
	kind    string
	intent  string
	created time.Time
	object  any // as committed, and so never changed again
	request eventRequest

	// Guarded by webhooks.mu.
	delivered  bool
	attempts   int
	lastStatus int
}

// stripeEvent is Stripe's object. Source: https://docs.stripe.com/api/events/object.
type stripeEvent struct {
	ID              string       `json:"id"`
	Object          string       `json:"object"`
	APIVersion      string       `json:"api_version"`
	Created         int64        `json:"created"`
	Data            eventData    `json:"data"`
	Livemode        bool         `json:"livemode"`
	PendingWebhooks int          `json:"pending_webhooks"`
	Request         eventRequest `json:"request"`
	Type            string       `json:"type"`
}

type eventData struct {
	Object any `json:"object"`
}

// eventRequest names the API request that made a change. Both are null when time, the customer or a bank made it.
type eventRequest struct {
	ID             optional `json:"id"`
	IdempotencyKey optional `json:"idempotency_key"`
}

// payload is the same bytes for every attempt.
func (e *event) payload() []byte {
	return mustJSON(stripeEvent{
		ID: e.id, Object: "event", APIVersion: DefaultAPIVersion, Created: e.created.Unix(), Data: eventData{Object: e.object},
		PendingWebhooks: 1, Request: e.request, Type: e.kind,
	})
}

// events compares what the transaction has put with the state that it is about to replace.
func (t *tx) events() []*event {
	request := eventRequest{}
	if t.call != nil {
		request = eventRequest{ID: optional(t.call.requestID), IdempotencyKey: optional(t.call.idemKey)}
	}
	var out []*event
	add := func(kind, intentID string, object any) {
		out = append(out, &event{
			id: newID("evt", 24), kind: kind, intent: intentID, created: t.now, object: object, request: request,
		})
	}
	for _, in := range t.rec.Intents {
		old := t.s.state.intents[in.API.ID]
		if old == nil {
			add(eventIntentCreated, in.API.ID, in.asCreated())
		}
		if kind := intentEvent(old, in); kind != "" {
			add(kind, in.API.ID, &in.API)
		}
	}
	for _, ch := range t.rec.Charges {
		old := t.s.state.charges[ch.API.ID]
		for _, kind := range t.chargeEvents(old, ch) {
			add(kind, ch.API.PaymentIntent, &ch.API)
		}
		known := 0
		if old != nil {
			known = len(old.Disputes)
		}
		for _, d := range ch.Disputes[known:] {
			add(eventChargeDisputed, ch.API.PaymentIntent, d)
		}
	}
	return out
}

// intentEvent says what has happened to an intent, of which old is nil when it is new; "" for a change that has no event.
func intentEvent(old, in *intent) string {
	before := statusRequiresPaymentMethod
	var hadAction *nextAction
	var hadError *errorBody
	if old != nil {
		before, hadAction, hadError = old.API.Status, old.API.NextAction, old.API.LastPaymentError
	}
	moved := in.API.Status != before
	switch in.API.Status {
	case statusRequiresPaymentMethod:
		// Each failure makes an error of its own, even the same failure again.
		if in.API.LastPaymentError != nil && in.API.LastPaymentError != hadError {
			return eventIntentFailed
		}
	case statusRequiresAction:
		// So does each challenge.
		if in.API.NextAction != hadAction {
			return eventIntentAction
		}
	case statusProcessing:
		return onlyIf(moved, eventIntentProcessing)
	case statusRequiresCapture:
		return onlyIf(moved, eventIntentCapturable)
	case statusSucceeded:
		return onlyIf(moved, eventIntentSucceeded)
	case statusCanceled:
		return onlyIf(moved, eventIntentCanceled)
	case statusRequiresConfirmation:
	}
	return ""
}

func onlyIf(condition bool, kind string) string {
	if !condition {
		return ""
	}
	return kind
}

// asCreated is how an intent was before it was confirmed by the request that created it: that is what
// payment_intent.created shows.
func (in *intent) asCreated() *paymentIntent {
	api := in.API
	if api.Status == statusRequiresConfirmation || (api.Status == statusRequiresPaymentMethod && api.LastPaymentError == nil) {
		return &api
	}
	api.Status, api.PaymentMethod, api.LatestCharge = statusRequiresPaymentMethod, "", ""
	api.AmountCapturable, api.AmountReceived, api.NextAction, api.LastPaymentError = 0, 0, nil, nil
	return &api
}

// chargeEvents says what has happened to a charge, of which old is nil when it is new.
//
// A released authorisation is charge.expired when time released it, and charge.refunded, of a charge that was never
// captured, when a cancellation did. The rest that a partial capture releases is part of charge.captured.
func (t *tx) chargeEvents(old, ch *charge) []string {
	had := stripeCharge{}
	if old != nil {
		had = old.API
	}
	var kinds []string
	if ch.API.Status != had.Status {
		kinds = append(kinds, map[string]string{
			"pending": eventChargePending, "succeeded": eventChargeSucceeded, "failed": eventChargeFailed,
		}[ch.API.Status])
	} else if ch.API.Captured && !had.Captured {
		kinds = append(kinds, eventChargeCaptured)
	}
	switch {
	case ch.API.Captured != had.Captured || ch.API.AmountRefunded == had.AmountRefunded:
	case !ch.API.Captured && t.canceledByTime(ch.API.PaymentIntent):
		kinds = append(kinds, eventChargeExpired)
	default:
		kinds = append(kinds, eventChargeRefunded)
	}
	return kinds
}

func (t *tx) canceledByTime(intentID string) bool {
	for _, in := range t.rec.Intents {
		if in.API.ID == intentID {
			return in.API.CancellationReason == canceledByTime
		}
	}
	return false
}
