package sandbox_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"millrace/internal/sandbox"
)

const hookSigner = "whsec_of_the_test"

// parcel is one delivery as it came in.
type parcel struct {
	path   string
	header http.Header
	body   []byte
	event  stripe.Event
}

// inbox is a webhook's consumer. answer decides what the n-th delivery (from 1) gets; nil means 200.
type inbox struct {
	t      *testing.T
	url    string
	answer func(n int, w http.ResponseWriter, r *http.Request)

	mu  sync.Mutex
	got []parcel
}

func newInbox(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *inbox {
	t.Helper()
	in := &inbox{t: t, answer: answer}
	srv := httptest.NewServer(in)
	t.Cleanup(srv.Close)
	in.url = srv.URL + "/hook"
	return in
}

func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	assert.NoError(in.t, err)
	p := parcel{path: r.URL.Path, header: r.Header, body: body}
	assert.NoError(in.t, json.Unmarshal(body, &p.event))
	in.mu.Lock()
	in.got = append(in.got, p)
	n := len(in.got)
	in.mu.Unlock()
	if in.answer != nil {
		in.answer(n, w, r)
	}
}

func (in *inbox) parcels() []parcel {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]parcel(nil), in.got...)
}

// await waits for n deliveries.
func (in *inbox) await(n int) []parcel {
	in.t.Helper()
	require.Eventually(in.t, func() bool { return len(in.parcels()) >= n }, patient, tick, "%d deliveries", n)
	return in.parcels()
}

// of waits for an event of a type.
func (in *inbox) of(kind string) parcel {
	in.t.Helper()
	var found parcel
	require.Eventually(in.t, func() bool {
		for _, p := range in.parcels() {
			if string(p.event.Type) == kind {
				found = p
				return true
			}
		}
		return false
	}, patient, tick, kind)
	return found
}

// listen points the sandbox at an inbox. It is closed before the inbox, which would wait for what hangs.
func (r *rig) listen(answer func(n int, w http.ResponseWriter, r *http.Request)) *inbox {
	r.t.Helper()
	in := newInbox(r.t, answer)
	r.t.Cleanup(func() { assert.NoError(r.t, r.Close()) })
	secret, err := r.SetWebhook(in.url, hookSigner)
	require.NoError(r.t, err)
	require.Equal(r.t, hookSigner, secret)
	return in
}

// delivered waits until every event is, and returns them.
func (r *rig) delivered() []sandbox.Event {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		for _, e := range r.Events() {
			if !e.Delivered {
				return false
			}
		}
		return true
	}, patient, tick)
	return r.Events()
}

func answerWith(status int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func hang(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestEventsAreSigned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(nil)
	r.created("")
	p := in.await(1)[0]
	assert.Equal(t, "application/json; charset=utf-8", p.header.Get("Content-Type"))

	stamp, sum, ok := strings.Cut(p.header.Get("Stripe-Signature"), ",v1=")
	require.True(t, ok)
	stamp, ok = strings.CutPrefix(stamp, "t=")
	require.True(t, ok)
	mac := hmac.New(sha256.New, []byte(hookSigner))
	mac.Write([]byte(stamp + "." + string(p.body)))
	assert.Equal(t, hex.EncodeToString(mac.Sum(nil)), sum)
	sent, err := strconv.ParseInt(stamp, 10, 64)
	require.NoError(t, err)
	assert.InDelta(t, time.Now().Unix(), sent, patient.Seconds(), "real time, not the sandbox's clock")

	_, err = webhook.ConstructEvent(p.body, p.header.Get("Stripe-Signature"), hookSigner)
	require.NoError(t, err)
	_, err = webhook.ConstructEvent(p.body, p.header.Get("Stripe-Signature"), "whsec_other")
	require.Error(t, err)
}

func TestASecretIsMadeWhenNoneIsGiven(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(nil)
	secret, err := r.SetWebhook(in.url, "")
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(secret, "whsec_"))
	other, err := r.SetWebhook(in.url, "")
	require.NoError(t, err)
	assert.NotEqual(t, other, secret)
	r.created("")
	p := in.await(1)[0]
	_, err = webhook.ConstructEvent(p.body, p.header.Get("Stripe-Signature"), other)
	require.NoError(t, err)
}

