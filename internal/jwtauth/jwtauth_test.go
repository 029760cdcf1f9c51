package jwtauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/jwtauth"
	"millrace/internal/postgres"
	"millrace/internal/telemetry"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

const (
	issuer   = "https://id.example.com/"
	audience = "millrace"
	subject  = "5f0c1de2-5a3f-4f6e-9d0a-1c2b3d4e5f60"
	secret   = "0123456789abcdef0123456789abcdef"
)

// provider is an identity provider: it signs tokens and serves its public keys.
type provider struct {
	server *httptest.Server
	set    atomic.Pointer[string] // what it answers
	status atomic.Int32
	asked  atomic.Int32
	hang   atomic.Bool
	freed  chan struct{}
	now    atomic.Int64 // Unix seconds
	db     *dbtest.DB
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{db: dbtest.New(t), freed: make(chan struct{})}
	p.now.Store(time.Now().Unix())
	p.status.Store(http.StatusOK)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if p.hang.Load() {
			select {
			case <-r.Context().Done():
			case <-p.freed:
			}
			return
		}
		w.WriteHeader(int(p.status.Load()))
		if set := p.set.Load(); set != nil {
			_, _ = w.Write([]byte(*set))
		}
	}))
	t.Cleanup(func() {
		close(p.freed)
		p.server.Close()
	})
	_, _, err := apikey.Create(t.Context(), p.db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	return p
}

func (p *provider) clock() time.Time { return time.Unix(p.now.Load(), 0) }

func (p *provider) verifier(t *testing.T, change func(*jwtauth.Options)) *jwtauth.Verifier {
	t.Helper()
	opts := jwtauth.Options{
		Issuer: issuer, Audience: audience, JWKSURL: p.server.URL, Now: p.clock, Logger: dbtest.Logger(t),
		Tenants: apikey.NewTenants(p.db.Tenancy(t, postgres.Intake)),
	}
	if change != nil {
		change(&opts)
	}
	v, err := jwtauth.New(opts)
	require.NoError(t, err)
	return v
}

func withSecret(opts *jwtauth.Options) { opts.JWKSURL, opts.Secret = "", secret }

// publish makes the provider answer with these keys.
func (p *provider) publish(t *testing.T, keys ...map[string]string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	set := string(text)
	p.set.Store(&set)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func ecJWK(t *testing.T, id string, k *ecdsa.PrivateKey) map[string]string {
	t.Helper()
	point, err := k.PublicKey.Bytes() // 4, x, y
	require.NoError(t, err)
	return map[string]string{"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256", "x": b64(point[1:33]), "y": b64(point[33:])}
}

func rsaJWK(id string, k *rsa.PrivateKey) map[string]string {
	return map[string]string{"kty": "RSA", "kid": id, "use": "sig", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
}

// claims are right, apart from what change does.
func (p *provider) claims(change func(jwt.MapClaims)) jwt.MapClaims {
	now := p.clock()
	claims := jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": subject, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"tenant_id": "alice", "scope": "openid jobs:read jobs:write",
	}
	if change != nil {
		change(claims)
	}
	return claims
}

func sign(t *testing.T, method jwt.SigningMethod, id string, key any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if id != "" {
		token.Header["kid"] = id
	}
	text, err := token.SignedString(key)
	require.NoError(t, err)
	return text
}

func requireRefused(t *testing.T, v *jwtauth.Verifier, token string, what ...any) {
	t.Helper()
	key, err := v.Verify(t.Context(), token)
	f := fault.From(err)
	require.NotNil(t, f, what...)
	require.Equal(t, fault.AuthRequired, f.Code, what...)
	require.Equal(t, apikey.Refused(), f, what...)
	require.Empty(t, key.Tenant, what...)
}

func TestATokenIsAKeyOfItsTenant(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	ec, small := ecKey(t), func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		return k
	}()
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p.publish(t, ecJWK(t, "ec", ec), rsaJWK("rsa", small), map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(public)})
	v := p.verifier(t, nil)
	for name, token := range map[string]string{
		"ES256": sign(t, jwt.SigningMethodES256, "ec", ec, p.claims(nil)),
		"RS256": sign(t, jwt.SigningMethodRS256, "rsa", small, p.claims(nil)),
		"PS512": sign(t, jwt.SigningMethodPS512, "rsa", small, p.claims(nil)),
		"EdDSA": sign(t, jwt.SigningMethodEdDSA, "ed", ed, p.claims(nil)),
	} {
		key, err := v.Verify(t.Context(), token)
		require.NoError(t, err, name)
		require.Equal(t, apikey.Key{
			ID: "jwt:" + subject, Tenant: "alice", Scopes: []apikey.Scope{apikey.JobsRead, apikey.JobsWrite},
			Rules: apikey.Rules{PHI: apikey.PHIMask, MaxWaitingJobs: 100_000},
		}, key, name)
		require.Equal(t, "jwt:"+subject, key.Actor())
	}
	require.EqualValues(t, 1, p.asked.Load(), "the keys are read once")
}

