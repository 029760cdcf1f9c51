package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	expandLatestCharge  = "latest_charge"
	expandPaymentMethod = "payment_method"
	expandPaymentIntent = "payment_intent"
	expandCharge        = "charge"
)

// Page sizes. Source: https://docs.stripe.com/api/pagination.
const (
	defaultPage = 10
	maxPage     = 100
)

func intentExpansions() []string { return []string{expandLatestCharge, expandPaymentMethod} }

// expandedIntent replaces ids by what they stand for.
type expandedIntent struct {
	*paymentIntent

	LatestCharge  any `json:"latest_charge"`
	PaymentMethod any `json:"payment_method"`
}

type expandedCharge struct {
	*stripeCharge

	PaymentIntent any `json:"payment_intent"`
}

func (t *tx) intentView(in *intent, expand []string) any {
	view := expandedIntent{paymentIntent: &in.API, LatestCharge: in.API.LatestCharge, PaymentMethod: in.API.PaymentMethod}
	if slices.Contains(expand, expandLatestCharge) && in.API.LatestCharge != "" {
		view.LatestCharge = &t.charge(string(in.API.LatestCharge)).API
	}
	if slices.Contains(expand, expandPaymentMethod) && in.API.PaymentMethod != "" {
		view.PaymentMethod = t.methodObject(in, t.s.methods[in.TestMethod])
	}
	return view
}

func (t *tx) chargeView(ch *charge, expand []string) any {
	view := expandedCharge{stripeCharge: &ch.API, PaymentIntent: ch.API.PaymentIntent}
	if slices.Contains(expand, expandPaymentIntent) {
		view.PaymentIntent = &t.intent(ch.API.PaymentIntent).API
	}
	return view
}

// parseGetIntent is GET /v1/payment_intents/{id}. Source: https://docs.stripe.com/api/payment_intents/retrieve.
func (s *Stripe) parseGetIntent(c *call) (operation, *apiError) {
	if apiErr := c.form.only([]string{"expand"}, nil); apiErr != nil {
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
		return t.intentView(in, expand), nil
	}, nil
}

// parseGetCharge is GET /v1/charges/{id}. Source: https://docs.stripe.com/api/charges/retrieve.
func (s *Stripe) parseGetCharge(c *call) (operation, *apiError) {
	if apiErr := c.form.only([]string{"expand"}, nil); apiErr != nil {
		return nil, apiErr
	}
	expand, apiErr := c.form.expand(expandPaymentIntent)
	if apiErr != nil {
		return nil, apiErr
	}
	return func(t *tx) (any, *apiError) {
		ch := t.charge(c.id)
		if ch == nil {
			return nil, noSuch(http.StatusNotFound, "charge", "charge", c.id)
		}
		t.intent(ch.API.PaymentIntent)
		return t.chargeView(t.charge(c.id), expand), nil
	}, nil
}

// list is Stripe's list object. Source: https://docs.stripe.com/api/pagination.
type list struct {
	Object  string `json:"object"`
	Data    []any  `json:"data"`
	HasMore bool   `json:"has_more"`
	URL     string `json:"url"`
}

// page is what a list request asks for.
type page struct {
	limit    int
	after    string
	before   string
	from, to int64 // created, Unix seconds, both inclusive; to 0: no end
}

func parsePage(f form) (page, *apiError) {
	p := page{limit: defaultPage, after: f.text("starting_after"), before: f.text("ending_before")}
	if p.after != "" && p.before != "" {
		return p, invalidRequest(codeParametersExclusive, "ending_before",
			"You may only specify one of these parameters: starting_after, ending_before.")
	}
	if f.has("limit") {
		n, apiErr := f.integer("limit")
		if apiErr != nil {
			return p, apiErr
		}
		if n > maxPage {
			return p, invalidRequest(codeInvalidInteger, "limit", "Invalid limit: it must be between 1 and %d.", maxPage)
		}
		p.limit = int(n)
	}
	bounds, _ := f.sub("created")
	if v := f.text("created"); v != "" {
		bounds["gte"], bounds["lte"] = v, v
	}
	for how, v := range bounds {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return p, invalidRequest(codeInvalidInteger, "created", "Invalid integer: %s", v)
		}
		switch how {
		case "gt":
			p.from = max(p.from, n+1)
		case "gte":
			p.from = max(p.from, n)
		case "lt":
			p.to = n - 1
		case "lte":
			p.to = n
		default:
			return p, invalidRequest(codeParameterUnknown, "created["+how+"]", "Received unknown parameter: created[%s]", how)
		}
	}
	return p, nil
}

