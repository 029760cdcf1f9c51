package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/fault"
	"millrace/internal/telemetry"
)

func TestTracesGoNowhereUntilTheyAreToldWhere(t *testing.T) {
	t.Parallel()
	tracing, err := telemetry.NewTracing(t.Context(), telemetry.TracingOptions{To: telemetry.TracesNowhere, Service: "x"})
	require.NoError(t, err)
	require.True(t, tracing.Provider() == nil, "nil itself, which nothing can be asked of")
	tracing.Close(t.Context())
}

func TestTracesGoToTheConsole(t *testing.T) {
	t.Parallel()
	var console, log bytes.Buffer
	tracing, err := telemetry.NewTracing(t.Context(), telemetry.TracingOptions{
		To: telemetry.TracesConsole, Service: "millrace-test", Version: "v1.2.3", Console: &console, Logger: telemetry.NewLogger(&log, telemetry.LogOptions{}),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	_, span := tracing.Provider().Tracer("test").Start(ctx, "work")
	span.End()
	require.Empty(t, console.String(), "spans are sent in batches")
	cancel()
	tracing.Close(ctx)
	var written struct {
		Name     string
		Resource []struct {
			Key   string
			Value struct{ Value any }
		}
	}
	require.NoError(t, json.Unmarshal(console.Bytes(), &written))
	require.Equal(t, "work", written.Name)
	described := map[string]any{}
	for _, a := range written.Resource {
		described[a.Key] = a.Value.Value
	}
	require.Equal(t, "millrace-test", described["service.name"])
	require.Equal(t, "v1.2.3", described["service.version"])
	require.NotContains(t, described, "process.command_args", "it may hold secrets")
	require.Empty(t, log.String())
}

// broken is an exporter that fails when it is told to.
type broken struct {
	sdk.SpanExporter

	err error
}

func (b *broken) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return b.err }

func TestSpansThatAreLostAreToldOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	exporter := &broken{SpanExporter: tracetest.NewNoopExporter()}
	delivered := telemetry.Deliver(exporter, telemetry.NewLogger(&log, telemetry.LogOptions{}))
	send := func(err error) {
		exporter.err = err
		require.NoError(t, delivered.ExportSpans(t.Context(), nil), "the SDK would write a line of its own")
	}
	send(nil)
	require.Empty(t, log.String())
	for range 3 {
		send(errors.New("gone, with sk_live_abc123"))
	}
	require.Equal(t, 1, strings.Count(log.String(), "tracing: spans are not delivered"), log.String())
	require.NotContains(t, log.String(), "sk_live")
	send(nil)
	send(nil)
	require.Equal(t, 1, strings.Count(log.String(), "tracing: spans are delivered again"), log.String())
	send(errors.New("gone"))
	require.Equal(t, 2, strings.Count(log.String(), "tracing: spans are not delivered"), log.String())
	require.Equal(t, 3, strings.Count(log.String(), "\n"), log.String())
}

func TestLinesNameTheSpanTheyAreWrittenIn(t *testing.T) {
	t.Parallel()
	ctx, span := sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())).Tracer("test").Start(t.Context(), "work")
	for _, text := range []bool{false, true} {
		var log bytes.Buffer
		logger := telemetry.NewLogger(&log, telemetry.LogOptions{Service: "x", Text: text})
		logger.With(slog.String("jobId", "7")).InfoContext(ctx, "hello")
		require.Contains(t, log.String(), span.SpanContext().TraceID().String(), "of a trace that is not kept too")
		require.Contains(t, log.String(), span.SpanContext().SpanID().String())
		log.Reset()
		logger.InfoContext(t.Context(), "hello")
		require.NotContains(t, log.String(), "trace_id")
	}
}

func TestSentryIsToldOfTheSpan(t *testing.T) {
	t.Parallel()
	logger, _, server, tracker := told(t, nil)
	ctx, span := sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())).Tracer("test").Start(t.Context(), "work")
	logger.ErrorContext(ctx, "hello")
	tracker.Close()
	require.Len(t, server.Events(), 1)
	require.Equal(t, span.SpanContext().TraceID().String(), server.Events()[0].Tags["trace_id"])
	require.Equal(t, span.SpanContext().SpanID().String(), server.Events()[0].Tags["span_id"])
}

func TestSpansHoldTheCodeOfAnErrorOnly(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	tracer := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("test")
	work := func(err error) {
		_, span := tracer.Start(t.Context(), "work")
		defer func() { _ = recover() }()
		defer telemetry.EndSpan(span, err)
		if err == nil {
			panic("Jane")
		}
	}
	work(fault.New(fault.Unavailable, "Try again.").Because(errors.New("Jane")))
	work(errors.New("Jane"))
	work(nil)
	ended := tracetest.SpanStubsFromReadOnlySpans(recorder.Ended())
	require.Len(t, ended, 3)
	for i, code := range []fault.Code{fault.Unavailable, fault.Unknown} {
		require.Equal(t, codes.Error, ended[i].Status.Code)
		require.Equal(t, string(code), ended[i].Status.Description)
		require.Contains(t, ended[i].Attributes, telemetry.AttrErrorCode.String(string(code)))
	}
	text, err := json.Marshal(ended)
	require.NoError(t, err)
	require.NotContains(t, string(text), "Jane")
	require.Empty(t, ended[2].Events, "the value of a panic")
}

func TestTracingCostsNothingWhileItIsOff(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of other tests too
	ctx := t.Context()
	handler, record := telemetry.Traced(slog.DiscardHandler), slog.NewRecord(time.Now(), slog.LevelInfo, "hello", 0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		telemetry.CodeSpan(ctx, fault.Unavailable)
		telemetry.FailSpan(trace.SpanFromContext(ctx), fault.Unavailable)
		_ = handler.Handle(ctx, record)
	}))
}
