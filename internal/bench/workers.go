package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"millrace/internal/apikey"
	"millrace/internal/booking"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/telemetry"
	"millrace/jobs"
	"millrace/workers"
)

// WorkersOptions configures Workers.
type WorkersOptions struct {
	// DatabaseURL is a migrated database that the benchmark may fill.
	DatabaseURL string
	// Command starts a worker process, which runs Worker on the database that the
	// variable DATABASE_URL names. Required.
	Command []string
	// Processes is how many workers each contestant has. Default 1, 2 and 4.
	Processes []int
	// Slots is how many jobs each of them runs at once. Default 4.
	Slots int
	// Latency is how long the gateway takes. Default 50 ms.
	Latency time.Duration
	// Round is how long one round is measured. Default 5 s.
	Round time.Duration
	// Rounds is how many rounds each contestant gets. Default 3.
	Rounds int
	// Progress is told what is being done. Default nobody.
	Progress func(string)
}

// WorkersFigures are the rounds of so many worker processes.
type WorkersFigures struct {
	Processes int
	// PerSecond is jobs, one entry a round.
	PerSecond []float64
}

// Workers measures how the work done grows with the worker processes, on payments
// whose gateway takes a while and costs nothing: the whole worker stack is at
// work, and the database, as in production. Everything shares the machine.
func Workers(ctx context.Context, opts WorkersOptions) ([]*WorkersFigures, error) {
	if len(opts.Processes) == 0 {
		opts.Processes = []int{1, 2, 4}
	}
	opts.Slots = cmp.Or(opts.Slots, 4)
	opts.Latency = cmp.Or(opts.Latency, 50*time.Millisecond)
	opts.Round = cmp.Or(opts.Round, 5*time.Second)
	opts.Rounds = cmp.Or(opts.Rounds, 3)
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	if len(opts.Command) == 0 {
		return nil, errors.New("bench: Command is required")
	}
	if _, err := tenants(ctx, IntakeOptions{DatabaseURL: opts.DatabaseURL, Tenants: 1}, apikey.JobsWrite); err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, postgres.Options{URL: opts.DatabaseURL, Role: postgres.Owner, MaxConns: 4})
	if err != nil {
		return nil, err
	}
	defer pool.Close()

	figures := make([]*WorkersFigures, len(opts.Processes))
	for i, n := range opts.Processes {
		figures[i] = &WorkersFigures{Processes: n}
	}
	for round := range opts.Rounds + 1 { // the first warms up
		for _, f := range figures {
			opts.Progress(fmt.Sprintf("round %d of %d: %d worker(s)", round, opts.Rounds, f.Processes))
			perSecond, err := workersRound(ctx, opts, pool, f.Processes)
			if err != nil {
				return nil, fmt.Errorf("bench: %d workers: %w", f.Processes, err)
			}
			if round > 0 {
				f.PerSecond = append(f.PerSecond, perSecond)
			}
		}
	}
	return figures, nil
}

// spare is how much more work than the slots can do in a round is submitted for
// it: for the time in which the processes start, one after the other.
const spare = 4 * time.Second

// workersRound has as many processes work what was submitted before, and returns
// how many jobs a second ended while all of them worked.
func workersRound(ctx context.Context, opts WorkersOptions, pool *pgxpool.Pool, processes int) (perSecond float64, err error) {
	total := int(float64(processes*opts.Slots) * float64(opts.Round+spare) / float64(opts.Latency))
	if err := submitPayments(ctx, opts.DatabaseURL, total); err != nil {
		return 0, err
	}
	started := make([]*workerProcess, 0, processes)
	defer func() {
		for _, p := range started {
			err = errors.Join(err, p.stop())
		}
	}()
	for range processes {
		p, err := startWorker(ctx, opts)
		if err != nil {
			return 0, err
		}
		started = append(started, p)
	}
	for _, p := range started {
		select {
		case <-p.working:
		case <-p.ended:
			return 0, errors.New("a worker process ended before it had worked")
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	before, since := ended(started), time.Now()
	select {
	case <-time.After(opts.Round):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	perSecond = float64(ended(started)-before) / time.Since(since).Seconds()
	waiting, err := openPayments(ctx, pool)
	if err != nil {
		return 0, err
	}
	if waiting == 0 {
		return 0, errors.New("the work was done before the round was over")
	}
	// The next round begins without what this one has left.
	for ticker := time.Tick(100 * time.Millisecond); waiting > 0; {
		select {
		case <-ticker:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if waiting, err = openPayments(ctx, pool); err != nil {
			return 0, err
		}
	}
	return perSecond, nil
}

// openPayments returns how many payments wait or run.
func openPayments(ctx context.Context, pool *pgxpool.Pool) (n int, err error) {
	err = pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE state IN ('available', 'running', 'retryable', 'scheduled') AND kind = $1",
		jobs.PaymentCaptureArgs{}.Kind()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("open payments: %w", err)
	}
	return n, nil
}

// submitPayments has the intake writer commit as many payments.
func submitPayments(ctx context.Context, url string, total int) (err error) {
	pool, err := postgres.Open(ctx, postgres.Options{URL: url, Role: postgres.Intake, MaxConns: naiveConns})
	if err != nil {
		return err
	}
	defer pool.Close()
	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	running, runCtx := errgroup.WithContext(ctx)
	running.Go(func() error { return writer.Run(runCtx) })
	defer func() {
		stop()
		err = cmp.Or(err, running.Wait())
	}()
	kind := jobs.Find(jobs.PaymentCaptureArgs{}.Kind())
	clients, clientCtx := errgroup.WithContext(ctx)
	clients.SetLimit(256)
	for range total {
		clients.Go(func() error {
			accepted, err := kind.Accept([]byte(body), jobs.Acceptance{Tenant: "bench0", ID: uuid.New(), Now: time.Now()})
			if err != nil {
				return err
			}
			_, err = writer.Submit(clientCtx, intake.Submission{
				Tenant: "bench0", Route: "bench", Key: uuid.NewString(), Hash: accepted.Hash, Kind: kind, Accepted: accepted, Priority: 1,
			})
			return err
		})
	}
	return clients.Wait()
}

// attemptEnded is what a worker logs of every attempt.
const attemptEnded = "job attempt ended"

// workerProcess is a process that runs Worker, and writes its log to us.
type workerProcess struct {
	command *exec.Cmd
	// working is closed when it has ended its first payment, ended when it is gone.
	working, ended chan struct{}
	jobs           atomic.Int64
	err            error
	stderr         bytes.Buffer
}

func startWorker(ctx context.Context, opts WorkersOptions) (*workerProcess, error) {
	p := &workerProcess{
		command: exec.CommandContext(ctx, opts.Command[0], opts.Command[1:]...), //nolint:gosec // this program itself
		working: make(chan struct{}), ended: make(chan struct{}),
	}
	p.command.Env = append(os.Environ(), "DATABASE_URL="+opts.DatabaseURL) // no command line shows it
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	p.command.WaitDelay = workers.DefaultStopTimeout
	p.command.Stderr = &p.stderr
	log, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start a worker process: %w", err)
	}
	go p.follow(log)
	return p, nil
}

// follow counts the payments in the log until it ends.
func (p *workerProcess) follow(log io.Reader) {
	defer close(p.ended)
	want := []byte(strconv.Quote(jobs.PaymentCaptureArgs{}.Kind()))
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(attemptEnded)) || !bytes.Contains(lines.Bytes(), want) {
			continue
		}
		var entry struct{ Outcome string }
		if json.Unmarshal(lines.Bytes(), &entry) != nil || entry.Outcome != "completed" {
			continue
		}
		if p.jobs.Add(1) == 1 {
			close(p.working)
		}
	}
	p.err = p.command.Wait()
}

