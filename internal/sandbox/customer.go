package sandbox

import (
	"fmt"
	"net/http"
)

// ConfirmAsCustomer confirms an intent as the customer's browser does: Stripe.js with the client secret, and with a
// payment method ("" for the one that is attached). It returns the intent's status. A decline is not an error here: it
// is in the status, and the intent's last_payment_error has the reason. ErrRefused means that nothing was attempted.
//
// A challenge that follows is for Authenticate: Stripe.js shows it in the page, and so no return_url is needed.
// Source: https://docs.stripe.com/js/payment_intents/confirm_card_payment.
func (s *Stripe) ConfirmAsCustomer(intentID, clientSecret, paymentMethod string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(nil)
	in := t.intent(intentID)
	if in == nil {
		return "", ErrNoSuchIntent
	}
	if in.API.ClientSecret != clientSecret {
		return "", ErrClientSecret
	}
	before := string(in.API.Status)
	// Source: https://docs.stripe.com/api/payment_intents/object, confirmation_method.
	if in.API.ConfirmationMethod == captureManual {
		return before, fmt.Errorf("%w: with confirmation_method=manual only the server confirms", ErrRefused)
	}
	apiErr := t.confirm(in, confirmation{paymentMethod: paymentMethod, browser: true})
	if err := s.commit(t, nil); err != nil {
		return "", err
	}
	if apiErr != nil && apiErr.Body.Type != typeCard {
		return before, fmt.Errorf("%w: %s", ErrRefused, apiErr.Body.Message)
	}
	return string(in.API.Status), nil
}

// postConfirm takes {"client_secret", "payment_method"?} and answers {"id", "status"}.
func (s *Stripe) postConfirm(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ClientSecret  string `json:"client_secret"`
		PaymentMethod string `json:"payment_method"`
	}
	if err := decodeControl(r, &body); err != nil {
		writeControlError(w, http.StatusBadRequest, err.Error())
		return
	}
	id := r.PathValue("id")
	status, err := s.ConfirmAsCustomer(id, body.ClientSecret, body.PaymentMethod)
	writeStatus(w, id, status, err)
}
