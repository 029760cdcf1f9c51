package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Limits of delivery, in real time. Stripe waits longer and goes on for three days; a developer wants to see it today.
// Source: https://docs.stripe.com/webhooks#retries.
const (
	senders        = 4
	deliverTimeout = 5 * time.Second
	maxTries       = 10
	firstRetry     = time.Second
	longestRetry   = time.Minute
	noticeEvery    = time.Second // how often a sandbox with a webhook looks for what time has done
	keptEvents     = 10_000      // older ones are forgotten by Events and Resend, but still delivered
)

// SetWebhook makes the sandbox send an event for every change of an intent or a charge from now on, by POST to an
// absolute http or https URL, signed as Stripe signs. It returns the signing secret: the given one, or a new one when
// secret is "". It replaces the endpoint that was set before, which gets no retries any more: they go to the new one. A
// URL of "" ends all deliveries.
//
// Events are sent by several senders at once, in no order, and again after every failure: any answer but 2xx (redirects
// are not followed), or none within 5 s. Retries come after 1 s, doubling up to 1 min, and end after 10 attempts. The
// stamp in the signature is real time, whatever Options.Now says, and so are the delays.
//
// While a webhook is set, what time does to an intent (expiry, settlement) is noticed within about a second without
// anybody asking. Events are kept in memory only: Close ends their delivery.
// Sources: https://docs.stripe.com/webhooks#verify-manually, https://docs.stripe.com/webhooks#event-delivery-behaviors.
func (s *Stripe) SetWebhook(endpoint, secret string) (string, error) {
	if endpoint == "" {
		return "", s.webhooks.set("", "", nil)
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", errors.New("sandbox: the webhook's URL is not an absolute http or https URL")
	}
	if secret == "" {
		secret = "whsec_" + rand.Text()
	}
	if err := s.webhooks.set(endpoint, secret, s.notice); err != nil {
		return "", err
	}
	return secret, nil
}

// notice looks for what time has done until ctx ends.
func (s *Stripe) notice(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.mu.Lock()
			s.settleAll()
			s.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// Events returns the newest 10,000 events since the first SetWebhook, oldest first.
func (s *Stripe) Events() []Event {
	w := s.webhooks
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Event, 0, len(w.events))
	for _, e := range w.events {
		out = append(out, e.row())
	}
	return out
}

// Resend sends an event once more, with retries of its own, whether it was delivered or not: Stripe, too, sends some
// events twice.
func (s *Stripe) Resend(id string) error {
	w := s.webhooks
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.events, func(e *event) bool { return e.id == id })
	switch {
	case i < 0:
		return ErrNoSuchEvent
	case w.url == "" || w.closed:
		return ErrNoWebhook
	}
	w.enqueue(delivery{event: w.events[i], round: w.round})
	return nil
}

// delivery is one sending of an event, with its retries.
type delivery struct {
	event *event
	tries int // that failed
	round int // the webhooks' when it began
}

// webhooks is the endpoint, the events, and those who send them. Its mutex may be taken under Stripe.mu, not the other
// way round.
type webhooks struct {
	client *http.Client
	delay  func(failed int) time.Duration
	notice time.Duration
	kept   int

	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // it lives from newWebhooks to close, as the senders do
	cancel  context.CancelFunc

	mu      sync.Mutex
	work    *sync.Cond // queue or closed has changed
	started bool
	closed  bool
	url     string // "" when no webhook is set
	secret  string
	round   int      // how often the webhook was taken away: what began before that is not retried
	events  []*event // oldest first
	queue   []delivery
}

func newWebhooks() *webhooks {
	w := &webhooks{
		client: &http.Client{
			Timeout:       deliverTimeout,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: senders},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		delay: retryDelay, notice: noticeEvery, kept: keptEvents,
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.work = sync.NewCond(&w.mu)
	return w
}

// set starts senders and notice with the first endpoint: a sandbox without a webhook has no goroutines.
func (w *webhooks) set(endpoint, secret string, notice func(context.Context, time.Duration)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errors.New("sandbox: it is closed")
	}
	w.url, w.secret = endpoint, secret
	if endpoint == "" {
		w.queue = nil
		w.round++
		return nil
	}
	if w.started {
		return nil
	}
	w.started = true
	w.running.Go(func() { notice(w.ctx, w.notice) })
	for range senders {
		w.running.Go(w.send)
	}
	return nil
}

