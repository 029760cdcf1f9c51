package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/telemetry"
)

func TestLogsAreOneObjectALineWithoutSecrets(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := telemetry.NewLogger(&out, telemetry.LogOptions{Service: "intake"})
	logger.Info("hello", slog.Any("key", telemetry.Secret("hunter2")), slog.Int64("jobId", 7),
		slog.Any("error", fault.New(fault.Unavailable, "Try again.").Because(errors.New("POST with sk_live_abc123 for jo@example.com"))))

	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "intake", line["service"])
	require.Equal(t, "INFO", line["level"])
	require.NotEmpty(t, line["timestamp"])
	require.EqualValues(t, 7, line["jobId"])
	require.Equal(t, "[redacted]", line["key"])
	require.Equal(t, "UNAVAILABLE: Try again. Cause: POST with [redacted] for [redacted]", line["error"])
}

func TestLinesSayWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]telemetry.LogOptions{"json": {Service: "worker"}, "text": {Service: "worker", Text: true}} {
		var out bytes.Buffer
		logger := telemetry.NewLogger(&out, opts)
		ctx := telemetry.About(t.Context(), work{"acme"})
		logger.InfoContext(ctx, "plain")
		logger.InfoContext(ctx, "its own", slog.Int64("jobId", 5))
		logger.InfoContext(t.Context(), "of nobody", slog.Any("error", fmt.Errorf("wrapped: %w", fault.New(fault.NotFound, "No."))))
		logger.InfoContext(t.Context(), "panicked", slog.Any("error", recovered("Jane")))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Regexp(t, `jobId"?[:=]4711.*tenantId"?[:=]"?acme`, lines[0], name)
		require.Equal(t, 1, strings.Count(lines[1], "jobId"), name)
		require.Regexp(t, `jobId"?[:=]5`, lines[1], name)
		require.Regexp(t, `errorCode"?[:=]"?NOT_FOUND`, lines[2], name)
		require.NotContains(t, lines[2], "jobId", name)
		require.Regexp(t, `errorCode"?[:=]"?UNKNOWN.*stack"?[:=]".*recovered`, lines[3], name)
		require.NotContains(t, out.String(), "Jane", name)
	}
}

func TestScrubHidesWhatLooksSensitive(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain text stays, 12345 too":      "plain text stays, 12345 too",
		"sk_test_4eC39HqLyjWDarjtT1zdp7dc": "[redacted]",
		"whsec_abc+/=":                     "[redacted]",
		"mrk_abc_def.":                     "[redacted].",
		"Authorization: Bearer abc.def":    "Authorization: [redacted]",
		"postgres://u:p@h/db failed":       "[redacted] failed",
		"card 4242 4242 4242 4242 refused": "card [redacted] refused",
		"to jo.doe+x@example.co.uk":        "to [redacted]",
		"pi_3Mr_secret_YrKJUKribcBjcG8HVh": "[redacted]",
	} {
		require.Equal(t, want, telemetry.Scrub(text))
	}
	encoded, err := json.Marshal(map[string]any{"s": telemetry.Secret("hunter2")})
	require.NoError(t, err)
	require.NotContains(t, string(encoded), "hunter2")
}

func TestMetricsServerServesOnlyMetrics(t *testing.T) {
	t.Parallel()
	registry := telemetry.NewRegistry("v1.2.3")
	problems, err := testutil.GatherAndLint(registry, "millrace_build_info")
	require.NoError(t, err)
	require.Empty(t, problems)
	server := httptest.NewServer(telemetry.MetricsServer(registry, slog.New(slog.DiscardHandler)).Handler)
	t.Cleanup(server.Close)
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/debug/pprof/": 404} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		resp, err := server.Client().Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, path)
		if want == 200 {
			require.Contains(t, string(body), `millrace_build_info{go_version=`)
		}
	}
}

func TestLogsHoldNoRowsOfTheDatabase(t *testing.T) {
	t.Parallel()
	for code, shown := range map[string]bool{"22P02": false, "P0001": false, "23514": false, "XX000": false, "42501": true, "57P01": true, "40001": true} {
		var log bytes.Buffer
		refusal := &pgconn.PgError{Severity: "ERROR", Code: code, Message: "it was Jane", Detail: "Failing row contains (Jane).", TableName: "payments", ConstraintName: "payments_check"}
		logger := telemetry.NewLogger(&log, telemetry.LogOptions{Service: "test"})
		logger.InfoContext(t.Context(), "failed", slog.Any("error", fault.New(fault.DBError, "The database refused it.").Because(fmt.Errorf("payment: insert: %w", refusal))))
		logger.InfoContext(t.Context(), "failed", slog.Any("error", fmt.Errorf("payment: insert: %w", refusal)))
		require.Equal(t, shown, strings.Contains(log.String(), "Jane"), code)
		require.Equal(t, 2, strings.Count(log.String(), "payment: insert: "), code)
		require.Equal(t, 2, strings.Count(log.String(), code), code)
	}
}
