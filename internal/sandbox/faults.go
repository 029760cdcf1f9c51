package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FaultHeader injects a fault into the request that carries it: a kind, then options, as in
// "timeout_after", "slow; delay_ms=250", "http_500; stored", "html_502; charged". It goes before every rule.
const FaultHeader = "X-Sandbox-Fault"

// FaultKind names what goes wrong.
type FaultKind string

// Kinds of fault. «Before» means that nothing was charged and nothing is stored under the idempotency key; «after» that
// the work is done, the charge is in the ledger, and the key has its answer, of which the client sees nothing.
const (
	FaultTimeoutBefore FaultKind = "timeout_before" // hangs until the client leaves
	FaultTimeoutAfter  FaultKind = "timeout_after"
	FaultResetBefore   FaultKind = "reset_before" // TCP reset
	FaultResetAfter    FaultKind = "reset_after"
	FaultHTTP500       FaultKind = "http_500"      // before, unless Charged; see Stored
	FaultHTTP503       FaultKind = "http_503"      // before, unless Charged
	FaultHTML502       FaultKind = "html_502"      // a proxy's HTML page; before, unless Charged
	FaultRateLimit     FaultKind = "rate_limit"    // 429, code rate_limit; before
	FaultLockTimeout   FaultKind = "lock_timeout"  // 429, code lock_timeout; before
	FaultConflict      FaultKind = "conflict"      // 409, code idempotency_key_in_use; before
	FaultTruncated200  FaultKind = "truncated_200" // the right status, and half of the body; after
	FaultSlow          FaultKind = "slow"          // the right answer, DelayMS late; the key is in use meanwhile
)

// Fault is a rule: which requests it strikes, and how. The first rule that matches a request and has hits left strikes.
type Fault struct {
	Kind FaultKind `json:"kind"`

	// Method is an HTTP method; "" matches all.
	Method string `json:"method,omitempty"`
	// Path matches the end of the request's path: "/confirm", "/v1/payment_intents"; "" matches all.
	Path string `json:"path,omitempty"`
	// PaymentMethod matches the test method's name (pm_card_visa) of the request or of its intent; "" matches all.
	PaymentMethod string `json:"payment_method,omitempty"`
	// Metadata must all be in the metadata of the request or of its intent.
	Metadata map[string]string `json:"metadata,omitempty"`

	// Count is how often the rule strikes before it is spent; 0 means without end.
	Count int `json:"count,omitempty"`
	// Probability that a matching request is struck, in (0, 1]; 0 means always.
	Probability float64 `json:"probability,omitempty"`
	// Seed of Probability's random numbers; 0 means Options.Seed.
	Seed uint64 `json:"seed,omitempty"`

	// DelayMS waits that many milliseconds before the work is done, or before a fault that prevents it.
	DelayMS int `json:"delay_ms,omitempty"`
	// Stored makes http_500 the answer that the idempotency key replays, as Stripe's 500s are.
	Stored bool `json:"stored,omitempty"`
	// Charged lets http_500, http_503 and html_502 come after the work. Without Stored the key has the real answer.
	Charged bool `json:"charged,omitempty"`

	// Hits counts the requests that were struck. It is ignored in a new rule.
	Hits int `json:"hits"`
}

func (f Fault) delay() time.Duration { return time.Duration(f.DelayMS) * time.Millisecond }

// preventsWork says that the request is not even looked at.
func (f Fault) preventsWork() bool {
	switch f.Kind {
	case FaultTimeoutBefore, FaultResetBefore, FaultRateLimit, FaultLockTimeout, FaultConflict:
		return true
	case FaultHTTP500:
		return !f.Charged && !f.Stored
	case FaultHTTP503, FaultHTML502:
		return !f.Charged
	case FaultTimeoutAfter, FaultResetAfter, FaultTruncated200, FaultSlow:
		return false
	}
	return false
}

// replacesWork says that the key gets an answer although nothing was done.
func (f Fault) replacesWork() bool { return f.Kind == FaultHTTP500 && f.Stored && !f.Charged }

func (f Fault) validate() error {
	kinds := []FaultKind{
		FaultTimeoutBefore, FaultTimeoutAfter, FaultResetBefore, FaultResetAfter, FaultHTTP500, FaultHTTP503, FaultHTML502,
		FaultRateLimit, FaultLockTimeout, FaultConflict, FaultTruncated200, FaultSlow,
	}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return errors.New("unknown kind of fault; GET / lists them")
	case f.Count < 0, f.DelayMS < 0:
		return errors.New("count and delay_ms cannot be negative")
	case f.Probability < 0, f.Probability > 1:
		return errors.New("probability is between 0 and 1")
	case f.Stored && f.Kind != FaultHTTP500:
		return errors.New("stored is for http_500 only")
	case f.Charged && f.Kind != FaultHTTP500 && f.Kind != FaultHTTP503 && f.Kind != FaultHTML502:
		return errors.New("charged is for http_500, http_503 and html_502 only")
	}
	return nil
}

// faultSet is the list of rules.
type faultSet struct {
	seed uint64

	mu    sync.Mutex
	rules []*faultRule
}

type faultRule struct {
	Fault

	random *rand.Rand
}

