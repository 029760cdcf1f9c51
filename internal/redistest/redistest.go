// Package redistest gives a test a Redis of its own, which it may kill and start again.
package redistest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Server is a redis-server on a socket in a folder of its own. It keeps nothing on disk.
type Server struct {
	// URL is where it answers, after a restart too.
	URL string

	program, socket string
	process         *exec.Cmd
}

// Start starts a server, which ends with the test. Without the program redis-server
// (Debian's package of that name) the test is skipped.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redistest: redis-server is not installed")
	}
	// Not the test's own folder, whose name may be too long for a socket.
	dir, err := os.MkdirTemp("", "redis-") //nolint:usetesting // see above
	require.NoError(t, err)
	socket := filepath.Join(dir, "socket")
	s := &Server{URL: "unix://" + socket, program: program, socket: socket}
	s.Restart(t)
	t.Cleanup(func() {
		s.Kill(t)
		require.NoError(t, os.RemoveAll(dir))
	})
	return s
}

// Restart starts the server again, empty, after Kill.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	// Not the test's context, which ends before its cleanups.
	s.process = exec.CommandContext(context.WithoutCancel(t.Context()), s.program, //nolint:gosec // from the PATH
		"--port", "0", "--unixsocket", s.socket, "--save", "", "--appendonly", "no", "--dir", filepath.Dir(s.socket))
	require.NoError(t, s.process.Start())
	require.Eventually(t, func() bool {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "unix", s.socket)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	}, 30*time.Second, 5*time.Millisecond)
}

// Kill ends the server at once (SIGKILL), if it runs.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	require.NoError(t, s.process.Process.Kill())
	_ = s.process.Wait() // says that it was killed
	s.process = nil
	_ = os.Remove(s.socket)
}
