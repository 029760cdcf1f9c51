package devpg

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOwnerKilledLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	owner := startHelper(t, dir)
	owner.expect(t, "starting")
	owner.expect(t, "ready")
	pid := readNumber(directory(dir).pidFile())
	require.NoError(t, syscall.Kill(pid, 0))

	owner.kill(t)
	requireIdle(t, dir)
	requireGone(t, pid)
}

func TestStartRightAfterTheOwnerWasKilled(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	owner := startHelper(t, dir)
	owner.expect(t, "starting")
	url := owner.expect(t, "ready")
	_, err := connect(t, url).Exec(t.Context(), "DROP TABLE IF EXISTS kept_after_a_kill; CREATE TABLE kept_after_a_kill AS SELECT 'yes' AS answer")
	require.NoError(t, err)
	old := readNumber(directory(dir).pidFile())

	_, err = Start(t.Context(), Options{Dir: dir})
	inUse := new(DirInUseError)
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, DirInUseError{Dir: dir, PID: owner.command.Process.Pid}, *inUse)
	requireOneLine(t, err)

	// Not waited for: the start meets the old server, or even the old owner.
	require.NoError(t, owner.command.Process.Kill())
	server := newServer(t, Options{Dir: dir})
	require.Equal(t, "yes", query(t, server.URL("postgres"), "SELECT answer FROM kept_after_a_kill"))
	requireGone(t, old)
}

func TestInitdbKilledIsDoneAgain(t *testing.T) {
	t.Parallel()
	dir := directory(serverDir(t))
	owner := startHelper(t, string(dir))
	owner.expect(t, "starting")
	eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir.init(), "data", "base"))
		return err == nil
	})
	owner.kill(t)
	require.NoDirExists(t, dir.data())

	server := newServer(t, Options{Dir: string(dir)})
	require.Equal(t, "t", query(t, server.URL(DefaultDatabase), "SELECT 't'"))
	require.NoDirExists(t, dir.init())
}

func TestInterruptDoesNotReachTheServer(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	owner := startHelper(t, dir)
	owner.expect(t, "starting")
	owner.expect(t, "ready")

	// What Ctrl-C does: a signal to the foreground process group.
	require.NoError(t, syscall.Kill(-owner.command.Process.Pid, syscall.SIGINT))
	owner.expect(t, "drained")
	owner.stop(t)
	requireIdle(t, dir)
}

func TestServerExitsByItself(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		signal syscall.Signal
		victim func(*Server) int
		want   string
	}{
		"killed": {
			signal: syscall.SIGKILL,
			victim: func(s *Server) int { return readNumber(s.dir.pidFile()) },
			want:   "postgres ended with signal: killed: LOG: ", // and what it said last
		},
		"stopped by somebody": {
			signal: syscall.SIGINT,
			victim: func(s *Server) int { return readNumber(s.dir.pidFile()) },
			want:   "stopped by somebody else",
		},
		"its watchdog killed": {
			signal: syscall.SIGKILL,
			victim: func(s *Server) int { return s.process.command.Process.Pid },
			want:   "postgres ended with signal: killed",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, Options{Dir: usedDir(t)})
			pid := readNumber(server.dir.pidFile())
			require.NoError(t, server.Err())

			require.NoError(t, syscall.Kill(test.victim(server), test.signal))
			requireSoon(t, server.Done())
			requireOneLine(t, server.Err())
			require.ErrorContains(t, server.Err(), test.want)
			requireIdle(t, string(server.dir))
			// Without its watchdog the server is init's to wait for.
			eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
		})
	}
}

// launchStubborn runs a program that heeds one signal alone, and returns once it
// is ready for signals. The lock is the program's.
func launchStubborn(t *testing.T, dir directory, heeded, pause string) *process {
	t.Helper()
	held, err := acquireServer(t.Context(), dir)
	require.NoError(t, err)
	defer held.release()
	log, err := openLog(dir.log())
	require.NoError(t, err)
	t.Cleanup(log.close)
	executable, err := os.Executable()
	require.NoError(t, err)
	running, err := launch(t.Context(), program{
		name: "stubborn", path: executable, arguments: []string{stubbornArgument, heeded},
		lock: held, log: log, pause: pause,
	})
	require.NoError(t, err)
	eventually(t, func() bool { return len(log.lastLines(0)) == 1 })
	return running
}

