package telemetry_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/sentrytest"
	"millrace/internal/telemetry"
)

// told returns a logger whose errors go to a stand-in of Sentry, and what ends it.
func told(t *testing.T, now func() time.Time) (*slog.Logger, *bytes.Buffer, *sentrytest.Server, *telemetry.Sentry) {
	t.Helper()
	server := sentrytest.New(t)
	tracker, err := telemetry.NewSentry(telemetry.SentryOptions{
		DSN: telemetry.Secret(server.DSN), Environment: "staging", Release: "v1.2.3", Service: "worker", Now: now,
	})
	require.NoError(t, err)
	t.Cleanup(tracker.Close)
	var log bytes.Buffer
	return telemetry.NewLogger(&log, telemetry.LogOptions{Service: "worker", Level: slog.LevelDebug, Sentry: tracker}), &log, server, tracker
}

type work struct{ tenant string }

func (w work) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.Int64("jobId", 4711), slog.String("kind", "payment_capture"), slog.String("tenantId", w.tenant)}
}

// recovered panics with what must not be told.
func recovered(value any) (err error) {
	defer func() { err = fault.From(telemetry.Recovered(recover())) }()
	panic(value)
}

func TestSentryIsToldOfErrorsWithTagsAndWithoutPersonalData(t *testing.T) {
	t.Parallel()
	logger, log, server, tracker := told(t, nil)
	ctx := telemetry.About(t.Context(), work{"acme"})
	logger.InfoContext(ctx, "this", slog.String("requestId", "r1"))
	logger.WarnContext(ctx, "that", slog.Any("error", fault.New(fault.Unavailable, "Later.")))
	refusal := &pgconn.PgError{Severity: "ERROR", Code: "23514", Message: "it was Jane", Detail: "Failing row contains (Jane).", TableName: "payments", ConstraintName: "payments_check"}
	logger.ErrorContext(ctx, "job attempt ended", slog.String("requestId", "r1"), slog.String("address", "1 Jane Street"),
		slog.Any("error", fault.New(fault.DBError, "Refused.").Because(fmt.Errorf("payment: insert: jane@example.com: %w", refusal))))
	tracker.Close()

	events := server.Events()
	require.Len(t, events, 1, "warnings are not told")
	event := events[0]
	require.Equal(t, "error", event.Level)
	require.Equal(t, "v1.2.3", event.Release)
	require.Equal(t, "staging", event.Environment)
	require.Equal(t, "job attempt ended", event.Message)
	require.Equal(t, "payment_capture", event.Transaction)
	require.Equal(t, map[string]string{
		"service": "worker", "errorCode": "DB_ERROR", "kind": "payment_capture", "jobId": "4711", "requestId": "r1", "tenantId": "acme",
	}, event.Tags)
	require.Equal(t, "DB_ERROR", event.Exception[0].Type)
	require.Equal(t, "DB_ERROR: Refused. Cause: payment: insert: [redacted]: SQLSTATE 23514 payments payments_check", event.Exception[0].Value)
	require.Equal(t, []string{"job attempt ended", "DB_ERROR", "payment_capture", "", "payment: insert: 23514 payments payments_check *pgconn.PgError"}, event.Fingerprint)
	require.NotContains(t, server.Text(), "Jane")
	require.NotContains(t, server.Text(), "jane")
	for _, collected := range []string{"server_name", "modules", "device", "runtime", "user", "request", "breadcrumbs", "abs_path"} {
		require.NotContains(t, server.Text(), `"`+collected+`":`)
	}
	require.Equal(t, 3, strings.Count(log.String(), `"jobId":4711`), "the log has every line")
}

func TestSentryIsToldOfPanicsByTypeAndStack(t *testing.T) {
	t.Parallel()
	logger, log, server, tracker := told(t, nil)
	for _, value := range []any{"it was Jane", errors.New("it was Jane"), struct{ Name string }{"Jane"}} {
		logger.ErrorContext(t.Context(), "panic", slog.Any("error", recovered(value)))
	}
	var list []int
	logger.ErrorContext(t.Context(), "panic", slog.Any("error", func() (err error) {
		defer func() { err = telemetry.Recovered(recover()) }()
		return fmt.Errorf("never %d", list[len(log.String())])
	}()))
	tracker.Close()

	require.NotContains(t, server.Text()+log.String(), "Jane")
	events := server.Events()
	require.Len(t, events, 2, "the same place of three panics is one sort")
	require.Equal(t, "fatal", events[0].Level)
	require.Equal(t, "panic: a value of type string", events[0].Exception[0].Type)
	require.False(t, *events[0].Exception[0].Mechanism.Handled)
	frames := events[0].Exception[0].Stacktrace.Frames
	innermost := frames[len(frames)-1]
	require.Equal(t, "recovered", innermost.Function)
	require.Equal(t, "millrace/internal/telemetry_test", innermost.Module)
	require.Equal(t, "internal/telemetry_test/sentry_test.go", innermost.Filename)
	require.True(t, innermost.InApp)
	require.NotZero(t, innermost.Lineno)
	require.Equal(t, "panic: a value of type runtime.boundsError", events[1].Exception[0].Type)
	frames = events[1].Exception[0].Stacktrace.Frames
	require.Equal(t, "TestSentryIsToldOfPanicsByTypeAndStack.func1", frames[len(frames)-1].Function)
	require.Contains(t, log.String(), `"stack":"millrace/internal/telemetry_test.recovered\n\tmillrace/internal/telemetry_test/sentry_test.go:`)
}

