package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// pidFile is where the server writes about itself, one fact a line: see
// "postmaster.pid" in src/include/utils/pidfile.h of PostgreSQL.
func (d directory) pidFile() string { return filepath.Join(d.data(), "postmaster.pid") }

// pidFileStatusLine counts from 0. The line is there since PostgreSQL 10.
const pidFileStatusLine = 7

// saysReady reports whether the server has written that it takes connections.
func (d directory) saysReady() bool {
	content, err := os.ReadFile(d.pidFile())
	if err != nil {
		return false
	}
	lines := strings.Split(string(content), "\n")
	return len(lines) > pidFileStatusLine && strings.TrimSpace(lines[pidFileStatusLine]) == "ready"
}

// clearPIDFile removes what a server that is gone left behind, so that a
// machine crash after which another process has the same id cannot block the
// start. The caller holds the server's lock: what is alive now was not started
// by this package, but for instance by pg_ctl.
func (d directory) clearPIDFile(ctx context.Context) error {
	if pid := readNumber(d.pidFile()); pid > 0 && runsOn(ctx, pid, d.data()) {
		return fmt.Errorf("devpg: a PostgreSQL (process %d) that millrace did not start runs on %s: stop it (kill -INT %d)", pid, d.data(), pid)
	}
	if err := os.Remove(d.pidFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("devpg: remove what the last server left behind: %w", err)
	}
	return nil
}
