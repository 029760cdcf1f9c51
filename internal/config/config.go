// Package config reads the programs' environment. A variable that is missing or
// wrong is reported in one line that names it, and its value is not repeated.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"millrace/internal/ratelimit"
	"millrace/internal/seal"
	"millrace/internal/telemetry"
	"millrace/jobs"
)

// Log configures logging.
type Log struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	Format string     `env:"LOG_FORMAT" envDefault:"json"`
}

// Sentry says where unexpected errors are told; without a DSN nowhere.
type Sentry struct {
	SentryDSN telemetry.Secret `env:"SENTRY_DSN"`
	// SentryEnvironment is what Sentry calls this installation, such as staging.
	SentryEnvironment string `env:"SENTRY_ENVIRONMENT"`
}

// Encryption says where the keys are that wrap tenants' keysets. Without either
// nothing is encrypted.
type Encryption struct {
	EncryptionKeys     telemetry.Secret `env:"ENCRYPTION_KEYS"`
	EncryptionKeysFile string           `env:"ENCRYPTION_KEYS_FILE"`
}

// Keys reads the keys; nil when there are none.
func (e Encryption) Keys() (*seal.Keys, error) {
	name, text := "ENCRYPTION_KEYS", e.EncryptionKeys.Reveal()
	if e.EncryptionKeysFile != "" {
		if text != "" {
			return nil, errors.New("ENCRYPTION_KEYS and ENCRYPTION_KEYS_FILE are both set; leave one of them")
		}
		name = "ENCRYPTION_KEYS_FILE"
		content, err := os.ReadFile(e.EncryptionKeysFile)
		if err != nil {
			return nil, errors.New("ENCRYPTION_KEYS_FILE is wrong: it is the path of a file that can be read, with a key a line")
		}
		text = string(content)
	} else if text == "" {
		return nil, nil
	}
	keys, err := seal.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s is wrong: %w", name, err)
	}
	return keys, nil
}

// Intake configures cmd/intake.
type Intake struct {
	Log
	Sentry
	Access
	TLS
	Encryption
	Tracing

	DatabaseURL telemetry.Secret `env:"DATABASE_URL,required"`
	ListenAddr  string           `env:"LISTEN_ADDR" envDefault:":8080"`
	MetricsAddr string           `env:"METRICS_ADDR" envDefault:":9464"`
	// WebhookSecret signs what Stripe sends to POST /webhooks/stripe; without it
	// the route refuses everything.
	WebhookSecret telemetry.Secret `env:"STRIPE_WEBHOOK_SECRET"`
	// ResendWebhookSecret is the same for POST /webhooks/resend.
	ResendWebhookSecret telemetry.Secret `env:"RESEND_WEBHOOK_SECRET"`

	Limits
}

// Limits configures rate limits.
type Limits struct {
	// RateLimits are the rates that differ from the defaults.
	RateLimits ratelimit.Limits `env:"RATE_LIMITS"`
	// RedisURL is where processes count together; without it each counts for itself.
	RedisURL telemetry.Secret `env:"REDIS_URL"`
}

// Worker configures cmd/worker.
type Worker struct {
	Log
	Sentry
	Encryption
	Tracing
	Stripe
	Resend

	DatabaseURL telemetry.Secret `env:"DATABASE_URL,required"`
	MetricsAddr string           `env:"METRICS_ADDR" envDefault:":9465"`
	Queues      Queues           `env:"QUEUES"`
}

// Stripe configures the payment gateway.
type Stripe struct {
	Key     telemetry.Secret `env:"STRIPE_SECRET_KEY,required"`
	APIBase string           `env:"STRIPE_API_BASE"`
}

// Resend configures the mail provider.
type Resend struct {
	ResendKey  telemetry.Secret `env:"RESEND_API_KEY,required"`
	ResendBase string           `env:"RESEND_API_BASE"`
	EmailFrom  string           `env:"EMAIL_FROM,required"`
}

