package telemetry

import (
	"log/slog"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Deliver is how spans are handed to an exporter.
func Deliver(to sdk.SpanExporter, logger *slog.Logger) sdk.SpanExporter {
	return &delivery{SpanExporter: to, logger: logger}
}

// Traced is what tracing adds to a logger.
func Traced(to slog.Handler) slog.Handler { return traced{to} }
