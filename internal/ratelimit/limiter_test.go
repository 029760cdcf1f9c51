package ratelimit_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/ratelimit"
	"millrace/internal/redistest"
)

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(d.Microseconds()) }

// patience is for tests on a slow machine: a Redis that answers late is not what they
// are about.
const patience = 10 * time.Second

func newLimiter(t *testing.T, change func(*ratelimit.Options)) *ratelimit.Limiter {
	t.Helper()
	opts := ratelimit.Options{Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Timeout: patience}
	change(&opts)
	limiter, err := ratelimit.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, limiter.Close()) })
	return limiter
}

// everywhere runs a test in memory and in Redis, with a clock that it moves.
func everywhere(t *testing.T, test func(t *testing.T, limiter *ratelimit.Limiter, clock *clock)) {
	t.Helper()
	limits := ratelimit.Limits{
		ratelimit.Payments:  {Quota: 3, Period: ratelimit.Minute},
		ratelimit.Customers: {Quota: 2, Period: ratelimit.Hour},
		ratelimit.Reads:     {Quota: 7, Period: ratelimit.Second},
		ratelimit.Writes:    {},
	}
	for name, url := range map[string]func(*testing.T) string{
		"memory": func(*testing.T) string { return "" },
		"redis":  func(t *testing.T) string { t.Helper(); return redistest.Start(t).URL },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			test(t, newLimiter(t, func(o *ratelimit.Options) { o.Redis, o.Now, o.Limits = url(t), clock.now, limits }), clock)
		})
	}
}

// refused makes sure that it is a limit that refused, and returns how long to wait.
func refused(t *testing.T, err error) time.Duration {
	t.Helper()
	require.Error(t, err)
	f := fault.From(err)
	require.Equal(t, fault.RateLimitExceeded, f.Code)
	return f.RetryAfter
}

func TestAQuotaIsSpentAndComesBackEvenly(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, limiter *ratelimit.Limiter, clock *clock) {
		t.Helper()
		take := ratelimit.Take{Class: ratelimit.Payments, Tenant: "alice"}
		for _, want := range []struct {
			wait      time.Duration
			allowed   bool
			remaining int
			reset     time.Duration
		}{
			{0, true, 2, 20 * time.Second},
			{0, true, 1, 40 * time.Second},
			{0, true, 0, 20 * time.Second}, // until there is one more
			{0, false, 0, 20 * time.Second},
			{19 * time.Second, false, 0, time.Second},
			{time.Second - time.Microsecond, false, 0, time.Microsecond},
			{time.Microsecond, true, 0, 20 * time.Second},
			{50 * time.Second, true, 1, 30 * time.Second},
			{time.Hour, true, 2, 20 * time.Second}, // what is not used is not saved
			{-time.Hour, true, 0, 20 * time.Second},
			{0, false, 0, 20 * time.Second},
		} {
			clock.advance(want.wait)
			got, err := limiter.Allow(t.Context(), take)
			if want.wait < 0 {
				// A clock that is set back costs a quota at most, not an hour.
				require.LessOrEqual(t, got.Reset, time.Minute)
				break
			}
			require.Equal(t, want.allowed, err == nil, "%+v", want)
			require.Equal(t, ratelimit.Result{
				Class: ratelimit.Payments, Rate: ratelimit.Rate{Quota: 3, Period: ratelimit.Minute},
				Allowed: want.allowed, Remaining: want.remaining, Reset: want.reset,
			}, got)
			if !want.allowed {
				require.Equal(t, want.reset, refused(t, err))
				require.Equal(t, fault.Details{"limit": ratelimit.Payments, "quota": 3, "seconds": 60}, fault.From(err).Details)
			}
		}
	})
}

func TestWhoeverWaitsAsLongAsToldIsServed(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, limiter *ratelimit.Limiter, clock *clock) {
		t.Helper()
		take := ratelimit.Take{Class: ratelimit.Reads, Tenant: "alice"} // a seventh of a second is no whole number of anything
		began, served, waits := clock.now(), 0, 0
		for waits < 50 {
			_, err := limiter.Allow(t.Context(), take)
			if err == nil {
				served++
				continue
			}
			waits++
			clock.advance(refused(t, err))
			_, err = limiter.Allow(t.Context(), take)
			require.NoError(t, err, "wait %d", waits)
			served++
		}
		require.Equal(t, 7+50, served)
		require.GreaterOrEqual(t, clock.now().Sub(began), 50*time.Second/7, "never more than the rate")
	})
}