func (w *webhooks) close() {
	w.mu.Lock()
	w.closed = true
	w.work.Broadcast()
	w.mu.Unlock()
	w.cancel()
	w.running.Wait()
	w.client.CloseIdleConnections()
}

func (w *webhooks) wanted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.url != ""
}

func (w *webhooks) publish(events []*event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.url == "" {
		return
	}
	w.events = append(w.events, events...)
	if over := len(w.events) - w.kept; over > 0 {
		w.events = slices.Delete(w.events, 0, over)
	}
	for _, e := range events {
		w.enqueue(delivery{event: e, round: w.round})
	}
}

// enqueue is called under mu.
func (w *webhooks) enqueue(d delivery) {
	if d.round != w.round {
		return
	}
	w.queue = append(w.queue, d)
	w.work.Signal()
}

// send is one sender.
func (w *webhooks) send() {
	for {
		d, endpoint, secret, ok := w.next()
		if !ok {
			return
		}
		status := w.post(d.event, endpoint, secret)
		w.settle(d, status)
	}
}

// next waits for something to send; it is not ok when the sandbox is closed.
func (w *webhooks) next() (d delivery, endpoint, secret string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.work.Wait()
	}
	if w.closed {
		return delivery{}, "", "", false
	}
	d = w.queue[0]
	w.queue = w.queue[1:]
	return d, w.url, w.secret, true
}

// post makes one attempt and returns the answer's status, or 0 when there is none.
func (w *webhooks) post(e *event, endpoint, secret string) int {
	body := e.payload()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	r.Header.Set("Stripe-Signature", signature(body, secret, time.Now()))
	res, err := w.client.Do(r)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody)) // so that the connection can be used again
	_ = res.Body.Close()
	return res.StatusCode
}

// settle writes down how an attempt went, and sees to the next one.
func (w *webhooks) settle(d delivery, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	d.event.attempts++
	d.event.lastStatus = status
	if status >= http.StatusOK && status < http.StatusMultipleChoices {
		d.event.delivered = true
		return
	}
	d.tries++
	if d.tries < maxTries {
		w.running.Go(func() { w.later(d) })
	}
}

// later puts a failed delivery back when its time has come.
func (w *webhooks) later(d delivery) {
	timer := time.NewTimer(w.delay(d.tries))
	defer timer.Stop()
	select {
	case <-timer.C:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.enqueue(d)
	case <-w.ctx.Done():
	}
}

// retryDelay is how long to wait after so many failures.
func retryDelay(failed int) time.Duration {
	return min(firstRetry<<(failed-1), longestRetry)
}

// signature is the Stripe-Signature of a payload: t=<Unix seconds>,v1=<HMAC-SHA256 of "<t>.<payload>" in hex>.
// Source: https://docs.stripe.com/webhooks#verify-manually.
func signature(payload []byte, secret string, now time.Time) string {
	stamp := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", stamp, payload) // a hash takes everything
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func (e *event) row() Event {
	return Event{
		ID: e.id, Type: e.kind, PaymentIntent: e.intent, Created: e.created, Delivered: e.delivered, Attempts: e.attempts,
		LastStatus: e.lastStatus,
	}
}

// getEvents answers {"events": [Event…]}, oldest first, filtered by payment_intent, type and delivered.
func (s *Stripe) getEvents(w http.ResponseWriter, r *http.Request) {
	f := form{values: r.URL.Query()}
	if apiErr := f.only([]string{"delivered", "payment_intent", "type"}, nil); apiErr != nil {
		writeControlError(w, http.StatusBadRequest, apiErr.Body.Message)
		return
	}
	delivered, apiErr := f.boolean("delivered")
	if apiErr != nil {
		writeControlError(w, http.StatusBadRequest, apiErr.Body.Message)
		return
	}
	events := slices.DeleteFunc(s.Events(), func(e Event) bool {
		return (f.has("delivered") && e.Delivered != delivered) ||
			(f.has("payment_intent") && e.PaymentIntent != f.text("payment_intent")) ||
			(f.has("type") && e.Type != f.text("type"))
	})
	writeControl(w, http.StatusOK, map[string]any{"events": events})
}

// postResend takes no body and answers {"id"}: the event is on its way.
func (s *Stripe) postResend(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := s.Resend(id); err != nil {
		writeControlError(w, controlStatus(err), err.Error())
		return
	}
	writeControl(w, http.StatusAccepted, map[string]string{"id": id})
}
