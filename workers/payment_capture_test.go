package workers_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/sandbox"
	"millrace/workers"
)

// authorise makes an intent of 1999 usd at the gateway, as the app's server would.
func (p *plant) authorise(method, captureMethod string) (id string) {
	p.t.Helper()
	form := url.Values{
		"amount": {"1999"}, "currency": {"usd"}, "payment_method": {method}, "confirm": {"true"}, "capture_method": {captureMethod},
		"automatic_payment_methods[enabled]": {"true"}, "automatic_payment_methods[allow_redirects]": {"never"},
	}
	var intent struct{ ID string }
	p.post("/v1/payment_intents", form, &intent)
	require.NotEmpty(p.t, intent.ID)
	return intent.ID
}

// post calls the gateway past the worker.
func (p *plant) post(path string, form url.Values, answer any) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+path, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	request.Header.Set("Authorization", "Bearer sk_test_x")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	require.NoError(p.t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(p.t, http.StatusOK, response.StatusCode)
	require.NoError(p.t, json.NewDecoder(response.Body).Decode(answer))
}

// operations lists what the receipt shows.
func operations(got payment.Payment) (list []string) {
	for _, call := range got.GatewayLog {
		list = append(list, string(call.Operation)+" "+call.Answer)
	}
	return list
}

func TestTheReceiptShowsWhatTheGatewaySaid(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "confirm", Count: 1}))
	p.work()
	_, got := p.finish(p.submit("pm_card_visa").ID)
	require.Equal(t, payment.Captured, got.Status)
	require.Equal(t, []string{"create requires_confirmation", "confirm api_error", "read requires_confirmation", "confirm succeeded"}, operations(got))
	require.Equal(t, 4, got.GatewayRequests)
	require.Equal(t, http.StatusInternalServerError, got.GatewayLog[1].HTTPStatus)
	for _, call := range got.GatewayLog {
		require.Regexp(t, "^req_", call.RequestID)
		require.WithinDuration(t, time.Now(), call.AskedAt, time.Minute)
	}
}

// Stripe keeps some of its errors for the key: only another key gets on, and it
// follows from the payment, so that any attempt uses the same one.
func TestAKeptErrorIsLeftBehindWithTheNextKey(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "confirm", Count: 1, Stored: true}))
	p.work()
	_, got := p.finish(p.submit("pm_card_visa").ID)
	require.Equal(t, payment.Captured, got.Status)
	require.Equal(t, 1, p.charges(got.ID))
	charges := p.stripe.Charges()
	require.Equal(t, "millrace:"+got.ID.String()+":confirm:2", charges[len(charges)-1].IdempotencyKey)
}

func TestAnAuthorisedIntentIsCaptured(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   func(*payment.Request)
		captured int64
	}{
		"all of it":      {func(*payment.Request) {}, 1999},
		"a part of it":   {func(r *payment.Request) { r.AmountToCapture = 500 }, 500},
		"with an amount": {func(r *payment.Request) { r.Amount, r.Currency = 1999, "usd" }, 1999},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			request := payment.Request{PaymentIntent: p.authorise("pm_card_visa", "manual")}
			c.change(&request)
			p.work()
			job, got := p.finish(p.request(request).ID)
			require.Equal(t, intake.StateCompleted, job.State)
			require.Equal(t, payment.Captured, got.Status)
			require.Equal(t, c.captured, got.AmountCaptured)
			require.Equal(t, request.PaymentIntent, got.IntentID)
			require.Zero(t, got.AmountRefunded, "what was released was never taken")
			require.Equal(t, c.captured, p.stripe.Charges()[0].AmountCaptured)
			require.NotNil(t, got.ExpiresAt)
			require.WithinDuration(t, time.Now().Add(7*24*time.Hour), *got.ExpiresAt, time.Minute)
		})
	}
}

