package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"millrace/internal/config"
	"millrace/internal/devpg"
	"millrace/internal/mailbox"
	"millrace/internal/postgres"
	"millrace/internal/program"
	"millrace/internal/program/intakeserver"
	"millrace/internal/program/workerpool"
	"millrace/internal/sandbox"
	"millrace/internal/seal"
	"millrace/internal/telemetry"
	"millrace/migrations"
)

func devCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, with a database and a gateway of its own",
		Long: `Run intake and workers in one process, for development.

Without DATABASE_URL it starts a private Postgres under MILLRACE_HOME (.millrace);
without STRIPE_SECRET_KEY it uses the built-in sandbox gateway. It migrates the
database, submits a demonstration payment through the HTTP API, and writes
dev.env into MILLRACE_HOME: scripts read it with ` + "`. .millrace/dev.env`" + `.`,
		Example: `  millrace dev
  LISTEN_ADDR=127.0.0.1:8081 METRICS_ADDR=127.0.0.1:9465 MILLRACE_HOME=.millrace2 millrace dev`,
		Args: takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load[config.Dev](os.Environ())
			if err != nil {
				return err
			}
			return dev(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// stopTimeout bounds how long the private database may take to stop.
const stopTimeout = 15 * time.Second

// dev wires everything:
//
//	demo ──► intakeserver ──► Postgres ◄── workerpool ──► sandbox
func dev(ctx context.Context, cfg config.Dev, out, logs io.Writer) (err error) {
	started := time.Now()
	if cfg.SentryEnvironment == "" {
		cfg.SentryEnvironment = "development" // and not Sentry's default, production
	}
	logger, end, err := program.Logger(logs, telemetry.LogOptions{
		Service: "dev", Level: cfg.LogLevel, Text: cfg.LogFormat == "text", Color: terminal(logs),
	}, cfg.Sentry)
	if err != nil {
		return err
	}
	defer end()
	// The listeners come first: a port in use is told at once.
	listeners, err := listenAll(ctx, cfg)
	if err != nil {
		return err
	}
	defer listeners.close()
	if err := os.MkdirAll(cfg.Home, 0o755); err != nil { //nolint:gosec // the database's account must pass through; secrets in it are 0600
		return fmt.Errorf("MILLRACE_HOME (%s) cannot be created: %w", cfg.Home, err)
	}

	if cfg.Encryption, err = devEncryption(cfg.Encryption, cfg.Home); err != nil {
		return err
	}
	keys, err := cfg.Keys()
	if err != nil {
		return err
	}
	var database *devpg.Server
	if cfg.DatabaseURL == "" {
		database, err = startDatabase(ctx, cfg.Home, logger)
		if err != nil {
			return err
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			err = errors.Join(err, database.Stop(ctx))
		}()
		cfg.DatabaseURL = telemetry.Secret(database.URL(databaseName))
	}
	stripe, err := sandbox.NewStripe(sandbox.Options{Journal: filepath.Join(cfg.Home, "sandbox.jsonl"), Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stripe.Close()) }()
	if cfg.StripeKey == "" {
		cfg.StripeKey, cfg.StripeBase = "sk_test_sandbox", "http://"+listeners.sandbox.Addr().String()
		secret, err := stripe.SetWebhook("http://"+listeners.api.Addr().String()+"/webhooks/stripe", cfg.WebhookSecret.Reveal())
		if err != nil {
			return err
		}
		cfg.WebhookSecret = telemetry.Secret(secret)
	}

	mails := mailbox.New(mailbox.Options{Logger: logger})
	defer func() { err = errors.Join(err, mails.Close()) }()
	mailboxURL := ""
	if cfg.ResendKey == "" {
		mailboxURL = "http://" + listeners.mailbox.Addr().String()
		cfg.ResendKey, cfg.ResendBase = "re_sandbox", mailboxURL
		secret, err := mails.SetWebhook("http://"+listeners.api.Addr().String()+"/webhooks/resend", cfg.ResendWebhookSecret.Reveal())
		if err != nil {
			return err
		}
		cfg.ResendWebhookSecret = telemetry.Secret(secret)
	}

	env, err := prepare(ctx, cfg, listeners)
	if err != nil {
		return err
	}
	registry := telemetry.NewRegistry(program.Version())
	tracing, err := telemetry.NewTracing(ctx, telemetry.TracingOptions{
		To: cfg.TracesTo, Service: "millrace-dev", Version: program.Version(), Console: out, Logger: logger,
	})
	if err != nil {
		return err
	}
	defer tracing.Close(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveSandbox(ctx, stripe, listeners.sandbox, logger) })
	group.Go(func() error { return serveSandbox(ctx, mails, listeners.mailbox, logger) })
	group.Go(func() error { return serve(ctx, cfg, keys, listeners, logger, registry, tracing) })
	group.Go(func() error {
		return workerpool.Run(ctx, workerpool.Options{
			DatabaseURL: cfg.DatabaseURL, Stripe: config.Stripe{Key: cfg.StripeKey, APIBase: cfg.StripeBase},
			Resend: config.Resend{ResendKey: cfg.ResendKey, ResendBase: cfg.ResendBase, EmailFrom: cfg.EmailFrom},
			Queues: cfg.Queues, Keys: keys, Logger: logger, Registry: registry, Traces: tracing.Provider(),
		})
	})
	if database != nil {
		group.Go(func() error { return watch(ctx, database) })
	}
	group.Go(func() error { return greet(ctx, cfg, env, mailboxURL, out, started) })
	return group.Wait()
}

