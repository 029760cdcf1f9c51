package devpg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	readyInterval = 5 * time.Millisecond

	// readyTimeout is for a server that has to recover from a crash first.
	readyTimeout = time.Minute
)

// awaitReady returns when a connection to url succeeds, and fails when the
// server ends before that.
func awaitReady(ctx context.Context, running *process, d directory, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	var last error
	for {
		// Only then is the one that listens on the port certain to be ours.
		if d.saysReady() {
			last = ping(ctx, url)
			if last == nil {
				return nil
			}
			if isRefused(last) {
				return fmt.Errorf("devpg: the server does not accept its password: remove %s to begin anew: %w", d, oneLine(last))
			}
		}
		select {
		case <-running.done:
			if running.err == nil {
				return fmt.Errorf("devpg: start the server: it was stopped by somebody else (see %s)", d.log())
			}
			return fmt.Errorf("devpg: start the server: %w", running.err)
		case <-ctx.Done():
			return fmt.Errorf("devpg: wait for the server (see %s): %w", d.log(), oneLine(errors.Join(context.Cause(ctx), last)))
		case <-ticker.C:
		}
	}
}

func ping(ctx context.Context, url string) error {
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := connection.Ping(ctx); err != nil {
		_ = connection.Close(ctx) // the error that is being returned says more
		return fmt.Errorf("ping: %w", err)
	}
	if err := connection.Close(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// isRefused reports an invalid authorization specification, class 28 of
// https://www.postgresql.org/docs/current/errcodes-appendix.html.
func isRefused(err error) bool {
	refused := new(pgconn.PgError)
	return errors.As(err, &refused) && strings.HasPrefix(refused.Code, "28")
}

// isPortTaken reports whether the server ended because it could not listen.
func isPortTaken(err error) bool {
	ended := new(exitError)
	if !errors.As(err, &ended) {
		return false
	}
	lines := strings.Join(ended.lines, "\n")
	return strings.Contains(lines, "could not bind") && strings.Contains(lines, "Address already in use")
}