// Dev configures `millrace dev`.
type Dev struct {
	Access
	Limits
	Tracing

	LogLevel  slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat string     `env:"LOG_FORMAT" envDefault:"text"`

	Sentry
	Encryption

	Home        string           `env:"MILLRACE_HOME" envDefault:".millrace"`
	DatabaseURL telemetry.Secret `env:"DATABASE_URL"`
	ListenAddr  string           `env:"LISTEN_ADDR" envDefault:"127.0.0.1:8080"`
	MetricsAddr string           `env:"METRICS_ADDR" envDefault:"127.0.0.1:9464"`
	StripeKey   telemetry.Secret `env:"STRIPE_SECRET_KEY"`
	StripeBase  string           `env:"STRIPE_API_BASE"`
	// WebhookSecret defaults to one that the sandbox makes up.
	WebhookSecret telemetry.Secret `env:"STRIPE_WEBHOOK_SECRET"`
	// Without ResendKey mails go to the sandbox's mailbox.
	ResendKey           telemetry.Secret `env:"RESEND_API_KEY"`
	ResendBase          string           `env:"RESEND_API_BASE"`
	ResendWebhookSecret telemetry.Secret `env:"RESEND_WEBHOOK_SECRET"`
	EmailFrom           string           `env:"EMAIL_FROM" envDefault:"bookings@millrace.example"`
	Queues              Queues           `env:"QUEUES"`
}

// Queues is worker slots by queue, written "payments=50,emails=20".
type Queues map[string]int

// UnmarshalText implements encoding.TextUnmarshaler.
func (q *Queues) UnmarshalText(text []byte) error {
	known := jobs.Queues()
	result := Queues{}
	for entry := range strings.SplitSeq(string(text), ",") {
		name, number, ok := strings.Cut(strings.TrimSpace(entry), "=")
		slots, err := strconv.Atoi(number)
		if !ok || err != nil || slots < 1 || slots > 10_000 {
			return errors.New("must look like payments=50,emails=20, with 1 to 10000 slots each")
		}
		if !slices.ContainsFunc(known, func(queue jobs.Queue) bool { return queue.Name == name }) {
			names := make([]string, len(known))
			for i, queue := range known {
				names[i] = queue.Name
			}
			return fmt.Errorf("names a queue that does not exist; there are %s", strings.Join(names, ", "))
		}
		result[name] = slots
	}
	*q = result
	return nil
}

// Load reads and checks T from the environment. environ is what os.Environ
// returns, or a test's.
func Load[T any](environ []string) (T, error) {
	var config T
	values := env.ToMap(environ)
	err := env.ParseWithOptions(&config, env.Options{Environment: values})
	if err != nil {
		return config, explain(err)
	}
	if traces, ok := any(&config).(interface {
		read(environ map[string]string) error
	}); ok {
		err = traces.read(values)
	}
	return config, errors.Join(check(&config), err)
}

// explain turns the library's errors into ours, which name the variable and do
// not show its value.
func explain(err error) error {
	var aggregate env.AggregateError
	if !errors.As(err, &aggregate) {
		return explainOne(err)
	}
	all := make([]error, len(aggregate.Errors))
	for i, one := range aggregate.Errors {
		all[i] = explainOne(one)
	}
	return errors.Join(all...)
}

func explainOne(err error) error {
	var (
		missing env.VarIsNotSetError
		empty   env.EmptyVarError
		parse   env.ParseError
	)
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("%s is not set; %s", missing.Key, hint(missing.Key))
	case errors.As(err, &empty):
		return fmt.Errorf("%s is empty; %s", empty.Key, hint(empty.Key))
	case errors.As(err, &parse):
		return fmt.Errorf("%s is wrong; %s", variable(parse.Name), hint(variable(parse.Name)))
	default:
		return errors.New("the environment cannot be read")
	}
}

// variable maps a struct field, which is what the library names, to its variable.
func variable(field string) string {
	switch field {
	case "Level", "LogLevel":
		return "LOG_LEVEL"
	case "Queues":
		return "QUEUES"
	case "TrustedProxies":
		return "TRUSTED_PROXIES"
	case "Origins":
		return "CORS_ORIGINS"
	case "RateLimits":
		return "RATE_LIMITS"
	default:
		return field
	}
}

