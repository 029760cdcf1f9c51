package devpg

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestStartAgainKeepsTheData(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)

	first := newServer(t, Options{Dir: dir})
	connection := connect(t, first.URL(DefaultDatabase))
	_, err := connection.Exec(t.Context(), "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 'yes' AS answer")
	require.NoError(t, err)
	pid := readNumber(directory(dir).pidFile())
	require.NoError(t, first.Stop(t.Context()), "with an open connection")
	requireSoon(t, first.Done())
	require.NoError(t, first.Err())
	requireGone(t, pid)
	require.NoError(t, first.Stop(t.Context()), "a second time")

	second := newServer(t, Options{Dir: dir})
	require.Equal(t, "yes", query(t, second.URL(DefaultDatabase), "SELECT answer FROM kept"))
	require.Equal(t, first.Port(), second.Port())
	require.Equal(t, first.URL("x"), second.URL("x"))
}

func TestStartSettings(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Dir: usedDir(t)})
	requireSettings(t, connect(t, server.URL(DefaultDatabase)), map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "",
		"max_connections": "200", "shared_buffers": "128MB", "TimeZone": "UTC", "server_encoding": "UTF8",
	})
	require.Equal(t, "C", query(t, server.URL("postgres"), "SELECT datcollate::text FROM pg_database WHERE datname = 'template1'"))
}

func requireSettings(t *testing.T, connection *pgx.Conn, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for name := range want {
		var value string
		require.NoError(t, connection.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value))
		got[name] = value
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestStartAsksForThePassword(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Dir: usedDir(t)})

	info, err := os.Stat(server.dir.password())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	wrong := strings.Replace(server.URL("postgres"), server.password, "wrong", 1)
	_, err = pgx.Connect(t.Context(), wrong)
	require.True(t, isRefused(err), "%v", err)

	log, err := os.ReadFile(server.dir.log())
	require.NoError(t, err)
	require.NotContains(t, string(log), server.password)
	require.NotContains(t, fmt.Sprintf("%v %+v", server, server), server.password)
	require.NotContains(t, strings.Join(server.process.command.Args, " "), server.password)
}

func TestStartWithoutThePassword(t *testing.T) {
	t.Parallel()
	dir := directory(usedDir(t))
	password, err := dir.loadPassword(true)
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(dir.password(), []byte("another\n"), 0o600))
	_, err = Start(t.Context(), Options{Dir: string(dir)})
	requireOneLine(t, err)
	require.ErrorContains(t, err, "remove "+string(dir))
	require.True(t, isRefused(err))

	require.NoError(t, os.Remove(dir.password()))
	_, err = Start(t.Context(), Options{Dir: string(dir)})
	requireOneLine(t, err)
	require.ErrorContains(t, err, dir.password())

	require.NoError(t, os.WriteFile(dir.password(), []byte(password), 0o600))
	newServer(t, Options{Dir: string(dir)})
}

func TestStartOnAGivenPort(t *testing.T) {
	t.Parallel()
	port, err := listenOn(t.Context(), 0)
	require.NoError(t, err)
	server := newServer(t, Options{Dir: usedDir(t), Port: port})
	require.Equal(t, port, server.Port())

	dir := serverDir(t)
	_, err = Start(t.Context(), Options{Dir: dir, Port: port})
	inUse := new(PortInUseError)
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, port, inUse.Port)
	requireOneLine(t, err)
	require.NoDirExists(t, directory(dir).data(), "it made a cluster that it could not use")
}

// occupy listens on a port until the test ends.
func occupy(t *testing.T, address string) int {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	tcp, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	return tcp.Port
}

func TestStartWhenThePortIsTakenInBetween(t *testing.T) {
	t.Parallel()
	taken := occupy(t, "127.0.0.1:0")
	m := systemMachine()
	first := true
	m.listenOn = func(ctx context.Context, port int) (int, error) {
		if first {
			first = false
			return taken, nil
		}
		return listenOn(ctx, port)
	}
	dir := usedDir(t)
	server := newServerOn(t, Options{Dir: dir}, m)
	require.NotEqual(t, taken, server.Port())
	require.NoError(t, server.Stop(t.Context()))

	m.listenOn = func(_ context.Context, port int) (int, error) { return port, nil }
	_, err := start(t.Context(), Options{Dir: dir, Port: taken}, m)
	inUse := new(PortInUseError)
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, taken, inUse.Port)
}

func TestStartWhenTheLastPortIsTaken(t *testing.T) {
	t.Parallel()
	dir := usedDir(t)
	taken := occupy(t, "127.0.0.1:0")
	require.NoError(t, directory(dir).keepPort(taken))
	server := newServer(t, Options{Dir: dir})
	require.NotEqual(t, taken, server.Port())
	require.Equal(t, server.Port(), directory(dir).lastPort())
}

func TestStartReportsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{
		Dir:      usedDir(t),
		Settings: map[string]string{"shared_buffers": "nonsense"},
	})
	requireOneLine(t, err)
	require.ErrorContains(t, err, `invalid value for parameter "shared_buffers"`)
	require.ErrorContains(t, err, "exit status 1")
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := directory(serverDir(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan error, 1)
	go func() {
		_, err := Start(ctx, Options{Dir: string(dir)})
		stopped <- err
	}()
	eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir.init(), "data", "base"))
		return err == nil
	})
	cancel()
	err := <-stopped
	require.ErrorIs(t, err, context.Canceled)
	requireOneLine(t, err)
	requireIdle(t, string(dir))
}

func TestStartWithoutPostgreSQL(t *testing.T) {
	t.Parallel()
	repository := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(repository.Close)
	m := systemMachine()
	m.lookPath = func(string) (string, error) { return "", exec.ErrNotFound }
	m.glob = func(string) ([]string, error) { return nil, nil }
	m.repository = repository.URL
	cache := t.TempDir()
	m.cache = func() (string, error) { return cache, nil }

	_, err := start(t.Context(), Options{Ephemeral: true}, m)
	require.ErrorIs(t, err, ErrNotInstalled)
	requireOneLine(t, err)
	for _, hint := range []string{
		"apt-get install postgresql", "dnf install postgresql-server", "brew install postgresql", "DATABASE_URL",
	} {
		require.ErrorContains(t, err, hint)
	}
}

func TestStartEphemeral(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Ephemeral: true, Settings: map[string]string{"Work_Mem": "7MB", "Max_Connections": "50"}})
	requireSettings(t, connect(t, server.URL("postgres")), map[string]string{
		"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
		"work_mem": "7MB", "max_connections": "50",
		// Everybody may pass through its parents, so it has the real name.
		"data_directory": server.dir.data(),
	})
	dir := string(server.dir)
	require.Equal(t, os.TempDir(), filepath.Dir(dir))

	require.NoError(t, server.CreateDatabase(t.Context(), `a "b"/c`))
	require.NoError(t, server.CreateDatabase(t.Context(), `a "b"/c`), "a second time")
	require.Equal(t, `a "b"/c`, query(t, server.URL(`a "b"/c`), "SELECT current_database()::text"))

	require.NoError(t, server.Stop(t.Context()))
	require.NoDirExists(t, dir)
}

func TestEphemeralLeavesTheFilesOfOthers(t *testing.T) {
	t.Parallel()
	dir := directory(t.TempDir())
	theirs := filepath.Join(string(dir), "theirs")
	require.NoError(t, os.WriteFile(theirs, nil, 0o600))

	_, err := Start(t.Context(), Options{Dir: string(dir), Ephemeral: true})
	requireOneLine(t, err)
	require.ErrorContains(t, err, "not empty")

	require.NoError(t, os.Mkdir(dir.data(), 0o700))
	require.NoError(t, dir.keepPort(1))
	require.NoError(t, dir.remove())
	entries, err := os.ReadDir(string(dir))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.FileExists(t, theirs)
}

func TestStartChecksItsOptions(t *testing.T) {
	t.Parallel()
	tests := map[string]Options{
		"no directory":       {},
		"negative port":      {Ephemeral: true, Port: -1},
		"port too large":     {Ephemeral: true, Port: 1 << 16},
		"not a setting":      {Ephemeral: true, Settings: map[string]string{"a b": "c"}},
		"where it listens":   {Ephemeral: true, Settings: map[string]string{"Listen_Addresses": "*"}},
		"which port":         {Ephemeral: true, Settings: map[string]string{"port": "1"}},
		"where the data are": {Ephemeral: true, Settings: map[string]string{"data_directory": "/"}},
		"which socket":       {Ephemeral: true, Settings: map[string]string{"unix_socket_directories": "/tmp"}},
	}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Start(t.Context(), opts)
			requireOneLine(t, err)
		})
	}
}

func TestStartInADirectoryOfNobody(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Start(t.Context(), Options{Dir: filepath.Join(file, "below")})
	requireOneLine(t, err)
	require.ErrorContains(t, err, "MILLRACE_HOME")
}

// BenchmarkStart measures how long a person waits for `millrace dev`.
func BenchmarkStart(b *testing.B) {
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			benchmarkStart(b, Options{Dir: filepath.Join(b.TempDir(), "postgres")})
		}
	})
	b.Run("ephemeral", func(b *testing.B) {
		for b.Loop() {
			benchmarkStart(b, Options{Ephemeral: true})
		}
	})
	b.Run("warm", func(b *testing.B) {
		dir := filepath.Join(b.TempDir(), "postgres")
		benchmarkStart(b, Options{Dir: dir})
		b.ResetTimer()
		for b.Loop() {
			benchmarkStart(b, Options{Dir: dir})
		}
	})
}

// benchmarkStart leaves the stop out of the time.
func benchmarkStart(b *testing.B, opts Options) {
	b.Helper()
	server, err := Start(b.Context(), opts)
	require.NoError(b, err)
	b.StopTimer()
	began := time.Now()
	require.NoError(b, server.Stop(b.Context()))
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "last-stop-ms")
	b.StartTimer()
}
