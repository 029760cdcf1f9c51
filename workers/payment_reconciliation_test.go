package workers_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/sandbox"
	"millrace/workers"
)

// soon reconciles a payment as soon as its job has ended.
func soon(o *workers.Options) { o.AbandonedAfter = time.Millisecond }

// lastChance submits a payment whose job has one attempt.
func (p *plant) lastChance(request payment.Request) intake.Job {
	p.t.Helper()
	job := p.request(request)
	_, err := p.login.Exec(p.t.Context(), "UPDATE river_job SET max_attempts = 1 WHERE id = $1", job.ID)
	require.NoError(p.t, err)
	return job
}

// sweep enqueues what River's leader does by the minute.
func (p *plant) sweep() {
	p.t.Helper()
	_, err := p.login.Exec(p.t.Context(), `INSERT INTO river_job (kind, args, max_attempts, queue, state) VALUES ('payment_reconciliation', '{}', 25, 'payments', 'available')`)
	require.NoError(p.t, err)
}

// settled waits for the payment to be final.
func (p *plant) settled(id int64) (intake.Job, payment.Payment) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		_, got := p.find(id)
		return got.Status.Final()
	}, 30*time.Second, 20*time.Millisecond)
	return p.find(id)
}

// A job that was given up leaves a payment in flight: what the gateway says of it
// settles it.
func TestAPaymentWhoseJobWasGivenUpIsSettled(t *testing.T) {
	t.Parallel()
	charge := payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa"}
	for name, c := range map[string]struct {
		fault   sandbox.Fault
		capture bool
		status  payment.Status
		state   intake.State
		last    string
	}{
		"charged":      {sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/confirm", Charged: true}, false, payment.Captured, intake.StateCompleted, "read succeeded"},
		"not charged":  {sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/confirm"}, false, payment.Failed, intake.StateDiscarded, "cancel canceled"},
		"never begun":  {sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/v1/payment_intents"}, false, payment.Failed, intake.StateDiscarded, "create api_error"},
		"captured":     {sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/capture", Charged: true}, true, payment.Captured, intake.StateCompleted, "read succeeded"},
		"not captured": {sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/capture"}, true, payment.Failed, intake.StateDiscarded, "read requires_capture"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			request := charge
			if c.capture {
				request = payment.Request{PaymentIntent: p.authorise("pm_card_visa", "manual")}
			}
			require.NoError(t, p.stripe.Inject(c.fault))
			submitted := p.lastChance(request)
			p.work(soon)
			job, got := p.finish(submitted.ID)
			require.Equal(t, intake.StateDiscarded, job.State)
			require.False(t, got.Status.Final())
			p.stripe.ClearFaults()
			p.sweep()
			p.settled(submitted.ID)
			p.until(submitted.ID, func(job intake.Job) bool { return job.State == c.state })
			_, got = p.find(submitted.ID)
			require.Equal(t, c.status, got.Status)
			require.Equal(t, c.last, operations(got)[len(got.GatewayLog)-1])
			if c.status == payment.Captured {
				require.EqualValues(t, 1999, p.captured())
				require.EqualValues(t, 1999, got.AmountCaptured)
			} else {
				require.Zero(t, p.captured())
				require.Contains(t, string(got.Failure), "submit it again")
			}
		})
	}
}

// A worker that is killed on the job's last attempt: River gives the job up
// without asking any worker.
func TestAKillOnTheLastAttemptLeavesNothingInFlight(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultTimeoutAfter, Path: "/confirm", Count: 1}))
	submitted := p.lastChance(payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa"})
	victim := p.spawn(0)
	require.Eventually(t, func() bool { return len(p.stripe.Charges()) == 1 }, 30*time.Second, 10*time.Millisecond)
	kill(t, victim)
	p.work(soon)
	job, _ := p.finish(submitted.ID)
	require.Equal(t, intake.StateDiscarded, job.State)
	p.sweep()
	p.settled(submitted.ID)
	p.until(submitted.ID, func(job intake.Job) bool { return job.State == intake.StateCompleted })
	_, got := p.find(submitted.ID)
	require.Equal(t, payment.Captured, got.Status)
	require.Equal(t, 1, p.charges(got.ID))
}

// The sweep leaves alone what a job still works on, and what the gateway cannot
// tell of yet.
func TestTheSweepLeavesWhatIsInGoodHands(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work(soon)
	waiting, got := p.finish(p.submit("pm_card_threeDSecure2Required").ID)
	require.Equal(t, payment.RequiresAction, got.Status)
	p.sweep()
	p.untilSwept()
	job, again := p.find(waiting.ID)
	require.False(t, job.State.Done())
	require.Equal(t, got, again)

	p.stripe.ClearFaults()
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/confirm"}))
	given := p.lastChance(payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa"})
	p.finish(given.ID)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Method: http.MethodGet}))
	p.sweep()
	p.untilSwept()
	_, got = p.find(given.ID)
	require.Equal(t, payment.Processing, got.Status, "nobody knows yet")
	p.stripe.ClearFaults()
	p.sweep()
	_, got = p.settled(given.ID)
	require.Equal(t, payment.Failed, got.Status)
}

func (p *plant) untilSwept() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		var open int
		err := p.login.QueryRow(p.t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'payment_reconciliation' AND finalized_at IS NULL").Scan(&open)
		return err == nil && open == 0
	}, 30*time.Second, 20*time.Millisecond)
}

// What happens to the money later is read from the gateway when an event says so.
func TestRefundsAndDisputesAreFollowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happens  func(p *plant, got payment.Payment)
		status   payment.Status
		refunded int64
	}{
		"a part given back": {func(p *plant, got payment.Payment) {
			p.post("/v1/refunds", url.Values{"payment_intent": {got.IntentID}, "amount": {"500"}}, new(any))
		}, payment.Captured, 500},
		"all given back": {func(p *plant, got payment.Payment) {
			p.post("/v1/refunds", url.Values{"payment_intent": {got.IntentID}}, new(any))
		}, payment.Refunded, 1999},
		"disputed": {func(p *plant, _ payment.Payment) {
			_, err := p.stripe.Dispute(p.stripe.Charges()[0].ID)
			require.NoError(p.t, err)
		}, payment.Disputed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			p.work()
			job, got := p.finish(p.submit("pm_card_visa").ID)
			c.happens(p, got)
			for range 2 { // twice is once
				_, err := p.login.Exec(t.Context(), `INSERT INTO river_job (kind, args, metadata, max_attempts, queue, state)
					VALUES ('payment_reconciliation', jsonb_build_object('payment_id', $1::uuid), '{"tenant_id":"alice"}', 25, 'payments', 'available')`, got.ID)
				require.NoError(t, err)
				p.untilSwept()
				var after payment.Payment
				job, after = p.find(job.ID)
				require.Equal(t, c.status, after.Status)
				require.Equal(t, c.refunded, after.AmountRefunded)
				require.EqualValues(t, 1999, after.AmountCaptured)
				require.Equal(t, intake.StateCompleted, job.State)
			}
		})
	}
}
