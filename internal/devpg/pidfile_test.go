package devpg

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// sleeper is a process of the account that the server on dir runs as, working
// in a directory.
func sleeper(t *testing.T, server account, workingDir string) int {
	t.Helper()
	path, err := exec.LookPath("sleep")
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), path, "600") //nolint:gosec // found on PATH
	command.SysProcAttr = server.attributes()
	command.Dir = workingDir
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command.Process.Pid
}

func TestStalePIDFileDoesNotBlock(t *testing.T) {
	t.Parallel()
	dir := directory(usedDir(t))

	// After a machine crash the id may belong to any process, and one of the
	// same account makes PostgreSQL itself refuse to start.
	account, err := chooseAccount(dir, os.Geteuid())
	require.NoError(t, err)
	pid := sleeper(t, account, "/")
	content := fmt.Sprintf("%d\n%s\n1\n1\n\n127.0.0.1\n0 0\nready   \n", pid, dir.data())
	require.NoError(t, os.WriteFile(dir.pidFile(), []byte(content), 0o600))
	require.NoError(t, account.own(dir.pidFile()))

	newServer(t, Options{Dir: string(dir)})
	require.NotEqual(t, pid, readNumber(dir.pidFile()))
}

func TestServerOfSomebodyElse(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere the process would have to be called postgres")
	}
	dir := directory(t.TempDir())
	require.NoError(t, os.Mkdir(dir.data(), 0o700))
	pid := sleeper(t, account{}, dir.data())
	require.NoError(t, os.WriteFile(dir.pidFile(), fmt.Appendln(nil, pid), 0o600))

	err := dir.clearPIDFile(t.Context())
	requireOneLine(t, err)
	require.ErrorContains(t, err, fmt.Sprintf("kill -INT %d", pid))
	require.FileExists(t, dir.pidFile())
}
