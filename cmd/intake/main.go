// Command intake serves Millrace's HTTP API. It is configured by the
// environment; see the README's table of variables.
package main

import (
	"context"
	"os"

	"golang.org/x/sync/errgroup"

	"millrace/internal/config"
	"millrace/internal/program"
	"millrace/internal/program/intakeserver"
	"millrace/internal/telemetry"
)

func main() { os.Exit(program.Main("intake", os.Stderr, run)) }

func run(ctx context.Context) error {
	cfg, err := config.Load[config.Intake](os.Environ())
	if err != nil {
		return err
	}
	keys, err := cfg.Keys()
	if err != nil {
		return err
	}
	logger, end, err := program.Logger(os.Stderr, cfg.Options("intake"), cfg.Sentry)
	if err != nil {
		return err
	}
	defer end()
	registry := telemetry.NewRegistry(program.Version())
	api, err := program.Listen(ctx, "LISTEN_ADDR", cfg.ListenAddr)
	if err != nil {
		return err
	}
	metrics, err := program.Listen(ctx, "METRICS_ADDR", cfg.MetricsAddr)
	if err != nil {
		return err
	}
	tracing, err := telemetry.NewTracing(ctx, telemetry.TracingOptions{
		To: cfg.TracesTo, Service: "millrace-intake", Version: program.Version(), Console: os.Stdout, Logger: logger,
	})
	if err != nil {
		return err
	}
	defer tracing.Close(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return program.Serve(ctx, telemetry.MetricsServer(registry, logger), metrics, func() {})
	})
	group.Go(func() error {
		return intakeserver.Run(ctx, intakeserver.Options{
			DatabaseURL: cfg.DatabaseURL, Keys: keys, StripeWebhookSecret: cfg.WebhookSecret, ResendWebhookSecret: cfg.ResendWebhookSecret,
			Access: cfg.Access, TLS: cfg.TLS, RateLimits: cfg.RateLimits, RedisURL: cfg.RedisURL,
			Listener: api, Logger: logger, Registry: registry, Traces: tracing.Provider(), IgnoreCallers: cfg.IgnoreCallers,
		})
	})
	return group.Wait()
}
