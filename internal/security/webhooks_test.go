package security_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
)

// stripeSigned is how Stripe signs (https://docs.stripe.com/webhooks#verify-manually).
func stripeSigned(secret, body string, at time.Time) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return http.Header{"Stripe-Signature": {fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))}}
}

// svixSigned is how Resend signs (https://docs.svix.com/receiving/verifying-payloads/how-manual).
func svixSigned(secret, id, body string, at time.Time) http.Header {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return http.Header{
		"Svix-Id": {id}, "Svix-Timestamp": {strconv.FormatInt(at.Unix(), 10)}, "Svix-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
}

// Whoever can reach the callbacks can lie to them. Nothing changes unless the
// provider signed it, now; and what the provider says twice counts once, for the
// tenant whose it is, whatever tenant the event names.
func TestWebhooksChangeNothingUnlessTheyAreTheProviders(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	stop := s.work("")
	alice, mallory := newTenant(s, "alice"), newTenant(s, "mallory")
	s.settle()
	stop()
	var mail string
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT provider_id FROM booking_mails WHERE tenant_id = 'alice'").Scan(&mail))
	now := time.Now()
	refund := fmt.Sprintf(`{"id":"evt_forged","object":"event","api_version":"2023-10-16","created":%d,"type":"charge.refunded","data":{"object":{"id":"ch_1","object":"charge","payment_intent":%q,"metadata":{"tenant_id":"mallory","payment_id":%q}}}}`,
		now.Unix(), alice.ids["intent"], mallory.ids["payment"])
	bounce := fmt.Sprintf(`{"type":"email.complained","created_at":%q,"tenant_id":"mallory","data":{"email_id":%q,"tags":{"tenant_id":"mallory"}}}`, now.UTC().Format(time.RFC3339), mail)

	send := func(path, body string, header http.Header) answer {
		header.Set("Content-Type", "application/json")
		return s.do(request{method: http.MethodPost, path: path, body: body, header: header})
	}
	before, theirs := alice.snapshot(), mallory.snapshot()
	tampered := func(h http.Header, name, from, to string) http.Header {
		h.Set(name, strings.Replace(h.Get(name), from, to, 1))
		return h
	}
	for name, got := range map[string]answer{
		"stripe: unsigned":              send("/webhooks/stripe", refund, http.Header{}),
		"stripe: an empty signature":    send("/webhooks/stripe", refund, http.Header{"Stripe-Signature": {""}}),
		"stripe: another's secret":      send("/webhooks/stripe", refund, stripeSigned("whsec_other", refund, now)),
		"stripe: no secret":             send("/webhooks/stripe", refund, stripeSigned("", refund, now)),
		"stripe: Resend's secret":       send("/webhooks/stripe", refund, stripeSigned(s.resendSecret, refund, now)),
		"stripe: another body":          send("/webhooks/stripe", refund+" ", stripeSigned(s.stripeSecret, refund, now)),
		"stripe: an hour old":           send("/webhooks/stripe", refund, stripeSigned(s.stripeSecret, refund, now.Add(-time.Hour))),
		"stripe: from the future":       send("/webhooks/stripe", refund, stripeSigned(s.stripeSecret, refund, now.Add(time.Hour))),
		"stripe: an old scheme":         send("/webhooks/stripe", refund, tampered(stripeSigned(s.stripeSecret, refund, now), "Stripe-Signature", "v1=", "v0=")),
		"stripe: signed and not JSON":   send("/webhooks/stripe", "{", stripeSigned(s.stripeSecret, "{", now)),
		"stripe: an API key":            send("/webhooks/stripe", refund, http.Header{"Authorization": {"Bearer " + mallory.key}}),
		"resend: unsigned":              send("/webhooks/resend", bounce, http.Header{}),
		"resend: another's secret":      send("/webhooks/resend", bounce, svixSigned("whsec_"+base64.StdEncoding.EncodeToString([]byte("somebody else's secret 1234")), "msg_1", bounce, now)),
		"resend: another id":            send("/webhooks/resend", bounce, tampered(svixSigned(s.resendSecret, "msg_1", bounce, now), "Svix-Id", "msg_1", "msg_2")),
		"resend: another body":          send("/webhooks/resend", bounce+" ", svixSigned(s.resendSecret, "msg_1", bounce, now)),
		"resend: an hour old":           send("/webhooks/resend", bounce, svixSigned(s.resendSecret, "msg_1", bounce, now.Add(-time.Hour))),
		"resend: from the future":       send("/webhooks/resend", bounce, svixSigned(s.resendSecret, "msg_1", bounce, now.Add(time.Hour))),
		"resend: signed, without an id": send("/webhooks/resend", bounce, svixSigned(s.resendSecret, "", bounce, now)),
	} {
		require.Equal(t, http.StatusBadRequest, got.status, "%s: %s", name, got.text)
		require.Equal(t, "INVALID_INPUT", got.at("code"), name)
		require.Empty(t, append(alice.in(got.text), mallory.in(got.text)...), name)
	}
	require.Equal(t, before, alice.snapshot())
	require.Equal(t, theirs, mallory.snapshot())

	// Signed as they should be they count, for alice, once.
	require.Equal(t, http.StatusOK, send("/webhooks/stripe", refund, stripeSigned(s.stripeSecret, refund, now)).status)
	require.Equal(t, http.StatusOK, send("/webhooks/resend", bounce, svixSigned(s.resendSecret, "msg_1", bounce, now)).status)
	after := alice.snapshot()
	require.NotEqual(t, before, after)
	require.Equal(t, theirs, mallory.snapshot(), "though the events name mallory")
	for range 3 {
		require.Equal(t, http.StatusOK, send("/webhooks/stripe", refund, stripeSigned(s.stripeSecret, refund, now)).status)
		require.Equal(t, http.StatusOK, send("/webhooks/resend", bounce, svixSigned(s.resendSecret, "msg_1", bounce, now)).status)
	}
	require.Equal(t, after, alice.snapshot(), "a repeated delivery changes nothing")

	// An intent or a mail that is nobody's is taken without a word of whose it is not.
	for path, body := range map[string]string{"/webhooks/stripe": strings.ReplaceAll(refund, alice.ids["intent"], "pi_nobodys"), "/webhooks/resend": strings.ReplaceAll(strings.ReplaceAll(bounce, mail, "nobodys"), now.UTC().Format(time.RFC3339), now.UTC().Add(-time.Hour).Format(time.RFC3339))} {
		header := stripeSigned(s.stripeSecret, body, now)
		maps.Copy(header, svixSigned(s.resendSecret, "msg_3", body, now))
		got := send(path, body, header)
		require.Equal(t, http.StatusOK, got.status, got.text)
		require.JSONEq(t, `{"received":true}`, got.text)
	}
	require.Equal(t, after, alice.snapshot())

	// What alice's refund starts asks Stripe, which knows of none.
	s.work("")
	s.settle()
	require.Equal(t, "captured", alice.ask("GET", "/v1/payments/"+alice.ids["payment"]).at("status"))
	require.Equal(t, theirs, mallory.snapshot())
}

// A tenant's payment cannot be paid for with another tenant's PaymentIntent,
// whose id is known to every browser that paid through it.
func TestAnotherTenantsPaymentIntentPaysForNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	s.work("")
	alice, mallory := newTenant(s, "alice"), newTenant(s, "mallory")
	s.settle()
	before := alice.snapshot()
	got := s.do(request{method: http.MethodPost, path: "/v1/payments", key: mallory.key, body: fmt.Sprintf(`{"payment_intent":%q}`, alice.ids["intent"]), header: http.Header{
		"Idempotency-Key": {"theft"}, "Prefer": {"wait=30"},
	}})
	require.Equal(t, http.StatusPaymentRequired, got.status, got.text)
	require.Equal(t, "GATEWAY_ERROR", got.at("details", "reason"), got.text)
	require.NotContains(t, got.text, alice.ids["payment"])
	require.Equal(t, before, alice.snapshot())
}
