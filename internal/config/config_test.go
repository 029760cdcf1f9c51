package config_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/config"
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

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	got, err := config.Load[config.Worker](worker())
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", got, got, got, got.Key), "hunter2")
	require.Equal(t, "sk_live_hunter2", got.Key.Reveal())
}
