package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/internal/apikey"
	"millrace/internal/postgres"
	"millrace/internal/telemetry"
)

// devEnv is what scripts need to talk to `millrace dev`.
type devEnv struct {
	URL         string
	MetricsURL  string
	APIKey      telemetry.Secret // tenant demo
	APIKey2     telemetry.Secret // tenant demo2
	AdminKey    telemetry.Secret // tenant demo, every scope
	DatabaseURL telemetry.Secret
	StripeBase  string
	StripeKey   telemetry.Secret
	// WebhookSecret signs what goes to /webhooks/stripe.
	WebhookSecret telemetry.Secret
	ResendBase    string
	ResendKey     telemetry.Secret
	// ResendWebhookSecret signs what goes to /webhooks/resend.
	ResendWebhookSecret telemetry.Secret
	EmailFrom           string
	// Of these one is set.
	EncryptionKeys     telemetry.Secret
	EncryptionKeysFile string
}

// variables lists the file's lines in order.
func (e *devEnv) variables() []struct{ name, value string } {
	return []struct{ name, value string }{
		{"MILLRACE_URL", e.URL},
		{"MILLRACE_API_KEY", e.APIKey.Reveal()},
		{"MILLRACE_API_KEY_2", e.APIKey2.Reveal()},
		{"MILLRACE_ADMIN_KEY", e.AdminKey.Reveal()},
		{"METRICS_URL", e.MetricsURL},
		{"DATABASE_URL", e.DatabaseURL.Reveal()},
		{"STRIPE_API_BASE", e.StripeBase},
		{"STRIPE_SECRET_KEY", e.StripeKey.Reveal()},
		{"STRIPE_WEBHOOK_SECRET", e.WebhookSecret.Reveal()},
		{"RESEND_API_BASE", e.ResendBase},
		{"RESEND_API_KEY", e.ResendKey.Reveal()},
		{"RESEND_WEBHOOK_SECRET", e.ResendWebhookSecret.Reveal()},
		{"EMAIL_FROM", quoted(e.EmailFrom)},
		{"ENCRYPTION_KEYS", quoted(e.EncryptionKeys.Reveal())},
		{"ENCRYPTION_KEYS_FILE", quoted(e.EncryptionKeysFile)},
	}
}

// quoted is a value as a shell reads it.
func quoted(value string) string {
	if !strings.ContainsAny(value, " '\"<>$`\\") {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// readDevEnv returns the keys of an earlier run; what cannot be read is made anew.
func readDevEnv(path string) devEnv {
	variables, err := readVariables(path)
	if err != nil {
		return devEnv{}
	}
	return devEnv{
		APIKey:   telemetry.Secret(variables["MILLRACE_API_KEY"]),
		APIKey2:  telemetry.Secret(variables["MILLRACE_API_KEY_2"]),
		AdminKey: telemetry.Secret(variables["MILLRACE_ADMIN_KEY"]),
	}
}

// ensureKeys keeps the keys that still work and makes the others.
func (e *devEnv) ensureKeys(ctx context.Context, pool *pgxpool.Pool) error {
	verifier := apikey.NewVerifier(postgres.NewTenancy(pool, postgres.Intake), time.Now)
	owner := postgres.NewTenancy(pool, postgres.Owner)
	app := []apikey.Scope{apikey.JobsRead, apikey.JobsWrite, apikey.MetricsWrite}
	for _, wanted := range []struct {
		key    *telemetry.Secret
		tenant string
		name   string
		scopes []apikey.Scope
	}{
		{&e.APIKey, "demo", "dev", app},
		{&e.APIKey2, "demo2", "dev", app},
		{&e.AdminKey, "demo", "dev admin", apikey.Scopes()},
	} {
		key, err := verifier.Verify(ctx, wanted.key.Reveal())
		// A key of a home that an older version made lacks the scopes of since then.
		if err == nil && !slices.ContainsFunc(wanted.scopes, func(scope apikey.Scope) bool { return !key.Has(scope) }) {
			continue
		}
		_, fresh, err := apikey.Create(asOperator(ctx), owner, apikey.Request{Tenant: wanted.tenant, Name: wanted.name, Scopes: wanted.scopes}, time.Now())
		if err != nil {
			return err
		}
		*wanted.key = fresh
	}
	return nil
}

// write replaces the file as a whole; it holds secrets, so only its owner may read it.
func (e *devEnv) write(path string) error {
	var text strings.Builder
	for _, v := range e.variables() {
		fmt.Fprintf(&text, "%s=%s\n", v.name, v.value)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "dev.env.*") // 0600
	if err != nil {
		return fmt.Errorf("MILLRACE_HOME cannot be written to: %w", err)
	}
	_, err = temporary.WriteString(text.String())
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("dev.env cannot be written: %w", err)
	}
	return nil
}
