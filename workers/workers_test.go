package workers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/internal/booking"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/mailbox"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/resendmail"
	"millrace/internal/sandbox"
	"millrace/internal/stripepay"
	"millrace/jobs"
	"millrace/workers"
)

func TestMain(m *testing.M) {
	if url := os.Getenv("MILLRACE_TEST_WORKER"); url != "" {
		timeout, _ := time.ParseDuration(os.Getenv("MILLRACE_TEST_STRIPE_TIMEOUT"))
		os.Exit(workerProcess(url, os.Getenv("MILLRACE_TEST_STRIPE"), os.Getenv("MILLRACE_TEST_MAIL"), timeout))
	}
	os.Exit(dbtest.Main(m))
}

// attemptTimeout is the longest attempt in these tests, so that a dead worker's
// jobs are rescued soon.
const attemptTimeout = 3 * time.Second

// plant is a database, a gateway and a writer; workers are added.
type plant struct {
	t       *testing.T
	db      *dbtest.DB
	login   *pgxpool.Pool
	tenancy *postgres.Tenancy
	stripe  *sandbox.Stripe
	url     string
	mails   *mailbox.Mailbox
	mailURL string
	writer  *intake.Writer
	waiter  *intake.Waiter
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	return newPlantOn(t, dbtest.New(t))
}

func newPlantOn(t *testing.T, db *dbtest.DB) *plant {
	t.Helper()
	stripe, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(stripe)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	p := &plant{
		t: t, db: db, login: db.Pool(t, postgres.Login), tenancy: db.Tenancy(t, postgres.Intake), stripe: stripe, url: server.URL,
	}
	p.mails = mailbox.New(mailbox.Options{})
	t.Cleanup(func() { _ = p.mails.Close() })
	post := httptest.NewServer(p.mails)
	t.Cleanup(post.Close)
	t.Cleanup(post.CloseClientConnections)
	p.mailURL = post.URL
	p.waiter = intake.NewWaiter(p.tenancy, dbtest.Logger(t))
	p.writer, err = intake.NewWriter(intake.Options{Pool: db.Pool(t, postgres.Intake), Logger: dbtest.Logger(t), Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	start(t, p.writer.Run)
	return p
}

// start runs something until the test ends, or stop is called.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}

func options(pool *pgxpool.Pool, gateway payment.Gateway, mailer booking.Mailer) workers.Options {
	return workers.Options{
		Pool: pool, Gateway: gateway, Mailer: mailer, From: "Acme <bookings@acme.example>", AttemptTimeout: attemptTimeout, StopTimeout: time.Second,
		Metrics: prometheus.NewRegistry(),
	}
}

// stripeGateway asks the sandbox. A timeout of zero is the gateway's own.
func stripeGateway(url string, timeout time.Duration) (payment.Gateway, error) {
	return stripepay.New(stripepay.Options{Key: "sk_test_x", BaseURL: url, Timeout: timeout, Pause: time.Second, Metrics: prometheus.NewRegistry(), Transport: &http.Transport{DisableKeepAlives: true}})
}

// resendMailer sends to the sandbox's mailbox, as fast as it takes mails.
func resendMailer(url string) (booking.Mailer, error) {
	return resendmail.New(resendmail.Options{
		Key: "re_x", BaseURL: url, Rate: 1000, Pause: time.Second, Metrics: prometheus.NewRegistry(), Transport: &http.Transport{DisableKeepAlives: true},
	})
}

func (p *plant) work(change ...func(*workers.Options)) (stop func()) {
	p.t.Helper()
	gateway, err := stripeGateway(p.url, 0)
	require.NoError(p.t, err)
	mailer, err := resendMailer(p.mailURL)
	require.NoError(p.t, err)
	opts := options(p.db.Pool(p.t, postgres.Worker), gateway, mailer)
	opts.Logger = dbtest.Logger(p.t)
	for _, f := range change {
		f(&opts)
	}
	runner, err := workers.New(opts)
	require.NoError(p.t, err)
	return start(p.t, runner.Run)
}

// submit submits the charge of a payment method.
func (p *plant) submit(method string) intake.Job {
	p.t.Helper()
	return p.request(payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: method})
}

func (p *plant) request(request payment.Request) intake.Job {
	p.t.Helper()
	receipt, err := p.trySubmit(request, uuid.NewString())
	require.NoError(p.t, err)
	return receipt.Job
}

func (p *plant) trySubmit(request payment.Request, key string) (intake.Receipt, error) {
	kind := jobs.Find("payment_capture")
	body, err := json.Marshal(request)
	if err != nil {
		return intake.Receipt{}, err
	}
	accepted, err := kind.Accept(body, jobs.Acceptance{Tenant: "alice", ID: uuid.New(), Now: time.Now()})
	if err == nil {
		accepted, err = kind.Complete(p.t.Context(), p.tenancy, "alice", accepted)
	}
	if err != nil {
		return intake.Receipt{}, err
	}
	return p.writer.Submit(p.t.Context(), intake.Submission{
		Tenant: "alice", Route: "POST /v1/payments", Key: key, Hash: accepted.Hash, Kind: kind, Accepted: accepted, Priority: 1,
	})
}

// finish waits for the job and returns it with its payment.
func (p *plant) finish(id int64) (intake.Job, payment.Payment) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 90*time.Second)
	defer cancel()
	require.True(p.t, p.waiter.Wait(ctx, id, false), "the job is not final in time")
	return p.find(id)
}

