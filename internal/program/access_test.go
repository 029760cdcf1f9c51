package program_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// access serves over TLS by the files of a certificate, and takes tokens that are
// signed by a key of a key set.
func access(t *testing.T, dir string) {
	t.Helper()
	db := dbtest.New(t)
	_, _, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "demo", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	files := t.TempDir()
	cert, key := filepath.Join(files, "cert.pem"), filepath.Join(files, "key.pem")
	newCertificate(t, 1, cert, key)
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := signer.PublicKey.Bytes() // 4, x, y
	require.NoError(t, err)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`, base64URL(point[1:33]), base64URL(point[33:]))
	}))
	t.Cleanup(issuer.Close)
	token := func(scope string) string {
		text := base64URL([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + base64URL(fmt.Appendf(nil,
			`{"iss":"id","aud":["other","millrace"],"sub":"1","exp":%d,"meta":{"tenant":"demo","scopes":[%q]}}`, time.Now().Add(time.Hour).Unix(), scope))
		hash := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, signer, hash[:])
		require.NoError(t, err)
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return text + "." + base64URL(signature)
	}
	address := freePort(t)
	intake := launch(t, dir, "intake", "DATABASE_URL="+db.URL, "LISTEN_ADDR="+address, "METRICS_ADDR=127.0.0.1:0", "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key,
		"JWT_ISSUER=id", "JWT_AUDIENCE=millrace", "JWT_JWKS_URL="+issuer.URL, "JWT_TENANT_CLAIM=meta.tenant", "JWT_SCOPES_CLAIM=meta.scopes")
	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert) //nolint:gosec // the test's
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(text))
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	t.Cleanup(browser.CloseIdleConnections)
	ask := func(path, credentials string) (status int, hsts string) {
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "https://"+address+path, http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+credentials)
		answer, err := browser.Do(request)
		if err != nil {
			return 0, ""
		}
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, answer.Header.Get("Strict-Transport-Security")
	}
	require.Eventually(t, func() bool { status, _ := ask("/readyz", ""); return status == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	status, hsts := ask("/v1/jobs", token("jobs:read"))
	require.Equal(t, http.StatusOK, status)
	require.NotEmpty(t, hsts)
	status, _ = ask("/v1/jobs", token("metrics:write"))
	require.Equal(t, http.StatusForbidden, status)
	status, _ = ask("/v1/jobs", token("jobs:read")+"A")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, http.StatusBadRequest, get(t, "http://"+address+"/healthz"), "plain HTTP is not served beside it")
	browser.CloseIdleConnections()
	require.Equal(t, 0, intake.terminate())
}

func noCertificate(t *testing.T, dir string) {
	t.Helper()
	p := launch(t, dir, "intake", "DATABASE_URL=postgres://127.0.0.1:1/x", "LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0",
		"TLS_CERT_FILE=nowhere.pem", "TLS_KEY_FILE=nowhere.pem")
	require.Equal(t, 1, p.wait())
	require.Regexp(t, `(?m)^intake: [^\n]*TLS_CERT_FILE[^\n]*$`, p.stderr.String())
}
