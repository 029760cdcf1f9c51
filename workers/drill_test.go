package workers_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/devpg"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/sandbox"
	"millrace/migrations"
	"millrace/workers"
)

// drilled is one payment of the drill, and how it must end.
type drilled struct {
	request payment.Request
	key     string
	job     int64
	payment uuid.UUID
	want    payment.Status
}

const drillPayments = 500

// TestFaultDrill takes 500 payments through a gateway that times out after
// charging, resets connections, answers 500, 503, 429, 409 and half answers, and
// is slow, while workers are killed and Postgres is killed and restarted. Then it
// counts: one charge for each captured payment, none for a failed one, and
// nothing that is not settled.
func TestFaultDrill(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)
	p := newPlantOn(t, &dbtest.DB{URL: pg.url})
	work := p.drillPayments()
	require.NoError(t, p.stripe.Inject(drillFaults()...))

	var crew []*exec.Cmd
	for range 3 {
		crew = append(crew, p.spawn(400*time.Millisecond))
	}
	t.Cleanup(func() {
		for _, worker := range crew {
			_ = worker.Process.Kill()
			_ = worker.Wait()
		}
	})
	killWorker := func(i int) {
		kill(t, crew[i])
		crew[i] = p.spawn(400 * time.Millisecond)
	}

	var clients sync.WaitGroup
	queue := make(chan *drilled, len(work))
	for _, d := range work {
		queue <- d
	}
	close(queue)
	for range 10 {
		clients.Go(func() {
			for d := range queue {
				p.submitUntilAccepted(d)
			}
		})
	}
	// What goes wrong, by how many charges the gateway has seen.
	for _, step := range []struct {
		charges int
		do      func()
	}{
		{40, func() { killWorker(0) }},
		{80, pg.crash},
		{130, func() { killWorker(1) }},
		{180, func() { killWorker(2) }},
		{230, pg.restart},
		{280, func() { killWorker(0) }},
		{330, func() { killWorker(1) }},
		{380, func() { killWorker(2) }},
	} {
		require.Eventually(t, func() bool { return len(p.stripe.Charges()) >= step.charges }, 2*time.Minute, time.Millisecond)
		step.do()
	}
	clients.Wait()

	p.authenticateAll(t.Context())
	require.Eventually(t, func() bool { return p.unsettled() == 0 }, 4*time.Minute, 250*time.Millisecond, "payments are left unsettled")
	p.count(work)
}

func TestAWorkerWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)
	p := newPlantOn(t, &dbtest.DB{URL: pg.url})
	submitted := p.submit("pm_card_visa")
	port := pg.server.Port()
	require.NoError(t, pg.server.Stop(t.Context()))
	tries := make(chan struct{}, 1)
	p.work(func(o *workers.Options) {
		o.Logger = slog.New(onLog{o.Logger.Handler(), func() {
			select {
			case tries <- struct{}{}:
			default:
			}
		}})
	})
	<-tries
	pg.start(port)
	_, got := p.finish(submitted.ID)
	require.Equal(t, payment.Captured, got.Status)
}

// onLog tells of each line that is logged.
type onLog struct {
	slog.Handler

	line func()
}

func (h onLog) Handle(ctx context.Context, record slog.Record) error {
	h.line()
	return h.Handler.Handle(ctx, record)
}

// drillFaults strike a third of the requests, each in its own way, and 350 in all:
// without an end, one payment in a thousand would fail so often in a row that its
// next attempt is minutes away.
func drillFaults() (rules []sandbox.Fault) {
	for i, rule := range []sandbox.Fault{
		{Kind: sandbox.FaultTimeoutAfter},
		{Kind: sandbox.FaultTimeoutBefore},
		{Kind: sandbox.FaultResetAfter},
		{Kind: sandbox.FaultResetBefore},
		{Kind: sandbox.FaultHTTP500},
		{Kind: sandbox.FaultHTTP500, Stored: true},
		{Kind: sandbox.FaultHTTP500, Charged: true},
		{Kind: sandbox.FaultHTTP503, Charged: true},
		{Kind: sandbox.FaultHTML502},
		{Kind: sandbox.FaultTruncated200},
		{Kind: sandbox.FaultRateLimit},
		{Kind: sandbox.FaultLockTimeout},
		{Kind: sandbox.FaultConflict},
		{Kind: sandbox.FaultSlow, DelayMS: 200},
	} {
		rule.Probability, rule.Count, rule.Seed = 0.03, 25, uint64(i)+1
		rules = append(rules, rule)
	}
	return rules
}

// drillPayments mixes what payments there are.
func (p *plant) drillPayments() (work []*drilled) {
	for i := range drillPayments {
		d := &drilled{key: "drill-" + strconv.Itoa(i), want: payment.Captured}
		d.request = payment.Request{Amount: 1000 + int64(i), Currency: "usd", PaymentMethod: "pm_card_visa"}
		switch i % 20 {
		case 3:
			d.request.PaymentMethod, d.want = "pm_card_visa_chargeDeclined", payment.Failed
		case 7:
			d.request.PaymentMethod, d.want = "pm_card_visa_chargeDeclinedInsufficientFunds", payment.Failed
		case 11:
			d.request.PaymentMethod, d.want = "pm_sandbox_decline_try_again_later", payment.Failed
		case 13:
			d.request.PaymentMethod = "pm_card_threeDSecure2Required"
		case 17:
			d.request = payment.Request{PaymentIntent: p.authorise("pm_card_mastercard", "manual"), AmountToCapture: 1000}
		}
		work = append(work, d)
	}
	return work
}

