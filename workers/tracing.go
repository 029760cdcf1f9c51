package workers

import (
	"context"

	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/fault"
	"millrace/internal/telemetry"
	"millrace/jobs"
)

// tracing makes a span of each attempt, and has the jobs that jobs enqueue carry it.
// It stands around the observer, whose log lines then name the span.
type tracing struct {
	jobs.TraceInserts
}

// Work implements rivertype.WorkerMiddleware. Every attempt is a child of the span that
// the job was sent in, so that one trace tells all of a job.
func (t *tracing) Work(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
	attributes := append(jobs.SpanAttributes(jobs.SpanProcess, job.Queue), jobs.SpanJob(job.ID), telemetry.AttrKind.String(job.Kind), telemetry.AttrAttempt.Int(job.Attempt))
	if metadata, err := jobs.MetadataOf(job); err == nil {
		ctx = metadata.Context(ctx)
		if metadata.TenantID != "" {
			attributes = append(attributes, telemetry.AttrTenant.String(metadata.TenantID))
		}
		if metadata.RequestID != "" {
			attributes = append(attributes, telemetry.AttrRequest.String(metadata.RequestID))
		}
	}
	ctx, span := t.Tracer.Start(ctx, jobs.SpanProcess+" "+job.Queue, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attributes...))
	defer telemetry.EndSpan(span, nil) // traceOutcome tells how it went
	return work(ctx)
}

// traceOutcome tells the span of an attempt how it ended. What a job waits for is no
// failure.
func traceOutcome(ctx context.Context, outcome string, err error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(telemetry.AttrOutcome.String(outcome))
	switch outcome {
	case cancelled, discarded, retried:
		telemetry.FailSpan(span, fault.From(err).Code)
	case snoozed:
		span.SetAttributes(telemetry.AttrErrorCode.String(string(fault.From(err).Code)))
	}
}
