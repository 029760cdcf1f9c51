package api_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/ratelimit"
	"millrace/internal/redistest"
	"millrace/jobs"
)

// limitedSite is a server that counts by a clock that the test moves.
type limitedSite struct {
	*site

	at atomic.Int64
}

func newLimitedSite(t *testing.T, limits string, change ...func(*ratelimit.Options)) *limitedSite {
	t.Helper()
	l := &limitedSite{}
	l.at.Store(time.Now().UnixMicro())
	opts := ratelimit.Options{
		Now: func() time.Time { return time.UnixMicro(l.at.Load()) }, Logger: dbtest.Logger(t), Metrics: prometheus.NewRegistry(),
	}
	if limits != "" {
		require.NoError(t, opts.Limits.UnmarshalText([]byte(limits)))
	}
	for _, f := range change {
		f(&opts)
	}
	limiter, err := ratelimit.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, limiter.Close()) })
	l.site = newSite(t, func(o *api.Options) { o.Limiter = limiter })
	return l
}

func (l *limitedSite) advance(d time.Duration) { l.at.Add(d.Microseconds()) }

// told returns the headers of a limit, and makes sure that those of both forms agree.
func (l *limitedSite) told(a answer) (policy, left string) {
	l.t.Helper()
	policy, left = a.header.Get("RateLimit-Policy"), a.header.Get("RateLimit")
	if policy == "" {
		for _, name := range []string{"RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} {
			require.Empty(l.t, a.header.Get(name))
		}
		return "", ""
	}
	require.Regexp(l.t, `^"[a-z]+";q=`+a.header.Get("RateLimit-Limit")+`;w=\d+$`, policy)
	require.Regexp(l.t, `^"[a-z]+";r=`+a.header.Get("RateLimit-Remaining")+`;t=`+a.header.Get("RateLimit-Reset")+`$`, left)
	return policy, left
}

// refused makes sure that a limit refused the request, and returns how long to wait.
func (l *limitedSite) refused(a answer, limit string) time.Duration {
	l.t.Helper()
	require.Equal(l.t, http.StatusTooManyRequests, a.status, a.text)
	require.Equal(l.t, "RATE_LIMIT_EXCEEDED", a.code())
	require.Equal(l.t, limit, a.at("details", "limit"))
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(l.t, err)
	require.Positive(l.t, seconds)
	return time.Duration(seconds) * time.Second
}

func TestEachRequestCountsInItsClass(t *testing.T) {
	t.Parallel()
	l := newLimitedSite(t, "")
	key := l.key("alice", apikey.JobsRead, apikey.JobsWrite, apikey.MetricsWrite)
	for class, requests := range map[ratelimit.Class][]request{
		ratelimit.Reads: {
			{method: "GET", path: "/v1/jobs"},
			{method: "GET", path: "/v1/jobs?limit=0"}, // refused, and counted all the same
			{method: "GET", path: "/v1/payments/nonsense"},
			{method: "GET", path: "/v1/slots?date=2026-01-01"},
			{method: "GET", path: "/v1/metrics?name=x"},
		},
		ratelimit.Writes: {
			{method: "POST", path: "/v1/jobs/4711/cancel"},
			{method: "POST", path: "/v1/jobs/4711/retry"},
			{method: "PUT", path: "/v1/calendar", body: open},
			{method: "DELETE", path: "/v1/bookings/nonsense"},
			{method: "POST", path: "/v1/scores/rescorings", body: `{}`},
			{method: "POST", path: "/v1/metrics/rollups", body: `{}`},
			{method: "POST", path: "/v1/jobs", body: `{"kind":"nonsense","args":{}}`},
			{method: "POST", path: "/v1/jobs", body: `not JSON`},
		},
		ratelimit.Metrics:       {{method: "POST", path: "/v1/metrics", body: `{"points":[{"name":"x","value":1}]}`}},
		ratelimit.Payments:      {{method: "POST", path: "/v1/payments", body: charge}, {method: "POST", path: "/v1/payments", body: `not JSON`}},
		ratelimit.Bookings:      {{method: "POST", path: "/v1/bookings", body: `{}`}},
		ratelimit.Conversations: {{method: "POST", path: "/v1/conversations", body: `{}`}},
		"":                      {{method: "GET", path: "/healthz"}, {method: "GET", path: "/openapi.json"}, {method: "POST", path: "/webhooks/stripe", body: `{}`}, {method: "GET", path: "/nowhere"}},
	} {
		var rate ratelimit.Rate
		for _, policy := range ratelimit.Policies() {
			if policy.Class == class {
				rate = policy.Default
			}
		}
		for i, r := range requests {
			r.key = key
			policy, left := l.told(l.do(r))
			if class == "" {
				require.Empty(t, policy, r.path)
				continue
			}
			require.Equal(t, `"`+string(class)+`";q=`+strconv.Itoa(rate.Quota)+`;w=`+strconv.Itoa(rate.Seconds()), policy, r.path)
			require.Contains(t, left, `;r=`+strconv.Itoa(rate.Quota-i-1)+`;`, r.path)
		}
	}
}