func TestSetWebhook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, wrong := range []string{"/hook", "127.0.0.1:1/hook", "ftp://127.0.0.1/hook", "http://", "http://%zz"} {
		_, err := r.SetWebhook(wrong, "")
		require.Error(t, err, wrong)
	}
	r.created("")
	assert.Empty(t, r.Events(), "nobody listens")

	first := r.listen(nil)
	pi := r.created("")
	first.await(1)
	second := r.listen(nil)
	r.created("")
	second.await(1)
	assert.Len(t, first.parcels(), 1, "the second endpoint replaces the first")

	secret, err := r.SetWebhook("", "")
	require.NoError(t, err)
	assert.Empty(t, secret)
	r.created("")
	events := r.Events()
	assert.Len(t, events, 2, "there is no webhook any more")
	require.ErrorIs(t, r.Resend(events[0].ID), sandbox.ErrNoWebhook)
	assert.Equal(t, pi.ID, events[0].PaymentIntent)

	require.NoError(t, r.Close())
	_, err = r.SetWebhook(first.url, "")
	require.Error(t, err)
}

// barrier lets everything through that was to be sent before it.
func (r *rig) barrier() {
	r.t.Helper()
	for range 10 {
		id := r.created("").ID
		require.Eventually(r.t, func() bool {
			events := r.Events()
			return events[len(events)-1].PaymentIntent == id && events[len(events)-1].Delivered
		}, patient, tick)
	}
}

func TestANewEndpointGetsWhatTheOldOneDidNotTake(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Hurry(50*time.Millisecond, tick, 0)
	old := r.listen(hang)
	for range 8 {
		r.created("")
	}
	old.await(4)
	newer := r.listen(nil)
	r.delivered()
	ids := map[string]bool{}
	for _, p := range newer.parcels() {
		ids[p.event.ID] = true
	}
	assert.Len(t, ids, 8)
}

func TestTakingTheWebhookAwayEndsItsDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Hurry(0, tick, 0)
	release := make(chan struct{})
	old := r.listen(func(_ int, w http.ResponseWriter, _ *http.Request) {
		<-release
		w.WriteHeader(http.StatusInternalServerError)
	})
	for range 8 {
		r.created("")
	}
	old.await(4)
	_, err := r.SetWebhook("", "")
	require.NoError(t, err)
	close(release)

	newer := r.listen(nil)
	r.barrier()
	assert.Len(t, newer.parcels(), 10, "neither what had failed nor what had not been tried")
}

func TestFailedDeliveriesAreRepeated(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int // what the list shows after the failures; 0: nobody answered
		answer func(n int, w http.ResponseWriter, r *http.Request)
	}{
		"500": {500, answerWith(500)},
		"404": {404, answerWith(404)},
		"redirect": {307, func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}},
		"cut":     {0, func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"timeout": {0, hang},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Hurry(50*time.Millisecond, tick, 0)
			last := make(chan sandbox.Event, 1)
			in := r.listen(func(n int, w http.ResponseWriter, req *http.Request) {
				if n <= 2 {
					tc.answer(n, w, req)
					return
				}
				last <- r.Events()[0]
			})
			r.created("")
			parcels := in.await(3)
			assert.Equal(t, parcels[0].body, parcels[2].body)
			for _, p := range parcels {
				assert.Equal(t, "/hook", p.path, "redirects are not followed")
			}

			before := <-last
			assert.False(t, before.Delivered)
			assert.Equal(t, 2, before.Attempts)
			assert.Equal(t, tc.status, before.LastStatus)
			e := r.delivered()[0]
			assert.Equal(t, 3, e.Attempts)
			assert.Equal(t, 200, e.LastStatus)
		})
	}
}

