package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/fault"
	"millrace/internal/telemetry"
)

func testLogger(w io.Writer) *slog.Logger {
	return telemetry.NewLogger(w, telemetry.LogOptions{Service: "test", Level: slog.LevelDebug})
}

func TestErrorsAreCountedByTheirCode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	payments := func(body, contentType string) request {
		return request{method: "POST", path: "/v1/payments", key: s.alice, body: body, header: map[string]string{"Idempotency-Key": "k", "Content-Type": contentType}}
	}
	const json = "application/json"
	want := map[fault.Code]float64{}
	for _, c := range []struct {
		request request
		code    fault.Code
	}{
		{request{method: "GET", path: "/v1/jobs"}, fault.AuthRequired},
		{request{method: "GET", path: "/v1/jobs", key: s.key("alice", apikey.MetricsWrite)}, fault.TenantAccessDenied},
		{request{method: "GET", path: "/v1/nothing"}, fault.NotFound},
		{request{method: "GET", path: "/v1/jobs/4711", key: s.alice}, fault.NotFound},
		{request{method: "DELETE", path: "/v1/payments"}, fault.MethodNotAllowed},
		{request{method: "GET", path: "/v1/jobs?limit=x", key: s.alice}, fault.InvalidInput}, // huma finds it
		{payments("{", json), fault.InvalidInput},
		{payments(`{"description":"`+strings.Repeat("x", 1<<20)+`"}`, json), fault.PayloadTooLarge},
		{payments("a=1", "application/x-www-form-urlencoded"), fault.UnsupportedMediaType},
		{request{method: "GET", path: "/healthz"}, ""},
		{request{method: "GET", path: "/v1/jobs", key: s.alice}, ""},
	} {
		a := s.do(c.request)
		if c.code != "" {
			require.EqualValues(t, c.code, a.code())
			want[c.code]++
		}
		for _, code := range fault.Codes() {
			// The answer may be there before it is counted.
			require.Eventually(t, func() bool { return s.counted("millrace_http_errors_total", "code", string(code)) == want[code] },
				10*time.Second, time.Millisecond, "%s after %s %s", code, c.request.method, c.request.path)
		}
	}
}

// secret stands for input: no answer and no log may repeat it.
const secret = "jane.doe.4711"

func TestBadRequestsGetAClearErrorAndLeaveNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	long := strings.Repeat("x", 1<<20+1)
	payments := func(body string, header ...string) request {
		h := map[string]string{"Idempotency-Key": "k"}
		for i := 0; i+1 < len(header); i += 2 {
			h[header[i]] = header[i+1]
		}
		return request{method: "POST", path: "/v1/payments", key: s.alice, body: body, header: h}
	}
	for name, c := range map[string]struct {
		request request
		status  int
		code    fault.Code
	}{
		"unknown route":        {request{method: "GET", path: "/v1/" + secret}, 404, fault.NotFound},
		"wrong method":         {request{method: "DELETE", path: "/v1/payments"}, 405, fault.MethodNotAllowed},
		"odd method":           {request{method: "BREW", path: "/v1/payments"}, 405, fault.MethodNotAllowed},
		"no key":               {request{method: "GET", path: "/v1/jobs"}, 401, fault.AuthRequired},
		"not a key":            {request{method: "GET", path: "/v1/jobs", key: secret}, 401, fault.AuthRequired},
		"unknown key":          {request{method: "GET", path: "/v1/jobs", key: "mrk_" + strings.Repeat("a", 16) + "_" + strings.Repeat("b", 52)}, 401, fault.AuthRequired},
		"basic auth":           {request{method: "GET", path: "/v1/jobs", header: map[string]string{"Authorization": "Basic " + secret}}, 401, fault.AuthRequired},
		"broken JSON":          {payments(`{"amount": ` + secret), 400, fault.InvalidInput},
		"no body":              {request{method: "POST", path: "/v1/payments", key: s.alice, header: map[string]string{"Idempotency-Key": "k", "Content-Type": "application/json"}}, 400, fault.InvalidInput},
		"an array":             {payments(`["` + secret + `"]`), 400, fault.InvalidInput},
		"null":                 {payments(`null`), 400, fault.InvalidInput},
		"unknown field":        {payments(`{"` + secret + `":1}`), 400, fault.InvalidInput},
		"wrong case":           {payments(`{"Amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`), 400, fault.InvalidInput},
		"tenant in the body":   {payments(`{"tenant_id":"mallory","amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`), 400, fault.InvalidInput},
		"float":                {payments(`{"amount":19.99,"currency":"usd","payment_method":"pm_card_visa"}`), 400, fault.InvalidInput},
		"trailing data":        {payments(charge + charge), 400, fault.InvalidInput},
		"NUL":                  {payments(`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","description":"\u0000"}`), 400, fault.InvalidInput},
		"surrogate":            {payments(`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","description":"\ud800"}`), 400, fault.InvalidInput},
		"deep":                 {payments(strings.Repeat("[", 10_000)), 400, fault.InvalidInput},
		"bad priority":         {payments(`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","priority":5}`), 400, fault.InvalidInput},
		"bad time":             {payments(`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","scheduled_at":"` + secret + `"}`), 400, fault.InvalidInput},
		"far future":           {payments(`{"amount":1999,"currency":"usd","payment_method":"pm_card_visa","scheduled_at":"2999-01-01T00:00:00Z"}`), 400, fault.InvalidInput},
		"too large":            {payments(`{"description":"` + long + `"}`), 413, fault.PayloadTooLarge},
		"form":                 {payments("amount=1", "Content-Type", "application/x-www-form-urlencoded"), 415, fault.UnsupportedMediaType},
		"compressed":           {payments(charge, "Content-Encoding", "gzip"), 415, fault.UnsupportedMediaType},
		"no idempotency key":   {payments(charge, "Idempotency-Key", ""), 400, fault.InvalidInput},
		"long idempotency key": {payments(charge, "Idempotency-Key", strings.Repeat("k", 256)), 400, fault.InvalidInput},
		"key with spaces":      {payments(charge, "Idempotency-Key", "a b"), 400, fault.InvalidInput},
		"bad wait":             {payments(charge, "Prefer", "wait="+secret), 400, fault.InvalidInput},
		"unknown parameter":    {request{method: "GET", path: "/v1/jobs?" + secret + "=1", key: s.alice}, 400, fault.InvalidInput},
		"bad limit":            {request{method: "GET", path: "/v1/jobs?limit=" + secret, key: s.alice}, 400, fault.InvalidInput},
		"limit too high":       {request{method: "GET", path: "/v1/jobs?limit=101", key: s.alice}, 400, fault.InvalidInput},
		"bad state":            {request{method: "GET", path: "/v1/jobs?state=" + secret, key: s.alice}, 400, fault.InvalidInput},
		"bad page token":       {request{method: "GET", path: "/v1/jobs?page_token=" + secret, key: s.alice}, 400, fault.InvalidInput},
		"job id of letters":    {request{method: "GET", path: "/v1/jobs/" + secret, key: s.alice}, 404, fault.NotFound},
		"job id with a zero":   {request{method: "GET", path: "/v1/jobs/01", key: s.alice}, 404, fault.NotFound},
		"payment id":           {request{method: "GET", path: "/v1/payments/" + secret, key: s.alice}, 404, fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.do(c.request)
			require.Equal(t, c.status, a.status, a.text)
			require.Equal(t, string(c.code), a.code(), a.text)
			require.NotEmpty(t, a.at("error"))
			require.Equal(t, a.header.Get("X-Request-Id"), a.at("request_id"))
			require.NotContains(t, a.text, secret)
			require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
			if c.status == 401 {
				require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
			}
		})
	}
	t.Cleanup(func() {
		require.Zero(t, s.count("submissions"), "bad requests leave nothing behind")
		require.Zero(t, s.count("river_job"))
		require.NotContains(t, s.logs.String(), secret)
	})
}

