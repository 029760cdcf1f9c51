//go:build prometheus

package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/internal/capacity"
	"millrace/internal/capacity/observe"
	"millrace/jobs"
)

// What scales the workers is answered by a real Prometheus with one number while
// they work, and with nothing, rather than 0, when nobody reports.
func TestAutoscalersAreAnswered(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	server, blind := startPrometheus(t, p.metrics), startPrometheus(t, nil)
	p.work()
	for name, query := range queries(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				answer, err := server.query(t.Context(), query)
				require.NoError(c, err)
				require.Len(c, answer, 1, query)
				require.GreaterOrEqual(c, answer[0].value, 0.0)
				if name == "payments-load" {
					require.Positive(c, answer[0].value, "payments are worked")
				}
			}, patience, often)
			answer, err := blind.query(t.Context(), query)
			require.NoError(t, err)
			require.Empty(t, answer, "an autoscaler would take workers away")
		})
	}

	// `millrace workers advise` sees the same plant through Prometheus and by itself.
	t.Run("advice", func(t *testing.T) {
		t.Parallel()
		through, err := observe.NewPrometheus(server.url, 30*time.Second)
		require.NoError(t, err)
		var targets []observe.Target
		for _, addresses := range p.metrics {
			for _, address := range addresses {
				targets = append(targets, observe.Target{URL: "http://" + address + "/metrics"})
			}
		}
		direct := func(ctx context.Context) (*observe.Scrapes, error) {
			return observe.Scrape(ctx, targets, time.Now, func(ctx context.Context) error {
				before := looked(ctx, t, server)
				require.Eventually(t, func() bool { return looked(ctx, t, server) > before }, patience, often, "the leader looks again")
				return ctx.Err()
			})
		}
		seen := func(c *assert.CollectT, o capacity.Observation) {
			require.Equal(c, 2, o.Workers)
			require.True(c, o.Leads)
			require.NotNil(c, o.Look)
			require.Positive(c, o.Commit)
			require.Positive(c, o.Fetch)
			require.Len(c, o.Queues, len(jobs.Queues()))
			require.Len(c, o.Pools, 2)
			payments := o.Queues[0]
			require.Equal(c, "payments", payments.Name)
			require.Equal(c, 100, payments.Slots)
			require.True(c, payments.Depth)
			require.InDelta(c, 5, payments.Enqueued, 2, "one each 200 ms")
			require.Positive(c, payments.Load.Run)
			require.Positive(c, payments.Snoozed)
			require.Equal(c, "payment_capture", payments.Slow)
			require.Equal(c, capacity.Fewer, capacity.Advise(o, capacity.DefaultGoal()).Verdict)
		}
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			o, err := observe.Load(t.Context(), through, time.Now())
			require.NoError(c, err)
			seen(c, o)
			processes, err := observe.Processes(t.Context(), through)
			require.NoError(c, err)
			require.Len(c, processes, 2)
			require.NotEqual(c, processes[0].Leads, processes[1].Leads, "one leads")
			require.Equal(c, "test", processes[0].Version)
		}, patience, often)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			scrapes, err := direct(t.Context())
			require.NoError(c, err)
			o, err := observe.Load(t.Context(), scrapes, time.Now())
			require.NoError(c, err)
			seen(c, o)
		}, patience, often)
	})
}

// looked returns when the leader last looked at the queues.
func looked(ctx context.Context, t *testing.T, s *server) float64 {
	t.Helper()
	answer, err := s.query(ctx, "max(millrace_queue_observation_timestamp_seconds)")
	require.NoError(t, err)
	if len(answer) == 0 {
		return 0
	}
	return answer[0].value
}
