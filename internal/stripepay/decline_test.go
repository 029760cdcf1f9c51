package stripepay_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/sandbox"
)

// class is what becomes of a payment that was declined.
type class string

const (
	declined     class = "DECLINED"
	insufficient class = "INSUFFICIENT_FUNDS"
	wrongAmount  class = "INVALID_AMOUNT"
	action       class = "ACTION_REQUIRED"
	tryAgain     class = "DECLINED, and to be tried again"
)

func (c class) reason() string { return strings.TrimSuffix(string(c), ", and to be tried again") }

// cardDeclines is the whole of https://docs.stripe.com/declines/codes, "Card decline
// codes", as it stood in April 2026, in the page's order. To be tried again is what
// the page's "Next steps" say so of; that the customer may do so with other data, or
// by tapping a card once more, is nothing that a job can do.
func cardDeclines() map[string]class {
	return map[string]class{
		"authentication_required":               action,
		"authentication_not_handled":            action,
		"approve_with_id":                       tryAgain, // "Attempt the payment again."
		"call_issuer":                           declined,
		"card_not_supported":                    declined,
		"card_velocity_exceeded":                declined,
		"currency_not_supported":                declined,
		"do_not_honor":                          declined,
		"do_not_try_again":                      declined, // deprecated
		"duplicate_transaction":                 declined,
		"expired_card":                          declined,
		"fraudulent":                            declined,
		"generic_decline":                       declined,
		"incorrect_address":                     declined,
		"incorrect_cvc":                         declined,
		"incorrect_number":                      declined,
		"incorrect_pin":                         declined,
		"incorrect_zip":                         declined,
		"insufficient_funds":                    insufficient,
		"invalid_account":                       declined,
		"invalid_amount":                        wrongAmount,
		"invalid_cvc":                           declined,
		"invalid_expiry_month":                  declined,
		"invalid_expiry_year":                   declined,
		"invalid_number":                        declined,
		"invalid_pin":                           declined,
		"issuer_not_available":                  tryAgain, // "Attempt the payment again."
		"lost_card":                             declined,
		"merchant_blacklist":                    declined,
		"new_account_information_available":     declined,
		"no_action_taken":                       declined,
		"not_permitted":                         declined,
		"offline_pin_required":                  declined,
		"online_or_offline_pin_required":        declined,
		"pickup_card":                           declined,
		"pin_try_exceeded":                      declined,
		"processing_error":                      tryAgain, // "The payment needs to be attempted again."
		"reenter_transaction":                   tryAgain, // "The payment needs to be attempted again."
		"restricted_card":                       declined,
		"revocation_of_all_authorizations":      declined,
		"revocation_of_authorization":           declined,
		"security_violation":                    declined,
		"service_not_allowed":                   declined,
		"stolen_card":                           declined,
		"stop_payment_order":                    declined,
		"testmode_decline":                      declined,
		"transaction_not_allowed":               declined,
		"try_again_later":                       tryAgain, // deprecated; "Ask the customer to attempt the payment again."
		"withdrawal_count_limit_exceeded":       declined,
		"mobile_device_authentication_required": action,
	}
}

// localDeclines are the page's "Local payment method decline codes" that no card
// has. The sandbox has no such payment methods.
func localDeclines() map[string]class {
	return map[string]class{
		"partner_generic_decline":     declined,
		"invalid_customer_account":    declined,
		"payment_limit_exceeded":      declined,
		"invalid_billing_agreement":   declined,
		"invalid_business_account":    declined,
		"partner_high_risk_customer":  declined,
		"compliance_violation":        declined,
		"payment_disputed":            declined,
		"invalid_authorization":       declined,
		"invalid_payment_information": declined,
		"partner_payment_not_found":   declined,
		"expired_payment_information": declined,
		// None of the page: what is not known is not tried again.
		"what_the_page_will_name_next": declined,
	}
}

