package sandbox

import (
	"strings"

	"millrace/internal/money"
)

// currencyOf reads the currency parameter. Upper case is taken and lowered, as Stripe does.
func currencyOf(f form) (string, *apiError) {
	code := strings.ToLower(f.text("currency"))
	if code == "" {
		return "", missing("currency")
	}
	if _, ok := money.Find(code); !ok {
		return "", invalidRequest("", "currency", "Invalid currency: %s", code)
	}
	return code, nil
}

// checkAmount holds an amount against its currency's limits.
func checkAmount(param string, amount int64, code string) *apiError {
	c, _ := money.Find(code)
	switch {
	case amount > c.Maximum:
		return invalidRequest(codeAmountTooLarge, param, "Amount must be no more than %s %s", c.Format(c.Maximum), code)
	case amount < c.Minimum:
		return invalidRequest(codeAmountTooSmall, param, "Amount must be at least %s %s", c.Format(c.Minimum), code)
	}
	return checkMultiple(param, amount, code)
}

func checkMultiple(param string, amount int64, code string) *apiError {
	if c, ok := money.Find(code); ok && amount%c.Multiple != 0 {
		return invalidRequest("", param, "Invalid amount: amounts in %s must be evenly divisible by %d.", code, c.Multiple)
	}
	return nil
}
