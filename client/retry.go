package client

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

const (
	// firstPause is what is waited before the second attempt; it doubles with
	// each further one up to maxPause.
	firstPause = 250 * time.Millisecond
	maxPause   = 5 * time.Second
	// longestRetryAfter is the longest that the client waits because the server
	// asks for it; the caller is told of longer ones.
	longestRetryAfter = 30 * time.Second
)

// verdict says whether a request may be sent again.
type verdict int

const (
	final   verdict = iota // the answer will not change
	undone                 // the server did nothing; anything may be repeated
	unknown                // the server may have done it; repeat what is safe to repeat
)

// judge is the one table of what is repeated.
func judge(err error) verdict {
	var e *Error
	if !errors.As(err, &e) {
		return judgeSilence(err)
	}
	if e.JobID != "" {
		return final // the status is that of the job's failure
	}
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return undone
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return unknown
	}
	if e.Code == CodeIdempotencyInProgress {
		return unknown
	}
	return final
}

func judgeSilence(err error) verdict {
	var (
		network     *net.OpError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case !errors.Is(err, ErrNoAnswer), errors.As(err, &certificate):
		return final // the request could not even be made
	case errors.As(err, &network) && network.Op == "dial":
		return undone
	default:
		return unknown
	}
}

// nextPause says how long to wait before a request is sent again, the given
// number of attempts having failed, the last one with err. ok is false when it
// is not to be sent again.
func (c *Client) nextPause(r request, attempts int, err error) (wait time.Duration, ok bool) {
	switch judge(err) {
	case undone:
	case unknown:
		if r.unrepeatable {
			return 0, false
		}
	case final:
		return 0, false
	}
	if attempts >= c.maxAttempts {
		return 0, false
	}
	wait = maxPause
	if doublings := attempts - 1; doublings < 10 {
		wait = min(firstPause<<doublings, maxPause)
	}
	// Clients that failed together must not come back together.
	wait = wait/2 + rand.N(wait/2) //nolint:gosec // needs no secrecy
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		if e.RetryAfter > longestRetryAfter {
			return 0, false
		}
		wait += e.RetryAfter
	}
	return wait, true
}