func TestRetriesGrowAndEnd(t *testing.T) {
	t.Parallel()
	for failed, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second, 7: time.Minute, 9: time.Minute,
	} {
		assert.Equal(t, want, sandbox.RetryDelay(failed), failed)
	}
	r := newRig(t)
	timeout, notice, kept := r.WebhookLimits()
	assert.Equal(t, 5*time.Second, timeout)
	assert.Equal(t, time.Second, notice)
	assert.Equal(t, 10_000, kept)
	r.Hurry(0, tick, 0)
	var ended sync.WaitGroup
	ended.Add(10)
	in := r.listen(func(n int, w http.ResponseWriter, _ *http.Request) {
		if n <= 10 {
			defer ended.Done()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	r.created("")
	ended.Wait()
	require.Eventually(t, func() bool { return r.Events()[0].Attempts == 10 }, patient, tick)

	in.answer = nil
	require.NoError(t, r.Resend(r.Events()[0].ID))
	assert.Equal(t, 11, r.delivered()[0].Attempts, "ten by itself, one by Resend")
	r.barrier()
	assert.Len(t, in.parcels(), 21)
}

func TestNobodyWaitsForTheConsumer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(hang)
	for range 10 {
		began := time.Now()
		r.inState(stripe.PaymentIntentStatusSucceeded)
		require.Less(t, time.Since(began), patient)
	}
	in.await(4) // several at once
	assert.Len(t, r.Events(), 30)

	began := time.Now()
	require.NoError(t, r.Close())
	assert.Less(t, time.Since(began), time.Second, "Close does not wait either")
	n := len(in.parcels())
	r.created("")
	assert.Len(t, in.parcels(), n)
}

func TestCloseEndsRetries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(answerWith(500))
	r.created("")
	in.await(1)
	require.Eventually(t, func() bool { return r.Events()[0].Attempts == 1 }, patient, tick)
	began := time.Now()
	require.NoError(t, r.Close())
	assert.Less(t, time.Since(began), 500*time.Millisecond, "the retry is due after a second")
}

func TestWhatTimeDoesIsNoticedWithoutAsking(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Hurry(0, 0, tick)
	in := r.listen(nil)
	r.authorized()
	r.inState(stripe.PaymentIntentStatusProcessing)
	r.clock.advance(week)
	in.of("payment_intent.canceled")
	p := in.of("payment_intent.succeeded")
	assert.Empty(t, p.event.Request.ID, "no request did this")
	assert.Empty(t, p.event.Request.IdempotencyKey)
	assert.Equal(t, r.clock.Now().Unix(), p.event.Created)
}

func TestEventsCanBeSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.listen(nil)
	pi := r.inState(stripe.PaymentIntentStatusSucceeded)
	other := r.created("")
	events := r.delivered()
	require.Len(t, events, 4)
	require.NoError(t, r.Resend(events[0].ID))
	parcels := in.await(5)
	assert.Equal(t, events[0].ID, parcels[4].event.ID)
	a := r.control("POST", "/_sandbox/events/"+events[0].ID+"/resend", "")
	assert.Equal(t, 202, a.status)
	assert.Equal(t, map[string]any{"id": events[0].ID}, a.json(t))
	in.await(6)
	require.Eventually(t, func() bool { return r.Events()[0].Attempts == 3 }, patient, tick)
	require.ErrorIs(t, r.Resend("evt_x"), sandbox.ErrNoSuchEvent)
	assert.Equal(t, 404, r.control("POST", "/_sandbox/events/evt_x/resend", "").status)

	list := func(query string) []sandbox.Event {
		a := r.control("GET", "/_sandbox/events"+query, "")
		require.Equal(t, 200, a.status, a.body)
		return decode[struct{ Events []sandbox.Event }](t, a).Events
	}
	assert.Equal(t, r.Events(), list(""))
	assert.Len(t, list("?payment_intent="+pi.ID), 3)
	assert.Len(t, list("?payment_intent="+other.ID), 1)
	assert.Len(t, list("?type=payment_intent.created"), 2)
	assert.Len(t, list("?delivered=true"), 4)
	assert.Empty(t, list("?delivered=false"))
	assert.Contains(t, r.control("GET", "/_sandbox/events?type=x", "").body, `"events": []`)
	assert.Equal(t, 400, r.control("GET", "/_sandbox/events?delivred=true", "").status)
	assert.Equal(t, 400, r.control("GET", "/_sandbox/events?delivered=yes", "").status)
	first := list("")[0]
	assert.Equal(t, sandbox.Event{
		ID: first.ID, Type: "payment_intent.created", PaymentIntent: pi.ID, Created: r.clock.Now(), Delivered: true,
		Attempts: 3, LastStatus: 200,
	}, first)
}

func TestOldEventsAreForgottenButSent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.KeepEvents(3)
	release := make(chan struct{})
	in := r.listen(func(int, http.ResponseWriter, *http.Request) { <-release })
	var ids []string
	for range 8 {
		ids = append(ids, r.created("").ID)
	}
	var kept []string
	for _, e := range r.Events() {
		kept = append(kept, e.PaymentIntent)
	}
	assert.Equal(t, ids[5:], kept)
	close(release)
	in.await(8)
}
