package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/config"
	"millrace/jobs"
)

func FuzzQueues(f *testing.F) {
	for _, seed := range []string{"payments=50,emails=20", "payments=0", "payments=-1", "payments=", "=1", "payments=1,payments=2", ",", "payments=99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var queues config.Queues
		if queues.UnmarshalText([]byte(text)) != nil {
			require.Nil(t, queues)
			return
		}
		known := map[string]bool{}
		for _, queue := range jobs.Queues() {
			known[queue.Name] = true
		}
		require.NotEmpty(t, queues)
		for name, slots := range queues {
			require.True(t, known[name])
			require.True(t, slots >= 1 && slots <= 10_000)
		}
	})
}

// Whatever the environment holds, a program starts or says in a line what is wrong,
// without the value.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"DATABASE_URL", "STRIPE_API_BASE", "EMAIL_FROM", "METRICS_ADDR", "LOG_LEVEL", "LOG_FORMAT", "QUEUES"} {
		f.Add(name, "hunter2 and more")
		f.Add(name, "")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		_, err := config.Load[config.Worker](worker(name + "=" + value))
		if err != nil && len(value) > 12 {
			require.NotContains(t, err.Error(), value)
		}
	})
}
