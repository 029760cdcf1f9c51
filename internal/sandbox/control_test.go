package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"millrace/internal/sandbox"
)

// control asks a control route: without a key.
func (r *rig) control(method, path, body string) reply {
	r.t.Helper()
	return r.send(method, path, strings.NewReader(body), "Authorization", "")
}

func decode[T any](t *testing.T, a reply) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

func TestControlRoutesAreForThisMachine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for addr, want := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "192.0.2.1:1": 403, "10.0.0.1:1": 403, "": 403, "somewhere": 403,
	} {
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/_sandbox/charges", http.NoBody)
		req.RemoteAddr = addr
		r.ServeHTTP(w, req)
		assert.Equal(t, want, w.Code, addr)
	}
}

func TestTheLedgerOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	paid := r.inState(stripe.PaymentIntentStatusSucceeded)
	p := payment("pm_card_chargeDeclined")
	p.Confirm = new(true)
	p.AddMetadata("payment_id", "pay_2")
	_, err := r.api.PaymentIntents.New(p)
	require.Error(t, err)

	count := func(query string) int {
		a := r.control("GET", "/_sandbox/charges"+query, "")
		require.Equal(t, 200, a.status)
		return len(decode[struct{ Charges []sandbox.Charge }](t, a).Charges)
	}
	assert.Equal(t, 2, count(""))
	assert.Equal(t, 1, count("?paid=true"))
	assert.Equal(t, 1, count("?paid=false"))
	assert.Equal(t, 1, count("?payment_intent="+paid.ID))
	assert.Equal(t, 1, count("?metadata[payment_id]=pay_2"))
	assert.Equal(t, 0, count("?metadata[payment_id]=pay_2&paid=true"))
	assert.Equal(t, 0, count("?metadata[payment_id]=pay_3"))
	assert.Equal(t, 400, r.control("GET", "/_sandbox/charges?metdata[x]=1", "").status, "a misspelt filter matches nothing")

	all := decode[struct{ Charges []sandbox.Charge }](t, r.control("GET", "/_sandbox/charges", ""))
	assert.Equal(t, r.Charges(), all.Charges)
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.created("pm_card_visa")
	for range 3 {
		_, _ = r.confirm(pi.ID, "k")
	}
	r.raw("GET", "/v1/charges", nil, "Authorization", "")
	r.raw("GET", "/v1/nothing", nil)

	type counts struct {
		Total    int
		Requests []sandbox.RequestCount
	}
	got := decode[counts](t, r.control("GET", "/_sandbox/requests", ""))
	assert.Equal(t, counts{Total: 6, Requests: []sandbox.RequestCount{
		{Method: "GET", Path: "/v1/", Count: 1},
		{Method: "GET", Path: "/v1/charges", Count: 1},
		{Method: "POST", Path: "/v1/payment_intents", Count: 1},
		{Method: "POST", Path: "/v1/payment_intents/" + pi.ID + "/confirm", Count: 3},
	}}, got)
	assert.Equal(t, 3, decode[counts](t, r.control("GET", "/_sandbox/requests?method=post&path=/confirm", "")).Total)

	assert.Equal(t, 204, r.control("DELETE", "/_sandbox/requests", "").status)
	assert.Empty(t, r.Requests())
}

func TestFaultRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.control("POST", "/_sandbox/faults",
		`[{"kind":"http_503","method":"POST","path":"/confirm","count":1,"metadata":{"payment_id":"pay_1"}},{"kind":"slow","delay_ms":1,"probability":0.5,"seed":7}]`)
	require.Equal(t, 200, a.status, a.body)
	pi := r.created("pm_card_visa")
	_, err := r.confirm(pi.ID, "")
	assert.Equal(t, 503, stripeError(t, err).HTTPStatusCode)

	rules := decode[struct{ Faults []sandbox.Fault }](t, r.control("GET", "/_sandbox/faults", "")).Faults
	require.Len(t, rules, 2)
	assert.Equal(t, 1, rules[0].Hits)
	assert.Equal(t, sandbox.FaultSlow, rules[1].Kind)

	for _, wrong := range []string{`{}`, `[{"kind":"earthquake"}]`, `[{"kind":"slow","dealy_ms":5}]`, `nonsense`} {
		assert.Equal(t, 400, r.control("POST", "/_sandbox/faults", wrong).status, wrong)
	}
	assert.Equal(t, 204, r.control("DELETE", "/_sandbox/faults", "").status)
	assert.Empty(t, r.Faults())
}

func TestAuthenticateRoute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pi := r.inState(stripe.PaymentIntentStatusRequiresAction)
	path := "/_sandbox/payment_intents/" + pi.ID + "/authenticate"
	for _, wrong := range []string{`{"outcome":"maybe"}`, `{}`, `{"outcom":"fail"}`, ``} {
		assert.Equal(t, 400, r.control("POST", path, wrong).status, wrong)
	}
	a := r.control("POST", path, `{"outcome":"succeed"}`)
	assert.Equal(t, 200, a.status)
	assert.Equal(t, map[string]any{"id": pi.ID, "status": "succeeded"}, a.json(t))
	assert.Equal(t, 409, r.control("POST", path, `{"outcome":"succeed"}`).status)
	assert.Equal(t, 404, r.control("POST", "/_sandbox/payment_intents/pi_x/authenticate", `{"outcome":"fail"}`).status)
	assert.Equal(t, 404, r.control("GET", "/_sandbox/other", "").status)
}

func TestIndexSaysWhatThisIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.control("GET", "/", "")
	assert.Equal(t, 200, a.status)
	assert.Equal(t, "stripe", a.json(t)["sandbox"])
	assert.Contains(t, a.body, "no key; loopback addresses only")
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
	listed := decode[struct{ API, Control []string }](t, a)
	var index []string
	for _, route := range append(listed.API, listed.Control...) {
		pattern, _, _ := strings.Cut(route, "?")
		index = append(index, pattern)
	}
	assert.Equal(t, r.Routes(), index)
	for _, route := range []string{
		"POST /v1/refunds", "GET /v1/refunds", "GET /v1/refunds/{id}", "POST /_sandbox/charges/{id}/dispute",
		"POST /_sandbox/payment_intents/{id}/expire", "POST /_sandbox/payment_intents/{id}/confirm",
		"GET /_sandbox/events", "POST /_sandbox/events/{id}/resend",
	} {
		assert.Contains(t, index, route)
	}
}

func TestTheLedgerByPayment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pay := func(paymentID, method string, manual bool) string {
		p := payment(method)
		p.Confirm = new(true)
		p.Metadata = map[string]string{"payment_id": paymentID}
		if paymentID == "" {
			p.Metadata = nil
		}
		if manual {
			p.CaptureMethod = new("manual")
		}
		pi, err := r.api.PaymentIntents.New(p)
		if err != nil {
			return ""
		}
		return pi.ID
	}
	twice := pay("twice", "pm_card_visa", false)
	pay("twice", "pm_card_visa", false)
	pay("twice", "pm_card_chargeDeclined", false)
	r.refund(twice, 250)
	_, err := r.capture(pay("part", "pm_card_visa", true), 400)
	require.NoError(t, err)
	pay("held", "pm_card_visa", true)
	pay("none", "pm_card_chargeDeclined", false)
	pay("", "pm_card_visa", false)

	want := map[string]sandbox.PaymentCharges{
		"twice": {Paid: 2, Captured: 2, AmountCaptured: 2000, AmountRefunded: 250},
		"part":  {Paid: 1, Captured: 1, AmountCaptured: 400, AmountRefunded: 600},
		"held":  {Paid: 1},
		"none":  {},
		"":      {Paid: 1, Captured: 1, AmountCaptured: 1000},
	}
	assert.Equal(t, want, r.ChargesByPayment())
	type answer struct {
		Payments map[string]sandbox.PaymentCharges
	}
	a := r.control("GET", "/_sandbox/charges?by=payment", "")
	assert.Equal(t, want, decode[answer](t, a).Payments)
	assert.NotContains(t, a.json(t), "charges")
	for _, name := range []string{"paid", "captured", "amount_captured", "amount_refunded"} {
		assert.Contains(t, a.body, `"`+name+`"`)
	}
	only := r.control("GET", "/_sandbox/charges?by=payment&metadata[payment_id]=part", "")
	assert.Equal(t, map[string]sandbox.PaymentCharges{"part": want["part"]}, decode[answer](t, only).Payments)
	assert.Equal(t, 400, r.control("GET", "/_sandbox/charges?by=moon", "").status)
}

func TestLists(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ids []string // newest first
	for range 12 {
		ids = append([]string{r.inState(stripe.PaymentIntentStatusSucceeded).ID}, ids...)
		r.clock.advance(time.Second)
	}
	p := &stripe.PaymentIntentListParams{}
	p.AddExpand("data.latest_charge")
	p.Limit = stripe.Int64(5)
	var got []string
	it := r.api.PaymentIntents.List(p) // stripe-go pages by itself, with starting_after
	for it.Next() {
		got = append(got, it.PaymentIntent().ID)
		assert.True(t, it.PaymentIntent().LatestCharge.Paid)
	}
	require.NoError(t, it.Err())
	assert.Equal(t, ids, got)

	page := func(query string) []string {
		a := r.raw("GET", "/v1/payment_intents?"+query, nil)
		require.Equal(t, 200, a.status, a.body)
		var out []string
		for _, pi := range decode[struct{ Data []struct{ ID string } }](t, a).Data {
			out = append(out, pi.ID)
		}
		return out
	}
	assert.Equal(t, ids[:10], page(""))
	assert.Equal(t, ids[2:4], page("limit=2&ending_before="+ids[4]))
	assert.Equal(t, ids[:3], page("created[gte]="+strconv.FormatInt(r.clock.Now().Unix()-3, 10)))

	cp := &stripe.ChargeListParams{PaymentIntent: new(ids[3])}
	cp.AddExpand("data.payment_intent")
	charges := r.api.Charges.List(cp)
	n := 0
	for charges.Next() {
		n++
		assert.Equal(t, ids[3], charges.Charge().PaymentIntent.ID)
		assert.Equal(t, stripe.PaymentIntentStatusSucceeded, charges.Charge().PaymentIntent.Status)
	}
	require.NoError(t, charges.Err())
	assert.Equal(t, 1, n)

	for _, wrong := range []string{"limit=0", "limit=101", "limit=x", "starting_after=pi_x", "created[gte]=x", "created[near]=1", "x=1"} {
		assert.Equal(t, 400, r.raw("GET", "/v1/payment_intents?"+wrong, nil).status, wrong)
	}
}
