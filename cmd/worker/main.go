// Command worker executes Millrace's jobs. Run as many as the work needs. It is
// configured by the environment; see the README's table of variables.
package main

import (
	"context"
	"os"

	"golang.org/x/sync/errgroup"

	"millrace/internal/config"
	"millrace/internal/program"
	"millrace/internal/program/workerpool"
	"millrace/internal/telemetry"
)

func main() { os.Exit(program.Main("worker", os.Stderr, run)) }

func run(ctx context.Context) error {
	cfg, err := config.Load[config.Worker](os.Environ())
	if err != nil {
		return err
	}
	keys, err := cfg.Keys()
	if err != nil {
		return err
	}
	logger, end, err := program.Logger(os.Stderr, cfg.Options("worker"), cfg.Sentry)
	if err != nil {
		return err
	}
	defer end()
	registry := telemetry.NewRegistry(program.Version())
	metrics, err := program.Listen(ctx, "METRICS_ADDR", cfg.MetricsAddr)
	if err != nil {
		return err
	}
	tracing, err := telemetry.NewTracing(ctx, telemetry.TracingOptions{
		To: cfg.TracesTo, Service: "millrace-worker", Version: program.Version(), Console: os.Stdout, Logger: logger,
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
		return workerpool.Run(ctx, workerpool.Options{
			DatabaseURL: cfg.DatabaseURL, Keys: keys, Stripe: cfg.Stripe, Resend: cfg.Resend, Queues: cfg.Queues, Logger: logger, Registry: registry, Traces: tracing.Provider(),
		})
	})
	return group.Wait()
}
