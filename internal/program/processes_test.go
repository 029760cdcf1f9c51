package program_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/internal/sandbox"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// binaries builds the programs of the Procfile.
var binaries = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // built once
	dir, err := os.MkdirTemp("", "millrace-bin-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "millrace/cmd/intake", "millrace/cmd/worker").CombinedOutput() //nolint:gosec // our own programs into our own folder
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestProcesses(t *testing.T) {
	t.Parallel()
	dir, err := binaries()
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })

	t.Run("intake and two workers against one Postgres", func(t *testing.T) { t.Parallel(); tour(t, dir) })
	t.Run("the customer authenticates and is refunded", func(t *testing.T) { t.Parallel(); customer(t, dir) })
	t.Run("200 want one slot", func(t *testing.T) { t.Parallel(); bookings(t, dir) })
	t.Run("a conversation is scored", func(t *testing.T) { t.Parallel(); conversations(t, dir) })
	t.Run("points are rolled up", func(t *testing.T) { t.Parallel(); metrics(t, dir) })
	t.Run("traces lead from the request to the vendor", func(t *testing.T) { t.Parallel(); traces(t, dir) })
	t.Run("traces of strangers are not continued, over gRPC", func(t *testing.T) { t.Parallel(); tracesOfStrangers(t, dir) })
	t.Run("nobody takes the traces", func(t *testing.T) { t.Parallel(); noCollector(t, dir) })
	t.Run("a wrong variable of tracing is one line that names it", func(t *testing.T) { t.Parallel(); wrongTracing(t, dir) })
	t.Run("TLS and tokens", func(t *testing.T) { t.Parallel(); access(t, dir) })
	t.Run("a certificate that is not there is one line that names it", func(t *testing.T) { t.Parallel(); noCertificate(t, dir) })
	t.Run("a missing variable is one line that names it", func(t *testing.T) { t.Parallel(); missing(t, dir) })
	t.Run("logs and Sentry", func(t *testing.T) { t.Parallel(); logs(t, dir) })
	t.Run("no Sentry without a DSN", func(t *testing.T) { t.Parallel(); untracked(t, dir) })
	t.Run("a DSN that is wrong is one line that names it", func(t *testing.T) { t.Parallel(); wrongDSN(t, dir) })
	t.Run("a port in use is one line that names it", func(t *testing.T) { t.Parallel(); portInUse(t, dir) })
}

