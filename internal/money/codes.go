package money

import "sort"

// codes are the currencies that Stripe charges in, in alphabetical order, each
// followed by one space: https://docs.stripe.com/currencies, "Supported
// presentment currencies". The page shows them for the reader's country, and bhd,
// jod, kwd, omr and tnd only for some. The list for the United States is repeated
// by https://woocommerce.com/document/payments/faq/available-currencies, whose
// payments are Stripe's. Which of them an account may use, Stripe decides.
//
// Missing are what stripe-go v76 still names and the page no longer does: the
// currencies that the euro replaced (bgn, eek, hrk, ltl, lvl), and mro, sll, svc
// and vef.
const codes = "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bhd bif bmd bnd bob brl bsd bwp byn bzd " +
	"cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd " +
	"hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl " +
	"mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg " +
	"qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs " +
	"uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw "

// width is the length of one entry of codes.
const width = len("usd ")

// lookUp returns the entry of codes for a code in either case. It allocates
// nothing: every submission of a payment comes through here.
func lookUp(code string) (listed string, ok bool) {
	if len(code) != width-1 {
		return "", false
	}
	var lower [width - 1]byte
	for i := range lower {
		lower[i] = code[i]
		if 'A' <= lower[i] && lower[i] <= 'Z' {
			lower[i] += 'a' - 'A'
		}
	}
	at := width * sort.Search(len(codes)/width, func(i int) bool { return codes[i*width:i*width+width-1] >= string(lower[:]) })
	if at == len(codes) || codes[at:at+width-1] != string(lower[:]) {
		return "", false
	}
	return codes[at : at+width-1], true
}
