package sandbox_test

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fields makes a form out of pairs, on top of a valid creation; "-" as a value takes a field out.
func fields(pairs ...string) url.Values {
	v := url.Values{"amount": {"1000"}, "currency": {"usd"}}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] == "-" {
			v.Del(pair[0])
			continue
		}
		v.Set(pair[0], pair[1])
	}
	return v
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, tc := range map[string]struct {
		form        url.Values
		code, param string
	}{
		"no amount":               {fields("amount", "-"), "parameter_missing", "amount"},
		"no currency":             {fields("currency", "-"), "parameter_missing", "currency"},
		"empty currency":          {fields("currency", ""), "parameter_missing", "currency"},
		"float":                   {fields("amount", "10.5"), "parameter_invalid_integer", "amount"},
		"float that is whole":     {fields("amount", "1000.0"), "parameter_invalid_integer", "amount"},
		"exponent":                {fields("amount", "1e3"), "parameter_invalid_integer", "amount"},
		"text":                    {fields("amount", "ten"), "parameter_invalid_integer", "amount"},
		"empty amount":            {fields("amount", ""), "parameter_invalid_integer", "amount"},
		"zero":                    {fields("amount", "0"), "parameter_invalid_integer", "amount"},
		"negative":                {fields("amount", "-100"), "parameter_invalid_integer", "amount"},
		"beyond int64":            {fields("amount", "99999999999999999999"), "parameter_invalid_integer", "amount"},
		"below the minimum":       {fields("amount", "49"), "amount_too_small", "amount"},
		"above the maximum":       {fields("amount", "100000000"), "amount_too_large", "amount"},
		"unknown currency":        {fields("currency", "zzz"), "", "currency"},
		"unknown parameter":       {fields("amout", "1"), "parameter_unknown", "amout"},
		"unknown nested":          {fields("automatic_payment_methods[x]", "1"), "parameter_unknown", "automatic_payment_methods[x]"},
		"not supported here":      {fields("transfer_data[destination]", "acct_1"), "", "transfer_data"},
		"capture method":          {fields("capture_method", "later"), "", "capture_method"},
		"confirm":                 {fields("confirm", "yes"), "", "confirm"},
		"e-mail":                  {fields("receipt_email", "nobody"), "email_invalid", "receipt_email"},
		"expand":                  {fields("expand[]", "invoice"), "", "expand"},
		"method types":            {fields("payment_method_types[]", "sepa_debit"), "", "payment_method_types"},
		"only with confirm":       {fields("off_session", "true"), "", "off_session"},
		"metadata key too long":   {fields("metadata["+long(41)+"]", "x"), "", "metadata[" + long(41) + "]"},
		"metadata value too long": {fields("metadata[k]", long(501)), "", "metadata[k]"},
		"metadata as text":        {fields("metadata", "x"), "", "metadata"},
		"both kinds of methods": {
			fields("automatic_payment_methods[enabled]", "true", "payment_method_types[]", "card"),
			"parameters_exclusive", "payment_method_types",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			a := r.raw("POST", "/v1/payment_intents", tc.form, "Idempotency-Key", "k")
			assert.Equal(t, 400, a.status)
			assert.Equal(t, "invalid_request_error", a.errorField(t, "type"))
			assert.Equal(t, tc.param, a.errorField(t, "param"))
			code, _ := a.errorField(t, "code").(string)
			assert.Equal(t, tc.code, code)

			assert.Empty(t, r.raw("GET", "/v1/payment_intents", nil).json(t)["data"], "nothing was created")
			again := r.raw("POST", "/v1/payment_intents", fields(), "Idempotency-Key", "k")
			assert.Equal(t, 200, again.status, "a validation error does not take the idempotency key")
		})
	}
}

func TestMetadataTakesFiftyKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	form := fields()
	for i := range 50 {
		form.Set("metadata[k"+strconv.Itoa(i)+"]", "v")
	}
	a := r.raw("POST", "/v1/payment_intents", form)
	require.Equal(t, 200, a.status)
	id, _ := a.json(t)["id"].(string)
	one := r.raw("POST", "/v1/payment_intents/"+id, url.Values{"metadata[more]": {"v"}})
	assert.Equal(t, 400, one.status)
}

