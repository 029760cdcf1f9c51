package payment_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/payment"
)

// problems lists what a request's validation says, by field.
func problems(t *testing.T, r payment.Request) map[string]string {
	t.Helper()
	_, err := r.Validate()
	if err == nil {
		return map[string]string{}
	}
	f := fault.From(err)
	require.Equal(t, fault.InvalidInput, f.Code)
	fields, ok := f.Details["fields"].([]fault.Field)
	require.True(t, ok)
	all := map[string]string{}
	for _, field := range fields {
		all[field.Field] = field.Problem
	}
	return all
}

// of is a charge of an amount in a currency.
func of(amount int64, currency string) payment.Request {
	return charge(func(r *payment.Request) { r.Amount, r.Currency = amount, currency })
}

func TestAmountsFollowTheirCurrencysRules(t *testing.T) {
	t.Parallel()
	// https://docs.stripe.com/currencies
	for currency, c := range map[string]struct{ good, bad []int64 }{
		"usd": {[]int64{50, 51, 1999, 99_999_999}, []int64{49, 1, 0, -1, -50, 100_000_000, math.MaxInt64, math.MinInt64}},
		"gbp": {[]int64{30}, []int64{29}},
		"hkd": {[]int64{400}, []int64{399}},
		"mxn": {[]int64{1000}, []int64{999}},
		"czk": {[]int64{1500}, []int64{1499}},
		"dkk": {[]int64{250}, []int64{249}},
		"sek": {[]int64{300}, []int64{299}},
		"aed": {[]int64{200}, []int64{199}},
		"all": {[]int64{1}, []int64{0}}, // no minimum is known

		"jpy": {[]int64{50, 51, 99_999_999}, []int64{49, 0, 100_000_000}}, // no decimals
		"krw": {[]int64{50}, []int64{49}},
		"clp": {[]int64{1}, []int64{0}},
		// Three decimals, the last of which must be 0.
		"kwd": {[]int64{10, 5120, 99_999_990}, []int64{5, 5124, 5121, 99_999_999, 100_000_000}},
		"bhd": {[]int64{10, 20}, []int64{1, 9, 11, 15}},
		// Two decimals, both of which must be 0.
		"isk": {[]int64{100, 500, 99_999_900}, []int64{1, 99, 101, 110, 550, 99_999_999}},
		"ugx": {[]int64{100, 500}, []int64{50, 150, 501}},
		// Zero-decimal for payouts only.
		"huf": {[]int64{17_500, 17_501}, []int64{17_499, 175}},
		"twd": {[]int64{1, 80_045}, []int64{0}},
		// More than eight digits.
		"idr": {[]int64{50, 100_000_000, 999_999_999_999}, []int64{49, 1_000_000_000_000}},
		"cop": {[]int64{50, 9_999_999_999}, []int64{49, 10_000_000_000}},
		"inr": {[]int64{50, 999_999_999}, []int64{49, 1_000_000_000}},
	} {
		t.Run(currency, func(t *testing.T) {
			t.Parallel()
			for _, amount := range c.good {
				require.Empty(t, problems(t, of(amount, currency)), amount)
				// With the amount that was authorised, a capture follows the same rules.
				require.Empty(t, problems(t, capture(func(r *payment.Request) { r.Amount, r.Currency = amount, currency })), amount)
			}
			for _, amount := range c.bad {
				found := problems(t, of(amount, currency))
				require.Len(t, found, 1, amount)
				require.Contains(t, found["amount"], "must be ", amount)
				require.Contains(t, found["amount"], "minor unit", amount)
				if amount != 0 {
					require.Contains(t, problems(t, capture(func(r *payment.Request) { r.Amount, r.Currency = amount, currency })), "amount", amount)
				}
			}
		})
	}
	require.Contains(t, problems(t, of(49, "usd"))["amount"], "50 (0.50 usd)", "the limit is told, in both units")
	require.Contains(t, problems(t, of(5124, "kwd"))["amount"], "multiple of 10")
}

func TestOnlyMoneyThatStripeTakesIsCharged(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"", "xxx", "XAU", "xts", "bgn", "hrk", "us", "usdx", "u$d", "€", "123", "u\x00d", "ıdr"} {
		t.Run(fmt.Sprintf("%q", currency), func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []string{"currency"}, keys(problems(t, of(1999, currency))))
			require.Equal(t, []string{"amount", "currency"}, keys(problems(t, of(0, currency))), "both are told at once")
			require.Equal(t, []string{"currency"}, keys(problems(t, capture(func(r *payment.Request) { r.Amount, r.Currency = 1999, currency }))))
			got, err := of(1999, currency).Validate()
			require.Error(t, err)
			require.NotContains(t, err.Error(), "1999")
			require.NotEqual(t, "usd", got.Currency)
		})
	}
}

func keys(all map[string]string) []string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// capture is the capture of an authorised intent.
func capture(change func(*payment.Request)) payment.Request {
	r := payment.Request{PaymentIntent: "pi_1"}
	if change != nil {
		change(&r)
	}
	return r
}

