package ratelimit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/sony/gobreaker/v2"
)

const (
	// redisTimeout bounds what a request waits for Redis.
	redisTimeout = 50 * time.Millisecond
	// dialTimeout bounds how long a new connection may take, in the background.
	dialTimeout = time.Second
	// enough failures in a row are a Redis that is gone.
	enough = 3
)

// script is bucket.take in Redis, where it is atomic: one bucket, and the mark of the
// event if it has one. It takes its time from Redis, so that all processes have the
// same, unless it is given one.
const script = `
local interval, whole, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if now == 0 then
	local time = redis.call('TIME')
	now = time[1] * 1000000 + time[2]
end
local full = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), now + whole)
if KEYS[2] and tonumber(redis.call('GET', KEYS[2]) or 0) > now then
	return {2, full - now}
end
if full + interval > now + whole then
	return {0, full - now}
end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
if KEYS[2] then
	redis.call('SET', KEYS[2], string.format('%.0f', now + whole), 'PX', math.ceil(whole / 1000))
end
return {1, full - now}
`

// undo is memory.giveBack in Redis. It leaves alone when the bucket expires.
const undo = `
if redis.call('EXISTS', KEYS[1]) == 1 then
	redis.call('DECRBY', KEYS[1], ARGV[1])
end
if KEYS[2] then
	redis.call('DEL', KEYS[2])
end
return {}
`

// shared counts in Redis, for all processes.
type shared struct {
	client  *redis.Client
	script  *redis.Script
	undo    *redis.Script
	breaker *gobreaker.CircuitBreaker[[]int64]
	timeout time.Duration
	now     func() time.Time // nil for Redis's own clock
	logger  *slog.Logger
	gone    atomic.Bool
}

// parseURL reads a redis:// or rediss:// URL. The error does not show it, as it may hold
// a password.
func parseURL(url string) (*redis.Options, error) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("it is a Redis URL such as redis://user:password@host:6379/0, rediss:// with TLS, or unix:///path")
	}
	return opts, nil
}

// CheckURL returns an error that does not show the URL, which may hold a password, when
// it is not one of Redis.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

// quiet keeps go-redis from writing to standard error: what matters is in the errors
// that it returns.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) }) //nolint:gochecknoglobals // go-redis's logger is global; set once

type silence struct{}

// Printf implements go-redis's logger.
func (silence) Printf(context.Context, string, ...any) {}

func newShared(opts Options) (*shared, error) {
	quiet()
	config, err := parseURL(opts.Redis)
	if err != nil {
		return nil, fmt.Errorf("ratelimit: Redis: %w", err)
	}
	config.DialTimeout, config.ReadTimeout, config.WriteTimeout, config.PoolTimeout = dialTimeout, opts.Timeout, opts.Timeout, opts.Timeout
	config.ContextTimeoutEnabled = true
	config.MaxRetries = -1                            // a request that comes again may be counted twice
	config.MinIdleConns = max(config.MinIdleConns, 2) // opened ahead: a request has no time for it
	config.ClientName = "millrace"
	config.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // of Redis's own cloud
	s := &shared{client: redis.NewClient(config), script: redis.NewScript(script), undo: redis.NewScript(undo), timeout: opts.Timeout, now: opts.Now, logger: opts.Logger}
	s.breaker = gobreaker.NewCircuitBreaker[[]int64](gobreaker.Settings{
		Name: "redis", MaxRequests: 1, Timeout: opts.Pause,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= enough },
		OnStateChange: s.changed,
	})
	return s, nil
}

// changed logs when Redis goes and when it comes back, not each time that it is tried.
func (s *shared) changed(_ string, _, to gobreaker.State) {
	ctx := context.Background() // of no request
	switch to {
	case gobreaker.StateOpen:
		if !s.gone.Swap(true) {
			s.logger.WarnContext(ctx, "ratelimit: Redis does not answer; each process counts for itself, and payments that name a customer are refused")
		}
	case gobreaker.StateClosed:
		if s.gone.Swap(false) {
			s.logger.InfoContext(ctx, "ratelimit: Redis answers again; limits are shared")
		}
	case gobreaker.StateHalfOpen:
	}
}

// take is memory.take in Redis. After an error nothing is known.
func (s *shared) take(ctx context.Context, b bucket) (level, error) {
	var now int64
	if s.now != nil {
		now = s.now().UnixMicro()
	}
	values, err := s.run(ctx, s.script, b, b.interval, b.whole, now)
	if err != nil {
		return level{}, err
	}
	if len(values) != 2 {
		return level{}, errors.New("ratelimit: Redis: an answer that is not the script's")
	}
	return level{allowed: values[0] > 0, repeated: values[0] == 2, shared: true, used: values[1]}, nil
}

// giveBack undoes a take, if Redis answers.
func (s *shared) giveBack(ctx context.Context, b bucket) {
	_, _ = s.run(ctx, s.undo, b, b.interval)
}

// run runs a script on a bucket, unless Redis has been gone.
func (s *shared) run(ctx context.Context, script *redis.Script, b bucket, args ...any) ([]int64, error) {
	return s.breaker.Execute(func() ([]int64, error) {
		// A client that leaves says nothing about Redis.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		name := "millrace:limit:{" + hex.EncodeToString(b.id[:]) + "}" // in braces: a cluster keeps both together
		keys := []string{name}
		if b.once != (id{}) {
			keys = append(keys, name+":"+hex.EncodeToString(b.once[:]))
		}
		values, err := script.Run(ctx, s.client, keys, args...).Int64Slice()
		if err != nil {
			return nil, fmt.Errorf("ratelimit: Redis: %w", err)
		}
		return values, nil
	})
}