// public are the only messages that a decline may have: ours, not Stripe's.
func public() []string {
	return []string{
		"The card was declined.", "The card was declined for insufficient funds.", "The card's bank does not allow this amount.",
		"The bank asks the customer to authenticate this payment.", "The customer did not pass the bank's authentication.",
		"The card has expired.", "The card's bank could not process the payment.",
	}
}

func requireDecline(t *testing.T, f *fault.Fault, want class, code string) {
	t.Helper()
	require.NotNil(t, f)
	require.Equal(t, fault.PaymentFailed, f.Code)
	require.Equal(t, fault.Details{"reason": want.reason(), "decline_code": code}, f.Details)
	require.Equal(t, want == tryAgain, f.RetryAfter > 0)
	require.Contains(t, public(), f.Message)
}

func TestEveryDeclineOfACardHasItsOutcome(t *testing.T) {
	t.Parallel()
	box, url := newSandbox(t)
	gateway := connect(t, url)
	for code, want := range cardDeclines() {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			p := newPayment("pm_sandbox_decline_" + code)
			intent, err := gateway.Create(t.Context(), p)
			require.NoError(t, err)
			p.IntentID = intent.ID
			_, err = gateway.Confirm(t.Context(), p)
			f, ok := errors.AsType[*fault.Fault](err)
			require.True(t, ok)
			shown := code
			if code == "authentication_not_handled" {
				shown = "authentication_required" // Stripe's error code says what there is to do
			}
			requireDecline(t, f, want, shown)
			refusal, ok := errors.AsType[*payment.Refusal](err)
			require.True(t, ok)
			require.Equal(t, http.StatusPaymentRequired, refusal.HTTPStatus)
			require.Equal(t, code, refusal.Code)
			require.Regexp(t, "^req_", refusal.RequestID)
			require.False(t, refusal.Replayed)

			// The intent says the same when it is read later.
			found, err := gateway.Find(t.Context(), intent.ID)
			require.NoError(t, err)
			require.Equal(t, payment.IntentRequiresPaymentMethod, found.Status)
			require.Zero(t, found.AmountReceived)
			requireDecline(t, found.Decline, want, shown)
			require.Equal(t, f.Error(), found.Decline.Error())
			require.Equal(t, f.RetryAfter, found.Decline.RetryAfter)

			// A repeat is told the same by Stripe, which tries nothing.
			tried := attempts(box, p)
			_, err = gateway.Confirm(t.Context(), p)
			require.Equal(t, f.Error(), fault.From(err).Error())
			repeated, ok := errors.AsType[*payment.Refusal](err)
			require.True(t, ok)
			require.True(t, repeated.Replayed)
			require.Equal(t, tried, attempts(box, p))
			require.Zero(t, box.ChargesByPayment()[p.ID.String()].Paid)
		})
	}
}

// attempts counts the charges of a payment, failed ones too.
func attempts(box *sandbox.Stripe, p payment.Payment) (n int) {
	for _, charge := range box.Charges() {
		if charge.Metadata[payment.MetadataID] == p.ID.String() {
			n++
		}
	}
	return n
}

func TestEveryOtherDeclineIsFinal(t *testing.T) {
	t.Parallel()
	for code, want := range localDeclines() {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			gateway := connect(t, answering(t, says(http.StatusPaymentRequired, "card_error", "card_declined", code)))
			_, err := gateway.Confirm(t.Context(), newPayment("pm_card_visa"))
			requireDecline(t, fault.From(err), want, code)
		})
	}
}

