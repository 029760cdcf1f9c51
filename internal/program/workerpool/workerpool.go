// Package workerpool is the worker program: River's client over the worker set
// and its gateways.
//
//	Postgres ──► River ──► workers.Set ──► stripepay  ──► Stripe
//	                                  └──► resendmail ──► Resend
//	scrape   ──► metrics listener
package workerpool

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"millrace/internal/config"
	"millrace/internal/postgres"
	"millrace/internal/program"
	"millrace/internal/resendmail"
	"millrace/internal/seal"
	"millrace/internal/stripepay"
	"millrace/internal/telemetry"
	"millrace/workers"
)

// Options configures Run.
type Options struct {
	DatabaseURL telemetry.Secret
	Stripe      config.Stripe
	Resend      config.Resend
	Queues      config.Queues
	// Keys wrap tenants' keysets; nil leaves rows plain.
	Keys     *seal.Keys
	Logger   *slog.Logger
	Registry *prometheus.Registry
	// Traces makes spans; nil for none.
	Traces trace.TracerProvider
}

// MaxConns is the pool of one worker process. A job holds a connection only
// while it reads or writes its rows, not while it talks to a provider.
const MaxConns = 20

// Run works until ctx ends and the running jobs have finished or were interrupted.
func Run(ctx context.Context, opts Options) error {
	pool, err := postgres.Open(ctx, postgres.Options{
		URL: opts.DatabaseURL.Reveal(), Role: postgres.Worker, MaxConns: MaxConns, Application: "millrace-worker",
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	telemetry.MustRegisterPool(opts.Registry, "worker", pool)

	gateway, err := stripepay.New(stripepay.Options{Key: opts.Stripe.Key.Reveal(), BaseURL: opts.Stripe.APIBase, Metrics: opts.Registry, Traces: opts.Traces})
	if err != nil {
		return err
	}
	mailer, err := resendmail.New(resendmail.Options{Key: opts.Resend.ResendKey.Reveal(), BaseURL: opts.Resend.ResendBase, Metrics: opts.Registry, Traces: opts.Traces})
	if err != nil {
		return err
	}
	program.TellEncryption(ctx, opts.Logger, opts.Keys)
	runner, err := workers.New(workers.Options{
		Pool: pool, Keys: opts.Keys, Gateway: gateway, Mailer: mailer, From: opts.Resend.EmailFrom, Slots: opts.Queues, Logger: opts.Logger, Metrics: opts.Registry, Traces: opts.Traces,
	})
	if err != nil {
		return err
	}
	return runner.Run(ctx)
}
