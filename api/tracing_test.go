package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"millrace/api"
)

// tracedSite is a site that records spans.
func tracedSite(t *testing.T, sampler sdk.Sampler, change ...func(*api.Options)) (*site, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder), sdk.WithSampler(sampler))
	return newSite(t, append(change, func(o *api.Options) { o.Traces = provider })...), recorder
}

const (
	callersID     = "0af7651916cd43dd8448eb211c80319c"
	callersSpan   = "b7ad6b7169203331"
	callersParent = "00-" + callersID + "-" + callersSpan + "-"
)

func TestEachRequestIsASpan(t *testing.T) {
	t.Parallel()
	s, recorder := tracedSite(t, sdk.AlwaysSample())
	for _, c := range []struct {
		request request
		name    string
		want    []attribute.KeyValue
		failed  bool
	}{
		{
			request: request{method: http.MethodGet, path: "/v1/payments/0193e1a2-aaaa-7000-8000-000000000001?reveal=Jane", key: s.alice, header: map[string]string{"X-Request-Id": "request-1"}},
			name:    "GET /v1/payments/:id",
			want: []attribute.KeyValue{
				attribute.String("http.request.method", "GET"), attribute.String("http.route", "/v1/payments/:id"), attribute.Int("http.response.status_code", 403),
				attribute.String("url.scheme", "http"), attribute.String("millrace.request_id", "request-1"), attribute.String("millrace.tenant_id", "alice"),
				attribute.String("millrace.error_code", "TENANT_ACCESS_DENIED"),
			},
		},
		{
			request: request{method: http.MethodGet, path: "/Jane"}, name: "GET",
			want: []attribute.KeyValue{attribute.Int("http.response.status_code", 404), attribute.String("millrace.error_code", "NOT_FOUND")},
		},
		{
			request: request{method: "JANE", path: "/v1/jobs"}, name: "HTTP",
			want: []attribute.KeyValue{attribute.String("http.request.method", "_OTHER"), attribute.Int("http.response.status_code", 405)},
		},
		{
			request: request{method: http.MethodGet, path: "/v1/jobs?limit=Jane", key: s.alice}, name: "GET /v1/jobs", // refused by huma
			want: []attribute.KeyValue{attribute.Int("http.response.status_code", 400), attribute.String("millrace.error_code", "INVALID_INPUT")},
		},
		{
			request: request{method: http.MethodPost, path: "/webhooks/stripe", body: "{}", header: map[string]string{"Stripe-Signature": "x"}}, name: "POST /webhooks/stripe", failed: true,
			want: []attribute.KeyValue{attribute.Int("http.response.status_code", 503), attribute.String("error.type", "503"), attribute.String("millrace.error_code", "UNAVAILABLE")},
		},
	} {
		recorder.Reset()
		s.do(c.request)
		spans := tracetest.SpanStubsFromReadOnlySpans(recorder.Ended())
		require.Len(t, spans, 1, c.name)
		require.Equal(t, c.name, spans[0].Name)
		require.Equal(t, trace.SpanKindServer, spans[0].SpanKind)
		require.Subset(t, spans[0].Attributes, c.want, c.name)
		require.Equal(t, c.failed, spans[0].Status.Code == codes.Error, c.name)
		text, err := json.Marshal(spans)
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(string(text)), "jane", c.name)
	}
	recorder.Reset()
	for _, probe := range []string{"/healthz", "/readyz"} {
		require.Equal(t, http.StatusOK, s.do(request{method: http.MethodGet, path: probe}).status)
	}
	require.Empty(t, recorder.Ended(), "probes come every second")
}

func TestCallersTracesAreContinued(t *testing.T) {
	t.Parallel()
	never := sdk.ParentBased(sdk.NeverSample())
	for name, c := range map[string]struct {
		ignore        bool
		header        map[string]string
		kept, inTrace bool
		state         string
	}{
		"without one":             {},
		"one that is kept":        {header: map[string]string{"Traceparent": callersParent + "01"}, kept: true, inTrace: true},
		"one that is not":         {header: map[string]string{"Traceparent": callersParent + "00"}},
		"one that is wrong":       {header: map[string]string{"Traceparent": callersParent + "zz"}},
		"from a stranger":         {ignore: true, header: map[string]string{"Traceparent": callersParent + "01"}},
		"with state":              {header: map[string]string{"Traceparent": callersParent + "01", "Tracestate": "33@nr=0-0-332029-2827902-5f474d64b9cc9b2a, dd=s:2;o:rum;t.dm:-4"}, kept: true, inTrace: true, state: "33@nr=0-0-332029-2827902-5f474d64b9cc9b2a,dd=s:2;o:rum;t.dm:-4"},
		"with somebody's address": {header: map[string]string{"Traceparent": callersParent + "01", "Tracestate": "dd=s:2,acme=jane@example.com"}, kept: true, inTrace: true},
		"with somebody's words":   {header: map[string]string{"Traceparent": callersParent + "01", "Tracestate": "acme=I am Jane"}, kept: true, inTrace: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, recorder := tracedSite(t, never, func(o *api.Options) { o.IgnoreCallers = c.ignore })
			s.do(request{method: http.MethodGet, path: "/v1/jobs", key: s.alice, header: c.header})
			spans := recorder.Ended()
			require.Equal(t, c.kept, len(spans) == 1)
			if !c.kept {
				return
			}
			require.Equal(t, c.inTrace, spans[0].SpanContext().TraceID().String() == callersID)
			require.Equal(t, callersSpan, spans[0].Parent().SpanID().String())
			require.Equal(t, c.state, spans[0].SpanContext().TraceState().String())
		})
	}
}

func TestRequestsPassThroughNothingMoreWhileTracingIsOff(t *testing.T) {
	t.Parallel()
	on, _ := tracedSite(t, sdk.AlwaysSample())
	require.Len(t, on.server.Engine().Handlers, 1+len(newSite(t).server.Engine().Handlers))
}
