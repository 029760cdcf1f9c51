package program

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// TLS returns how to serve with the certificate of a file, in PEM with what stands
// between it and its authority, and the key of another: TLS 1.2 and newer. The files
// are read again when they change, so that a renewed certificate needs no restart;
// while they cannot be read or do not belong together, the one before stays.
func TLS(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	c := &certificate{files: [2]string{certFile, keyFile}, logger: logger}
	if err := c.load(c.look()); err != nil {
		return nil, fmt.Errorf("TLS_CERT_FILE and TLS_KEY_FILE cannot be used: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

type certificate struct {
	files  [2]string
	logger *slog.Logger

	mu     sync.Mutex
	loaded *tls.Certificate
	seen   [2]os.FileInfo
}

// get implements tls.Config.GetCertificate. Looking at two files costs little
// beside a handshake.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.look()
	if same(c.seen[0], now[0]) && same(c.seen[1], now[1]) {
		return c.loaded, nil
	}
	if err := c.load(now); err != nil {
		c.logger.WarnContext(hello.Context(), "tls: the certificate cannot be read again; the one before is served", slog.Any("error", err))
		c.seen = now // it is not told at each handshake
		return c.loaded, nil
	}
	c.logger.InfoContext(hello.Context(), "tls: the certificate was read again")
	return c.loaded, nil
}

func (c *certificate) look() (seen [2]os.FileInfo) {
	for i, file := range c.files {
		seen[i], _ = os.Stat(file) // load explains what is wrong
	}
	return seen
}

func (c *certificate) load(seen [2]os.FileInfo) error {
	loaded, err := tls.LoadX509KeyPair(c.files[0], c.files[1])
	if err != nil {
		return err
	}
	c.loaded, c.seen = &loaded, seen
	return nil
}

// same reports whether a file is what it was: its place, size and time of change.
func same(before, now os.FileInfo) bool {
	if before == nil || now == nil {
		return before == nil && now == nil
	}
	return os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime())
}
