package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes. It is what a job can
// return at most (River's limit of 32 MiB) and what stands around it.
const maxAnswer = 33 << 20

// maxWait is the longest wait that the server grants in one request.
const maxWait = 30 * time.Second

// request is one call of the API.
type request struct {
	method string
	path   string // with the query
	body   []byte
	key    string
	// wait is how long the server may take to wait for the outcome.
	wait time.Duration
	// unrepeatable requests are not sent again when the server may have done
	// what they ask for.
	unrepeatable bool
}

// withQuery adds parameters to a path. Empty ones are left to the server.
func withQuery(path string, parameters map[string]string) string {
	query := url.Values{}
	for name, value := range parameters {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// encode writes the body of a request.
func encode(body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("client: encode the input: %w", err)
	}
	return text, nil
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// decode reads a successful answer.
func (a *answer) decode(into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return &Error{Status: a.status, Message: strangeAnswer(a.status), RequestID: a.header.Get("X-Request-Id")}
	}
	return nil
}

// do sends a request until it has an answer worth returning. An answer that is
// no success is an *Error.
func (c *Client) do(ctx context.Context, r request) (*answer, error) {
	for attempts := 1; ; attempts++ {
		a, err := c.attempt(ctx, r)
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		wait, again := c.nextPause(r, attempts, err)
		if !again {
			return nil, err
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return nil, err // there is no time for another one
		}
		if ended := c.pause(ctx, wait); ended != nil {
			return nil, fmt.Errorf("%w (%w before it was tried again)", err, ended)
		}
	}
}

func (c *Client) attempt(ctx context.Context, r request) (*answer, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout+r.wait)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
	}
	c.authorize(req.Header)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if r.wait > 0 {
		req.Header.Set("Prefer", "wait="+strconv.Itoa(seconds(r.wait)))
	}
	a, err := c.send(req)
	if err != nil {
		return nil, c.silence(ctx, r, err)
	}
	if a.status < 200 || a.status > 299 {
		return nil, errorOf(a)
	}
	return a, nil
}

func (c *Client) send(req *http.Request) (*answer, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, errTooLong
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

var errTooLong = fmt.Errorf("the answer has more than %d bytes", maxAnswer)

// silence describes a request without an answer. ctx is the caller's, whose
// end is told apart from the end of one attempt's time.
func (c *Client) silence(ctx context.Context, r request, err error) error {
	switch ended := ctx.Err(); {
	case errors.Is(err, errTooLong):
		return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
	case ended != nil:
		err = ended
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("nothing came within %s", c.timeout+r.wait)
	}
	// net/http's wrapper repeats method and address.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("client: %s %s: %w: %w", r.method, r.path, ErrNoAnswer, err)
}

// seconds rounds up, as Prefer: wait takes whole seconds.
func seconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}

// call sends a request and decodes its answer.
func (c *Client) call(ctx context.Context, r request, into any) error {
	a, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	return a.decode(into)
}
