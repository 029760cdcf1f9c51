package jobs_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"millrace/jobs"
)

func TestAJobCarriesWhereItIsInATrace(t *testing.T) {
	t.Parallel()
	state, err := trace.ParseTraceState("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	require.NoError(t, err)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: [16]byte{1}, SpanID: [8]byte{2}, TraceFlags: trace.FlagsSampled, TraceState: state})
	carried := jobs.TraceOf(trace.ContextWithSpanContext(t.Context(), span))
	require.Equal(t, jobs.Trace{
		Traceparent: "00-01000000000000000000000000000000-0200000000000000-01", Tracestate: "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
	}, carried)
	encoded, err := json.Marshal(jobs.Metadata{TenantID: "acme", Trace: carried})
	require.NoError(t, err)
	require.JSONEq(t, `{"tenant_id":"acme","traceparent":"00-01000000000000000000000000000000-0200000000000000-01","tracestate":"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}`, string(encoded))
	require.Equal(t, span.WithRemote(true), trace.SpanContextFromContext(carried.Context(t.Context())))

	long, err := trace.ParseTraceState("rojo=" + strings.Repeat("a", 256) + ",congo=" + strings.Repeat("b", 256))
	require.NoError(t, err)
	carried = jobs.TraceOf(trace.ContextWithSpanContext(t.Context(), span.WithTraceState(long)))
	require.NotEmpty(t, carried.Traceparent)
	require.Empty(t, carried.Tracestate, "it is too long")
}

func TestATraceThatIsNoneIsNone(t *testing.T) {
	t.Parallel()
	require.Equal(t, jobs.Trace{}, jobs.TraceOf(t.Context()))
	for _, traceparent := range []string{"", "nonsense", "00-00000000000000000000000000000000-0200000000000000-01"} {
		require.False(t, trace.SpanContextFromContext(jobs.Trace{Traceparent: traceparent}.Context(t.Context())).IsValid(), traceparent)
	}
}

func TestJobsCostNothingMoreWhileTracingIsOff(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of other tests too
	kind := jobs.Find("payment_capture")
	metadata := jobs.Metadata{TenantID: "acme", RequestID: "request-1"}
	require.JSONEq(t, `{"tenant_id":"acme","request_id":"request-1"}`, string(kind.InsertOpts(metadata).Metadata))
	plain := struct {
		TenantID  string `json:"tenant_id"`
		RequestID string `json:"request_id,omitempty"`
	}{"acme", "request-1"}
	without := testing.AllocsPerRun(100, func() { _, _ = json.Marshal(plain) })
	require.InDelta(t, without, testing.AllocsPerRun(100, func() { _, _ = json.Marshal(metadata) }), 0)
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = metadata.Context(ctx) }))
}