func TestEveryKindCountsAlikeThroughTheGenericDoor(t *testing.T) {
	t.Parallel()
	l := newLimitedSite(t, "")
	for _, kind := range jobs.Catalog() {
		if !kind.Public {
			continue
		}
		class := kind.Limit
		if class == "" {
			class = ratelimit.Writes
		}
		body, err := json.Marshal(map[string]any{"kind": kind.Name, "args": map[string]any{}})
		require.NoError(t, err)
		policy, _ := l.told(l.do(request{method: "POST", path: "/v1/jobs", key: l.alice, body: string(body)}))
		require.Contains(t, policy, `"`+string(class)+`";`, kind.Name)
	}
	require.Equal(t, ratelimit.Customers, jobs.Find("payment_capture").PersonLimit)
	require.Equal(t, ratelimit.Recipients, jobs.Find("booking_confirmation_email").PersonLimit)
}

func TestARequestTooManyIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	l := newLimitedSite(t, "reads=2/m,payments=off")
	read := request{method: "GET", path: "/v1/jobs", key: l.alice}
	for _, want := range []string{`"reads";r=1;t=30`, `"reads";r=0;t=30`} {
		a := l.do(read)
		require.Equal(t, 200, a.status, a.text)
		policy, left := l.told(a)
		require.Equal(t, `"reads";q=2;w=60`, policy)
		require.Equal(t, want, left)
	}
	l.advance(500 * time.Millisecond)
	a := l.do(read)
	wait := l.refused(a, "reads")
	require.Equal(t, 30*time.Second, wait, "29.5 s, rounded up")
	_, left := l.told(a)
	require.Equal(t, `"reads";r=0;t=30`, left)
	require.EqualValues(t, 2, a.at("details", "quota"))
	require.EqualValues(t, 60, a.at("details", "seconds"))

	read.key = l.mallory
	_, left = l.told(l.do(read))
	require.Equal(t, `"reads";r=1;t=30`, left, "another tenant has a quota of its own")

	read.key = l.alice
	l.advance(wait - 600*time.Millisecond)
	l.refused(l.do(read), "reads")
	l.advance(600 * time.Millisecond)
	require.Equal(t, 200, l.do(read).status, "whoever waits as long as told is served")

	policy, _ := l.told(l.pay(l.alice, "k", charge))
	require.Empty(t, policy, "what is off is not told")
}

// A key that hammers at what it may not do is stopped before each refusal costs the
// database an entry in the audit log.
func TestWhoMayNotIsCountedBeforeItIsWrittenDown(t *testing.T) {
	t.Parallel()
	for _, r := range []request{
		{method: "GET", path: "/v1/jobs"},
		{method: "POST", path: "/v1/jobs", body: `{"kind":"payment_capture"}`}, // which counts by what the body says
	} {
		t.Run(r.method, func(t *testing.T) {
			t.Parallel()
			l := newLimitedSite(t, "reads=2/h,writes=2/h")
			r.key = l.key("alice", apikey.MetricsWrite)
			for range 2 {
				a := l.do(r)
				require.Equal(t, 403, a.status)
				policy, _ := l.told(a)
				require.NotEmpty(t, policy)
			}
			for range 3 {
				require.Equal(t, 429, l.do(r).status)
			}
			var entries int
			require.NoError(t, l.login.QueryRow(t.Context(), "SELECT count(*) FROM audit_pending WHERE action = 'requested'").Scan(&entries))
			require.Equal(t, 2, entries)
		})
	}
}

