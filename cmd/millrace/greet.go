package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"millrace/client"
	"millrace/internal/config"
)

// demoTimeout bounds the demonstration; a payment takes some milliseconds.
const demoTimeout = 30 * time.Second

// greet waits until the API serves, shows a payment going through it, and says
// what is where.
func greet(ctx context.Context, cfg config.Dev, env devEnv, mailboxURL string, out io.Writer, started time.Time) error {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	if err := demonstrate(ctx, env, say); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the demonstration payment: %w", err)
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // stopped before the demonstration was over
	}
	say("")
	say("Millrace is running (started in %.1f s). Ctrl-C stops it; the data stays in %s.", time.Since(started).Seconds(), cfg.Home)
	say("")
	say("  API       %s", env.URL)
	say("  Try it    %s/docs", env.URL)
	say("  Console   %s/ops/  (any user name, the password is MILLRACE_ADMIN_KEY of dev.env)", env.URL)
	say("  Metrics   %s", env.MetricsURL)
	say("  Gateway   %s", env.StripeBase)
	if mailboxURL != "" {
		say("  Mailbox   %s", mailboxURL)
	}
	say("  API key   %s  (tenant demo)", env.APIKey.Reveal())
	say("  Scripts   . %s", filepath.Join(cfg.Home, "dev.env"))
	say("")
	say("Submit a payment and wait for its outcome:")
	say("")
	say("%s", strings.Join([]string{
		"  curl -s " + env.URL + "/v1/payments \\",
		"    -H 'Authorization: Bearer " + env.APIKey.Reveal() + "' \\",
		"    -H 'Content-Type: application/json' \\",
		"    -H \"Idempotency-Key: $(date +%s%N)\" -H 'Prefer: wait=10' \\",
		`    -d '{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}'`,
	}, "\n"))
	say("")
	return nil
}

// demonstrate submits a payment and follows its job to the end. It is a real
// one only with a real Stripe key, and then a test key: a live one is refused.
func demonstrate(ctx context.Context, env devEnv, say func(string, ...any)) error {
	if strings.HasPrefix(env.StripeKey.Reveal(), "sk_live_") || strings.HasPrefix(env.StripeKey.Reveal(), "rk_live_") {
		say("No demonstration payment: STRIPE_SECRET_KEY is a live key, and it would move money.")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	app, err := client.New(env.URL, env.APIKey.Reveal(), client.Options{})
	if err != nil {
		return err
	}
	say("A demonstration payment of 19.99 USD:")
	submission, err := app.SubmitPayment(ctx, client.PaymentRequest{
		Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa", Description: "Demonstration",
	}, client.SubmitOptions{})
	if err != nil {
		return err
	}
	say("  POST /v1/payments   accepted as job %s", submission.Job.ID)
	state := submission.Job.State
	for job, err := range app.WatchJob(ctx, submission.Job.ID) {
		if err != nil {
			return err
		}
		if job.State != state || job.Done {
			state = job.State
			say("  GET /v1/jobs/%s%s%s", job.ID, strings.Repeat(" ", max(1, 8-len(job.ID))), state)
		}
	}
	payment, err := app.Payment(ctx, submission.Payment.ID)
	if err != nil {
		return err
	}
	if payment.Status != client.PaymentCaptured {
		return fmt.Errorf("it ended as %s", payment.Status)
	}
	say("  The payment is captured: %d cents, %s.", payment.AmountCaptured, payment.IntentID)
	return nil
}