// Inject adds rules behind those that are there, or none of them when one is wrong.
func (s *Stripe) Inject(rules ...Fault) error {
	for i, f := range rules {
		if err := f.validate(); err != nil {
			return fmt.Errorf("sandbox: fault rule %d: %w", i, err)
		}
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, f := range rules {
		f.Hits = 0
		seed := f.Seed
		if seed == 0 {
			seed = s.faults.seed
		}
		//nolint:gosec // repeatable on purpose
		random := rand.New(rand.NewPCG(seed, uint64(len(s.faults.rules))))
		s.faults.rules = append(s.faults.rules, &faultRule{Fault: f, random: random})
	}
	return nil
}

// Faults returns the rules, spent ones included, with their hits.
func (s *Stripe) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := make([]Fault, 0, len(s.faults.rules))
	for _, r := range s.faults.rules {
		out = append(out, r.Fault)
	}
	return out
}

// ClearFaults removes all rules. Requests that hang go on hanging.
func (s *Stripe) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = nil
}

// faultFor picks the fault of a request; its Kind is "" when nothing is to go wrong.
func (s *Stripe) faultFor(c *call) (Fault, *apiError) {
	if h := c.header.Get(FaultHeader); h != "" {
		f, err := parseFaultHeader(h)
		if err != nil {
			return Fault{}, invalidRequest("", "", "%s: %s", FaultHeader, err)
		}
		return f, nil
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if len(s.faults.rules) == 0 {
		return Fault{}, nil
	}
	name, metadata := s.subjectOf(c)
	for _, r := range s.faults.rules {
		if r.strikes(c, name, metadata) {
			r.Hits++
			return r.Fault, nil
		}
	}
	return Fault{}, nil
}

func (r *faultRule) strikes(c *call, name string, metadata map[string]string) bool {
	if r.Count > 0 && r.Hits >= r.Count {
		return false
	}
	if r.Method != "" && !strings.EqualFold(r.Method, c.method) {
		return false
	}
	if !strings.HasSuffix(c.path, r.Path) || (r.PaymentMethod != "" && r.PaymentMethod != name) {
		return false
	}
	for k, v := range r.Metadata {
		if got, ok := metadata[k]; !ok || got != v {
			return false
		}
	}
	return r.Probability == 0 || r.random.Float64() < r.Probability
}

// subjectOf is what a request is about: test method and metadata, its own before its intent's.
func (s *Stripe) subjectOf(c *call) (name string, metadata map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	metadata, _ = c.form.sub("metadata")
	name = s.methodName(c.form.text("payment_method"))
	in, ok := s.state.intents[c.id]
	if !ok {
		return name, metadata
	}
	if name == "" {
		name = in.TestMethod
	}
	for k, v := range in.API.Metadata {
		if _, own := metadata[k]; !own {
			metadata[k] = v
		}
	}
	return name, metadata
}

func parseFaultHeader(h string) (Fault, error) {
	parts := strings.Split(h, ";")
	f := Fault{Kind: FaultKind(strings.TrimSpace(parts[0]))}
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "stored":
			f.Stored = true
		case "charged":
			f.Charged = true
		case "delay_ms":
			n, err := strconv.Atoi(value)
			if err != nil {
				return f, errors.New("delay_ms is a number of milliseconds")
			}
			f.DelayMS = n
		default:
			return f, errors.New("options are stored, charged and delay_ms=N")
		}
	}
	return f, f.validate()
}

// strike sends what the fault lets through: the answer, something else, or nothing. ans is meaningless when the fault
// prevented the work.
func (s *Stripe) strike(w http.ResponseWriter, c *call, f Fault, ans answer) {
	switch f.Kind {
	case FaultTimeoutBefore, FaultTimeoutAfter:
		select {
		case <-c.ctx.Done():
		case <-s.closed:
		}
		cut(w, false)
	case FaultResetBefore, FaultResetAfter:
		cut(w, true)
	case FaultHTTP500:
		fault := serverError().answer()
		if f.Stored && c.idemKey != "" {
			fault.original = c.requestID
		}
		writeAnswer(w, c, fault)
	case FaultHTTP503:
		writeAnswer(w, c, newError(http.StatusServiceUnavailable, typeAPI, "", "",
			"The sandbox is temporarily unavailable.").answer())
	case FaultHTML502:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n" +
			"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"))
	case FaultRateLimit:
		writeAnswer(w, c, newError(http.StatusTooManyRequests, typeInvalidRequest, "rate_limit", "",
			"Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.").answer())
	case FaultLockTimeout:
		e := newError(http.StatusTooManyRequests, typeInvalidRequest, "lock_timeout", "", "This object cannot be accessed "+
			"right now because another API request or Stripe process is currently accessing it. If you see this error "+
			"intermittently, retry the request. If you see this error frequently and are making multiple concurrent requests "+
			"to a single object, make your requests serially or at a lower rate.")
		e.Header = map[string]string{"Stripe-Should-Retry": "true"}
		writeAnswer(w, c, e.answer())
	case FaultConflict:
		writeAnswer(w, c, keyInUse().answer())
	case FaultTruncated200:
		ans.body = ans.body[:len(ans.body)/2]
		writeAnswer(w, c, ans)
	case FaultSlow:
		writeAnswer(w, c, ans)
	default: // no fault
		writeAnswer(w, c, ans)
	}
}

// cut ends the connection without an answer, with a TCP reset if told so. Where the connection cannot be taken over
// (HTTP/2), aborting the handler resets the stream.
func cut(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok && reset {
		_ = t.SetLinger(0) // closing then sends RST instead of FIN
	}
	_ = raw.Close()
}
