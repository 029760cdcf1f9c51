package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/program"
	"millrace/internal/sandbox"
)

func sandboxCommand() *cobra.Command {
	var address, journal, webhook, secret string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run the sandbox gateway by itself",
		Long: `Run the built-in stand-in for Stripe, for trying separate processes without an account.
It moves no money, knows Stripe's test payment methods (pm_card_visa,
pm_card_visa_chargeDeclined, …) and keeps a ledger under /_sandbox/charges.
It has no authentication: keep it on the loopback address.`,
		Example: `  millrace sandbox --listen 127.0.0.1:12111
  STRIPE_API_BASE=http://127.0.0.1:12111 STRIPE_SECRET_KEY=sk_test_sandbox bin/worker`,
		Args: takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			listener, err := program.Listen(cmd.Context(), "--listen", address)
			if err != nil {
				return err
			}
			stripe, err := sandbox.NewStripe(sandbox.Options{Journal: journal})
			if err != nil {
				return err
			}
			defer func() { _ = stripe.Close() }()
			if webhook != "" {
				if secret, err = stripe.SetWebhook(webhook, secret); err != nil {
					return fmt.Errorf("--webhook: %w", err)
				}
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "It sends events to %s, signed with %s (STRIPE_WEBHOOK_SECRET).\n", webhook, secret)
			}
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "The sandbox gateway is at http://%s (STRIPE_API_BASE).\n", listener.Addr())
			return serveSandbox(cmd.Context(), stripe, listener, slog.New(slog.DiscardHandler))
		},
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:12111", "where to listen")
	cmd.Flags().StringVar(&journal, "journal", "", "file that keeps the sandbox's state over restarts; empty keeps it in memory")
	cmd.Flags().StringVar(&webhook, "webhook", "", "URL that events are sent to, such as http://127.0.0.1:8080/webhooks/stripe")
	cmd.Flags().StringVar(&secret, "webhook-secret", "", "what events are signed with; made up when empty")
	return cmd
}

func serveSandbox(ctx context.Context, stripe http.Handler, listener net.Listener, logger *slog.Logger) error {
	// Injected faults hang requests on purpose, so nothing is waited for at the end.
	server := &http.Server{
		Handler:           stripe,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	return program.Serve(ctx, server, listener, func() { _ = server.Close() })
}
