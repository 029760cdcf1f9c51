package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/apiframe/apiendpoint"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/stretchr/testify/require"
	"riverqueue.com/riverui"
	"riverqueue.com/riverui/uiendpoints"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/postgres"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func newConsole(t *testing.T, pool *pgxpool.Pool) *Console {
	t.Helper()
	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: dbtest.Logger(t), Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	c, err := New(Options{Pool: pool, Path: "/ops", Writer: writer, Logger: dbtest.Logger(t)})
	require.NoError(t, err)
	return c
}

func ask(t *testing.T, c *Console, method, path string) (*httptest.ResponseRecorder, error) {
	t.Helper()
	recorder := httptest.NewRecorder()
	return recorder, c.Serve(recorder, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(`{"ids":["1"]}`)))
}

// Each change that River UI offers is decided about in offers(): a version that brings
// another one fails here until somebody has said what becomes of it.
func TestEachChangeOfRiverUIIsDecidedAbout(t *testing.T) {
	t.Parallel()
	c := newConsole(t, dbtest.New(t).Pool(t, postgres.Login))
	bundle := riverui.NewEndpoints(c.river, nil)
	bundle.Configure(&uiendpoints.BundleOpts{})
	logger := slog.New(slog.DiscardHandler)
	var changes, reads []string
	for _, endpoint := range bundle.MountEndpoints(baseservice.NewArchetype(logger), logger, http.NewServeMux(), &apiendpoint.MountOpts{Logger: logger}) {
		pattern := endpoint.Meta().Pattern
		if strings.HasPrefix(pattern, "GET ") {
			reads = append(reads, pattern)
		} else {
			changes = append(changes, pattern)
		}
	}
	var decided []string
	for pattern := range c.offers() {
		decided = append(decided, pattern)
	}
	require.ElementsMatch(t, changes, decided)
	for pattern := range c.answers() {
		require.Contains(t, reads, pattern, "River UI does not ask this any more")
	}
}

// Beside what is decided about, River UI has nothing to change: it reads as a role that
// may do little, in a transaction that may do nothing.
func TestRiverUICannotChangeAnything(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	c := newConsole(t, db.Pool(t, postgres.Login))
	exec, err := c.river.Driver().GetExecutor().Begin(t.Context())
	require.NoError(t, err)
	tx := c.river.Driver().UnwrapTx(exec)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	var role, timeout string
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT current_user::text, current_setting('statement_timeout')").Scan(&role, &timeout))
	require.Equal(t, string(postgres.Operator), role)
	require.Equal(t, "6s", timeout)
	_, err = tx.Exec(t.Context(), "UPDATE river_queue SET paused_at = now()")
	require.ErrorContains(t, err, "25006", "read_only_sql_transaction")

	var session string
	require.NoError(t, c.everyone.Tx(t.Context(), "", func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT session_user::text").Scan(&session)
	}))
	require.NotEqual(t, string(postgres.Operator), session)
}

// What takes too long ends, says so, and is not asked again at once.
func TestAQuestionThatTakesTooLongEnds(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	login := db.Pool(t, postgres.Login)
	c := newConsole(t, db.Pool(t, postgres.Login))
	blocker, err := login.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "LOCK TABLE river_job IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	t.Run("asked", func(t *testing.T) { // which is over when both are
		for _, path := range []string{"/ops/api/jobs", "/ops/api/jobs/1"} { // ours, and River UI's
			t.Run(path, func(t *testing.T) {
				t.Parallel()
				_, err := ask(t, c, http.MethodGet, path)
				f := fault.From(err)
				require.Equal(t, fault.Unavailable, f.Code, err)
				require.Contains(t, f.Message, "5 seconds")
			})
		}
	})
	require.Eventually(t, func() bool {
		var asking int
		require.NoError(t, login.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&asking))
		return asking == 0
	}, 10*time.Second, 10*time.Millisecond, "nothing is left in the database")
	require.NoError(t, blocker.Rollback(t.Context()))
	_, err = ask(t, c, http.MethodGet, "/ops/api/jobs")
	require.Equal(t, fault.Unavailable, fault.From(err).Code, "a page that is left open asks again soon")
	recorder, err := ask(t, c, http.MethodGet, "/ops/api/jobs?state=completed")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, recorder.Code)
}

// A login that was made for intake alone has no console, and hears what is missing.
func TestALoginWithoutTheRoleHasNoConsole(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	login := db.Pool(t, postgres.Login)
	_, err := login.Exec(t.Context(), `CREATE ROLE console_test_intake LOGIN PASSWORD 'of-a-test' IN ROLE millrace_intake`)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = login.Exec(context.WithoutCancel(t.Context()), "DROP ROLE console_test_intake") })
	config := login.Config()
	config.ConnConfig.User, config.ConnConfig.Password = "console_test_intake", "of-a-test"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	c := newConsole(t, pool)
	for _, r := range [][2]string{{"GET", "/ops/api/jobs"}, {"GET", "/ops/api/jobs/1"}, {"POST", "/ops/api/jobs/cancel"}, {"PUT", "/ops/api/queues/q/pause"}} {
		_, err := ask(t, c, r[0], r[1])
		f := fault.From(err)
		require.Equal(t, fault.Unavailable, f.Code, "%s: %v", r, err)
		require.Contains(t, f.Message, "millrace_operator", r)
	}
}

func TestWithoutADatabaseTheConsoleSaysSo(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	c := newConsole(t, pool)
	for _, r := range [][2]string{{"GET", "/ops/api/states"}, {"GET", "/ops/api/jobs/1"}, {"POST", "/ops/api/jobs/retry"}} {
		_, err := ask(t, c, r[0], r[1])
		require.Equal(t, fault.Unavailable, fault.From(err).Code, "%s: %v", r, err)
	}
	recorder, err := ask(t, c, http.MethodGet, "/ops/")
	require.NoError(t, err, "the pages come with the program")
	require.Equal(t, http.StatusOK, recorder.Code)
}

func TestNewWantsAllItNeeds(t *testing.T) {
	t.Parallel()
	_, err := New(Options{})
	require.Error(t, err)
}
