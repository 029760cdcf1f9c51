package sandbox

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"
)

// status is a PaymentIntent's. Source: https://docs.stripe.com/payments/paymentintents/lifecycle.
type status string

const (
	statusRequiresPaymentMethod status = "requires_payment_method"
	statusRequiresConfirmation  status = "requires_confirmation"
	statusRequiresAction        status = "requires_action"
	statusProcessing            status = "processing"
	statusRequiresCapture       status = "requires_capture"
	statusCanceled              status = "canceled"
	statusSucceeded             status = "succeeded"
)

const (
	captureAutomatic      = "automatic"
	captureAutomaticAsync = "automatic_async"
	captureManual         = "manual"
)

// canceledByTime is the cancellation reason of an intent whose authorisation expired.
// Source: https://docs.stripe.com/api/payment_intents/object, cancellation_reason.
const canceledByTime = "automatic"

// mayBecome is the life cycle. Staying where one is (a second challenge, another failed attempt) is allowed.
func (from status) mayBecome(to status) bool {
	if from == to {
		return from != statusSucceeded && from != statusCanceled
	}
	switch from {
	case statusRequiresPaymentMethod, statusRequiresConfirmation, statusRequiresAction:
		return true
	case statusProcessing:
		return to == statusSucceeded || to == statusRequiresPaymentMethod || to == statusCanceled
	case statusRequiresCapture:
		return to == statusSucceeded || to == statusCanceled
	case statusSucceeded, statusCanceled:
		return false
	}
	return false
}

// confirmable also says whether payment method and amount may be changed.
func (from status) confirmable() bool {
	return from == statusRequiresPaymentMethod || from == statusRequiresConfirmation || from == statusRequiresAction
}

// intent is a PaymentIntent as the state and the journal hold it.
type intent struct {
	API           paymentIntent `json:"api"`
	TestMethod    string        `json:"test_method,omitempty"` // name of MethodID's row in testMethods
	MethodID      string        `json:"method_id,omitempty"`   // last PaymentMethod; API.PaymentMethod forgets a failed one
	ReturnURL     string        `json:"return_url,omitempty"`  // of the last confirmation
	AttemptKey    string        `json:"attempt_key,omitempty"` // idempotency key of the last confirmation
	Authenticated bool          `json:"authenticated,omitempty"`
	SettlesAt     time.Time     `json:"settles_at,omitzero"`
}

// paymentIntent is Stripe's object. Source: https://docs.stripe.com/api/payment_intents/object.
type paymentIntent struct {
	ID                        string                   `json:"id"`
	Object                    string                   `json:"object"`
	Amount                    int64                    `json:"amount"`
	AmountCapturable          int64                    `json:"amount_capturable"`
	AmountReceived            int64                    `json:"amount_received"`
	AutomaticPaymentMethods   *automaticPaymentMethods `json:"automatic_payment_methods"`
	CanceledAt                optionalTime             `json:"canceled_at"`
	CancellationReason        optional                 `json:"cancellation_reason"`
	CaptureMethod             string                   `json:"capture_method"`
	ClientSecret              string                   `json:"client_secret"`
	ConfirmationMethod        string                   `json:"confirmation_method"`
	Created                   int64                    `json:"created"`
	Currency                  string                   `json:"currency"`
	Customer                  optional                 `json:"customer"`
	Description               optional                 `json:"description"`
	LastPaymentError          *errorBody               `json:"last_payment_error"`
	LatestCharge              optional                 `json:"latest_charge"`
	Livemode                  bool                     `json:"livemode"`
	Metadata                  map[string]string        `json:"metadata"`
	NextAction                *nextAction              `json:"next_action"`
	PaymentMethod             optional                 `json:"payment_method"`
	PaymentMethodTypes        []string                 `json:"payment_method_types"`
	ReceiptEmail              optional                 `json:"receipt_email"`
	SetupFutureUsage          optional                 `json:"setup_future_usage"`
	StatementDescriptor       optional                 `json:"statement_descriptor"`
	StatementDescriptorSuffix optional                 `json:"statement_descriptor_suffix"`
	Status                    status                   `json:"status"`
	TransferGroup             optional                 `json:"transfer_group"`
}

type automaticPaymentMethods struct {
	AllowRedirects string `json:"allow_redirects"`
	Enabled        bool   `json:"enabled"`
}

// nextAction is redirect_to_url when the confirmation gave a return_url, and use_stripe_sdk otherwise.
type nextAction struct {
	RedirectToURL *redirectToURL `json:"redirect_to_url,omitempty"`
	Type          string         `json:"type"`
	UseStripeSDK  *useStripeSDK  `json:"use_stripe_sdk,omitempty"`
}

type redirectToURL struct {
	ReturnURL string `json:"return_url"`
	URL       string `json:"url"`
}

type useStripeSDK struct {
	Source string `json:"three_d_secure_2_source"`
	Type   string `json:"type"`
}

// paymentMethod is Stripe's object, as far as an error or an expansion needs it.
// Source: https://docs.stripe.com/api/payment_methods/object.
type paymentMethod struct {
	ID       string      `json:"id"`
	Object   string      `json:"object"`
	Card     chargedCard `json:"card"`
	Created  int64       `json:"created"`
	Livemode bool        `json:"livemode"`
	Type     string      `json:"type"`
}

