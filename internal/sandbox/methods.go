package sandbox

import (
	"strings"
	"time"
)

// challenge says when a test card asks for 3-D Secure.
type challenge int

const (
	challengeNever        challenge = iota
	challengeAlways                 // every payment
	challengeOnSession              // set up for off-session use: not when off_session=true
	challengeWhenRequired           // only when the request asks for it (request_three_d_secure any or challenge)
)

// settlement says when a payment's outcome is known.
type settlement int

const (
	settleAtOnce settlement = iota
	settleLater             // processing, then succeeded
	failLater               // processing, then requires_payment_method
)

// decline is an issuer's or Radar's no.
type decline struct {
	code        string // error code and failure_code of the charge
	declineCode string
	message     string
	param       string
	blocked     bool // by Radar: never sent to the network
}

// testMethod is one row of the table of test payment methods.
type testMethod struct {
	name      string
	brand     string
	last4     string
	funding   string
	country   string
	challenge challenge
	decline   *decline // after the challenge, if there is one
	risk      string
	settles   settlement
	holds     time.Duration // how long an authorisation lasts
	disputes  []complaint   // what the customer disputes as soon as the money has moved
}

// testMethods is the table of payment methods, by name.
//
// Sources: https://docs.stripe.com/testing?testing-method=payment-methods («Cards by brand», «Cards by country»,
// «Declined payments», «Fraud prevention», «Disputes», «Refunds», «Available balance», «3D Secure authentication»).
// Stripe names a decline sometimes with «visa_» and sometimes without; both forms are taken for each.
//
// Not Stripe's: pm_sandbox_decline_<decline code> for each code of https://docs.stripe.com/declines/codes, and
// pm_sandbox_processing_succeeds and pm_sandbox_processing_fails, which stay in processing for settlementTime;
// pm_sandbox_short_authorization, whose authorisation lasts for shortAuthorizationTime.
// Also not Stripe's: the last four digits of the cards by country.
func testMethods() map[string]testMethod {
	table := map[string]testMethod{}
	add := func(rows ...testMethod) {
		for _, m := range rows {
			if m.brand == "" {
				m.brand = "visa"
			}
			if m.funding == "" {
				m.funding = "credit"
			}
			if m.country == "" {
				m.country = "US"
			}
			if m.risk == "" {
				m.risk = riskNormal
			}
			if m.holds == 0 {
				m.holds = authorizationTime
			}
			table[m.name] = m
		}
	}
	add(brandCards()...)
	add(countryCards()...)
	add(declinedCards()...)
	add(secureCards()...)
	add(disputedCards()...)
	add(
		testMethod{name: "pm_card_riskLevelElevated", last4: "9235", risk: "elevated"},
		testMethod{name: "pm_card_cvcCheckFail", last4: "0101"},
		testMethod{name: "pm_card_avsZipFail", last4: "0036"},
		testMethod{name: "pm_card_avsLine1Fail", last4: "0028"},
		testMethod{name: "pm_card_avsFail", last4: "0010"},
		testMethod{name: "pm_card_avsUnchecked", last4: "0044"},
		testMethod{name: "pm_card_createIssuerFraudRecord", last4: "5423"},
		testMethod{name: "pm_card_pendingRefund", last4: "7726"},
		testMethod{name: "pm_card_refundFail", last4: "5126"},
		testMethod{name: "pm_card_bypassPending", last4: "0077"},
		testMethod{name: "pm_card_bypassPendingInternational", last4: "3720"},
		testMethod{name: "pm_sandbox_processing_succeeds", last4: "0000", settles: settleLater},
		testMethod{name: "pm_sandbox_processing_fails", last4: "0000", settles: failLater},
		testMethod{name: "pm_sandbox_short_authorization", last4: "0000", holds: shortAuthorizationTime},
	)
	return table
}

