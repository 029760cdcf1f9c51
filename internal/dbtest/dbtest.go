// Package dbtest gives each test a database of its own on a real Postgres: a
// clone of a template that was migrated once, so that tests run in parallel.
//
// The server is TEST_DATABASE_URL's (a login that may create databases and
// roles) or a private one that lives as long as the test binary.
package dbtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/internal/devpg"
	"millrace/internal/postgres"
	"millrace/migrations"
)

// cluster is the server of this test binary.
var cluster struct { //nolint:gochecknoglobals // one server serves all tests of a binary
	sync.Mutex

	base     string // connection URL of its maintenance database
	server   *devpg.Server
	template string
}

// Main runs a package's tests and stops the private server after them. Each
// package that uses dbtest calls it from TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	cluster.Lock()
	defer cluster.Unlock()
	if cluster.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := cluster.server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "dbtest: stop:", err)
		}
	}
	return code
}

// DB is a migrated database that one test has to itself.
type DB struct {
	// URL connects as a login that may take every role.
	URL string
}

// New clones the migrated template; the clone goes when the test ends.
func New(t testing.TB) *DB {
	t.Helper()
	return clone(t, template(t))
}

// NewEmpty returns a database without any migration.
func NewEmpty(t testing.TB) *DB {
	t.Helper()
	server(t)
	return clone(t, "template1")
}

// Pool opens a pool that acts as the role; it closes when the test ends.
func (db *DB) Pool(t testing.TB, role postgres.Role) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: db.URL, Role: role})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// Tenancy opens a pool and returns the role's tenancy over it.
func (db *DB) Tenancy(t testing.TB, role postgres.Role) *postgres.Tenancy {
	t.Helper()
	return postgres.NewTenancy(db.Pool(t, role), role)
}

// Logger writes to the test's log.
func Logger(t testing.TB) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func server(t testing.TB) string {
	t.Helper()
	cluster.Lock()
	defer cluster.Unlock()
	if cluster.base != "" {
		return cluster.base
	}
	if base := os.Getenv("TEST_DATABASE_URL"); base != "" {
		cluster.base = base
		return base
	}
	// Not the test's context: the server serves the tests after this one too.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) //nolint:usetesting // outlives the test
	defer cancel()
	started, err := devpg.Start(ctx, devpg.Options{Ephemeral: true})
	require.NoError(t, err)
	cluster.server, cluster.base = started, started.URL("postgres")
	return cluster.base
}

// template returns the name of the migrated template, made if need be. On a
// server that several test binaries share it is made once, under a lock.
func template(t testing.TB) string {
	t.Helper()
	base := server(t)
	cluster.Lock()
	defer cluster.Unlock()
	if cluster.template != "" {
		return cluster.template
	}
	ctx := t.Context()
	digest, err := migrations.Digest()
	require.NoError(t, err)
	name := "millrace_template_" + digest
	admin := connect(t, base)
	_, err = admin.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name)
	require.NoError(t, err)
	var ready bool
	require.NoError(t, admin.QueryRow(ctx, "SELECT coalesce((SELECT datistemplate FROM pg_database WHERE datname = $1), false)", name).Scan(&ready))
	if !ready {
		exec(t, admin, "DROP DATABASE IF EXISTS "+name)
		exec(t, admin, "CREATE DATABASE "+name)
		pool, err := postgres.Open(ctx, postgres.Options{URL: withDatabase(t, base, name)})
		require.NoError(t, err)
		err = migrations.New(pool, slog.New(slog.DiscardHandler)).Up(ctx)
		pool.Close()
		require.NoError(t, err)
		exec(t, admin, "ALTER DATABASE "+name+" IS_TEMPLATE true")
	}
	exec(t, admin, "SELECT pg_advisory_unlock_all()")
	cluster.template = name
	return name
}

func clone(t testing.TB, template string) *DB {
	t.Helper()
	base := server(t)
	admin := connect(t, base)
	var random [8]byte
	_, _ = rand.Read(random[:])
	name := "millrace_test_" + hex.EncodeToString(random[:])
	// Postgres refuses to copy a template while another session copies it only
	// when somebody is connected to it, which nobody is.
	exec(t, admin, "CREATE DATABASE "+name+" TEMPLATE "+template)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, base)
		if err != nil {
			return // a test that stopped the server has no database to drop
		}
		defer func() { _ = conn.Close(ctx) }()
		_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	return &DB{URL: withDatabase(t, base, name)}
}

func connect(t testing.TB, base string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), base)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func withDatabase(t testing.TB, base, name string) string {
	t.Helper()
	parsed, err := url.Parse(base)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(parsed.Scheme, "postgres"), "TEST_DATABASE_URL must be a postgres:// URL")
	parsed.Path = "/" + name
	return parsed.String()
}
