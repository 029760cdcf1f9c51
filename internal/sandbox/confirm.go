package sandbox

import "net/http"

// confirmation is what a confirmation says beyond the intent itself.
type confirmation struct {
	paymentMethod         string
	captureMethod         string
	receiptEmail          string
	returnURL             string
	setupFuture           string
	offSession            bool
	errorOnRequiresAction bool
	requestChallenge      bool
	browser               bool   // by Stripe.js, which shows the challenge itself and needs no return_url
	redirectBase          string // where the sandbox itself is reached
	key                   string // idempotency key, for the ledger
}

func parseConfirmation(c *call) (confirmation, *apiError) {
	f := c.form
	conf := confirmation{
		paymentMethod: f.text("payment_method"), returnURL: f.text("return_url"),
		redirectBase: "http://" + c.host, key: c.idemKey,
	}
	var apiErr *apiError
	if conf.captureMethod, apiErr = f.captureMethod(); apiErr != nil {
		return conf, apiErr
	}
	if conf.receiptEmail, apiErr = f.email("receipt_email"); apiErr != nil {
		return conf, apiErr
	}
	if conf.setupFuture, apiErr = f.enum("setup_future_usage", "", "", "off_session", "on_session"); apiErr != nil {
		return conf, apiErr
	}
	if conf.offSession, apiErr = f.boolean("off_session"); apiErr != nil {
		return conf, apiErr
	}
	if conf.errorOnRequiresAction, apiErr = f.boolean("error_on_requires_action"); apiErr != nil {
		return conf, apiErr
	}
	if _, apiErr = f.boolean("use_stripe_sdk"); apiErr != nil {
		return conf, apiErr
	}
	conf.requestChallenge, apiErr = f.requestChallenge()
	return conf, apiErr
}

// requestChallenge reads the one payment_method_option that the sandbox knows.
// Source: https://docs.stripe.com/payments/3d-secure/authentication-flow, «Manually trigger 3DS».
func (f form) requestChallenge() (bool, *apiError) {
	const name = "payment_method_options[card][request_three_d_secure]"
	options, _ := f.sub("payment_method_options")
	for inner := range options {
		if full := "payment_method_options[" + inner + "]"; full != name {
			return false, invalidRequest("", full, "The sandbox does not support this parameter: %s", full)
		}
	}
	how, apiErr := f.enum(name, "automatic", "automatic", "any", "challenge")
	return how != "automatic", apiErr
}

// parseConfirm is POST /v1/payment_intents/{id}/confirm. Source: https://docs.stripe.com/api/payment_intents/confirm.
func (s *Stripe) parseConfirm(c *call) (operation, *apiError) {
	allowed := []string{
		"capture_method", "error_on_requires_action", "expand", "off_session", "payment_method", "payment_method_options",
		"receipt_email", "return_url", "setup_future_usage", "use_stripe_sdk",
	}
	if apiErr := c.form.only(allowed, unsupportedParams()); apiErr != nil {
		return nil, apiErr
	}
	expand, apiErr := c.form.expand(intentExpansions()...)
	if apiErr != nil {
		return nil, apiErr
	}
	conf, apiErr := parseConfirmation(c)
	if apiErr != nil {
		return nil, apiErr
	}
	return func(t *tx) (any, *apiError) {
		in := t.intent(c.id)
		if in == nil {
			return nil, noSuch(http.StatusNotFound, "payment_intent", "intent", c.id)
		}
		if apiErr := t.confirm(in, conf); apiErr != nil {
			return nil, apiErr
		}
		return t.intentView(in, expand), nil
	}, nil
}

