//go:build !linux

package devpg

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// runsOn reports whether the process is a PostgreSQL. Which directory it runs
// on cannot be seen here without privileges, so a server of somebody else that
// got the process id of ours after a crash counts too: the error names it.
func runsOn(ctx context.Context, pid int, _ string) bool {
	name, err := exec.CommandContext(ctx, "ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // the argument is a number
	return err == nil && strings.HasPrefix(filepath.Base(strings.TrimSpace(string(name))), "postgres")
}
