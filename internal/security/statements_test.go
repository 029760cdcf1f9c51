package security_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/dbtest"
	"millrace/internal/intake"
	"millrace/internal/postgres"
)

// statements records what a server says to the database, and how much it gets back.
type statements struct {
	mu   sync.Mutex
	list []string
}

func (s *statements) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.Contains(text, "millrace_credential(") { // asked for again when the memory of keys is over
		s.list = append(s.list, strings.Join(strings.Fields(text), " "))
	}
}

// take returns what was recorded since the last time.
func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// TraceQueryStart implements pgx.QueryTracer.
func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.add(data.SQL)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s *statements) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	s.add(data.CommandTag.String())
}

// TraceBatchStart implements pgx.BatchTracer.
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	if strings.Contains(data.SQL, "millrace_credential(") || strings.Contains(data.SQL, "set_config") {
		return
	}
	s.add(data.SQL)
	s.add(data.CommandTag.String())
}

// TraceBatchEnd implements pgx.BatchTracer.
func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// Another tenant's id and one that never was take the same time, since they take
// the same statements, of which each finds the same number of rows: none. A clock
// would show the same with more noise.
func TestAnotherTenantsIDsTakeTheSameStatements(t *testing.T) {
	t.Parallel()
	s := newSystem(t, dbtest.New(t), "")
	stop := s.work("")
	alice, mallory := newTenant(s, "alice"), newTenant(s, "mallory")
	s.settle()
	stop()

	config, err := pgxpool.ParseConfig(loginURL(t, s.db, postgres.Intake))
	require.NoError(t, err)
	said := &statements{}
	config.ConnConfig.Tracer = said
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	registry, logger := prometheus.NewRegistry(), s.logs.logger("intake")
	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: logger, Metrics: registry})
	require.NoError(t, err)
	start(t, writer.Run)
	server, err := api.New(api.Options{DB: postgres.NewTenancy(pool, postgres.Intake).WithKeys(s.keys, time.Now), Writer: writer, Logger: logger, Metrics: registry})
	require.NoError(t, err)
	address := serve(t, server)

	compared := 0
	for _, r := range s.routes() {
		a := attacks()[r.String()]
		if a.id == "" {
			continue
		}
		questions := []string{""}
		if slices.Contains(r.params, "reveal") {
			questions = append(questions, revealing)
		}
		for _, question := range questions {
			asks := func(id string) []string {
				do(t, address, request{method: r.method, path: a.path(r, id, "") + question, key: mallory.key, body: a.body})
				return said.take()
			}
			asks(never(alice.ids[a.id])) // what is said only once, of a new connection
			none := asks(never(alice.ids[a.id]))
			require.NotEmpty(t, none, r)
			require.Equal(t, none, asks(alice.ids[a.id]), "%s%s", r, question)
			compared++
		}
	}
	require.GreaterOrEqual(t, compared, 10)

	// A job of another tenant is not waited for either.
	recorder := httptest.NewRecorder()
	waiting := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/jobs/"+alice.ids["waiting job"], nil)
	waiting.Header.Set("Authorization", "Bearer "+mallory.key)
	waiting.Header.Set("Prefer", "wait=30")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	server.ServeHTTP(recorder, waiting.WithContext(ctx))
	require.NoError(t, ctx.Err(), "the answer came at once")
	require.Equal(t, 404, recorder.Code)
}
