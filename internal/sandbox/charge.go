package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	riskNormal  = "normal"
	riskHighest = "highest"
)

// authorizationTime is how long an uncaptured authorisation holds. Card networks differ by a few days either way; this
// is Stripe's default. Source: https://docs.stripe.com/payments/place-a-hold-on-a-payment-method.
const authorizationTime = 7 * 24 * time.Hour

// shortAuthorizationTime is that of pm_sandbox_short_authorization, by the injected clock.
const shortAuthorizationTime = 5 * time.Second

// settlementTime is how long the pm_sandbox_processing_* methods stay in processing, by the injected clock.
const settlementTime = 20 * time.Second

// Charge is one row of the ledger: one attempt to move money. A failed one is in the ledger too, with Paid false: to
// count what was really charged, count the paid ones.
type Charge struct {
	ID             string            `json:"id"`
	PaymentIntent  string            `json:"payment_intent"`
	Amount         int64             `json:"amount"` // in the currency's minor unit, as are the others
	AmountCaptured int64             `json:"amount_captured"`
	AmountRefunded int64             `json:"amount_refunded"` // includes what a partial capture or a cancellation released
	Currency       string            `json:"currency"`
	Status         string            `json:"status"`   // succeeded, pending or failed
	Paid           bool              `json:"paid"`     // succeeded, or authorised for a later capture
	Captured       bool              `json:"captured"` // false while authorised only, and for ever when it failed
	FailureCode    string            `json:"failure_code,omitempty"`
	DeclineCode    string            `json:"decline_code,omitempty"`
	Refunded       bool              `json:"refunded"` // nothing of it is left: all refunded, or released
	Disputed       bool              `json:"disputed"`
	PaymentMethod  string            `json:"payment_method"` // the test method's name: pm_card_visa
	Metadata       map[string]string `json:"metadata"`       // the intent's, as it was when the charge was made
	IdempotencyKey string            `json:"idempotency_key,omitempty"`
	Created        time.Time         `json:"created"`
}

// Charges returns the ledger, oldest first.
func (s *Stripe) Charges() []Charge {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleAll()
	out := make([]Charge, 0, len(s.state.chargeOrder))
	for _, id := range s.state.chargeOrder {
		out = append(out, s.state.charges[id].row())
	}
	return out
}

// paymentIDKey is the metadata key by which ChargesByPayment groups.
const paymentIDKey = "payment_id"

// PaymentCharges sums up the charges of one payment. More than one paid charge is a customer charged twice.
type PaymentCharges struct {
	Paid           int   `json:"paid"`            // charges that succeeded or were authorised, expired and canceled ones included
	Captured       int   `json:"captured"`        // charges that were captured
	AmountCaptured int64 `json:"amount_captured"` // in the currency's minor unit
	AmountRefunded int64 `json:"amount_refunded"` // the same; as Charge.AmountRefunded, with what was released
}

// ChargesByPayment sums up the ledger by the payment_id in the charges' metadata. Charges without one are under "". A
// payment whose every charge failed is there, with zeros.
func (s *Stripe) ChargesByPayment() map[string]PaymentCharges { return byPayment(s.Charges()) }

func byPayment(charges []Charge) map[string]PaymentCharges {
	out := map[string]PaymentCharges{}
	for _, ch := range charges {
		sum := out[ch.Metadata[paymentIDKey]]
		if ch.Paid {
			sum.Paid++
		}
		if ch.Captured {
			sum.Captured++
		}
		sum.AmountCaptured += ch.AmountCaptured
		sum.AmountRefunded += ch.AmountRefunded
		out[ch.Metadata[paymentIDKey]] = sum
	}
	return out
}

// charge is a charge as the state and the journal hold it.
type charge struct {
	API            stripeCharge `json:"api"`
	TestMethod     string       `json:"test_method"`
	DeclineCode    string       `json:"decline_code,omitempty"`
	IdempotencyKey string       `json:"idempotency_key,omitempty"`
	Disputes       []*dispute   `json:"disputes,omitempty"` // oldest first; none is changed once it is here
}

// stripeCharge is Stripe's Charge object. Source: https://docs.stripe.com/api/charges/object.
type stripeCharge struct {
	ID                   string               `json:"id"`
	Object               string               `json:"object"`
	Amount               int64                `json:"amount"`
	AmountCaptured       int64                `json:"amount_captured"`
	AmountRefunded       int64                `json:"amount_refunded"`
	BalanceTransaction   optional             `json:"balance_transaction"`
	Captured             bool                 `json:"captured"`
	Created              int64                `json:"created"`
	Currency             string               `json:"currency"`
	Customer             optional             `json:"customer"`
	Description          optional             `json:"description"`
	Disputed             bool                 `json:"disputed"`
	FailureCode          optional             `json:"failure_code"`
	FailureMessage       optional             `json:"failure_message"`
	Livemode             bool                 `json:"livemode"`
	Metadata             map[string]string    `json:"metadata"`
	Outcome              *chargeOutcome       `json:"outcome"`
	Paid                 bool                 `json:"paid"`
	PaymentIntent        string               `json:"payment_intent"`
	PaymentMethod        string               `json:"payment_method"`
	PaymentMethodDetails paymentMethodDetails `json:"payment_method_details"`
	ReceiptEmail         optional             `json:"receipt_email"`
	Refunded             bool                 `json:"refunded"`
	Status               string               `json:"status"`
	TransferGroup        optional             `json:"transfer_group"`
}

type chargeOutcome struct {
	NetworkStatus string   `json:"network_status"`
	Reason        optional `json:"reason"`
	RiskLevel     string   `json:"risk_level"`
	RiskScore     int      `json:"risk_score"`
	SellerMessage string   `json:"seller_message"`
	Type          string   `json:"type"`
}

