package client_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestPayment(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"id":"p","status":"failed","failure":{"code":"PAYMENT_FAILED","error":"Declined.",
		"details":{"reason":"DECLINED"}},"gateway_requests":1,"created_at":"2030-01-31T09:30:00Z","updated_at":"2030-01-31T09:30:00Z"}`))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.Payment(t.Context(), "a/b")
	require.NoError(t, err)
	require.Equal(t, client.PaymentFailed, got.Status)
	require.Equal(t, "DECLINED", got.Failure.Details["reason"])
	require.Equal(t, "/v1/payments/a%2Fb", s.one(t).uri)
}

func TestAPaymentsReceiptIsRead(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, paymentText("p", "disputed", `"job_id":"4711","payment_intent":"pi_1",
		"capture_before":"2030-02-01T00:00:00Z","authorization_expires_at":"2030-02-02T00:00:00Z","amount_captured":1999,"amount_refunded":500,
		"gateway_log":[{"operation":"capture","asked_at":"2030-01-31T09:30:00Z"},
			{"operation":"read","asked_at":"2030-01-31T09:31:00Z","answer":"no_answer"},
			{"operation":"confirm","asked_at":"2030-01-31T09:32:00Z","answer":"card_declined","http_status":402,"request_id":"req_1","key_spent":true}]`)))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.Payment(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, client.PaymentDisputed, got.Status)
	require.Equal(t, "4711", got.JobID)
	require.Equal(t, time.Date(2030, 2, 1, 0, 0, 0, 0, time.UTC), got.CaptureBefore)
	require.Equal(t, time.Date(2030, 2, 2, 0, 0, 0, 0, time.UTC), got.AuthorizationExpiresAt)
	require.Equal(t, []int64{1999, 500}, []int64{got.AmountCaptured, got.AmountRefunded})
	at := time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC)
	require.Equal(t, []client.GatewayCall{
		{Operation: client.GatewayCapture, AskedAt: at},
		{Operation: client.GatewayRead, AskedAt: at.Add(time.Minute), Answer: "no_answer"},
		{
			Operation: client.GatewayConfirm, AskedAt: at.Add(2 * time.Minute), Answer: "card_declined",
			HTTPStatus: http.StatusPaymentRequired, RequestID: "req_1", KeySpent: true,
		},
	}, got.GatewayLog)
}

func TestSubmitTheCaptureOfAnAuthorisation(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusAccepted, `{"job":`+job("1", "available")+`}`))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.SubmitPayment(t.Context(), client.PaymentRequest{
		PaymentIntent: "pi_1", AmountToCapture: 500, CaptureBefore: time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC),
	}, client.SubmitOptions{})
	require.NoError(t, err)
	require.JSONEq(t, `{"payment_intent":"pi_1","amount_to_capture":500,"capture_before":"2030-01-31T09:30:00Z"}`, s.one(t).body)
}

// The bank asks for the customer: the submission's error names the job, which
// leads to the payment with the secret, and is not the end of it.
func TestAPaymentThatTheCustomerMustAuthenticate(t *testing.T) {
	t.Parallel()
	s := newServer(t,
		answer(http.StatusPaymentRequired, actionRequired, "Location", "/v1/jobs/4711", "Preference-Applied", "wait=10"),
		answer(http.StatusOK, jobOf("4711", "scheduled", "p-1")),
		answer(http.StatusOK, paymentText("p-1", "requires_action", `"client_secret":"pi_1_secret_2"`)))
	c, paused := newClient(t, s.URL, client.Options{})
	_, err := c.SubmitPayment(t.Context(), client.PaymentRequest{}, client.SubmitOptions{Wait: 10 * time.Second})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodePaymentFailed, e.Code)
	require.Equal(t, client.ReasonActionRequired, e.Details["reason"])
	require.Equal(t, "4711", e.JobID)

	got, err := c.PaymentOfJob(t.Context(), e.JobID)
	require.NoError(t, err)
	require.Equal(t, client.PaymentRequiresAction, got.Status)
	require.Equal(t, "pi_1_secret_2", got.ClientSecret)
	require.Empty(t, paused.list, "nothing was sent twice")
	var asked []string
	for _, r := range s.received() {
		asked = append(asked, r.method+" "+r.uri)
	}
	require.Equal(t, []string{"POST /v1/payments", "GET /v1/jobs/4711", "GET /v1/payments/p-1"}, asked)
}

func TestAJobWithoutAPayment(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, job("1", "running")), failure(http.StatusNotFound, "NOT_FOUND"))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.PaymentOfJob(t.Context(), "1")
	require.EqualError(t, err, "client: job 1 carries no payment")
	_, err = c.PaymentOfJob(t.Context(), "2")
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodeNotFound, e.Code)
	require.Len(t, s.received(), 2, "no payment is asked for")
}

func TestPaymentsAreListed(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"payments":[`+paymentText("2", "refunded")+`,`+paymentText("1", "captured")+`],"next_page_token":"next"}`),
		answer(http.StatusOK, `{"payments":[]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	page, err := c.Payments(t.Context(), client.PaymentsFilter{Limit: 2, PageToken: "a&b"})
	require.NoError(t, err)
	require.Len(t, page.Payments, 2)
	require.Equal(t, "2", page.Payments[0].ID)
	require.Equal(t, client.PaymentRefunded, page.Payments[0].Status)
	require.Equal(t, "next", page.NextPageToken)
	page, err = c.Payments(t.Context(), client.PaymentsFilter{})
	require.NoError(t, err)
	require.Equal(t, &client.PaymentsPage{Payments: []*client.Payment{}}, page)
	require.Equal(t, "/v1/payments?limit=2&page_token=a%26b", s.received()[0].uri)
	require.Equal(t, "/v1/payments", s.received()[1].uri)
}

func TestAllPaymentsReadsPageByPage(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"payments":[`+paymentText("3", "captured")+`,`+paymentText("2", "failed")+`],"next_page_token":"next"}`),
		answer(http.StatusOK, `{"payments":[`+paymentText("1", "captured")+`]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	var ids []string
	for payment, err := range c.AllPayments(t.Context(), client.PaymentsFilter{Limit: 2, PageToken: "first"}) {
		require.NoError(t, err)
		ids = append(ids, payment.ID)
	}
	require.Equal(t, []string{"3", "2", "1"}, ids)
	require.Len(t, s.received(), 2)
	require.Equal(t, "/v1/payments?limit=2&page_token=first", s.received()[0].uri)
	require.Equal(t, "/v1/payments?limit=2&page_token=next", s.received()[1].uri)
}

func TestAllPaymentsEndsWithAnErrorAndWithItsReader(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"payments":[`+paymentText("2", "captured")+`,`+paymentText("1", "captured")+`],"next_page_token":"next"}`),
		failure(http.StatusForbidden, "TENANT_ACCESS_DENIED"))
	c, _ := newClient(t, s.URL, client.Options{})
	for _, err := range c.AllPayments(t.Context(), client.PaymentsFilter{}) {
		require.NoError(t, err)
		break
	}
	require.Len(t, s.received(), 1, "the next page was not needed")
	var errs []error
	for payment, err := range c.AllPayments(t.Context(), client.PaymentsFilter{}) {
		require.Nil(t, payment)
		errs = append(errs, err)
	}
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "TENANT_ACCESS_DENIED")
}

// actionRequired is the answer to a submission whose payment the customer must
// authenticate.
const actionRequired = `{"error":"The bank asks the customer to authenticate this payment: finish it with the client_secret of the payment.",
	"code":"PAYMENT_FAILED","details":{"reason":"ACTION_REQUIRED"},"request_id":"r-1"}`

// paymentText is a payment as the server writes it, with further members.
func paymentText(id, status string, members ...string) string {
	return fmt.Sprintf(`{%s"id":%q,"status":%q,"amount":1999,"currency":"usd","gateway_requests":3,
		"created_at":"2030-01-31T09:30:00Z","updated_at":"2030-01-31T09:30:00Z"}`, strings.Join(append(members, ""), ","), id, status)
}

// jobOf is a job that carries a payment.
func jobOf(id, state, payment string) string {
	return strings.Replace(job(id, state), `"links":{`, fmt.Sprintf(`"links":{"payment":"/v1/payments/%s",`, payment), 1)
}
