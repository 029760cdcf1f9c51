package workers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/intake"
	"millrace/internal/mailbox"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/sandbox"
	"millrace/jobs"
	"millrace/workers"
)

// measured makes a worker register with the registry.
func measured(registry *prometheus.Registry) func(*workers.Options) {
	return func(o *workers.Options) { o.Metrics = registry }
}

// reading returns the metric that has these labels, among others, or nil.
func reading(t *testing.T, registry *prometheus.Registry, name string, labels map[string]string) *dto.Metric {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metrics:
		for _, metric := range family.GetMetric() {
			of := map[string]string{}
			for _, label := range metric.GetLabel() {
				of[label.GetName()] = label.GetValue()
			}
			for label, value := range labels {
				if of[label] != value {
					continue metrics
				}
			}
			return metric
		}
	}
	return nil
}

// gauge returns a gauge's value, and whether it is exported.
func gauge(t *testing.T, registry *prometheus.Registry, name string, labels map[string]string) (float64, bool) {
	t.Helper()
	metric := reading(t, registry, name, labels)
	return metric.GetGauge().GetValue(), metric != nil
}

// untilGauge waits for a gauge to be exported with a value that will do.
func untilGauge(t *testing.T, registry *prometheus.Registry, name string, labels map[string]string, does func(float64) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		value, exported := gauge(t, registry, name, labels)
		return exported && does(value)
	}, time.Minute, 20*time.Millisecond, "%s %v", name, labels)
}

func TestEverySeriesIsThereFromTheStart(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	p.work(measured(registry))
	for _, kind := range jobs.Catalog() {
		labels := map[string]string{"kind": kind.Name, "queue": kind.Queue}
		for _, name := range []string{
			"millrace_job_end_to_end_seconds", "millrace_jobs_on_time_total", "millrace_worker_busy_seconds_total",
		} {
			require.NotNil(t, reading(t, registry, name, labels), "%s %v", name, labels)
		}
		for _, name := range []string{"millrace_worker_fetch_seconds", "millrace_worker_fetched_jobs_total"} {
			require.NotNil(t, reading(t, registry, name, map[string]string{"queue": kind.Queue}), name)
		}
		target, _ := gauge(t, registry, "millrace_job_target_seconds", labels)
		require.InDelta(t, kind.Policy.Target.Seconds(), target, 0)
		sends := kind.Queue == jobs.EmailQueue
		for _, name := range []string{"millrace_mails_sent_total", "millrace_mails_failed_total"} {
			require.Equal(t, sends, reading(t, registry, name, map[string]string{"kind": kind.Name}) != nil, "%s %s", name, kind.Name)
		}
	}
	for _, reason := range payment.Reasons() {
		require.NotNil(t, reading(t, registry, "millrace_payments_failed_total", map[string]string{"reason": string(reason)}), reason)
	}
	for _, outcome := range []string{"retried", "discarded"} {
		require.NotNil(t, reading(t, registry, "millrace_jobs_rescued_total", map[string]string{"outcome": outcome}), outcome)
	}
}

