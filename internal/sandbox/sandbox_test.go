package sandbox_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"millrace/internal/sandbox"
)

const (
	testKey = "sk_test_123"
	patient = 5 * time.Second // bounds what ought to happen at once
	tick    = time.Millisecond
)

// clock is an injected one that moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a sandbox behind a real HTTP server, and the real stripe-go client in front of it.
type rig struct {
	*sandbox.Stripe

	t       *testing.T
	url     string
	api     *client.API
	clock   *clock
	running atomic.Int32 // handlers that have not returned
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, sandbox.Options{}, newClock())
}

func newRigWith(t *testing.T, opts sandbox.Options, c *clock) *rig {
	t.Helper()
	opts.Now = c.Now
	s, err := sandbox.NewStripe(opts)
	require.NoError(t, err)
	r := &rig{Stripe: s, t: t, clock: c}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.running.Add(1)
		defer r.running.Add(-1)
		s.ServeHTTP(w, req)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	r.url = srv.URL
	r.api = r.client(testKey)
	return r
}

// client has connections of its own, one per request: net/http repeats a request with an Idempotency-Key by itself when
// a connection that it had used before is reset.
func (r *rig) client(key string) *client.API {
	r.t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	r.t.Cleanup(tr.CloseIdleConnections)
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL:               new(r.url),
		HTTPClient:        &http.Client{Transport: tr},
		MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		EnableTelemetry:   new(false),
	})
	api := &client.API{}
	api.Init(key, &stripe.Backends{API: backend, Connect: backend, Uploads: backend})
	return api
}

// payment is the parameters of an intent of 1,000 cents that is confirmed by the server.
func payment(method string) *stripe.PaymentIntentParams {
	p := &stripe.PaymentIntentParams{
		Amount:   stripe.Int64(1000),
		Currency: new("usd"),
		AutomaticPaymentMethods: &stripe.PaymentIntentAutomaticPaymentMethodsParams{
			Enabled: new(true), AllowRedirects: new("never"),
		},
	}
	if method != "" {
		p.PaymentMethod = new(method)
	}
	p.AddMetadata("payment_id", "pay_1")
	return p
}

func (r *rig) create(p *stripe.PaymentIntentParams) *stripe.PaymentIntent {
	r.t.Helper()
	pi, err := r.api.PaymentIntents.New(p)
	require.NoError(r.t, err)
	return pi
}

// created is an unconfirmed intent.
func (r *rig) created(method string) *stripe.PaymentIntent {
	r.t.Helper()
	return r.create(payment(method))
}

// authorized is an intent that waits for its capture.
func (r *rig) authorized() *stripe.PaymentIntent {
	r.t.Helper()
	p := payment("pm_card_visa")
	p.Confirm, p.CaptureMethod = new(true), new("manual")
	pi := r.create(p)
	require.Equal(r.t, stripe.PaymentIntentStatusRequiresCapture, pi.Status)
	return pi
}

func (r *rig) get(id string) *stripe.PaymentIntent {
	r.t.Helper()
	p := &stripe.PaymentIntentParams{}
	p.AddExpand("latest_charge")
	pi, err := r.api.PaymentIntents.Get(id, p)
	require.NoError(r.t, err)
	return pi
}

// confirm confirms by id, with an idempotency key unless it is "".
func (r *rig) confirm(id, key string) (*stripe.PaymentIntent, error) {
	p := &stripe.PaymentIntentConfirmParams{}
	if key != "" {
		p.SetIdempotencyKey(key)
	}
	return r.api.PaymentIntents.Confirm(id, p)
}

// paid counts the charges that moved money or hold it.
func (r *rig) paid() int {
	n := 0
	for _, ch := range r.Charges() {
		if ch.Paid {
			n++
		}
	}
	return n
}

func stripeError(t *testing.T, err error) *stripe.Error {
	t.Helper()
	var e *stripe.Error
	require.ErrorAs(t, err, &e)
	return e
}

// reply is a raw answer.
type reply struct {
	status int
	header http.Header
	body   string
}

func (a reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &v), "body: %s", a.body)
	return v
}

// errorField takes one field out of Stripe's error object.
func (a reply) errorField(t *testing.T, name string) any {
	t.Helper()
	e, ok := a.json(t)["error"].(map[string]any)
	require.True(t, ok, "no error in %s", a.body)
	return e[name]
}

// raw sends what stripe-go would not. Header pairs follow; one of "Authorization" replaces the key.
func (r *rig) raw(method, path string, form url.Values, headers ...string) reply {
	r.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	return r.send(method, path, body, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func (r *rig) send(method, path string, body io.Reader, headers ...string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, body)
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+testKey)
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer func() { assert.NoError(r.t, res.Body.Close()) }()
	b, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	return reply{status: res.StatusCode, header: res.Header, body: string(b)}
}

// cancelWhen returns a context that ends as soon as cond holds: a client that leaves at that moment.
func (r *rig) cancelWhen(cond func() bool) context.Context {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	r.t.Cleanup(cancel)
	go func() {
		defer cancel()
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for !cond() {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx
}

// idle waits until no handler runs.
func (r *rig) idle() {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.running.Load() == 0 }, patient, tick, "a handler hangs")
}
