package workers_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"millrace/internal/intake"
	"millrace/internal/sandbox"
	"millrace/internal/telemetry"
	"millrace/workers"
)

// spans are those that a worker made.
type spans struct{ *tracetest.SpanRecorder }

// of lists the attempts of jobs of a kind, in the order in which they ended.
func (s spans) of(kind string) []tracetest.SpanStub {
	return slices.DeleteFunc(tracetest.SpanStubsFromReadOnlySpans(s.Ended()), func(span tracetest.SpanStub) bool {
		return !slices.Contains(span.Attributes, telemetry.AttrKind.String(kind))
	})
}

func value(span tracetest.SpanStub, key attribute.Key) any {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value.AsInterface()
		}
	}
	return nil
}

// traced has a worker record its spans.
func traced() (spans, func(*workers.Options)) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))
	return spans{recorder}, func(o *workers.Options) { o.Traces = provider }
}

func TestSpansTellHowAttemptsEnded(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	seen, on := traced()
	panicked := p.submit("pm_card_visa")
	stop := p.work(on, func(o *workers.Options) { o.Gateway = panicking{} })
	require.Eventually(t, func() bool { return len(seen.of("payment_capture")) == 1 }, 20*time.Second, 10*time.Millisecond)
	stop()
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultRateLimit, Path: "confirm", Count: 1}))
	p.work(on)
	job, _ := p.finish(panicked.ID)
	require.Equal(t, intake.StateCompleted, job.State)
	require.Eventually(t, func() bool { return len(seen.of("payment_capture")) == 3 }, 20*time.Second, 10*time.Millisecond)
	for i, want := range []struct {
		outcome, code any
		failed        bool
	}{{"retried", "UNKNOWN", true}, {"snoozed", "UNAVAILABLE", false}, {"completed", nil, false}} {
		span := seen.of("payment_capture")[i]
		require.Equal(t, "process payments", span.Name)
		require.Equal(t, want.outcome, value(span, telemetry.AttrOutcome))
		require.Equal(t, want.code, value(span, telemetry.AttrErrorCode), i)
		require.Equal(t, want.failed, span.Status.Code == codes.Error, i)
		require.False(t, span.Parent.IsValid(), "nothing was traced when the job was accepted")
	}
	text, err := json.Marshal(tracetest.SpanStubsFromReadOnlySpans(seen.Ended()))
	require.NoError(t, err)
	require.NotContains(t, string(text), "jane", "the value of a panic")
}

func TestJobsThatAJobEnqueuesAreInItsTrace(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	for _, tenant := range []string{"alice", "bob"} {
		p.record(tenant, 1, 3)
	}
	seen, on := traced()
	p.work(on, onlyRollups(1))
	p.folded()
	require.Eventually(t, func() bool { return len(seen.of("metric_rollup")) == 2 }, 20*time.Second, 10*time.Millisecond)
	scheduling := seen.of("metric_rollup_scheduling")[0]
	require.False(t, scheduling.Parent.IsValid(), "nobody is behind a periodic job")
	for _, rollup := range seen.of("metric_rollup") {
		require.Equal(t, scheduling.SpanContext.TraceID(), rollup.SpanContext.TraceID())
		all := tracetest.SpanStubsFromReadOnlySpans(seen.Ended())
		at := slices.IndexFunc(all, func(s tracetest.SpanStub) bool { return s.SpanContext.SpanID() == rollup.Parent.SpanID() })
		require.GreaterOrEqual(t, at, 0)
		require.Equal(t, "send rollups", all[at].Name)
		require.Equal(t, scheduling.SpanContext.SpanID(), all[at].Parent.SpanID())
		require.EqualValues(t, 2, value(all[at], "messaging.batch.message_count"))
	}
}

func TestAttemptsCostNothingMoreWhileTracingIsOff(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of other tests too
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() { workers.TraceNothing(ctx) }))
}
