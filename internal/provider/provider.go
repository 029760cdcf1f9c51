// Package provider stands between an adapter and the service that it calls: it
// measures the calls, and stops calling a service that does not answer.
package provider

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/telemetry"
)

const (
	// window is the time over which failures are counted, and bucket its resolution.
	window = 30 * time.Second
	bucket = 5 * time.Second
	// consecutive failures open the breaker; so does half of at least enough calls.
	consecutive = 5
	enough      = 20
	// most is how much longer than the pause a call is put off, so that a backlog
	// comes back spread out.
	most = time.Minute
)

// Options configures New.
type Options struct {
	// Name is the provider's name in metrics. Required.
	Name string
	// Operations are the names of its calls, for metrics. Required.
	Operations []string
	// Down tells from a call's error whether the provider is to blame: it cannot be
	// reached, or it breaks. Required.
	Down func(error) bool
	// Pause is how long the provider is left alone before one call tries whether it
	// is back. Default 10 s.
	Pause time.Duration
	// Metrics registers the metrics. Required.
	Metrics prometheus.Registerer
	// Traces makes a span of each call; nil for none.
	Traces trace.TracerProvider
}

// Provider is one service. It is safe for concurrent use.
type Provider struct {
	opts    Options
	breaker *gobreaker.CircuitBreaker[struct{}]
	opened  atomic.Pointer[time.Time] // when it stopped answering; nil while it answers
	tracer  trace.Tracer              // nil for none
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// Open is the error of a call that was not made, because the provider does not
// answer at present.
type Open struct {
	// For is how long to leave the provider alone.
	For time.Duration
}

// Error implements error.
func (o *Open) Error() string {
	return "provider: not called: it does not answer; try again in " + o.For.String()
}

// New returns a provider.
func New(opts Options) (*Provider, error) {
	if opts.Name == "" || len(opts.Operations) == 0 || opts.Down == nil || opts.Metrics == nil {
		return nil, errors.New("provider: Name, Operations, Down and Metrics are required")
	}
	if opts.Pause == 0 {
		opts.Pause = 10 * time.Second
	}
	label := prometheus.Labels{"provider": opts.Name}
	p := &Provider{
		opts: opts,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_provider_calls_total", ConstLabels: label,
			Help: "Calls to a provider by outcome: ok, refused (it said no), down (no answer, or an error of its own), open (not called, as it is down).",
		}, []string{"operation", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_provider_call_seconds", ConstLabels: label, Help: "Time a provider took to answer, retries of its SDK included.",
			Buckets:                     prometheus.ExponentialBuckets(0.005, 2, 14), // 5 ms to 41 s
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}, []string{"operation"}),
	}
	p.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: opts.Name, MaxRequests: 1, Interval: window, BucketPeriod: bucket, Timeout: opts.Pause,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return counts.ConsecutiveFailures >= consecutive || (counts.Requests >= enough && counts.TotalFailures*2 >= counts.Requests)
		},
		OnStateChange: p.changed,
		IsSuccessful:  func(err error) bool { return err == nil || !opts.Down(err) },
		// Whoever gave up waiting knows nothing of the provider.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	})
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "millrace_provider_open", ConstLabels: label,
		Help: "1 while this process leaves a provider alone because it does not answer.",
	}, func() float64 {
		if p.opened.Load() != nil {
			return 1
		}
		return 0
	})
	for _, collector := range []prometheus.Collector{p.calls, p.seconds, open} {
		if err := opts.Metrics.Register(collector); err != nil {
			return nil, fmt.Errorf("provider: metrics: %w", err)
		}
	}
	if opts.Traces != nil {
		p.tracer = opts.Traces.Tracer("millrace/internal/provider")
	}
	for _, operation := range opts.Operations {
		p.seconds.WithLabelValues(operation)
		for _, outcome := range []string{outcomeOK, outcomeRefused, outcomeDown, outcomeOpen} {
			p.calls.WithLabelValues(operation, outcome)
		}
	}
	return p, nil
}

// The outcomes of a call, as metrics and spans name them.
const (
	outcomeOK      = "ok"
	outcomeRefused = "refused"
	outcomeDown    = "down"
	outcomeOpen    = "open"
)

func (p *Provider) changed(_ string, _, to gobreaker.State) {
	switch to {
	case gobreaker.StateClosed:
		p.opened.Store(nil)
	case gobreaker.StateOpen:
		now := time.Now()
		p.opened.CompareAndSwap(nil, &now)
	case gobreaker.StateHalfOpen:
	}
}

// Do makes a call, and returns its error; or an *Open when it was not made. of
// names what the call is about, so that different work is put off for different
// times. ctx is of whoever needs the call.
func (p *Provider) Do(ctx context.Context, operation, of string, call func() error) error {
	if p.tracer == nil {
		_, err := p.do(operation, of, call)
		return err
	}
	// The provider is not told of the trace: it is none of its business.
	_, span := p.tracer.Start(ctx, p.opts.Name+" "+operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(telemetry.AttrProvider.String(p.opts.Name), telemetry.AttrOperation.String(operation)))
	outcome := "panic" // unless it returns
	defer func() {
		span.SetAttributes(telemetry.AttrOutcome.String(outcome))
		if outcome != outcomeOK {
			// The error is the provider's text.
			span.SetAttributes(semconv.ErrorTypeKey.String(outcome))
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
	}()
	var err error
	outcome, err = p.do(operation, of, call)
	return err
}

// do makes a call and measures it.
func (p *Provider) do(operation, of string, call func() error) (outcome string, err error) {
	started := time.Now()
	_, err = p.breaker.Execute(func() (struct{}, error) { return struct{}{}, call() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		p.calls.WithLabelValues(operation, outcomeOpen).Inc()
		return outcomeOpen, &Open{For: p.opts.Pause + p.spread(of)}
	}
	p.seconds.WithLabelValues(operation).Observe(time.Since(started).Seconds())
	outcome = outcomeOK
	switch {
	case err != nil && p.opts.Down(err):
		outcome = outcomeDown
	case err != nil:
		outcome = outcomeRefused
	}
	p.calls.WithLabelValues(operation, outcome).Inc()
	return outcome, err
}

// spread puts work off by a part of the time that the provider has been down.
func (p *Provider) spread(of string) time.Duration {
	since := p.opened.Load()
	if since == nil {
		return 0
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(of))
	return min(time.Since(*since), most) * time.Duration(hash.Sum32()%1000) / 1000
}
