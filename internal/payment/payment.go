// Package payment holds what a payment is: its request and rules, its states,
// its rows, and the capture through a gateway. It knows no job queue and no
// HTTP.
package payment

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"millrace/internal/fault"
	"millrace/internal/money"
)

// Limits of a request. The metadata limits and the description's length are
// Stripe's (API reference, "Create a PaymentIntent"), those of amounts are in
// package money.
const (
	MaxDescription      = 1000 // characters
	MaxItems            = 100
	MaxMetadataKeys     = 50
	MaxMetadataKey      = 40  // characters
	MaxMetadataValue    = 500 // characters
	maxEmail            = 254 // octets, RFC 5321
	maxGatewayReference = 255 // characters of a Stripe id
)

// MetadataID is the key under which a gateway's record names our payment.
const MetadataID = "payment_id"

// Request is what a client submits: either a new charge (PaymentMethod) or the
// capture of an authorised PaymentIntent (PaymentIntent).
type Request struct {
	Amount          int64             `json:"amount,omitzero" doc:"In the currency's minor unit (cents for usd, yen for jpy), within Stripe's limits for the currency. Required with payment_method." minimum:"1" example:"1999"`
	Currency        string            `json:"currency,omitzero" doc:"ISO 4217, lower or upper case. Required with payment_method." minLength:"3" maxLength:"3" example:"usd"`
	PaymentMethod   string            `json:"payment_method,omitzero" doc:"Stripe PaymentMethod to charge. Exactly one of payment_method and payment_intent." example:"pm_card_visa"`
	PaymentIntent   string            `json:"payment_intent,omitzero" doc:"Authorised Stripe PaymentIntent to capture." example:"pi_3MrPBM2eZvKYlo2C1TEMacFD"`
	AmountToCapture int64             `json:"amount_to_capture,omitzero" doc:"With payment_intent: how much of the authorised amount to capture, in minor units; all of it when absent." minimum:"1"`
	CaptureBefore   *time.Time        `json:"capture_before,omitzero" doc:"With payment_intent: when its authorisation expires (capture_before of the Stripe charge). Captures run soonest-expiring first." example:"2030-01-31T09:30:00Z"`
	CustomerEmail   string            `json:"customer_email,omitzero" doc:"Where Stripe sends the receipt. Answers mask it: c•••@example.com." format:"email" maxLength:"254" example:"customer@example.com"`
	Description     string            `json:"description,omitzero" doc:"Shown to the customer." maxLength:"1000" example:"Two tickets"`
	Items           []Item            `json:"items,omitzero" doc:"What is paid for. When every item has a price, they must add up to amount." maxItems:"100"`
	Metadata        map[string]string `json:"metadata,omitzero" doc:"Your own references, up to 50 keys. No personal data." `
}

// Item is one line of what is paid for.
type Item struct {
	Name     string `json:"name" minLength:"1" maxLength:"200" example:"Ticket"`
	Quantity int64  `json:"quantity" minimum:"1" example:"1"`
	Price    *int64 `json:"price,omitzero" doc:"Of one unit, in minor units." minimum:"0" example:"1999"`
}

// LogValue implements slog.LogValuer: who pays for what stays out of logs.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("amount", r.Amount), slog.String("currency", r.Currency))
}

