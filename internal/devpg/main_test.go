package devpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// helperVariable makes the test binary run a server instead of tests.
const helperVariable = "DEVPG_TEST_OWNER_OF"

// stubbornArgument makes the test binary a program that does not heed signals,
// except for the one that the next argument names.
const stubbornArgument = "devpg-stubborn"

// testTimeout bounds every wait for something that must happen.
const testTimeout = 30 * time.Second

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv(helperVariable); ok {
		if err := own(dir); err != nil {
			say("failed", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == stubbornArgument {
		beStubborn(os.Args[2])
		os.Exit(3)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	root, err := os.MkdirTemp("", "devpg-test-")
	if err != nil {
		say(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(root) }()
	// Removing it removes what the embedded-postgres library leaves as well.
	// Other accounts use it too.
	err = errors.Join(os.Chmod(root, 0o777|os.ModeSticky), os.Setenv("TMPDIR", root))
	if err != nil {
		say(err)
		return 1
	}
	usedDirs.root = root
	code := m.Run()
	// The next start removes the shared memory of a server that was killed.
	for _, dir := range usedDirs.idle {
		server, err := Start(context.Background(), Options{Dir: dir})
		if err == nil {
			err = server.Stop(context.Background())
		}
		if err != nil {
			say(err)
			code = 1
		}
	}
	return code
}

// own is the helper process: it runs a server on dir, an ephemeral one in the
// default place when dir is empty, until its standard input ends. On SIGINT it
// shows that the server still answers.
func own(dir string) error {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()

	ctx := context.Background()
	say("starting")
	server, err := Start(ctx, Options{Dir: dir, Ephemeral: dir == ""})
	if err != nil {
		return err
	}
	say("ready", server.URL("postgres"))
	for {
		select {
		case <-interrupts:
			if err := ping(ctx, server.URL("postgres")); err != nil {
				return err
			}
			say("drained")
		case <-ended:
			return server.Stop(ctx)
		}
	}
}

// beStubborn prints its process id and then the signals that it gets. Unlike a
// shell, a Go program gets those that a shell makes background programs ignore.
func beStubborn(heeded string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGQUIT)
	say(os.Getpid())
	for received := range signals {
		say(received)
		if received.String() == heeded {
			return
		}
	}
}

// say prints a line for the test that runs this process.
func say(words ...any) { _, _ = fmt.Fprintln(os.Stdout, words...) }

// helper is a running helper process.
type helper struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	lines   *bufio.Scanner
}

// startHelper runs own in another process, in a process group of its own. The
// caller may change the command first.
func startHelper(t *testing.T, dir string, change ...func(*exec.Cmd)) *helper {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), executable) //nolint:gosec // this very program
	command.Env = append(os.Environ(), helperVariable+"="+dir)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Stderr = os.Stderr
	for _, apply := range change {
		apply(command)
	}
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	})
	return &helper{command: command, stdin: stdin, lines: bufio.NewScanner(stdout)}
}

// expect reads the next line and returns what follows its first word.
func (h *helper) expect(t *testing.T, word string) string {
	t.Helper()
	require.True(t, h.lines.Scan(), "the helper ended before it said %q", word)
	first, rest, _ := strings.Cut(h.lines.Text(), " ")
	require.Equal(t, word, first, h.lines.Text())
	return rest
}

func (h *helper) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, h.command.Process.Kill())
	require.Error(t, h.command.Wait())
}

// stop lets the helper stop its server, and expects it to succeed.
func (h *helper) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, h.stdin.Close())
	require.NoError(t, h.command.Wait())
}

// newServer starts a server that is stopped when the test ends.
func newServer(t *testing.T, opts Options) *Server {
	t.Helper()
	return newServerOn(t, opts, systemMachine())
}

func newServerOn(t *testing.T, opts Options, m machine) *Server {
	t.Helper()
	server, err := start(t.Context(), opts, m)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	return server
}

// serverDir is for the Dir of a server that starts for the first time.
func serverDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "postgres")
}

// usedDirs are the directories with a cluster that no test uses at the moment.
// They make the tests of everything but initdb fast.
//
//nolint:gochecknoglobals // shared by the tests
var usedDirs struct {
	sync.Mutex
	root string // below which they are
	idle []string
}

// usedDir is for the Dir of a server that has run before, without any table or
// password that a test could count on. It goes to other tests afterwards.
func usedDir(t *testing.T) string {
	t.Helper()
	usedDirs.Lock()
	defer usedDirs.Unlock()
	dir := ""
	if last := len(usedDirs.idle) - 1; last >= 0 {
		dir = usedDirs.idle[last]
		usedDirs.idle = usedDirs.idle[:last]
	} else {
		parent, err := os.MkdirTemp(usedDirs.root, "") //nolint:usetesting // outlives the test
		require.NoError(t, err)
		dir = filepath.Join(parent, "postgres")
		server, err := Start(t.Context(), Options{Dir: dir})
		require.NoError(t, err)
		require.NoError(t, server.Stop(t.Context()))
	}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		usedDirs.Lock()
		defer usedDirs.Unlock()
		usedDirs.idle = append(usedDirs.idle, dir)
	})
	return dir
}

// connect opens a connection that is closed when the test ends.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close(context.WithoutCancel(t.Context())) })
	return connection
}

// query returns the single value of a query.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	var value string
	require.NoError(t, connect(t, url).QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func requireOneLine(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\n")
	require.Equal(t, 1, strings.Count(err.Error(), "devpg: "), err.Error())
}

// requireIdle waits until no process of a server on dir is left.
func requireIdle(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, directory(dir).awaitIdle(t.Context()))
}

// requireGone expects that a process has ended, and been waited for.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.NotZero(t, pid)
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			require.FailNow(t, "the condition was not met in time")
		case <-ticker.C:
		}
	}
}

// requireSoon waits for a channel to be closed.
func requireSoon(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(testTimeout):
		require.FailNow(t, "it did not end in time")
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