type paymentMethodDetails struct {
	Card chargedCard `json:"card"`
	Type string      `json:"type"`
}

type chargedCard struct {
	AmountAuthorized int64         `json:"amount_authorized,omitempty"`
	Brand            string        `json:"brand"`
	CaptureBefore    int64         `json:"capture_before,omitempty"` // Unix seconds; only while uncaptured
	Country          string        `json:"country"`
	ExpMonth         int           `json:"exp_month"`
	ExpYear          int           `json:"exp_year"`
	Funding          string        `json:"funding"`
	Last4            string        `json:"last4"`
	Network          string        `json:"network"`
	ThreeDSecure     *threeDSecure `json:"three_d_secure"`
}

type threeDSecure struct {
	AuthenticationFlow string `json:"authentication_flow"`
	Result             string `json:"result"`
	Version            string `json:"version"`
}

// Card expiry of every test method: always in the future of the clock.
const (
	cardExpMonth = 12
	cardYears    = 3
)

// newCharge puts an attempt into the transaction: the intent's money, the method's card, and no outcome yet.
func (t *tx) newCharge(in *intent, m testMethod) *charge {
	ch := &charge{
		API: stripeCharge{
			ID: newID("ch", 24), Object: "charge", Amount: in.API.Amount, Created: t.now.Unix(), Currency: in.API.Currency,
			Customer: in.API.Customer, Description: in.API.Description, Metadata: maps.Clone(in.API.Metadata),
			PaymentIntent: in.API.ID, PaymentMethod: string(in.API.PaymentMethod), ReceiptEmail: in.API.ReceiptEmail,
			TransferGroup: in.API.TransferGroup,
			PaymentMethodDetails: paymentMethodDetails{Type: "card", Card: chargedCard{
				Brand: m.brand, Country: m.country, ExpMonth: cardExpMonth, ExpYear: t.now.Year() + cardYears,
				Funding: m.funding, Last4: m.last4, Network: m.brand,
			}},
		},
		TestMethod:     m.name,
		IdempotencyKey: in.AttemptKey,
	}
	if in.Authenticated {
		ch.API.PaymentMethodDetails.Card.ThreeDSecure = &threeDSecure{
			AuthenticationFlow: "challenge", Result: "authenticated", Version: "2.2.0",
		}
	}
	in.API.LatestCharge = optional(ch.API.ID)
	t.putCharge(ch)
	return ch
}

func (ch *charge) outcome(m testMethod, network, kind, reason, message string) {
	score := map[string]int{riskNormal: 20, "elevated": 65, riskHighest: 95}[m.risk]
	ch.API.Outcome = &chargeOutcome{
		NetworkStatus: network, Reason: optional(reason), RiskLevel: m.risk, RiskScore: score,
		SellerMessage: message, Type: kind,
	}
}

func (ch *charge) fail(m testMethod, d *decline) {
	ch.API.Status, ch.API.Paid, ch.DeclineCode = "failed", false, d.declineCode
	ch.API.FailureCode, ch.API.FailureMessage = optional(d.code), optional(d.message)
	if d.blocked {
		ch.outcome(m, "not_sent_to_network", "blocked", "highest_risk_level", "Stripe blocked this payment as too risky.")
		return
	}
	ch.outcome(m, "declined_by_network", "issuer_declined", d.declineCode,
		fmt.Sprintf("The bank returned the decline code `%s`.", d.declineCode))
}

func (ch *charge) approve(m testMethod) {
	ch.API.Status, ch.API.Paid = "succeeded", true
	ch.outcome(m, "approved_by_network", "authorized", "", "Payment complete.")
}

func (ch *charge) authorize(m testMethod, now time.Time) {
	ch.approve(m)
	card := &ch.API.PaymentMethodDetails.Card
	card.AmountAuthorized, card.CaptureBefore = ch.API.Amount, now.Add(m.holds).Unix()
}

// capture takes amount and releases the rest, which Stripe books as refunded.
func (ch *charge) capture(amount int64) {
	ch.API.Captured, ch.API.AmountCaptured = true, amount
	ch.API.AmountRefunded = ch.API.Amount - amount
	ch.API.BalanceTransaction = optional(newID("txn", 24))
	ch.API.PaymentMethodDetails.Card.CaptureBefore = 0
}

// release lets an uncaptured authorisation go.
func (ch *charge) release() {
	ch.API.AmountRefunded, ch.API.Refunded = ch.API.Amount, true
	ch.API.PaymentMethodDetails.Card.CaptureBefore = 0
}

func (ch *charge) row() Charge {
	return Charge{
		ID: ch.API.ID, PaymentIntent: ch.API.PaymentIntent, Amount: ch.API.Amount, AmountCaptured: ch.API.AmountCaptured,
		AmountRefunded: ch.API.AmountRefunded, Currency: ch.API.Currency, Status: ch.API.Status, Paid: ch.API.Paid,
		Captured: ch.API.Captured, Refunded: ch.API.Refunded, Disputed: ch.API.Disputed, FailureCode: string(ch.API.FailureCode), DeclineCode: ch.DeclineCode,
		PaymentMethod: ch.TestMethod, Metadata: maps.Clone(ch.API.Metadata), IdempotencyKey: ch.IdempotencyKey,
		Created: time.Unix(ch.API.Created, 0).UTC(),
	}
}

func (ch *charge) clone() *charge {
	c := *ch
	c.API.Metadata = maps.Clone(ch.API.Metadata)
	c.Disputes = slices.Clone(ch.Disputes)
	if ch.API.Outcome != nil {
		o := *ch.API.Outcome
		c.API.Outcome = &o
	}
	return &c
}