func TestTenantsKeysAndPeopleCountApart(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, limiter *ratelimit.Limiter, _ *clock) {
		t.Helper()
		spend := func(take ratelimit.Take) (n int) {
			for {
				if _, err := limiter.Allow(t.Context(), take); err != nil {
					refused(t, err)
					return n
				}
				n++
			}
		}
		payments := ratelimit.Take{Class: ratelimit.Payments, Tenant: "alice"}
		require.Equal(t, 3, spend(payments))
		own := payments
		own.Key, own.Limits = "k1", map[string]string{"payments": "5/m"}
		require.Equal(t, 5, spend(own), "a key with a rate of its own has a quota of its own")
		own.Key = "k2"
		require.Equal(t, 5, spend(own))
		own.Limits = map[string]string{"payments": "nonsense", "reads": "1/m"}
		require.Equal(t, 0, spend(own), "a key without one shares the tenant's")
		payments.Tenant = "bob"
		require.Equal(t, 3, spend(payments))

		jo := ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: "jo@example.com"}
		require.Equal(t, 2, spend(jo))
		for _, spelling := range []string{"Jo@Example.COM", " jo@example.com ", "jo+1@example.com"} {
			jo.Subject = spelling
			require.Equal(t, 0, spend(jo), spelling)
		}
		jo.Subject = "joe@example.com"
		require.Equal(t, 2, spend(jo))
		jo.Tenant, jo.Subject = "bob", "jo@example.com"
		require.Equal(t, 2, spend(jo))

		for range 100 {
			got, err := limiter.Allow(t.Context(), ratelimit.Take{Class: ratelimit.Writes, Tenant: "alice"})
			require.NoError(t, err)
			require.True(t, got.Rate.Unlimited())
		}
		_, err := limiter.Allow(t.Context(), ratelimit.Take{Class: "nonsense"})
		require.ErrorContains(t, err, "no class")
	})
}

func TestARepeatDoesNotCountAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, limiter *ratelimit.Limiter, clock *clock) {
		t.Helper()
		take := ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: "jo@example.com", Once: "POST /v1/payments k1"}
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				if _, err := limiter.Allow(t.Context(), take); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		got, err := limiter.Allow(t.Context(), take)
		require.NoError(t, err)
		require.Equal(t, 1, got.Remaining)

		other := take
		other.Once = "POST /v1/payments k2"
		_, err = limiter.Allow(t.Context(), other)
		require.NoError(t, err)
		_, err = limiter.Allow(t.Context(), take)
		require.NoError(t, err, "a repeat passes when the quota is spent")
		other.Once = "POST /v1/payments k3"
		_, err = limiter.Allow(t.Context(), other)
		refused(t, err)
		_, err = limiter.Allow(t.Context(), other)
		refused(t, err) // what was refused is no repeat

		for i := range 200 {
			other.Once, other.Subject = take.Once, fmt.Sprintf("joe%d@example.com", i)
			got, err = limiter.Allow(t.Context(), other)
			require.NoError(t, err)
			require.Equal(t, 1, got.Remaining, "the same key for somebody else counts for them")
		}

		clock.advance(time.Hour)
		got, err = limiter.Allow(t.Context(), take)
		require.NoError(t, err)
		require.Equal(t, 1, got.Remaining, "after the time of the quota it counts anew")
	})
}

func TestWhatCameToNothingIsGivenBack(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, limiter *ratelimit.Limiter, _ *clock) {
		t.Helper()
		// Twenty who want the same, of which one gets it; the quota is 2.
		var won, lost atomic.Int64
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				take := ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: "jo@example.com", Once: fmt.Sprint(i)}
				_, settle, err := limiter.Reserve(t.Context(), take)
				if err != nil {
					t.Error(err)
					return
				}
				happened := won.CompareAndSwap(0, 1)
				if !happened {
					lost.Add(1)
				}
				settle(happened)
			})
		}
		group.Wait()
		require.EqualValues(t, 19, lost.Load())

		take := ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: "jo@example.com", Once: "again"}
		result, settle, err := limiter.Reserve(t.Context(), take)
		require.NoError(t, err)
		require.Zero(t, result.Remaining, "one of two is spent")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		t.Cleanup(cancel)
		_, repeated, err := limiter.Reserve(ctx, take)
		require.NoError(t, err)
		repeated(false) // it had counted nothing, and so gives nothing back
		settle(true)
		_, _, err = limiter.Reserve(t.Context(), ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: "jo@example.com"})
		refused(t, err)
		_, settle, err = limiter.Reserve(t.Context(), ratelimit.Take{Class: ratelimit.Writes, Tenant: "alice"})
		require.NoError(t, err)
		settle(false)
		_, _, err = limiter.Reserve(t.Context(), ratelimit.Take{Class: "nonsense"})
		require.ErrorContains(t, err, "no class")
	})
}

