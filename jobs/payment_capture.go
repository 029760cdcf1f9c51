package jobs

import (
	"time"

	"github.com/google/uuid"

	"millrace/internal/payment"
	"millrace/internal/ratelimit"
)

// PaymentCaptureArgs is what a payment_capture job carries.
type PaymentCaptureArgs struct {
	PaymentID uuid.UUID `json:"payment_id"`
}

// Kind implements river.JobArgs.
func (PaymentCaptureArgs) Kind() string { return "payment_capture" }

func paymentCapture(do work[PaymentCaptureArgs]) *Kind {
	return stored(Kind{
		Name:     PaymentCaptureArgs{}.Kind(),
		Queue:    "payments",
		Slots:    50,
		Summary:  "Charges a payment method, or captures an authorised PaymentIntent, through Stripe.",
		Public:   true,
		Resource: "payment",

		KeyRequired: true, // a repeat without a key charges again
		Limit:       ratelimit.Payments,
		PersonLimit: ratelimit.Customers, // who tests stolen cards names few customers, or is held by Limit
		Policy: Policy{
			MaxAttempts: 25,
			Timeout:     45 * time.Second, // two calls to the gateway at their slowest, 10 s and one SDK retry each
			FirstRetry:  time.Second,
			MaxRetry:    30 * time.Minute, // all attempts within 8 h, while Stripe still knows our keys (24 h)
			Target:      5 * time.Second,
		},
		Sample: payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa", Description: "Two tickets"},
	}, store[payment.Payment]{
		insertMany: payment.InsertMany,
		find:       payment.Find,
		cancel:     payment.Cancel,
		original:   payment.Payment.Submitted,
		deadline:   payment.Payment.Deadline,
		person:     func(p payment.Payment) string { return p.CustomerEmail },
		seal:       payment.Seal,
		masked:     payment.Payment.Masked,
	}, func(in payment.Request, at Acceptance) (payment.Payment, PaymentCaptureArgs) {
		return payment.New(at.Tenant, at.ID, in, at.Now), PaymentCaptureArgs{PaymentID: at.ID}
	}, do)
}
