package security_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/intake"
	"millrace/internal/postgres"
)

// fuzzed is an API on a real database, for foreign bytes; send returns its answer.
func fuzzed(f *testing.F) (send func(r *http.Request) *httptest.ResponseRecorder) {
	f.Helper()
	db := dbtest.New(f)
	pool, err := postgres.Open(f.Context(), postgres.Options{URL: db.URL, Role: postgres.Intake, MaxConns: 10})
	require.NoError(f, err)
	f.Cleanup(pool.Close)
	registry, logger := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: logger, Metrics: registry})
	require.NoError(f, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(f.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = writer.Run(ctx) })
	f.Cleanup(func() { stop(); running.Wait() })
	// Without keys, so that the database has to take every text as it is.
	server, err := api.New(api.Options{DB: postgres.NewTenancy(pool, postgres.Intake), Writer: writer, Logger: logger, Metrics: registry})
	require.NoError(f, err)
	_, key, err := apikey.Create(f.Context(), db.Tenancy(f, postgres.Owner), apikey.Request{Tenant: "fuzz", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(f, err)
	return func(r *http.Request) *httptest.ResponseRecorder {
		r.Header.Set("Authorization", "Bearer "+key.Reveal())
		r.Header.Set("Content-Type", "application/json")
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, r)
		return recorder
	}
}

// answered checks what holds of every answer, whatever was asked: it is no failure
// of ours, and an error is one of ours.
func answered(t *testing.T, got *httptest.ResponseRecorder) {
	t.Helper()
	require.Less(t, got.Code, 500, got.Body.String())
	if got.Code < 400 {
		return
	}
	var problem struct{ Code, Error string }
	require.NoError(t, json.Unmarshal(got.Body.Bytes(), &problem), got.Body.String())
	require.NotEmpty(t, problem.Code)
	require.NotEmpty(t, problem.Error)
}

// Nothing that intake takes is refused by the database: no NUL, no lone surrogate,
// no number or time that a column does not hold.
func FuzzIntake(f *testing.F) {
	doors := []struct{ method, path string }{
		{"POST", "/v1/payments"},
		{"POST", "/v1/bookings"},
		{"POST", "/v1/conversations"},
		{"POST", "/v1/metrics"},
		{"POST", "/v1/metrics/rollups"},
		{"POST", "/v1/scores/rescorings"},
		{"POST", "/v1/jobs"},
		{"PUT", "/v1/calendar"},
		{"POST", "/v1/compliance/scan"},
	}
	for i, door := range doors {
		f.Add(uint8(i), []byte(attacks()[door.method+" "+door.path].body), "key", "")
		f.Add(uint8(i), []byte(`{"\u0000":"\ud800"}`), "\x00", "wait=0")
	}
	for _, body := range []string{
		`{"amount":100,"currency":"usd","payment_method":"pm_1","scheduled_at":"9999-12-31T23:59:59Z","priority":4}`,
		`{"amount":100,"currency":"usd","payment_method":"pm_1","scheduled_at":"0000-01-01T00:00:00Z"}`,
		`{"payment_intent":"pi_1","capture_before":"0001-01-01T00:00:00Z"}`,
		`{"payment_intent":"pi_1","capture_before":"9999-12-31T23:59:59.999999999+23:59"}`,
		`{"amount":100,"currency":"usd","payment_method":"pm_1","metadata":{"a":"\u0001\u2028"},"description":"\u0001"}`,
		`{"amount":100,"currency":"usd","payment_method":"pm_1","items":[{"name":"\u0001","quantity":9007199254740993}]}`,
	} {
		f.Add(uint8(0), []byte(body), "key2", "")
	}
	f.Add(uint8(3), []byte(`{"points":[{"name":"a","value":-0,"at":"1970-01-01T00:00:00Z"},{"name":"a","value":1e-320,"tags":{"x":"\ufeff"}}]}`), "", "")
	f.Add(uint8(2), []byte(`{"session_id":"s","messages":[{"role":"user","content":"a\u0001b","at":"0001-01-01T00:00:00.000001Z"}]}`), "", "")
	send := fuzzed(f)
	f.Fuzz(func(t *testing.T, which uint8, body []byte, key, prefer string) {
		door := doors[int(which)%len(doors)]
		r := httptest.NewRequestWithContext(t.Context(), door.method, door.path, strings.NewReader(string(body)))
		if key != "" {
			r.Header["Idempotency-Key"] = []string{key}
		}
		if !strings.Contains(strings.ToLower(prefer), "wait") { // nobody works here: it would only take time
			r.Header["Prefer"] = []string{prefer}
		}
		answered(t, send(r))
	})
}

// Nothing that one may ask makes a read fail.
func FuzzReads(f *testing.F) {
	paths := []string{
		"/v1/payments", "/v1/payments/", "/v1/bookings", "/v1/bookings/", "/v1/slots", "/v1/calendar", "/v1/conversations/", "/v1/scores", "/v1/scores/", "/v1/scores/distribution",
		"/v1/metrics", "/v1/metrics/latest", "/v1/metrics/top", "/v1/metrics/names", "/v1/metrics/tags", "/v1/jobs", "/v1/jobs/",
	}
	for i := range paths {
		for _, seed := range [][2]string{
			{"1", "limit=1&page_token=abc"},
			{"019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c", "name=a&tag.x=%00&from=1970-01-01T00:00:00Z&to=1970-01-02T00:00:00Z&step=1w&timezone=Pacific/Apia"},
			{"%00", "date=2026-11-24&timezone=Europe/Berlin&resource=%ff"},
			{"9223372036854775807", "from=2026-01-01&to=2026-01-31&min=NaN&max=Inf&session_id=%00"},
			{"..", "prefix=%00&name=%ed%a0%80"},
			{"", "kind=%00&state=completed"},
			{"", "a=%zz&kind=%00&name=%00"},
			{"", "name=a&from=9998-12-31T00:00:00Z&to=9999-12-31T23:59:59Z&step=1d&timezone=Asia/Kathmandu&gaps=null&limit=5000"},
		} {
			f.Add(uint8(i), seed[0], seed[1])
		}
	}
	send := fuzzed(f)
	f.Fuzz(func(t *testing.T, which uint8, id, parameters string) {
		path := paths[int(which)%len(paths)]
		if strings.HasSuffix(path, "/") {
			path += id
		}
		target, err := url.ParseRequestURI(path + "?" + parameters)
		if err != nil {
			return // no server takes it
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.URL, r.RequestURI = target, target.RequestURI()
		answered(t, send(r))
	})
}