// Validate checks a request and returns it normalised: trimmed, the currency
// in lower case. The error is an INVALID_INPUT fault that names every field.
func (r Request) Validate() (Request, error) {
	r.Currency = strings.ToLower(strings.TrimSpace(r.Currency))
	r.PaymentMethod = strings.TrimSpace(r.PaymentMethod)
	r.PaymentIntent = strings.TrimSpace(r.PaymentIntent)
	r.CustomerEmail = strings.TrimSpace(r.CustomerEmail)

	var fields fault.Fields
	switch {
	case (r.PaymentMethod == "") == (r.PaymentIntent == ""):
		fields.Add("payment_method", "or payment_intent must be given, and not both")
	case r.PaymentMethod != "":
		fields.Check(reference(r.PaymentMethod), "payment_method", "must be the id of a Stripe PaymentMethod (pm_…)")
		checkAmount(&fields, "amount", r.Amount, checkCurrency(&fields, r.Currency))
		fields.Check(r.AmountToCapture == 0, "amount_to_capture", "goes with payment_intent only")
		fields.Check(r.CaptureBefore == nil, "capture_before", "goes with payment_intent only")
	default:
		fields.Check(reference(r.PaymentIntent) && strings.HasPrefix(r.PaymentIntent, "pi_"), "payment_intent", "must be the id of a Stripe PaymentIntent (pi_…)")
		var known *money.Currency
		if r.Currency != "" {
			known = checkCurrency(&fields, r.Currency)
		}
		if r.Amount != 0 {
			fields.Check(r.Currency != "", "currency", "must be given with amount")
			checkAmount(&fields, "amount", r.Amount, known)
		}
		r.checkPart(&fields, known)
	}
	if r.CustomerEmail != "" {
		address, err := mail.ParseAddress(r.CustomerEmail)
		fields.Check(err == nil && address.Address == r.CustomerEmail && len(r.CustomerEmail) <= maxEmail,
			"customer_email", "must be an e-mail address such as customer@example.com")
	}
	fields.Check(utf8.RuneCountInString(r.Description) <= MaxDescription, "description", fmt.Sprintf("must have at most %d characters", MaxDescription))
	r.checkItems(&fields)
	fields.Check(len(r.Metadata) <= MaxMetadataKeys, "metadata", fmt.Sprintf("must have at most %d keys", MaxMetadataKeys))
	_, ours := r.Metadata[MetadataID]
	fields.Check(!ours, "metadata", "must not have the key "+MetadataID+", which Millrace sets")
	for key, value := range r.Metadata {
		fields.Check(key != "" && utf8.RuneCountInString(key) <= MaxMetadataKey && !strings.ContainsAny(key, "[]"),
			"metadata", fmt.Sprintf("must have keys of 1 to %d characters without brackets", MaxMetadataKey))
		fields.Check(utf8.RuneCountInString(value) <= MaxMetadataValue, "metadata", fmt.Sprintf("must have values of at most %d characters", MaxMetadataValue))
	}
	return r, fields.Err()
}

// checkPart checks how much of an authorised amount is to be captured: that may
// be less than what the currency lets charge.
func (r Request) checkPart(fields *fault.Fields, c *money.Currency) {
	if r.AmountToCapture == 0 {
		return
	}
	fields.Check(r.AmountToCapture > 0 && r.AmountToCapture <= money.Maximum, "amount_to_capture", "must be a positive integer in the currency's minor unit")
	fields.Check(c == nil || r.AmountToCapture%c.Multiple == 0, "amount_to_capture", "must be a multiple of the currency's smallest step")
	fields.Check(r.Amount == 0 || r.AmountToCapture <= r.Amount, "amount_to_capture", "must not exceed amount")
}

func checkCurrency(fields *fault.Fields, code string) *money.Currency {
	c, ok := money.Find(code)
	if !ok {
		fields.Add("currency", "must be an ISO 4217 code that Stripe charges in, such as usd")
		return nil
	}
	return &c
}

// checkAmount checks a charge. Without a known currency only its sign is checked.
func checkAmount(fields *fault.Fields, name string, amount int64, c *money.Currency) {
	if c == nil {
		fields.Check(amount > 0, name, "must be a positive integer in the currency's minor unit")
		return
	}
	if err := c.Check(amount); err != nil {
		fields.Add(name, err.Error()+", as an integer in the currency's minor unit")
	}
}

func (r Request) checkItems(fields *fault.Fields) {
	fields.Check(len(r.Items) <= MaxItems, "items", fmt.Sprintf("must have at most %d entries", MaxItems))
	var sum int64
	priced := len(r.Items) > 0
	for i, item := range r.Items {
		at := fmt.Sprintf("items[%d].", i)
		fields.Check(strings.TrimSpace(item.Name) != "" && utf8.RuneCountInString(item.Name) <= 200, at+"name", "must have 1 to 200 characters")
		fields.Check(item.Quantity >= 1 && item.Quantity <= maxFactor, at+"quantity", "must be a positive integer")
		if item.Price == nil {
			priced = false
			continue
		}
		ok := *item.Price >= 0 && *item.Price <= maxFactor
		fields.Check(ok, at+"price", "must be an integer from 0 in the currency's minor unit")
		if !ok || item.Quantity > maxFactor {
			priced = false
			continue
		}
		sum = addProduct(sum, *item.Price, item.Quantity)
	}
	if priced && r.Amount > 0 {
		fields.Check(sum == r.Amount, "items", "must add up to amount when each has a price")
	}
}

// maxFactor bounds prices and quantities, which an amount cannot exceed either.
const maxFactor = money.Maximum

// addProduct returns sum + price*quantity, or more than any amount may be. All
// are from 0 to maxFactor, or the result of this function.
func addProduct(sum, price, quantity int64) int64 {
	const tooMuch = money.Maximum + 1
	if price > 0 && quantity > tooMuch/price {
		return tooMuch
	}
	return min(sum+price*quantity, tooMuch)
}

func reference(id string) bool {
	return len(id) <= maxGatewayReference && strings.IndexFunc(id, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) < 0
}

