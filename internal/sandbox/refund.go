package sandbox

import (
	"net/http"
	"slices"

	"millrace/internal/money"
)

// refund is Stripe's object; the state and the journal hold it as it is. It succeeds at once and never changes.
// Source: https://docs.stripe.com/api/refunds/object.
type refund struct {
	ID                     string             `json:"id"`
	Object                 string             `json:"object"`
	Amount                 int64              `json:"amount"`
	BalanceTransaction     optional           `json:"balance_transaction"`
	Charge                 string             `json:"charge"`
	Created                int64              `json:"created"`
	Currency               string             `json:"currency"`
	DestinationDetails     destinationDetails `json:"destination_details"`
	Metadata               map[string]string  `json:"metadata"`
	PaymentIntent          string             `json:"payment_intent"`
	Reason                 optional           `json:"reason"`
	ReceiptNumber          optional           `json:"receipt_number"`
	SourceTransferReversal optional           `json:"source_transfer_reversal"`
	Status                 string             `json:"status"`
	TransferReversal       optional           `json:"transfer_reversal"`
}

type destinationDetails struct {
	Card refundedCard `json:"card"`
	Type string       `json:"type"`
}

type refundedCard struct {
	ReferenceStatus string `json:"reference_status"`
	ReferenceType   string `json:"reference_type"`
	Type            string `json:"type"`
}

type expandedRefund struct {
	*refund

	Charge        any `json:"charge"`
	PaymentIntent any `json:"payment_intent"`
}

func refundExpansions() []string { return []string{expandCharge, expandPaymentIntent} }

func (t *tx) refundView(re *refund, expand []string) any {
	view := expandedRefund{refund: re, Charge: re.Charge, PaymentIntent: re.PaymentIntent}
	if slices.Contains(expand, expandCharge) {
		view.Charge = &t.charge(re.Charge).API
	}
	if slices.Contains(expand, expandPaymentIntent) {
		view.PaymentIntent = &t.intent(re.PaymentIntent).API
	}
	return view
}

// parseCreateRefund is POST /v1/refunds. Source: https://docs.stripe.com/api/refunds/create.
func (s *Stripe) parseCreateRefund(c *call) (operation, *apiError) {
	allowed := []string{"amount", "charge", "expand", "metadata", "payment_intent", "reason"}
	unsupported := []string{
		"currency", "customer", "instructions_email", "origin", "refund_application_fee", "reverse_transfer",
	}
	if apiErr := c.form.only(allowed, unsupported); apiErr != nil {
		return nil, apiErr
	}
	of, chargeID := c.form.text("payment_intent"), c.form.text("charge")
	switch {
	case of == "" && chargeID == "":
		return nil, invalidRequest("", "", "One of the following params should be provided for this request: "+
			"payment_intent or charge.")
	case of != "" && chargeID != "":
		return nil, invalidRequest(codeParametersExclusive, "charge",
			"You may only specify one of these parameters: charge, payment_intent.")
	}
	wanted, apiErr := int64(0), (*apiError)(nil)
	if c.form.has("amount") {
		if wanted, apiErr = c.form.integer("amount"); apiErr != nil {
			return nil, apiErr
		}
	}
	reason, apiErr := c.form.enum("reason", "", "duplicate", "fraudulent", "requested_by_customer")
	if apiErr != nil {
		return nil, apiErr
	}
	metadata, _, apiErr := c.form.metadata()
	if apiErr != nil {
		return nil, apiErr
	}
	expand, apiErr := c.form.expand(refundExpansions()...)
	if apiErr != nil {
		return nil, apiErr
	}
	return func(t *tx) (any, *apiError) {
		ch, apiErr := t.chargeToRefund(of, chargeID)
		if apiErr != nil {
			return nil, apiErr
		}
		re, apiErr := t.refund(ch, wanted)
		if apiErr != nil {
			return nil, apiErr
		}
		re.Reason, re.Metadata = optional(reason), metadata
		return t.refundView(re, expand), nil
	}, nil
}