// A job's whole time begins when it could first run, whatever River's row says by its
// end. The rows are made older than any test takes.
func TestAJobIsTimedFromWhenItCouldFirstRun(t *testing.T) {
	t.Parallel()
	const again = `, attempted_by = '{somebody,somebody}', attempt = 1`
	for name, c := range map[string]struct {
		row    string // what is set in the row, which was created an hour ago
		method string
		want   time.Duration
	}{
		"at once":                  {"", "pm_card_visa", time.Hour},
		"after retries":            {again + ", scheduled_at = now()", "pm_card_visa", time.Hour},
		"ordered by its deadline":  {", scheduled_at = now() - interval '60 days'", "pm_card_visa", time.Hour},
		"scheduled":                {", scheduled_at = now() - interval '10 minutes'", "pm_card_visa", 10 * time.Minute},
		"scheduled, after retries": {again + `, scheduled_at = now(), metadata = metadata || jsonb_build_object('scheduled_at', now() - interval '10 minutes')`, "pm_card_visa", 10 * time.Minute},
		"scheduled for later, and called up after a retry": {
			again + `, scheduled_at = now() - interval '5 minutes', metadata = metadata || jsonb_build_object('scheduled_at', now() + interval '1 day')`, "pm_card_visa", 5 * time.Minute,
		},
		"after its customer": {
			again + `, scheduled_at = now() - interval '3 minutes', metadata = metadata || '{"output": {"code": "PAYMENT_FAILED", "error": "The bank asks."}}'`, "pm_card_visa", 3 * time.Minute,
		},
		"after its provider": {
			again + `, scheduled_at = now() - interval '3 minutes', metadata = metadata || '{"output": {"code": "UNAVAILABLE", "error": "It is down."}}'`, "pm_card_visa", time.Hour,
		},
		"to a refusal": {"", "pm_card_visa_chargeDeclined", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			submitted := p.submit(c.method)
			_, err := p.login.Exec(t.Context(), `UPDATE river_job SET created_at = now() - interval '1 hour', scheduled_at = now() - interval '1 hour' WHERE id = $1`, submitted.ID)
			require.NoError(t, err)
			_, err = p.login.Exec(t.Context(), `UPDATE river_job SET tags = tags`+c.row+` WHERE id = $1`, submitted.ID)
			require.NoError(t, err)
			registry := prometheus.NewRegistry()
			p.work(measured(registry))
			p.finish(submitted.ID)
			of := map[string]string{"kind": "payment_capture", "queue": "payments"}
			took := reading(t, registry, "millrace_job_end_to_end_seconds", of).GetHistogram()
			require.EqualValues(t, 1, took.GetSampleCount())
			require.InDelta(t, c.want.Seconds(), took.GetSampleSum(), 100)
			require.Zero(t, counter(t, registry, "millrace_jobs_on_time_total", of), "late")
		})
	}
}

func TestOnTimeIsWhatEndedWithinItsTarget(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	// Its time begins in an hour, so that it is in time however slow the machine is.
	early := func(job intake.Job) {
		_, err := p.login.Exec(t.Context(), "UPDATE river_job SET created_at = now() + interval '1 hour' WHERE id = $1", job.ID)
		require.NoError(t, err)
	}
	captured, declined := p.submit("pm_card_visa"), p.submit("pm_card_visa_chargeDeclined")
	early(captured)
	early(declined)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/confirm", PaymentMethod: "pm_card_jcb"}))
	given := p.lastChance(payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_jcb"})
	early(given)
	p.work(measured(registry))
	for _, job := range []intake.Job{captured, declined, given} {
		p.finish(job.ID)
	}
	of := map[string]string{"kind": "payment_capture"}
	require.InDelta(t, 2, counter(t, registry, "millrace_jobs_on_time_total", of), 0, "what was given up never is")
	require.EqualValues(t, 3, reading(t, registry, "millrace_job_end_to_end_seconds", of).GetHistogram().GetSampleCount())
}

// held is a gateway that answers when it is let go.
type held struct {
	payment.Gateway

	asked, letGo chan struct{}
}

func (h *held) Create(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	h.asked <- struct{}{}
	<-h.letGo
	return h.Gateway.Create(ctx, p)
}

func TestSlotsAreBusyWhileTheyAre(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	gateway, err := stripeGateway(p.url, 0)
	require.NoError(t, err)
	h := &held{gateway, make(chan struct{}), make(chan struct{})}
	p.work(measured(registry), func(o *workers.Options) { o.Gateway = h })
	busy := func() float64 {
		return counter(t, registry, "millrace_worker_busy_seconds_total", map[string]string{"kind": "payment_capture", "queue": "payments"})
	}
	require.Zero(t, busy())
	submitted := []intake.Job{p.submit("pm_card_visa"), p.submit("pm_card_visa")}
	<-h.asked
	<-h.asked
	first := busy()
	require.Positive(t, first, "while they run")
	require.Greater(t, busy(), first)
	close(h.letGo)
	for _, job := range submitted {
		p.finish(job.ID)
	}
	// A slot is free a moment after its job has ended.
	var last float64
	require.Eventually(t, func() bool {
		before := last
		last = busy()
		return last == before
	}, time.Minute, time.Millisecond)
	require.Greater(t, last, first)
	for _, kind := range []string{"conversation_scoring", "booking_reminder_email"} {
		require.Zero(t, counter(t, registry, "millrace_worker_busy_seconds_total", map[string]string{"kind": kind}))
	}
}

func TestFetchesAreMeasured(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	submitted := []intake.Job{p.submit("pm_card_visa"), p.submit("pm_card_visa"), p.submit("pm_card_visa")}
	// None of the platform's own are in the way.
	_, err := p.login.Exec(t.Context(), "UPDATE river_job SET queue = 'emails'")
	require.NoError(t, err)
	p.work(measured(registry))
	for _, job := range submitted {
		p.finish(job.ID)
	}
	of := map[string]string{"queue": "emails"}
	require.InDelta(t, 3, counter(t, registry, "millrace_worker_fetched_jobs_total", of), 0)
	fetch := reading(t, registry, "millrace_worker_fetch_seconds", of).GetHistogram()
	require.Positive(t, fetch.GetSampleCount())
	require.Positive(t, fetch.GetSampleSum())
}

// A worker is killed at two jobs, one of them in its last attempt.
func TestRescuesAreCounted(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultTimeoutAfter, Path: "/confirm", Count: 2}))
	retried, discarded := p.submit("pm_card_visa"), p.lastChance(payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa"})
	victim := p.spawn(0)
	require.Eventually(t, func() bool { return len(p.stripe.Charges()) == 2 }, 30*time.Second, 10*time.Millisecond)
	kill(t, victim)
	registry := prometheus.NewRegistry()
	p.work(measured(registry))
	job, _ := p.finish(discarded.ID)
	require.Equal(t, intake.StateDiscarded, job.State)
	job, _ = p.finish(retried.ID)
	require.Equal(t, intake.StateCompleted, job.State)
	for _, outcome := range []string{"retried", "discarded"} {
		require.InDelta(t, 1, counter(t, registry, "millrace_jobs_rescued_total", map[string]string{"outcome": outcome}), 0, outcome)
	}
}

func TestPaymentsAreCountedOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	stop := p.work(measured(registry))
	captured := func() float64 { return counter(t, registry, "millrace_payments_captured_total", nil) }
	failed := func(reason payment.Reason) float64 {
		return counter(t, registry, "millrace_payments_failed_total", map[string]string{"reason": string(reason)})
	}
	paid := p.submit("pm_card_visa")
	p.finish(paid.ID)
	p.finish(p.submit("pm_card_visa_chargeDeclined").ID)
	refused := p.submit("pm_card_visa_chargeDeclinedInsufficientFunds")
	p.finish(refused.ID)
	require.InDelta(t, 1, captured(), 0)
	require.InDelta(t, 1, failed(payment.ReasonDeclined), 0)
	require.InDelta(t, 1, failed(payment.ReasonInsufficientFunds), 0)

	// River runs finished work again when its worker dies too soon, and events have
	// payments looked at that are captured.
	for _, id := range []int64{paid.ID, refused.ID} {
		_, err := p.login.Exec(t.Context(), "UPDATE river_job SET state = 'available', finalized_at = NULL WHERE id = $1", id)
		require.NoError(t, err)
		p.until(id, func(job intake.Job) bool { return job.State.Done() })
	}
	_, err := p.login.Exec(t.Context(), `INSERT INTO river_job (kind, args, metadata, max_attempts, queue, state)
		VALUES ('payment_reconciliation', jsonb_build_object('payment_id', $1::uuid), '{"tenant_id":"alice"}', 25, 'payments', 'available')`, *paid.ResourceID)
	require.NoError(t, err)
	p.untilSwept()
	stop()
	require.InDelta(t, 1, captured(), 0)
	require.InDelta(t, 1, failed(payment.ReasonDeclined), 0)
	require.InDelta(t, 1, failed(payment.ReasonInsufficientFunds), 0)
}