func TestWhatIsNotAuthorisedAsAskedIsNotCaptured(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method       string
		prepare      func(*plant, *payment.Request)
		reason, code string
	}{
		"expired": {"pm_card_visa", func(p *plant, r *payment.Request) {
			_, err := p.stripe.Expire(r.PaymentIntent)
			require.NoError(p.t, err)
		}, "GATEWAY_ERROR", "charge_expired_for_capture"},
		"another amount":         {"pm_card_visa", func(_ *plant, r *payment.Request) { r.Amount, r.Currency = 2000, "usd" }, "INVALID_AMOUNT", ""},
		"another currency":       {"pm_card_visa", func(_ *plant, r *payment.Request) { r.Amount, r.Currency = 1999, "eur" }, "INVALID_AMOUNT", ""},
		"more than authorised":   {"pm_card_visa", func(_ *plant, r *payment.Request) { r.AmountToCapture = 2000 }, "INVALID_AMOUNT", ""},
		"not authorised":         {"pm_card_threeDSecure2Required", func(*plant, *payment.Request) {}, "GATEWAY_ERROR", ""},
		"an intent of nobody":    {"pm_card_visa", func(_ *plant, r *payment.Request) { r.PaymentIntent = "pi_nobody" }, "GATEWAY_ERROR", ""},
		"an intent that is used": {"pm_card_visa", func(p *plant, r *payment.Request) { p.finish(p.request(*r).ID) }, "GATEWAY_ERROR", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			p.work()
			request := payment.Request{PaymentIntent: p.authorise(c.method, "manual")}
			c.prepare(p, &request)
			before := len(p.stripe.Charges())
			captured := p.captured()
			job, got := p.finish(p.request(request).ID)
			require.Equal(t, intake.StateCancelled, job.State)
			require.Equal(t, payment.Failed, got.Status)
			require.Equal(t, c.reason, job.Outcome().Details["reason"])
			if c.code != "" {
				require.Equal(t, c.code, job.Outcome().Details["decline_code"])
			}
			require.Len(t, p.stripe.Charges(), before)
			require.Equal(t, captured, p.captured(), "nothing was taken")
		})
	}
}

func (p *plant) captured() (sum int64) {
	for _, charge := range p.stripe.Charges() {
		sum += charge.AmountCaptured
	}
	return sum
}

// A failed capture gives the intent free: the client may submit it again.
func TestAFailedCaptureCanBeSubmittedAgain(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work()
	intent := p.authorise("pm_card_visa", "manual")
	_, got := p.finish(p.request(payment.Request{PaymentIntent: intent, AmountToCapture: 5000}).ID)
	require.Equal(t, payment.Failed, got.Status)
	_, got = p.finish(p.request(payment.Request{PaymentIntent: intent}).ID)
	require.Equal(t, payment.Captured, got.Status)
}

// An intent that somebody captured already is a success: look before you leap.
func TestAnIntentThatIsCapturedAlreadyIsASuccess(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work()
	_, got := p.finish(p.request(payment.Request{PaymentIntent: p.authorise("pm_card_visa", "automatic")}).ID)
	require.Equal(t, payment.Captured, got.Status)
	require.EqualValues(t, 1999, got.AmountCaptured)
	require.Equal(t, []string{"read succeeded"}, operations(got))
}

func TestCapturesRunSoonestExpiringFirst(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	now := time.Now().UTC().Truncate(time.Second)
	charge := p.submit("pm_card_visa").ID
	in := func(days int) int64 {
		at := now.Add(time.Duration(days) * 24 * time.Hour)
		return p.request(payment.Request{PaymentIntent: p.authorise("pm_card_visa", "manual"), CaptureBefore: &at}).ID
	}
	six, two, four := in(6), in(2), in(4)
	p.work(func(o *workers.Options) { o.Slots = map[string]int{"payments": 1} })
	order := map[int64]time.Time{}
	for _, id := range []int64{charge, six, two, four} {
		job, got := p.finish(id)
		require.Equal(t, payment.Captured, got.Status)
		require.False(t, job.ScheduledAt.Before(job.CreatedAt), "the client does not see how jobs are ordered")
		order[id] = *job.AttemptedAt
	}
	require.True(t, order[two].Before(order[four]) && order[four].Before(order[six]) && order[six].Before(order[charge]), order)
}

func TestABankThatAsksToTryAgainIsTriedThreeTimes(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work()
	job, got := p.finish(p.submit("pm_sandbox_decline_try_again_later").ID)
	require.Equal(t, "DECLINED", job.Outcome().Details["reason"])
	require.Equal(t, "try_again_later", job.Outcome().Details["decline_code"])
	require.Equal(t, payment.Failed, got.Status)
	keys := map[string]bool{}
	for _, charge := range p.stripe.Charges() {
		require.False(t, charge.Paid)
		keys[charge.IdempotencyKey] = true
	}
	key := "millrace:" + got.ID.String() + ":confirm"
	require.Equal(t, map[string]bool{key: true, key + ":2": true, key + ":3": true}, keys)
	require.Equal(t, 1, job.Attempt, "the bank's advice costs no attempt")
}

