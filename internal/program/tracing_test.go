package program_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/mailbox"
	"millrace/internal/postgres"
	"millrace/internal/sandbox"
)

// span is one that a collector was sent.
type span struct {
	*tracepb.Span

	service string
	attrs   map[string]string
}

func (s span) id() string     { return hex.EncodeToString(s.SpanId) }
func (s span) trace() string  { return hex.EncodeToString(s.TraceId) }
func (s span) parent() string { return hex.EncodeToString(s.ParentSpanId) }
func (s span) failed() bool   { return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR }

// linksTo reports whether the span has a link to the other.
func (s span) linksTo(other span) bool {
	return slices.ContainsFunc(s.Links, func(l *tracepb.Span_Link) bool {
		return bytes.Equal(l.SpanId, other.SpanId) && bytes.Equal(l.TraceId, other.TraceId)
	})
}

// collector stands in for whoever takes spans: Jaeger, Tempo, OpenTelemetry's collector.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans []span
}

// Export implements collectorpb.TraceServiceServer.
func (c *collector) Export(_ context.Context, request *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, span{s, texts(resource.Resource.Attributes)["service.name"], texts(s.Attributes)})
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func texts(attributes []*commonpb.KeyValue) map[string]string {
	values := map[string]string{}
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			values[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			values[a.Key] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_BoolValue:
			values[a.Key] = fmt.Sprint(v.BoolValue)
		default:
			values[a.Key] = a.Value.String()
		}
	}
	return values
}

// ServeHTTP takes OTLP over HTTP.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request collectorpb.ExportTraceServiceRequest
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(body)
	}
	content, err := io.ReadAll(body)
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Authorization") != "Bearer of-a-test" || proto.Unmarshal(content, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = c.Export(r.Context(), &request)
	w.WriteHeader(http.StatusOK)
}

func (c *collector) all() []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// named returns the spans of that name in a trace, by their start; of all traces when
// it is empty.
func (c *collector) named(trace, name string) []span {
	found := slices.DeleteFunc(c.all(), func(s span) bool { return s.Name != name || trace != "" && s.trace() != trace })
	slices.SortFunc(found, func(a, b span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) }) //nolint:gosec // nanoseconds since 1970
	return found
}

// one returns the only span of that name in a trace.
func (c *collector) one(t *testing.T, trace, name string) span {
	t.Helper()
	found := c.named(trace, name)
	require.Len(t, found, 1, name)
	return found[0]
}

// plant is intake and a worker with their vendors, which send spans to a collector.
type plant struct {
	t              *testing.T
	db             *dbtest.DB
	stripe         *sandbox.Stripe
	url, key       string
	intake, worker *process
}

