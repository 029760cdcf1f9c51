package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"millrace/internal/booking"
	"millrace/internal/fault"
	"millrace/internal/ratelimit"
	"millrace/internal/telemetry"
)

// newEngine returns Gin with what every request passes through, and with our
// errors for what no route answers.
func newEngine(s *Server) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	_ = s.trust(engine) // fails only for a malformed list, and these were parsed
	if s.opts.Traces != nil {
		engine.Use(s.trace(s.opts.Traces.Tracer("millrace/api")))
	}
	engine.Use(s.identify, s.observe, s.protect, s.readable)
	if len(s.opts.Origins) > 0 {
		engine.Use(shareWith(s.opts.Origins))
	}
	engine.NoRoute(func(c *gin.Context) {
		s.abort(c, fault.New(fault.NotFound, "There is nothing here; /openapi.json lists what there is."))
	})
	engine.NoMethod(func(c *gin.Context) {
		s.abort(c, fault.New(fault.MethodNotAllowed, "This address does not take that method; the Allow header lists those that it takes."))
	})
	return engine
}

type requestKey struct{}

// requestState is what the layers of one request share.
type requestState struct {
	id string
	// client is the address that the request came from.
	client string
	// waited is how long the client had us wait for an outcome.
	waited time.Duration
	// header is that of the answer.
	header http.Header
	// code is that of the answer when it is an error.
	code fault.Code
	// method and route are what was asked; the route is a template, or none.
	method, route string
	// tenant is empty before the request is authenticated.
	tenant string
	// jobID is the job that the request submitted, or 0.
	jobID int64
	// limit is the tightest rate limit that the answer tells; nil before one was checked.
	limit *ratelimit.Result
}

// LogAttrs implements telemetry.Subject.
func (r *requestState) LogAttrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("requestId", r.id), slog.String("method", r.method), slog.String("route", r.route)}
	if r.tenant != "" {
		attrs = append(attrs, slog.String("tenantId", r.tenant))
	}
	if r.jobID != 0 {
		attrs = append(attrs, slog.Int64("jobId", r.jobID))
	}
	return attrs
}

func requestOf(ctx context.Context) *requestState {
	if state, ok := ctx.Value(requestKey{}).(*requestState); ok {
		return state
	}
	return &requestState{}
}

func requestID(ctx context.Context) string { return requestOf(ctx).id }

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// identify gives the request an id: the client's X-Request-Id if it is
// harmless, else a new one. The answer repeats it.
func (s *Server) identify(c *gin.Context) {
	id := c.GetHeader("X-Request-Id")
	if !requestIDForm.MatchString(id) {
		if fresh, err := s.opts.NewID(); err == nil {
			id = fresh.String()
		}
	}
	c.Header("X-Request-Id", id)
	state := &requestState{
		id: id, client: c.ClientIP(), header: c.Writer.Header(), method: method(c.Request.Method), route: cmp.Or(c.FullPath(), "none"),
	}
	ctx := context.WithValue(c.Request.Context(), requestKey{}, state)
	c.Request = c.Request.WithContext(telemetry.About(ctx, state))
	c.Next()
}

// observe measures and logs the request. Only failures and slow answers are
// logged at info; the job's own log lines carry the request id.
func (s *Server) observe(c *gin.Context) {
	started := time.Now()
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	c.Next()
	state := requestOf(c.Request.Context())
	took := time.Since(started) - state.waited
	code := c.Writer.Status()
	if state.code != "" {
		s.metrics.errors.WithLabelValues(string(state.code)).Inc()
	}
	s.metrics.requests.WithLabelValues(state.method, state.route, strconv.Itoa(code)).Inc()
	s.metrics.seconds.WithLabelValues(state.method, state.route).Observe(took.Seconds())
	level := slog.LevelDebug
	if code >= http.StatusBadRequest {
		level = slog.LevelInfo
	}
	if !s.opts.Logger.Enabled(c.Request.Context(), level) {
		return
	}
	attrs := []slog.Attr{slog.Int("status", code), slog.Float64("seconds", took.Seconds())}
	if state.code != "" {
		attrs = append(attrs, slog.String("errorCode", string(state.code)))
	}
	s.opts.Logger.LogAttrs(c.Request.Context(), level, "request", attrs...)
}

// method bounds the label to methods that exist.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	default:
		return "other"
	}
}

// protect sets the headers that every answer has, and answers for panics.
func (s *Server) protect(c *gin.Context) {
	s.secure(c)
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(value)
		}
		f := fault.From(telemetry.Recovered(value))
		s.opts.Logger.ErrorContext(c.Request.Context(), "panic", slog.Any("error", f))
		if !c.Writer.Written() {
			s.abortWith(c, s.answerTo(c.Request.Context(), f))
		}
	}()
	c.Next()
}

// readable refuses parameters that are no text, as strictjson does for bodies: the
// database takes neither NUL nor what is not UTF-8.
func (s *Server) readable(c *gin.Context) {
	if c.Request.URL.RawQuery != "" {
		for name, values := range c.Request.URL.Query() {
			if text := name + strings.Join(values, ""); !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				var fields fault.Fields
				fields.Add("query", "must be UTF-8 without NUL characters")
				s.abort(c, fault.From(fields.Err()))
				return
			}
		}
	}
	c.Next()
}

// abort answers outside huma.
func (s *Server) abort(c *gin.Context, f *fault.Fault) {
	s.abortWith(c, s.errorOf(c.Request.Context(), f))
}

func (s *Server) abortWith(c *gin.Context, e *Error) {
	maps.Copy(c.Writer.Header(), e.headers)
	c.AbortWithStatusJSON(e.status, e)
}

func unready(cause error) *fault.Fault {
	return fault.New(fault.Unavailable, "The server cannot serve at the moment; try another, or again shortly.").After(time.Second).Because(cause)
}

type metrics struct {
	requests *prometheus.CounterVec
	errors   *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	events   *prometheus.CounterVec
	mails    *prometheus.CounterVec
	points   prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_http_requests_total", Help: "Answered requests by method, route template and status.",
		}, []string{"method", "route", "status"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_http_errors_total", Help: "Answers that are errors, by code.",
		}, []string{"code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_http_request_seconds", Help: "Time to answer a request, without the wait that it asked for with Prefer: wait.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "millrace_http_requests_in_flight", Help: "Requests being answered.",
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_provider_events_total",
			Help: "Events that a provider sent, by outcome: taken, repeated, ignored (about nothing of ours), refused (not signed as it should be).",
		}, []string{"provider", "outcome"}),
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_mail_events_total", Help: "What became of mails that the provider took, by what it told: delivered, bounced, complained, failed, suppressed.",
		}, []string{"event"}),
		points: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_metric_points_total", Help: "Metric points that were accepted, without those of repeated requests.",
		}),
	}
	for _, outcome := range []string{eventTaken, eventRepeated, eventIgnored, eventRefused} {
		m.events.WithLabelValues("stripe", outcome)
		m.events.WithLabelValues("resend", outcome)
	}
	for _, code := range fault.Codes() {
		m.errors.WithLabelValues(string(code))
	}
	for _, status := range booking.Outcomes() {
		m.mails.WithLabelValues(string(status))
	}
	for _, collector := range []prometheus.Collector{m.requests, m.errors, m.seconds, m.inFlight, m.events, m.mails, m.points} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("api: metrics: %w", err)
		}
	}
	return m, nil
}
