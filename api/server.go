// Package api is the HTTP surface: typed endpoint functions over the intake
// writer and the domain stores. Gin stops at this package.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/apikey"
	"millrace/internal/booking"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/ratelimit"
	"millrace/internal/rollup"
	"millrace/jobs"
)

// Options configures New.
type Options struct {
	// DB acts as the intake role. Required.
	DB *postgres.Tenancy
	// Writer commits submissions. Required.
	Writer *intake.Writer
	// StripeEvents verifies what POST /webhooks/stripe is sent; without it the
	// route refuses everything.
	StripeEvents StripeEvents
	// ResendEvents does the same for POST /webhooks/resend.
	ResendEvents ResendEvents
	// Tokens checks tokens of an identity provider; without it API keys alone are taken.
	Tokens Tokens
	// Console is served to operators under ConsolePath; without it there is none.
	Console Console
	// TrustedProxies are believed about the client's address (X-Forwarded-For) and
	// its use of TLS (X-Forwarded-Proto). Default none.
	TrustedProxies []netip.Prefix
	// Origins are those of web pages that may call the API, such as
	// https://app.example.com. Default none.
	Origins []string
	// Limiter counts requests; without it there are no limits, nor a quota of waiting
	// jobs.
	Limiter *ratelimit.Limiter
	// Logger is required.
	Logger *slog.Logger
	// Metrics registers the metrics. Required.
	Metrics prometheus.Registerer
	// Traces makes a span of each request; nil for none.
	Traces trace.TracerProvider
	// IgnoreCallers begins a trace with each request, whatever its traceparent says.
	IgnoreCallers bool
	// Version is what the OpenAPI document says. Default "dev".
	Version string
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// NewID makes ids of domain rows and requests. Default uuid.NewV7.
	NewID func() (uuid.UUID, error)
}

// StripeEvents reads a delivery of Stripe's. The error is an INVALID_INPUT fault
// when the delivery is not Stripe's.
type StripeEvents interface {
	Verify(payload []byte, signature string) (payment.Event, error)
}

// ResendEvents reads a delivery of Resend's. The error is an INVALID_INPUT fault
// when the delivery is not Resend's.
type ResendEvents interface {
	Verify(payload []byte, header http.Header) (booking.MailEvent, error)
}

// Server answers the HTTP API.
type Server struct {
	opts     Options
	engine   *gin.Engine
	keys     *apikey.Verifier
	waiter   *intake.Waiter
	quota    *intake.Quota
	kinds    map[string]*jobs.Kind
	metrics  *metrics
	points   points
	draining chan struct{}
}

// New returns a server with all routes.
func New(opts Options) (*Server, error) {
	if opts.DB == nil || opts.Writer == nil || opts.Logger == nil || opts.Metrics == nil {
		return nil, errors.New("api: DB, Writer, Logger and Metrics are required")
	}
	if opts.Version == "" {
		opts.Version = "dev"
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.NewID == nil {
		opts.NewID = uuid.NewV7
	}
	metrics, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	quota, err := intake.NewQuota(intake.QuotaOptions{DB: opts.DB, Now: opts.Now, Metrics: opts.Metrics})
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:     opts,
		keys:     apikey.NewVerifier(opts.DB, opts.Now),
		waiter:   intake.NewWaiter(opts.DB, opts.Logger),
		quota:    quota,
		kinds:    map[string]*jobs.Kind{},
		metrics:  metrics,
		points:   points{reader: rollup.NewReader(), recorder: rollup.NewRecorder(opts.DB), querier: rollup.NewQuerier(opts.DB)},
		draining: make(chan struct{}),
	}
	for _, kind := range jobs.Catalog() {
		s.kinds[kind.Name] = kind
	}
	s.engine = newEngine(s)
	s.routes(humagin.New(s.engine, openAPI(opts.Version)))
	return s, nil
}

