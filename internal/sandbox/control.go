package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// RequestCount says how often an API route was asked, refused and faulted requests included.
type RequestCount struct {
	Method string `json:"method"`
	Path   string `json:"path"` // with its id; "/v1/" stands for everything that is no route
	Count  int    `json:"count"`
}

type requestCounter struct {
	mu     sync.Mutex
	counts map[RequestCount]int // Count is 0 in the keys
}

func newRequestCounter() *requestCounter {
	return &requestCounter{counts: map[RequestCount]int{}}
}

func (rc *requestCounter) add(r *http.Request) {
	path := r.URL.Path
	if r.Pattern == "/v1/" {
		path = r.Pattern
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.counts[RequestCount{Method: r.Method, Path: path}]++
}

// Requests returns how often each API route was asked since the start or the last ResetRequests, sorted by path and
// method.
func (s *Stripe) Requests() []RequestCount {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	out := make([]RequestCount, 0, len(s.requests.counts))
	for k, n := range s.requests.counts {
		k.Count = n
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b RequestCount) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.Method, b.Method)
	})
	return out
}

// ResetRequests starts counting from zero.
func (s *Stripe) ResetRequests() {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	clear(s.requests.counts)
}

// Errors of the methods behind the control routes.
var (
	ErrNoSuchIntent    = errors.New("sandbox: no such payment intent")
	ErrNoSuchCharge    = errors.New("sandbox: no such charge")
	ErrNoSuchEvent     = errors.New("sandbox: no such event, or one that is too old")
	ErrNoChallenge     = errors.New("sandbox: the payment intent does not wait for authentication")
	ErrNoAuthorization = errors.New("sandbox: the payment intent does not wait for its capture")
	ErrNotDisputable   = errors.New("sandbox: the charge moved no money, or is disputed already")
	ErrClientSecret    = errors.New("sandbox: the client secret is not the payment intent's")
	ErrRefused         = errors.New("sandbox: the confirmation was refused")
	ErrNoWebhook       = errors.New("sandbox: no webhook is set")
)

// controlStatus is the HTTP status of an error, on the control routes.
func controlStatus(err error) int {
	for _, missing := range []error{ErrNoSuchIntent, ErrNoSuchCharge, ErrNoSuchEvent} {
		if errors.Is(err, missing) {
			return http.StatusNotFound
		}
	}
	for _, state := range []error{ErrNoChallenge, ErrNoAuthorization, ErrNotDisputable, ErrRefused, ErrNoWebhook} {
		if errors.Is(err, state) {
			return http.StatusConflict
		}
	}
	if errors.Is(err, ErrClientSecret) {
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}

// Authenticate finishes an intent's 3-D Secure challenge, as the customer would, and returns the intent's status. An
// authentication that passes may still end in a decline, which is not an error here: it is in the status.
func (s *Stripe) Authenticate(intentID string, passed bool) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(nil)
	in := t.intent(intentID)
	if in == nil {
		return "", ErrNoSuchIntent
	}
	if in.API.Status != statusRequiresAction {
		return string(in.API.Status), ErrNoChallenge
	}
	_ = t.authenticated(in, passed)
	if err := s.commit(t, nil); err != nil {
		return "", err
	}
	return string(in.API.Status), nil
}

// loopbackOnly keeps the control routes, which need no key, from everyone but this machine.
func loopbackOnly(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			writeControlError(w, http.StatusForbidden, "control routes answer to loopback addresses only")
			return
		}
		h(w, r)
	}
}

// getCharges answers {"charges": [Charge…]}, oldest first, filtered by payment_intent, paid and metadata[k]; with
// by=payment the same charges as {"payments": {payment_id: PaymentCharges}}.
func (s *Stripe) getCharges(w http.ResponseWriter, r *http.Request) {
	f := form{values: r.URL.Query()}
	if apiErr := f.only([]string{"by", "metadata", "paid", "payment_intent"}, nil); apiErr != nil {
		writeControlError(w, http.StatusBadRequest, apiErr.Body.Message)
		return
	}
	by, apiErr := f.enum("by", "", "payment")
	if apiErr != nil {
		writeControlError(w, http.StatusBadRequest, apiErr.Body.Message)
		return
	}
	wanted, _ := f.sub("metadata")
	charges := slices.DeleteFunc(s.Charges(), func(ch Charge) bool {
		for k, v := range wanted {
			if got, ok := ch.Metadata[k]; !ok || got != v {
				return true
			}
		}
		if f.has("paid") && ch.Paid != (f.text("paid") == "true") {
			return true
		}
		return f.has("payment_intent") && ch.PaymentIntent != f.text("payment_intent")
	})
	if by == "payment" {
		writeControl(w, http.StatusOK, map[string]any{"payments": byPayment(charges)})
		return
	}
	writeControl(w, http.StatusOK, map[string]any{"charges": charges})
}

// getRequests answers {"total": N, "requests": [RequestCount…]}, filtered by method and by the end of the path.
func (s *Stripe) getRequests(w http.ResponseWriter, r *http.Request) {
	method, path := r.URL.Query().Get("method"), r.URL.Query().Get("path")
	total := 0
	counts := slices.DeleteFunc(s.Requests(), func(rc RequestCount) bool {
		return (method != "" && !strings.EqualFold(rc.Method, method)) || !strings.HasSuffix(rc.Path, path)
	})
	for _, rc := range counts {
		total += rc.Count
	}
	writeControl(w, http.StatusOK, map[string]any{"total": total, "requests": counts})
}

func (s *Stripe) deleteRequests(w http.ResponseWriter, _ *http.Request) {
	s.ResetRequests()
	w.WriteHeader(http.StatusNoContent)
}

// getFaults answers {"faults": [Fault…]}.
func (s *Stripe) getFaults(w http.ResponseWriter, _ *http.Request) {
	writeControl(w, http.StatusOK, map[string]any{"faults": s.Faults()})
}

// postFaults takes a list of rules and adds them behind those that are there.
func (s *Stripe) postFaults(w http.ResponseWriter, r *http.Request) {
	var rules []Fault
	if err := decodeControl(r, &rules); err != nil {
		writeControlError(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := s.Inject(rules...); err != nil {
		writeControlError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.getFaults(w, r)
}

func (s *Stripe) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	w.WriteHeader(http.StatusNoContent)
}

// postAuthenticate takes {"outcome": "succeed"|"fail"} and answers {"id", "status"}.
func (s *Stripe) postAuthenticate(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Outcome string `json:"outcome"`
	}
	if err := decodeControl(r, &body); err != nil {
		writeControlError(w, http.StatusBadRequest, err.Error())
		return
	}
	if body.Outcome != "succeed" && body.Outcome != "fail" {
		writeControlError(w, http.StatusBadRequest, `outcome is "succeed" or "fail"`)
		return
	}
	id := r.PathValue("id")
	status, err := s.Authenticate(id, body.Outcome == "succeed")
	writeStatus(w, id, status, err)
}

// writeStatus answers {"id", "status"} of an intent, or an error.
func writeStatus(w http.ResponseWriter, id, status string, err error) {
	if err != nil {
		writeControlError(w, controlStatus(err), err.Error())
		return
	}
	writeControl(w, http.StatusOK, map[string]string{"id": id, "status": status})
}

func decodeControl(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func writeControl(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(mustJSON(v)) // the client may have left; there is nobody to tell
}

func writeControlError(w http.ResponseWriter, status int, message string) {
	writeControl(w, status, map[string]string{"error": message})
}