// Payment is one payment of a tenant.
type Payment struct {
	ID     uuid.UUID `json:"id"`
	Tenant string    `json:"-"`
	Status Status    `json:"status" enum:"pending,processing,requires_action,captured,failed,refunded,disputed"`
	Request
	// JobID is the job that carries the payment.
	JobID int64 `json:"job_id,string,omitzero" doc:"The job that carries the payment." example:"4711"`
	// IntentID is the gateway's PaymentIntent, once there is one.
	IntentID string `json:"payment_intent_id,omitzero" doc:"Stripe's PaymentIntent, once there is one."`
	// ClientSecret is there while Status is RequiresAction.
	ClientSecret   string          `json:"client_secret,omitzero" doc:"While the status is requires_action: what Stripe.js needs to let the customer authenticate the payment. Do not log or store it."`
	ExpiresAt      *time.Time      `json:"authorization_expires_at,omitzero" doc:"When an authorised amount can be captured no more, as far as Stripe has said."`
	AmountCaptured int64           `json:"amount_captured,omitzero" doc:"In minor units."`
	AmountRefunded int64           `json:"amount_refunded,omitzero" doc:"In minor units."`
	Failure        json.RawMessage `json:"failure,omitzero" doc:"Why it failed: code, error and details as in an error answer."`
	// GatewayRequests counts all requests, GatewayLog shows the newest.
	GatewayRequests int       `json:"gateway_requests" doc:"How many times the gateway was asked."`
	GatewayLog      Log       `json:"gateway_log,omitzero" doc:"What the gateway was asked and what it answered, oldest first: the newest 100, and of reads that kept getting the same answer the first and the last."`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`

	// handedOut says that the customer's browser may have the client secret.
	handedOut bool
	// sealed is what private is stored as; nil when the row is plain.
	sealed []byte
}

// LogValue implements slog.LogValuer.
func (p Payment) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", p.ID.String()), slog.String("status", string(p.Status)))
}

// New returns the payment that a valid request asks for. now is truncated to
// microseconds, which is what the database keeps.
func New(tenant string, id uuid.UUID, request Request, now time.Time) Payment {
	now = now.UTC().Truncate(time.Microsecond)
	return Payment{ID: id, Tenant: tenant, Status: Pending, Request: request, CreatedAt: now, UpdatedAt: now}
}

// Deadline returns when the payment's authorisation expires, as far as its
// request says; else the zero time.
func (p Payment) Deadline() time.Time {
	if p.CaptureBefore == nil {
		return time.Time{}
	}
	return *p.CaptureBefore
}

// Submitted returns the payment as it was when it was accepted, so that a
// replayed submission gets the answer that the first one got.
func (p Payment) Submitted() Payment {
	return New(p.Tenant, p.ID, p.Request, p.CreatedAt)
}

// Outcome is what a gateway's answers make of a payment. Amounts are in minor units.
type Outcome struct {
	Status         Status
	IntentID       string
	ClientSecret   string
	Amount         int64 // authorised or charged
	AmountCaptured int64
	AmountRefunded int64
	Currency       string
	ExpiresAt      time.Time
	// Failure is set when Status is Failed.
	Failure *fault.Fault
	// Log is the whole receipt, and Asked how many of its requests the payment's
	// count lacks.
	Log   Log
	Asked int
	// JobID is the job that carries the payment.
	JobID int64
	// Known says that the payment is final in this very way: nothing is to be settled.
	Known bool
}

// outcome returns what has become of a final payment.
func (p Payment) outcome() Outcome {
	outcome := Outcome{
		Status: p.Status, IntentID: p.IntentID, Amount: p.Amount, Currency: p.Currency,
		AmountCaptured: p.AmountCaptured, AmountRefunded: p.AmountRefunded, Log: p.GatewayLog, JobID: p.JobID, Known: true,
	}
	if p.Status == Failed {
		outcome.Failure, _ = fault.Parse(string(p.Failure))
		if outcome.Failure == nil {
			outcome.Failure = fault.New(fault.PaymentFailed, "The payment failed.")
		}
	}
	return outcome
}

// Result is what the job returns: the payment's outcome without personal data.
type Result struct {
	PaymentID      uuid.UUID `json:"payment_id"`
	Status         Status    `json:"status"`
	IntentID       string    `json:"payment_intent_id"`
	Amount         int64     `json:"amount"`
	AmountCaptured int64     `json:"amount_captured"`
	Currency       string    `json:"currency"`
}

// Result returns what the job of the payment reports when this is its outcome.
func (o Outcome) Result(id uuid.UUID) Result {
	return Result{
		PaymentID: id, Status: o.Status, IntentID: o.IntentID,
		Amount: o.Amount, AmountCaptured: o.AmountCaptured, Currency: o.Currency,
	}
}
