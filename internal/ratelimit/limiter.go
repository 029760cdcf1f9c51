package ratelimit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"millrace/internal/fault"
)

// Options configures New.
type Options struct {
	// Limits are the rates that differ from the defaults.
	Limits Limits
	// Redis is the URL of the Redis where processes count together; empty for counting
	// in this process alone.
	Redis string
	// Size is how many buckets and events are kept in memory at most, about 120 bytes
	// each. Default 131,072.
	Size int
	// Timeout bounds what a request waits for Redis. Default 50 ms.
	Timeout time.Duration
	// Pause is how long a Redis that does not answer is left alone before one request
	// tries whether it is back. Default 1 s.
	Pause time.Duration
	// Now is the clock. Default time.Now in memory, and Redis's own clock in Redis.
	Now func() time.Time
	// Logger is required.
	Logger *slog.Logger
	// Metrics registers the metrics. Required.
	Metrics prometheus.Registerer
}

// Limiter counts events. It is safe for concurrent use.
type Limiter struct {
	opts    Options
	rows    map[Class]row
	memory  *memory
	shared  *shared // nil without Redis
	pending pending
}

// row is a class with the rate that applies here, and its counters.
type row struct {
	Policy

	rate             Rate
	checked, limited prometheus.Counter
}

// Take is one event to count.
type Take struct {
	Class Class
	// Tenant is whose quota it is; empty for classes that count by address.
	Tenant string
	// Key is the id of the API key, and Limits the rates of its own, which count apart
	// from the tenant's. One that ParseLimits would refuse is as if it were not there.
	Key    string
	Limits map[string]string
	// Subject is the e-mail address or the address of the client; empty for classes
	// that count by tenant alone.
	Subject string
	// Once names an event that counts only once while its quota comes back; empty when
	// each counts.
	Once string
}

// New returns a limiter. Redis need not answer yet.
func New(opts Options) (*Limiter, error) {
	if opts.Logger == nil || opts.Metrics == nil {
		return nil, errors.New("ratelimit: Logger and Metrics are required")
	}
	opts.Size = cmp.Or(opts.Size, 1<<17)
	opts.Timeout = cmp.Or(opts.Timeout, redisTimeout)
	opts.Pause = cmp.Or(opts.Pause, time.Second)
	l := &Limiter{opts: opts, rows: make(map[Class]row), pending: pending{buckets: map[id]*reservations{}}}
	clock := opts.Now
	if clock == nil {
		clock = time.Now
	}
	var err error
	if l.memory, err = newMemory(opts.Size, clock); err != nil {
		return nil, err
	}
	if opts.Redis != "" {
		if l.shared, err = newShared(opts); err != nil {
			return nil, err
		}
	}
	if err := l.measure(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// measure registers the metrics and fills the rows.
func (l *Limiter) measure() error {
	checked := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "millrace_rate_limit_checks_total", Help: "Events that were counted against a rate limit, by class, the refused ones among them.",
	}, []string{"class"})
	limited := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "millrace_rate_limited_total", Help: "Events that a rate limit refused, by class.",
	}, []string{"class"})
	degraded := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "millrace_rate_limit_degraded", Help: "1 while Redis, where processes count together, does not answer; 0 without Redis.",
	}, func() float64 {
		if l.shared != nil && l.shared.gone.Load() {
			return 1
		}
		return 0
	})
	for _, collector := range []prometheus.Collector{checked, limited, degraded} {
		if err := l.opts.Metrics.Register(collector); err != nil {
			return fmt.Errorf("ratelimit: metrics: %w", err)
		}
	}
	for _, policy := range Policies() {
		class := string(policy.Class)
		r := row{Policy: policy, rate: policy.Default, checked: checked.WithLabelValues(class), limited: limited.WithLabelValues(class)}
		if rate, ok := l.opts.Limits[policy.Class]; ok {
			r.rate = rate
		}
		l.rows[policy.Class] = r
	}
	return nil
}

// Close ends the connections to Redis.
func (l *Limiter) Close() error {
	if l.shared == nil {
		return nil
	}
	return l.shared.client.Close()
}

// Allow counts an event. The fault is RATE_LIMIT_EXCEEDED when it is one too many, and
// UNAVAILABLE when Redis does not answer and the class is closed then. A refused event
// does not count.
func (l *Limiter) Allow(ctx context.Context, take Take) (Result, error) {
	r, b, rate, err := l.bucket(take)
	if err != nil || rate.Unlimited() {
		return Result{Class: take.Class, Allowed: err == nil}, err
	}
	r.checked.Inc()
	after, err := l.take(ctx, b, r.Closed)
	if err != nil {
		return Result{}, err
	}
	result := b.result(take.Class, rate, after)
	if !result.Allowed {
		r.limited.Inc()
		return result, refuse(result)
	}
	return result, nil
}

// bucket returns where an event counts, and at what rate.
func (l *Limiter) bucket(take Take) (row, bucket, Rate, error) {
	r, ok := l.rows[take.Class]
	if !ok {
		return row{}, bucket{}, Rate{}, fmt.Errorf("ratelimit: there is no class %s", take.Class)
	}
	rate, owner := r.rate, "tenant:"+take.Tenant
	if text, ok := take.Limits[string(take.Class)]; ok {
		if own, err := ParseRate(text); err == nil {
			rate, owner = own, "key:"+take.Key
		}
	}
	if rate.Unlimited() {
		return r, bucket{}, rate, nil
	}
	subject := take.Subject
	switch r.By {
	case ByPerson:
		subject = person(subject)
	case ByAddress:
		subject = network(subject)
	case ByTenant:
	}
	b := bucket{id: hash(string(take.Class), owner, subject), interval: rate.interval()}
	b.whole = b.interval * int64(rate.Quota)
	if take.Once != "" {
		b.once = hash(string(b.id[:]), take.Once)
	}
	return r, b, rate, nil
}

// refuse is the answer to an event that is one too many.
func refuse(result Result) *fault.Fault {
	return fault.New(fault.RateLimitExceeded, "There are too many of these at present; the Retry-After header says when one more is taken.").
		With("limit", result.Class).With("quota", result.Rate.Quota).With("seconds", result.Rate.Seconds()).After(result.Reset)
}

// take counts in Redis, or when it does not answer here, unless the class is closed.
func (l *Limiter) take(ctx context.Context, b bucket, closed bool) (level, error) {
	if l.shared == nil {
		return l.memory.take(b), nil
	}
	after, err := l.shared.take(ctx, b)
	switch {
	case err == nil:
		return after, nil
	case closed:
		return level{}, fault.New(fault.Unavailable, "It cannot be checked at present how many of these there were; try again shortly.").
			After(l.opts.Pause).Because(err)
	default:
		return l.memory.take(b), nil
	}
}