// stop asks the process to end, and waits for it.
func (p *workerProcess) stop() error {
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may be gone already
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("a worker process: %w: %s", p.err, bytes.TrimSpace(p.stderr.Bytes()))
	}
	return nil
}

// ended is how many payments the processes have ended.
func ended(processes []*workerProcess) (total int64) {
	for _, p := range processes {
		total += p.jobs.Load()
	}
	return total
}

// WorkerOptions configures Worker.
type WorkerOptions struct {
	DatabaseURL string
	Slots       int
	Latency     time.Duration
	// Log gets the log of the workers.
	Log io.Writer
}

// Worker runs the worker stack on payments until ctx ends, with a gateway that
// takes its time and says yes.
func Worker(ctx context.Context, opts WorkerOptions) error {
	pool, err := postgres.Open(ctx, postgres.Options{URL: opts.DatabaseURL, Role: postgres.Worker, MaxConns: naiveConns, Application: "millrace-worker"})
	if err != nil {
		return err
	}
	defer pool.Close()
	runner, err := workers.New(workers.Options{
		Pool: pool, Gateway: &slowGateway{latency: opts.Latency}, Mailer: noMailer{}, From: "bench@millrace.example",
		Slots:  map[string]int{jobs.Find(jobs.PaymentCaptureArgs{}.Kind()).Queue: opts.Slots},
		Logger: telemetry.NewLogger(opts.Log, telemetry.LogOptions{Service: "worker", Level: slog.LevelInfo}), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	return runner.Run(ctx)
}

// slowGateway confirms every payment, after a while in which it costs nothing.
type slowGateway struct {
	latency time.Duration
}

// Create implements payment.Gateway.
func (g *slowGateway) Create(_ context.Context, p payment.Payment) (payment.Intent, error) {
	return g.intent(p, payment.IntentRequiresConfirmation), nil
}

// Confirm implements payment.Gateway.
func (g *slowGateway) Confirm(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	select {
	case <-time.After(g.latency):
		return g.intent(p, payment.IntentSucceeded), nil
	case <-ctx.Done():
		return payment.Intent{}, ctx.Err()
	}
}

func (g *slowGateway) intent(p payment.Payment, status payment.IntentStatus) payment.Intent {
	intent := payment.Intent{
		Answer: payment.Answer{HTTPStatus: 200, Code: string(status), RequestID: "req_bench"},
		ID:     "pi_" + p.ID.String(), PaymentID: p.ID.String(), Status: status, Amount: p.Amount, Currency: p.Currency, CreatedAt: p.CreatedAt,
	}
	if status == payment.IntentSucceeded {
		intent.AmountReceived = p.Amount
	}
	return intent
}

var errNoGateway = errors.New("bench: the gateway only confirms")

// Find implements payment.Gateway.
func (*slowGateway) Find(context.Context, string) (payment.Intent, error) {
	return payment.Intent{}, errNoGateway
}

// Capture implements payment.Gateway.
func (*slowGateway) Capture(context.Context, payment.Payment) (payment.Intent, error) {
	return payment.Intent{}, errNoGateway
}

// Cancel implements payment.Gateway.
func (*slowGateway) Cancel(context.Context, payment.Payment) (payment.Intent, error) {
	return payment.Intent{}, errNoGateway
}

type noMailer struct{}

// Send implements booking.Mailer.
func (noMailer) Send(context.Context, booking.Mail) (string, error) {
	return "", errors.New("bench: no mail is sent")
}

// Best is the most that the slots can do, in jobs a second.
func (f *WorkersFigures) Best(opts WorkersOptions) float64 {
	return float64(f.Processes*opts.Slots) / opts.Latency.Seconds()
}
