package intake_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/intake"
	"millrace/jobs"
)

// News wakes a job that waits, leaves one that is at work, and has another look
// instead of one that has ended.
func TestNewsIsFollowedUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set   string
		state intake.State
		added int
	}{
		"put off":   {"state = 'scheduled', scheduled_at = now() + interval '1 hour'", intake.StateAvailable, 0},
		"to retry":  {"state = 'retryable', attempt = 1, scheduled_at = now() + interval '1 hour'", intake.StateAvailable, 0},
		"available": {"state = 'available'", intake.StateAvailable, 0},
		"running":   {"state = 'running', attempt = 1, attempted_at = now()", intake.StateRunning, 0},
		"completed": {"state = 'completed', attempt = 1, finalized_at = now()", intake.StateCompleted, 1},
		"discarded": {"state = 'discarded', attempt = 25, finalized_at = now()", intake.StateDiscarded, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).run()
			receipt, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
			require.NoError(t, err)
			_, err = b.login.Exec(t.Context(), "UPDATE river_job SET "+c.set+" WHERE id = $1", receipt.Job.ID)
			require.NoError(t, err)
			news := intake.Follow{
				Tenant: "alice", JobID: receipt.Job.ID, Args: jobs.PaymentReconciliationArgs{PaymentID: *receipt.Job.ResourceID},
				Note: func(context.Context, pgx.Tx) (bool, error) { return true, nil },
			}
			require.NoError(t, b.writer.Follow(t.Context(), news))
			job, err := intake.Find(t.Context(), b.tenancy, "alice", receipt.Job.ID)
			require.NoError(t, err)
			require.Equal(t, c.state, job.State)
			require.Equal(t, c.added, b.looks())
			var due bool
			require.NoError(t, b.login.QueryRow(t.Context(), "SELECT scheduled_at <= now() FROM river_job WHERE id = $1", receipt.Job.ID).Scan(&due))
			require.True(t, due)
		})
	}
}

func TestOldNewsChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	news := intake.Follow{
		Tenant: "alice", JobID: 1 << 40, Args: jobs.PaymentReconciliationArgs{PaymentID: uuid.New()},
		Note: func(context.Context, pgx.Tx) (bool, error) { return false, nil },
	}
	require.NoError(t, b.writer.Follow(t.Context(), news))
	require.Zero(t, b.looks())

	news.Note = func(context.Context, pgx.Tx) (bool, error) { return true, errors.New("refused") }
	require.Error(t, b.writer.Follow(t.Context(), news))
	require.Zero(t, b.looks())

	news.Note = func(context.Context, pgx.Tx) (bool, error) { return true, nil }
	require.NoError(t, b.writer.Follow(t.Context(), news))
	require.Equal(t, 1, b.looks(), "a job that is gone has ended")
}

// looks counts the jobs that look at a payment by themselves.
func (b *bench) looks() (n int) {
	b.t.Helper()
	require.NoError(b.t, b.login.QueryRow(b.t.Context(), `SELECT count(*) FROM river_job
		WHERE kind = 'payment_reconciliation' AND metadata ->> 'tenant_id' = 'alice' AND args ? 'payment_id'`).Scan(&n))
	return n
}
