package intake_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/jobs"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// bench is a writer on a database of its own, not running yet.
type bench struct {
	t        *testing.T
	db       *dbtest.DB
	login    *pgxpool.Pool
	tenancy  *postgres.Tenancy
	writer   *intake.Writer
	registry *prometheus.Registry
}

func newBench(t *testing.T, change ...func(*intake.Options)) *bench {
	t.Helper()
	db := dbtest.New(t)
	b := &bench{t: t, db: db, login: db.Pool(t, postgres.Login), tenancy: db.Tenancy(t, postgres.Intake), registry: prometheus.NewRegistry()}
	opts := intake.Options{Pool: db.Pool(t, postgres.Intake), Logger: dbtest.Logger(t), Metrics: b.registry}
	for _, f := range change {
		f(&opts)
	}
	var err error
	b.writer, err = intake.NewWriter(opts)
	require.NoError(t, err)
	return b
}

// run starts the writer; it stops when the test ends.
func (b *bench) run() *bench {
	b.t.Helper()
	ctx, stop := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.writer.Run(ctx) }()
	b.t.Cleanup(func() {
		stop()
		require.NoError(b.t, <-done)
	})
	return b
}

func (b *bench) count(table string) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.login.QueryRow(b.t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// submission is a payment of the tenant; the amount tells requests apart.
func submission(t *testing.T, tenant, key string, amount int64) intake.Submission {
	t.Helper()
	kind := jobs.Find("payment_capture")
	body, err := json.Marshal(payment.Request{Amount: 1000 + amount, Currency: "usd", PaymentMethod: "pm_card_visa"})
	require.NoError(t, err)
	accepted, err := kind.Accept(body, jobs.Acceptance{Tenant: tenant, ID: uuid.New(), Now: time.Now()})
	require.NoError(t, err)
	return intake.Submission{
		Tenant: tenant, Route: "POST /v1/payments", Key: key, Hash: accepted.Hash, Kind: kind, Accepted: accepted, Priority: 1,
	}
}

// broken is a submission that passed validation but that the database refuses.
func broken(t *testing.T, tenant string) intake.Submission {
	t.Helper()
	s := submission(t, tenant, "", 1)
	p, ok := s.Accepted.Resource.(payment.Payment)
	require.True(t, ok)
	p.Currency = "not a currency"
	s.Accepted.Resource = p
	return s
}

type result struct {
	receipt intake.Receipt
	err     error
}

// submitAll submits concurrently, so that the submissions share batches.
func (b *bench) submitAll(list []intake.Submission) []result {
	b.t.Helper()
	results := make([]result, len(list))
	var group sync.WaitGroup
	for i, s := range list {
		group.Go(func() {
			results[i].receipt, results[i].err = b.writer.Submit(b.t.Context(), s)
		})
	}
	group.Wait()
	return results
}

// submitTogether submits before the writer runs, so that all share one batch.
func (b *bench) submitTogether(list []intake.Submission) []result {
	b.t.Helper()
	results := make(chan []result, 1)
	go func() { results <- b.submitAll(list) }()
	require.Eventually(b.t, func() bool { return b.writer.Waiting() == len(list) }, 10*time.Second, time.Millisecond)
	b.run()
	return <-results
}

func TestSubmitCommitsLedgerRowDomainRowAndJobTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	s := submission(t, "alice", "k1", 1999)
	s.RequestID = "req-1"
	receipt, err := b.writer.Submit(t.Context(), s)
	require.NoError(t, err)
	require.False(t, receipt.Replayed)

	var tenant, jobArgs, requestID, queue string
	var resource uuid.UUID
	require.NoError(t, b.login.QueryRow(t.Context(), `
		SELECT s.tenant_id, s.resource_id, j.args ->> 'payment_id', j.metadata ->> 'request_id', j.queue
		FROM submissions s JOIN river_job j ON j.id = s.job_id JOIN payments p ON p.id = s.resource_id AND p.tenant_id = s.tenant_id
		WHERE s.job_id = $1 AND j.metadata ->> 'tenant_id' = 'alice'`, receipt.Job.ID).Scan(&tenant, &resource, &jobArgs, &requestID, &queue))
	require.Equal(t, "alice", tenant)
	require.Equal(t, resource.String(), jobArgs)
	require.Equal(t, "req-1", requestID)
	require.Equal(t, "payments", queue)

	job, err := intake.Find(t.Context(), b.tenancy, "alice", receipt.Job.ID)
	require.NoError(t, err)
	require.Equal(t, intake.StateAvailable, job.State)
	require.Equal(t, receipt.Job.CreatedAt, job.CreatedAt)
	_, err = intake.Find(t.Context(), b.tenancy, "mallory", receipt.Job.ID)
	require.Equal(t, fault.NotFound, fault.From(err).Code)
}

