package sandbox

import (
	"net/http"
	"time"
)

// parseCapture is POST /v1/payment_intents/{id}/capture. Source: https://docs.stripe.com/api/payment_intents/capture.
func (s *Stripe) parseCapture(c *call) (operation, *apiError) {
	allowed := []string{"amount_to_capture", "expand", "metadata", "statement_descriptor", "statement_descriptor_suffix"}
	if apiErr := c.form.only(allowed, unsupportedParams()); apiErr != nil {
		return nil, apiErr
	}
	a, apiErr := s.parseAttributes(c.form)
	if apiErr != nil {
		return nil, apiErr
	}
	expand, apiErr := c.form.expand(intentExpansions()...)
	if apiErr != nil {
		return nil, apiErr
	}
	wanted := int64(0)
	if c.form.has("amount_to_capture") {
		if wanted, apiErr = c.form.integer("amount_to_capture"); apiErr != nil {
			return nil, apiErr
		}
	}
	return func(t *tx) (any, *apiError) {
		in := t.intent(c.id)
		if in == nil {
			return nil, noSuch(http.StatusNotFound, "payment_intent", "intent", c.id)
		}
		if apiErr := t.capture(in, wanted, a); apiErr != nil {
			return nil, apiErr
		}
		return t.intentView(in, expand), nil
	}, nil
}

func (t *tx) capture(in *intent, wanted int64, a attributes) *apiError {
	if in.API.Status == statusSucceeded {
		return unexpectedState(in, "This PaymentIntent could not be captured because it has already been captured.")
	}
	if in.API.Status != statusRequiresCapture {
		return unexpectedState(in, "This PaymentIntent could not be captured because it has a status of %s. "+
			"Only a PaymentIntent with one of the following statuses may be captured: requires_capture.", in.API.Status)
	}
	if wanted == 0 {
		wanted = in.API.AmountCapturable
	}
	if wanted > in.API.AmountCapturable {
		return invalidRequest(codeAmountTooLarge, "amount_to_capture",
			"The requested capture amount is greater than the remaining amount you can capture.")
	}
	if apiErr := checkMultiple("amount_to_capture", wanted, in.API.Currency); apiErr != nil {
		return apiErr
	}
	if apiErr := t.assign(in, a); apiErr != nil {
		return apiErr
	}
	t.succeed(in, t.charge(string(in.API.LatestCharge)), wanted)
	return nil
}

// parseCancel is POST /v1/payment_intents/{id}/cancel. Source: https://docs.stripe.com/api/payment_intents/cancel.
func (s *Stripe) parseCancel(c *call) (operation, *apiError) {
	if apiErr := c.form.only([]string{"cancellation_reason", "expand"}, nil); apiErr != nil {
		return nil, apiErr
	}
	reason, apiErr := c.form.enum("cancellation_reason", "", "duplicate", "fraudulent", "requested_by_customer", "abandoned")
	if apiErr != nil {
		return nil, apiErr
	}
	expand, apiErr := c.form.expand(intentExpansions()...)
	if apiErr != nil {
		return nil, apiErr
	}
	return func(t *tx) (any, *apiError) {
		in := t.intent(c.id)
		if in == nil {
			return nil, noSuch(http.StatusNotFound, "payment_intent", "intent", c.id)
		}
		switch in.API.Status {
		case statusRequiresPaymentMethod, statusRequiresCapture, statusRequiresConfirmation, statusRequiresAction:
		case statusProcessing, statusSucceeded, statusCanceled:
			return nil, unexpectedState(in, "You cannot cancel this PaymentIntent because it has a status of %s. "+
				"Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, "+
				"requires_capture, requires_confirmation, requires_action.", in.API.Status)
		}
		t.cancel(in, reason, time.Unix(t.now.Unix(), 0))
		return t.intentView(in, expand), nil
	}, nil
}

// Expire lets an intent's authorisation expire now, as if its time had passed, and returns the intent's status.
func (s *Stripe) Expire(intentID string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(nil)
	in := t.intent(intentID)
	if in == nil {
		return "", ErrNoSuchIntent
	}
	if in.API.Status != statusRequiresCapture {
		return string(in.API.Status), ErrNoAuthorization
	}
	t.cancel(in, canceledByTime, t.now)
	if err := s.commit(t, nil); err != nil {
		return "", err
	}
	return string(in.API.Status), nil
}

// postExpire takes no body and answers {"id", "status"}.
func (s *Stripe) postExpire(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	status, err := s.Expire(id)
	writeStatus(w, id, status, err)
}