func (p page) covers(created int64) bool {
	return created >= p.from && (p.to == 0 || created <= p.to)
}

// cut takes one page out of the ids that match, newest first.
func (p page) cut(object string, order []string, match func(id string) bool) (ids []string, more bool, _ *apiError) {
	var all []string
	for _, id := range slices.Backward(order) {
		if match(id) {
			all = append(all, id)
		}
	}
	start := 0
	if p.after != "" {
		i := slices.Index(all, p.after)
		if i < 0 {
			return nil, false, noSuch(http.StatusBadRequest, object, "starting_after", p.after)
		}
		start = i + 1
	}
	if p.before != "" {
		i := slices.Index(all, p.before)
		if i < 0 {
			return nil, false, noSuch(http.StatusBadRequest, object, "ending_before", p.before)
		}
		all = all[:i]
		start = max(0, i-p.limit)
		return all[start:], start > 0, nil
	}
	end := min(start+p.limit, len(all))
	return all[start:end], end < len(all), nil
}

// parseListIntents is GET /v1/payment_intents. Source: https://docs.stripe.com/api/payment_intents/list.
func (s *Stripe) parseListIntents(c *call) (operation, *apiError) {
	allowed := []string{"created", "customer", "ending_before", "expand", "limit", "starting_after"}
	p, expand, apiErr := parseList(c, allowed, "data."+expandLatestCharge, "data."+expandPaymentMethod)
	if apiErr != nil {
		return nil, apiErr
	}
	customer := c.form.text("customer")
	return func(t *tx) (any, *apiError) {
		ids, more, apiErr := p.cut("payment_intent", s.state.intentOrder, func(id string) bool {
			in := s.state.intents[id]
			return p.covers(in.API.Created) && (customer == "" || string(in.API.Customer) == customer)
		})
		if apiErr != nil {
			return nil, apiErr
		}
		out := list{Object: "list", Data: []any{}, HasMore: more, URL: "/v1/payment_intents"}
		for _, id := range ids {
			out.Data = append(out.Data, t.intentView(t.intent(id), expand))
		}
		return out, nil
	}, nil
}

// parseListCharges is GET /v1/charges. Source: https://docs.stripe.com/api/charges/list.
func (s *Stripe) parseListCharges(c *call) (operation, *apiError) {
	allowed := []string{"created", "customer", "ending_before", "expand", "limit", "payment_intent", "starting_after"}
	p, expand, apiErr := parseList(c, allowed, "data."+expandPaymentIntent)
	if apiErr != nil {
		return nil, apiErr
	}
	customer, of := c.form.text("customer"), c.form.text("payment_intent")
	return func(t *tx) (any, *apiError) {
		ids, more, apiErr := p.cut("charge", s.state.chargeOrder, func(id string) bool {
			ch := s.state.charges[id]
			return p.covers(ch.API.Created) && (customer == "" || string(ch.API.Customer) == customer) &&
				(of == "" || ch.API.PaymentIntent == of)
		})
		if apiErr != nil {
			return nil, apiErr
		}
		out := list{Object: "list", Data: []any{}, HasMore: more, URL: "/v1/charges"}
		for _, id := range ids {
			t.intent(s.state.charges[id].API.PaymentIntent)
			out.Data = append(out.Data, t.chargeView(t.charge(id), expand))
		}
		return out, nil
	}, nil
}

func parseList(c *call, allowed []string, expandable ...string) (page, []string, *apiError) {
	if apiErr := c.form.only(allowed, nil); apiErr != nil {
		return page{}, nil, apiErr
	}
	p, apiErr := parsePage(c.form)
	if apiErr != nil {
		return p, nil, apiErr
	}
	expand, apiErr := c.form.expand(expandable...)
	for i := range expand {
		expand[i] = strings.TrimPrefix(expand[i], "data.")
	}
	return p, expand, apiErr
}
