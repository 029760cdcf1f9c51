package api

import (
	"context"
	"net/http"
	"regexp"
	"strconv"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/telemetry"
)

// trace makes a span of each request, by the semantic conventions for HTTP servers but
// for what a client may have put a person into: the path, the query, addresses and the
// user agent are left out. Probes are not traced: they come every second, and mean nothing.
func (s *Server) trace(tracer trace.Tracer) gin.HandlerFunc {
	return func(c *gin.Context) {
		route := c.FullPath()
		if route == "/healthz" || route == "/readyz" {
			return
		}
		ctx := c.Request.Context()
		if !s.opts.IgnoreCallers {
			ctx = callersTrace(ctx, c.Request.Header)
		}
		name, verb := method(c.Request.Method), semconv.HTTPRequestMethodKey.String(c.Request.Method)
		if name != c.Request.Method {
			name, verb = "HTTP", semconv.HTTPRequestMethodOther
		}
		attributes := append(make([]attribute.KeyValue, 0, 8), verb, semconv.URLScheme(s.scheme(c)))
		if route != "" {
			name += " " + route
			attributes = append(attributes, semconv.HTTPRoute(route))
		}
		ctx, span := tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
		c.Request = c.Request.WithContext(ctx)
		defer telemetry.EndSpan(span, nil)
		c.Next()
		if !span.IsRecording() {
			return
		}
		status, state := c.Writer.Status(), requestOf(c.Request.Context())
		span.SetAttributes(semconv.HTTPResponseStatusCode(status), telemetry.AttrRequest.String(state.id))
		if state.tenant != "" {
			span.SetAttributes(telemetry.AttrTenant.String(state.tenant))
		}
		if state.waited > 0 {
			span.SetAttributes(telemetry.AttrWaited.Float64(state.waited.Seconds()))
		}
		if status >= http.StatusInternalServerError { // the others are the client's
			span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
			span.SetStatus(codes.Error, "")
		}
	}
}

func (s *Server) scheme(c *gin.Context) string {
	if s.overTLS(c) {
		return "https"
	}
	return "http"
}

// tracestateForm is what other systems' state looks like. It goes into jobs and spans,
// so that what may be somebody's address or words is no state.
var tracestateForm = regexp.MustCompile(`^(?:[0-9a-f-]{1,241}@)?[a-z0-9_*/-]{1,256}=[A-Za-z0-9_.:;~/+-]{1,256}(?:,(?:[0-9a-f-]{1,241}@)?[a-z0-9_*/-]{1,256}=[A-Za-z0-9_.:;~/+-]{1,256})*$`)

// callersTrace returns ctx with the span that the request's traceparent names.
func callersTrace(ctx context.Context, header http.Header) context.Context {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
	caller := trace.SpanContextFromContext(ctx)
	if caller.TraceState().Len() > 0 && !tracestateForm.MatchString(caller.TraceState().String()) {
		ctx = trace.ContextWithRemoteSpanContext(ctx, caller.WithTraceState(trace.TraceState{}))
	}
	return ctx
}
