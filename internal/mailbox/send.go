package mailbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// maxBody bounds a request, in bytes: Resend takes 40 MB.
	maxBody = 40 << 20
	// maxKey is the longest idempotency key.
	maxKey = 256
	// keyLife is how long an idempotency key is remembered
	// (https://resend.com/docs/dashboard/emails/idempotency-keys).
	keyLife = 24 * time.Hour
	// keptRequests bounds Requests.
	keptRequests = 10_000
)

// Request is one to the API, refused and faulted ones included.
type Request struct {
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Key    string    `json:"idempotency_key,omitempty"`
	At     time.Time `json:"at"`
	// Fault is the kind that struck it, or empty.
	Fault FaultKind `json:"fault,omitempty"`
}

// Requests returns the newest 10,000 requests to the API, oldest first.
func (m *Mailbox) Requests() []Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Request(nil), m.requests...)
}

// stored is what an idempotency key remembers.
type stored struct {
	sum  [sha256.Size]byte // of the request's body
	id   string            // of the mail; "" while the first request is at work
	at   time.Time
	busy bool
}

// accepted is the answer to POST /emails.
type accepted struct {
	ID string `json:"id"`
}

// postEmail is POST /emails (https://resend.com/docs/api-reference/emails/send-email).
func (m *Mailbox) postEmail(w http.ResponseWriter, r *http.Request) {
	// Read first: a client's departure is noticed only then.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	f, refusal := m.admit(r, body)
	switch {
	case err != nil || len(body) > maxBody:
		refusal = refuse(http.StatusRequestEntityTooLarge, "validation_error", "The request body cannot be read, or is too large.")
	case refusal == nil && f.preventsWork():
		m.wait(r.Context(), f.delay())
		m.strike(w, r, f, nil)
		return
	}
	var id string
	if refusal == nil {
		id, refusal = m.accept(r, body, f)
	}
	if refusal != nil {
		refusal.write(w)
		return
	}
	m.strike(w, r, f, mustJSON(accepted{ID: id}))
}

// admit notes a request, and says whether it is let in and which fault strikes it.
func (m *Mailbox) admit(r *http.Request, body []byte) (f Fault, refusal *apiError) {
	if refusal = authenticate(r); refusal == nil && len(r.Header.Get("Idempotency-Key")) > maxKey {
		refusal = refuse(http.StatusBadRequest, "invalid_idempotency_key", "The key must be between 1-256 chars.")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if refusal == nil && m.limit > 0 {
		if second := now.Unix(); second != m.second {
			m.second, m.taken = second, 0
		}
		if m.taken++; m.taken > m.limit {
			refusal = tooMany(1)
		}
	}
	if refusal == nil && r.Method == http.MethodPost {
		f = m.pick(body)
	}
	if len(m.requests) == keptRequests {
		m.requests = m.requests[1:]
	}
	m.requests = append(m.requests, Request{Method: r.Method, Path: r.URL.Path, Key: r.Header.Get("Idempotency-Key"), At: now, Fault: f.Kind})
	return f, refusal
}

func authenticate(r *http.Request) *apiError {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(key) == "":
		return refuse(http.StatusUnauthorized, "missing_api_key", "Missing API key in the authorization header.")
	case !strings.HasPrefix(strings.TrimSpace(key), "re_"):
		return refuse(http.StatusForbidden, "invalid_api_key", "API key is invalid.")
	}
	return nil
}

// accept takes a mail in, once for each idempotency key.
//
// A client that leaves meanwhile does not undo it: Resend does not either.
func (m *Mailbox) accept(r *http.Request, body []byte, f Fault) (id string, refusal *apiError) {
	mail, refusal := parse(body)
	if refusal != nil {
		return "", refusal
	}
	mail.Key = r.Header.Get("Idempotency-Key")
	if mail.Key == "" {
		m.wait(r.Context(), f.delay())
		return m.take(mail), nil
	}
	// The key of one team says nothing about another's.
	scope := r.Header.Get("Authorization") + "\x00" + mail.Key
	first, id, refusal := m.claim(scope, sha256.Sum256(body))
	if refusal != nil || !first {
		return id, refusal
	}
	m.wait(r.Context(), f.delay())
	id = m.take(mail)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[scope].id, m.keys[scope].busy = id, false
	return id, nil
}

// claim takes a key for a body. first is false when it was taken before with the
// same body, and id is its mail.
func (m *Mailbox) claim(scope string, sum [sha256.Size]byte) (first bool, id string, refusal *apiError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for key, s := range m.keys {
		if !s.busy && now.Sub(s.at) >= keyLife {
			delete(m.keys, key)
		}
	}
	s, taken := m.keys[scope]
	switch {
	case !taken:
		m.keys[scope] = &stored{sum: sum, at: now, busy: true}
		return true, "", nil
	case s.busy:
		return false, "", concurrent()
	case s.sum != sum:
		return false, "", mismatch()
	default:
		return false, s.id, nil
	}
}

// take stores a mail and tells the webhook.
func (m *Mailbox) take(mail *Mail) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	mail.ID, mail.AcceptedAt = newUUID(), m.now()
	kinds := append([]string{"sent"}, outcomes(mail.To[0])...)
	mail.Outcome = kinds[len(kinds)-1]
	m.keep(mail)
	m.webhooks.publish(eventsOf(mail, kinds))
	return mail.ID
}

// getEmail is GET /emails/{id} (https://resend.com/docs/api-reference/emails/retrieve-email).
func (m *Mailbox) getEmail(w http.ResponseWriter, r *http.Request) {
	if _, refusal := m.admit(r, nil); refusal != nil {
		refusal.write(w)
		return
	}
	mail, ok := m.Find(r.PathValue("id"))
	if !ok {
		refuse(http.StatusNotFound, "not_found", "Email not found").write(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"object": "email", "id": mail.ID, "from": mail.From, "to": mail.To, "cc": mail.Cc, "bcc": mail.Bcc, "reply_to": mail.ReplyTo,
		"subject": mail.Subject, "html": mail.HTML, "text": mail.Text, "created_at": mail.AcceptedAt.UTC().Format(time.RFC3339Nano),
		"last_event": mail.Outcome,
	})
}

// wait ends early when the client leaves or the mailbox closes.
func (m *Mailbox) wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-m.closed:
	}
}

// newUUID is an id of Resend's look: a random UUID (RFC 9562, section 5.4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := hex.EncodeToString(b[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", text[:8], text[8:12], text[12:16], text[16:20], text[20:])
}
