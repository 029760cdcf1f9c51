package sandbox

import (
	"crypto/rand"
	"maps"
	"net/http"
	"strings"
)

const (
	redirectsAlways = "always"
	redirectsNever  = "never"
)

// attributes are what creating and updating have in common; a nil or "unset" one was not sent.
type attributes struct {
	amount        int64 // 0: not sent
	currency      string
	description   *string
	receiptEmail  *string
	customer      *string
	metadata      map[string]string
	metadataSent  bool
	paymentMethod string
	captureMethod string
	setupFuture   *string
	descriptor    *string
	suffix        *string
	transferGroup *string
}

func attributeParams() []string {
	return []string{
		"amount", "capture_method", "currency", "customer", "description", "expand", "metadata", "payment_method",
		"receipt_email", "setup_future_usage", "statement_descriptor", "statement_descriptor_suffix", "transfer_group",
	}
}

// unsupportedParams exist in Stripe's API and would change what happens.
func unsupportedParams() []string {
	return []string{
		"application_fee_amount", "confirmation_token", "final_capture", "mandate", "mandate_data", "on_behalf_of",
		"payment_method_configuration", "payment_method_data", "radar_options", "shipping", "transfer_data",
	}
}

func (s *Stripe) parseAttributes(f form) (attributes, *apiError) {
	text := func(name string) *string {
		if !f.has(name) {
			return nil
		}
		v := f.text(name)
		return &v
	}
	a := attributes{
		description: text("description"), customer: text("customer"), setupFuture: text("setup_future_usage"),
		descriptor: text("statement_descriptor"), suffix: text("statement_descriptor_suffix"),
		transferGroup: text("transfer_group"), receiptEmail: text("receipt_email"), paymentMethod: f.text("payment_method"),
	}
	var apiErr *apiError
	if f.has("amount") {
		if a.amount, apiErr = f.integer("amount"); apiErr != nil {
			return a, apiErr
		}
	}
	if f.has("currency") {
		if a.currency, apiErr = currencyOf(f); apiErr != nil {
			return a, apiErr
		}
	}
	if _, apiErr = f.email("receipt_email"); apiErr != nil {
		return a, apiErr
	}
	if a.captureMethod, apiErr = f.captureMethod(); apiErr != nil {
		return a, apiErr
	}
	if _, apiErr = f.enum("setup_future_usage", "", "", "off_session", "on_session"); apiErr != nil {
		return a, apiErr
	}
	a.metadata, a.metadataSent, apiErr = f.metadata()
	return a, apiErr
}

func (f form) captureMethod() (string, *apiError) {
	return f.enum("capture_method", "", captureAutomatic, captureAutomaticAsync, captureManual)
}

// parseCreate is POST /v1/payment_intents. Source: https://docs.stripe.com/api/payment_intents/create.
func (s *Stripe) parseCreate(c *call) (operation, *apiError) {
	allowed := append(attributeParams(), "automatic_payment_methods", "confirm", "confirmation_method",
		"error_on_requires_action", "off_session", "payment_method_options", "payment_method_types", "return_url",
		"use_stripe_sdk")
	if apiErr := c.form.only(allowed, unsupportedParams()); apiErr != nil {
		return nil, apiErr
	}
	for _, required := range []string{"amount", "currency"} {
		if !c.form.has(required) {
			return nil, missing(required)
		}
	}
	a, apiErr := s.parseAttributes(c.form)
	if apiErr != nil {
		return nil, apiErr
	}
	if apiErr := checkAmount("amount", a.amount, a.currency); apiErr != nil {
		return nil, apiErr
	}
	in := &intent{API: paymentIntent{
		ID: newID("pi", 24), Object: "payment_intent", CaptureMethod: captureAutomatic, Metadata: map[string]string{},
		Status: statusRequiresPaymentMethod,
	}}
	in.API.ClientSecret = in.API.ID + "_secret_" + rand.Text()[:25]
	if apiErr := in.acceptMethods(c.form); apiErr != nil {
		return nil, apiErr
	}
	expand, apiErr := c.form.expand(intentExpansions()...)
	if apiErr != nil {
		return nil, apiErr
	}
	confirmNow, apiErr := c.form.boolean("confirm")
	if apiErr != nil {
		return nil, apiErr
	}
	conf, apiErr := parseConfirmation(c)
	if apiErr != nil {
		return nil, apiErr
	}
	if !confirmNow {
		apiErr = onlyWithConfirm(c.form)
	} else if in.needsReturnURL(conf) {
		apiErr = returnURLMissing()
	}
	if apiErr != nil {
		return nil, apiErr
	}
	return func(t *tx) (any, *apiError) {
		in.API.Created = t.now.Unix()
		if apiErr := t.assign(in, a); apiErr != nil {
			return nil, apiErr
		}
		if confirmNow {
			if apiErr := t.confirm(in, conf); apiErr != nil {
				return nil, apiErr
			}
		}
		t.putIntent(in)
		return t.intentView(in, expand), nil
	}, nil
}

