package devpg

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// watcherOf finds the second shell of a watchdog.
func watcherOf(t *testing.T, running *process) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range stats {
		content, err := os.ReadFile(path) //nolint:gosec // matched above
		if err != nil {
			continue // it has ended
		}
		pid, rest, _ := strings.Cut(string(content), " ")
		if strings.HasPrefix(rest, "(sh) ") && strings.Fields(rest)[2] == strconv.Itoa(running.command.Process.Pid) {
			number, err := strconv.Atoi(pid)
			require.NoError(t, err)
			return number
		}
	}
	require.FailNow(t, "the watchdog has no second shell")
	return 0
}

// TestAllShellsKilled is what `killall sh` does.
func TestAllShellsKilled(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Dir: usedDir(t)})
	pid := readNumber(server.dir.pidFile())
	require.NoError(t, syscall.Kill(watcherOf(t, server.process), syscall.SIGKILL))
	require.NoError(t, syscall.Kill(server.process.command.Process.Pid, syscall.SIGKILL))
	requireSoon(t, server.Done())
	requireOneLine(t, server.Err())
	requireIdle(t, string(server.dir))
	eventually(t, func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		return err != nil
	})
}
