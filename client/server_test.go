package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/client"
)

const testKey = "mrk_aaaaaaaaaaaaaaaa_secret"

// server plays the HTTP API: each request gets the next answer, and the last
// one for ever.
type server struct {
	URL string

	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []received
}

// received is what the server keeps of a request.
type received struct {
	method, uri, body string
	header            http.Header
}

func newServer(t *testing.T, answers ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{answers: answers}
	listening := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		s.next(received{r.Method, r.RequestURI, string(body), r.Header.Clone()})(w, r)
	}))
	t.Cleanup(listening.Close)
	s.URL = listening.URL
	return s
}

func (s *server) next(r received) http.HandlerFunc {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	return s.answers[min(len(s.requests), len(s.answers))-1]
}

func (s *server) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// one returns the only request.
func (s *server) one(t *testing.T) received {
	t.Helper()
	requests := s.received()
	require.Len(t, requests, 1)
	return requests[0]
}

// pauses records how long a client would have waited.
type pauses struct {
	mu   sync.Mutex
	list []time.Duration
}

func (p *pauses) pause(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, d)
	return ctx.Err()
}

func newClient(t *testing.T, url string, opts client.Options) (*client.Client, *pauses) {
	t.Helper()
	c, err := client.New(url, testKey, opts)
	require.NoError(t, err)
	var p pauses
	c.SetPause(p.pause)
	return c, &p
}

// answer gives status, headers in pairs, and body.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func failure(status int, code string, headers ...string) http.HandlerFunc {
	return answer(status, fmt.Sprintf(`{"error":"Something is wrong.","code":%q,"request_id":"r-1"}`, code), headers...)
}

// hangUp breaks the connection.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func job(id, state string) string {
	done := state == "completed" || state == "cancelled" || state == "discarded"
	return fmt.Sprintf(`{"id":%q,"kind":"payment_capture","queue":"payments","state":%q,"done":%t,"priority":1,
		"attempt":0,"max_attempts":25,"created_at":"2030-01-31T09:30:00Z","scheduled_at":"2030-01-31T09:30:00Z",
		"attempted_at":null,"finalized_at":null,"links":{"self":"/v1/jobs/%s"}}`, id, state, done, id)
}
