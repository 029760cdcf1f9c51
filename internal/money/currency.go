// Package money knows what Stripe accepts as an amount in each currency. It
// imports nothing of ours.
//
// The rules are those of https://docs.stripe.com/currencies as it stood in 2026.
// The three-decimal currencies are from its edition of 2022, because the page now
// shows them only where they are used. They are not ISO 4217's rules: by that
// standard ISK and UGX have no decimals, at Stripe they have two that must be 00.
package money

import (
	"fmt"
	"strconv"
	"strings"
)

// Currency is what Stripe demands of amounts in one currency. All amounts are
// in the unit of the API's amount, the currency's minor unit at Stripe.
type Currency struct {
	// Code is the ISO 4217 code in lower case, as Stripe's API takes it.
	Code string
	// Decimals is how many digits of an amount stand after the point: 0, 2 or 3.
	Decimals int
	// Multiple divides every amount; 1 where any amount goes.
	Multiple int64
	// Minimum is the smallest amount of a charge, or Multiple where Stripe's page
	// lists none. It holds for an account that is paid out in this currency; for
	// another one Stripe converts the amount and applies the minimum of the
	// currency that it pays out, which only Stripe can know.
	Minimum int64
	// Maximum is the largest amount of a charge.
	Maximum int64
}

// Maximums, by the number of digits: https://docs.stripe.com/currencies,
// "Maximum charge amounts". These are the ones that hold for every payment
// method; for most cards the page allows twelve digits in every currency, and
// for American Express nine.
const (
	eightDigits  int64 = 99_999_999 // so too https://docs.stripe.com/api/payment_intents/create, amount
	nineDigits   int64 = 999_999_999
	tenDigits    int64 = 9_999_999_999
	twelveDigits int64 = 999_999_999_999
)

// Maximum is the largest amount of any currency.
const Maximum = twelveDigits

// Find returns the currency of a code of three letters in lower or upper case.
// ok is false for everything that Stripe does not charge in, be it in ISO 4217
// or not: gold, test codes, currencies that were replaced.
func Find(code string) (c Currency, ok bool) {
	listed, ok := lookUp(code)
	if !ok {
		return Currency{}, false
	}
	c = Currency{Code: listed, Decimals: 2, Multiple: 1, Maximum: eightDigits}

	// HUF and TWD are not here: the page calls them zero-decimal for payouts only,
	// charges may use both decimals.
	switch c.Code {
	case "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf":
		c.Decimals = 0 // "Zero-decimal currencies"
	case "bhd", "jod", "kwd", "omr", "tnd":
		c.Decimals, c.Multiple = 3, 10 // "Three-decimal currencies": the last digit must be 0
	case "isk", "ugx":
		c.Multiple = 100 // "Special cases": zero-decimal, but sent with two decimals that must be 00
	}

	// "Minimum charge amount by currency".
	switch c.Code {
	case "gbp":
		c.Minimum = 30
	case "ars", "aud", "brl", "cad", "chf", "cop", "eur", "idr", "ils", "inr", "jpy", "krw", "nzd", "php", "rub", "sgd", "usd", "zar":
		c.Minimum = 50
	case "aed", "myr", "pln", "ron":
		c.Minimum = 200
	case "dkk":
		c.Minimum = 250
	case "nok", "sek":
		c.Minimum = 300
	case "hkd":
		c.Minimum = 400
	case "mxn", "thb":
		c.Minimum = 1000
	case "czk":
		c.Minimum = 1500
	case "huf":
		c.Minimum = 17500
	default:
		c.Minimum = c.Multiple
	}

	switch c.Code {
	case "idr":
		c.Maximum = twelveDigits
	case "cop":
		c.Maximum = tenDigits
	case "inr":
		c.Maximum = nineDigits
	}
	return c, true
}

// Check returns nil for an amount that Stripe may charge, else an error whose
// text goes after the name of a field: "must be at least 50 (0.50 usd)". The
// text does not repeat the amount.
func (c Currency) Check(amount int64) error {
	switch {
	case amount < c.Minimum:
		return fmt.Errorf("must be at least %d (%s %s)", c.Minimum, c.Format(c.Minimum), c.Code)
	case amount > c.Maximum:
		return fmt.Errorf("must be at most %d (%s %s)", c.Maximum, c.Format(c.Maximum), c.Code)
	case amount%c.Multiple != 0:
		return fmt.Errorf("must be a multiple of %d in %s", c.Multiple, c.Code)
	}
	return nil
}

// Format writes an amount with the decimals of the currency and without its
// code: 1999 is "19.99" in usd and "1999" in jpy.
func (c Currency) Format(amount int64) string {
	digits, negative := strings.CutPrefix(strconv.FormatInt(amount, 10), "-")
	if c.Decimals > 0 {
		// At least one digit stands before the point.
		if missing := c.Decimals + 1 - len(digits); missing > 0 {
			digits = strings.Repeat("0", missing) + digits
		}
		point := len(digits) - c.Decimals
		digits = digits[:point] + "." + digits[point:]
	}
	if negative {
		return "-" + digits
	}
	return digits
}