// onlyWithConfirm refuses parameters that «can only be used with confirm=true».
func onlyWithConfirm(f form) *apiError {
	for _, name := range []string{"error_on_requires_action", "off_session", "return_url"} {
		if f.has(name) {
			return invalidRequest("", name, "The parameter %s can only be used with confirm=true.", name)
		}
	}
	return nil
}

// acceptMethods reads how the intent takes payment methods. Since API version 2023-08-16 an intent that says nothing
// takes all of the Dashboard's, redirects included; that is why confirming it then needs a return_url.
// Source: https://docs.stripe.com/upgrades#2023-08-16.
func (in *intent) acceptMethods(f form) *apiError {
	automatic, sent := f.sub("automatic_payment_methods")
	types := f.list("payment_method_types")
	for name := range automatic {
		if name != "enabled" && name != "allow_redirects" {
			full := "automatic_payment_methods[" + name + "]"
			return invalidRequest(codeParameterUnknown, full, "Received unknown parameter: %s", full)
		}
	}
	method, apiErr := f.enum("confirmation_method", captureAutomatic, "automatic", "manual")
	if apiErr != nil {
		return apiErr
	}
	in.API.ConfirmationMethod = method
	if sent && len(types) > 0 {
		return invalidRequest(codeParametersExclusive, "payment_method_types",
			"You may only specify one of these parameters: automatic_payment_methods, payment_method_types.")
	}
	if sent && f.has("confirmation_method") {
		return invalidRequest(codeParametersExclusive, "confirmation_method",
			"You may only specify one of these parameters: automatic_payment_methods, confirmation_method.")
	}
	switch {
	case len(types) > 0:
		for _, kind := range types {
			if kind != "card" {
				return invalidRequest("", "payment_method_types", "The sandbox supports payment_method_types[]=card only.")
			}
		}
	case sent:
		enabled, apiErr := f.boolean("automatic_payment_methods[enabled]")
		if apiErr != nil {
			return apiErr
		}
		redirects, apiErr := f.enum("automatic_payment_methods[allow_redirects]", redirectsAlways, redirectsAlways, redirectsNever)
		if apiErr != nil {
			return apiErr
		}
		if enabled {
			in.API.AutomaticPaymentMethods = &automaticPaymentMethods{AllowRedirects: redirects, Enabled: true}
		}
	case !f.has("confirmation_method"):
		in.API.AutomaticPaymentMethods = &automaticPaymentMethods{AllowRedirects: redirectsAlways, Enabled: true}
	}
	in.API.PaymentMethodTypes = []string{"card"}
	return nil
}

