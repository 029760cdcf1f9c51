package api_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
)

func TestEveryAnswerHasSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, r := range []request{
		{method: "GET", path: "/healthz"},
		{method: "GET", path: "/openapi.json"},
		{method: "GET", path: "/v1/jobs", key: s.alice},
		{method: "GET", path: "/v1/jobs"},
		{method: "POST", path: "/v1/payments", key: s.alice, body: "{"},
		{method: "GET", path: "/nowhere"},
		{method: "DELETE", path: "/v1/payments"},
		{method: "GET", path: "/"},
		{method: "GET", path: "/docs"},
		{method: "GET", path: "/docs/scores"},
		{method: "GET", path: "/docs/metrics"},
	} {
		a := s.do(r)
		header := a.header
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), r.path)
		require.Equal(t, "DENY", header.Get("X-Frame-Options"), r.path)
		require.Equal(t, "no-referrer", header.Get("Referrer-Policy"), r.path)
		require.Equal(t, "no-store", header.Get("Cache-Control"), r.path)
		require.Equal(t, "same-origin", header.Get("Cross-Origin-Opener-Policy"), r.path)
		require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"), r.path)
		require.Contains(t, header.Get("Permissions-Policy"), "camera=()", r.path)
		require.Len(t, header.Values("Content-Security-Policy"), 1, r.path)
		require.Contains(t, header.Get("Content-Security-Policy"), "frame-ancestors 'none'", r.path)
		if strings.HasPrefix(header.Get("Content-Type"), "application/json") {
			require.Equal(t, "default-src 'none'; frame-ancestors 'none'", header.Get("Content-Security-Policy"), r.path)
		}
		require.Empty(t, header.Get("Server"), r.path)
		require.Empty(t, header.Get("Access-Control-Allow-Origin"), r.path)
	}
}

