package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/config"
	"millrace/internal/ratelimit"
)

func worker(extra ...string) []string {
	return append([]string{"DATABASE_URL=postgres://u:hunter2@h/db", "STRIPE_SECRET_KEY=sk_live_hunter2", "RESEND_API_KEY=re_hunter2", "EMAIL_FROM=bookings@acme.example"}, extra...)
}

func TestLoadHasDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.Load[config.Worker](worker("QUEUES=payments=7"))
	require.NoError(t, err)
	require.Equal(t, "INFO", got.Level.String())
	require.Equal(t, "json", got.Format)
	require.Equal(t, config.Queues{"payments": 7}, got.Queues)

	dev, err := config.Load[config.Dev](nil)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", dev.ListenAddr)
	require.Equal(t, "127.0.0.1:9464", dev.MetricsAddr)
	require.Equal(t, ".millrace", dev.Home)
	require.Equal(t, "text", dev.LogFormat)
}

func TestLoadNamesTheVariableAndNotItsValue(t *testing.T) {
	t.Parallel()
	for variable, environ := range map[string][]string{
		"DATABASE_URL":      {"STRIPE_SECRET_KEY=sk_test_x"},
		"STRIPE_SECRET_KEY": {"DATABASE_URL=postgres://h/db"},
		"LOG_LEVEL":         worker("LOG_LEVEL=hunter2"),
		"LOG_FORMAT":        worker("LOG_FORMAT=hunter2"),
		"METRICS_ADDR":      worker("METRICS_ADDR=hunter2"),
		"STRIPE_API_BASE":   worker("STRIPE_API_BASE=hunter2"),
		"QUEUES":            worker("QUEUES=hunter2"),
		"RESEND_API_KEY":    {"DATABASE_URL=postgres://h/db", "STRIPE_SECRET_KEY=sk_test_x", "EMAIL_FROM=bookings@acme.example"},
		"RESEND_API_BASE":   worker("RESEND_API_BASE=hunter2"),
		"EMAIL_FROM":        worker("EMAIL_FROM=hunter2"),
		"SENTRY_DSN":        worker("SENTRY_DSN=https://hunter2@host"),
	} {
		_, err := config.Load[config.Worker](environ)
		require.ErrorContains(t, err, variable)
		require.NotContains(t, err.Error(), "hunter2")

	}
	for _, value := range []string{"payments=0", "payments=10001", "payments", "nonsense=1", "payments=1,,"} {
		_, err := config.Load[config.Worker](worker("QUEUES=" + value))
		require.ErrorContains(t, err, "QUEUES", value)
	}
}

func TestLimitsAreReadForIntakeAndDev(t *testing.T) {
	t.Parallel()
	database, limits, redis := "DATABASE_URL=postgres://h/db", "RATE_LIMITS=bookings=5/s", "REDIS_URL=rediss://u:hunter2"+"@h:6380/0"
	intake, err := config.Load[config.Intake]([]string{database, limits, redis})
	require.NoError(t, err)
	dev, err := config.Load[config.Dev]([]string{limits, redis})
	require.NoError(t, err)
	for _, got := range []config.Limits{intake.Limits, dev.Limits} {
		require.Equal(t, ratelimit.Limits{ratelimit.Bookings: {Quota: 5, Period: ratelimit.Second}}, got.RateLimits)
		require.Equal(t, "rediss://u:hunter2@h:6380/0", got.RedisURL.Reveal())
		require.NotContains(t, fmt.Sprintf("%v %+v", got, got), "hunter2")
	}
	for variable, values := range map[string][]string{
		"RATE_LIMITS": {"hunter2", "hunter2=5/s", "bookings=hunter2", "bookings=0/s", "off,bookings=5/s"},
		"REDIS_URL":   {"hunter2", "http://u:hunter2@h", "redis://u:hunter2@h:port"},
	} {
		for _, value := range values {
			_, err := config.Load[config.Intake]([]string{database, variable + "=" + value})
			require.ErrorContains(t, err, variable+" is wrong", value)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "\n")
			_, err = config.Load[config.Dev]([]string{variable + "=" + value})
			require.ErrorContains(t, err, variable, value)
		}
	}
}

func TestEncryptionKeysComeFromTheEnvironmentOrAFile(t *testing.T) {
	t.Parallel()
	const key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	path := func(text string) string {
		name := filepath.Join(t.TempDir(), "keys")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	got, err := config.Load[config.Worker](worker())
	require.NoError(t, err)
	keys, err := got.Keys()
	require.NoError(t, err)
	require.Nil(t, keys, "it is optional")
	for _, set := range []string{"ENCRYPTION_KEYS=2026:" + key + ",2025:" + key, "ENCRYPTION_KEYS_FILE=" + path("\n2026:"+key+"\n2025:"+key+"\n")} {
		got, err := config.Load[config.Worker](worker(set))
		require.NoError(t, err)
		keys, err := got.Keys()
		require.NoError(t, err)
		require.Equal(t, "2026", keys.First())
		require.True(t, keys.Has("2025"))
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", got, got, got), key)
	}
	for _, wrong := range [][]string{
		{"ENCRYPTION_KEYS=hunter2"},
		{"ENCRYPTION_KEYS=a:" + key + ",hunter2:x"},
		{"ENCRYPTION_KEYS_FILE=" + path("hunter2")},
		{"ENCRYPTION_KEYS_FILE=" + path("")},
		{"ENCRYPTION_KEYS_FILE=/nowhere/hunter2"},
		{"ENCRYPTION_KEYS=a:" + key, "ENCRYPTION_KEYS_FILE=" + path("a:"+key)},
	} {
		for _, load := range []func() error{
			func() error { _, err := config.Load[config.Worker](worker(wrong...)); return err },
			func() error {
				_, err := config.Load[config.Intake](append([]string{"DATABASE_URL=postgres://h/db"}, wrong...))
				return err
			},
			func() error { _, err := config.Load[config.Dev](wrong); return err },
		} {
			err := load()
			require.ErrorContains(t, err, strings.SplitN(wrong[0], "=", 2)[0])
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "\n")
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	got, err := config.Load[config.Worker](worker())
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", got, got, got, got.Key), "hunter2")
	require.Equal(t, "sk_live_hunter2", got.Key.Reveal())
}