func TestConcurrentSubmissionsShareCommits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var list []intake.Submission
	for i := range 300 {
		list = append(list, submission(t, fmt.Sprintf("tenant%d", i%7), fmt.Sprintf("k%d", i), 100))
	}
	seen := map[int64]bool{}
	for i, r := range b.submitTogether(list) {
		require.NoError(t, r.err)
		require.False(t, seen[r.receipt.Job.ID], "ids are distinct")
		seen[r.receipt.Job.ID] = true
		_, err := intake.Find(t.Context(), b.tenancy, list[i].Tenant, r.receipt.Job.ID)
		require.NoError(t, err, "each caller got its own job")
	}
	require.Equal(t, 300, b.count("river_job"))
	require.Equal(t, 300, b.count("payments"))
	require.Equal(t, 300, b.count("submissions"))

	families, err := b.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "millrace_intake_batch_submissions" {
			require.EqualValues(t, 1, family.GetMetric()[0].GetHistogram().GetSampleCount(), "one commit for all")
			return
		}
	}
	t.Fatal("no batch metric")
}

// Large rows share a commit with few others, so that none waits long for it.
func TestLargeSubmissionsDoNotShareOneCommit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	list := make([]intake.Submission, 40)
	for i := range list {
		list[i] = submission(t, "alice", fmt.Sprint(i), int64(i))
		list[i].Accepted.Size = 2 << 20 // of which a commit takes 8 MiB
	}
	for _, r := range b.submitTogether(list) {
		require.NoError(t, r.err)
	}
	families, err := b.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "millrace_intake_batch_submissions" {
			require.EqualValues(t, 10, family.GetMetric()[0].GetHistogram().GetSampleCount())
		}
	}
}

func TestSameKeyGivesOneJobAndTheSameAnswer(t *testing.T) {
	t.Parallel()
	for name, together := range map[string]bool{"in one batch": true, "racing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var list []intake.Submission
			for range 50 {
				list = append(list, submission(t, "alice", "same", 1999))
			}
			var results []result
			if together {
				results = b.submitTogether(list)
			} else {
				results = b.run().submitAll(list)
			}
			fresh := 0
			for _, r := range results {
				require.NoError(t, r.err)
				require.Equal(t, results[0].receipt.Job, r.receipt.Job)
				if !r.receipt.Replayed {
					fresh++
				}
			}
			require.Equal(t, 1, fresh)
			require.Equal(t, 1, b.count("river_job"))
			require.Equal(t, 1, b.count("payments"))
			require.EqualValues(t, 1, testutil.ToFloat64(b.enqueued()), "replays are not counted as enqueued")
		})
	}
}

func (b *bench) enqueued() prometheus.Collector {
	b.t.Helper()
	// The counter is registered already; registering its twin returns it.
	err := b.registry.Register(prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "millrace_jobs_enqueued_total", Help: "Jobs that intake wrote, by kind and queue.",
	}, []string{"kind", "queue"}))
	var already prometheus.AlreadyRegisteredError
	require.ErrorAs(b.t, err, &already)
	counter, ok := already.ExistingCollector.(*prometheus.CounterVec)
	require.True(b.t, ok)
	return counter.WithLabelValues("payment_capture", "payments")
}

func TestSameKeyWithAnotherRequestIsRefusedAndAddsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	results := b.submitTogether([]intake.Submission{submission(t, "alice", "same", 1999), submission(t, "alice", "same", 2000)})
	refused := 0
	for _, r := range results {
		if r.err != nil {
			require.Equal(t, fault.IdempotencyMismatch, fault.From(r.err).Code)
			refused++
		}
	}
	require.Equal(t, 1, refused)
	require.Equal(t, 1, b.count("river_job"))
	require.Equal(t, 1, b.count("payments"))
}

