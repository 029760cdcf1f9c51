package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/telemetry"
)

// Trace is the span that a job was enqueued in, as W3C Trace Context
// (https://www.w3.org/TR/trace-context/). It is empty when nothing is traced.
type Trace struct {
	Traceparent string `json:"traceparent,omitempty"`
	Tracestate  string `json:"tracestate,omitempty"`
}

// maxTracestate is how many characters of other systems' state a job carries; what is
// longer is left out, as the specification allows beyond 512.
const maxTracestate = 512

// TraceOf returns the span of ctx; an empty one when ctx has none.
func TraceOf(ctx context.Context) (t Trace) {
	propagation.TraceContext{}.Inject(ctx, &t)
	return t
}

// Context returns ctx with the span as the parent of those that are begun in it.
func (t Trace) Context(ctx context.Context) context.Context {
	if t.Traceparent == "" {
		return ctx
	}
	carried := t // so that an empty one is not moved to the heap
	return propagation.TraceContext{}.Extract(ctx, &carried)
}

const (
	traceparentKey = "traceparent"
	tracestateKey  = "tracestate"
)

// Get implements propagation.TextMapCarrier.
func (t *Trace) Get(key string) string {
	switch key {
	case traceparentKey:
		return t.Traceparent
	case tracestateKey:
		return t.Tracestate
	default:
		return ""
	}
}

// Set implements propagation.TextMapCarrier.
func (t *Trace) Set(key, value string) {
	switch {
	case key == traceparentKey:
		t.Traceparent = value
	case key == tracestateKey && len(value) <= maxTracestate:
		t.Tracestate = value
	}
}

// Keys implements propagation.TextMapCarrier.
func (t *Trace) Keys() []string { return []string{traceparentKey, tracestateKey} }

// The names of the spans that a job is enqueued and worked in, before its queue's.
const (
	SpanSend    = "send"
	SpanProcess = "process"
)

// SpanAttributes describe the sending or processing of jobs of a queue in the terms
// of the semantic conventions for messaging.
func SpanAttributes(operation, queue string) []attribute.KeyValue {
	kind := semconv.MessagingOperationTypeSend
	if operation == SpanProcess {
		kind = semconv.MessagingOperationTypeProcess
	}
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String("river"), semconv.MessagingDestinationName(queue), kind, semconv.MessagingOperationName(operation),
	}
}

// SpanJob is the attribute of a span that is about one job.
func SpanJob(id int64) attribute.KeyValue {
	return semconv.MessagingMessageID(strconv.FormatInt(id, 10))
}

// TraceInserts is River middleware by which the jobs that somebody enqueues in a span
// carry a span of their sending. Those that carry one already keep it, and those that
// nobody's span is behind, as the periodic ones, get none.
type TraceInserts struct {
	river.MiddlewareDefaults

	// Tracer is required.
	Tracer trace.Tracer
}

// InsertMany implements rivertype.JobInsertMiddleware.
func (t *TraceInserts) InsertMany(
	ctx context.Context, params []*rivertype.JobInsertParams, insert func(context.Context) ([]*rivertype.JobInsertResult, error),
) (results []*rivertype.JobInsertResult, err error) {
	if len(params) == 0 || !trace.SpanContextFromContext(ctx).IsValid() {
		return insert(ctx)
	}
	if carried, err := MetadataOf(&rivertype.JobRow{Metadata: params[0].Metadata}); err != nil || carried.Traceparent != "" {
		return insert(ctx) // in bulk, by the writer of intake
	}
	queue := params[0].Queue // all that somebody enqueues at once are for the same
	ctx, span := t.Tracer.Start(ctx, SpanSend+" "+queue, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(SpanAttributes(SpanSend, queue)...))
	defer func() { telemetry.EndSpan(span, err) }()
	carries := TraceOf(ctx)
	for _, param := range params {
		if param.Metadata, err = carries.into(param.Metadata); err != nil {
			return nil, err
		}
	}
	results, err = insert(ctx)
	if len(results) == 1 && results[0].Job != nil {
		span.SetAttributes(SpanJob(results[0].Job.ID))
	} else {
		span.SetAttributes(semconv.MessagingBatchMessageCount(len(params)))
	}
	return results, err
}

// into adds the trace to a job's metadata, which may hold what is River's.
func (t Trace) into(metadata []byte) ([]byte, error) {
	values := map[string]json.RawMessage{}
	if len(metadata) > 0 {
		if err := json.Unmarshal(metadata, &values); err != nil {
			return nil, fmt.Errorf("jobs: metadata: %w", err)
		}
	}
	for key, value := range map[string]string{traceparentKey: t.Traceparent, tracestateKey: t.Tracestate} {
		if value != "" {
			values[key], _ = json.Marshal(value) // a string
		}
	}
	return json.Marshal(values)
}