// What nobody works on any more is settled by a look at the gateway, and counts then.
func TestASettledPaymentIsCounted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		charged bool
		metric  string
	}{
		"charged":     {true, "millrace_payments_captured_total"},
		"not charged": {false, "millrace_payments_failed_total"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			registry := prometheus.NewRegistry()
			require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/confirm", Charged: c.charged}))
			given := p.lastChance(payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa"})
			p.work(soon, measured(registry))
			p.finish(given.ID)
			of := map[string]string{}
			if !c.charged {
				of["reason"] = string(payment.ReasonGatewayError)
			}
			require.Zero(t, counter(t, registry, c.metric, of), "nobody knows yet")
			p.stripe.ClearFaults()
			p.sweep()
			p.settled(given.ID)
			require.Eventually(t, func() bool { return counter(t, registry, c.metric, of) == 1 }, time.Minute, 10*time.Millisecond)
		})
	}
}

func TestMailsAreCountedOnce(t *testing.T) {
	t.Parallel()
	of := map[string]string{"kind": "booking_confirmation_email"}
	for name, c := range map[string]struct {
		fault        *mailbox.Fault
		last         bool
		sent, failed float64
	}{
		"sent":         {sent: 1},
		"refused":      {fault: &mailbox.Fault{Kind: mailbox.FaultRefused}, failed: 1},
		"tried enough": {fault: &mailbox.Fault{Kind: mailbox.FaultHTTP500}, last: true, failed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			registry := prometheus.NewRegistry()
			if c.fault != nil {
				require.NoError(t, p.mails.Inject(*c.fault))
			}
			submitted := p.book(0, "jo@example.com")
			if c.last {
				_, err := p.login.Exec(t.Context(), "UPDATE river_job SET max_attempts = 1 WHERE id = $1", submitted.ID)
				require.NoError(t, err)
			}
			stop := p.work(measured(registry))
			p.booked(submitted.ID)
			require.InDelta(t, c.sent, counter(t, registry, "millrace_mails_sent_total", of), 0)
			require.InDelta(t, c.failed, counter(t, registry, "millrace_mails_failed_total", of), 0)
			if c.last {
				return // what was given up is given up again when it is tried again
			}
			_, err := p.login.Exec(t.Context(), "UPDATE river_job SET state = 'available', finalized_at = NULL WHERE id = $1", submitted.ID)
			require.NoError(t, err)
			p.booked(submitted.ID)
			stop()
			require.InDelta(t, c.sent, counter(t, registry, "millrace_mails_sent_total", of), 0, "its job ran again")
			require.InDelta(t, c.failed, counter(t, registry, "millrace_mails_failed_total", of), 0, "its job ran again")
		})
	}
}

// The reminder keeps when it could first run, which River overwrites.
func TestAReminderKnowsItsTime(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work()
	p.booked(p.book(0, "jo@example.com").ID)
	var same bool
	require.NoError(t, p.login.QueryRow(t.Context(),
		"SELECT (metadata ->> 'scheduled_at')::timestamptz = scheduled_at FROM river_job WHERE kind = 'booking_reminder_email'").Scan(&same))
	require.True(t, same)
}

// Two workers: one leads and exports what only the leader does; when it is killed, the
// other takes over. A dead process exports nothing, so nothing is ever there twice
// but for the moment of a hand-over.
func TestAnotherLeaderTakesOver(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	victim := p.spawn(0)
	require.Eventually(t, func() bool {
		var leaders int
		err := p.login.QueryRow(t.Context(), "SELECT count(*) FROM river_leader").Scan(&leaders)
		return err == nil && leaders == 1
	}, 30*time.Second, 20*time.Millisecond)
	registry := prometheus.NewRegistry()
	p.work(measured(registry))
	// It has looked when it knows the time of day, and left the rest to the leader.
	untilGauge(t, registry, "millrace_database_clock_skew_seconds", nil, func(float64) bool { return true })
	leads, _ := gauge(t, registry, "millrace_leader", nil)
	require.Zero(t, leads)
	for _, name := range leadersOnly() {
		require.Nil(t, reading(t, registry, name, nil), name)
	}
	kill(t, victim)
	untilGauge(t, registry, "millrace_leader", nil, func(leads float64) bool { return leads == 1 })
	for _, name := range leadersOnly() {
		require.NotNil(t, reading(t, registry, name, nil), name)
	}
	for _, queue := range jobs.Queues() {
		for _, state := range []string{"available", "running", "retryable", "scheduled"} {
			require.NotNil(t, reading(t, registry, "millrace_queue_jobs", map[string]string{"queue": queue.Name, "state": state}), "%s %s", queue.Name, state)
		}
	}
	at, _ := gauge(t, registry, "millrace_queue_observation_timestamp_seconds", nil)
	require.WithinDuration(t, time.Now(), time.Unix(int64(at), 0), time.Minute)
	took, _ := gauge(t, registry, "millrace_queue_observation_seconds", nil)
	require.Positive(t, took)
}