// chargeToRefund finds a captured charge by its intent's id or its own. The errors are what Stripe answers in test mode;
// its pages do not give their words.
func (t *tx) chargeToRefund(intentID, chargeID string) (*charge, *apiError) {
	if chargeID != "" {
		ch := t.charge(chargeID)
		if ch == nil {
			return nil, noSuch(http.StatusNotFound, "charge", "id", chargeID)
		}
		intentID = ch.API.PaymentIntent
	}
	in := t.intent(intentID)
	if in == nil {
		return nil, noSuch(http.StatusNotFound, "payment_intent", "payment_intent", intentID)
	}
	if chargeID == "" {
		chargeID = string(in.API.LatestCharge)
	}
	ch := t.charge(chargeID)
	switch {
	case ch != nil && ch.API.Captured:
		return ch, nil
	case in.API.Status == statusRequiresCapture:
		return nil, invalidRequest("", "", "This uncaptured Charge was created by a PaymentIntent (%s). You must cancel the "+
			"PaymentIntent to reverse the authorization instead of refunding the Charge directly.", in.API.ID)
	}
	return nil, invalidRequest("", "", "This PaymentIntent (%s) does not have a successful charge to refund.", in.API.ID)
}

// refund gives amount back, or all that is left when it is 0.
//
// What a partial capture released is in amount_refunded, too, and so what is left is amount less amount_refunded.
func (t *tx) refund(ch *charge, amount int64) (*refund, *apiError) {
	left := ch.API.Amount - ch.API.AmountRefunded
	code := ch.API.Currency
	switch {
	case ch.chargedBack():
		return nil, invalidRequest(codeChargeDisputed, "", "Charge %s has been charged back; cannot issue a refund.", ch.API.ID)
	case left == 0:
		return nil, invalidRequest(codeChargeRefunded, "", "Charge %s has already been refunded.", ch.API.ID)
	case amount > left:
		c, _ := money.Find(code)
		return nil, invalidRequest("", "amount", "Refund amount (%s %s) is greater than unrefunded amount on charge (%s %s)",
			c.Format(amount), code, c.Format(left), code)
	case amount == 0:
		amount = left
	}
	if apiErr := checkMultiple("amount", amount, code); apiErr != nil {
		return nil, apiErr
	}
	ch.API.AmountRefunded += amount
	ch.API.Refunded = amount == left
	t.putCharge(ch)
	re := &refund{
		ID: newID("re", 24), Object: "refund", Amount: amount, BalanceTransaction: optional(newID("txn", 24)),
		Charge: ch.API.ID, Created: t.now.Unix(), Currency: code, PaymentIntent: ch.API.PaymentIntent, Status: "succeeded",
		DestinationDetails: destinationDetails{Type: "card", Card: refundedCard{
			ReferenceStatus: "pending", ReferenceType: "acquirer_reference_number", Type: "refund",
		}},
	}
	t.rec.Refunds = append(t.rec.Refunds, re)
	return re, nil
}

// parseGetRefund is GET /v1/refunds/{id}. Source: https://docs.stripe.com/api/refunds/retrieve.
func (s *Stripe) parseGetRefund(c *call) (operation, *apiError) {
	if apiErr := c.form.only([]string{"expand"}, nil); apiErr != nil {
		return nil, apiErr
	}
	expand, apiErr := c.form.expand(refundExpansions()...)
	if apiErr != nil {
		return nil, apiErr
	}
	return func(t *tx) (any, *apiError) {
		re, ok := s.state.refunds[c.id]
		if !ok {
			return nil, noSuch(http.StatusNotFound, "refund", "id", c.id)
		}
		return t.refundView(re, expand), nil
	}, nil
}

// parseListRefunds is GET /v1/refunds. Source: https://docs.stripe.com/api/refunds/list.
func (s *Stripe) parseListRefunds(c *call) (operation, *apiError) {
	allowed := []string{"charge", "created", "ending_before", "expand", "limit", "payment_intent", "starting_after"}
	p, expand, apiErr := parseList(c, allowed, "data."+expandCharge, "data."+expandPaymentIntent)
	if apiErr != nil {
		return nil, apiErr
	}
	of, chargeID := c.form.text("payment_intent"), c.form.text("charge")
	return func(t *tx) (any, *apiError) {
		ids, more, apiErr := p.cut("refund", s.state.refundOrder, func(id string) bool {
			re := s.state.refunds[id]
			return p.covers(re.Created) && (of == "" || re.PaymentIntent == of) && (chargeID == "" || re.Charge == chargeID)
		})
		if apiErr != nil {
			return nil, apiErr
		}
		out := list{Object: "list", Data: []any{}, HasMore: more, URL: "/v1/refunds"}
		for _, id := range ids {
			out.Data = append(out.Data, t.refundView(s.state.refunds[id], expand))
		}
		return out, nil
	}, nil
}