func TestATokenThatIsNotRightIsRefused(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k, other := ecKey(t), ecKey(t)
	p.publish(t, ecJWK(t, "k", k), ecJWK(t, "other", other))
	v := p.verifier(t, nil)
	set := func(name string, value any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c[name] = value }
	}
	drop := func(name string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, name) } }
	now := p.clock()
	for name, change := range map[string]func(jwt.MapClaims){
		"expired":               set("exp", now.Add(-31*time.Second).Unix()),
		"no expiry":             drop("exp"),
		"expiry of a text":      set("exp", "tomorrow"),
		"not yet":               set("nbf", now.Add(time.Minute).Unix()),
		"from the future":       set("iat", now.Add(time.Minute).Unix()),
		"another issuer":        set("iss", "https://evil.example.com/"),
		"no issuer":             drop("iss"),
		"issuer in other case":  set("iss", strings.ToUpper(issuer)),
		"another audience":      set("aud", []string{"other", "Millrace"}),
		"no audience":           drop("aud"),
		"no tenant":             drop("tenant_id"),
		"unknown tenant":        set("tenant_id", "bob"),
		"tenant in upper case":  set("tenant_id", "ALICE"),
		"tenant capitalised":    set("tenant_id", "Alice"),
		"tenant with a space":   set("tenant_id", "alice "),
		"tenant with a NUL":     set("tenant_id", "alice\x00"),
		"tenant in a list":      set("tenant_id", []string{"alice"}),
		"claim in another case": func(c jwt.MapClaims) { delete(c, "tenant_id"); c["Tenant_ID"] = "alice" },
		"no subject":            drop("sub"),
	} {
		requireRefused(t, v, sign(t, jwt.SigningMethodES256, "k", k, p.claims(change)), name)
	}
	good := sign(t, jwt.SigningMethodES256, "k", k, p.claims(nil))
	_, err := v.Verify(t.Context(), good)
	require.NoError(t, err)
	critical := jwt.NewWithClaims(jwt.SigningMethodES256, p.claims(nil))
	critical.Header["kid"], critical.Header["crit"] = "k", []string{"x"}
	withCritical, err := critical.SignedString(k)
	require.NoError(t, err)
	kidOfNumber := jwt.NewWithClaims(jwt.SigningMethodES256, p.claims(nil))
	kidOfNumber.Header["kid"] = 1
	withNumber, err := kidOfNumber.SignedString(k)
	require.NoError(t, err)
	parts := strings.Split(good, ".")
	forged, err := json.Marshal(p.claims(set("tenant_id", "mallory")))
	require.NoError(t, err)
	for name, token := range map[string]string{
		"nothing": "", "dots": "..", "no token": "abc", "a key": "mrk_a_b",
		"another key's id":      sign(t, jwt.SigningMethodES256, "other", k, p.claims(nil)),
		"an unknown id":         sign(t, jwt.SigningMethodES256, "who", k, p.claims(nil)),
		"no id of two":          sign(t, jwt.SigningMethodES256, "", k, p.claims(nil)),
		"a key of nobody":       sign(t, jwt.SigningMethodES256, "k", ecKey(t), p.claims(nil)),
		"none":                  sign(t, jwt.SigningMethodNone, "k", jwt.UnsafeAllowNoneSignatureType, p.claims(nil)),
		"None":                  b64([]byte(`{"alg":"None","kid":"k"}`)) + "." + parts[1] + ".",
		"without signature":     parts[0] + "." + parts[1] + ".",
		"other claims":          parts[0] + "." + b64(forged) + "." + parts[2],
		"critical extension":    withCritical,
		"an id that is no text": withNumber,
		"too long":              sign(t, jwt.SigningMethodES256, "k", k, p.claims(set("x", strings.Repeat("x", 8<<10)))),
	} {
		requireRefused(t, v, token, name)
	}
}

func TestClocksMayDifferALittle(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	v := p.verifier(t, withSecret)
	for _, change := range []func(jwt.MapClaims){
		func(c jwt.MapClaims) { c["exp"] = p.clock().Add(-20 * time.Second).Unix() },
		func(c jwt.MapClaims) { c["nbf"] = p.clock().Add(20 * time.Second).Unix() },
		func(c jwt.MapClaims) { c["iat"] = p.clock().Add(20 * time.Second).Unix() },
	} {
		_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, "", []byte(secret), p.claims(change)))
		require.NoError(t, err)
	}
}

