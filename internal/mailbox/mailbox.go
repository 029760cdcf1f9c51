// Package mailbox is a stand-in for Resend: it speaks enough of Resend's HTTP API
// for resend-go v2 to be used against it unchanged, keeps the mails in memory, and
// shows them to a developer in a browser. `millrace dev` and tests point
// RESEND_BASE_URL at it. Nothing leaves the process but the webhooks that
// SetWebhook asks for.
//
// It validates as Resend documents, honours idempotency keys, lets Resend's test
// addresses (delivered@, bounced@ and complained@resend.dev, also with a +label)
// end as they do there, and plays faults. Everything but the API answers to
// loopback addresses only and needs no key.
//
// Sources: https://resend.com/docs/api-reference/emails/send-email,
// /docs/api-reference/errors, /docs/api-reference/rate-limit,
// /docs/dashboard/emails/idempotency-keys, /docs/dashboard/emails/send-test-emails,
// /docs/dashboard/webhooks/event-types, https://docs.svix.com/receiving/verifying-payloads/how-manual.
package mailbox

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Options configure a mailbox. The zero value takes everything, on the wall clock.
type Options struct {
	// Now is the clock of every stamp, of the rate limit and of the idempotency keys'
	// 24 hours. Default: time.Now.
	Now func() time.Time

	// Logger gets what an operator should know. Default: discarded.
	Logger *slog.Logger

	// Limit is how many requests are taken in one second of the clock; what is over
	// gets a 429. Resend's own is 2. 0 means no limit.
	Limit int
}

// Mailbox is the sandbox: an http.Handler, safe for concurrent use.
type Mailbox struct {
	now       func() time.Time
	log       *slog.Logger
	mux       *http.ServeMux
	pages     *pages
	webhooks  *webhooks
	closed    chan struct{}
	closeOnce sync.Once

	// mu guards what follows. Work takes microseconds, and delays happen outside it.
	mu       sync.Mutex
	mails    []*Mail // oldest first
	keys     map[string]*stored
	faults   []Fault
	requests []Request
	limit    int
	second   int64 // of which taken counts the requests
	taken    int
}

// New returns an empty mailbox.
func New(opts Options) *Mailbox {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Mailbox{
		now: opts.Now, log: opts.Logger, limit: opts.Limit, pages: parsePages(), webhooks: newWebhooks(),
		closed: make(chan struct{}), keys: map[string]*stored{},
	}
	m.mux = m.routes()
	return m
}

// ServeHTTP answers Resend's API under /emails, a person at / and under /mails/,
// and the control routes under /_sandbox/.
func (m *Mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mux.ServeHTTP(w, r)
}

// Close ends hanging requests (their connections are cut) and the delivery of
// events. Closing twice is harmless.
func (m *Mailbox) Close() error {
	m.closeOnce.Do(func() {
		close(m.closed)
		m.webhooks.close()
	})
	return nil
}

// Errors of the methods behind the control routes.
var (
	ErrNoSuchEvent = errors.New("mailbox: no such event, or one that is too old")
	ErrNoWebhook   = errors.New("mailbox: no webhook is set")
)