// A list that grew elsewhere is looked at here.
func TestTheTableOfDeclinesIsComplete(t *testing.T) {
	t.Parallel()
	table := slices.Sorted(maps.Keys(cardDeclines()))
	require.Len(t, table, 50)

	stripeGo, err := build.Import("github.com/stripe/stripe-go/v76", ".", build.FindOnly)
	require.NoError(t, err)
	var known []string
	for name, value := range constants(t, stripeGo.Dir) {
		if strings.HasPrefix(name, "DeclineCode") {
			known = append(known, value)
		}
	}
	require.NotEmpty(t, known)
	require.Subset(t, table, known, "stripe-go's codes")

	played := strings.Fields(constants(t, filepath.Join("..", "sandbox"))["declineCodes"])
	slices.Sort(played)
	require.Equal(t, table, played, "the sandbox's codes")
}

// constants reads the constant strings of a package's sources.
func constants(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	values := map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, value := range spec.Values {
				if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					text, err := strconv.Unquote(literal.Value)
					require.NoError(t, err)
					values[spec.Names[i].Name] = text
				}
			}
			return true
		})
	}
	return values
}

// Some refusals of a card have their code elsewhere.
func TestADeclineIsReadFromWhereItsCodeIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.Handler
		class  class
		shown  string
	}{
		"in the error code":              {says(402, "card_error", "expired_card", ""), declined, "expired_card"},
		"in the error code, to be tried": {says(402, "card_error", "processing_error", ""), tryAgain, "processing_error"},
		"in the decline code":            {says(402, "card_error", "card_declined", "insufficient_funds"), insufficient, "insufficient_funds"},
		"authentication in the error code": {
			says(402, "card_error", "authentication_required", "generic_decline"), action, "authentication_required",
		},
		"authentication that failed": {
			says(400, "invalid_request_error", "payment_intent_authentication_failure", ""), declined, "payment_intent_authentication_failure",
		},
		"a code that nobody knows": {says(402, "card_error", "no_such_code", ""), declined, "no_such_code"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := connect(t, answering(t, c.answer)).Confirm(t.Context(), newPayment("pm_card_visa"))
			f := fault.From(err)
			requireDecline(t, f, c.class, c.shown)
			requirePublic(t, f)
		})
	}
	t.Run("nowhere", func(t *testing.T) {
		t.Parallel()
		_, err := connect(t, answering(t, says(402, "card_error", "", ""))).Confirm(t.Context(), newPayment("pm_card_visa"))
		f := fault.From(err)
		require.Equal(t, fault.PaymentFailed, f.Code)
		require.Equal(t, fault.Details{"reason": "DECLINED"}, f.Details)
		require.Zero(t, f.RetryAfter)
	})
}

func TestAnAuthenticationThatFailedIsADecline(t *testing.T) {
	t.Parallel()
	box, url := newSandbox(t)
	gateway := connect(t, url)
	p := newPayment("pm_card_threeDSecure2Required")
	intent, err := gateway.Create(t.Context(), p)
	require.NoError(t, err)
	p.IntentID = intent.ID
	waiting, err := gateway.Confirm(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, payment.IntentRequiresAction, waiting.Status)
	require.Nil(t, waiting.Decline)
	require.Regexp(t, "^"+intent.ID+"_secret_", waiting.ClientSecret)
	_, err = box.Authenticate(intent.ID, false)
	require.NoError(t, err)
	found, err := gateway.Find(t.Context(), intent.ID)
	require.NoError(t, err)
	requireDecline(t, found.Decline, declined, "payment_intent_authentication_failure")
	require.Equal(t, "The customer did not pass the bank's authentication.", found.Decline.Message)
}

// newSandbox serves a sandbox.
func newSandbox(t *testing.T) (box *sandbox.Stripe, url string) {
	t.Helper()
	box, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	url = answering(t, box)
	t.Cleanup(func() { require.NoError(t, box.Close()) })
	return box, url
}

// answering serves a handler on loopback.
func answering(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// says answers with an error as Stripe writes it; header is in pairs.
func says(status int, kind, code, declineCode string, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Request-Id", "req_1")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error": {"type": %q, "code": %q, "decline_code": %q, "message": %q, "param": "payment_method"}}`,
			kind, code, declineCode, vendorText)
	})
}