func TestWatchdogEscalates(t *testing.T) {
	t.Parallel()
	dir := directory(t.TempDir())
	running := launchStubborn(t, dir, "quit", "0.1")
	require.NoError(t, running.lifeline.Close())
	requireSoon(t, running.done)
	lines := running.program.log.lastLines(0)
	require.Equal(t, []string{"interrupt", "interrupt", "quit"}, lines[len(lines)-3:])
	ended := new(exitError)
	require.ErrorAs(t, running.err, &ended)
	require.Equal(t, "exit status 3", ended.how)
}

func TestWatchdogKills(t *testing.T) {
	t.Parallel()
	running := launchStubborn(t, directory(t.TempDir()), "nothing", "0.05")
	require.NoError(t, running.lifeline.Close())
	requireSoon(t, running.done)
	require.ErrorContains(t, running.err, "signal: killed")
}

// TestWatchdogGivesTheLockBack ends the program while the watchdog pauses.
func TestWatchdogGivesTheLockBack(t *testing.T) {
	t.Parallel()
	dir := directory(t.TempDir())
	running := launchStubborn(t, dir, "interrupt", "5")
	require.NoError(t, running.lifeline.Close())
	requireSoon(t, running.done)
	held, err := acquire(t.Context(), dir.serverLock(), time.Second)
	require.NoError(t, err)
	held.release()
}

func TestStopKillsAServerThatHangs(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Dir: usedDir(t)})
	pid := readNumber(server.dir.pidFile())
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	server.patience = patience{fast: time.Millisecond, immediate: time.Millisecond}
	require.NoError(t, server.Stop(t.Context()))
	require.NoError(t, server.Err())
	eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

func TestStopInAHurry(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Dir: usedDir(t)})
	ctx, cancel := contextThatHasEnded(t)
	defer cancel()
	require.NoError(t, server.Stop(ctx))
	require.NoError(t, server.Err())
}

// TestChildrenInheritNoSecrets runs env in the place of a server.
func TestChildrenInheritNoSecrets(t *testing.T) {
	t.Setenv("STRIPE_SECRET_KEY", "sk_test_x") // hence not parallel
	t.Setenv("PGDATA", "/elsewhere")
	dir := t.TempDir()
	held, err := acquire(t.Context(), directory(dir).serverLock(), serverPatience)
	require.NoError(t, err)
	defer held.release()
	log, err := openLog(directory(dir).log())
	require.NoError(t, err)
	t.Cleanup(log.close)
	env, err := exec.LookPath("env")
	require.NoError(t, err)
	running, err := launch(t.Context(), program{name: "env", path: env, lock: held, log: log})
	require.NoError(t, err)
	requireSoon(t, running.done)
	require.NoError(t, running.err)
	content, err := os.ReadFile(log.path)
	require.NoError(t, err)
	require.Contains(t, string(content), "LC_ALL=C")
	require.NotContains(t, string(content), "sk_test_x")
	require.NotContains(t, string(content), "PGDATA")
}

// TestWatchdogShells runs the watchdog's script under every shell that is
// /bin/sh somewhere.
func TestWatchdogShells(t *testing.T) {
	t.Parallel()
	executable, err := os.Executable()
	require.NoError(t, err)
	for _, name := range []string{"dash", "bash", "busybox", "ksh", "zsh"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue // one of them is /bin/sh, which the other tests run
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arguments := []string{"-c", watchdog, "devpg", defaultPause, executable, stubbornArgument, "interrupt"}
			if name == "busybox" {
				arguments = append([]string{"sh"}, arguments...)
			}
			command := exec.CommandContext(t.Context(), path, arguments...) //nolint:gosec // a shell of the machine
			stdin, err := command.StdinPipe()
			require.NoError(t, err)
			stdout, err := command.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, command.Start())
			buffer := make([]byte, 32)
			n, err := stdout.Read(buffer)
			require.NoError(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(string(buffer[:n])))
			require.NoError(t, err)
			require.NoError(t, stdin.Close())
			ended := new(exec.ExitError)
			require.ErrorAs(t, command.Wait(), &ended)
			require.Equal(t, 3, ended.ExitCode())
			requireGone(t, pid)
		})
	}
}
