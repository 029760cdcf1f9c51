package payment_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/postgres"
)

// ledger is a database, as each role has it.
type ledger struct {
	t              *testing.T
	db             *dbtest.DB
	intake, worker *postgres.Tenancy
}

func newLedger(t *testing.T) ledger {
	t.Helper()
	db := dbtest.New(t)
	return ledger{t, db, db.Tenancy(t, postgres.Intake), db.Tenancy(t, postgres.Worker)}
}

// accept inserts a payment of the tenant.
func (l ledger) accept(tenant string, r payment.Request, change ...func(*payment.Payment)) payment.Payment {
	l.t.Helper()
	id, err := uuid.NewV7()
	require.NoError(l.t, err)
	p := payment.New(tenant, id, r, time.Now())
	for _, c := range change {
		c(&p)
	}
	insert(l.t, l.intake, p)
	return p
}

func (l ledger) find(p payment.Payment) payment.Payment {
	l.t.Helper()
	return find(l.t, l.worker, p)
}

func (l ledger) settle(p payment.Payment, o payment.Outcome) payment.Payment {
	l.t.Helper()
	settle(l.t, l.worker, p, o)
	return l.find(p)
}

// begin claims an intent for a payment.
func (l ledger) begin(p payment.Payment, intent string) error {
	p.Status, p.IntentID = payment.Processing, intent
	return payment.Begin(l.t.Context(), l.worker, p, 1, time.Now())
}

func (l ledger) cancel(tenant string, p payment.Payment) error {
	return l.intake.Tx(l.t.Context(), tenant, func(tx pgx.Tx) error {
		return payment.Cancel(l.t.Context(), tx, tenant, p.ID, p.CreatedAt.Add(time.Minute))
	})
}

func TestBeginRecordsWhatIsAboutToBeAsked(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	p, other := l.accept("alice", charge(nil)), l.accept("alice", charge(nil))
	p.Status, p.IntentID = payment.Processing, "pi_1"
	p.GatewayLog = payment.Log{
		{Operation: payment.OpCreate, AskedAt: p.CreatedAt, Answer: "requires_confirmation", HTTPStatus: 200, RequestID: "req_1"},
		{Operation: payment.OpConfirm, AskedAt: p.CreatedAt, Spent: true},
	}
	now := p.CreatedAt.Add(time.Hour)
	require.NoError(t, payment.Begin(t.Context(), l.worker, p, 2, now))
	want := p
	want.GatewayRequests, want.UpdatedAt = 2, now
	require.Equal(t, want, l.find(p))
	require.NoError(t, payment.Begin(t.Context(), l.worker, p, 3, now), "again, after a crash")
	require.Equal(t, 5, l.find(p).GatewayRequests)
	require.Equal(t, other, l.find(other), "no other payment")
}

func TestOneIntentPaysForOnePayment(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	first, second := l.accept("alice", capture(nil)), l.accept("alice", capture(nil))
	require.NoError(t, l.begin(first, "pi_1"))
	f := fault.From(l.begin(second, "pi_1"))
	require.Equal(t, fault.PaymentFailed, f.Code)
	require.Equal(t, "GATEWAY_ERROR", f.Details["reason"])
	require.Zero(t, f.RetryAfter)
	require.NotContains(t, f.Error(), "pi_1")
	require.NotContains(t, f.Error(), first.ID.String())
	require.Equal(t, second, l.find(second))
	require.NoError(t, l.begin(first, "pi_1"), "it may go on itself")

	require.NoError(t, l.begin(l.accept("bob", capture(nil)), "pi_1"), "another tenant has another account, and nothing is told of this one")
	require.NoError(t, l.begin(second, "pi_2"))
}

// What failed gives the client's intent free, for it may still be captured.
func TestAFailedCaptureReleasesItsIntent(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	first, second := l.accept("alice", capture(nil)), l.accept("alice", capture(nil))
	require.NoError(t, l.begin(first, "pi_1"))
	got := l.settle(first, payment.Outcome{Status: payment.Failed, IntentID: "pi_1", Failure: fault.New(fault.PaymentFailed, "No.")})
	require.Empty(t, got.IntentID)
	require.NoError(t, l.begin(second, "pi_1"))
	got = l.settle(second, payment.Outcome{Status: payment.Captured, IntentID: "pi_1"})
	require.Equal(t, "pi_1", got.IntentID)
	third := l.accept("alice", capture(nil))
	require.Equal(t, fault.PaymentFailed, fault.From(l.begin(third, "pi_1")).Code, "what was captured keeps it")

	own := l.accept("alice", charge(nil))
	require.NoError(t, l.begin(own, "pi_2"))
	got = l.settle(own, payment.Outcome{Status: payment.Failed, Failure: fault.New(fault.PaymentFailed, "No.")})
	require.Equal(t, "pi_2", got.IntentID, "an intent of our making is nobody else's")
}