// The customer authenticates, and the payment goes on by itself: here by the
// worker's own look, without any event.
func TestAPaymentWaitsForItsCustomer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		passed bool
		status payment.Status
	}{
		"authenticated":               {"pm_card_threeDSecure2Required", true, payment.Captured},
		"authenticated, but declined": {"pm_card_threeDSecureRequiredChargeDeclined", true, payment.Failed},
		"not authenticated":           {"pm_card_threeDSecure2Required", false, payment.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			p.work()
			job, got := p.finish(p.submit(c.method).ID) // the waiter tells of the wait
			require.False(t, job.State.Done())
			require.Equal(t, "ACTION_REQUIRED", job.Waiting.Details["reason"])
			require.Equal(t, payment.RequiresAction, got.Status)
			require.Contains(t, got.ClientSecret, got.IntentID+"_secret_")
			_, err := p.stripe.Authenticate(got.IntentID, c.passed)
			require.NoError(t, err)
			p.wake(job.ID)
			p.until(job.ID, func(job intake.Job) bool { return job.State.Done() })
			job, got = p.find(job.ID)
			require.Equal(t, c.status, got.Status)
			require.Empty(t, got.ClientSecret)
			require.Equal(t, c.status == payment.Captured, job.State == intake.StateCompleted)
			if c.status == payment.Failed {
				require.Equal(t, "cancel canceled", operations(got)[len(got.GatewayLog)-1], "the customer's browser cannot pay for what has failed")
				require.Equal(t, "DECLINED", job.Outcome().Details["reason"])
			}
		})
	}
}

func TestACustomersTimeEnds(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	ahead := make(chan time.Duration, 1)
	ahead <- 0
	now := func() time.Time {
		d := <-ahead
		ahead <- d
		return time.Now().Add(d)
	}
	p.work(func(o *workers.Options) { o.Now = now })
	job, got := p.finish(p.submit("pm_card_threeDSecure2Required").ID)
	require.Equal(t, payment.RequiresAction, got.Status)
	<-ahead
	ahead <- 25 * time.Hour
	p.wake(job.ID)
	p.until(job.ID, func(job intake.Job) bool { return job.State.Done() })
	job, got = p.find(job.ID)
	require.Equal(t, payment.Failed, got.Status)
	require.Equal(t, "DECLINED", job.Outcome().Details["reason"])
	require.Equal(t, "authentication_required", job.Outcome().Details["decline_code"])
	_, err := p.stripe.Authenticate(got.IntentID, true)
	require.ErrorIs(t, err, sandbox.ErrNoChallenge, "the intent is cancelled")
}

// wake has a job that waits run now.
func (p *plant) wake(id int64) {
	p.t.Helper()
	tag, err := p.login.Exec(p.t.Context(), "UPDATE river_job SET state = 'available', scheduled_at = now() WHERE id = $1 AND state IN ('scheduled', 'retryable')", id)
	require.NoError(p.t, err)
	require.EqualValues(p.t, 1, tag.RowsAffected())
}

func (p *plant) until(id int64, reached func(intake.Job) bool) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		job, err := intake.Find(p.t.Context(), p.tenancy, "alice", id)
		return err == nil && reached(job)
	}, time.Minute, 20*time.Millisecond)
}

// disconnecting loses the worker's database connections when the charge is made,
// before the worker can write it down.
type disconnecting struct {
	payment.Gateway

	cut  func()
	left chan struct{}
}

func (d disconnecting) Confirm(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	intent, err := d.Gateway.Confirm(ctx, p)
	select {
	case <-d.left:
		d.cut()
	default:
	}
	return intent, err
}

func TestPostgresLostAfterTheChargeMeansOneCharge(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	pool := p.db.Pool(t, postgres.Worker)
	gateway, err := stripeGateway(p.url, 0)
	require.NoError(t, err)
	once := make(chan struct{}, 1)
	once <- struct{}{}
	cut := func() {
		_, err := p.login.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'worker-that-is-cut'`)
		require.NoError(t, err)
	}
	pool.Close()
	pool, err = postgres.Open(t.Context(), postgres.Options{URL: p.db.URL, Role: postgres.Worker, Application: "worker-that-is-cut"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	p.work(func(o *workers.Options) {
		o.Pool, o.Gateway = pool, disconnecting{Gateway: gateway, cut: cut, left: once}
	})
	job, got := p.finish(p.submit("pm_card_visa").ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Equal(t, payment.Captured, got.Status)
	require.Equal(t, 1, p.charges(got.ID))
	require.Empty(t, once, "the connections were cut")
}

// When the gateway does not answer, jobs wait without spending attempts, say so,
// and go on by themselves.
func TestAnOutageCostsNoAttempts(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP503}))
	p.work()
	ids := make([]int64, 12)
	for i := range ids {
		ids[i] = p.submit("pm_card_visa").ID
	}
	waiting := func(job intake.Job) bool {
		return job.Waiting != nil && strings.Contains(job.Waiting.Message, "does not answer at present")
	}
	for _, id := range ids {
		p.until(id, waiting)
	}
	p.stripe.ClearFaults()
	for _, id := range ids {
		job, got := p.finish(id)
		require.Equal(t, intake.StateCompleted, job.State)
		require.LessOrEqual(t, job.Attempt, 6)
		require.Equal(t, 1, p.charges(got.ID))
	}
}
