package workers

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/telemetry"
)

// What River logs is in its source: errors as texts or values, under two names; names
// of its own; and now and then a value that somebody else chose.
func TestRiversLinesAreInOurWords(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	river := quiet(telemetry.NewLogger(&out, telemetry.LogOptions{Service: "worker", Level: slog.LevelDebug}))
	ctx := t.Context()
	river.InfoContext(ctx, "an attempt began")
	river.DebugContext(ctx, "looking for work")
	require.Empty(t, out.String())
	for _, one := range []struct {
		level slog.Level
		attrs []slog.Attr
		want  map[string]any
	}{
		{slog.LevelError, riverAttrs("job_id", int64(7), "kind", "payment_capture", "panic_val", "it was Jane"), map[string]any{"level": "ERROR", "jobId": 7.0, "kind": "payment_capture"}},
		{slog.LevelError, riverAttrs("err", errors.New("nothing to unmarshal")), map[string]any{"level": "ERROR", "error": "nothing to unmarshal"}},
		{slog.LevelError, riverAttrs("err", "failed to connect to `host=db`: refused", "queue", "payments"), map[string]any{"level": "WARN", "error": "failed to connect to `host=db`: refused", "queue": "payments"}},
		{slog.LevelError, riverAttrs("error", "FATAL: terminating connection (SQLSTATE 57P01)"), map[string]any{"level": "WARN", "error": "FATAL: terminating connection (SQLSTATE 57P01)"}},
		{slog.LevelError, riverAttrs("error", "insert: ERROR: it was Jane\nand Joe (SQLSTATE P0001)"), map[string]any{"level": "ERROR", "error": "insert: SQLSTATE P0001"}},
		{slog.LevelWarn, riverAttrs("timeout", time.Second, "num_jobs", 3, "payload", "of Jane"), map[string]any{"level": "WARN", "river": map[string]any{"timeout": 1e9, "num_jobs": 3.0}}},
	} {
		out.Reset()
		river.LogAttrs(ctx, one.level, "Something", one.attrs...)
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		var line map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &line))
		require.NotEmpty(t, line["timestamp"])
		delete(line, "timestamp")
		one.want["msg"], one.want["service"] = "Something", "worker"
		require.Equal(t, one.want, line)
	}
}

// riverAttrs makes attributes of names and values in turn, as River passes them.
func riverAttrs(pairs ...any) (attrs []slog.Attr) {
	for pair := range slices.Chunk(pairs, 2) {
		name, _ := pair[0].(string)
		attrs = append(attrs, slog.Any(name, pair[1]))
	}
	return attrs
}