func TestSentryIsToldOfAFloodOnceAMinute(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	logger, log, server, tracker := told(t, func() time.Time { return now })
	flood := func(n int) {
		for i := range n {
			logger.ErrorContext(t.Context(), "request failed", slog.String("route", "/v1/payments"), slog.String("requestId", fmt.Sprint(i)),
				slog.Any("error", fault.New(fault.DBError, "Refused.").Because(fmt.Errorf("payment: insert: row %d of many", i))))
		}
	}
	flood(2_000)
	logger.ErrorContext(t.Context(), "request failed", slog.String("route", "/v1/bookings"), slog.Any("error", fault.New(fault.DBError, "Refused.")))
	now = now.Add(time.Minute)
	flood(3)
	tracker.Close()

	var routes []string
	for _, event := range server.Events() {
		routes = append(routes, event.Tags["route"])
	}
	require.Equal(t, []string{"/v1/payments", "/v1/bookings", "/v1/payments"}, routes)
	require.EqualValues(t, 1_999, server.Events()[2].Contexts["repeats"]["since_last_event"])
	require.Equal(t, 2_004, strings.Count(log.String(), "\n"))
}

func TestSentryKeepsABoundedNumberOfSorts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	logger, _, server, tracker := told(t, func() time.Time { return now })
	tell := func(from, to int) {
		for i := from; i < to; i++ {
			logger.ErrorContext(t.Context(), "x", slog.String("route", fmt.Sprint("/", i)))
			if i%50 == 0 { // as its queue drops what is too much
				require.Eventually(t, func() bool { return len(server.Events()) >= min(i, 999) }, time.Minute, time.Millisecond)
			}
		}
	}
	tell(0, 1100)
	now = now.Add(time.Minute)
	tell(5000, 5001)
	tracker.Close()
	require.Len(t, server.Events(), 1001)
}

func TestSentryThatIsDownHarmsNothing(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	for name, handler := range map[string]http.HandlerFunc{
		"refuses": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"limits":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"hangs up": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		},
		"is silent": func(http.ResponseWriter, *http.Request) { <-ended },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			t.Cleanup(server.CloseClientConnections) // and no Close, which waits for the silent one
			tracker, err := telemetry.NewSentry(telemetry.SentryOptions{
				DSN: telemetry.Secret(strings.Replace(server.URL, "://", "://key@", 1) + "/1"), Release: "v1", Service: "worker",
			})
			require.NoError(t, err)
			var log bytes.Buffer
			logger := telemetry.NewLogger(&log, telemetry.LogOptions{Service: "worker", Sentry: tracker})
			for i := range 500 {
				logger.ErrorContext(t.Context(), "x", slog.String("route", fmt.Sprint("/", i)))
			}
			tracker.Close()
			logger.ErrorContext(t.Context(), "after the end")
			require.Equal(t, 501, strings.Count(log.String(), "\n"))
		})
	}
}

func TestSentryDSNIsCheckedWithoutBeingShown(t *testing.T) {
	t.Parallel()
	require.NoError(t, telemetry.CheckSentryDSN("https://key@o1.ingest.sentry.io/2"))
	for _, wrong := range []telemetry.Secret{"", "key@host/2", "https://host/2", "https://key@host", "https://key@host/", "ftp://key@host/2", "https://key@host:port/2"} {
		err := telemetry.CheckSentryDSN(wrong)
		require.Error(t, err, wrong.Reveal())
		require.NotContains(t, err.Error(), "host", wrong.Reveal())
		_, err = telemetry.NewSentry(telemetry.SentryOptions{DSN: wrong, Release: "v1"})
		require.Error(t, err, wrong.Reveal())
	}
}