func TestHSTSIsForTLSAlone(t *testing.T) {
	t.Parallel()
	const hsts = "Strict-Transport-Security"
	forwarded := request{method: "GET", path: "/healthz", header: map[string]string{"X-Forwarded-Proto": "https"}}
	plain := newSite(t)
	require.Empty(t, plain.do(request{method: "GET", path: "/healthz"}).header.Get(hsts))
	require.Empty(t, plain.do(forwarded).header.Get(hsts), "nobody is believed by default")

	behind := newSite(t, func(o *api.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	require.Contains(t, behind.do(forwarded).header.Get(hsts), "max-age=31536000")
	forwarded.header["X-Forwarded-Proto"] = "http"
	require.Empty(t, behind.do(forwarded).header.Get(hsts))
	elsewhere := newSite(t, func(o *api.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	forwarded.header["X-Forwarded-Proto"] = "https"
	require.Empty(t, elsewhere.do(forwarded).header.Get(hsts))

	recorder := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/nowhere", http.NoBody)
	r.TLS = &tls.ConnectionState{}
	plain.server.ServeHTTP(recorder, r)
	require.Equal(t, http.StatusNotFound, recorder.Code)
	require.NotEmpty(t, recorder.Header().Get(hsts), "errors have it too")
}

func TestOnlyATrustedProxySaysWhoTheClientIs(t *testing.T) {
	t.Parallel()
	source := func(trusted string, header map[string]string) string {
		s := newSite(t, func(o *api.Options) {
			if trusted != "" {
				o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(trusted)}
			}
		})
		var seen string
		s.server.Engine().GET("/seen", s.server.SourceOf(&seen))
		s.do(request{method: "GET", path: "/seen", header: header})
		return seen
	}
	xff := map[string]string{"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
	require.Equal(t, "127.0.0.1", source("", xff))
	require.Equal(t, "127.0.0.1", source("10.0.0.0/8", xff))
	require.Equal(t, "198.51.100.7", source("127.0.0.1/32", xff), "what the proxy added, and not what the client wrote in front")
	require.Equal(t, "127.0.0.1", source("127.0.0.1/32", map[string]string{"X-Real-Ip": "203.0.113.9"}))
}

func TestCORSIsForTheOriginsThatAreNamed(t *testing.T) {
	t.Parallel()
	const app, evil = "https://app.example.com", "https://app.example.com.evil.example"
	preflight := func(origin string) request {
		return request{method: "OPTIONS", path: "/v1/payments", header: map[string]string{
			"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
		}}
	}
	closed := newSite(t)
	a := closed.do(preflight(app))
	require.Equal(t, 405, a.status)
	require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))

	s := newSite(t, func(o *api.Options) { o.Origins = []string{app, "http://localhost:3000"} })
	for _, path := range []string{"/v1/payments", "/v1/jobs/1"} {
		r := preflight(app)
		r.path = path
		a = s.do(r)
		require.Equal(t, 204, a.status, "before credentials are looked for")
		require.Equal(t, app, a.header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "POST", a.header.Get("Access-Control-Allow-Methods"))
		require.Equal(t, "authorization,content-type,idempotency-key", a.header.Get("Access-Control-Allow-Headers"))
		require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
		require.Contains(t, a.header.Get("Vary"), "Origin")
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		require.NotEmpty(t, a.header.Get("X-Request-Id"))
	}
	for _, origin := range []string{evil, "http://app.example.com", "https://app.example.com:8443", "null", "https://APP.example.com.", "https://xapp.example.com"} {
		a = s.do(preflight(origin))
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"), origin)
		a = s.do(request{method: "GET", path: "/v1/jobs", key: s.alice, header: map[string]string{"Origin": origin}})
		require.Equal(t, 200, a.status, "the browser keeps the answer from the page")
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"), origin)
		require.Contains(t, a.header.Get("Vary"), "Origin", "a cache must not hand it on")
	}
	odd := preflight(app)
	odd.header["Access-Control-Request-Headers"] = "x-evil"
	require.Empty(t, s.do(odd).header.Get("Access-Control-Allow-Origin"))
	odd = preflight(app)
	odd.header["Access-Control-Request-Method"] = "TRACE"
	require.Empty(t, s.do(odd).header.Get("Access-Control-Allow-Origin"))

	a = s.do(request{method: "GET", path: "/v1/jobs", header: map[string]string{"Origin": app}})
	require.Equal(t, 401, a.status, "an error is readable, too")
	require.Equal(t, app, a.header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, a.header.Get("Access-Control-Expose-Headers"), "Location")
	require.Equal(t, 405, s.do(request{method: "OPTIONS", path: "/v1/payments", header: map[string]string{"Origin": app}}).status, "no preflight")
}

// hostile are bodies that every door refuses in the same way.
func hostile() map[string]string {
	return map[string]string{
		"deep arrays":        `{"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
		"deep objects":       strings.Repeat(`{"x":`, 10_000) + "1" + strings.Repeat("}", 10_000),
		"deep and unclosed":  `{"x":` + strings.Repeat("[", 100_000),
		"a name twice":       `{"kind":"a","kind":"b"}`,
		"a NUL":              `{"kind":"\u0000","notes":"\u0000","text":"\u0000"}`,
		"a raw NUL":          "{\"text\":\"\x00\"}",
		"a lone surrogate":   `{"kind":"\ud800","text":"\udc00"}`,
		"swapped surrogates": `{"text":"\udc00\ud800"}`,
		"no UTF-8":           "{\"text\":\"\xff\"}",
		"a NUL in a name":    `{"a\u0000b":1}`,
		"trailing data":      `{} {}`,
		"an array":           `[]`,
	}
}

func TestHostileBodiesAreRefusedAtEveryDoor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := s.key("alice", apikey.Scopes()...)
	for _, door := range bodies(s) {
		for name, body := range hostile() {
			a := s.do(request{method: door.method, path: door.path, key: key, body: body, header: map[string]string{"Idempotency-Key": "k"}})
			require.Equal(t, 400, a.status, "%s %s: %s: %s", door.method, door.path, name, a.text)
			require.Equal(t, "INVALID_INPUT", a.code(), "%s: %s", door.path, name)
		}
		var bomb bytes.Buffer
		compressor := gzip.NewWriter(&bomb)
		_, err := compressor.Write(bytes.Repeat([]byte(" "), 10<<20))
		require.NoError(t, err)
		require.NoError(t, compressor.Close())
		for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "gzip, identity"} {
			a := s.do(request{method: door.method, path: door.path, key: key, body: bomb.String(), header: map[string]string{"Content-Encoding": encoding}})
			require.Equal(t, 415, a.status, "%s %s: %s", door.method, door.path, encoding)
		}
		a := s.do(request{method: door.method, path: door.path, key: key, body: `{"text":"` + strings.Repeat("x", 5<<20) + `"}`})
		require.Equal(t, 413, a.status, "%s %s", door.method, door.path)
	}
	require.Zero(t, s.count("submissions"))
	require.Zero(t, s.count("metric_chunks"))
}

// Whose rows a request sees is the key's alone to say.
func TestNamingAnotherTenantHasNoEffect(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.Equal(t, 202, s.pay(s.mallory, "k", charge).status)
	for _, header := range []string{"X-Tenant-Id", "X-Tenant", "Tenant", "Tenant-Id", "X-Millrace-Tenant"} {
		a := s.do(request{method: "GET", path: "/v1/jobs", key: s.alice, header: map[string]string{header: "mallory"}})
		require.Empty(t, a.at("jobs"), header)
	}
	for _, name := range []string{"tenant", "tenant_id", "TENANT_ID"} {
		require.Equal(t, 400, s.do(request{method: "GET", path: "/v1/jobs?" + name + "=mallory", key: s.alice}).status, name)
		body := `{"` + name + `":"mallory",` + charge[1:]
		require.Equal(t, 400, s.pay(s.alice, "k", body).status, name)
		for _, options := range []string{`"` + name + `":"mallory",`, ``} {
			args := charge
			if options == "" {
				args = body
			}
			a := s.do(request{method: "POST", path: "/v1/jobs", key: s.alice, body: `{` + options + `"kind":"payment_capture","args":` + args + `}`, header: map[string]string{"Idempotency-Key": "k"}})
			require.Equal(t, 400, a.status, name)
		}
	}
	// Mallory's own key goes first, whatever else is named.
	a := s.do(request{method: "GET", path: "/v1/jobs", key: s.mallory, header: map[string]string{"X-Tenant-Id": "alice"}})
	require.Len(t, a.at("jobs"), 1)
}

func TestCredentialsAreABearers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for authorization, want := range map[string]int{
		"Bearer " + s.alice: 200, "bearer " + s.alice: 200, "BEARER  " + s.alice: 200,
		s.alice: 401, "Basic " + s.alice: 401, "Bearer": 401, "Bearer ": 401, "Bearer Bearer " + s.alice: 401, "Bearer " + s.alice + " x": 401,
	} {
		a := s.do(request{method: "GET", path: "/v1/jobs", header: map[string]string{"Authorization": authorization}})
		require.Equal(t, want, a.status)
	}
	require.Equal(t, 401, s.do(request{method: "GET", path: "/v1/jobs?api_key=" + s.alice}).status, "a key in an address is none")
}

// A client that sends its headers a byte an hour, or without end, is sent away.
func TestHeadersAreBoundedInTimeAndSize(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dial := func(send string) string {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		_, err = conn.Write([]byte(send))
		require.NoError(t, err)
		text, err := io.ReadAll(conn)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		return string(text)
	}
	require.NotContains(t, dial("GET /healthz HTTP/1.1\r\nHost: x\r\n"), " 200 ")
	a := s.do(request{method: "GET", path: "/healthz", header: map[string]string{"X-Long": strings.Repeat("x", 40<<10)}})
	require.Equal(t, 431, a.status)
}