func TestAPanicIsAnAnswerWithoutItsValue(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Engine().GET("/panic", func(*gin.Context) { panic(errors.New(secret)) })
	a := s.do(request{method: "GET", path: "/panic"})
	require.Equal(t, 500, a.status)
	require.Equal(t, "UNKNOWN", a.code())
	require.NotContains(t, a.text+s.logs.String(), secret)
	require.Contains(t, s.logs.String(), `"msg":"panic"`)
}

func TestAForeignRequestIDIsKeptOnlyWhenHarmless(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	get := func(id string) string {
		return s.do(request{method: "GET", path: "/healthz", header: map[string]string{"X-Request-Id": id}}).header.Get("X-Request-Id")
	}
	require.Equal(t, "abc-123", get("abc-123"))
	require.NotContains(t, get(`x" onload="`), "onload")
	require.NotEmpty(t, get(""))
}

func TestABodyThatDoesNotArriveIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /v1/payments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", s.alice)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(text), "408")
	require.Contains(t, string(text), "REQUEST_TIMEOUT")
}

func TestStatusKnowsEveryCode(t *testing.T) {
	t.Parallel()
	want := map[fault.Code]int{
		fault.InvalidInput: 400, fault.PHIDetected: 422, fault.IdempotencyMismatch: 422, fault.AuthRequired: 401, fault.PaymentFailed: 402,
		fault.TenantAccessDenied: 403, fault.NotFound: 404, fault.MethodNotAllowed: 405, fault.RequestTimeout: 408,
		fault.PayloadTooLarge: 413, fault.UnsupportedMediaType: 415, fault.SlotUnavailable: 409, fault.IdempotencyInProgress: 409, fault.Conflict: 409,
		fault.JobCancelled: 409, fault.RateLimitExceeded: 429, fault.Unknown: 500, fault.DBError: 500, fault.MaskingFailed: 500, fault.Unavailable: 503,
	}
	require.Len(t, want, len(fault.Codes()))
	for _, code := range fault.Codes() {
		require.Equal(t, want[code], api.Status(code), code)
	}
}

func TestDocsNeedNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	page := s.do(request{method: "GET", path: "/docs"})
	require.Equal(t, 200, page.status)
	require.NotRegexp(t, `(src|href)="(https?:)?//`, page.text)
	policy := page.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	for scripts := page.text; ; {
		_, after, more := strings.Cut(scripts, "<script>")
		if !more {
			break
		}
		var script string
		script, scripts, _ = strings.Cut(after, "</script>")
		hash := sha256.Sum256([]byte(script))
		require.Contains(t, policy, "'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'", "the page's own scripts run")
	}
	require.NotContains(t, strings.Split(policy, "style-src")[0], "unsafe", "and no others")
	require.Equal(t, http.StatusOK, s.do(request{method: "GET", path: "/openapi.json"}).status)
}
