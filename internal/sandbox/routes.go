package sandbox

import "net/http"

// apiRoute is one of Stripe's endpoints.
type apiRoute struct {
	pattern string
	parse   parser
}

// controlRoute is one of the sandbox's own. query is what the index shows behind the path.
type controlRoute struct {
	pattern string
	query   string
	handle  http.HandlerFunc
}

func (s *Stripe) apiRoutes() []apiRoute {
	return []apiRoute{
		{"POST /v1/payment_intents", s.parseCreate},
		{"GET /v1/payment_intents", s.parseListIntents},
		{"GET /v1/payment_intents/{id}", s.parseGetIntent},
		{"POST /v1/payment_intents/{id}", s.parseUpdate},
		{"POST /v1/payment_intents/{id}/confirm", s.parseConfirm},
		{"POST /v1/payment_intents/{id}/capture", s.parseCapture},
		{"POST /v1/payment_intents/{id}/cancel", s.parseCancel},
		{"GET /v1/charges", s.parseListCharges},
		{"GET /v1/charges/{id}", s.parseGetCharge},
		{"POST /v1/refunds", s.parseCreateRefund},
		{"GET /v1/refunds", s.parseListRefunds},
		{"GET /v1/refunds/{id}", s.parseGetRefund},
	}
}

func (s *Stripe) controlRoutes() []controlRoute {
	return []controlRoute{
		{"GET /_sandbox/charges", "?by=payment&payment_intent=&metadata[k]=&paid=", s.getCharges},
		{"POST /_sandbox/charges/{id}/dispute", "", s.postDispute},
		{"GET /_sandbox/requests", "?method=&path=", s.getRequests},
		{"DELETE /_sandbox/requests", "", s.deleteRequests},
		{"GET /_sandbox/faults", "", s.getFaults},
		{"POST /_sandbox/faults", "", s.postFaults},
		{"DELETE /_sandbox/faults", "", s.deleteFaults},
		{"POST /_sandbox/payment_intents/{id}/confirm", "", s.postConfirm},
		{"POST /_sandbox/payment_intents/{id}/authenticate", "", s.postAuthenticate},
		{"POST /_sandbox/payment_intents/{id}/expire", "", s.postExpire},
		{"GET /_sandbox/events", "?payment_intent=&type=&delivered=", s.getEvents},
		{"POST /_sandbox/events/{id}/resend", "", s.postResend},
	}
}

func (s *Stripe) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, route := range append(s.apiRoutes(), apiRoute{"/v1/", parseUnrecognized}) {
		mux.HandleFunc(route.pattern, func(w http.ResponseWriter, r *http.Request) { s.serveAPI(w, r, route.parse) })
	}
	for _, route := range s.controlRoutes() {
		mux.HandleFunc(route.pattern, loopbackOnly(route.handle))
	}
	mux.HandleFunc("/_sandbox/", loopbackOnly(func(w http.ResponseWriter, _ *http.Request) {
		writeControlError(w, http.StatusNotFound, "no such control route; GET / lists them")
	}))
	mux.HandleFunc("GET /{$}", s.getIndex)
	return mux
}

// getIndex says what this is, to a person who opens it in a browser.
func (s *Stripe) getIndex(w http.ResponseWriter, _ *http.Request) {
	var api, control []string
	for _, route := range s.apiRoutes() {
		api = append(api, route.pattern)
	}
	for _, route := range s.controlRoutes() {
		control = append(control, route.pattern+route.query)
	}
	writeControl(w, http.StatusOK, map[string]any{
		"sandbox":     "stripe",
		"api_version": DefaultAPIVersion,
		"about": "A stand-in for Stripe's PaymentIntents, Charges and Refunds, with webhooks: no money, no network. " +
			"Use any key that starts with sk_test_ or rk_test_, and Stripe's test payment methods.",
		"api":            api,
		"control":        control,
		"control_access": "no key; loopback addresses only",
		"fault_header":   FaultHeader,
		"fault_kinds": []FaultKind{
			FaultTimeoutBefore, FaultTimeoutAfter, FaultResetBefore, FaultResetAfter, FaultHTTP500, FaultHTTP503,
			FaultHTML502, FaultRateLimit, FaultLockTimeout, FaultConflict, FaultTruncated200, FaultSlow,
		},
	})
}