// find reads the job and its payment as they are.
func (p *plant) find(id int64) (intake.Job, payment.Payment) {
	p.t.Helper()
	job, err := intake.Find(p.t.Context(), p.tenancy, "alice", id)
	require.NoError(p.t, err)
	got, err := payment.Find(p.t.Context(), p.tenancy, "alice", *job.ResourceID)
	require.NoError(p.t, err)
	return job, got
}

// charges counts what the gateway took for the payment.
func (p *plant) charges(id uuid.UUID) (n int) {
	for _, charge := range p.stripe.Charges() {
		if charge.Paid && charge.Metadata["payment_id"] == id.String() {
			n++
		}
	}
	return n
}

func TestAPaymentIsCapturedOnceAndReported(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	submitted := p.submit("pm_card_visa") // no worker runs yet
	p.work()
	job, got := p.finish(submitted.ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Equal(t, payment.Captured, got.Status)
	require.EqualValues(t, 1999, got.AmountCaptured)
	require.Equal(t, 2, got.GatewayRequests)
	require.Equal(t, 1, p.charges(got.ID))

	var result map[string]any
	require.NoError(t, json.Unmarshal(job.Output, &result))
	require.Equal(t, map[string]any{
		"payment_id": got.ID.String(), "status": "captured", "payment_intent_id": got.IntentID,
		"amount": 1999.0, "amount_captured": 1999.0, "currency": "usd",
	}, result)
}

func TestADeclineIsFinalAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.work()
	job, got := p.finish(p.submit("pm_card_visa_chargeDeclinedInsufficientFunds").ID)
	require.Equal(t, intake.StateCancelled, job.State)
	require.Equal(t, 1, job.Attempt)
	require.Equal(t, fault.PaymentFailed, job.Outcome().Code)
	require.Equal(t, "INSUFFICIENT_FUNDS", job.Outcome().Details["reason"])
	require.Equal(t, payment.Failed, got.Status)
	require.Contains(t, string(got.Failure), "insufficient_funds")
	require.Zero(t, p.charges(got.ID))
}

func TestATransientFaultIsRetriedToOneCharge(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.FaultHTTP500, sandbox.FaultResetAfter, sandbox.FaultTruncated200, sandbox.FaultRateLimit} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := newPlant(t)
			require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: kind, Path: "confirm", Count: 2}))
			p.work()
			job, got := p.finish(p.submit("pm_card_visa").ID)
			require.Equal(t, intake.StateCompleted, job.State)
			require.Equal(t, payment.Captured, got.Status)
			require.Equal(t, 1, p.charges(got.ID))
			if kind == sandbox.FaultRateLimit {
				require.Equal(t, 1, job.Attempt, "waiting because the gateway asked for it costs no attempt")
				require.Positive(t, job.Snoozes)
			}
		})
	}
}

// panicking is a gateway with a bug.
type panicking struct{ payment.Gateway }

func (panicking) Create(context.Context, payment.Payment) (payment.Intent, error) {
	panic("jane@example.com 4242 4242 4242 4242")
}

