package program_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/internal/sandbox"
)

// customer follows a payment with 3-D Secure through the real programs: what the
// app sees at each step, with the gateway's webhooks moving it on.
func customer(t *testing.T, dir string) {
	t.Helper()
	db := dbtest.New(t)
	stripe, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	gateway := httptest.NewServer(stripe)
	t.Cleanup(gateway.Close)
	t.Cleanup(func() { _ = stripe.Close() })
	_, key, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "demo", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	address := freePort(t)
	secret, err := stripe.SetWebhook("http://"+address+"/webhooks/stripe", "")
	require.NoError(t, err)
	intake := launch(t, dir, "intake", "DATABASE_URL="+db.URL, "LISTEN_ADDR="+address, "METRICS_ADDR=127.0.0.1:0", "STRIPE_WEBHOOK_SECRET="+secret)
	launch(t, dir, "worker", append(mailSettings(""), "DATABASE_URL="+db.URL, "METRICS_ADDR=127.0.0.1:0", "STRIPE_SECRET_KEY=sk_test_x", "STRIPE_API_BASE="+gateway.URL)...)
	require.Eventually(t, func() bool { return get(t, "http://"+address+"/readyz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	app, err := client.New("http://"+address, key.Reveal(), client.Options{})
	require.NoError(t, err)

	_, err = app.SubmitPayment(t.Context(),
		client.PaymentRequest{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_threeDSecure2Required"}, client.SubmitOptions{Wait: 20 * time.Second})
	var refused *client.Error
	require.ErrorAs(t, err, &refused, "one request tells what is to be done")
	require.Equal(t, http.StatusPaymentRequired, refused.Status)
	require.Equal(t, "ACTION_REQUIRED", refused.Details["reason"])

	job, err := app.Job(t.Context(), refused.JobID)
	require.NoError(t, err)
	require.False(t, job.Done)
	require.Contains(t, job.Why, "authenticate")
	id := job.Links["payment"][strings.LastIndex(job.Links["payment"], "/")+1:]
	payment, err := app.Payment(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, client.PaymentRequiresAction, payment.Status)
	require.NotContains(t, intake.stderr.String(), payment.ClientSecret)

	// The browser pays, Stripe tells us, the job goes on: sooner than its own next look.
	started := time.Now()
	_, err = stripe.Authenticate(payment.IntentID, true)
	require.NoError(t, err)
	job, err = app.WaitJob(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, client.Completed, job.State)
	require.Less(t, time.Since(started), 10*time.Second)
	payment, err = app.Payment(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, client.PaymentCaptured, payment.Status)
	require.Empty(t, payment.ClientSecret)

	becomes := func(status client.PaymentStatus) {
		require.Eventually(t, func() bool {
			payment, err = app.Payment(t.Context(), id)
			return err == nil && payment.Status == status
		}, 20*time.Second, 20*time.Millisecond)
	}
	form := url.Values{"payment_intent": {payment.IntentID}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gateway.URL+"/v1/refunds", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer sk_test_x")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	becomes(client.PaymentRefunded)
	require.EqualValues(t, 1999, payment.AmountRefunded)

	// Everything told once more, in whatever order, changes nothing.
	for _, event := range stripe.Events() {
		require.NoError(t, stripe.Resend(event.ID))
	}
	require.Eventually(t, func() bool {
		for _, event := range stripe.Events() {
			if !event.Delivered {
				return false
			}
		}
		return true
	}, 20*time.Second, 20*time.Millisecond)
	again, err := app.Payment(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, payment, again)
	paid := 0
	for _, charge := range stripe.Charges() {
		if charge.Paid {
			paid++
		}
	}
	require.Equal(t, 1, paid)

	_, err = app.SubmitPayment(t.Context(),
		client.PaymentRequest{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa_chargeDeclined"}, client.SubmitOptions{Wait: 20 * time.Second})
	require.True(t, errors.As(err, &refused))
	require.Equal(t, http.StatusPaymentRequired, refused.Status)
	require.Equal(t, "PAYMENT_FAILED", string(refused.Code))
	require.Equal(t, "DECLINED", refused.Details["reason"])
	require.Equal(t, "generic_decline", refused.Details["decline_code"])
}