func TestARefusalWaitsForWhatMayBeGivenBack(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, limiter *ratelimit.Limiter, _ *clock) {
		t.Helper()
		take := ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: "jo@example.com"}
		_, first, err := limiter.Reserve(t.Context(), take)
		require.NoError(t, err)
		_, second, err := limiter.Reserve(t.Context(), take)
		require.NoError(t, err)
		ended := make(chan error, 2)
		for range 2 {
			go func() {
				_, settle, err := limiter.Reserve(t.Context(), take)
				if err == nil {
					settle(true)
				}
				ended <- err
			}()
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		_, _, err = limiter.Reserve(gone, take)
		require.Equal(t, fault.Unavailable, fault.From(err).Code, "whoever leaves waits no longer")
		require.Empty(t, ended, "nothing is decided yet")
		first(true)
		second(false)
		served := 0
		for range 2 {
			if err := <-ended; err == nil {
				served++
			} else {
				refused(t, err)
			}
		}
		require.Equal(t, 1, served)
	})
}

func TestExactlyTheQuotaOfACrowdIsServed(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, limiter *ratelimit.Limiter, _ *clock) {
		t.Helper()
		var served atomic.Int64
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				for range 10 {
					if _, err := limiter.Allow(t.Context(), ratelimit.Take{Class: ratelimit.Payments, Tenant: "alice"}); err == nil {
						served.Add(1)
					}
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 3, served.Load())
	})
}

func TestAddressesOfOneNetworkCountTogether(t *testing.T) {
	t.Parallel()
	limiter := newLimiter(t, func(o *ratelimit.Options) { o.Now = newClock().now })
	for _, want := range []struct {
		address   string
		remaining int
	}{
		{"2001:db8::1", 299},
		{"2001:db8::ffff:2", 298}, // of the same /64
		{"2001:db8:0:1::1", 299},
		{"192.0.2.1", 299},
		{"192.0.2.2", 299},
		{"::ffff:192.0.2.3", 299},
		{"no address", 299},
	} {
		got, err := limiter.Allow(t.Context(), ratelimit.Take{Class: ratelimit.Failures, Subject: want.address})
		require.NoError(t, err)
		require.Equal(t, want.remaining, got.Remaining, want.address)
	}
}

func TestMemoryIsBoundedAndForgetsWhatIsOldest(t *testing.T) {
	t.Parallel()
	clock := newClock()
	limiter := newLimiter(t, func(o *ratelimit.Options) { o.Now, o.Size = clock.now, 64 }) // one a shard
	take := func(subject string) int {
		got, err := limiter.Allow(t.Context(), ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: subject})
		require.NoError(t, err)
		return got.Remaining
	}
	require.Equal(t, 9, take("jo@example.com"))
	require.Equal(t, 8, take("jo@example.com"))
	for i := range 2000 {
		take(fmt.Sprintf("%d@example.com", i))
	}
	require.Equal(t, 9, take("jo@example.com"))
}

func TestTwoProcessesShareARedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	share := func(o *ratelimit.Options) {
		o.Redis, o.Limits = server.URL, ratelimit.Limits{ratelimit.Payments: {Quota: 3, Period: ratelimit.Day}}
	}
	one, two := newLimiter(t, share), newLimiter(t, share)
	take := ratelimit.Take{Class: ratelimit.Payments, Tenant: "alice"}
	for _, limiter := range []*ratelimit.Limiter{one, two, one} {
		_, err := limiter.Allow(t.Context(), take)
		require.NoError(t, err)
	}
	for _, limiter := range []*ratelimit.Limiter{one, two} {
		_, err := limiter.Allow(t.Context(), take)
		require.Greater(t, refused(t, err), time.Hour, "by Redis's own clock")
	}
}

func TestNoAddressReachesRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	limiter := newLimiter(t, func(o *ratelimit.Options) { o.Redis = server.URL })
	_, err := limiter.Allow(t.Context(), ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: "jo@example.com", Once: "order-4711"})
	require.NoError(t, err)
	opts, err := redis.ParseURL(server.URL)
	require.NoError(t, err)
	client := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 2)
	for _, key := range keys {
		require.Regexp(t, `^millrace:limit:\{[0-9a-f]{32}\}(:[0-9a-f]{32})?$`, key)
		for _, secret := range []string{"alice", "jo", "4711"} {
			require.NotContains(t, key, hex.EncodeToString([]byte(secret)))
		}
		ttl, err := client.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.Greater(t, ttl, time.Duration(0), "everything expires")
		require.LessOrEqual(t, ttl, time.Hour)
	}
}

// logBuffer is a log that is written and read at once.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.b.Bytes(), []byte(text))
}

func TestARedisThatDiesAndComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	logs, registry := &logBuffer{}, prometheus.NewRegistry()
	limiter := newLimiter(t, func(o *ratelimit.Options) {
		o.Redis, o.Logger, o.Metrics, o.Pause = server.URL, slog.New(slog.NewTextHandler(logs, nil)), registry, time.Millisecond
		o.Limits = ratelimit.Limits{ratelimit.Payments: {Quota: 2, Period: ratelimit.Day}}
	})
	payment := ratelimit.Take{Class: ratelimit.Payments, Tenant: "alice"}
	customer := ratelimit.Take{Class: ratelimit.Customers, Tenant: "alice", Subject: "jo@example.com"}
	degraded := func(want int) {
		require.NoError(t, testutil.GatherAndCompare(registry, bytes.NewBufferString(fmt.Sprintf(`
			# HELP millrace_rate_limit_degraded 1 while Redis, where processes count together, does not answer; 0 without Redis.
			# TYPE millrace_rate_limit_degraded gauge
			millrace_rate_limit_degraded %d
		`, want)), "millrace_rate_limit_degraded"))
	}
	_, err := limiter.Allow(t.Context(), payment)
	require.NoError(t, err)
	degraded(0)

	server.Kill(t)
	// Open classes go on, counted here, and never without limit.
	for range 2 {
		_, err := limiter.Allow(t.Context(), payment)
		require.NoError(t, err)
	}
	_, err = limiter.Allow(t.Context(), payment)
	refused(t, err)
	_, err = limiter.Allow(t.Context(), customer)
	require.Equal(t, fault.Unavailable, fault.From(err).Code)
	require.Positive(t, fault.From(err).RetryAfter)
	degraded(1)
	tries := 0
	require.Eventually(t, func() bool { // longer than the pause, so that it is tried again and again
		tries++
		_, err := limiter.Allow(t.Context(), customer)
		return fault.From(err).Code == fault.Unavailable && tries > 20
	}, patience, 2*time.Millisecond)

	server.Restart(t)
	require.Eventually(t, func() bool {
		_, err := limiter.Allow(t.Context(), customer)
		return err == nil
	}, patience, time.Millisecond)
	degraded(0)
	require.Equal(t, 1, logs.count("does not answer"))
	require.Equal(t, 1, logs.count("answers again"))
	require.Zero(t, logs.count(server.URL))
	_, err = limiter.Allow(t.Context(), payment)
	require.NoError(t, err, "shared again, and Redis has forgotten")
}

func TestARedisThatIsNotThereYetDelaysNothing(t *testing.T) {
	t.Parallel()
	limiter := newLimiter(t, func(o *ratelimit.Options) { o.Redis, o.Timeout = "redis://127.0.0.1:1/0", 0 })
	_, err := limiter.Allow(t.Context(), ratelimit.Take{Class: ratelimit.Payments, Tenant: "alice"})
	require.NoError(t, err)
}

func TestNewRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	_, err := ratelimit.New(ratelimit.Options{Logger: logger})
	require.ErrorContains(t, err, "required")
	_, err = ratelimit.New(ratelimit.Options{Logger: logger, Metrics: prometheus.NewRegistry(), Redis: "http://" + "u:hunter2@h"})
	require.ErrorContains(t, err, "rediss://")
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, ratelimit.CheckURL("redis://u:hunter2@h:port").Error(), "hunter2")
	require.NoError(t, ratelimit.CheckURL("rediss://u:hunter2@h:6380/1"))
}

func TestEveryCheckIsCountedByClass(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	limiter := newLimiter(t, func(o *ratelimit.Options) {
		o.Metrics, o.Limits = registry, ratelimit.Limits{ratelimit.Failures: {Quota: 2, Period: ratelimit.Day}}
	})
	for range 5 {
		_, _ = limiter.Allow(t.Context(), ratelimit.Take{Class: ratelimit.Failures, Subject: "192.0.2.1"})
	}
	for name, want := range map[string]float64{"millrace_rate_limit_checks_total": 5, "millrace_rate_limited_total": 3} {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() != name {
				continue
			}
			require.Len(t, family.GetMetric(), len(ratelimit.Policies()), "each class is there from the start")
			for _, metric := range family.GetMetric() {
				if metric.GetLabel()[0].GetValue() == "failures" {
					require.InDelta(t, want, metric.GetCounter().GetValue(), 0)
				}
			}
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	limiter, err := ratelimit.New(ratelimit.Options{
		Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Limits: ratelimit.Limits{ratelimit.Payments: {Quota: 1_000_000, Period: ratelimit.Second}},
	})
	require.NoError(b, err)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = limiter.Allow(b.Context(), ratelimit.Take{Class: ratelimit.Payments, Tenant: "alice"})
		}
	})
}