// newPlant starts both programs with more variables.
func newPlant(t *testing.T, dir string, environ ...string) *plant {
	t.Helper()
	p := &plant{t: t, db: dbtest.New(t)}
	var err error
	p.stripe, err = sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	gateway := httptest.NewServer(p.stripe)
	t.Cleanup(gateway.Close)
	mails := mailbox.New(mailbox.Options{})
	t.Cleanup(func() { _ = mails.Close() })
	provider := httptest.NewServer(mails)
	t.Cleanup(provider.Close)
	_, key, err := apikey.Create(t.Context(), p.db.Tenancy(t, postgres.Owner), apikey.Request{Tenant: "demo", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(t, err)
	p.key = key.Reveal()
	environ = append(environ, "DATABASE_URL="+p.db.URL, "METRICS_ADDR=127.0.0.1:0", "LOG_LEVEL=debug")
	address := freePort(t)
	p.url = "http://" + address
	p.intake = launch(t, dir, "intake", append(environ, "LISTEN_ADDR="+address, "RATE_LIMITS=off")...)
	p.worker = launch(t, dir, "worker", append(append(environ, mailSettings(provider.URL)...), "STRIPE_SECRET_KEY=sk_test_x", "STRIPE_API_BASE="+gateway.URL)...)
	require.Eventually(t, func() bool { return get(t, p.url+"/readyz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	return p
}

// stop ends both programs, which send their last spans.
func (p *plant) stop() {
	p.t.Helper()
	require.Equal(p.t, 0, p.intake.terminate())
	require.Equal(p.t, 0, p.worker.terminate())
}

type accepted struct {
	Job     struct{ ID, State string }
	Booking struct{ ID string }
	Slots   []struct{ ID string }
}

// do makes a request in a trace, and returns its answer.
func (p *plant) do(method, path, body, traceparent string, header ...string) (a accepted, status int) {
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		return a, 0
	}
	request.Header.Set("Authorization", "Bearer "+p.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Traceparent", traceparent)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return a, 0
	}
	defer func() { _ = response.Body.Close() }()
	_ = json.NewDecoder(response.Body).Decode(&a)
	return a, response.StatusCode
}

// caller is a trace that an app has begun, number n.
func caller(n int) (trace, span, traceparent string) {
	trace, span = fmt.Sprintf("%032x", 0xabc000+n), fmt.Sprintf("%016x", 0xdef000+n)
	return trace, span, "00-" + trace + "-" + span + "-01"
}

const card = `{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}`

// traces follows work through both programs to the vendors, and back from the spans
// that a collector was sent.
func traces(t *testing.T, dir string) {
	t.Helper()
	sink := &collector{}
	server := httptest.NewServer(sink)
	t.Cleanup(server.Close)
	p := newPlant(t, dir, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20of-a-test",
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
	require.NoError(t, p.stripe.Inject(sandbox.Fault{Kind: sandbox.FaultHTTP500, Path: "/v1/payment_intents", PaymentMethod: "pm_card_mastercard", Count: 1}))

	// A payment in an app's trace, and the same key again in another one.
	_, _, first := caller(1)
	paid, status := p.do(http.MethodPost, "/v1/payments", card, first, "Idempotency-Key", "one", "Prefer", "wait=20", "Tracestate", "acme=t61rcWkgMzE", "X-Request-Id", "request-1")
	require.Equal(t, http.StatusOK, status)
	_, _, second := caller(2)
	again, status := p.do(http.MethodPost, "/v1/payments", card, second, "Idempotency-Key", "one")
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, paid.Job.ID, again.Job.ID)
	// One that fails the first time, one that is declined, and one for later.
	_, _, third := caller(3)
	_, status = p.do(http.MethodPost, "/v1/payments", strings.Replace(card, "visa", "mastercard", 1), third, "Idempotency-Key", "three", "Prefer", "wait=20")
	require.Equal(t, http.StatusOK, status)
	_, _, fourth := caller(4)
	_, status = p.do(http.MethodPost, "/v1/payments", strings.Replace(card, "visa", "visa_chargeDeclined", 1), fourth, "Idempotency-Key", "four", "Prefer", "wait=20")
	require.Equal(t, http.StatusPaymentRequired, status)
	_, _, fifth := caller(5)
	later, status := p.do(http.MethodPost, "/v1/jobs", fmt.Sprintf(`{"kind":"payment_capture","args":%s,"scheduled_at":%q}`, card, time.Now().Add(time.Second).Format(time.RFC3339Nano)),
		fifth, "Idempotency-Key", "five", "Prefer", "wait=20")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "completed", later.Job.State)
	booked := p.book()
	p.crowd()
	p.stop()

	p.paid(sink, paid)
	repeated := sink.one(t, traceID(2), "send payments")
	require.Equal(t, "true", repeated.attrs["millrace.replayed"])
	require.Equal(t, paid.Job.ID, repeated.attrs["messaging.message.id"])
	require.Empty(t, sink.named(traceID(2), "process payments"), "the job is the first request's")

	attempts := sink.named(traceID(3), "process payments")
	require.Len(t, attempts, 2)
	send := sink.one(t, traceID(3), "send payments")
	for i, outcome := range []string{"retried", "completed"} {
		require.Equal(t, send.id(), attempts[i].parent(), "each attempt is a child of the sending")
		require.Equal(t, outcome, attempts[i].attrs["millrace.outcome"])
		require.Equal(t, fmt.Sprint(i+1), attempts[i].attrs["millrace.attempt"])
	}
	require.True(t, attempts[0].failed())
	require.Equal(t, "UNAVAILABLE", attempts[0].attrs["millrace.error_code"])
	require.False(t, attempts[1].failed())
	require.Equal(t, "down", sink.named(traceID(3), "stripe create")[0].attrs["millrace.outcome"])

	declined := sink.one(t, traceID(4), "process payments")
	require.Equal(t, []string{"cancelled", "PAYMENT_FAILED"}, []string{declined.attrs["millrace.outcome"], declined.attrs["millrace.error_code"]})
	require.True(t, declined.failed())
	require.Equal(t, "refused", sink.one(t, traceID(4), "stripe confirm").attrs["millrace.outcome"])
	require.Equal(t, "PAYMENT_FAILED", sink.one(t, traceID(4), "POST /v1/payments").attrs["millrace.error_code"])
	require.Equal(t, sink.one(t, traceID(5), "send payments").id(), sink.one(t, traceID(5), "process payments").parent())

	p.mailed(sink, booked)
	p.crowded(sink)
	p.told(sink)
	for _, s := range sink.all() {
		require.NotContains(t, s.String(), p.key)
		require.NotContains(t, []string{"GET /healthz", "GET /readyz"}, s.Name)
	}
}

func traceID(n int) string { id, _, _ := caller(n); return id }

// paid looks at the one trace of a payment: request, sending, commit, attempt, vendor.
func (p *plant) paid(sink *collector, paid accepted) {
	p.t.Helper()
	t := p.t
	trace, callers, _ := caller(1)
	request := sink.one(t, trace, "POST /v1/payments")
	require.Equal(t, callers, request.parent())
	require.Equal(t, "acme=t61rcWkgMzE", request.TraceState)
	require.Equal(t, tracepb.Span_SPAN_KIND_SERVER, request.Kind)
	require.Equal(t, "millrace-intake", request.service)
	require.Equal(t, map[string]string{
		"http.request.method": "POST", "http.route": "/v1/payments", "http.response.status_code": "200", "url.scheme": "http",
		"millrace.tenant_id": "demo", "millrace.request_id": "request-1", "millrace.waited_seconds": request.attrs["millrace.waited_seconds"],
	}, request.attrs)
	require.NotEmpty(t, request.attrs["millrace.waited_seconds"])

	send := sink.one(t, trace, "send payments")
	require.Equal(t, request.id(), send.parent())
	require.Equal(t, tracepb.Span_SPAN_KIND_PRODUCER, send.Kind)
	require.Equal(t, map[string]string{
		"messaging.system": "river", "messaging.destination.name": "payments", "messaging.operation.type": "send", "messaging.operation.name": "send",
		"messaging.message.id": paid.Job.ID, "millrace.kind": "payment_capture", "millrace.tenant_id": "demo", "millrace.replayed": "false",
	}, send.attrs)
	commit := sink.one(t, trace, "commit")
	require.Equal(t, send.id(), commit.parent(), "of a lone request")
	require.Equal(t, "1", commit.attrs["messaging.batch.message_count"])
	require.Empty(t, commit.Links)

	attempt := sink.one(t, trace, "process payments")
	require.Equal(t, send.id(), attempt.parent())
	require.Equal(t, tracepb.Span_SPAN_KIND_CONSUMER, attempt.Kind)
	require.Equal(t, "millrace-worker", attempt.service)
	require.Equal(t, "acme=t61rcWkgMzE", attempt.TraceState)
	require.Equal(t, map[string]string{
		"messaging.system": "river", "messaging.destination.name": "payments", "messaging.operation.type": "process", "messaging.operation.name": "process",
		"messaging.message.id": paid.Job.ID, "millrace.kind": "payment_capture", "millrace.tenant_id": "demo", "millrace.request_id": "request-1",
		"millrace.attempt": "1", "millrace.outcome": "completed",
	}, attempt.attrs)
	for _, operation := range []string{"create", "confirm"} {
		call := sink.one(t, trace, "stripe "+operation)
		require.Equal(t, attempt.id(), call.parent())
		require.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, call.Kind)
		require.Equal(t, map[string]string{"millrace.provider": "stripe", "millrace.operation": operation, "millrace.outcome": "ok"}, call.attrs)
	}
	for _, s := range []span{request, send, commit, attempt} {
		require.False(t, s.failed(), s.Name)
	}

	// Logs of both programs name the trace and the span.
	for program, line := range map[*process]struct{ message, span string }{
		p.intake: {"request", request.id()}, p.worker: {"job attempt ended", attempt.id()},
	} {
		named := false
		for text := range strings.Lines(program.stderr.String()) {
			var logged struct {
				Msg     string
				TraceID string `json:"trace_id"`
				SpanID  string `json:"span_id"`
			}
			require.NoError(t, json.Unmarshal([]byte(text), &logged), text)
			named = named || logged.Msg == line.message && logged.TraceID == trace && logged.SpanID == line.span
		}
		require.True(t, named, line.message)
	}
}

// book takes a slot and cancels it, in a trace each, after the confirmation was sent.
func (p *plant) book() (id string) {
	p.t.Helper()
	t := p.t
	hours := `[{"from":"00:00","to":"24:00"}]`
	_, status := p.do(http.MethodPut, "/v1/calendar", fmt.Sprintf(`{"resource":"default","timezone":"UTC","hours":{"monday":%[1]s,"tuesday":%[1]s,"wednesday":%[1]s,
		"thursday":%[1]s,"friday":%[1]s,"saturday":%[1]s,"sunday":%[1]s},"slot_minutes":30,"buffer_minutes":0,"days_ahead":30,"reminder_minutes":60,"business":{"name":"Acme","email":"desk@acme.example","color":"#1a6b54"}}`, hours), "")
	require.Equal(t, http.StatusOK, status)
	free, status := p.do(http.MethodGet, "/v1/slots?timezone=UTC&date="+time.Now().UTC().Add(72*time.Hour).Format(time.DateOnly), "", "")
	require.Equal(t, http.StatusOK, status)
	_, _, booking := caller(10)
	booked, status := p.do(http.MethodPost, "/v1/bookings", fmt.Sprintf(`{"slot_id":%q,"name":"Ada","email":"ada@example.com"}`, free.Slots[0].ID), booking, "Idempotency-Key", "booked", "Prefer", "wait=20")
	require.Equal(t, http.StatusOK, status)
	// The reminder waits, with the trace in its row.
	var carried string
	require.NoError(t, p.db.Pool(t, postgres.Login).QueryRow(t.Context(), `SELECT metadata ->> 'traceparent' FROM river_job WHERE kind = 'booking_reminder_email'`).Scan(&carried))
	require.Contains(t, carried, traceID(10))
	_, _, cancelling := caller(11)
	_, status = p.do(http.MethodDelete, "/v1/bookings/"+booked.Booking.ID, "", cancelling)
	require.Equal(t, http.StatusOK, status)
	require.Eventually(t, func() bool {
		var done bool
		err := p.db.Pool(t, postgres.Login).QueryRow(t.Context(), `SELECT state = 'completed' FROM river_job WHERE kind = 'booking_cancellation_email'`).Scan(&done)
		return err == nil && done
	}, 30*time.Second, 20*time.Millisecond)
	return booked.Booking.ID
}

// mailed looks at the jobs that requests and jobs enqueue by the way.
func (p *plant) mailed(sink *collector, booking string) {
	p.t.Helper()
	t := p.t
	confirm := sink.one(t, traceID(10), "process emails")
	require.Equal(t, confirm.id(), sink.one(t, traceID(10), "resend send").parent())
	sends := sink.named(traceID(10), "send emails")
	require.Len(t, sends, 2)
	require.Equal(t, confirm.id(), sends[1].parent(), "the confirmation's job enqueues the reminder's")
	require.NotEmpty(t, sends[1].attrs["messaging.message.id"])
	cancelled := sink.one(t, traceID(11), "send emails")
	require.Equal(t, sink.one(t, traceID(11), "DELETE /v1/bookings/:id").id(), cancelled.parent())
	require.Equal(t, cancelled.id(), sink.one(t, traceID(11), "process emails").parent())
	for _, s := range sink.all() {
		require.NotContains(t, s.String(), booking, "paths are not in spans")
		require.NotContains(t, s.String(), "ada@example.com")
	}
}

// crowded is how many submit at once.
const crowded = 60

func (p *plant) crowd() {
	p.t.Helper()
	var clients sync.WaitGroup
	statuses := make([]int, crowded)
	for i := range statuses {
		clients.Go(func() {
			_, _, traceparent := caller(100 + i)
			_, statuses[i] = p.do(http.MethodPost, "/v1/payments", card, traceparent, "Idempotency-Key", fmt.Sprint("crowd", i))
		})
	}
	clients.Wait()
	for _, status := range statuses {
		require.Equal(p.t, http.StatusAccepted, status)
	}
}

// crowded looks at commits that many requests share.
func (p *plant) crowded(sink *collector) {
	p.t.Helper()
	t := p.t
	byID := map[string]span{}
	for _, s := range sink.all() {
		byID[s.id()] = s
	}
	shared := 0
	committed := map[string]bool{}
	for _, commit := range sink.named("", "commit") {
		sends := []span{byID[commit.parent()]}
		for _, link := range commit.Links {
			linked := byID[hex.EncodeToString(link.SpanId)]
			require.True(t, linked.linksTo(commit), "both ways")
			require.NotEqual(t, commit.trace(), linked.trace())
			sends = append(sends, linked)
			shared++
		}
		for _, send := range sends {
			require.True(t, strings.HasPrefix(send.Name, "send "), send.Name)
			committed[send.id()] = true
		}
		require.Equal(t, commit.attrs["messaging.batch.message_count"], fmt.Sprint(len(sends)))
	}
	require.Positive(t, shared, "some shared a commit")
	for i := range crowded {
		require.True(t, committed[sink.one(t, traceID(100+i), "send payments").id()], "every sending leads to its commit")
	}
}

// told proves that the documentation names every attribute.
func (p *plant) told(sink *collector) {
	p.t.Helper()
	document, err := os.ReadFile("../../docs/tracing.md")
	require.NoError(p.t, err)
	keys := map[string]bool{}
	for _, s := range sink.all() {
		for key := range maps.Keys(s.attrs) {
			keys[key] = true
		}
	}
	require.Greater(p.t, len(keys), 10)
	for key := range keys {
		require.Contains(p.t, string(document), "`"+key+"`", "docs/tracing.md tells what is in spans")
	}
}

// noCollector has spans sent to where nobody listens.
func noCollector(t *testing.T, dir string) {
	t.Helper()
	p := newPlant(t, dir, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+freePort(t), "OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_BSP_EXPORT_TIMEOUT=20")
	const complaint = "tracing: spans are not delivered"
	for i := range 20 {
		_, status := p.do(http.MethodPost, "/v1/payments", card, "", "Idempotency-Key", fmt.Sprint(i), "Prefer", "wait=20")
		require.Equal(t, http.StatusOK, status, "work goes on")
	}
	for _, program := range []*process{p.intake, p.worker} {
		require.Eventually(t, func() bool { return strings.Contains(program.stderr.String(), complaint) }, 30*time.Second, 10*time.Millisecond)
	}
	p.stop()
	require.Len(t, p.stripe.Charges(), 20)
	for _, program := range []*process{p.intake, p.worker} {
		require.Equal(t, 1, strings.Count(program.stderr.String(), complaint), "told once")
		for line := range strings.Lines(program.stderr.String()) {
			require.True(t, strings.HasPrefix(line, `{"timestamp":`), "and by our logger only: %s", line)
		}
	}
}

// tracesOfStrangers has both programs continue nobody's trace, and send spans over gRPC.
func tracesOfStrangers(t *testing.T, dir string) {
	t.Helper()
	sink := &collector{}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, sink)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	p := newPlant(t, dir, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://"+listener.Addr().String(),
		"OTEL_SERVICE_NAME=acme", "OTEL_PROPAGATORS=none", "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=1")
	stranger, _, traceparent := caller(1)
	_, status := p.do(http.MethodPost, "/v1/payments", card, traceparent, "Idempotency-Key", "one", "Prefer", "wait=20")
	require.Equal(t, http.StatusOK, status)
	p.stop()
	require.Empty(t, sink.named(stranger, "POST /v1/payments"))
	request := sink.one(t, "", "POST /v1/payments")
	require.Empty(t, request.parent())
	require.Equal(t, "acme", request.service)
	send := sink.one(t, request.trace(), "send payments")
	require.Equal(t, send.id(), sink.one(t, request.trace(), "process payments").parent(), "our own traces go on in the job's row")
	for _, s := range sink.all() {
		if s.attrs["millrace.kind"] == "payment_reconciliation" {
			require.Empty(t, s.parent(), "nobody is behind a periodic job")
		}
	}
}

// wrongTracing has variables be wrong.
func wrongTracing(t *testing.T, dir string) {
	t.Helper()
	for program, extra := range map[string][]string{
		"intake": {"DATABASE_URL=postgres://h/db"},
		"worker": append(mailSettings(""), "DATABASE_URL=postgres://h/db", "STRIPE_SECRET_KEY=sk_test_x"),
	} {
		p := launch(t, dir, program, append(extra, "OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=hunter2")...)
		require.Equal(t, 1, p.wait())
		require.Regexp(t, `^`+program+`: OTEL_TRACES_SAMPLER is wrong: [^\n]*\n$`, p.stderr.String())
		require.NotContains(t, p.stderr.String(), "hunter2")
	}
}
