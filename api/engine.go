package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"millrace/internal/fault"
	"millrace/internal/ratelimit"
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
	// limit is the tightest rate limit that the answer tells; nil before one was checked.
	limit *ratelimit.Result
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
	state := &requestState{id: id, client: c.ClientIP(), header: c.Writer.Header()}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), requestKey{}, state))
	c.Next()
}

// observe measures and logs the request. Only failures and slow answers are
// logged at info; the job's own log lines carry the request id.
func (s *Server) observe(c *gin.Context) {
	started := time.Now()
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	c.Next()
	took := time.Since(started) - requestOf(c.Request.Context()).waited
	route := c.FullPath()
	if route == "" {
		route = "none"
	}
	code := c.Writer.Status()
	s.metrics.requests.WithLabelValues(method(c.Request.Method), route, strconv.Itoa(code)).Inc()
	s.metrics.seconds.WithLabelValues(method(c.Request.Method), route).Observe(took.Seconds())
	level := slog.LevelDebug
	if code >= http.StatusBadRequest {
		level = slog.LevelInfo
	}
	s.opts.Logger.LogAttrs(c.Request.Context(), level, "request",
		slog.String("requestId", requestID(c.Request.Context())), slog.String("method", method(c.Request.Method)),
		slog.String("route", route), slog.Int("status", code), slog.Float64("seconds", took.Seconds()), slog.String("tenantId", c.GetString(tenantKey)))
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
		// The value may hold anything: its type and the stack are enough to find it.
		s.opts.Logger.ErrorContext(c.Request.Context(), "panic", slog.String("requestId", requestID(c.Request.Context())),
			slog.String("type", fmt.Sprintf("%T", value)), slog.String("stack", string(debug.Stack())))
		if !c.Writer.Written() {
			s.abort(c, fault.From(errors.New("api: panic")))
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
	e := s.errorOf(c.Request.Context(), f)
	maps.Copy(c.Writer.Header(), e.headers)
	c.AbortWithStatusJSON(e.status, e)
}

func unready(cause error) *fault.Fault {
	return fault.New(fault.Unavailable, "The server cannot serve at the moment; try another, or again shortly.").After(time.Second).Because(cause)
}

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	events   *prometheus.CounterVec
	points   prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_http_requests_total", Help: "Answered requests by method, route template and status.",
		}, []string{"method", "route", "status"}),
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
		points: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_metric_points_total", Help: "Metric points that were accepted, without those of repeated requests.",
		}),
	}
	for _, outcome := range []string{eventTaken, eventRepeated, eventIgnored, eventRefused} {
		m.events.WithLabelValues("stripe", outcome)
		m.events.WithLabelValues("resend", outcome)
	}
	for _, collector := range []prometheus.Collector{m.requests, m.seconds, m.inFlight, m.events, m.points} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("api: metrics: %w", err)
		}
	}
	return m, nil
}
