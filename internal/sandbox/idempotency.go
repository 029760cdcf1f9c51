package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// Limits of idempotency keys. Source: https://docs.stripe.com/api/idempotent_requests.
const (
	maxIdempotencyKey  = 255            // characters
	idempotencyKeyLife = 24 * time.Hour // Stripe: «at least»
	sweepEvery         = time.Hour
)

type answerKey struct{ scope, key string }

// storedAnswer is a key's claim while the first request runs, and its answer afterwards.
type storedAnswer struct {
	Scope   string    `json:"scope"`
	Key     string    `json:"key"`
	Path    string    `json:"path"`
	Params  string    `json:"params"` // hash
	Status  int       `json:"status"` // 0 while running; such a claim is never journaled
	Body    string    `json:"body"`   // a string, so that the journal keeps every byte
	Request string    `json:"request"`
	Created time.Time `json:"created"`
}

func (a *storedAnswer) key() answerKey { return answerKey{scope: a.Scope, key: a.Key} }

func (c *call) answerKey() answerKey { return answerKey{scope: c.scope, key: c.idemKey} }

// storedAnswer is nil for a request without a key.
func (c *call) storedAnswer(ans answer, now time.Time) *storedAnswer {
	if c.idemKey == "" {
		return nil
	}
	return &storedAnswer{
		Scope: c.scope, Key: c.idemKey, Path: c.path, Params: c.paramsHash(), Status: ans.status, Body: string(ans.body),
		Request: c.requestID, Created: now,
	}
}

func (c *call) paramsHash() string {
	sum := sha256.Sum256([]byte(c.form.values.Encode())) // Encode sorts by name
	return hex.EncodeToString(sum[:])
}

// claim gives the key to this request, or returns what an earlier one answered, or refuses.
func (s *Stripe) claim(c *call) (*answer, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.state.sweep(now)

	had, ok := s.state.answers[c.answerKey()]
	if ok && had.expired(now) {
		ok = false
	}
	if !ok {
		claim := c.storedAnswer(answer{}, now)
		s.state.answers[c.answerKey()] = claim
		return nil, nil
	}
	switch {
	case had.Path != c.path:
		return nil, newError(http.StatusBadRequest, typeIdempotency, "", "", "Keys for idempotent requests can only be used "+
			"for the same endpoint they were first used for ('%s' vs '%s'). Try using a key other than '%s' if you meant to "+
			"execute a different request.", c.path, had.Path, c.idemKey)
	case had.Params != c.paramsHash():
		return nil, newError(http.StatusBadRequest, typeIdempotency, "", "", "Keys for idempotent requests can only be used "+
			"with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute "+
			"a different request.", c.idemKey)
	case had.Status == 0:
		return nil, keyInUse()
	}
	return &answer{status: had.Status, body: []byte(had.Body), original: had.Request, replayed: true}, nil
}

// release gives up a claim whose request stored no answer.
func (s *Stripe) release(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if had, ok := s.state.answers[c.answerKey()]; ok && had.Status == 0 && had.Request == c.requestID {
		delete(s.state.answers, c.answerKey())
	}
}

func keyInUse() *apiError {
	return newError(http.StatusConflict, typeIdempotency, codeKeyInUse, "",
		"There is currently another in-progress request using this idempotency key. Please try again later.")
}

// expired never holds for a claim: its request is still running.
func (a *storedAnswer) expired(now time.Time) bool {
	return a.Status != 0 && now.Sub(a.Created) >= idempotencyKeyLife
}

// sweep drops expired answers now and then, so that a long-running sandbox does not grow without bound.
func (st *state) sweep(now time.Time) {
	if now.Sub(st.swept) < sweepEvery {
		return
	}
	st.swept = now
	for k, a := range st.answers {
		if a.expired(now) {
			delete(st.answers, k)
		}
	}
}