// A public key is known to everybody: who could sign by it as a secret could be anybody.
func TestAPublicKeyIsNoSecret(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	jwk := rsaJWK("k", k)
	p.publish(t, jwk, map[string]string{"kty": "oct", "kid": "oct", "k": b64([]byte(secret))})
	v := p.verifier(t, nil)
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	require.NoError(t, err)
	text, err := json.Marshal(jwk)
	require.NoError(t, err)
	for name, public := range map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "DER": der, "JWK": text, "n": []byte(jwk["n"]),
	} {
		for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
			requireRefused(t, v, sign(t, method, "k", public, p.claims(nil)), name, method.Alg())
		}
	}
	requireRefused(t, v, sign(t, jwt.SigningMethodHS256, "oct", []byte(secret), p.claims(nil)), "a secret in a key set")

	// And the other way round: with a secret nothing else counts.
	s := p.verifier(t, withSecret)
	_, err = s.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, "", []byte(secret), p.claims(nil)))
	require.NoError(t, err)
	requireRefused(t, s, sign(t, jwt.SigningMethodRS256, "k", k, p.claims(nil)))
	requireRefused(t, s, sign(t, jwt.SigningMethodHS512, "", []byte(secret), p.claims(nil)))
	requireRefused(t, s, sign(t, jwt.SigningMethodNone, "", jwt.UnsafeAllowNoneSignatureType, p.claims(nil)))
	requireRefused(t, s, sign(t, jwt.SigningMethodHS256, "", []byte(secret+"x"), p.claims(nil)))
}

func TestScopesAndTenantComeFromTheNamedClaims(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	v := p.verifier(t, func(o *jwtauth.Options) { // Supabase's
		withSecret(o)
		o.TenantClaim, o.ScopesClaim = "app_metadata.tenant_id", "app_metadata.scopes"
	})
	for name, c := range map[string]struct {
		scopes any
		want   []apikey.Scope
	}{
		"array":         {[]string{"jobs:write", "admin", "phi:reveal"}, []apikey.Scope{apikey.JobsWrite, apikey.PHIReveal}},
		"text":          {"ops:admin  jobs:read", []apikey.Scope{apikey.JobsRead, apikey.OpsAdmin}},
		"other case":    {"OPS:ADMIN Jobs:Read", nil},
		"mixed array":   {[]any{1, "jobs:read", nil}, []apikey.Scope{apikey.JobsRead}},
		"number":        {7, nil},
		"none":          {nil, nil},
		"commas":        {"jobs:read,jobs:write", nil},
		"in an element": {[]string{"jobs:read jobs:write"}, nil},
	} {
		key, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, "", []byte(secret), p.claims(func(m jwt.MapClaims) {
			delete(m, "tenant_id") // and the scope claim does not count
			m["app_metadata"] = map[string]any{"tenant_id": "alice", "scopes": c.scopes}
		})))
		require.NoError(t, err, name)
		require.ElementsMatch(t, c.want, key.Scopes, name)
	}
	for _, metadata := range []any{nil, "alice", map[string]any{"tenant_id": map[string]any{"x": "alice"}}, []any{"alice"}} {
		requireRefused(t, v, sign(t, jwt.SigningMethodHS256, "", []byte(secret), p.claims(func(m jwt.MapClaims) { m["app_metadata"] = metadata })))
	}
}

func TestASubjectThatSaysWhoItIsIsHashed(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	v := p.verifier(t, withSecret)
	seen := map[string]bool{}
	for _, sub := range []string{"jane.doe@example.com", "jane", "auth0|4155552671", "JANE.DOE@example.com", "{5f0c1de2-5a3f-4f6e-9d0a-1c2b3d4e5f60}"} {
		key, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, "", []byte(secret), p.claims(func(m jwt.MapClaims) { m["sub"] = sub })))
		require.NoError(t, err)
		require.Regexp(t, `^jwt:sha256-[0-9a-f]{16}$`, key.ID, sub)
		seen[key.ID] = true
	}
	require.Len(t, seen, 5)
}

func TestAShreddedTenantsTokensAreRefused(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	_, err := p.db.Pool(t, postgres.Login).Exec(t.Context(), "UPDATE tenants SET shredded_at = now()")
	require.NoError(t, err)
	requireRefused(t, p.verifier(t, withSecret), sign(t, jwt.SigningMethodHS256, "", []byte(secret), p.claims(nil)))
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	good := jwtauth.Options{Issuer: "i", Audience: "a", Secret: secret, Tenants: apikey.NewTenants(db.Tenancy(t, postgres.Intake)), Logger: dbtest.Logger(t)}
	_, err := jwtauth.New(good)
	require.NoError(t, err)
	for name, change := range map[string]func(*jwtauth.Options){
		"issuer":       func(o *jwtauth.Options) { o.Issuer = "" },
		"audience":     func(o *jwtauth.Options) { o.Audience = "" },
		"tenants":      func(o *jwtauth.Options) { o.Tenants = nil },
		"logger":       func(o *jwtauth.Options) { o.Logger = nil },
		"short secret": func(o *jwtauth.Options) { o.Secret = telemetry.Secret(secret[1:]) },
		"both":         func(o *jwtauth.Options) { o.JWKSURL = "https://id.example.com" },
		"neither":      func(o *jwtauth.Options) { o.Secret = "" },
	} {
		opts := good
		change(&opts)
		_, err := jwtauth.New(opts)
		require.Error(t, err, name)
	}
}