// leadersOnly lists what the leader alone exports.
func leadersOnly() []string {
	return []string{
		"millrace_queue_jobs", "millrace_queue_discarded_jobs", "millrace_queue_oldest_available_age_seconds", "millrace_queue_paused",
		"millrace_queue_observation_seconds", "millrace_queue_observation_timestamp_seconds",
		"millrace_rollup_watermark_age_seconds", "millrace_audit_pending_age_seconds", "millrace_postgres_live_tuples", "millrace_postgres_dead_tuples",
		"millrace_postgres_oldest_xmin_age_transactions", "millrace_postgres_oldest_transaction_age_seconds",
	}
}

// When the database cannot be asked, old figures would lie.
func TestOldFiguresAreNotExported(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	p.work(measured(registry))
	untilGauge(t, registry, "millrace_leader", nil, func(leads float64) bool { return leads == 1 })
	_, err := p.login.Exec(t.Context(), "ALTER TABLE river_queue RENAME TO gone")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, exported := gauge(t, registry, "millrace_database_clock_skew_seconds", nil)
		return !exported
	}, time.Minute, 20*time.Millisecond)
	leads, _ := gauge(t, registry, "millrace_leader", nil)
	require.Zero(t, leads)
	for _, name := range leadersOnly() {
		require.Nil(t, reading(t, registry, name, nil), name)
	}
	_, err = p.login.Exec(t.Context(), "ALTER TABLE gone RENAME TO river_queue")
	require.NoError(t, err)
	untilGauge(t, registry, "millrace_leader", nil, func(leads float64) bool { return leads == 1 })
}

func TestTheSkewOfTheClocksIsMeasured(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	p.work(measured(registry), func(o *workers.Options) { o.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) } })
	untilGauge(t, registry, "millrace_database_clock_skew_seconds", nil, func(skew float64) bool { return skew < -590 && skew > -610 })
}

func TestDeadLettersAreCounted(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	for range 3 {
		p.submit("pm_card_visa")
	}
	_, err := p.login.Exec(t.Context(), "UPDATE river_job SET state = 'discarded', finalized_at = now()")
	require.NoError(t, err)
	p.work(measured(registry))
	untilGauge(t, registry, "millrace_queue_discarded_jobs", map[string]string{"queue": "payments"}, func(n float64) bool { return n == 3 })
	n, _ := gauge(t, registry, "millrace_queue_discarded_jobs", map[string]string{"queue": "emails"})
	require.Zero(t, n)
	require.Nil(t, reading(t, registry, "millrace_queue_jobs", map[string]string{"state": "discarded"}), "they do not live")
}

// What vacuum has to do, and what holds it back: a transaction that stays open.
func TestVacuumsWorkIsExported(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	registry := prometheus.NewRegistry()
	for range 5 {
		p.submit("pm_card_visa")
	}
	_, err := p.login.Exec(t.Context(), "ALTER TABLE river_job SET (autovacuum_enabled = off)")
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), p.db.URL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	var one int
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT 1").Scan(&one))
	for range 50 {
		_, err := p.login.Exec(t.Context(), "SELECT pg_current_xact_id()")
		require.NoError(t, err)
	}
	p.work(measured(registry))
	untilGauge(t, registry, "millrace_postgres_oldest_xmin_age_transactions", nil, func(age float64) bool { return age >= 50 })
	untilGauge(t, registry, "millrace_postgres_oldest_transaction_age_seconds", nil, func(age float64) bool { return age > 0 })
	untilGauge(t, registry, "millrace_postgres_dead_tuples", map[string]string{"table": "river_job"}, func(n float64) bool { return n >= 5 })
	untilGauge(t, registry, "millrace_postgres_live_tuples", map[string]string{"table": "river_job"}, func(n float64) bool { return n >= 5 })
	require.NoError(t, tx.Rollback(t.Context()))
	untilGauge(t, registry, "millrace_postgres_oldest_xmin_age_transactions", nil, func(age float64) bool { return age < 50 })
}

