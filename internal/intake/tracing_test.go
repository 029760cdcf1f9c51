package intake_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/intake"
	"millrace/jobs"
)

// traced has the writer record what a sampler keeps.
func traced(sampler sdk.Sampler) (*tracetest.SpanRecorder, trace.Tracer, func(*intake.Options)) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder), sdk.WithSampler(sampler))
	return recorder, provider.Tracer("test"), func(o *intake.Options) { o.Traces = provider }
}

func (b *bench) metadata() (all []jobs.Metadata) {
	b.t.Helper()
	rows, err := b.login.Query(b.t.Context(), "SELECT metadata FROM river_job ORDER BY id")
	require.NoError(b.t, err)
	all, err = pgx.CollectRows(rows, pgx.RowTo[jobs.Metadata])
	require.NoError(b.t, err)
	return all
}

func TestEachJobOfASharedCommitCarriesItsOwnTrace(t *testing.T) {
	t.Parallel()
	recorder, tracer, on := traced(sdk.ParentBased(sdk.NeverSample()))
	b := newBench(t, on)
	// Three wait before the writer runs: two of traces that are kept, one that is not.
	kept := sdk.NewTracerProvider().Tracer("caller")
	parents := map[string]trace.Span{}
	done := make(chan error, 3)
	for i, name := range []string{"one", "two", "not kept"} {
		ctx, span := kept.Start(t.Context(), name)
		if name == "not kept" {
			ctx, span = tracer.Start(t.Context(), name)
		}
		parents[name] = span
		go func() { _, err := b.writer.Submit(ctx, submission(t, "acme", name, int64(i))); done <- err }()
	}
	require.Eventually(t, func() bool { return b.writer.Waiting() == 3 }, 10*time.Second, time.Millisecond)
	b.run()
	for range 3 {
		require.NoError(t, <-done)
	}
	carried := map[string]bool{}
	for _, m := range b.metadata() {
		carried[trace.SpanContextFromContext(m.Context(context.Background())).TraceID().String()] = true //nolint:usetesting // a context without a span
	}
	for name, span := range parents {
		require.True(t, carried[span.SpanContext().TraceID().String()], "%s: so that workers decide alike", name)
	}
	spans := tracetest.SpanStubsFromReadOnlySpans(recorder.Ended())
	require.Len(t, spans, 3, "two sendings and their commit")
	var commit tracetest.SpanStub
	for _, s := range spans {
		if s.Name == "commit" {
			commit = s
		}
	}
	require.Len(t, commit.Links, 1)
	for _, s := range spans {
		switch s.SpanContext.SpanID() {
		case commit.SpanContext.SpanID(), commit.Parent.SpanID():
		default:
			require.Equal(t, s.SpanContext, commit.Links[0].SpanContext)
			require.Equal(t, commit.SpanContext, s.Links[0].SpanContext)
		}
	}
}

func TestACommitThatFailsIsASpanThatFailed(t *testing.T) {
	t.Parallel()
	recorder, _, on := traced(sdk.AlwaysSample())
	b := newBench(t, on).run()
	_, err := b.login.Exec(t.Context(), "ALTER TABLE payments ADD CONSTRAINT jane CHECK (amount <> 1007)")
	require.NoError(t, err)
	_, err = b.writer.Submit(t.Context(), submission(t, "acme", "", 7))
	require.Error(t, err)
	spans := tracetest.SpanStubsFromReadOnlySpans(recorder.Ended())
	require.Len(t, spans, 2)
	for _, s := range spans {
		require.Equal(t, sdk.Status{Code: codes.Error, Description: "DB_ERROR"}, s.Status, s.Name)
		require.Empty(t, s.Events)
	}
}

func TestJobsThatRequestsEnqueueByTheWayCarryTheTrace(t *testing.T) {
	t.Parallel()
	recorder, tracer, on := traced(sdk.AlwaysSample())
	b := newBench(t, on)
	enqueue := func(ctx context.Context) {
		require.NoError(t, b.writer.Change(ctx, "acme", "request-1", func(context.Context, pgx.Tx) (intake.Change, error) {
			return intake.Change{Enqueue: jobs.PaymentReconciliationArgs{}}, nil
		}))
	}
	ctx, request := tracer.Start(t.Context(), "request")
	enqueue(ctx)
	enqueue(t.Context())
	all := b.metadata()
	require.Len(t, all, 2)
	require.Equal(t, jobs.Metadata{TenantID: "acme", RequestID: "request-1"}, all[1], "nobody's span is behind it")
	send := recorder.Ended()
	require.Len(t, send, 1)
	require.Equal(t, "send payments", send[0].Name())
	require.Equal(t, request.SpanContext(), send[0].Parent())
	require.Equal(t, jobs.Metadata{TenantID: "acme", RequestID: "request-1", Trace: jobs.TraceOf(trace.ContextWithSpanContext(ctx, send[0].SpanContext()))}, all[0])

	require.Error(t, b.writer.Change(ctx, "acme", "", func(context.Context, pgx.Tx) (intake.Change, error) {
		return intake.Change{}, errors.New("no")
	}))
	require.Len(t, recorder.Ended(), 1)
}

func TestTracingCostsNothingWhileItIsOff(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of other tests too
	b := newBench(t)
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() { b.writer.TraceNothing(ctx) }))
}
