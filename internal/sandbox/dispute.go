package sandbox

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Statuses of a dispute. An inquiry has moved no money yet, and its charge can still be refunded.
// Source: https://docs.stripe.com/api/disputes/object, status.
const (
	disputeNeedsResponse = "needs_response"
	disputeInquiry       = "warning_needs_response"
)

// evidenceTime is how long a dispute waits for evidence. Card networks give 7 to 21 days; none is taken here.
// Source: https://docs.stripe.com/disputes/how-disputes-work.
const evidenceTime = 7 * 24 * time.Hour

// complaint is what a customer has against a charge.
type complaint struct {
	reason string
	status string
}

// dispute is Stripe's object. Source: https://docs.stripe.com/api/disputes/object.
type dispute struct {
	ID                  string            `json:"id"`
	Object              string            `json:"object"`
	Amount              int64             `json:"amount"`
	BalanceTransactions []string          `json:"balance_transactions"`
	Charge              string            `json:"charge"`
	Created             int64             `json:"created"`
	Currency            string            `json:"currency"`
	Evidence            map[string]string `json:"evidence"`
	EvidenceDetails     evidenceDetails   `json:"evidence_details"`
	IsChargeRefundable  bool              `json:"is_charge_refundable"`
	Livemode            bool              `json:"livemode"`
	Metadata            map[string]string `json:"metadata"`
	PaymentIntent       string            `json:"payment_intent"`
	Reason              string            `json:"reason"`
	Status              string            `json:"status"`
}

type evidenceDetails struct {
	DueBy           int64 `json:"due_by"`
	HasEvidence     bool  `json:"has_evidence"`
	PastDue         bool  `json:"past_due"`
	SubmissionCount int   `json:"submission_count"`
}

// Dispute lets the customer dispute a charge as fraudulent, and returns the dispute's id. ErrNotDisputable means that
// the charge is not captured, or disputed already.
func (s *Stripe) Dispute(chargeID string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(nil)
	ch := t.charge(chargeID)
	if ch == nil {
		return "", ErrNoSuchCharge
	}
	// What time has done to the charge, its intent knows.
	t.intent(ch.API.PaymentIntent)
	ch = t.charge(chargeID)
	if !ch.API.Captured || ch.API.Disputed {
		return "", ErrNotDisputable
	}
	id := t.dispute(ch, complaint{reason: "fraudulent", status: disputeNeedsResponse})
	if err := s.commit(t, nil); err != nil {
		return "", err
	}
	return id, nil
}

// dispute puts a dispute over all that was captured on a charge.
func (t *tx) dispute(ch *charge, c complaint) string {
	d := &dispute{
		ID: newID("du", 24), Object: "dispute", Amount: ch.API.AmountCaptured, BalanceTransactions: []string{},
		Charge: ch.API.ID, Created: t.now.Unix(), Currency: ch.API.Currency, Evidence: map[string]string{},
		EvidenceDetails: evidenceDetails{DueBy: t.now.Add(evidenceTime).Unix()}, IsChargeRefundable: c.status == disputeInquiry,
		Metadata: map[string]string{}, PaymentIntent: ch.API.PaymentIntent, Reason: c.reason, Status: c.status,
	}
	ch.Disputes = append(ch.Disputes, d)
	ch.API.Disputed = true
	t.putCharge(ch)
	return d.ID
}

// complain disputes the charges among those just committed whose test method asks for it, as a change of its own: the
// request that moved the money is answered, and its events are made, before the customer complains.
// Source: https://docs.stripe.com/testing#disputes.
func (s *Stripe) complain(charges []*charge) {
	t := s.begin(nil)
	for _, ch := range charges {
		if !ch.API.Captured || ch.API.Disputed {
			continue
		}
		for _, c := range s.methods[ch.TestMethod].disputes {
			t.dispute(t.charge(ch.API.ID), c)
		}
	}
	if t.rec.empty() {
		return
	}
	if err := s.commit(t, nil); err != nil {
		s.log.Error("sandbox: a change could not be written to the journal", slog.Any("error", err))
	}
}

// chargedBack says that the money is gone, so that a refund would be a second payment.
func (ch *charge) chargedBack() bool {
	for _, d := range ch.Disputes {
		if !strings.HasPrefix(d.Status, "warning_") {
			return true
		}
	}
	return false
}

// postDispute takes no body and answers {"id", "dispute"}.
func (s *Stripe) postDispute(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	disputeID, err := s.Dispute(id)
	if err != nil {
		writeControlError(w, controlStatus(err), err.Error())
		return
	}
	writeControl(w, http.StatusOK, map[string]string{"id": id, "dispute": disputeID})
}
