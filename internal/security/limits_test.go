package security_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/program/intakeserver"
	"millrace/internal/ratelimit"
)

// limitedTo gives the server rates in the form of RATE_LIMITS. Those of tests are for
// a day, of which nothing comes back while the test runs.
func limitedTo(t *testing.T, rates string) func(*intakeserver.Options) {
	t.Helper()
	return func(o *intakeserver.Options) {
		limits := unlimited(t)
		var own ratelimit.Limits
		require.NoError(t, own.UnmarshalText([]byte(rates)))
		maps.Copy(limits, own)
		o.RateLimits = limits
	}
}

// floods are requests without end that count in a class: the nth one.
func floods() map[ratelimit.Class]func(n int) request {
	post := func(path, key, body string) request {
		return request{method: http.MethodPost, path: path, body: body, header: http.Header{"Idempotency-Key": {key}}}
	}
	pay := func(n int, email string) request {
		path, body := "/v1/payments", fmt.Sprintf(`{"amount":%d,"currency":"usd","payment_method":"pm_card_visa","customer_email":%q}`, 500+n, email)
		if n%2 == 1 { // through the other door
			path, body = "/v1/jobs", `{"kind":"payment_capture","args":`+body+`}`
		}
		return post(path, fmt.Sprint("pay", n), body)
	}
	book := func(n int, email string) request {
		return post("/v1/bookings", fmt.Sprint("book", n), fmt.Sprintf(`{"slot_id":%q,"name":"Jo Doe","email":%q}`, slotAt(n+1), email))
	}
	// One person, however the address is written.
	same := func(n int) string {
		return []string{"Jo.Doe", "jo.doe+1", "JO.DOE+other", "jo.doe"}[n%4] + "@Example.com"
	}
	return map[ratelimit.Class]func(n int) request{
		ratelimit.Payments: func(n int) request { return pay(n, fmt.Sprintf("a%d@example.com", n)) },
		ratelimit.Bookings: func(n int) request { return book(n, fmt.Sprintf("a%d@example.com", n)) },
		ratelimit.Conversations: func(n int) request {
			return post("/v1/conversations", fmt.Sprint("say", n), `{"session_id":"s","messages":[{"role":"user","content":"Hello"}]}`)
		},
		ratelimit.Metrics: func(n int) request {
			return post("/v1/metrics", fmt.Sprint("point", n), `{"points":[{"name":"a","value":1}]}`)
		},
		ratelimit.Reads: func(n int) request {
			return request{path: []string{"/v1/jobs", "/v1/payments?limit=0", "/v1/slots?date=x"}[n%3]}
		},
		ratelimit.Writes: func(n int) request {
			return request{method: http.MethodPost, path: fmt.Sprintf("/v1/jobs/%d/cancel", n+1)}
		},
		ratelimit.Customers:  func(n int) request { return pay(n, same(n)) },
		ratelimit.Recipients: func(n int) request { return book(n, same(n)) },
	}
}

