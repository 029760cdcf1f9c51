// Package client is Millrace's client for apps: it submits work, waits for its
// outcome, reads and controls jobs, reads and keeps calendars, and reads scores over
// the HTTP API. It needs nothing but the standard library.
//
// A submission carries an idempotency key, so that it can be repeated after any
// failure without doing the work twice. The client does so by itself, a bounded
// number of times; an app that wants to repeat after a crash of its own keeps
// the key (see NewIdempotencyKey) with the record that the work belongs to.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults and limits of Options.
const (
	DefaultTimeout     = 15 * time.Second
	DefaultMaxAttempts = 5
	maxAttempts        = 100
)

// Options tunes a Client. The zero value is ready for use.
type Options struct {
	// HTTPClient sends the requests; its Timeout, if set, also cuts waits short.
	// Its CheckRedirect is not used: redirects are never followed, so that the
	// key goes nowhere else. Default: a client with a connection pool of its own.
	HTTPClient *http.Client
	// Timeout bounds one attempt at one request, without the wait that was asked
	// for. Default DefaultTimeout.
	Timeout time.Duration
	// MaxAttempts is how often one request is sent at most; 1 never repeats.
	// With 5 a call gives up after some 4 seconds of a server that refuses at
	// once. Default DefaultMaxAttempts, at most 100.
	MaxAttempts int
	// UserAgent goes in front of the client's own. Default none.
	UserAgent string
}

// Client talks to one Millrace server with one API key. It may be used by many
// goroutines at once.
type Client struct {
	base        string // without a trailing slash
	http        *http.Client
	timeout     time.Duration
	maxAttempts int
	userAgent   string
	// authorize adds the key. It is a function so that printing a Client shows
	// no secret.
	authorize func(http.Header)
	// pause waits, or returns ctx's error when that ends first.
	pause func(ctx context.Context, d time.Duration) error
}

// New returns a client for the server at baseURL, such as
// https://millrace.example.com, that presents apiKey (mrk_…), or a token of an
// identity provider where the server takes those. It makes no
// request; a key that does not work is told by the first call.
func New(baseURL, apiKey string, opts Options) (*Client, error) {
	base, err := parseBase(baseURL)
	if err != nil {
		return nil, err
	}
	if apiKey == "" || strings.IndexFunc(apiKey, func(c rune) bool { return c <= ' ' || c > '~' }) >= 0 {
		return nil, errors.New("client: the API key is empty or has characters that no key has (it looks like mrk_…)")
	}
	if opts.Timeout < 0 || opts.MaxAttempts < 0 || opts.MaxAttempts > maxAttempts {
		return nil, fmt.Errorf("client: Timeout must not be negative, MaxAttempts be from 0 (the default) to %d", maxAttempts)
	}
	c := &Client{
		base: base, http: &http.Client{Transport: transport()}, timeout: opts.Timeout, maxAttempts: opts.MaxAttempts,
		userAgent: strings.TrimSpace(opts.UserAgent + " millrace-client-go"),
		authorize: func(header http.Header) { header.Set("Authorization", "Bearer "+apiKey) },
		pause:     pause,
	}
	if opts.HTTPClient != nil {
		own := *opts.HTTPClient
		c.http = &own
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	if c.maxAttempts == 0 {
		c.maxAttempts = DefaultMaxAttempts
	}
	return c, nil
}

func parseBase(text string) (string, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") ||
		parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		// The text may hold a password: it is not repeated.
		return "", errors.New("client: the base URL must look like https://millrace.example.com, without user, query or fragment")
	}
	return strings.TrimRight(text, "/"), nil
}

// transport is the standard one with as many idle connections to the one
// server as a busy app has calls in flight.
func transport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	own := standard.Clone()
	own.MaxIdleConnsPerHost = own.MaxIdleConns
	return own
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