// confirm makes one attempt to pay. When it refuses before anything was attempted, nothing of in is kept.
func (t *tx) confirm(in *intent, conf confirmation) *apiError {
	switch in.API.Status {
	case statusRequiresPaymentMethod, statusRequiresConfirmation, statusRequiresAction:
	case statusSucceeded:
		return unexpectedState(in,
			"You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.")
	case statusProcessing, statusRequiresCapture, statusCanceled:
		return unexpectedState(in, "You cannot confirm this PaymentIntent because it has a status of %s. "+
			"Only a PaymentIntent with one of the following statuses may be confirmed: "+
			"requires_payment_method, requires_confirmation, requires_action.", in.API.Status)
	}
	if conf.paymentMethod != "" {
		if apiErr := t.usePaymentMethod(in, conf.paymentMethod); apiErr != nil {
			return apiErr
		}
	}
	if in.API.PaymentMethod == "" {
		return unexpectedState(in, "You cannot confirm this PaymentIntent because it's missing a payment method. "+
			"You can either update the PaymentIntent with a payment method and then confirm it again, "+
			"or confirm it again directly with a payment method.")
	}
	if conf.returnURL != "" {
		in.ReturnURL = conf.returnURL
	}
	if in.needsReturnURL(conf) {
		return returnURLMissing()
	}
	if conf.captureMethod != "" {
		in.API.CaptureMethod = conf.captureMethod
	}
	if conf.receiptEmail != "" {
		in.API.ReceiptEmail = optional(conf.receiptEmail)
	}
	if conf.setupFuture != "" {
		in.API.SetupFutureUsage = optional(conf.setupFuture)
	}
	in.AttemptKey, in.Authenticated, in.API.LastPaymentError = conf.key, false, nil

	m := t.s.methods[in.TestMethod]
	if m.challenges(conf) {
		return t.challenge(in, m, conf)
	}
	return t.attempt(in, m)
}

// needsReturnURL holds for an intent that takes the Dashboard's payment methods, redirects included.
func (in *intent) needsReturnURL(conf confirmation) bool {
	auto := in.API.AutomaticPaymentMethods
	return !conf.browser && auto != nil && auto.AllowRedirects == redirectsAlways && in.ReturnURL == "" && conf.returnURL == ""
}

func returnURLMissing() *apiError {
	return invalidRequest("", "", "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. "+
		"Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. "+
		"If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "+
		"`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.")
}

func (m testMethod) challenges(conf confirmation) bool {
	switch m.challenge {
	case challengeAlways:
		return true
	case challengeOnSession:
		return !conf.offSession
	case challengeWhenRequired:
		return conf.requestChallenge
	case challengeNever:
	}
	return false
}

// challenge asks for 3-D Secure, or refuses when nobody is there to pass it.
// Sources: https://docs.stripe.com/payments/3d-secure, https://docs.stripe.com/api/payment_intents/confirm, off_session
// and error_on_requires_action.
func (t *tx) challenge(in *intent, m testMethod, conf confirmation) *apiError {
	if conf.offSession {
		return t.refuse(in, t.newCharge(in, m), m, declineFor("authentication_required"))
	}
	if conf.errorOnRequiresAction {
		return t.refuse(in, nil, m, declineFor("authentication_not_handled"))
	}
	in.moveTo(statusRequiresAction)
	if in.ReturnURL != "" && !conf.browser {
		in.API.NextAction = &nextAction{Type: "redirect_to_url", RedirectToURL: &redirectToURL{
			ReturnURL: in.ReturnURL,
			URL:       conf.redirectBase + "/_sandbox/payment_intents/" + in.API.ID + "/authenticate",
		}}
	} else {
		in.API.NextAction = &nextAction{Type: "use_stripe_sdk", UseStripeSDK: &useStripeSDK{
			Source: newID("src", 24), Type: "stripe_3ds2_fingerprint",
		}}
	}
	t.putIntent(in)
	return nil
}

// authenticated ends a challenge. A failed one leaves no charge.
// Source: https://docs.stripe.com/error-codes#payment-intent-authentication-failure.
func (t *tx) authenticated(in *intent, passed bool) *apiError {
	m := t.s.methods[in.TestMethod]
	if !passed {
		t.lose(in, m, invalidRequest("payment_intent_authentication_failure", "", "The provided PaymentMethod has failed "+
			"authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this "+
			"PaymentIntent again."))
		return nil
	}
	in.Authenticated = true
	return t.attempt(in, m)
}