// What a tenant, or a person through it, may do at a time is bounded in each class.
// The refusal says how long to wait, another key of the tenant does not get round it,
// and nobody else notices.
func TestOWASPAPI4EachClassIsLimitedAndNobodyElseNotices(t *testing.T) {
	t.Parallel()
	// Requests for a person count in the first two too, and each tenant sets a calendar.
	quotas := map[ratelimit.Class]int{ratelimit.Payments: 4, ratelimit.Bookings: 4, ratelimit.Writes: 3}
	var rates []string
	for _, policy := range ratelimit.Policies() {
		require.False(t, policy.Default.Unlimited(), "%s is without limit unless somebody sets one", policy.Class)
		quota := 2
		if quotas[policy.Class] != 0 {
			quota = quotas[policy.Class]
		}
		rates = append(rates, fmt.Sprintf("%s=%d/d", policy.Class, quota))
	}
	s := newSystem(t, dbtest.New(t), "", limitedTo(t, strings.Join(rates, ",")))
	limits := unlimited(t)
	require.NoError(t, limits.UnmarshalText([]byte(strings.Join(rates, ","))))
	newcomer := func(name string) (key string) {
		key = s.key(name)
		require.Equal(t, http.StatusOK, s.do(request{method: http.MethodPut, path: "/v1/calendar", key: key, body: everyDay("default", name)}).status)
		return key
	}
	for _, policy := range ratelimit.Policies() {
		if policy.By == ratelimit.ByAddress {
			continue // see below
		}
		class := policy.Class
		flood := floods()[class]
		require.NotNil(t, flood, "%s: say in floods() what counts in it", class)
		alice, quota := newcomer("a-"+string(class)), limits[class].Quota
		passed, got := 0, answer{}
		if class == ratelimit.Writes {
			passed++ // the calendar
		}
		send := func(n int, key string) answer {
			r := flood(n)
			r.key = key
			return s.do(r)
		}
		for n := 0; ; n++ {
			if got = send(n, alice); got.status == http.StatusTooManyRequests {
				break
			}
			require.Less(t, got.status, 500, got.text)
			passed++
			require.LessOrEqual(t, passed, quota, "%s: %s", class, got.text)
			require.NotEmpty(t, got.header.Get("RateLimit"), class)
		}
		require.Equal(t, quota, passed, class)
		require.Equal(t, "RATE_LIMIT_EXCEEDED", got.at("code"))
		require.Equal(t, string(class), got.at("details", "limit"))
		wait, err := strconv.Atoi(got.header.Get("Retry-After"))
		require.NoError(t, err, class)
		require.InDelta(t, 86400/quota, wait, 3600, class)
		require.Equal(t, fmt.Sprintf("%q;q=%d;w=86400", class, quota), got.header.Get("RateLimit-Policy"))
		require.Equal(t, fmt.Sprintf("%q;r=0;t=%d", class, wait), got.header.Get("RateLimit"))
		require.Equal(t, "0", got.header.Get("RateLimit-Remaining"))

		again := send(7, s.key("a-"+string(class)))
		require.Equal(t, http.StatusTooManyRequests, again.status, "%s: with another key of the tenant's: %s", class, again.text)
		other := send(0, newcomer("b-"+string(class)))
		require.NotEqual(t, http.StatusTooManyRequests, other.status, "%s: another tenant is refused: %s", class, other.text)
		require.Less(t, other.status, 500, other.text)
	}
	s.guesses(limits[ratelimit.Failures].Quota)
}

// guesses: who presents many keys that are none is told to wait, also when every
// request claims to come from elsewhere; a key that is right is served meanwhile.
func (s *system) guesses(quota int) {
	s.t.Helper()
	for n := range quota + 3 {
		got := s.do(request{path: "/v1/payments", key: fmt.Sprintf("mrk_%016d_x", n), header: http.Header{"X-Forwarded-For": {fmt.Sprintf("192.0.2.%d", n)}, "Forwarded": {fmt.Sprintf("for=192.0.2.%d", n)}, "X-Real-Ip": {"192.0.2.1"}}})
		if n < quota {
			require.Equal(s.t, http.StatusUnauthorized, got.status, got.text)
			continue
		}
		require.Equal(s.t, http.StatusTooManyRequests, got.status, got.text)
		require.Equal(s.t, string(ratelimit.Failures), got.at("details", "limit"))
		require.NotEmpty(s.t, got.header.Get("Retry-After"))
		require.Empty(s.t, got.header.Get("RateLimit"), "what others do at the same address is not told")
	}
	require.Equal(s.t, http.StatusOK, s.do(request{path: "/v1/payments", key: s.key("served")}).status)
}

