package mailbox

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// FaultKind names what goes wrong with a POST /emails.
type FaultKind string

// Kinds of fault. "Before" means that the mail was not accepted and its key knows
// nothing of it; "after" that it was, of which the client sees nothing.
const (
	FaultRateLimit     FaultKind = "rate_limit"     // 429 rate_limit_exceeded, see RetryAfter; before
	FaultDailyQuota    FaultKind = "daily_quota"    // 429 daily_quota_exceeded; before
	FaultMonthlyQuota  FaultKind = "monthly_quota"  // 429 monthly_quota_exceeded; before
	FaultHTTP500       FaultKind = "http_500"       // before, unless Accepted
	FaultHTTP503       FaultKind = "http_503"       // before, unless Accepted
	FaultHTML502       FaultKind = "html_502"       // a proxy's HTML page; before, unless Accepted
	FaultTimeoutBefore FaultKind = "timeout_before" // hangs until the client leaves
	FaultTimeoutAfter  FaultKind = "timeout_after"
	FaultResetBefore   FaultKind = "reset_before" // TCP reset
	FaultResetAfter    FaultKind = "reset_after"
	FaultConcurrent    FaultKind = "concurrent"    // 409 concurrent_idempotent_requests; before
	FaultMismatch      FaultKind = "mismatch"      // 409 invalid_idempotent_request; before
	FaultInvalid       FaultKind = "invalid"       // 422 validation_error about the recipient; before
	FaultRefused       FaultKind = "refused"       // 422 validation_error about anything else; before
	FaultForbidden     FaultKind = "forbidden"     // 403 validation_error: the domain is not verified; before
	FaultTruncated200  FaultKind = "truncated_200" // 200 and half of the body; after
	FaultSlow          FaultKind = "slow"          // the right answer, DelayMS late; the key is in use meanwhile
)

// FaultKinds lists every kind.
func FaultKinds() []FaultKind {
	return []FaultKind{
		FaultRateLimit, FaultDailyQuota, FaultMonthlyQuota, FaultHTTP500, FaultHTTP503, FaultHTML502, FaultTimeoutBefore,
		FaultTimeoutAfter, FaultResetBefore, FaultResetAfter, FaultConcurrent, FaultMismatch, FaultInvalid, FaultRefused,
		FaultForbidden, FaultTruncated200, FaultSlow,
	}
}

// Fault is a rule: which mails it strikes, and how. The first rule that matches a
// request and has hits left strikes.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// To is a part of the first recipient's address; "" matches all mails.
	To string `json:"to,omitempty"`
	// Count is how often the rule strikes before it is spent; 0 means without end.
	Count int `json:"count,omitempty"`
	// RetryAfter is rate_limit's header, in seconds; 0 sends none.
	RetryAfter int `json:"retry_after,omitempty"`
	// DelayMS waits that many milliseconds before the mail is accepted, or before a
	// fault that prevents it.
	DelayMS int `json:"delay_ms,omitempty"`
	// Accepted lets http_500, http_503 and html_502 come after the mail was accepted.
	Accepted bool `json:"accepted,omitempty"`
	// Hits counts the requests that were struck. It is ignored in a new rule.
	Hits int `json:"hits"`
}

func (f Fault) delay() time.Duration { return time.Duration(f.DelayMS) * time.Millisecond }

func (f Fault) validate() error {
	switch {
	case !slices.Contains(FaultKinds(), f.Kind):
		return errors.New("unknown kind of fault")
	case f.Count < 0, f.DelayMS < 0, f.RetryAfter < 0:
		return errors.New("count, delay_ms and retry_after cannot be negative")
	case f.RetryAfter > 0 && f.Kind != FaultRateLimit:
		return errors.New("retry_after is for rate_limit only")
	case f.Accepted && f.Kind != FaultHTTP500 && f.Kind != FaultHTTP503 && f.Kind != FaultHTML502:
		return errors.New("accepted is for http_500, http_503 and html_502 only")
	}
	return nil
}

