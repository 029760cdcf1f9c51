// Package sandbox is a payment gateway that speaks enough of Stripe's HTTP API for stripe-go v76 (API version
// 2023-10-16) to be used against it unchanged: `millrace dev`, tests and fault drills point STRIPE_API_BASE at it.
//
// It is stateful: PaymentIntents move by Stripe's life cycle, every charge is in a ledger that tests read, idempotency
// keys are honoured as documented, Stripe's test payment methods behave as on its testing page, and faults are injected
// by request header or by a control route. No money exists here, and nothing leaves the process but the webhooks that
// SetWebhook asks for.
//
// Control routes live under /_sandbox/ and need no key; they answer to loopback addresses only.
//
// It imports no Stripe SDK: it is a server, and intake may link it in dev.
//
// Sources: https://docs.stripe.com/api/payment_intents, /api/charges, /api/refunds, /api/disputes, /api/events,
// /api/errors, /api/idempotent_requests, https://docs.stripe.com/payments/paymentintents/lifecycle,
// https://docs.stripe.com/testing, https://docs.stripe.com/error-codes, https://docs.stripe.com/currencies,
// https://docs.stripe.com/webhooks.
package sandbox

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// DefaultAPIVersion is what an answer's Stripe-Version says when the request named none: stripe-go v76's version.
const DefaultAPIVersion = "2023-10-16"

// Options configure a sandbox. The zero value is a memory-only sandbox on the wall clock.
type Options struct {
	// Journal is the path of an append-only file of JSON lines that is replayed and compacted at start, so that
	// intents, charges, refunds and idempotency keys outlive a restart; events do not. "" keeps everything in
	// memory. It has one writer: two sandboxes must not share it.
	Journal string

	// Now is the clock of every stamp and every expiry (idempotency keys, authorisations, asynchronous settlement).
	// Default: time.Now.
	Now func() time.Time

	// Latency is added to every API answer, in real time. Default: 0.
	Latency time.Duration

	// Seed starts the random numbers of fault rules that have a probability and no seed of their own. Default: 0,
	// which is as repeatable as any other.
	Seed uint64

	// Logger gets what an operator should know (a cut journal line). Default: discarded.
	Logger *slog.Logger
}

// Stripe is the sandbox: an http.Handler, safe for concurrent use.
type Stripe struct {
	opts      Options
	now       func() time.Time
	log       *slog.Logger
	methods   map[string]testMethod
	mux       *http.ServeMux
	faults    *faultSet
	requests  *requestCounter
	webhooks  *webhooks
	closed    chan struct{}
	closeOnce sync.Once

	// mu serialises all work on state and journal. Work takes microseconds, delays happen outside it, and so one
	// lock gives what Stripe's per-object lock gives: two racing confirms make one charge.
	mu      sync.Mutex
	state   *state
	journal *journal
}

// NewStripe starts a sandbox. With a journal it fails when the file cannot be read or rewritten, or when a line other
// than the last is damaged.
func NewStripe(opts Options) (*Stripe, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Latency < 0 {
		return nil, errors.New("sandbox: Latency is negative")
	}
	s := &Stripe{
		opts:     opts,
		now:      opts.Now,
		log:      opts.Logger,
		methods:  testMethods(),
		faults:   &faultSet{seed: opts.Seed},
		requests: newRequestCounter(),
		webhooks: newWebhooks(),
		closed:   make(chan struct{}),
		state:    newState(),
	}
	if opts.Journal != "" {
		j, err := openJournal(opts.Journal, s.state, s.now(), s.log)
		if err != nil {
			return nil, err
		}
		s.journal = j
	}
	s.mux = s.routes()
	return s, nil
}

// ServeHTTP answers Stripe's API under /v1/, the control routes under /_sandbox/, and a description at /.
func (s *Stripe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mux.ServeHTTP(w, r)
}

// Close ends hanging requests (their connections are cut), ends the delivery of events, and closes the journal. A mutation after Close is answered
// with a 500 when there is a journal. Closing twice is harmless.
func (s *Stripe) Close() error {
	var err error
	s.closeOnce.Do(func() {
		close(s.closed)
		s.webhooks.close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.journal != nil {
			err = s.journal.close()
		}
	})
	return err
}