func TestTheHotTablesExist(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	for _, table := range workers.HotTables() {
		var there bool
		require.NoError(t, p.login.QueryRow(t.Context(), "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there))
		require.True(t, there, table)
	}
}

// A login that migrates may not be allowed to let the owner see other sessions, and
// workers may be newer than the schema: then only these two are missing.
func TestWhatHoldsVacuumBackMayBeHidden(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"not allowed": "REVOKE pg_read_all_stats FROM millrace_owner",
		"not there":   "DROP FUNCTION millrace_held_back()",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg := startPostgres(t) // what roles may do is the cluster's
			pool, err := postgres.Open(t.Context(), postgres.Options{URL: pg.url})
			require.NoError(t, err)
			defer pool.Close()
			_, err = pool.Exec(t.Context(), sql)
			require.NoError(t, err)
			worker, err := postgres.Open(t.Context(), postgres.Options{URL: pg.url, Role: postgres.Worker})
			require.NoError(t, err)
			defer worker.Close()
			registry := prometheus.NewRegistry()
			opts := options(worker, panicking{}, nowhere{})
			opts.Metrics, opts.Logger = registry, discard()
			runner, err := workers.New(opts)
			require.NoError(t, err)
			stop := start(t, runner.Run)
			untilGauge(t, registry, "millrace_leader", nil, func(leads float64) bool { return leads == 1 })
			require.NotNil(t, reading(t, registry, "millrace_postgres_dead_tuples", nil))
			require.Nil(t, reading(t, registry, "millrace_postgres_oldest_xmin_age_transactions", nil))
			require.Nil(t, reading(t, registry, "millrace_postgres_oldest_transaction_age_seconds", nil))
			stop()
		})
	}
}

// A queue is counted beyond the thousand when it is its turn, and what was counted
// then is told until its next.
func TestQueuesAreCountedInTurn(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	fill := func(queue, state string, n int) {
		_, err := p.login.Exec(t.Context(), fmt.Sprintf(`INSERT INTO river_job (kind, args, max_attempts, queue, state, finalized_at)
			SELECT 'payment_capture', '{"payment_id": "%s"}', 25, $1, $2::river_job_state, CASE WHEN $2 = 'discarded' THEN now() END FROM generate_series(1, $3)`, uuid.New()), queue, state, n)
		require.NoError(t, err)
	}
	queues := jobs.Queues()
	first, last := queues[0].Name, queues[len(queues)-1].Name
	fill(first, "available", 1500)
	fill(first, "discarded", 12_000)
	fill(last, "scheduled", 1200)
	fill(last, "retryable", 999)

	conn, err := p.db.Pool(t, postgres.Worker).Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	looker := workers.NewLooker()
	look := func() map[string]int64 {
		counts, err := looker.Look(t.Context(), conn.Conn())
		require.NoError(t, err)
		return counts
	}
	seen := look()
	require.EqualValues(t, 1500, seen[first+" available"])
	require.EqualValues(t, workers.DepthCap, seen[first+" discarded"])
	require.EqualValues(t, 1000, seen[last+" scheduled"], "not its turn yet")
	require.EqualValues(t, 999, seen[last+" retryable"])
	for range len(queues) - 1 {
		seen = look()
	}
	require.EqualValues(t, 1500, seen[first+" available"], "as it was when it was its turn")
	require.EqualValues(t, 1200, seen[last+" scheduled"])
	_, err = p.login.Exec(t.Context(), "DELETE FROM river_job WHERE id IN (SELECT id FROM river_job WHERE state = 'scheduled' LIMIT 1190)")
	require.NoError(t, err)
	require.EqualValues(t, 10, look()[last+" scheduled"], "few are counted at once")
}

// nowhere is a mailer that nobody asks.
type nowhere struct{ booking.Mailer }
