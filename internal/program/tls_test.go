package program_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/program"
)

// newCertificate writes a certificate and its key for 127.0.0.1 over the files.
func newCertificate(t *testing.T, serial int64, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "millrace"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if file == "" {
			continue
		}
		// As renewal does: a new file in the old one's place.
		require.NoError(t, os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600))
		require.NoError(t, os.Rename(file+".new", file))
	}
}

// serveTLS serves the certificate and returns how to ask for its serial number.
func serveTLS(t *testing.T, certFile, keyFile string) (serial func() int64, address string) {
	t.Helper()
	config, err := program.TLS(certFile, keyFile, dbtest.Logger(t))
	require.NoError(t, err)
	listener, err := program.Listen(t.Context(), "", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := &http.Server{ReadHeaderTimeout: time.Minute, TLSConfig: config, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { ended <- program.Serve(ctx, server, listener, func() {}) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	address = listener.Addr().String()
	return func() int64 {
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the certificate is looked at below
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		secure, ok := conn.(*tls.Conn)
		require.True(t, ok)
		return secure.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}, address
}

func TestARenewedCertificateIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	newCertificate(t, 1, cert, key)
	serial, _ := serveTLS(t, cert, key)
	require.EqualValues(t, 1, serial())
	newCertificate(t, 2, cert, key)
	require.EqualValues(t, 2, serial())

	// Half of a renewal, and files that are gone or broken, leave the one before.
	newCertificate(t, 3, cert, "")
	require.EqualValues(t, 2, serial())
	require.NoError(t, os.WriteFile(cert, []byte("nonsense"), 0o600))
	require.EqualValues(t, 2, serial())
	require.NoError(t, os.Remove(key))
	require.EqualValues(t, 2, serial())
	newCertificate(t, 4, cert, key)
	require.EqualValues(t, 4, serial())
}

func TestTLSIsModern(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	newCertificate(t, 1, cert, key)
	_, address := serveTLS(t, cert, key)
	old := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}} //nolint:gosec // it is to be refused
	_, err := old.DialContext(t.Context(), "tcp", address)
	require.ErrorContains(t, err, "protocol version")

	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert) //nolint:gosec // the test's
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(text))
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
	require.NoError(t, err)
	answer, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 2, answer.ProtoMajor)
	client.CloseIdleConnections()
}

func TestACertificateThatCannotBeUsedStopsTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key, other := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "other.pem")
	newCertificate(t, 1, cert, key)
	newCertificate(t, 2, "", other)
	for _, files := range [][2]string{{cert, other}, {key, cert}, {filepath.Join(dir, "nothing.pem"), key}} {
		_, err := program.TLS(files[0], files[1], dbtest.Logger(t))
		require.ErrorContains(t, err, "TLS_CERT_FILE")
	}
}