// moveTo is the one way for an intent to change its status.
func (in *intent) moveTo(to status) {
	if !in.API.Status.mayBecome(to) {
		panic("sandbox: a PaymentIntent cannot go from " + string(in.API.Status) + " to " + string(to))
	}
	in.API.Status = to
	in.API.NextAction = nil
	in.API.AmountCapturable = 0
	in.SettlesAt = time.Time{}
	if to == statusRequiresCapture {
		in.API.AmountCapturable = in.API.Amount
	}
}

func (in *intent) clone() *intent {
	c := *in
	c.API.Metadata = maps.Clone(in.API.Metadata)
	c.API.PaymentMethodTypes = slices.Clone(in.API.PaymentMethodTypes)
	return &c
}

// catchUp does what time has done to an intent since it was last looked at.
func (t *tx) catchUp(in *intent) {
	switch in.API.Status {
	case statusRequiresCapture:
		// «Uncaptured PaymentIntents are cancelled a set number of days (7 by default) after their creation.»
		// Source: https://docs.stripe.com/api/payment_intents/capture.
		ch := t.charge(string(in.API.LatestCharge))
		if before := ch.API.PaymentMethodDetails.Card.CaptureBefore; t.now.Unix() >= before {
			t.cancel(in, canceledByTime, time.Unix(before, 0))
		}
	case statusProcessing:
		if t.now.Before(in.SettlesAt) {
			return
		}
		ch := t.charge(string(in.API.LatestCharge))
		m := t.s.methods[in.TestMethod]
		if m.settles == failLater {
			t.refuse(in, ch, m, declineFor("generic_decline"))
			return
		}
		ch.approve(m)
		t.succeed(in, ch, in.API.Amount)
	case statusRequiresPaymentMethod, statusRequiresConfirmation, statusRequiresAction, statusSucceeded, statusCanceled:
	}
}

// settleAll brings every intent up to date and keeps the result. It is called under mu.
func (s *Stripe) settleAll() {
	t := s.begin(nil)
	for _, id := range s.state.intentOrder {
		switch s.state.intents[id].API.Status {
		case statusRequiresCapture, statusProcessing:
			t.intent(id)
		case statusRequiresPaymentMethod, statusRequiresConfirmation, statusRequiresAction, statusSucceeded, statusCanceled:
		}
	}
	if err := s.commit(t, nil); err != nil {
		s.log.Error("sandbox: a change could not be written to the journal", slog.Any("error", err))
	}
}

// attempt tries to charge an intent's payment method once, after whatever authentication it wanted.
func (t *tx) attempt(in *intent, m testMethod) *apiError {
	ch := t.newCharge(in, m)
	switch {
	case m.decline != nil:
		return t.refuse(in, ch, m, m.decline)
	case m.settles != settleAtOnce:
		ch.API.Status = "pending"
		in.moveTo(statusProcessing)
		in.SettlesAt = t.now.Add(settlementTime)
	case in.API.CaptureMethod == captureManual:
		ch.authorize(m, t.now)
		in.moveTo(statusRequiresCapture)
	default:
		ch.approve(m)
		t.succeed(in, ch, in.API.Amount)
	}
	t.putIntent(in)
	return nil
}

// succeed captures amount of a charge and ends the intent.
func (t *tx) succeed(in *intent, ch *charge, amount int64) {
	ch.capture(amount)
	in.moveTo(statusSucceeded)
	in.API.AmountReceived = amount
	t.putCharge(ch)
	t.putIntent(in)
}

// refuse records a failed charge (if there is one) and answers 402.
// Source: https://docs.stripe.com/error-handling, «Payment errors».
func (t *tx) refuse(in *intent, ch *charge, m testMethod, d *decline) *apiError {
	e := newError(http.StatusPaymentRequired, typeCard, d.code, d.param, "%s", d.message)
	e.Body.DeclineCode = d.declineCode
	if ch != nil {
		ch.fail(m, d)
		e.Body.Charge = ch.API.ID
		t.putCharge(ch)
	}
	t.lose(in, m, e)
	return e
}

// lose takes the payment method off an intent whose attempt failed, and keeps the reason.
func (t *tx) lose(in *intent, m testMethod, e *apiError) {
	e.Body.PaymentMethod = t.methodObject(in, m)
	kept := e.Body
	in.moveTo(statusRequiresPaymentMethod)
	in.API.PaymentMethod = ""
	in.API.LastPaymentError = &kept
	in.Authenticated = false
	t.putIntent(in)
	e.Body.PaymentIntent = &in.API
}

func (t *tx) methodObject(in *intent, m testMethod) *paymentMethod {
	return &paymentMethod{
		ID: in.MethodID, Object: "payment_method", Created: in.API.Created, Type: "card",
		Card: chargedCard{
			Brand: m.brand, Country: m.country, ExpMonth: cardExpMonth, ExpYear: t.now.Year() + cardYears,
			Funding: m.funding, Last4: m.last4, Network: m.brand,
		},
	}
}

// cancel ends an intent and releases its authorisation.
func (t *tx) cancel(in *intent, reason string, at time.Time) {
	if in.API.Status == statusRequiresCapture {
		ch := t.charge(string(in.API.LatestCharge))
		ch.release()
		t.putCharge(ch)
	}
	in.moveTo(statusCanceled)
	in.API.CanceledAt = optionalTime(at.Unix())
	in.API.CancellationReason = optional(reason)
	t.putIntent(in)
}