// submitUntilAccepted does what a client does: the same key until there is an answer.
func (p *plant) submitUntilAccepted(d *drilled) {
	for {
		receipt, err := p.trySubmit(d.request, d.key)
		if err == nil {
			d.job, d.payment = receipt.Job.ID, *receipt.Job.ResourceID
			return
		}
		if f := fault.From(err); f.Code != fault.Unavailable {
			p.t.Errorf("submission %s: %v", d.key, f.Cause())
			return
		}
		select {
		case <-p.t.Context().Done():
			return
		case <-time.After(50 * time.Millisecond): // a client's pause
		}
	}
}

// authenticateAll plays the customers.
func (p *plant) authenticateAll(ctx context.Context) {
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			rows, err := p.login.Query(ctx, "SELECT intent_id FROM payments WHERE status = 'requires_action'")
			if err != nil {
				continue
			}
			var id string
			var ids []string
			for rows.Next() {
				if rows.Scan(&id) == nil {
					ids = append(ids, id)
				}
			}
			rows.Close()
			for _, id := range ids {
				if _, err := p.stripe.Authenticate(id, true); err != nil && !errors.Is(err, sandbox.ErrNoChallenge) {
					p.t.Errorf("authenticate: %v", err)
				}
			}
		}
	}()
}

func (p *plant) unsettled() (n int) {
	err := p.login.QueryRow(p.t.Context(), `
		SELECT count(*) FROM payments AS p LEFT JOIN river_job AS j ON j.id = p.job_id
		WHERE p.status NOT IN ('captured', 'failed') OR j.finalized_at IS NULL`).Scan(&n)
	if err != nil {
		return -1
	}
	return n
}

// count holds the database against the gateway's ledger.
func (p *plant) count(work []*drilled) {
	p.t.Helper()
	var jobs, payments int
	require.NoError(p.t, p.login.QueryRow(p.t.Context(),
		"SELECT (SELECT count(*) FROM river_job WHERE kind = 'payment_capture'), (SELECT count(*) FROM payments)").Scan(&jobs, &payments))
	require.Equal(p.t, drillPayments, jobs, "one job for each acknowledged submission")
	require.Equal(p.t, drillPayments, payments)

	type taken struct {
		charges int
		amount  int64
	}
	ledger, byIntent := map[string]taken{}, map[string]taken{}
	for _, charge := range p.stripe.Charges() {
		if !charge.Paid || !charge.Captured {
			continue
		}
		for key, of := range map[string]map[string]taken{charge.Metadata["payment_id"]: ledger, charge.PaymentIntent: byIntent} {
			of[key] = taken{of[key].charges + 1, of[key].amount + charge.AmountCaptured}
		}
	}
	seen, outcomes := map[uuid.UUID]bool{}, map[string]int{}
	for _, d := range work {
		require.False(p.t, seen[d.payment], "two submissions, one payment")
		seen[d.payment] = true
		job, got := p.find(d.job)
		require.Equal(p.t, d.payment, got.ID)
		of := ledger[got.ID.String()]
		if d.request.PaymentIntent != "" {
			of = byIntent[d.request.PaymentIntent]
		}
		outcomes[string(got.Status)+"/"+string(job.State)]++
		require.Equal(p.t, d.want, got.Status, "%s: %s %v", d.request.PaymentMethod, got.Failure, got.GatewayLog)
		if got.Status == payment.Failed {
			require.Zero(p.t, of.charges, "a failed payment is not charged")
			require.Equal(p.t, intake.StateCancelled, job.State)
			continue
		}
		require.Equal(p.t, 1, of.charges, "a captured payment is charged once")
		require.Equal(p.t, got.AmountCaptured, of.amount)
		require.Equal(p.t, intake.StateCompleted, job.State)
	}
	struck := 0
	for _, rule := range p.stripe.Faults() {
		struck += rule.Hits
	}
	require.Greater(p.t, struck, 200, "the gateway was at fault")
	p.t.Logf("outcomes: %v; requests to the gateway: %d, of which %d went wrong", outcomes, p.asked(""), struck)
}

// postgresServer is a Postgres of the test's own that can be killed.
type postgresServer struct {
	t      *testing.T
	dir    string
	url    string
	server *devpg.Server
}

func startPostgres(t *testing.T) *postgresServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-drill-") //nolint:usetesting // removed after the server has stopped
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // the server's account must pass through
	pg := &postgresServer{t: t, dir: dir}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		_ = pg.server.Stop(ctx)
		_ = os.RemoveAll(dir)
	})
	pg.start(0)
	require.NoError(t, pg.server.CreateDatabase(t.Context(), "drill"))
	pg.url = pg.server.URL("drill")
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: pg.url})
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, migrations.New(pool, discard()).Up(t.Context()))
	return pg
}

func (pg *postgresServer) start(port int) {
	pg.t.Helper()
	server, err := devpg.Start(pg.t.Context(), devpg.Options{Dir: filepath.Join(pg.dir, "postgres"), Port: port})
	require.NoError(pg.t, err)
	pg.server = server
}

// crash kills the server as a power cut does, and starts it again.
func (pg *postgresServer) crash() {
	pg.t.Helper()
	text, err := os.ReadFile(filepath.Join(pg.dir, "postgres", "data", "postmaster.pid"))
	require.NoError(pg.t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(pg.t, err)
	require.NoError(pg.t, syscall.Kill(pid, syscall.SIGKILL))
	<-pg.server.Done()
	pg.restart()
}

// restart stops what runs of the server and starts it on the same port.
func (pg *postgresServer) restart() {
	pg.t.Helper()
	port := pg.server.Port()
	_ = pg.server.Stop(pg.t.Context()) // says so when it was killed
	pg.start(port)
	require.Equal(pg.t, pg.url, pg.server.URL("drill"), "clients find it where it was")
}
