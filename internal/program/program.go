// Package program holds what every program of Millrace does around its work:
// signals, listeners, servers that drain, and one-line errors.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"millrace/internal/seal"
)

// drainTimeout bounds how long a server waits for requests in flight. It is
// longer than the API's longest answer without a wait.
const drainTimeout = 15 * time.Second

// Main runs a program until it ends or SIGINT or SIGTERM arrives, and returns
// its exit code: 0, or after writing the error to stderr in one line the error's
// ExitCode if it has that method, else 1. A second signal ends it at once.
func Main(name string, stderr io.Writer, run func(ctx context.Context) error) int {
	tune()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := run(ctx); err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "; "))
		if exit, ok := errors.AsType[interface {
			error
			ExitCode() int
		}](err); ok {
			return exit.ExitCode()
		}
		return 1
	}
	return 0
}

// tune spends memory on speed, as our heaps are small: the collector runs a
// quarter as often (GOGC overrides it), and random bits for ids are drawn in bulk.
func tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	uuid.EnableRandPool()
}

// Version returns the version that the Go tool recorded at build time.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			version = setting.Value
		}
	}
	if version == "" || version == "(devel)" {
		return "devel"
	}
	return version
}

// TellEncryption warns, once at the start, when nothing will be encrypted.
func TellEncryption(ctx context.Context, logger *slog.Logger, keys *seal.Keys) {
	if keys == nil {
		logger.WarnContext(ctx, "encryption at rest is off: what rows say about people is stored in the clear; set ENCRYPTION_KEYS or ENCRYPTION_KEYS_FILE (docs/encryption.md)")
	}
}

// Listen opens a TCP listener. An address in use is an error that names the
// address and the variable that changes it.
func Listen(ctx context.Context, variable, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(address)
		return nil, fmt.Errorf("port %s (%s) is in use; stop what uses it, or set %s to another host:port", port, address, variable)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s; set %s to a host:port of this machine", address, variable)
	}
	return listener, nil
}

// Serve runs an HTTP server until ctx ends, over TLS when it has a TLSConfig; then it takes no new connections,
// calls drain, and returns when the requests in flight are answered.
func Serve(ctx context.Context, server *http.Server, listener net.Listener, drain func()) error {
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(listener, "", "")
			return
		}
		failed <- server.Serve(listener)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	drain()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
		return fmt.Errorf("requests were still in flight after %s: %w", drainTimeout, err)
	}
	return nil
}