// Who tries stolen cards through a tenant's form, or has one mail after another sent
// to somebody, is stopped at the person's quota, also when all come at once.
func TestOWASPAPI6CardTestingAndMailFloodsStopAtThePerson(t *testing.T) {
	t.Parallel()
	const quota, crowd = 3, 20
	s := newSystem(t, dbtest.New(t), "", limitedTo(t, fmt.Sprintf("customers=%d/d,recipients=%[1]d/d", quota)))
	s.work("")
	key := s.key("alice")
	require.Equal(t, http.StatusOK, s.do(request{method: http.MethodPut, path: "/v1/calendar", key: key, body: everyDay("default", "alice")}).status)
	for _, class := range []ratelimit.Class{ratelimit.Customers, ratelimit.Recipients} {
		flood := floods()[class]
		statuses := sendAll(crowd, func(n int) answer {
			r := flood(n)
			r.key = key
			return s.do(r)
		})
		require.Equal(t, map[int]int{http.StatusAccepted: quota, http.StatusTooManyRequests: crowd - quota}, statuses, class)
	}
	s.settle()
	require.Len(t, s.stripe.Charges(), quota)
	require.Len(t, s.mails.Mails(), quota)
	// One who was accepted is answered for still, and charged no more.
	var repeated answer
	for n := range crowd {
		r := floods()[ratelimit.Customers](n)
		r.key = key
		if got := s.do(r); got.status != http.StatusTooManyRequests {
			require.Equal(t, "true", got.header.Get("Idempotent-Replayed"), got.text)
			repeated = got
		}
	}
	require.NotZero(t, repeated.status)
	s.settle()
	require.Len(t, s.stripe.Charges(), quota)
	// The person is another tenant's customer too, who is none of alice's business.
	r := floods()[ratelimit.Customers](0)
	r.key = s.key("bob")
	require.Equal(t, http.StatusAccepted, s.do(r).status)
}

// A tenant cannot fill the queues of all: so many of its jobs wait and no more, also
// when all come at once and no rate is near.
func TestOWASPAPI4OneTenantsJobsDoNotFillTheQueues(t *testing.T) {
	t.Parallel()
	const quota, crowd = 5, 20
	s := newSystem(t, dbtest.New(t), "", limitedTo(t, "reads=1000/s")) // with "off" there is no quota either
	key, most := s.key("alice"), quota
	_, err := apikey.SetTenant(t.Context(), s.owner, "alice", apikey.TenantChange{MaxWaitingJobs: &most})
	require.NoError(t, err)
	later, err := json.Marshal(time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339))
	require.NoError(t, err)
	submit := func(n int, key string) answer {
		return s.do(request{
			method: http.MethodPost, path: "/v1/payments", key: key, header: http.Header{"Idempotency-Key": {fmt.Sprint(n)}},
			body: fmt.Sprintf(`{"amount":%d,"currency":"usd","payment_method":"pm_card_visa","scheduled_at":%s}`, 500+n, later),
		})
	}
	require.Equal(t, map[int]int{http.StatusAccepted: quota, http.StatusTooManyRequests: crowd - quota}, sendAll(crowd, func(n int) answer { return submit(n, key) }))
	refused := submit(crowd, key)
	require.Equal(t, http.StatusTooManyRequests, refused.status)
	require.Equal(t, "waiting_jobs", refused.at("details", "limit"))
	require.NotEmpty(t, refused.header.Get("Retry-After"))
	require.Len(t, collect[int64](t, s, "SELECT id FROM river_job WHERE metadata ->> 'tenant_id' = 'alice'"), quota)
	require.Equal(t, http.StatusAccepted, submit(0, s.key("bob")).status)
}

// sendAll makes n requests at once and counts their statuses.
func sendAll(n int, send func(n int) answer) map[int]int {
	statuses := map[int]int{}
	var mu sync.Mutex
	var crowd sync.WaitGroup
	for i := range n {
		crowd.Go(func() {
			got := send(i)
			mu.Lock()
			defer mu.Unlock()
			statuses[got.status]++
		})
	}
	crowd.Wait()
	return statuses
}
