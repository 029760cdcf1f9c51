package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds a request's body, in bytes. Stripe's own bound is not published; no PaymentIntent comes near this.
const maxBody = 1 << 20

// call is one API request that carries a valid key and a readable form.
type call struct {
	ctx       context.Context //nolint:containedctx // it lives as long as the request, and so does the call
	method    string
	path      string
	host      string
	id        string // the {id} of the route, if it has one
	form      form
	header    http.Header
	requestID string
	scope     string // a hash of the API key: the key itself is never kept
	idemKey   string // "" when the request is not idempotent: no key, or not a POST
	version   string
}

// parser validates a request's parameters without looking at anything that other requests may change. An error from it
// is never stored under an idempotency key.
// Source: https://docs.stripe.com/api/idempotent_requests, «if incoming parameters fail validation».
type parser func(c *call) (operation, *apiError)

// operation does an endpoint's work inside a transaction. What it has put into the transaction is committed whether it
// returns an error or not: a decline is an answer, and it leaves a charge behind.
type operation func(t *tx) (any, *apiError)

// answer is what goes back over the wire, and what an idempotency key stores.
type answer struct {
	status   int
	body     []byte
	header   map[string]string
	original string // Request-Id of the request that did the work; "" for one that is not idempotent
	replayed bool
}

// serveAPI is the way of every API request: key, form, fault, validation, idempotency, work, answer.
func (s *Stripe) serveAPI(w http.ResponseWriter, r *http.Request, parse parser) {
	s.requests.add(r)
	c, apiErr := newCall(r)
	if apiErr != nil {
		writeAnswer(w, c, apiErr.answer())
		return
	}
	f, apiErr := s.faultFor(c)
	if apiErr != nil {
		writeAnswer(w, c, apiErr.answer())
		return
	}
	var ans answer
	if f.preventsWork() {
		s.wait(c.ctx, s.opts.Latency+f.delay())
	} else {
		ans = s.perform(c, parse, f)
	}
	s.strike(w, c, f, ans)
}

// newCall always returns a call, so that even a refused request is answered with a Request-Id.
func newCall(r *http.Request) (*call, *apiError) {
	c := &call{
		ctx: r.Context(), method: r.Method, path: r.URL.Path, host: r.Host, id: r.PathValue("id"), header: r.Header,
		requestID: newID("req", 14), version: DefaultAPIVersion,
	}
	if v := r.Header.Get("Stripe-Version"); v != "" {
		c.version = v
	}
	key, apiErr := authenticate(r)
	if apiErr != nil {
		return c, apiErr
	}
	sum := sha256.Sum256([]byte(key))
	c.scope = hex.EncodeToString(sum[:12])

	values, apiErr := readValues(r)
	if apiErr != nil {
		return c, apiErr
	}
	c.form = form{values: values}

	if r.Method == http.MethodPost {
		c.idemKey = r.Header.Get("Idempotency-Key")
	}
	if len(c.idemKey) > maxIdempotencyKey {
		c.idemKey = ""
		return c, invalidRequest("", "", "The idempotency key is longer than %d characters.", maxIdempotencyKey)
	}
	return c, nil
}

// authenticate returns the secret key of a request: Bearer, or Basic with the key as the user name.
// Source: https://docs.stripe.com/api/authentication.
func authenticate(r *http.Request) (string, *apiError) {
	key := ""
	if user, _, ok := r.BasicAuth(); ok {
		key = user
	} else if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(token)
	}
	switch {
	case key == "":
		return "", unauthorized("You did not provide an API key. You need to provide your API key in the Authorization " +
			"header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
	case strings.HasPrefix(key, "sk_test_"), strings.HasPrefix(key, "rk_test_"):
		return key, nil
	default:
		return "", unauthorized("Invalid API Key provided: the sandbox takes test keys only (sk_test_..., rk_test_...).")
	}
}

func readValues(r *http.Request) (url.Values, *apiError) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidRequest("", "", "Invalid query string.")
	}
	if r.Method != http.MethodPost {
		return values, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, invalidRequest("", "", "The request body could not be read, or is larger than %d bytes.", maxBody)
	}
	if len(body) == 0 {
		return values, nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("", "",
			"Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
	}
	posted, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("", "", "Invalid form encoding.")
	}
	for name, v := range posted {
		values[name] = append(values[name], v...)
	}
	return values, nil
}

// perform validates, claims the idempotency key, waits as long as it is told to, and does the work.
//
// A client that leaves during the wait ends the wait, not the work: Stripe does not undo a request because nobody
// listens any more.
func (s *Stripe) perform(c *call, parse parser, f Fault) answer {
	op, apiErr := parse(c)
	if apiErr != nil {
		return apiErr.answer()
	}
	if c.idemKey != "" {
		stored, apiErr := s.claim(c)
		if apiErr != nil {
			return apiErr.answer()
		}
		if stored != nil {
			return *stored
		}
		defer s.release(c)
	}
	s.wait(c.ctx, s.opts.Latency+f.delay())
	return s.run(c, op, f)
}

func (s *Stripe) run(c *call, op operation, f Fault) answer {
	s.mu.Lock()
	defer s.mu.Unlock()

	ans := answer{status: http.StatusOK}
	t := s.begin(c)
	if f.replacesWork() {
		ans = serverError().answer()
	} else if view, apiErr := op(t); apiErr != nil {
		ans = apiErr.answer()
	} else {
		ans.body = mustJSON(view)
	}
	kept := ans
	if f.Kind == FaultHTTP500 && f.Stored {
		kept = serverError().answer()
	}
	if err := s.commit(t, c.storedAnswer(kept, t.now)); err != nil {
		s.log.Error("sandbox: a change could not be written to the journal", slog.Any("error", err))
		return serverError().answer()
	}
	if c.idemKey != "" {
		ans.original = c.requestID
	}
	return ans
}

// wait ends early when the client leaves or the sandbox closes.
func (s *Stripe) wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closed:
	}
}

func writeAnswer(w http.ResponseWriter, c *call, ans answer) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Request-Id", c.requestID)
	h.Set("Stripe-Version", c.version)
	if c.idemKey != "" {
		h.Set("Idempotency-Key", c.idemKey)
	}
	if ans.original != "" {
		// Stripe says false on every answer that a repetition would only replay.
		h.Set("Original-Request", ans.original)
		h.Set("Stripe-Should-Retry", "false")
	}
	if ans.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	for k, v := range ans.header {
		h.Set(k, v)
	}
	w.WriteHeader(ans.status)
	_, _ = w.Write(ans.body) // the client may have left; there is nobody to tell
}

// mustJSON renders the sandbox's own types, which always marshal. Stripe indents its JSON; so does this.
func mustJSON(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("sandbox: " + err.Error())
	}
	return append(b, '\n')
}

// newID makes an id of Stripe's look: a prefix, an underscore, and n random characters (at most 26).
func newID(prefix string, n int) string {
	return prefix + "_" + rand.Text()[:n]
}