func TestAKeyMayHaveRatesOfItsOwn(t *testing.T) {
	t.Parallel()
	l := newLimitedSite(t, "reads=1/h")
	read := request{method: "GET", path: "/v1/jobs", key: l.key("alice", apikey.JobsRead)}
	_, err := l.login.Exec(t.Context(), `UPDATE api_keys SET limits = '{"reads": "3/m"}' WHERE scopes = '{jobs:read}'`)
	require.NoError(t, err)
	policy, left := l.told(l.do(read))
	require.Equal(t, `"reads";q=3;w=60`, policy)
	require.Equal(t, `"reads";r=2;t=20`, left)
	read.key = l.alice
	_, left = l.told(l.do(read))
	require.Equal(t, `"reads";r=0;t=3600`, left)
	l.refused(l.do(read), "reads")
}

// of is a payment of a customer.
func of(email string) string {
	return `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","customer_email":"` + email + `"}`
}

func TestPaymentsOfACustomerAreLimitedAndRepeatsAreNot(t *testing.T) {
	t.Parallel()
	l := newLimitedSite(t, "customers=2/h")
	answers := make([]answer, 50)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = l.pay(l.alice, "k1", of("jo@example.com")) })
	}
	group.Wait()
	for _, a := range answers {
		require.Equal(t, 202, a.status, a.text)
		require.Equal(t, answers[0].text, a.text)
	}
	a := l.pay(l.alice, "k2", of("Jo@Example.com"))
	require.Equal(t, 202, a.status, a.text)
	policy, left := l.told(a)
	require.Equal(t, `"customers";q=2;w=3600`, policy, "the tighter one of two is told")
	require.Equal(t, `"customers";r=0;t=1800`, left)
	require.Equal(t, 30*time.Minute, l.refused(l.pay(l.alice, "k3", of("jo+again@example.com")), "customers"))
	generic := request{
		method: "POST", path: "/v1/jobs", key: l.alice, header: map[string]string{"Idempotency-Key": "k4"},
		body: `{"kind":"payment_capture","args":` + of("jo@example.com") + `}`,
	}
	l.refused(l.do(generic), "customers")
	require.Equal(t, 2, l.count("payments"))

	require.Equal(t, 202, l.pay(l.alice, "k5", of("joe@example.com")).status)
	require.Equal(t, 202, l.pay(l.alice, "k6", charge).status, "without a customer there is none to count")
	require.Equal(t, 202, l.pay(l.mallory, "k1", of("jo@example.com")).status)

	// Long after, when the limiter has forgotten the repeat and others have come since.
	l.advance(2 * time.Hour)
	for _, key := range []string{"k7", "k8"} {
		require.Equal(t, 202, l.pay(l.alice, key, of("jo@example.com")).status)
	}
	l.refused(l.pay(l.alice, "k9", of("jo@example.com")), "customers")
	again := l.pay(l.alice, "k1", of("jo@example.com"))
	require.Equal(t, answers[0].text, again.text, "what was accepted is answered for")
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
}

func TestMailsToARecipientAreLimited(t *testing.T) {
	t.Parallel()
	l := newLimitedSite(t, "recipients=2/h")
	require.Equal(t, 200, l.do(request{method: "PUT", path: "/v1/calendar", key: l.alice, body: open}).status)
	_, date := l.slot()
	slots := l.slots(l.alice, date)
	for i := range 2 {
		require.Equal(t, 202, l.book(l.alice, strconv.Itoa(i), slots[i]).status)
		require.Equal(t, 202, l.book(l.alice, strconv.Itoa(i), slots[i]).status, "a repeat counts once")
	}
	l.refused(l.book(l.alice, "2", slots[2]), "recipients")
	require.Equal(t, 2, l.count("bookings"))
	l.advance(30 * time.Minute)
	require.Equal(t, 202, l.book(l.alice, "2", slots[2]).status)
}

