package workers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/audit"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/postgres"
	"millrace/jobs"
	"millrace/workers"
)

// A paused queue's jobs wait while others run, and go on when it is resumed; who did
// both is in the audit log.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	owner := postgres.NewTenancy(p.login, postgres.Owner)
	ctx := postgres.WithActor(t.Context(), postgres.Actor{Name: "operator:ada"})

	states, err := workers.ListQueues(ctx, owner)
	require.NoError(t, err)
	require.Len(t, states, len(jobs.Queues()))
	require.Equal(t, workers.QueueState{Name: "payments"}, states[0], "nobody has worked it yet")
	require.Equal(t, fault.NotFound, fault.From(workers.PauseQueue(ctx, owner, "payments")).Code, "River knows it from its worker only")
	for _, unknown := range []string{"*", "nothing"} {
		require.Equal(t, fault.NotFound, fault.From(workers.PauseQueue(ctx, owner, unknown)).Code, unknown)
	}

	_, err = p.login.Exec(ctx, "INSERT INTO river_queue (name, metadata, created_at, updated_at) VALUES ('payments', '{}', now(), now())")
	require.NoError(t, err)
	require.NoError(t, workers.PauseQueue(ctx, owner, "payments"))
	states, err = workers.ListQueues(ctx, owner)
	require.NoError(t, err)
	require.NotNil(t, states[0].SeenAt)
	require.NotNil(t, states[0].PausedAt)
	require.WithinDuration(t, time.Now(), *states[0].PausedAt, time.Minute)

	paying := p.submit("pm_card_visa")
	p.work()
	p.done(p.accept("conversation_scoring", `{"session_id":"s","messages":[{"role":"user","content":"Hello"}]}`).ID)
	waiting, err := intake.Find(ctx, p.tenancy, "alice", paying.ID)
	require.NoError(t, err)
	require.Equal(t, intake.StateAvailable, waiting.State)

	require.NoError(t, workers.ResumeQueue(ctx, owner, "payments"))
	p.done(paying.ID)
	require.Eventually(t, func() bool {
		var changes []string
		for _, e := range p.sealedOf(owner, audit.Platform) {
			if e.ResourceType == "queue" && e.ResourceID == "payments" {
				require.Equal(t, "operator:ada", e.Actor)
				changes = append(changes, e.Action)
			}
		}
		return len(changes) == 2
	}, 30*time.Second, 20*time.Millisecond)
}