func TestKeysAreSeparateByTenantAndRoute(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := submission(t, "alice", "same", 3)
	other.Route = "POST /v1/jobs"
	for _, r := range b.submitTogether([]intake.Submission{submission(t, "alice", "same", 1), submission(t, "bob", "same", 2), other}) {
		require.NoError(t, r.err)
		require.False(t, r.receipt.Replayed)
	}
	require.Equal(t, 3, b.count("river_job"))
}

func TestABadRowFailsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	list := []intake.Submission{broken(t, "alice")}
	for i := range 40 {
		list = append(list, submission(t, fmt.Sprintf("tenant%d", i%3), fmt.Sprintf("k%d", i), 100))
	}
	list = append(list, broken(t, "tenant1"))
	for i, r := range b.submitTogether(list) {
		if i == 0 || i == len(list)-1 {
			require.Equal(t, fault.DBError, fault.From(r.err).Code)
			continue
		}
		require.NoError(t, r.err)
	}
	require.Equal(t, 40, b.count("river_job"), "the bad rows left nothing behind")
	require.Equal(t, 40, b.count("submissions"))
	require.Equal(t, 40, b.count("payments"))
}

// Row-level security holds inside the shared transaction: a row that names
// another tenant than its submission is refused.
func TestARowOfAnotherTenantIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	smuggled := submission(t, "mallory", "", 100)
	p, ok := smuggled.Accepted.Resource.(payment.Payment)
	require.True(t, ok)
	p.Tenant = "alice"
	smuggled.Accepted.Resource = p
	results := b.submitTogether([]intake.Submission{submission(t, "alice", "", 1), smuggled})
	require.NoError(t, results[0].err)
	require.Equal(t, fault.DBError, fault.From(results[1].err).Code)
	require.Equal(t, 1, b.count("payments"))
}

func TestTooManyWaitingIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *intake.Options) { o.Backlog = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 2 {
		s := submission(t, "alice", "", 1)
		group.Go(func() { _, _ = b.writer.Submit(ctx, s) })
	}
	require.Eventually(t, func() bool { return b.writer.Waiting() == 2 }, 10*time.Second, time.Millisecond)
	_, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
	f := fault.From(err)
	require.Equal(t, fault.Unavailable, f.Code)
	require.Positive(t, f.RetryAfter)
	cancel()
	group.Wait()
	b.run()
	require.Eventually(t, func() bool { return b.writer.Waiting() == 0 }, 10*time.Second, time.Millisecond)
	require.Equal(t, 0, b.count("river_job"), "what was given up before it was written is not written")
}

func TestAnUnreachableDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.login.Close()
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	b.writer, err = intake.NewWriter(intake.Options{Pool: pool, Logger: dbtest.Logger(t), Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	b.run()
	_, err = b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
	require.Equal(t, fault.Unavailable, fault.From(err).Code)
}

func TestStoppingWritesWhatWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	results := make(chan error, 20)
	for range 20 {
		s := submission(t, "alice", "", 1)
		go func() { _, err := b.writer.Submit(t.Context(), s); results <- err }()
	}
	require.Eventually(t, func() bool { return b.writer.Waiting() == 20 }, 10*time.Second, time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, b.writer.Run(ctx))
	for range 20 {
		require.NoError(t, <-results)
	}
	_, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
	require.Equal(t, fault.Unavailable, fault.From(err).Code, "after the end nothing hangs")
	require.Equal(t, 20, b.count("river_job"))
}

func TestScheduledSubmissionsWait(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	s := submission(t, "alice", "later", 1)
	s.ScheduledAt = time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	s.Priority = 3
	first, err := b.writer.Submit(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, intake.StateScheduled, first.Job.State)
	again, err := b.writer.Submit(t.Context(), s)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, first.Job, again.Job)

	job, err := intake.Find(t.Context(), b.tenancy, "alice", first.Job.ID)
	require.NoError(t, err)
	require.Equal(t, intake.StateScheduled, job.State)
	require.Equal(t, s.ScheduledAt, job.ScheduledAt)
	require.Equal(t, 3, job.Priority)
	var at time.Time
	require.NoError(t, b.login.QueryRow(t.Context(), "SELECT (metadata ->> 'scheduled_at')::timestamptz FROM river_job").Scan(&at))
	require.WithinDuration(t, s.ScheduledAt, at, 0, "River's own column changes with each retry")
}