func TestWhatACaptureMaySay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request payment.Request
		wrong   []string
	}{
		"nothing but the intent":       {capture(nil), nil},
		"the currency alone":           {capture(func(r *payment.Request) { r.Currency = "usd" }), nil},
		"an amount without a currency": {capture(func(r *payment.Request) { r.Amount = 1999 }), []string{"currency"}},
		"a bad amount without a currency": {
			capture(func(r *payment.Request) { r.Amount = -1 }), []string{"amount", "currency"},
		},
		"a part":                   {capture(func(r *payment.Request) { r.AmountToCapture = 1 }), nil},
		"a part below the minimum": {capture(func(r *payment.Request) { r.Amount, r.Currency, r.AmountToCapture = 1999, "usd", 1 }), nil},
		"all of it":                {capture(func(r *payment.Request) { r.Amount, r.Currency, r.AmountToCapture = 1999, "usd", 1999 }), nil},
		"more than all of it":      {capture(func(r *payment.Request) { r.Amount, r.Currency, r.AmountToCapture = 1999, "usd", 2000 }), []string{"amount_to_capture"}},
		"a negative part":          {capture(func(r *payment.Request) { r.AmountToCapture = -1 }), []string{"amount_to_capture"}},
		"the largest part":         {capture(func(r *payment.Request) { r.AmountToCapture = 999_999_999_999 }), nil},
		"too large a part":         {capture(func(r *payment.Request) { r.AmountToCapture = 1_000_000_000_000 }), []string{"amount_to_capture"}},
		"a part in fils":           {capture(func(r *payment.Request) { r.Currency, r.AmountToCapture = "kwd", 15 }), []string{"amount_to_capture"}},
		"a part in ten fils":       {capture(func(r *payment.Request) { r.Currency, r.AmountToCapture = "kwd", 10 }), nil},
		"a part of a krona":        {capture(func(r *payment.Request) { r.Currency, r.AmountToCapture = "isk", 150 }), []string{"amount_to_capture"}},
		"a part in kronur":         {capture(func(r *payment.Request) { r.Currency, r.AmountToCapture = "isk", 200 }), nil},
		"when it expires":          {capture(func(r *payment.Request) { r.CaptureBefore = new(time.Now()) }), nil},
		"a charge that expires":    {charge(func(r *payment.Request) { r.CaptureBefore = new(time.Now()) }), []string{"capture_before"}},
		"a part of a charge":       {charge(func(r *payment.Request) { r.AmountToCapture = 1999 }), []string{"amount_to_capture"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, c.wrong, keys(problems(t, c.request)))
		})
	}
}

// items are priced lines, in pairs of quantity and price.
func items(pairs ...int64) (list []payment.Item) {
	for pair := range slices.Chunk(pairs, 2) {
		list = append(list, payment.Item{Name: "x", Quantity: pair[0], Price: new(pair[1])})
	}
	return list
}

func TestItemsAddUpToTheAmount(t *testing.T) {
	t.Parallel()
	const huge = 999_999_999_999 // the largest price, and the largest quantity
	for name, c := range map[string]struct {
		amount   int64
		currency string
		items    []payment.Item
		wrong    bool
	}{
		"one":                    {1999, "usd", items(1, 1999), false},
		"several":                {1999, "usd", items(2, 500, 3, 333), false},
		"one that is free":       {1999, "usd", items(1, 1999, 5, 0), false},
		"a cent too little":      {1999, "usd", items(2, 500, 3, 332), true},
		"a cent too much":        {1999, "usd", items(1, 2000), true},
		"all of them free":       {1999, "usd", items(7, 0), true},
		"many rupiah":            {999_999_999_999, "idr", items(3, 333_333_333_333), false},
		"more rupiah":            {500_000_000_000, "idr", items(2, 150_000_000_000, 1, 200_000_000_000), false},
		"many rupiah, one short": {999_999_999_999, "idr", items(3, 333_333_333_332), true},
		"more than there is":     {999_999_999_999, "idr", items(2, 500_000_000_000), true},
		"an overflow":            {1999, "usd", items(huge, huge), true},
		// Twice 2^64, and 1999: 64 bits would say that it adds up.
		"an overflow that adds up":     {1999, "usd", items(18_546_050_841, 1_989_290_791), true},
		"an overflow that adds to max": {999_999_999_999, "idr", items(huge, huge, 1, 1), true},
		"many overflows":               {1999, "usd", items(huge, huge, huge, huge, huge, huge, 1, 1999), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := problems(t, charge(func(r *payment.Request) { r.Amount, r.Currency, r.Items = c.amount, c.currency, c.items }))
			if !c.wrong {
				require.Empty(t, found)
				return
			}
			require.Equal(t, map[string]string{"items": "must add up to amount when each has a price"}, found)
		})
	}
}

func TestItemsAreBounded(t *testing.T) {
	t.Parallel()
	with := func(list []payment.Item) []string {
		return keys(problems(t, charge(func(r *payment.Request) { r.Items = list })))
	}
	unpriced := func(n int) []payment.Item {
		list := make([]payment.Item, n)
		for i := range list {
			list[i] = payment.Item{Name: "x", Quantity: 1}
		}
		return list
	}
	require.Empty(t, with(unpriced(payment.MaxItems)))
	require.Equal(t, []string{"items"}, with(unpriced(payment.MaxItems+1)))
	for _, wrong := range []int64{-1, 1_000_000_000_000, math.MaxInt64, math.MinInt64} {
		require.Contains(t, with(items(1, wrong)), "items[0].price", wrong)
		require.Contains(t, with(items(1, 1999, wrong, 1)), "items[1].quantity", wrong)
	}
	require.Equal(t, []string{"items[0].quantity"}, with([]payment.Item{{Name: "x", Quantity: 0}}))
}