func TestWhatWasGivenBackNeverShrinks(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	p := l.accept("alice", charge(nil))
	for _, step := range []struct {
		status        payment.Status
		refunded, got int64
	}{
		{payment.Captured, 0, 0},
		{payment.Captured, 500, 500},
		{payment.Captured, 0, 500}, // an older answer
		{payment.Captured, 499, 500},
		{payment.Disputed, 0, 500},
		{payment.Refunded, 1999, 1999},
		{payment.Refunded, 500, 1999},
		{payment.Captured, 2000, 1999}, // comes too late
	} {
		got := l.settle(p, payment.Outcome{Status: step.status, AmountCaptured: 1999, AmountRefunded: step.refunded})
		require.Equal(t, step.got, got.AmountRefunded, step)
	}
	require.Equal(t, payment.Refunded, l.find(p).Status)
}

func TestTheClientSecretIsThereOnlyForTheCustomer(t *testing.T) {
	t.Parallel()
	for _, next := range []payment.Status{payment.Processing, payment.Captured, payment.Failed, payment.Refunded, payment.Disputed} {
		t.Run(string(next), func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			p := l.accept("alice", charge(nil))
			require.NoError(t, l.begin(p, "pi_1"))
			require.Empty(t, l.find(p).ClientSecret)
			waiting := payment.Outcome{Status: payment.RequiresAction, IntentID: "pi_1", ClientSecret: "pi_1_secret_x"}
			require.Equal(t, "pi_1_secret_x", l.settle(p, waiting).ClientSecret)
			at := l.find(p)
			require.NoError(t, payment.Begin(t.Context(), l.worker, at, 1, time.Now()))
			require.Equal(t, "pi_1_secret_x", l.find(p).ClientSecret, "the customer may still need it")
			require.Equal(t, payment.RequiresAction, l.find(p).Status)
			require.Empty(t, l.settle(p, payment.Outcome{Status: next}).ClientSecret)
		})
	}
}

func TestAnOutcomeKeepsWhatItDoesNotSay(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	p := l.accept("alice", charge(nil), func(p *payment.Payment) { p.JobID = 4711 })
	until := p.CreatedAt.Add(7 * 24 * time.Hour)
	log := payment.Log{{Operation: payment.OpRead, AskedAt: p.CreatedAt}}
	l.settle(p, payment.Outcome{Status: payment.Processing, IntentID: "pi_1", ExpiresAt: until, Log: log, Asked: 2})
	got := l.settle(p, payment.Outcome{Status: payment.Captured, AmountCaptured: 1999, Asked: 1})
	want := p
	want.Status, want.IntentID, want.ExpiresAt, want.GatewayLog, want.GatewayRequests = payment.Captured, "pi_1", &until, log, 3
	want.AmountCaptured, want.UpdatedAt = 1999, p.CreatedAt.Add(time.Hour)
	require.Equal(t, want, got)
}

func TestAnOutcomeStaysWithItsTenant(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	p := l.accept("alice", charge(nil))
	theirs := p
	theirs.Tenant = "mallory"
	settle(t, l.worker, theirs, payment.Outcome{Status: payment.Captured})
	require.Error(t, l.worker.Tx(t.Context(), "mallory", func(tx pgx.Tx) error {
		_, err := payment.Settle(t.Context(), tx, "alice", p.ID, payment.Outcome{Status: payment.Captured}, time.Now())
		return err
	}))
	require.Equal(t, p, l.find(p))
}

func TestOnlyWhatHasNotBegunIsCancelled(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	p := l.accept("alice", charge(nil))
	require.Equal(t, fault.Conflict, fault.From(l.cancel("mallory", p)).Code)
	require.Equal(t, p, l.find(p))
	require.NoError(t, l.cancel("alice", p))
	got := l.find(p)
	require.Equal(t, payment.Failed, got.Status)
	require.Equal(t, p.CreatedAt.Add(time.Minute), got.UpdatedAt)
	f, ok := fault.Parse(string(got.Failure))
	require.True(t, ok)
	require.Equal(t, fault.JobCancelled, f.Code)
	require.Equal(t, fault.Conflict, fault.From(l.cancel("alice", p)).Code)

	begun := l.accept("alice", charge(nil))
	require.NoError(t, l.begin(begun, "pi_1"))
	before := l.find(begun)
	require.Equal(t, fault.Conflict, fault.From(l.cancel("alice", begun)).Code)
	require.Equal(t, before, l.find(begun))
	for _, status := range []payment.Status{payment.RequiresAction, payment.Captured, payment.Disputed, payment.Refunded} {
		settled := l.settle(begun, payment.Outcome{Status: status})
		require.Equal(t, status, settled.Status)
		require.Equal(t, fault.Conflict, fault.From(l.cancel("alice", begun)).Code)
		require.Equal(t, settled, l.find(begun))
	}
}