const databaseName = "millrace"

func startDatabase(ctx context.Context, home string, logger *slog.Logger) (*devpg.Server, error) {
	server, err := devpg.Start(ctx, devpg.Options{Dir: filepath.Join(home, "postgres"), Logger: logger})
	if err != nil {
		return nil, err
	}
	if err := server.CreateDatabase(ctx, databaseName); err != nil {
		return nil, errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
	}
	return server, nil
}

// watch returns an error when the database ends before the program does.
func watch(ctx context.Context, database *devpg.Server) error {
	select {
	case <-ctx.Done():
		return nil
	case <-database.Done():
		return fmt.Errorf("the database stopped by itself: %w", database.Err())
	}
}

func serve(ctx context.Context, cfg config.Dev, keys *seal.Keys, l *listeners, logger *slog.Logger, registry *prometheus.Registry, tracing *telemetry.Tracing) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return program.Serve(ctx, telemetry.MetricsServer(registry, logger), l.metrics, func() {})
	})
	group.Go(func() error {
		return intakeserver.Run(ctx, intakeserver.Options{
			DatabaseURL: cfg.DatabaseURL, StripeWebhookSecret: cfg.WebhookSecret, ResendWebhookSecret: cfg.ResendWebhookSecret,
			Keys: keys, Access: cfg.Access, RateLimits: cfg.RateLimits, RedisURL: cfg.RedisURL, Listener: l.api, Logger: logger, Registry: registry,
			Traces: tracing.Provider(), IgnoreCallers: cfg.IgnoreCallers,
		})
	})
	return group.Wait()
}

// prepare migrates the database, makes sure of the keys, and writes dev.env.
func prepare(ctx context.Context, cfg config.Dev, l *listeners) (devEnv, error) {
	pool, err := postgres.Open(ctx, postgres.Options{URL: cfg.DatabaseURL.Reveal(), Application: "millrace-dev"})
	if err != nil {
		return devEnv{}, err
	}
	defer pool.Close()
	if err := migrations.New(pool, slog.New(slog.DiscardHandler)).Up(ctx); err != nil {
		return devEnv{}, err
	}
	path := filepath.Join(cfg.Home, "dev.env")
	env := readDevEnv(path)
	env.URL, env.MetricsURL = "http://"+l.api.Addr().String(), "http://"+l.metrics.Addr().String()+"/metrics"
	env.DatabaseURL, env.StripeBase, env.StripeKey, env.WebhookSecret = cfg.DatabaseURL, cfg.StripeBase, cfg.StripeKey, cfg.WebhookSecret
	env.EncryptionKeys, env.EncryptionKeysFile = cfg.EncryptionKeys, cfg.EncryptionKeysFile
	env.ResendBase, env.ResendKey, env.ResendWebhookSecret, env.EmailFrom = cfg.ResendBase, cfg.ResendKey, cfg.ResendWebhookSecret, cfg.EmailFrom
	if err := env.ensureKeys(ctx, pool); err != nil {
		return devEnv{}, err
	}
	return env, env.write(path)
}

type listeners struct{ api, metrics, sandbox, mailbox net.Listener }

func listenAll(ctx context.Context, cfg config.Dev) (_ *listeners, err error) {
	l := &listeners{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.api, err = program.Listen(ctx, "LISTEN_ADDR", cfg.ListenAddr); err != nil {
		return nil, err
	}
	if l.metrics, err = program.Listen(ctx, "METRICS_ADDR", cfg.MetricsAddr); err != nil {
		return nil, err
	}
	if l.sandbox, err = program.Listen(ctx, "STRIPE_API_BASE", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if l.mailbox, err = program.Listen(ctx, "RESEND_API_BASE", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	return l, nil
}

// close is for the way out before the servers own their listeners; closing
// twice does no harm.
func (l *listeners) close() {
	for _, listener := range []net.Listener{l.api, l.metrics, l.sandbox, l.mailbox} {
		if listener != nil {
			_ = listener.Close()
		}
	}
}

func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