func brandCards() []testMethod {
	return []testMethod{
		{name: "pm_card_visa", last4: "4242"},
		{name: "pm_card_visa_debit", last4: "5556", funding: "debit"},
		{name: "pm_card_mastercard", brand: "mastercard", last4: "4444"},
		{name: "pm_card_mastercard_debit", brand: "mastercard", last4: "8210", funding: "debit"},
		{name: "pm_card_mastercard_prepaid", brand: "mastercard", last4: "5100", funding: "prepaid"},
		{name: "pm_card_amex", brand: "amex", last4: "0005"},
		{name: "pm_card_discover", brand: "discover", last4: "1117"},
		{name: "pm_card_diners", brand: "diners", last4: "0004"},
		{name: "pm_card_jcb", brand: "jcb", last4: "0505"},
		{name: "pm_card_unionpay", brand: "unionpay", last4: "0005"},
		{name: "pm_card_visa_cartesBancaires", last4: "1001", country: "FR"},
		{name: "pm_card_mastercard_cartesBancaires", brand: "mastercard", last4: "1001", country: "FR"},
	}
}

func countryCards() []testMethod {
	const countries = `us ar br ca mx ae at be bg by hr cy cz dk ee fi fr de gi gr hu ie it lv li lt lu mt nl no pl pt ro
si sk es se ch gb au cn hk in jp my nz sg`
	rows := []testMethod{
		{name: "pm_card_gb_debit", last4: "0000", country: "GB", funding: "debit"},
		{name: "pm_card_gb_mastercard", brand: "mastercard", last4: "0000", country: "GB"},
		{name: "pm_card_ae_mastercard", brand: "mastercard", last4: "0000", country: "AE"},
		{name: "pm_card_th_credit", last4: "0000", country: "TH"},
		{name: "pm_card_th_debit", last4: "0000", country: "TH", funding: "debit"},
	}
	for c := range strings.FieldsSeq(countries) {
		rows = append(rows, testMethod{name: "pm_card_" + c, last4: "0000", country: strings.ToUpper(c)})
	}
	return rows
}

func declinedCards() []testMethod {
	rows := []testMethod{
		{name: "pm_card_radarBlock", last4: "0019", risk: riskHighest, decline: radarBlock()},
		{name: "pm_card_riskLevelHighest", last4: "4954", risk: riskHighest, decline: radarBlock()},
		{name: "pm_card_chargeCustomerFail", last4: "0341", decline: declineFor("generic_decline")},
	}
	both := func(suffix, last4, risk string, d *decline) {
		rows = append(rows,
			testMethod{name: "pm_card_" + suffix, last4: last4, risk: risk, decline: d},
			testMethod{name: "pm_card_visa_" + suffix, last4: last4, risk: risk, decline: d})
	}
	both("chargeDeclined", "0002", "", declineFor("generic_decline"))
	both("chargeDeclinedInsufficientFunds", "9995", "", declineFor("insufficient_funds"))
	both("chargeDeclinedLostCard", "9987", "", declineFor("lost_card"))
	both("chargeDeclinedStolenCard", "9979", "", declineFor("stolen_card"))
	both("chargeDeclinedExpiredCard", "0069", "", declineFor("expired_card"))
	both("chargeDeclinedIncorrectCvc", "0127", "", declineFor("incorrect_cvc"))
	both("chargeDeclinedProcessingError", "0119", "", declineFor("processing_error"))
	both("chargeDeclinedVelocityLimitExceeded", "6975", "", declineFor("card_velocity_exceeded"))
	both("chargeDeclinedFraudulent", "0019", riskHighest, radarBlock())

	for code := range strings.FieldsSeq(declineCodes) {
		rows = append(rows, testMethod{name: "pm_sandbox_decline_" + code, last4: "0002", decline: declineFor(code)})
	}
	return rows
}

