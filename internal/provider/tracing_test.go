package provider_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/provider"
	"millrace/internal/telemetry"
)

func TestEachCallIsASpan(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	opts := options()
	opts.Traces = sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))
	p, err := provider.New(opts)
	require.NoError(t, err)
	ctx, parent := opts.Traces.Tracer("test").Start(t.Context(), "work")

	of := "Jane"
	require.NoError(t, p.Do(ctx, "read", of, func() error { return nil }))
	require.ErrorIs(t, p.Do(ctx, "write", of, func() error { return fmt.Errorf("%w, Jane", errRefused) }), errRefused)
	require.PanicsWithValue(t, "Jane", func() { _ = p.Do(ctx, "read", of, func() error { panic("Jane") }) })
	for range 5 {
		_ = p.Do(ctx, "read", of, func() error { return fmt.Errorf("%w: Jane", errDown) })
	}
	var open *provider.Open
	require.ErrorAs(t, p.Do(ctx, "read", of, func() error { return errors.New("never") }), &open)

	spans := tracetest.SpanStubsFromReadOnlySpans(recorder.Ended())
	require.Len(t, spans, 9)
	for i, want := range []struct{ name, outcome string }{
		0: {"acme read", "ok"}, 1: {"acme write", "refused"}, 2: {"acme read", "panic"}, 3: {"acme read", "down"}, 8: {"acme read", "open"},
	} {
		if want.name == "" {
			continue
		}
		got := spans[i]
		require.Equal(t, want.name, got.Name)
		require.Equal(t, trace.SpanKindClient, got.SpanKind)
		require.Equal(t, parent.SpanContext(), got.Parent)
		require.Contains(t, got.Attributes, telemetry.AttrProvider.String("acme"))
		require.Contains(t, got.Attributes, telemetry.AttrOutcome.String(want.outcome))
		require.Equal(t, want.outcome != "ok", got.Status.Code == codes.Error, want)
	}
	text, err := json.Marshal(spans)
	require.NoError(t, err)
	require.NotContains(t, string(text), "Jane", "what a call is about, what a provider says, and what panics hold")
}

func TestCallsCostNothingMoreWhileTracingIsOff(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of other tests too
	p, err := provider.New(options())
	require.NoError(t, err)
	call := func() error { return nil }
	untraced := testing.AllocsPerRun(100, func() { _, _ = p.Untraced("read", "a", call) })
	require.InDelta(t, untraced, testing.AllocsPerRun(100, func() { _ = p.Do(t.Context(), "read", "a", call) }), 0)
}
