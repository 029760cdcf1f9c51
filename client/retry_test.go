package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestEveryStatusIsRepeatedOrNot(t *testing.T) {
	t.Parallel()
	repeated := map[int]bool{
		http.StatusRequestTimeout: true, http.StatusTooManyRequests: true, http.StatusBadGateway: true,
		http.StatusServiceUnavailable: true, http.StatusGatewayTimeout: true,
	}
	for status := 300; status < 600; status++ {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, failure(status, "X"), answer(http.StatusAccepted, `{"job":`+job("1", "available")+`}`))
			c, _ := newClient(t, s.URL, client.Options{})
			_, err := c.SubmitPayment(t.Context(), client.PaymentRequest{}, client.SubmitOptions{})
			if repeated[status] {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.Len(t, s.received(), 1)
		})
	}
}

func TestEveryCodeIsRepeatedOrNot(t *testing.T) {
	t.Parallel()
	for _, code := range client.Codes() {
		s := newServer(t, failure(http.StatusConflict, string(code)), answer(http.StatusOK, job("1", "cancelled")))
		c, _ := newClient(t, s.URL, client.Options{})
		_, err := c.Cancel(t.Context(), "1")
		require.Equal(t, code == client.CodeIdempotencyInProgress, err == nil, code)
	}
}

func TestARepetitionIsTheSameRequest(t *testing.T) {
	t.Parallel()
	accepted := answer(http.StatusAccepted, `{"job":`+job("1", "available")+`}`)
	s := newServer(t, hangUp, failure(503, "UNAVAILABLE"), hangUp, accepted)
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.SubmitPayment(t.Context(), client.PaymentRequest{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa"}, client.SubmitOptions{})
	require.NoError(t, err)
	got := s.received()
	require.GreaterOrEqual(t, len(got), 4) // net/http may repeat by itself on a connection that broke
	for _, r := range got {
		require.Equal(t, got[0].header.Get("Idempotency-Key"), r.header.Get("Idempotency-Key"))
		require.Equal(t, got[0].body, r.body)
	}
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, got[0].header.Get("Idempotency-Key"))
	require.NotEqual(t, client.NewIdempotencyKey(), client.NewIdempotencyKey())
}

func TestPausesGrowAndAreBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, failure(503, "UNAVAILABLE"))
	c, paused := newClient(t, s.URL, client.Options{MaxAttempts: 9})
	_, err := c.Job(t.Context(), "1")
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodeUnavailable, e.Code)
	require.Len(t, s.received(), 9)
	require.Len(t, paused.list, 8)
	for i, d := range paused.list {
		whole := min(250*time.Millisecond<<i, 5*time.Second)
		require.GreaterOrEqual(t, d, whole/2)
		require.Less(t, d, whole)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
	for _, try := range []struct {
		header      string
		least, most time.Duration
		given       bool // up at once
	}{
		{header: "7", least: 7 * time.Second, most: 8 * time.Second},
		// The machine may be slow; without the header it is under a second.
		{header: soon, least: 2 * time.Second, most: 21 * time.Second},
		{header: "0", most: time.Second},
		{header: "soon", most: time.Second},
		{header: "-5", most: time.Second},
		{header: "3600", given: true},
	} {
		t.Run(try.header, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, failure(429, "RATE_LIMIT_EXCEEDED", "Retry-After", try.header), answer(http.StatusOK, job("1", "running")))
			c, paused := newClient(t, s.URL, client.Options{})
			_, err := c.Job(t.Context(), "1")
			if try.given {
				var e *client.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, time.Hour, e.RetryAfter)
				require.Len(t, s.received(), 1)
				return
			}
			require.NoError(t, err)
			require.Len(t, paused.list, 1)
			require.GreaterOrEqual(t, paused.list[0], try.least)
			require.Less(t, paused.list[0], try.most)
		})
	}
}

func TestAJobsFailureIsNotRepeated(t *testing.T) {
	t.Parallel()
	// The job was given up because its provider was unavailable: the status is
	// 503, and yet the answer is final.
	s := newServer(t, failure(503, "UNAVAILABLE", "Location", "/v1/jobs/4711", "Preference-Applied", "wait=10"))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.SubmitPayment(t.Context(), client.PaymentRequest{}, client.SubmitOptions{Wait: 10 * time.Second})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "4711", e.JobID)
	require.Equal(t, "wait=10", s.one(t).header.Get("Prefer"))
}

func TestRetryIsNotRepeatedBlindly(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]http.HandlerFunc{"hang up": hangUp, "unavailable": failure(503, "UNAVAILABLE")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, first)
			c, _ := newClient(t, s.URL, client.Options{})
			_, err := c.Retry(t.Context(), "1")
			require.Error(t, err)
			require.Equal(t, "POST /v1/jobs/1/retry", s.one(t).method+" "+s.one(t).uri)
		})
	}
	s := newServer(t, failure(429, "RATE_LIMIT_EXCEEDED"), answer(http.StatusOK, job("1", "available")))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.Retry(t.Context(), "1")
	require.NoError(t, err, "nothing was done when the limit was exceeded")
	require.Equal(t, client.Available, got.State)
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	c, paused := newClient(t, "http://"+listener.Addr().String(), client.Options{MaxAttempts: 3})
	_, err = c.Retry(t.Context(), "1")
	require.ErrorIs(t, err, client.ErrNoAnswer)
	require.Len(t, paused.list, 2, "a connection that was never made may be tried again")
}

func TestTheContextEndsEverything(t *testing.T) {
	t.Parallel()
	t.Run("while the server works", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		c, _ := newClient(t, s.URL, client.Options{})
		_, err := c.Job(ctx, "1")
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, client.ErrNoAnswer)
	})
	t.Run("between two attempts", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, failure(503, "UNAVAILABLE"))
		c, _ := newClient(t, s.URL, client.Options{})
		c.SetPause(func(context.Context, time.Duration) error { return context.Canceled })
		_, err := c.Job(t.Context(), "1")
		require.ErrorIs(t, err, context.Canceled)
		var e *client.Error
		require.ErrorAs(t, err, &e, "what went wrong before is told too")
		require.Len(t, s.received(), 1)
	})
	t.Run("no time for another attempt", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s := newServer(t, failure(503, "UNAVAILABLE", "Retry-After", "20"))
		c, paused := newClient(t, s.URL, client.Options{})
		_, err := c.Job(ctx, "1")
		require.False(t, errors.Is(err, context.DeadlineExceeded))
		require.Empty(t, paused.list)
	})
}