func secureCards() []testMethod {
	return []testMethod{
		{name: "pm_card_authenticationRequired", last4: "3184", challenge: challengeAlways},
		{name: "pm_card_authenticationRequiredOnSetup", last4: "3155", challenge: challengeAlways},
		{name: "pm_card_authenticationRequiredSetupForOffSession", last4: "0446", challenge: challengeOnSession},
		{
			name: "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", last4: "3178",
			challenge: challengeAlways, decline: declineFor("insufficient_funds"),
		},
		{name: "pm_card_threeDSecure2Required", last4: "3220", country: "IE", challenge: challengeAlways},
		{name: "pm_card_threeDSecureRequired", last4: "3063", challenge: challengeAlways},
		{
			name: "pm_card_threeDSecureRequiredChargeDeclined", last4: "1629",
			challenge: challengeAlways, decline: declineFor("generic_decline"),
		},
		{name: "pm_card_threeDSecureRequiredProcessingError", last4: "1280", decline: declineFor("generic_decline")},
		{name: "pm_card_threeDSecureOptional", last4: "3055", challenge: challengeWhenRequired},
		{name: "pm_card_amex_threeDSecureNotSupported", brand: "amex", last4: "0005"},
	}
}

// disputedCards are charged, and then disputed.
func disputedCards() []testMethod {
	fraud := complaint{reason: "fraudulent", status: disputeNeedsResponse}
	return []testMethod{
		{name: "pm_card_createDispute", last4: "0259", disputes: []complaint{fraud}},
		{
			name: "pm_card_createDisputeProductNotReceived", last4: "2685",
			disputes: []complaint{{reason: "product_not_received", status: disputeNeedsResponse}},
		},
		{
			name: "pm_card_createDisputeInquiry", last4: "1976",
			disputes: []complaint{{reason: "fraudulent", status: disputeInquiry}},
		},
		{name: "pm_card_createMultipleDisputes", last4: "0079", disputes: []complaint{fraud, fraud}},
	}
}

// declineCodes is https://docs.stripe.com/declines/codes.
const declineCodes = `approve_with_id authentication_not_handled authentication_required call_issuer card_not_supported
card_velocity_exceeded currency_not_supported do_not_honor do_not_try_again duplicate_transaction expired_card fraudulent
generic_decline incorrect_address incorrect_cvc incorrect_number incorrect_pin incorrect_zip insufficient_funds
invalid_account invalid_amount invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number invalid_pin
issuer_not_available lost_card merchant_blacklist mobile_device_authentication_required new_account_information_available
no_action_taken not_permitted offline_pin_required online_or_offline_pin_required pickup_card pin_try_exceeded
processing_error reenter_transaction restricted_card revocation_of_all_authorizations revocation_of_authorization
security_violation service_not_allowed stolen_card stop_payment_order testmode_decline transaction_not_allowed
try_again_later withdrawal_count_limit_exceeded`

// declineFor gives a decline code the error code, message and parameter that Stripe answers with: card_declined unless
// the code is also an error code. In test mode Stripe repeats such a code as decline_code, although its testing page
// says n/a.
func declineFor(declineCode string) *decline {
	d := &decline{code: codeCardDeclined, declineCode: declineCode, message: "Your card was declined."}
	switch declineCode {
	case "insufficient_funds":
		d.message = "Your card has insufficient funds."
	case "card_velocity_exceeded":
		d.message = "Your card was declined for making repeated attempts too frequently or exceeding its amount limit."
	case "expired_card":
		d.code, d.param, d.message = declineCode, "exp_month", "Your card has expired."
	case "incorrect_cvc", "invalid_cvc":
		d.code, d.param, d.message = declineCode, "cvc", "Your card's security code is incorrect."
	case "incorrect_number", "invalid_number":
		d.code, d.param, d.message = declineCode, "number", "Your card number is incorrect."
	case "invalid_expiry_month", "invalid_expiry_year":
		d.code, d.param = declineCode, strings.Replace(strings.TrimPrefix(declineCode, "invalid_"), "expiry", "exp", 1)
		d.message = "Your card's expiration date is invalid."
	case "incorrect_zip", "incorrect_address":
		d.code, d.param, d.message = declineCode, "address_zip", "Your card's address is incorrect."
	case "processing_error":
		d.code, d.message = declineCode, "An error occurred while processing your card. Try again in a little bit."
	case "authentication_required", "authentication_not_handled":
		d.code = codeAuthenticationRequired
		d.message = "Your card was declined. This transaction requires authentication."
	}
	return d
}

// radarBlock is Radar's refusal of a charge of the highest risk.
func radarBlock() *decline {
	d := declineFor("fraudulent")
	d.blocked = true
	return d
}
