// Package sentrytest is a stand-in of Sentry for tests: it takes in envelopes as Sentry
// does, and shows what is in them.
package sentrytest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Event is an event as Sentry's protocol has it
// (https://develop.sentry.dev/sdk/data-model/event-payloads/), as far as tests look at it.
type Event struct {
	Level, Message, Release, Environment, Transaction string

	Tags        map[string]string
	Fingerprint []string
	Contexts    map[string]map[string]any
	Exception   []Exception
}

// Exception is an error of an event.
type Exception struct {
	Type, Value string
	Mechanism   *struct{ Handled *bool }
	Stacktrace  *struct {
		// Frames are calls, the innermost last.
		Frames []Frame
	}
}

// Frame is a call.
type Frame struct {
	Function, Module, Filename string

	Lineno int
	InApp  bool `json:"in_app"`
}

// Server takes in envelopes for one project.
type Server struct {
	// DSN is the address of the project.
	DSN string

	mu     sync.Mutex
	text   strings.Builder
	events []Event
	faults []string
}

// New starts a server that ends with the test. What is no envelope fails the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{}
	server := httptest.NewServer(s)
	s.DSN = strings.Replace(server.URL, "://", "://public@", 1) + "/42"
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		for _, f := range s.faults {
			t.Error("sentrytest: " + f)
		}
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.take(r); err != nil {
		s.faults = append(s.faults, err.Error())
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, "{}")
}

func (s *Server) take(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/api/42/envelope/" || !strings.Contains(r.Header.Get("X-Sentry-Auth"), "sentry_key=public") {
		return fmt.Errorf("%s %s is no envelope for this project", r.Method, r.URL.Path)
	}
	var reader io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		reader = unzipped
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	for name, values := range r.Header {
		s.text.WriteString(name + ": " + strings.Join(values, ", ") + "\n")
	}
	s.text.Write(body)
	// A header, and items of a header and a payload each, a line each
	// (https://develop.sentry.dev/sdk/data-model/envelopes/).
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	for i := 1; i+1 < len(lines); i += 2 {
		var item struct{ Type string }
		if err := json.Unmarshal(lines[i], &item); err != nil {
			return fmt.Errorf("item: %w", err)
		}
		if item.Type != "event" {
			return fmt.Errorf("an item of type %s", item.Type)
		}
		var event Event
		if err := json.Unmarshal(lines[i+1], &event); err != nil {
			return fmt.Errorf("event: %w", err)
		}
		s.events = append(s.events, event)
	}
	return nil
}

// Events returns what came in, in this order.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Text returns all that came in as it was, headers included.
func (s *Server) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