// TestAmountsByCurrency follows https://docs.stripe.com/currencies.
func TestAmountsByCurrency(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tc := range []struct {
		currency string
		amount   int
		want     string // error code; "ok"; "" for an error without a code
	}{
		{"usd", 50, "ok"},
		{"usd", 99999999, "ok"},
		{"USD", 50, "ok"},
		{"gbp", 30, "ok"},
		{"gbp", 29, "amount_too_small"},
		{"jpy", 50, "ok"},
		{"jpy", 49, "amount_too_small"},
		{"jpy", 51, "ok"},
		{"krw", 51, "ok"},
		{"huf", 17500, "ok"},
		{"huf", 17499, "amount_too_small"},
		{"mxn", 1000, "ok"},
		{"mxn", 999, "amount_too_small"},
		{"czk", 1500, "ok"},
		{"hkd", 399, "amount_too_small"},
		{"kwd", 5120, "ok"},
		{"kwd", 5124, ""},
		{"bhd", 10, "ok"},
		{"tnd", 1001, ""},
		{"isk", 500, "ok"},
		{"isk", 550, ""},
		{"ugx", 500, "ok"},
		{"ugx", 501, ""},
		{"twd", 801, "ok"},
	} {
		name := tc.currency + " " + strconv.Itoa(tc.amount)
		a := r.raw("POST", "/v1/payment_intents", fields("amount", strconv.Itoa(tc.amount), "currency", tc.currency))
		if tc.want == "ok" {
			assert.Equal(t, 200, a.status, name)
			continue
		}
		if assert.Equal(t, 400, a.status, name) {
			code, _ := a.errorField(t, "code").(string)
			assert.Equal(t, tc.want, code, name)
		}
	}
}

func TestUpdateHoldsTheAmountAgainstTheNewCurrency(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.raw("POST", "/v1/payment_intents", fields("amount", "51"))
	id, _ := a.json(t)["id"].(string)
	a = r.raw("POST", "/v1/payment_intents/"+id, url.Values{"currency": {"hkd"}})
	assert.Equal(t, "amount_too_small", a.errorField(t, "code"))
	a = r.raw("POST", "/v1/payment_intents/"+id, url.Values{"currency": {"hkd"}, "amount": {"400"}})
	assert.Equal(t, 200, a.status)
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, tc := range map[string]struct {
		authorization string
		status        int
	}{
		"bearer":          {"Bearer sk_test_abc", 200},
		"restricted":      {"Bearer rk_test_abc", 200},
		"basic":           {"Basic c2tfdGVzdF9hYmM6", 200}, // sk_test_abc:
		"none":            {"", 401},
		"live":            {"Bearer sk_live_abc", 401},
		"publishable":     {"Bearer pk_test_abc", 401},
		"basic with live": {"Basic c2tfbGl2ZV9hYmM6", 401},
		"other scheme":    {"Digest sk_test_abc", 401},
	} {
		a := r.raw("GET", "/v1/charges", nil, "Authorization", tc.authorization)
		assert.Equal(t, tc.status, a.status, name)
		assert.NotEmpty(t, a.header.Get("Request-Id"), name)
		if tc.status == 401 {
			assert.Equal(t, "invalid_request_error", a.errorField(t, "type"), name)
			assert.NotContains(t, a.body, "_abc", "the key is not repeated")
		}
	}
}

func TestUnreadableRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const path = "/v1/payment_intents"
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}

	a := r.send("POST", path, strings.NewReader(`{"amount":1000}`), "Content-Type", "application/json")
	assert.Equal(t, 400, a.status)
	assert.Contains(t, a.body, "application/x-www-form-urlencoded")
	a = r.send("POST", path, strings.NewReader("amount=%zz"), form...)
	assert.Equal(t, 400, a.status)
	a = r.send("POST", path, strings.NewReader("description="+strings.Repeat("x", 1<<20)), form...)
	assert.Equal(t, 400, a.status)
	a = r.raw("GET", "/v1/customers", nil)
	assert.Equal(t, 404, a.status)
	assert.Equal(t, "invalid_request_error", a.errorField(t, "type"))
	a = r.raw("DELETE", path, nil)
	assert.Equal(t, 404, a.status)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.raw("POST", "/v1/payment_intents", fields(), "Idempotency-Key", "k", "Stripe-Version", "2023-08-16")
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
	assert.Regexp(t, `^req_\w{14}$`, a.header.Get("Request-Id"))
	assert.Equal(t, a.header.Get("Request-Id"), a.header.Get("Original-Request"))
	assert.Equal(t, "2023-08-16", a.header.Get("Stripe-Version"))
	assert.Equal(t, "k", a.header.Get("Idempotency-Key"))
	assert.Equal(t, "false", a.header.Get("Stripe-Should-Retry"))
	assert.Empty(t, a.header.Get("Idempotent-Replayed"))

	a = r.raw("GET", "/v1/payment_intents", nil, "Idempotency-Key", "k")
	assert.Equal(t, "2023-10-16", a.header.Get("Stripe-Version"))
	assert.Empty(t, a.header.Get("Idempotency-Key"), "a GET is idempotent without")
	assert.Empty(t, a.header.Get("Stripe-Should-Retry"))
}