// parseUpdate is POST /v1/payment_intents/{id}. Source: https://docs.stripe.com/api/payment_intents/update.
func (s *Stripe) parseUpdate(c *call) (operation, *apiError) {
	if apiErr := c.form.only(attributeParams(), unsupportedParams()); apiErr != nil {
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
	return func(t *tx) (any, *apiError) {
		in := t.intent(c.id)
		if in == nil {
			return nil, noSuch(http.StatusNotFound, "payment_intent", "intent", c.id)
		}
		for _, name := range []string{"amount", "currency", "payment_method", "capture_method"} {
			if c.form.has(name) && !in.API.Status.confirmable() {
				return nil, unexpectedState(in, "This PaymentIntent's %s could not be updated because it has a status of %s. "+
					"You may only update the %s of a PaymentIntent with one of the following statuses: "+
					"requires_payment_method, requires_confirmation, requires_action.", name, in.API.Status, name)
			}
		}
		amount, code := in.API.Amount, in.API.Currency
		if a.amount != 0 {
			amount = a.amount
		}
		if a.currency != "" {
			code = a.currency
		}
		if a.amount != 0 || a.currency != "" {
			if apiErr := checkAmount("amount", amount, code); apiErr != nil {
				return nil, apiErr
			}
		}
		if in.API.Status == statusRequiresAction && (a.amount != 0 || a.currency != "" || a.paymentMethod != "") {
			in.moveTo(statusRequiresConfirmation)
		}
		if apiErr := t.assign(in, a); apiErr != nil {
			return nil, apiErr
		}
		in.API.LastPaymentError = nil
		t.putIntent(in)
		return t.intentView(in, expand), nil
	}, nil
}

// assign writes the attributes that were sent.
func (t *tx) assign(in *intent, a attributes) *apiError {
	set := func(field *optional, v *string) {
		if v != nil {
			*field = optional(*v)
		}
	}
	set(&in.API.Description, a.description)
	set(&in.API.ReceiptEmail, a.receiptEmail)
	set(&in.API.Customer, a.customer)
	set(&in.API.SetupFutureUsage, a.setupFuture)
	set(&in.API.StatementDescriptor, a.descriptor)
	set(&in.API.StatementDescriptorSuffix, a.suffix)
	set(&in.API.TransferGroup, a.transferGroup)
	if a.amount != 0 {
		in.API.Amount = a.amount
	}
	if a.currency != "" {
		in.API.Currency = a.currency
	}
	if a.captureMethod != "" {
		in.API.CaptureMethod = a.captureMethod
	}
	if apiErr := in.mergeMetadata(a.metadata, a.metadataSent); apiErr != nil {
		return apiErr
	}
	if a.paymentMethod != "" {
		return t.usePaymentMethod(in, a.paymentMethod)
	}
	return nil
}

// mergeMetadata adds pairs; an empty value unsets its key, and metadata="" unsets all.
// Source: https://docs.stripe.com/api/metadata.
func (in *intent) mergeMetadata(pairs map[string]string, sent bool) *apiError {
	if !sent {
		return nil
	}
	if len(pairs) == 0 {
		in.API.Metadata = map[string]string{}
		return nil
	}
	merged := maps.Clone(in.API.Metadata)
	if merged == nil {
		merged = map[string]string{}
	}
	for k, v := range pairs {
		if v == "" {
			delete(merged, k)
			continue
		}
		merged[k] = v
	}
	if len(merged) > maxMetadataKeys {
		return invalidRequest("", "metadata", "You can specify up to %d metadata keys.", maxMetadataKeys)
	}
	in.API.Metadata = merged
	return nil
}

// usePaymentMethod attaches a test method, of which Stripe makes a new PaymentMethod each time, or a PaymentMethod that
// the sandbox made before.
func (t *tx) usePaymentMethod(in *intent, id string) *apiError {
	name, made := t.s.state.methods[id]
	if !made {
		name = id
	}
	if _, ok := t.s.methods[name]; !ok {
		return noSuch(http.StatusBadRequest, "PaymentMethod", "payment_method", id)
	}
	in.TestMethod, in.MethodID = name, id
	if !made {
		in.MethodID = newID("pm", 24)
	}
	in.API.PaymentMethod = optional(in.MethodID)
	if in.API.Status == statusRequiresPaymentMethod {
		in.moveTo(statusRequiresConfirmation)
	}
	return nil
}

// methodName names the test method behind an id, for fault rules.
func (s *Stripe) methodName(id string) string {
	if strings.HasPrefix(id, "pm_card_") || strings.HasPrefix(id, "pm_sandbox_") {
		return id
	}
	return s.state.methods[id]
}
