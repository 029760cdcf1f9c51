package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of spans that are ours; the others are of OpenTelemetry's semantic
// conventions. None holds what identifies a person.
const (
	// AttrTenant is whose request or job it is.
	AttrTenant = attribute.Key("millrace.tenant_id")
	// AttrRequest is the request id, which logs and answers have too.
	AttrRequest = attribute.Key("millrace.request_id")
	// AttrKind is the kind of the job.
	AttrKind = attribute.Key("millrace.kind")
	// AttrAttempt is the number of the attempt, from 1.
	AttrAttempt = attribute.Key("millrace.attempt")
	// AttrOutcome is how an attempt or a call of a provider ended, as metrics name it.
	AttrOutcome = attribute.Key("millrace.outcome")
	// AttrErrorCode is the code of the fault, as answers have it.
	AttrErrorCode = attribute.Key("millrace.error_code")
	// AttrReplayed says that an earlier submission with the same key was answered for.
	AttrReplayed = attribute.Key("millrace.replayed")
	// AttrWaited is how many seconds of the request the client asked to wait.
	AttrWaited = attribute.Key("millrace.waited_seconds")
	// AttrProvider is the provider that was called.
	AttrProvider = attribute.Key("millrace.provider")
	// AttrOperation is what the provider was asked to do.
	AttrOperation = attribute.Key("millrace.operation")
)

// TracesTo is where spans are sent.
type TracesTo string

// The exporters.
const (
	// TracesNowhere starts nothing.
	TracesNowhere TracesTo = ""
	// TracesOTLPHTTP sends OTLP over HTTP.
	TracesOTLPHTTP TracesTo = "otlp over http"
	// TracesOTLPGRPC sends OTLP over gRPC.
	TracesOTLPGRPC TracesTo = "otlp over grpc"
	// TracesConsole writes one JSON object a span.
	TracesConsole TracesTo = "console"
)

// TracingOptions configures NewTracing. Everything else OpenTelemetry's SDK reads
// from its standard variables, which package config has checked.
type TracingOptions struct {
	// To is where spans are sent.
	To TracesTo
	// Service is the program's name, unless OTEL_SERVICE_NAME says otherwise.
	Service string
	// Version is the program's.
	Version string
	// Console is what TracesConsole writes to.
	Console io.Writer
	// Logger is told when spans are not delivered. Required unless To is TracesNowhere.
	Logger *slog.Logger
}

// Tracing sends the spans of a program.
type Tracing struct {
	provider *sdk.TracerProvider
	logger   *slog.Logger
}

// flushTimeout bounds how long the last spans may hold up the program's end.
const flushTimeout = 5 * time.Second

// NewTracing starts tracing; with TracesNowhere it starts nothing. It does not wait
// for whoever takes the spans.
func NewTracing(ctx context.Context, opts TracingOptions) (*Tracing, error) {
	if opts.To == TracesNowhere {
		return &Tracing{}, nil
	}
	var (
		exporter sdk.SpanExporter
		err      error
	)
	switch opts.To {
	case TracesNowhere:
	case TracesConsole:
		exporter, err = stdouttrace.New(stdouttrace.WithWriter(opts.Console))
	case TracesOTLPGRPC:
		exporter, err = otlptracegrpc.New(ctx)
	case TracesOTLPHTTP:
		exporter, err = otlptracehttp.New(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("the exporter of traces cannot start; see the OTEL_EXPORTER_OTLP_ variables: %w", err)
	}
	// What the environment says comes last, and wins. Process attributes are left out:
	// command lines may hold secrets.
	described, err := resource.New(ctx, resource.WithHost(), resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(opts.Service), semconv.ServiceVersion(opts.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("the program cannot be described in traces; see OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return &Tracing{
		provider: sdk.NewTracerProvider(sdk.WithResource(described), sdk.WithBatcher(&delivery{SpanExporter: exporter, logger: opts.Logger})),
		logger:   opts.Logger,
	}, nil
}

// Provider is what makes spans; nil when nothing is traced.
func (t *Tracing) Provider() trace.TracerProvider {
	if t.provider == nil {
		return nil // and no interface with nothing in it
	}
	return t.provider
}

// Close sends the last spans, for at most 5 s, even when ctx has ended.
func (t *Tracing) Close(ctx context.Context) {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.logger.WarnContext(ctx, "tracing: the last spans were not delivered", slog.Any("error", err))
	}
}

// delivery tells once when spans are not delivered, and once when they are again. The
// SDK would tell each time, through a logger of its own.
type delivery struct {
	sdk.SpanExporter

	logger *slog.Logger
	failed atomic.Bool
}

// ExportSpans implements sdk.SpanExporter.
func (d *delivery) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := d.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !d.failed.Swap(true):
		d.logger.WarnContext(ctx, "tracing: spans are not delivered, and are lost until they are again; nothing else suffers", slog.Any("error", err))
	case err == nil && d.failed.Swap(false):
		d.logger.InfoContext(ctx, "tracing: spans are delivered again")
	}
	return nil
}

// traced adds the ids of the span that is active, by which logs and traces meet.
type traced struct{ slog.Handler }

// Handle implements slog.Handler.
func (h traced) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record = record.Clone()
		record.AddAttrs(
			slog.String("trace_id", span.TraceID().String()), //nolint:sloglint // OpenTelemetry's name (Trace Context in non-OTLP Log Formats)
			slog.String("span_id", span.SpanID().String()),   //nolint:sloglint // the same
		)
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