func TestAPanicIsRetriedAndNeverStoredRaw(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	submitted := p.submit("pm_card_visa")
	stop := p.work(func(o *workers.Options) { o.Gateway = panicking{} })
	require.Eventually(t, func() bool {
		job, err := intake.Find(t.Context(), p.tenancy, "alice", submitted.ID)
		return err == nil && job.LastError != nil
	}, 20*time.Second, 10*time.Millisecond)
	stop()
	var row string
	require.NoError(t, p.login.QueryRow(t.Context(), "SELECT row_to_json(j)::text FROM river_job j WHERE id = $1", submitted.ID).Scan(&row))
	require.NotContains(t, row, "jane")
	require.NotContains(t, row, "4242")

	p.work()
	job, _ := p.finish(submitted.ID)
	require.Equal(t, intake.StateCompleted, job.State)
}

// A stop in the middle of a call costs no attempt, and another worker goes on.
func TestAStopInterruptsWithoutSpendingAnAttempt(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultTimeoutAfter, Path: "confirm", Count: 1}))
	submitted := p.submit("pm_card_visa")
	stop := p.work(func(o *workers.Options) { o.AttemptTimeout, o.StopTimeout = 30*time.Second, 100*time.Millisecond })
	require.Eventually(t, func() bool { return p.asked("confirm") > 0 }, 20*time.Second, 10*time.Millisecond)
	stop()
	job, err := intake.Find(t.Context(), p.tenancy, "alice", submitted.ID)
	require.NoError(t, err)
	require.Equal(t, intake.StateAvailable, job.State)
	require.Zero(t, job.Attempt)
	p.work()
	job, got := p.finish(submitted.ID)
	require.Equal(t, 1, job.Attempt)
	require.Equal(t, payment.Captured, got.Status)
	require.Equal(t, 1, p.charges(got.ID))
}

// asked counts the requests to the gateway whose path ends so.
func (p *plant) asked(suffix string) (n int) {
	for _, r := range p.stripe.Requests() {
		if len(r.Path) >= len(suffix) && r.Path[len(r.Path)-len(suffix):] == suffix {
			n += r.Count
		}
	}
	return n
}

// A worker that is killed while it talks to the gateway, after the charge: the
// job is finished by another one, and the gateway saw one charge.
func TestAKilledWorkersJobIsFinishedByAnotherWithOneCharge(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultTimeoutAfter, Path: "confirm", Count: 1}))
	victim := p.spawn(0)
	submitted := p.submit("pm_card_visa")
	require.Eventually(t, func() bool { return len(p.stripe.Charges()) == 1 }, 30*time.Second, 10*time.Millisecond)
	kill(t, victim)
	job, err := intake.Find(t.Context(), p.tenancy, "alice", submitted.ID)
	require.NoError(t, err)
	require.Equal(t, intake.StateRunning, job.State, "nobody has noticed yet")

	p.work()
	job, got := p.finish(submitted.ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Equal(t, 2, job.Attempt)
	require.Equal(t, payment.Captured, got.Status)
	require.Equal(t, 1, p.charges(got.ID))
}

// spawn starts a worker process that can be killed.
func (p *plant) spawn(stripeTimeout time.Duration) *exec.Cmd {
	p.t.Helper()
	worker := exec.CommandContext(p.t.Context(), os.Args[0]) //nolint:gosec // this test binary
	worker.Env = append(os.Environ(), "MILLRACE_TEST_WORKER="+p.db.URL, "MILLRACE_TEST_STRIPE="+p.url, "MILLRACE_TEST_MAIL="+p.mailURL,
		"MILLRACE_TEST_STRIPE_TIMEOUT="+stripeTimeout.String())
	worker.Stderr = p.t.Output()
	ready, err := worker.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, worker.Start())
	_, err = bufio.NewReader(ready).ReadString('\n')
	require.NoError(p.t, err)
	return worker
}

func kill(t *testing.T, worker *exec.Cmd) {
	t.Helper()
	require.NoError(t, worker.Process.Signal(syscall.SIGKILL))
	_ = worker.Wait()
}

// workerProcess is the process that spawn starts.
func workerProcess(url, stripe, mail string, timeout time.Duration) int {
	ctx := context.Background()
	pool, err := postgres.Open(ctx, postgres.Options{URL: url, Role: postgres.Worker})
	if err != nil {
		return fail(err)
	}
	gateway, err := stripeGateway(stripe, timeout)
	if err != nil {
		return fail(err)
	}
	mailer, err := resendMailer(mail)
	if err != nil {
		return fail(err)
	}
	opts := options(pool, gateway, mailer)
	opts.Logger = discard()
	runner, err := workers.New(opts)
	if err != nil {
		return fail(err)
	}
	fmt.Println("ready")
	if err := runner.Run(ctx); err != nil {
		return fail(err)
	}
	return 0
}
