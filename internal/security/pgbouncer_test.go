package security_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/postgres"
)

// bouncer is a private PgBouncer in transaction mode, with two connections to the
// server for each login, so that they are shared hard.
type bouncer struct {
	address string
}

// newBouncer starts one in front of the database, for the logins.
func newBouncer(t *testing.T, logins ...string) bouncer {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		// Debian keeps it where only root looks.
		if program, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			t.Skip("PgBouncer is not installed: apt-get install pgbouncer")
		}
	}
	dir, err := os.MkdirTemp("", "millrace-pgbouncer-") //nolint:usetesting // below t.TempDir another account sees nothing
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := bouncer{listener.Addr().String()}
	_, port, _ := net.SplitHostPort(b.address)
	server, err := url.Parse(logins[0])
	require.NoError(t, err)
	var users strings.Builder
	for _, login := range logins {
		u, err := url.Parse(login)
		require.NoError(t, err)
		password, _ := u.User.Password()
		fmt.Fprintf(&users, "%q %q\n", u.User.Username(), password)
	}
	settings := fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
`, server.Hostname(), server.Port(), port, filepath.Join(dir, "users.txt"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pgbouncer.ini"), []byte(settings), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "users.txt"), []byte(users.String()), 0o600))

	cmd := exec.Command(program, filepath.Join(dir, "pgbouncer.ini")) //nolint:gosec,noctx // stopped by the cleanup, after the programs
	if os.Getuid() == 0 {                                             // as whom it does not run
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: unprivileged(t, dir)}
	}
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.NoError(t, cmd.Start())
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, bufio.NewReader(stderr))
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), b.through(t, logins[0]))
		if err != nil {
			return false
		}
		return conn.Close(t.Context()) == nil
	}, patience, 20*time.Millisecond)
	return b
}

// unprivileged is an account for PgBouncer, which gets the folder.
func unprivileged(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	require.NoError(t, err)
	for _, name := range []string{"", "pgbouncer.ini", "users.txt"} {
		require.NoError(t, os.Chown(filepath.Join(dir, name), int(uid), int(gid)))
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// through is how a program connects through it: docs/pgbouncer.md.
func (b bouncer) through(t *testing.T, login string) string {
	t.Helper()
	u, err := url.Parse(login)
	require.NoError(t, err)
	u.Host = b.address
	query := u.Query()
	query.Set("default_query_exec_mode", "cache_describe")
	u.RawQuery = query.Encode()
	return u.String()
}

// Both programs work through PgBouncer in transaction mode, while tenants share two
// connections: nothing is lost, and nobody sees what is another's.
func TestTenantsStayApartThroughPgBouncer(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	intake, worker := loginURL(t, db, postgres.Intake, postgres.Operator), loginURL(t, db, postgres.Worker)
	b := newBouncer(t, intake, worker)
	s := newSystem(t, db, b.through(t, intake))
	s.work(b.through(t, worker))
	tenants := []*tenant{newTenant(s, "alice"), newTenant(s, "mallory")}

	const rounds = 15
	jobs := make([][]string, len(tenants))
	var group sync.WaitGroup
	for i, mine := range tenants {
		for part := range 3 {
			group.Go(func() {
				for n := range rounds {
					a := s.do(request{
						method: http.MethodPost, path: "/v1/payments", key: mine.key, header: http.Header{"Idempotency-Key": {fmt.Sprint(part, "-", n)}},
						body: fmt.Sprintf(`{"amount":%d,"currency":"usd","payment_method":"pm_card_visa","description":%q}`, 100+n, mine.mark),
					})
					if part == 0 {
						jobs[i] = append(jobs[i], a.at("job", "id"))
					}
					for _, path := range []string{"/v1/payments?limit=100", "/v1/bookings", "/v1/jobs?limit=100", "/v1/metrics/names", "/v1/calendar", "/v1/payments/" + mine.ids["payment"]} {
						got := s.do(request{path: path, key: mine.key})
						for _, other := range tenants {
							if traces := other.in(got.text); other != mine && len(traces) > 0 || got.status != http.StatusOK {
								t.Errorf("%s sees %v at %s: %d", mine.name, traces, path, got.status)
							}
						}
						foreign := s.do(request{path: "/v1/payments/" + tenants[(i+1)%len(tenants)].ids["payment"], key: mine.key})
						if foreign.status != http.StatusNotFound {
							t.Errorf("%s sees another's payment: %d", mine.name, foreign.status)
						}
					}
				}
			})
		}
	}
	// An operator looks on, as another role over the same connections.
	operator := s.key("operations", apikey.OpsConsole)
	group.Go(func() {
		for range rounds {
			for _, path := range []string{"/api/jobs?state=completed", "/api/states", "/api/queues", "/api/jobs/" + tenants[0].ids["job"]} {
				if got := s.do(request{path: "/ops" + path, key: operator}); got.status != http.StatusOK {
					t.Errorf("the console does not answer %s: %d %s", path, got.status, got.text)
				}
			}
		}
	})
	// Others take their turns on the same connections, and leave them in every way.
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: b.through(t, intake), Role: postgres.Intake})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	tenancy := postgres.NewTenancy(pool, postgres.Intake)
	group.Go(func() {
		for n := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			_ = tenancy.Tx(ctx, "alice", func(tx pgx.Tx) error {
				switch n % 4 {
				case 0:
					_, err := tx.Exec(ctx, "SELECT 1/0")
					return err
				case 1:
					cancel()
				case 2:
					return context.Canceled
				}
				return nil
			})
			cancel()
			if text, err := show(t.Context(), pool, "SELECT count(*) FROM payments"); err == nil && text != "0 (1)" {
				t.Errorf("a connection without a tenant sees %s", text)
			}
		}
	})
	group.Wait()
	s.settle()
	for i, mine := range tenants {
		require.Len(t, jobs[i], rounds)
		for _, id := range jobs[i] {
			got := s.do(request{path: "/v1/jobs/" + id, key: mine.key})
			require.Equal(t, "completed", got.at("state"), got.text)
		}
		var captured int
		require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(*) FROM payments WHERE tenant_id = $1 AND status = 'captured'", mine.name).Scan(&captured))
		require.Equal(t, 1+3*rounds, captured)
	}
	requireNobodyListens(t, b.through(t, worker))
	var servers int
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE current_database() || '%'").Scan(&servers))
	require.LessOrEqual(t, servers, 4, "two connections a login carried all of it")
}

// requireNobodyListens looks at both connections at once: what one program listens
// to there would be told to whoever has the connection at the time.
func requireNobodyListens(t *testing.T, address string) {
	t.Helper()
	for range 2 {
		conn, err := pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		text, err := show(t.Context(), tx, "SELECT count(*) FROM pg_listening_channels()")
		require.NoError(t, err)
		require.Equal(t, "0 (1)", text)
	}
}