// preventsWork says that the mail is not even looked at.
func (f Fault) preventsWork() bool {
	switch f.Kind {
	case FaultTimeoutAfter, FaultResetAfter, FaultTruncated200, FaultSlow, "":
		return false
	case FaultHTTP500, FaultHTTP503, FaultHTML502:
		return !f.Accepted
	case FaultRateLimit, FaultDailyQuota, FaultMonthlyQuota, FaultTimeoutBefore, FaultResetBefore, FaultConcurrent, FaultMismatch,
		FaultInvalid, FaultRefused, FaultForbidden:
	}
	return true
}

// Inject adds rules behind those that are there, or none of them when one is wrong.
func (m *Mailbox) Inject(rules ...Fault) error {
	for i, f := range rules {
		if err := f.validate(); err != nil {
			return fmt.Errorf("mailbox: fault rule %d: %w", i, err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range rules {
		f.Hits = 0
		m.faults = append(m.faults, f)
	}
	return nil
}

// Faults returns the rules, spent ones included, with their hits.
func (m *Mailbox) Faults() []Fault {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Fault{}, m.faults...)
}

// ClearFaults removes all rules. Requests that hang go on hanging.
func (m *Mailbox) ClearFaults() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = nil
}

// pick returns the fault of a mail, whose Kind is "" when nothing is to go wrong.
// It is called under mu.
func (m *Mailbox) pick(body []byte) Fault {
	if len(m.faults) == 0 {
		return Fault{}
	}
	to := ""
	if mail, refusal := parse(body); refusal == nil {
		to = mail.To[0]
	}
	for i := range m.faults {
		if f := &m.faults[i]; (f.Count == 0 || f.Hits < f.Count) && strings.Contains(to, f.To) {
			f.Hits++
			return *f
		}
	}
	return Fault{}
}

// strike sends what the fault lets through: the answer, something else, or nothing.
// answer is nil when the fault prevented the work.
func (m *Mailbox) strike(w http.ResponseWriter, r *http.Request, f Fault, answer []byte) {
	switch f.Kind {
	case FaultTimeoutBefore, FaultTimeoutAfter:
		select {
		case <-r.Context().Done():
		case <-m.closed:
		}
		cut(w, false)
	case FaultResetBefore, FaultResetAfter:
		cut(w, true)
	case FaultHTML502:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"))
	case FaultTruncated200:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(answer[:len(answer)/2])
	case FaultSlow, "":
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(answer)
	case FaultRateLimit, FaultDailyQuota, FaultMonthlyQuota, FaultHTTP500, FaultHTTP503, FaultConcurrent, FaultMismatch, FaultInvalid,
		FaultRefused, FaultForbidden:
		f.refusal().write(w)
	}
}

// refusal is what a fault of an API error says.
func (f Fault) refusal() *apiError {
	switch f.Kind {
	case FaultRateLimit:
		e := tooMany(f.RetryAfter)
		if f.RetryAfter == 0 {
			e.header = nil
		}
		return e
	case FaultDailyQuota:
		return refuse(http.StatusTooManyRequests, "daily_quota_exceeded", "You have reached your daily email sending quota.")
	case FaultMonthlyQuota:
		return refuse(http.StatusTooManyRequests, "monthly_quota_exceeded", "You have reached your monthly email sending quota.")
	case FaultHTTP503:
		return refuse(http.StatusServiceUnavailable, "service_unavailable", "The service is temporarily unavailable.")
	case FaultConcurrent:
		return concurrent()
	case FaultMismatch:
		return mismatch()
	case FaultInvalid:
		return invalid("Invalid `to` field." + addressForm)
	case FaultRefused:
		return invalid("Invalid `html` field.")
	case FaultForbidden:
		return refuse(http.StatusForbidden, "validation_error", "The domain is not verified. Please, add and verify your domain.")
	case FaultHTTP500, FaultHTML502, FaultTimeoutBefore, FaultTimeoutAfter, FaultResetBefore, FaultResetAfter, FaultTruncated200, FaultSlow:
	}
	return serverError()
}

// cut ends the connection without an answer, with a TCP reset if told so.
func cut(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := conn.(*net.TCPConn); ok && reset {
		_ = t.SetLinger(0) // closing then sends RST instead of FIN
	}
	_ = conn.Close()
}
