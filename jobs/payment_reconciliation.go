package jobs

import (
	"time"

	"github.com/google/uuid"
)

// PaymentReconciliationArgs is what a payment_reconciliation job carries: the
// payment to look at, or nothing, to look at all that nobody works on.
type PaymentReconciliationArgs struct {
	PaymentID uuid.UUID `json:"payment_id,omitzero"`
}

// Kind implements river.JobArgs.
func (PaymentReconciliationArgs) Kind() string { return "payment_reconciliation" }

// Validate returns the arguments: none are wrong.
func (a PaymentReconciliationArgs) Validate() (PaymentReconciliationArgs, error) { return a, nil }

func paymentReconciliation(do work[PaymentReconciliationArgs]) *Kind {
	return standalone(Kind{
		Name:    PaymentReconciliationArgs{}.Kind(),
		Queue:   "payments",
		Slots:   50,
		Summary: "Asks Stripe about payments that have been in flight too long, or that an event is about, and settles them.",
		Every:   time.Minute,
		Policy: Policy{
			MaxAttempts: 25,
			Timeout:     45 * time.Second,
			FirstRetry:  2 * time.Second,
			MaxRetry:    30 * time.Minute,
			Target:      time.Minute,
		},
		Sample: PaymentReconciliationArgs{},
	}, do)
}
