package mailbox

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	senders    = 4
	keptEvents = 10_000 // older ones are forgotten by Events and Redeliver, but still delivered
)

// delivery is one sending of an event, with its retries.
type delivery struct {
	event *event
	tries int // that failed
	round int // the webhooks' when it began
}

// endpoint is a webhook's address and signing key.
type endpoint struct {
	url string // "" when no webhook is set
	key []byte
}

// webhooks is the endpoint, the events, and those who send them. Its mutex may be
// taken under Mailbox.mu, not the other way round.
type webhooks struct {
	client *http.Client
	delay  func(failed int) time.Duration

	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // it lives from newWebhooks to close, as the senders do
	cancel  context.CancelFunc

	mu      sync.Mutex
	work    *sync.Cond // queue or closed has changed
	started bool
	closed  bool
	to      endpoint
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
		delay: retryDelay,
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.work = sync.NewCond(&w.mu)
	return w
}

// set starts the senders with the first endpoint: a mailbox without a webhook has
// no goroutines.
func (w *webhooks) set(url string, key []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errors.New("mailbox: it is closed")
	}
	w.to = endpoint{url, key}
	if url == "" {
		w.queue = nil
		w.round++
		return nil
	}
	if !w.started {
		w.started = true
		for range senders {
			w.running.Go(w.send)
		}
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

func (w *webhooks) publish(events []*event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to.url == "" {
		return
	}
	w.events = append(w.events, events...)
	if over := len(w.events) - keptEvents; over > 0 {
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
		d, to, ok := w.next()
		if !ok {
			return
		}
		w.settle(d, w.post(w.ctx, d.event, to))
	}
}

// next waits for something to send; it is not ok when the mailbox is closed.
func (w *webhooks) next() (d delivery, to endpoint, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.work.Wait()
	}
	if w.closed {
		return delivery{}, endpoint{}, false
	}
	d = w.queue[0]
	w.queue = w.queue[1:]
	return d, w.to, true
}

// settle writes down how an attempt went, and sees to the next one.
func (w *webhooks) settle(d delivery, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	row := &d.event.row
	row.Attempts++
	row.LastStatus = status
	if status >= http.StatusOK && status < http.StatusMultipleChoices {
		row.Delivered = true
		return
	}
	if d.tries++; d.tries < maxTries {
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
