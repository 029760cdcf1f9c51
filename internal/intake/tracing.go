package intake

import (
	"context"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/postgres"
	"millrace/internal/telemetry"
	"millrace/jobs"
)

// sending begins the span of a submission, which lasts until it is answered for, and
// which the job carries, so that its attempts are children of it.
func (w *Writer) sending(ctx context.Context, r *request) context.Context {
	attributes := append(jobs.SpanAttributes(jobs.SpanSend, r.Kind.Queue), telemetry.AttrKind.String(r.Kind.Name), telemetry.AttrTenant.String(r.Tenant))
	ctx, r.span = w.tracer.Start(ctx, jobs.SpanSend+" "+r.Kind.Queue, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attributes...))
	r.trace = jobs.TraceOf(ctx)
	return ctx
}

// sent ends the span of a submission.
func (r *request) sent(receipt Receipt, err error) {
	if err == nil {
		r.span.SetAttributes(jobs.SpanJob(receipt.Job.ID), telemetry.AttrReplayed.Bool(receipt.Replayed))
	}
	telemetry.EndSpan(r.span, err)
}

// committing begins the span of a commit; nil when none of the batch is sampled. A
// commit has as many parents as requests, and a span has one: it is a child of the
// first that is sampled, so that it is kept whenever a request of its is; it links to
// the others, and they to it.
func (w *Writer) committing(ctx context.Context, batch []*request) (context.Context, trace.Span) {
	if w.tracer == nil {
		return ctx, nil
	}
	var (
		sampled []*request
		others  []trace.Link
	)
	for _, r := range batch {
		if !r.span.SpanContext().IsSampled() {
			continue
		}
		if sampled = append(sampled, r); len(sampled) > 1 {
			others = append(others, trace.Link{SpanContext: r.span.SpanContext()})
		}
	}
	if len(sampled) == 0 {
		return ctx, nil
	}
	ctx, span := w.tracer.Start(trace.ContextWithSpanContext(ctx, sampled[0].span.SpanContext()), "commit", trace.WithLinks(others...),
		trace.WithAttributes(semconv.MessagingBatchMessageCount(len(batch))))
	for _, r := range sampled[1:] {
		r.span.AddLink(trace.Link{SpanContext: span.SpanContext()})
	}
	return ctx, span
}

// committed ends the span of a commit.
func committed(span trace.Span, err error) {
	if span != nil {
		telemetry.EndSpan(span, postgres.Fault(err))
	}
}
