// Package bench measures Millrace against the plain way of doing the same, side
// by side on one machine. Its figures are ratios and medians of interleaved
// rounds; no test asserts any of them.
package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/program"
	"millrace/internal/ratelimit"
	"millrace/internal/seal"
	"millrace/internal/strictjson"
)

// IntakeOptions configures Intake.
type IntakeOptions struct {
	// DatabaseURL is a migrated database that the benchmark may fill.
	DatabaseURL string
	// Connections is how many clients submit at once. Default 256.
	Connections int
	// Round is how long one round takes. Default 5 s.
	Round time.Duration
	// Rounds is how many rounds each contestant gets. Default 3.
	Rounds int
	// Tenants is how many tenants the clients belong to. Default 1.
	Tenants int
	// Encrypt has the servers encrypt what payments say about people.
	Encrypt bool
}

// Figures are one contestant's rounds.
type Figures struct {
	Name string
	// PerSecond, P50 and P99 have one entry a round.
	PerSecond []float64
	P50, P99  []time.Duration
}

// contestant is a server under load.
type contestant struct {
	figures *Figures
	url     string
	keys    []string
}

// Intake submits payments over HTTP to three servers in turn: ours, the same
// server committing each request by itself (on as many connections as its pool
// has), and a Gin handler that decodes and checks the same body without a
// database. Client, servers and database share the machine.
func Intake(ctx context.Context, opts IntakeOptions) (_ []*Figures, err error) {
	opts.Connections = cmp.Or(opts.Connections, 256)
	opts.Round = cmp.Or(opts.Round, 5*time.Second)
	opts.Rounds = cmp.Or(opts.Rounds, 3)
	opts.Tenants = cmp.Or(opts.Tenants, 1)

	keys, err := tenants(ctx, opts, apikey.JobsWrite)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	defer func() {
		stop()
		err = cmp.Or(err, group.Wait())
	}()

	contestants := []contestant{{figures: &Figures{Name: "Millrace: requests share commits"}, keys: keys}, {figures: &Figures{Name: "the same, a commit a request"}, keys: keys}}
	for i, change := range []func(*intake.Options){
		func(*intake.Options) {},
		func(o *intake.Options) { o.MaxBatch, o.Committers = 1, naiveConns },
	} {
		if contestants[i].url, err = serveMillrace(ctx, group, opts, change); err != nil {
			return nil, err
		}
	}
	ceiling := contestant{figures: &Figures{Name: "Gin without a database"}, keys: keys}
	if ceiling.url, err = serveCeiling(ctx, group); err != nil {
		return nil, err
	}
	contestants = append(contestants, ceiling)

	for round := range opts.Rounds + 1 { // the first warms up
		for _, c := range contestants {
			perSecond, latencies, err := load(ctx, c, opts)
			if err != nil {
				return nil, fmt.Errorf("bench: %s: %w", c.figures.Name, err)
			}
			if round == 0 {
				continue
			}
			c.figures.PerSecond = append(c.figures.PerSecond, perSecond)
			c.figures.P50 = append(c.figures.P50, latencies[len(latencies)/2])
			c.figures.P99 = append(c.figures.P99, latencies[len(latencies)*99/100])
		}
	}
	figures := make([]*Figures, len(contestants))
	for i, c := range contestants {
		figures[i] = c.figures
	}
	return figures, nil
}

// naiveConns is how many requests the plain way commits at once: more gain
// nothing on few cores, as its rounds show when this is changed.
const naiveConns = 20

func tenants(ctx context.Context, opts IntakeOptions, scope apikey.Scope) ([]string, error) {
	pool, err := postgres.Open(ctx, postgres.Options{URL: opts.DatabaseURL, Role: postgres.Owner})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	keys := make([]string, opts.Tenants)
	for i := range keys {
		_, key, err := apikey.Create(ctx, postgres.NewTenancy(pool, postgres.Owner),
			apikey.Request{Tenant: "bench" + strconv.Itoa(i), Name: "bench", Scopes: []apikey.Scope{scope}}, time.Now())
		if err != nil {
			return nil, err
		}
		keys[i] = key.Reveal()
	}
	// Nobody works what the benchmark submits.
	if _, err := pool.Exec(ctx, "UPDATE tenants SET max_waiting_jobs = 2000000000"); err != nil {
		return nil, postgres.Fault(err)
	}
	return keys, nil
}