// routes is every route there is.
func (s *Server) routes(api huma.API) {
	// Work.
	s.submission(api, "/v1/payments", s.kinds["payment_capture"])
	register(s, api, get("/v1/payments", "List payments, newest first"), apikey.JobsRead, s.listPayments)
	register(s, api, get("/v1/payments/{id}", "Read a payment"), apikey.JobsRead, s.getPayment)
	s.submission(api, "/v1/bookings", s.kinds["booking_confirmation_email"])
	register(s, api, get("/v1/bookings", "List bookings, newest first"), apikey.JobsRead, s.listBookings)
	register(s, api, get("/v1/bookings/{id}", "Read a booking"), apikey.JobsRead, s.getBooking)
	register(s, api, operation(http.MethodDelete, "/v1/bookings/{id}", "Cancel a booking"), apikey.JobsWrite, s.cancelBooking)
	register(s, api, get("/v1/slots", "List the free slots of a day"), apikey.JobsRead, s.listSlots)
	register(s, api, get("/v1/calendar", "Read a calendar"), apikey.JobsRead, s.getCalendar)
	register(s, api, operation(http.MethodPut, "/v1/calendar", "Replace a calendar"), apikey.JobsWrite, s.putCalendar)
	api.OpenAPI().Paths["/v1/calendar"].Put.RequestBody.Content["application/json"].Schema = calendarSchema(api.OpenAPI().Components.Schemas)
	s.submission(api, "/v1/conversations", s.kinds["conversation_scoring"])
	register(s, api, get("/v1/conversations/{id}", "Read what is known of a conversation; its texts only with reveal"), apikey.JobsRead, s.getConversation)
	register(s, api, get("/v1/scores", "List scores, newest first or by satisfaction"), apikey.JobsRead, s.listScores)
	register(s, api, get("/v1/scores/distribution", "Count the scores of each day"), apikey.JobsRead, s.scoreDistribution)
	register(s, api, get("/v1/scores/{id}", "Read the score of a conversation, with its reasons"), apikey.JobsRead, s.getScore)
	s.submission(api, "/v1/scores/rescorings", s.kinds["conversation_rescoring"])
	s.metricRoutes(api)
	s.submissionOfAnyKind(api)
	register(s, api, get("/v1/jobs", "List jobs, newest first"), apikey.JobsRead, s.listJobs)
	register(s, api, get("/v1/jobs/{id}", "Read a job, or wait for it"), apikey.JobsRead, s.getJob)
	register(s, api, post("/v1/jobs/{id}/cancel", "Cancel a job that has not started"), apikey.JobsWrite, s.cancelJob)
	register(s, api, post("/v1/jobs/{id}/retry", "Run a job that was given up once more"), apikey.JobsWrite, s.retryJob)
	s.complianceRoutes(api)
	// Callbacks of providers.
	open(s, api, callback("/webhooks/stripe", "Take in an event of Stripe's"), s.stripeEvent)
	open(s, api, callback("/webhooks/resend", "Take in an event of Resend's"), s.resendEvent)
	// The server itself.
	open(s, api, get("/healthz", "Is the process alive?"), s.health)
	open(s, api, get("/readyz", "Can it serve?"), s.ready)
	s.engine.GET("/docs", s.docs())
	s.engine.GET("/docs/*asset", s.docs())
	s.consoleRoutes()
	s.engine.GET("/", func(c *gin.Context) { c.Redirect(http.StatusFound, "/docs") })
}

// Run writes down when keys were used until ctx ends, which should be after the
// last request.
func (s *Server) Run(ctx context.Context) { s.keys.Run(ctx, s.opts.Logger) }

// Drain makes readiness fail and ends the waits of Prefer: wait, so that a
// load balancer looks elsewhere and the HTTP server can stop. It may be called once.
func (s *Server) Drain() { close(s.draining) }

// HTTP returns an http.Server for the API with all its limits set.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       bodyTimeout + 5*time.Second,
		WriteTimeout:      maxWait + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

type healthOutput struct {
	Body struct {
		Status string `json:"status" example:"ok"`
	}
}

func (s *Server) health(context.Context, *struct{}) (*healthOutput, error) {
	out := &healthOutput{}
	out.Body.Status = "ok"
	return out, nil
}

func (s *Server) ready(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	select {
	case <-s.draining:
		return nil, unready(errors.New("api: draining"))
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := s.opts.DB.Check(ctx); err != nil {
		return nil, unready(err)
	}
	out := &healthOutput{}
	out.Body.Status = "ready"
	return out, nil
}
