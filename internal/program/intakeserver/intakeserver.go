// Package intakeserver is the intake program: the HTTP API over one writer.
//
//	request ──► api ──► intake.Writer ──► Postgres (ledger, domain rows, jobs)
//	             └────► ratelimit.Limiter ──► Redis, if there is one
//	Stripe  ──► api ──► stripehook (is it Stripe's?) ──► intake.Writer
//	operator ─► api ──► console ──► Postgres (all tenants' jobs, to read), intake.Writer
//	scrape  ──► metrics listener
package intakeserver

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/config"
	"millrace/internal/console"
	"millrace/internal/intake"
	"millrace/internal/jwtauth"
	"millrace/internal/postgres"
	"millrace/internal/program"
	"millrace/internal/ratelimit"
	"millrace/internal/resendhook"
	"millrace/internal/seal"
	"millrace/internal/stripehook"
	"millrace/internal/telemetry"
)

// Options configures Run.
type Options struct {
	DatabaseURL telemetry.Secret
	// StripeWebhookSecret is what Stripe signs its events with; without it they
	// are refused.
	StripeWebhookSecret telemetry.Secret
	// ResendWebhookSecret is the same for Resend.
	ResendWebhookSecret telemetry.Secret
	// Access says who may call the API beside the holders of API keys.
	Access config.Access
	// TLS names the certificate's files; without them plain HTTP is served.
	TLS config.TLS
	// RateLimits are the rates that differ from the defaults.
	RateLimits ratelimit.Limits
	// RedisURL is where processes count together; without it each counts for itself.
	RedisURL telemetry.Secret
	// Keys wrap tenants' keysets; nil leaves rows plain.
	Keys *seal.Keys
	// Listener takes the API's connections. Run closes it.
	Listener net.Listener
	Logger   *slog.Logger
	Registry *prometheus.Registry
	// Traces makes spans; nil for none.
	Traces trace.TracerProvider
	// IgnoreCallers begins a trace with each request, whatever its traceparent says.
	IgnoreCallers bool
}

// maxConns is the pool of one intake process: one connection writes, the others
// serve reads, which are single round trips.
const maxConns = 20

// Run serves until ctx ends and everything accepted is answered.
func Run(ctx context.Context, opts Options) error {
	pool, err := postgres.Open(ctx, postgres.Options{
		URL: opts.DatabaseURL.Reveal(), Role: postgres.Intake, MaxConns: maxConns, Application: "millrace-intake",
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	telemetry.MustRegisterPool(opts.Registry, "intake", pool)

	writer, err := intake.NewWriter(intake.Options{Pool: pool, Logger: opts.Logger, Metrics: opts.Registry, Traces: opts.Traces})
	if err != nil {
		return err
	}
	options := api.Options{
		DB: postgres.NewTenancy(pool, postgres.Intake).WithKeys(opts.Keys, time.Now), Writer: writer,
		TrustedProxies: opts.Access.TrustedProxies, Origins: opts.Access.Origins,
		Logger: opts.Logger, Metrics: opts.Registry, Version: program.Version(),
		Traces: opts.Traces, IgnoreCallers: opts.IgnoreCallers,
	}
	if !opts.RateLimits.Off() {
		options.Limiter, err = ratelimit.New(ratelimit.Options{
			Limits: opts.RateLimits, Redis: opts.RedisURL.Reveal(), Logger: opts.Logger, Metrics: opts.Registry,
		})
		if err != nil {
			return err
		}
		defer func() { _ = options.Limiter.Close() }()
	}
	if opts.StripeWebhookSecret != "" {
		if options.StripeEvents, err = stripehook.New(opts.StripeWebhookSecret.Reveal(), time.Now); err != nil {
			return err
		}
	}
	if opts.ResendWebhookSecret != "" {
		if options.ResendEvents, err = resendhook.New(opts.ResendWebhookSecret.Reveal(), time.Now); err != nil {
			return err
		}
	}
	if options.Tokens, err = tokens(opts, options.DB); err != nil {
		return err
	}
	operators, err := postgres.Open(ctx, postgres.Options{
		URL: opts.DatabaseURL.Reveal(), Role: postgres.Login, MaxConns: console.MaxConns, Application: "millrace-console",
	})
	if err != nil {
		return err
	}
	defer operators.Close()
	if options.Console, err = console.New(console.Options{Pool: operators, Path: api.ConsolePath, Writer: writer, Logger: opts.Logger}); err != nil {
		return err
	}
	program.TellEncryption(ctx, opts.Logger, opts.Keys)
	server, err := api.New(options) //nolint:contextcheck // handlers use the context of their request
	if err != nil {
		return err
	}

	http := server.HTTP()
	if opts.TLS.CertFile != "" {
		if http.TLSConfig, err = program.TLS(opts.TLS.CertFile, opts.TLS.KeyFile, opts.Logger); err != nil {
			return err
		}
	}

	// The writer outlives the server: what was accepted while draining is written.
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return writer.Run(writing) })
	group.Go(func() error {
		server.Run(writing)
		return nil
	})
	group.Go(func() error {
		defer stopWriting()
		return program.Serve(ctx, http, opts.Listener, server.Drain)
	})
	opts.Logger.InfoContext(ctx, "intake: serving", slog.String("address", opts.Listener.Addr().String()))
	return group.Wait()
}

// tokens returns what checks tokens, or nil when none are taken.
func tokens(opts Options, db *postgres.Tenancy) (api.Tokens, error) {
	j := opts.Access.JWT
	if j.Issuer == "" {
		return nil, nil //nolint:nilnil // the API takes none as none
	}
	return jwtauth.New(jwtauth.Options{
		Issuer: j.Issuer, Audience: j.Audience, JWKSURL: j.JWKSURL, Secret: j.Secret,
		TenantClaim: j.TenantClaim, ScopesClaim: j.ScopesClaim, Tenants: apikey.NewTenants(db), Logger: opts.Logger,
	})
}
