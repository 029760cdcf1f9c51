package money_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/currency"

	"millrace/internal/money"
)

// The lists of https://docs.stripe.com/currencies once more, in the order in
// which the page has them.
const (
	zeroDecimal  = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
	threeDecimal = "bhd jod kwd omr tnd"
	wholeUnits   = "isk ugx"
)

// minimums are the page's, in major units.
func minimums() map[string]string {
	return map[string]string{
		"usd": "0.50", "aed": "2.00", "ars": "0.50", "aud": "0.50", "brl": "0.50", "cad": "0.50", "chf": "0.50", "cop": "0.50",
		"czk": "15.00", "dkk": "2.50", "eur": "0.50", "gbp": "0.30", "hkd": "4.00", "huf": "175.00", "idr": "0.50", "ils": "0.50",
		"inr": "0.50", "jpy": "50", "krw": "50", "mxn": "10.00", "myr": "2.00", "nok": "3.00", "nzd": "0.50", "php": "0.50",
		"pln": "2.00", "ron": "2.00", "rub": "0.50", "sek": "3.00", "sgd": "0.50", "thb": "10.00", "zar": "0.50",
	}
}

// find returns a currency that must be there.
func find(t *testing.T, code string) money.Currency {
	t.Helper()
	c, ok := money.Find(code)
	require.True(t, ok, code)
	return c
}

func TestEveryCodeIsAnISO4217Code(t *testing.T) {
	t.Parallel()
	// Newer than the table of golang.org/x/text, which is that of CLDR 32 of 2017.
	newer := []string{"sle", "xcg"}
	codes := money.Codes()
	require.Len(t, codes, 139)
	require.True(t, slices.IsSorted(codes))
	require.Len(t, slices.Compact(slices.Clone(codes)), len(codes))
	for _, code := range codes {
		unit, err := currency.ParseISO(code)
		require.Equal(t, slices.Contains(newer, code), err != nil, code)
		require.True(t, err != nil || strings.ToLower(unit.String()) == code, code)
	}
}

func TestFindTakesEitherCase(t *testing.T) {
	t.Parallel()
	for _, code := range money.Codes() {
		c := find(t, code)
		require.Equal(t, code, c.Code)
		require.Equal(t, c, find(t, strings.ToUpper(code)))
		require.Equal(t, c, find(t, strings.ToUpper(code[:1])+code[1:]))
	}
}

func TestFindRefusesWhatStripeDoesNotChargeIn(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		"", "u", "us", "usd ", " usd", "us ", "usdusd", "aaa", "xyz", "zzz", "zmx", "us$", "u\x00d", "\xff\xff\xff", "€", "ıdr", "\u212aRW", "u[d",
		"XXX", "xts", "XAU", "xag", "chn", // ISO 4217 has them, but they are no money of today
		"bgn", "hrk", "mro", "sll", "svc", "vef", "dem", // replaced
		"sd ", "d a", "ed ", // parts of the list
	} {
		c, ok := money.Find(code)
		require.False(t, ok, "%q", code)
		require.Zero(t, c)
	}
}

func TestEachRuleHoldsForItsWholeListAndNoOther(t *testing.T) {
	t.Parallel()
	for _, code := range money.Codes() {
		c := find(t, code)
		decimals, multiple := 2, int64(1)
		switch {
		case slices.Contains(strings.Fields(zeroDecimal), code):
			decimals = 0
		case slices.Contains(strings.Fields(threeDecimal), code):
			decimals, multiple = 3, 10
		case slices.Contains(strings.Fields(wholeUnits), code):
			multiple = 100
		}
		require.Equal(t, decimals, c.Decimals, code)
		require.Equal(t, multiple, c.Multiple, code)

		if minimum, listed := minimums()[code]; listed {
			require.Equal(t, minimum, c.Format(c.Minimum), code)
		} else {
			require.Equal(t, multiple, c.Minimum, code)
		}

		maximum, listed := map[string]int64{"idr": 999_999_999_999, "cop": 9_999_999_999, "inr": 999_999_999}[code]
		if !listed {
			maximum = 99_999_999
		}
		require.Equal(t, maximum, c.Maximum, code)
	}
	for _, list := range []string{zeroDecimal, threeDecimal, wholeUnits, "huf twd"} {
		for code := range strings.FieldsSeq(list) {
			find(t, code)
		}
	}
	for code := range minimums() {
		find(t, code)
	}
}

