package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/fault"
)

// FailSpan marks a span as failed, with the code of the fault: errors' texts may quote
// what was sent.
func FailSpan(span trace.Span, code fault.Code) {
	if span.IsRecording() {
		span.SetAttributes(AttrErrorCode.String(string(code)), semconv.ErrorTypeKey.String(string(code)))
		span.SetStatus(codes.Error, string(code))
	}
}

// EndSpan ends a span, as failed if there is an error. `defer span.End()` would write
// the value of a panic into the span, and that may hold anything.
func EndSpan(span trace.Span, err error) {
	if err != nil {
		FailSpan(span, fault.From(err).Code)
	}
	span.End()
}

// CodeSpan notes the code of the error that the request in ctx is answered with.
func CodeSpan(ctx context.Context, code fault.Code) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(AttrErrorCode.String(string(code)))
	}
}