func TestListPagesFromTheNewest(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	var alices, bobs []uuid.UUID
	for range 5 { // by turns, so that each has ids between the other's
		alices = append(alices, l.accept("alice", charge(nil)).ID)
		bobs = append(bobs, l.accept("bob", charge(nil)).ID)
	}
	slices.Reverse(alices)
	slices.Reverse(bobs)
	list := func(tenant string, filter payment.Filter) (ids []uuid.UUID) {
		t.Helper()
		page, err := payment.List(t.Context(), l.intake, tenant, filter)
		require.NoError(t, err)
		for _, p := range page {
			require.Equal(t, tenant, p.Tenant)
			require.Equal(t, find(t, l.intake, p), p)
			ids = append(ids, p.ID)
		}
		return ids
	}
	require.Equal(t, alices, list("alice", payment.Filter{Limit: 100}))
	require.Equal(t, alices[:2], list("alice", payment.Filter{Limit: 2}))
	require.Equal(t, alices[2:4], list("alice", payment.Filter{Limit: 2, Before: alices[1]}))
	require.Equal(t, alices[4:], list("alice", payment.Filter{Limit: 2, Before: alices[3]}))
	require.Empty(t, list("alice", payment.Filter{Limit: 2, Before: alices[4]}))
	require.Equal(t, bobs, list("bob", payment.Filter{Limit: 100}))
	require.Equal(t, alices[1:], list("alice", payment.Filter{Limit: 100, Before: bobs[1]}), "another's id tells only the time")
	require.Empty(t, list("mallory", payment.Filter{Limit: 100}))
	require.Empty(t, list("", payment.Filter{Limit: 100}))
}

func TestAbandonedPaymentsAreThoseThatNobodyWorksOn(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	login := l.db.Pool(t, postgres.Login)
	now := time.Now().UTC().Truncate(time.Microsecond)
	job := func(id int64, state string) {
		t.Helper()
		_, err := login.Exec(t.Context(), `
			INSERT INTO river_job (id, kind, args, max_attempts, state, finalized_at, metadata)
			VALUES ($1, 'payment_capture', '{}', 25, $2::river_job_state, CASE WHEN $2 IN ('cancelled', 'completed', 'discarded') THEN now() END, '{"tenant_id": "alice"}')`,
			id, state)
		require.NoError(t, err)
	}
	jobs := map[int64]string{
		1: "completed", 2: "cancelled", 3: "discarded",
		11: "available", 12: "running", 13: "retryable", 14: "scheduled", 15: "pending",
	}
	for id, state := range jobs {
		job(id, state)
	}
	ages := 0
	// left makes a payment that was left so an hour ago, each a second after the one before.
	left := func(tenant string, status payment.Status, jobID int64, untouched time.Time) payment.Reference {
		t.Helper()
		p := l.accept(tenant, charge(nil), func(p *payment.Payment) { p.JobID = jobID })
		ages++
		_, err := login.Exec(t.Context(), "UPDATE payments SET status = $2, updated_at = $3, job_id = nullif(job_id, 0) WHERE id = $1",
			p.ID, status, untouched.Add(time.Duration(ages)*time.Second))
		require.NoError(t, err)
		return payment.Reference{Tenant: tenant, ID: p.ID}
	}
	since, long := now, now.Add(-time.Hour)
	want := []payment.Reference{
		left("alice", payment.Processing, 1, long),
		left("bob", payment.RequiresAction, 2, long),
		left("alice", payment.Pending, 3, long),
		left("alice", payment.Processing, 999, long), // its job is gone
	}
	left("carol", payment.Processing, 0, long) // older than job_id: its job may well be at work
	for id := range jobs {
		if id > 10 {
			left("alice", payment.Processing, id, long) // it is worked on
		}
	}
	left("alice", payment.Processing, 1, now) // just now
	for _, status := range []payment.Status{payment.Captured, payment.Failed, payment.Refunded, payment.Disputed} {
		left("alice", status, 1, long)
	}

	got, err := payment.Abandoned(t.Context(), l.worker, since, 100)
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = payment.Abandoned(t.Context(), l.worker, since, 2)
	require.NoError(t, err)
	require.Equal(t, want[:2], got, "the oldest first")
	got, err = payment.Abandoned(t.Context(), l.worker, long.Add(3*time.Second), 100)
	require.NoError(t, err)
	require.Equal(t, want[:2], got, "what was touched just then is not untouched since")
	_, err = payment.Abandoned(t.Context(), l.intake, since, 100)
	require.Equal(t, fault.DBError, fault.From(err).Code, "it sees all tenants, so intake may not")
}