func TestWhoDoesNotGetTheSlotIsNotCounted(t *testing.T) {
	t.Parallel()
	l := newLimitedSite(t, "recipients=2/h")
	require.Equal(t, 200, l.do(request{method: "PUT", path: "/v1/calendar", key: l.alice, body: open}).status)
	_, date := l.slot()
	slots := l.slots(l.alice, date)
	var won, taken atomic.Int64
	var group sync.WaitGroup
	for i := range 30 {
		group.Go(func() {
			switch l.book(l.alice, "racer-"+strconv.Itoa(i), slots[0]).status {
			case 202:
				won.Add(1)
			case 409:
				taken.Add(1)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, won.Load())
	require.EqualValues(t, 29, taken.Load(), "the slot is taken, not the quota spent")
	require.Equal(t, 202, l.book(l.alice, "next", slots[1]).status)
	l.refused(l.book(l.alice, "third", slots[2]), "recipients")
}

func TestWithoutRedisPaymentsOfACustomerWait(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := newLimitedSite(t, "", func(o *ratelimit.Options) { o.Redis, o.Timeout, o.Pause = server.URL, 10*time.Second, time.Millisecond })
	first := l.pay(l.alice, "k1", of("jo@example.com"))
	require.Equal(t, 202, first.status, first.text)
	server.Kill(t)
	a := l.pay(l.alice, "k2", of("jo@example.com"))
	require.Equal(t, 503, a.status, a.text)
	require.Equal(t, "UNAVAILABLE", a.code())
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Equal(t, first.text, l.pay(l.alice, "k1", of("jo@example.com")).text, "what was accepted is answered for")
	a = l.pay(l.alice, "k3", charge)
	require.Equal(t, 202, a.status, "the rest goes on: %s", a.text)
	policy, _ := l.told(a)
	require.NotEmpty(t, policy, "and is counted here")
	server.Restart(t)
	require.Eventually(t, func() bool { return l.pay(l.alice, "k2", of("jo@example.com")).status == 202 }, 30*time.Second, 10*time.Millisecond)
}

func TestRefusedCredentialsAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	l := newLimitedSite(t, "failures=2/m")
	for range 2 {
		a := l.do(request{method: "GET", path: "/v1/jobs", key: "mrk_nonsense"})
		require.Equal(t, 401, a.status)
		policy, _ := l.told(a)
		require.Empty(t, policy, "it would tell what others do at the same address")
	}
	a := l.do(request{method: "GET", path: "/v1/jobs"})
	require.Equal(t, 30*time.Second, l.refused(a, "failures"))
	policy, _ := l.told(a)
	require.Empty(t, policy)
	require.Equal(t, 200, l.do(request{method: "GET", path: "/v1/jobs", key: l.alice}).status, "behind a proxy many share an address")
}

func TestATenantHasSoManyWaitingJobsAtMost(t *testing.T) {
	t.Parallel()
	s := newLimitedSite(t, "").site
	require.Equal(t, 200, s.do(request{method: "PUT", path: "/v1/calendar", key: s.alice, body: open}).status)
	slot, _ := s.slot()
	booked := s.book(s.alice, "b1", slot)
	require.Equal(t, 202, booked.status, booked.text)
	_, err := s.login.Exec(t.Context(), "UPDATE tenants SET max_waiting_jobs = 3 WHERE id = 'alice'")
	require.NoError(t, err)
	other := s.key("alice", apikey.JobsWrite) // which nobody has read with the old quota
	var waits []answer
	for _, key := range []string{"k1", "k2", "k3", "k4"} {
		waits = append(waits, s.pay(other, key, charge))
	}
	accepted := 0
	for _, a := range waits {
		if a.status == 202 {
			accepted++
			continue
		}
		require.Equal(t, 429, a.status, a.text)
		require.Equal(t, "RATE_LIMIT_EXCEEDED", a.code())
		require.Equal(t, "waiting_jobs", a.at("details", "limit"))
		require.EqualValues(t, 3, a.at("details", "quota"))
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	require.Equal(t, 2, accepted)
	require.Equal(t, 3, s.count("river_job WHERE metadata ->> 'tenant_id' = 'alice' AND state IN ('available', 'scheduled')"))
	require.Equal(t, waits[0].text, s.pay(other, "k1", charge).text, "a repeat needs no place")
	require.Equal(t, 202, s.pay(s.mallory, "k1", charge).status)
	id, _ := booked.at("booking", "id").(string)
	require.Equal(t, 200, s.do(request{method: "DELETE", path: "/v1/bookings/" + id, key: s.alice}).status, "the platform's own jobs pass")
}