func tour(t *testing.T, dir string) {
	t.Helper()
	db := dbtest.New(t)
	stripe, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	gateway := httptest.NewServer(stripe)
	t.Cleanup(gateway.Close)
	_, key, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner),
		apikey.Request{Tenant: "demo", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)

	address := freePort(t)
	intake := launch(t, dir, "intake", "DATABASE_URL="+db.URL, "LISTEN_ADDR="+address, "METRICS_ADDR=127.0.0.1:0")
	url := "http://" + address
	require.Eventually(t, func() bool { return get(t, url+"/readyz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	app, err := client.New(url, key.Reveal(), client.Options{})
	require.NoError(t, err)

	pay := func(wait time.Duration) *client.Submission {
		submission, err := app.SubmitPayment(t.Context(),
			client.PaymentRequest{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa"}, client.SubmitOptions{Wait: wait})
		require.NoError(t, err)
		return submission
	}
	waiting := pay(0)
	require.False(t, waiting.Job.Done, "no worker runs yet")

	worker := append(mailSettings(""), "DATABASE_URL="+db.URL, "METRICS_ADDR=127.0.0.1:0", "STRIPE_SECRET_KEY=sk_test_x", "STRIPE_API_BASE="+gateway.URL)
	first, second := launch(t, dir, "worker", worker...), launch(t, dir, "worker", worker...)
	done, err := app.WaitJob(t.Context(), waiting.Job.ID)
	require.NoError(t, err)
	require.Equal(t, client.Completed, done.State, "captured when a worker starts")
	for range 20 {
		require.Equal(t, client.PaymentCaptured, pay(20*time.Second).Payment.Status)
	}
	require.Len(t, stripe.Charges(), 21)

	sameKey(t, app, url, key.Reveal(), stripe)

	for _, p := range []*process{intake, first, second} {
		require.Equal(t, 1, strings.Count(p.stderr.String(), "encryption at rest is off"), "said once, as there are no keys")
	}

	// One worker less, and work goes on; then everything stops in good order.
	require.Equal(t, 0, first.terminate())
	require.Equal(t, client.PaymentCaptured, pay(20*time.Second).Payment.Status)
	require.Equal(t, 0, second.terminate())
	require.Equal(t, 0, intake.terminate())
	keys, err := apikey.List(t.Context(), db.Tenancy(t, postgres.Owner), "demo")
	require.NoError(t, err)
	require.NotNil(t, keys[0].LastUsedAt, "intake writes down the use of keys when it ends")
	for _, p := range []*process{intake, first, second} {
		require.NotContains(t, p.stderr.String(), key.Reveal())
		for line := range strings.Lines(p.stderr.String()) {
			require.True(t, strings.HasPrefix(line, `{"timestamp":`), "one JSON object a line: %s", line)
		}
	}
}

// sameKey submits one payment 50 times at once: 50 equal answers, one charge.
func sameKey(t *testing.T, app *client.Client, url, key string, stripe *sandbox.Stripe) {
	t.Helper()
	before := len(stripe.Charges())
	answers := make([]string, 50)
	var clients sync.WaitGroup
	for i := range answers {
		clients.Go(func() {
			body := strings.NewReader(`{"amount":4200,"currency":"usd","payment_method":"pm_card_visa"}`)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/payments", body)
			if err != nil {
				return
			}
			request.Header.Set("Authorization", "Bearer "+key)
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Idempotency-Key", "all-at-once")
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return
			}
			defer func() { _ = response.Body.Close() }()
			text, _ := io.ReadAll(response.Body)
			answers[i] = fmt.Sprint(response.StatusCode, " ", string(text))
		})
	}
	clients.Wait()
	for _, answer := range answers {
		require.Equal(t, answers[0], answer)
	}
	var accepted struct{ Job struct{ ID string } }
	status, text, _ := strings.Cut(answers[0], " ")
	require.Equal(t, "202", status)
	require.NoError(t, json.Unmarshal([]byte(text), &accepted))
	job, err := app.WaitJob(t.Context(), accepted.Job.ID)
	require.NoError(t, err)
	require.Equal(t, client.Completed, job.State)
	require.Len(t, stripe.Charges(), before+1)
}

func missing(t *testing.T, dir string) {
	t.Helper()
	for program, variable := range map[string]string{"intake": "DATABASE_URL", "worker": "DATABASE_URL"} {
		p := launch(t, dir, program)
		require.Equal(t, 1, p.wait())
		require.Regexp(t, `^`+program+`: [^\n]*`+variable+` is not set[^\n]*\n$`, p.stderr.String())
	}
}

func portInUse(t *testing.T, dir string) {
	t.Helper()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	p := launch(t, dir, "intake", "DATABASE_URL=postgres://127.0.0.1:1/x", "METRICS_ADDR=127.0.0.1:0", "LISTEN_ADDR="+taken.Addr().String())
	require.Equal(t, 1, p.wait())
	require.Regexp(t, `^intake: port \d+ [^\n]*LISTEN_ADDR[^\n]*\n$`, p.stderr.String())
}

type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *output
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func launch(t *testing.T, dir, program string, environ ...string) *process {
	t.Helper()
	p := &process{t: t, stderr: &output{}}
	p.cmd = exec.CommandContext(t.Context(), filepath.Join(dir, program)) //nolint:gosec // built above
	p.cmd.Env = environ
	p.cmd.Stderr = io.MultiWriter(p.stderr, t.Output())
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *process) wait() int {
	p.t.Helper()
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) terminate() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.wait()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func get(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode
}