func serveMillrace(ctx context.Context, group *errgroup.Group, opts IntakeOptions, change func(*intake.Options)) (string, error) {
	pool, err := postgres.Open(ctx, postgres.Options{URL: opts.DatabaseURL, Role: postgres.Intake, MaxConns: naiveConns + 4})
	if err != nil {
		return "", err
	}
	logger, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	options := intake.Options{Pool: pool, Logger: logger, Metrics: registry}
	change(&options)
	writer, err := intake.NewWriter(options)
	if err != nil {
		return "", err
	}
	limiter, err := ratelimit.New(ratelimit.Options{Limits: generous(), Logger: logger, Metrics: registry})
	if err != nil {
		return "", err
	}
	db := postgres.NewTenancy(pool, postgres.Intake)
	if opts.Encrypt {
		keys, err := seal.ParseKeys("bench:" + base64.StdEncoding.EncodeToString(make([]byte, seal.KeySize)))
		if err != nil {
			return "", err
		}
		db = db.WithKeys(keys, time.Now)
	}
	server, err := api.New(api.Options{ //nolint:contextcheck // handlers use the context of their request
		DB: db, Writer: writer, Limiter: limiter, Logger: logger, Metrics: registry})
	if err != nil {
		return "", err
	}
	group.Go(func() error {
		defer pool.Close()
		return writer.Run(ctx)
	})
	return serve(ctx, group, server.HTTP(), server.Drain)
}

// generous is limits that are counted like any and refuse nothing.
func generous() ratelimit.Limits {
	limits := make(ratelimit.Limits)
	for _, policy := range ratelimit.Policies() {
		limits[policy.Class] = ratelimit.Rate{Quota: 1_000_000, Period: ratelimit.Second}
	}
	return limits
}

// serveCeiling is what Gin does with the same request when nothing is kept.
func serveCeiling(ctx context.Context, group *errgroup.Group) (string, error) {
	engine := gin.New()
	engine.POST("/v1/payments", func(c *gin.Context) {
		body, err := io.ReadAll(c.Request.Body)
		if err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		var request payment.Request
		if err := strictjson.Decode(body, &request); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		if request, err = request.Validate(); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusAccepted, request)
	})
	return serve(ctx, group, &http.Server{Handler: engine, ReadHeaderTimeout: time.Minute}, func() {})
}

func serve(ctx context.Context, group *errgroup.Group, server *http.Server, drain func()) (string, error) {
	listener, err := program.Listen(ctx, "the benchmark's address", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	group.Go(func() error { return program.Serve(ctx, server, listener, drain) })
	return "http://" + listener.Addr().String(), nil
}

// load submits for one round over persistent connections and returns the rate
// and every latency in order.
func load(ctx context.Context, c contestant, opts IntakeOptions) (float64, []time.Duration, error) {
	transport := &http.Transport{
		MaxIdleConnsPerHost: opts.Connections, MaxConnsPerHost: opts.Connections,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}
	defer transport.CloseIdleConnections()
	var (
		mu        sync.Mutex
		latencies []time.Duration
	)
	started := time.Now()
	end := started.Add(opts.Round)
	group, ctx := errgroup.WithContext(ctx)
	for i := range opts.Connections {
		group.Go(func() error {
			var mine []time.Duration
			for n := 0; time.Now().Before(end); n++ {
				sent := time.Now()
				if err := post(ctx, transport, c.url+"/v1/payments", c.keys[i%len(c.keys)], fmt.Sprintf("%d-%d-%d", started.UnixNano(), i, n), []byte(body)); err != nil {
					return err
				}
				mine = append(mine, time.Since(sent))
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, mine...)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, nil, err
	}
	took := time.Since(started)
	slices.Sort(latencies)
	return float64(len(latencies)) / took.Seconds(), latencies, nil
}

const body = `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","customer_email":"customer@example.com","description":"Two tickets","metadata":{"order":"4711"}}`

// post sends one request that is to be accepted.
func post(ctx context.Context, transport http.RoundTripper, url, key, idempotencyKey string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", idempotencyKey)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	return nil
}
