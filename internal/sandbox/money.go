package sandbox

import (
	"fmt"
	"strings"
)

// maxAmount is the largest amount in minor units: «up to eight digits».
// Source: https://docs.stripe.com/api/payment_intents/create, amount.
const maxAmount = 99_999_999

// currency is what Stripe demands of amounts in one currency, in the unit of the API's amount.
type currency struct {
	minimum  int64 // 1 where Stripe's page lists none
	multiple int64 // amounts must be divisible by it
	decimals int
}

// presentmentCurrencies are stripe-go v76's currency constants, and those of https://docs.stripe.com/currencies that it
// has none for (byn, mmk, and the three-decimal ones).
const presentmentCurrencies = `aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn
bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl hrk htg
huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mro mur
mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp
sll sos srd std svc szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vef vnd vuv wst xaf xcd xof xpf yer zar zmw`

// supportedCurrencies is the table of currency rules.
//
// Sources: https://docs.stripe.com/currencies, «Zero-decimal currencies», «Three-decimal currencies» (the last digit
// must be 0), «Special cases» (ISK and UGX are sent with two decimals that must be 00), «Minimum and maximum charge
// amounts». Stripe also refuses a currency without a listed minimum when it converts to less than the settlement
// currency's; the sandbox knows no rates and lets it pass.
func supportedCurrencies() map[string]currency {
	table := map[string]currency{}
	for code := range strings.FieldsSeq(presentmentCurrencies) {
		table[code] = currency{minimum: 1, multiple: 1, decimals: 2}
	}
	set := func(codes string, change func(*currency)) {
		for code := range strings.FieldsSeq(codes) {
			c := table[code]
			change(&c)
			table[code] = c
		}
	}
	minimum := func(amount int64, codes string) { set(codes, func(c *currency) { c.minimum = amount }) }

	set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf", func(c *currency) { c.decimals = 0 })
	set("bhd jod kwd omr tnd", func(c *currency) { c.decimals, c.multiple = 3, 10 })
	set("isk ugx", func(c *currency) { c.multiple = 100 })

	minimum(30, "gbp")
	minimum(50, "usd ars aud brl cad chf cop eur idr ils inr jpy krw nzd php rub sgd zar")
	minimum(100, "bgn")
	minimum(200, "aed myr pln ron")
	minimum(250, "dkk")
	minimum(300, "nok sek")
	minimum(400, "hkd")
	minimum(1000, "mxn thb")
	minimum(1500, "czk")
	minimum(17500, "huf")
	return table
}

// currencyOf reads the currency parameter. Upper case is taken and lowered, as Stripe does.
func (s *Stripe) currencyOf(f form) (string, *apiError) {
	code := strings.ToLower(f.text("currency"))
	if code == "" {
		return "", missing("currency")
	}
	if _, ok := s.currencies[code]; !ok {
		return "", invalidRequest("", "currency", "Invalid currency: %s", code)
	}
	return code, nil
}

// checkAmount holds an amount against its currency's limits.
func (s *Stripe) checkAmount(param string, amount int64, code string) *apiError {
	c := s.currencies[code]
	switch {
	case amount > maxAmount:
		return invalidRequest(codeAmountTooLarge, param, "Amount must be no more than %s %s", c.format(maxAmount), code)
	case amount < c.minimum:
		return invalidRequest(codeAmountTooSmall, param, "Amount must be at least %s %s", c.format(c.minimum), code)
	}
	return s.checkMultiple(param, amount, code)
}

func (s *Stripe) checkMultiple(param string, amount int64, code string) *apiError {
	if m := s.currencies[code].multiple; amount%m != 0 {
		return invalidRequest("", param, "Invalid amount: amounts in %s must be evenly divisible by %d.", code, m)
	}
	return nil
}

func (c currency) format(amount int64) string {
	if c.decimals == 0 {
		return fmt.Sprint(amount)
	}
	unit := int64(100)
	if c.decimals == 3 {
		unit = 1000
	}
	return fmt.Sprintf("%d.%0*d", amount/unit, c.decimals, amount%unit)
}