func TestCheckKnowsTheBoundariesOfEveryCurrency(t *testing.T) {
	t.Parallel()
	for _, code := range money.Codes() {
		c := find(t, code)
		largest := c.Maximum - c.Maximum%c.Multiple
		require.NoError(t, c.Check(c.Minimum), code)
		require.NoError(t, c.Check(c.Minimum+c.Multiple), code)
		require.NoError(t, c.Check(largest), code)
		for _, amount := range []int64{c.Minimum - 1, 0, -1, -c.Minimum, math.MinInt64} {
			require.ErrorContains(t, c.Check(amount), "must be at least", "%s %d", code, amount)
		}
		for _, amount := range []int64{c.Maximum + 1, math.MaxInt64} {
			require.ErrorContains(t, c.Check(amount), "must be at most", "%s %d", code, amount)
		}
		if c.Multiple == 1 {
			require.NoError(t, c.Check(c.Minimum+1), code)
			continue
		}
		for _, amount := range []int64{c.Minimum + 1, c.Minimum + c.Multiple - 1, largest - 1} {
			require.ErrorContains(t, c.Check(amount), "must be a multiple of", "%s %d", code, amount)
		}
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   string
		amount int64
		want   string
	}{
		{"usd", 49, "must be at least 50 (0.50 usd)"},
		{"JPY", 49, "must be at least 50 (50 jpy)"},
		{"twd", 0, "must be at least 1 (0.01 twd)"},
		{"usd", 100_000_000, "must be at most 99999999 (999999.99 usd)"},
		{"idr", 1_000_000_000_000, "must be at most 999999999999 (9999999999.99 idr)"},
		{"isk", 550, "must be a multiple of 100 in isk"},
		{"kwd", 5124, "must be a multiple of 10 in kwd"},
	} {
		require.EqualError(t, find(t, c.code).Check(c.amount), c.want)
	}
	// Charges may use both decimals, payouts may not.
	require.NoError(t, find(t, "huf").Check(17501))
	require.NoError(t, find(t, "twd").Check(80045))
	// What the page says of 5 ISK, and of 5.124 KWD.
	require.NoError(t, find(t, "isk").Check(500))
	require.NoError(t, find(t, "kwd").Check(5120))
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   string
		amount int64
		want   string
	}{
		{"usd", 1999, "19.99"},
		{"usd", 0, "0.00"},
		{"usd", 5, "0.05"},
		{"usd", 50, "0.50"},
		{"usd", 100, "1.00"},
		{"usd", -5, "-0.05"},
		{"usd", -1999, "-19.99"},
		{"usd", math.MaxInt64, "92233720368547758.07"},
		{"usd", math.MinInt64, "-92233720368547758.08"},
		{"jpy", 500, "500"},
		{"jpy", 0, "0"},
		{"jpy", -500, "-500"},
		{"kwd", 5120, "5.120"},
		{"kwd", 7, "0.007"},
		{"isk", 500, "5.00"},
		{"ugx", 500, "5.00"},
		{"huf", 17500, "175.00"},
		{"idr", 999_999_999_999, "9999999999.99"},
	} {
		require.Equal(t, c.want, find(t, c.code).Format(c.amount), "%s %d", c.code, c.amount)
	}
}

func TestFindAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts the process's allocations
	require.Zero(t, testing.AllocsPerRun(100, func() { money.Find("IDR") }))
}

func BenchmarkFind(b *testing.B) {
	for b.Loop() {
		money.Find("USD")
	}
}

func FuzzFind(f *testing.F) {
	for _, code := range []string{"usd", "USD", "ISK", "us", "usd ", "xyz", "ıdr", "\xff\xff\xff"} {
		f.Add(code, int64(1999))
	}
	f.Fuzz(func(t *testing.T, code string, amount int64) {
		c, ok := money.Find(code)
		if !ok {
			require.Zero(t, c)
			return
		}
		require.Equal(t, strings.ToLower(code), c.Code)
		require.Contains(t, money.Codes(), c.Code)
		if c.Check(amount) == nil {
			require.Positive(t, amount)
			require.Zero(t, amount%c.Multiple)
		}
		require.Equal(t, c.Decimals > 0, strings.Contains(c.Format(amount), "."))
	})
}