func hint(name string) string {
	switch name {
	case "DATABASE_URL":
		return "it is where Postgres is: postgres://user:password@host:5432/database (`millrace dev` brings its own)"
	case "STRIPE_SECRET_KEY":
		return "it is Stripe's secret key (sk_…); for `millrace sandbox` any that begins with sk_test_"
	case "RESEND_API_KEY":
		return "it is Resend's API key (re_…); for the sandbox's mailbox any that begins with re_"
	case "EMAIL_FROM":
		return "it is the sender of mails, such as Acme <bookings@acme.example>"
	case "LOG_LEVEL":
		return "it is debug, info, warn or error"
	case "TRUSTED_PROXIES":
		return "it is addresses or ranges of them: 10.0.0.0/8,192.0.2.7"
	case "CORS_ORIGINS":
		return "it is origins in lower case, without a path and without *: https://app.example.com,https://admin.example.com"
	case "QUEUES":
		names := make([]string, 0, len(jobs.Queues()))
		for _, queue := range jobs.Queues() {
			names = append(names, fmt.Sprintf("%s=%d", queue.Name, queue.Slots))
		}
		return "it is worker slots by queue, 1 to 10000 each: " + strings.Join(names, ",")
	case "RATE_LIMITS":
		rates := make([]string, 0, len(ratelimit.Policies()))
		for _, policy := range ratelimit.Policies() {
			rates = append(rates, fmt.Sprintf("%s=%s", policy.Class, policy.Default))
		}
		return "it is rates by class, for s, m, h or d, or off: " + strings.Join(rates, ",")
	default:
		return "see the README's table of variables"
	}
}

func check(config any) error {
	switch c := config.(type) {
	case *Intake:
		return errors.Join(logFormat(c.Format), address("LISTEN_ADDR", c.ListenAddr), address("METRICS_ADDR", c.MetricsAddr),
			tokens(c.JWT), certificate(c.TLS), redis(c.RedisURL), encryption(c.Encryption), sentry(c.Sentry))
	case *Worker:
		return errors.Join(logFormat(c.Format), address("METRICS_ADDR", c.MetricsAddr),
			base("STRIPE_API_BASE", c.APIBase), base("RESEND_API_BASE", c.ResendBase), sender(c.EmailFrom), encryption(c.Encryption), sentry(c.Sentry))
	case *Dev:
		return errors.Join(logFormat(c.LogFormat), address("LISTEN_ADDR", c.ListenAddr), address("METRICS_ADDR", c.MetricsAddr),
			base("STRIPE_API_BASE", c.StripeBase), base("RESEND_API_BASE", c.ResendBase), sender(c.EmailFrom),
			tokens(c.JWT), redis(c.RedisURL), encryption(c.Encryption), sentry(c.Sentry))
	default:
		return nil
	}
}

func sentry(s Sentry) error {
	if s.SentryDSN == "" {
		return nil
	}
	if err := telemetry.CheckSentryDSN(s.SentryDSN); err != nil {
		return fmt.Errorf("SENTRY_DSN is wrong: %w", err)
	}
	return nil
}

func encryption(e Encryption) error {
	_, err := e.Keys()
	return err
}

func logFormat(format string) error {
	if format != "json" && format != "text" {
		return errors.New("LOG_FORMAT is wrong: it is json or text")
	}
	return nil
}

func address(name, value string) error {
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		return fmt.Errorf("%s is wrong: it is host:port, such as 127.0.0.1:8080 or :8080", name)
	}
	return nil
}

func base(name, value string) error {
	if value == "" {
		return nil
	}
	parsed, err := url.Parse(value)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return fmt.Errorf("%s is wrong: it is an http or https URL such as https://api.stripe.com", name)
	}
	return nil
}

func redis(value telemetry.Secret) error {
	if value == "" {
		return nil
	}
	if err := ratelimit.CheckURL(value.Reveal()); err != nil {
		return fmt.Errorf("REDIS_URL is wrong: %w", err)
	}
	return nil
}

func sender(value string) error {
	if _, err := mail.ParseAddress(value); err != nil {
		return errors.New("EMAIL_FROM is wrong: it is an address such as Acme <bookings@acme.example>")
	}
	return nil
}

// Options returns the logger's options for the service.
func (l Log) Options(service string) telemetry.LogOptions {
	return telemetry.LogOptions{Service: service, Level: l.Level, Text: l.Format == "text"}
}
