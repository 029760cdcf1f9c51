package intake_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/payment"
	"millrace/internal/postgres"
)

// River deletes finished jobs after their retention; the status must not
// forget.
func TestTheLedgerKeepsTheFinalStateOfDeletedJobs(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	worker := b.db.Pool(t, postgres.Worker)
	finish := map[string]string{
		"completed": `UPDATE river_job SET state = 'completed', finalized_at = now(), attempt = 2, metadata = metadata || '{"output":{"status":"captured"}}' WHERE id = $1`,
		"cancelled": `UPDATE river_job SET state = 'cancelled', finalized_at = now(), attempt = 1, errors = ARRAY['{"error":"{\"code\":\"PAYMENT_FAILED\",\"error\":\"Declined.\"}"}'::jsonb] WHERE id = $1`,
		"discarded": `UPDATE river_job SET state = 'discarded', finalized_at = now(), attempt = 25, errors = ARRAY['{"error":"Stuck job rescued by JobRescuer"}'::jsonb] WHERE id = $1`,
	}
	for state, sql := range finish {
		receipt, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
		require.NoError(t, err)
		_, err = b.login.Exec(t.Context(), sql, receipt.Job.ID)
		require.NoError(t, err)
		before, err := intake.Find(t.Context(), b.tenancy, "alice", receipt.Job.ID)
		require.NoError(t, err)
		require.Equal(t, intake.State(state), before.State)

		// As River's cleaner does, in the role of the workers.
		tag, err := worker.Exec(t.Context(), "DELETE FROM river_job WHERE id = $1", receipt.Job.ID)
		require.NoError(t, err)
		require.EqualValues(t, 1, tag.RowsAffected())
		after, err := intake.Find(t.Context(), b.tenancy, "alice", receipt.Job.ID)
		require.NoError(t, err)
		// When it may run is of no interest once it is final.
		before.ScheduledAt, after.ScheduledAt = time.Time{}, time.Time{}
		require.Equal(t, before, after, state)
	}
}

func TestOutcomeIsTheFaultOfAJobThatFailed(t *testing.T) {
	t.Parallel()
	declined := fault.New(fault.PaymentFailed, "Declined.")
	for name, c := range map[string]struct {
		job  intake.Job
		want fault.Code
	}{
		"running":             {intake.Job{State: intake.StateRunning, LastError: declined}, ""},
		"completed":           {intake.Job{State: intake.StateCompleted, LastError: declined}, ""},
		"cancelled by worker": {intake.Job{State: intake.StateCancelled, LastError: declined}, fault.PaymentFailed},
		"cancelled by client": {intake.Job{State: intake.StateCancelled}, fault.JobCancelled},
		"discarded":           {intake.Job{State: intake.StateDiscarded, LastError: declined}, fault.PaymentFailed},
		"discarded silently":  {intake.Job{State: intake.StateDiscarded}, fault.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := c.job.Outcome()
			if c.want == "" {
				require.Nil(t, f)
				return
			}
			require.Equal(t, c.want, f.Code)
		})
	}
}

func TestListPagesNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	var ids []int64
	for range 5 {
		receipt, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
		require.NoError(t, err)
		ids = append(ids, receipt.Job.ID)
	}
	_, err := b.writer.Submit(t.Context(), submission(t, "bob", "", 1))
	require.NoError(t, err)
	_, err = b.login.Exec(t.Context(), "UPDATE river_job SET state = 'completed', finalized_at = now() WHERE id = $1", ids[1])
	require.NoError(t, err)

	list := func(f intake.Filter) (got []int64) {
		page, err := intake.List(t.Context(), b.tenancy, "alice", f)
		require.NoError(t, err)
		for _, job := range page {
			got = append(got, job.ID)
		}
		return got
	}
	require.Equal(t, []int64{ids[4], ids[3]}, list(intake.Filter{Limit: 2}))
	require.Equal(t, []int64{ids[2], ids[1], ids[0]}, list(intake.Filter{Limit: 9, Before: ids[3]}))
	require.Equal(t, []int64{ids[1]}, list(intake.Filter{Limit: 9, State: intake.StateCompleted}))
	require.Empty(t, list(intake.Filter{Limit: 9, Kind: "another"}))
}

func TestCancelEndsAJobThatHasNotStartedWithItsPayment(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	receipt, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
	require.NoError(t, err)
	id := receipt.Job.ID

	require.Equal(t, fault.NotFound, fault.From(b.writer.Cancel(t.Context(), "mallory", id)).Code)
	require.Equal(t, fault.Conflict, fault.From(b.writer.Retry(t.Context(), "alice", id)).Code)
	require.NoError(t, b.writer.Cancel(t.Context(), "alice", id))
	require.NoError(t, b.writer.Cancel(t.Context(), "alice", id), "twice is once")

	job, err := intake.Find(t.Context(), b.tenancy, "alice", id)
	require.NoError(t, err)
	require.Equal(t, intake.StateCancelled, job.State)
	require.Equal(t, fault.JobCancelled, job.Outcome().Code)
	p, err := payment.Find(t.Context(), b.tenancy, "alice", *job.ResourceID)
	require.NoError(t, err)
	require.Equal(t, payment.Failed, p.Status)
	require.Contains(t, string(p.Failure), "JOB_CANCELLED")
}

func TestCancelRefusesWhatHasStartedAndRetryTakesOnlyDiscarded(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	for state, c := range map[string]struct {
		set           string
		cancel, retry fault.Code
	}{
		"running":   {"state = 'running', attempt = 1", fault.Conflict, fault.Conflict},
		"retryable": {"state = 'retryable', attempt = 1", fault.Conflict, fault.Conflict},
		// A job that was put off has spent no attempt, but its payment has begun.
		"put off":   {"state = 'scheduled', attempt = 0", fault.Conflict, fault.Conflict},
		"completed": {"state = 'completed', attempt = 1, finalized_at = now()", fault.Conflict, fault.Conflict},
		"discarded": {"state = 'discarded', attempt = 25, finalized_at = now()", fault.Conflict, ""},
	} {
		receipt, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
		require.NoError(t, err)
		_, err = b.login.Exec(t.Context(), "UPDATE river_job SET "+c.set+" WHERE id = $1", receipt.Job.ID)
		require.NoError(t, err)
		_, err = b.login.Exec(t.Context(), "UPDATE payments SET status = 'processing' WHERE id = $1", receipt.Job.ResourceID)
		require.NoError(t, err)
		require.Equal(t, c.cancel, fault.From(b.writer.Cancel(t.Context(), "alice", receipt.Job.ID)).Code, state)
		err = b.writer.Retry(t.Context(), "alice", receipt.Job.ID)
		if c.retry != "" {
			require.Equal(t, c.retry, fault.From(err).Code, state)
			continue
		}
		require.NoError(t, err)
		job, err := intake.Find(t.Context(), b.tenancy, "alice", receipt.Job.ID)
		require.NoError(t, err)
		require.Equal(t, intake.StateAvailable, job.State)
	}
	require.Equal(t, fault.NotFound, fault.From(b.writer.Retry(t.Context(), "alice", 1<<40)).Code)
}

func TestWaiterTellsWhenAJobIsFinal(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	waiter := intake.NewWaiter(b.tenancy, nil)
	first, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
	require.NoError(t, err)
	second, err := b.writer.Submit(t.Context(), submission(t, "bob", "", 1))
	require.NoError(t, err)

	done := make(chan int64, 3)
	for _, id := range []int64{first.Job.ID, first.Job.ID, second.Job.ID} {
		go func() {
			if waiter.Wait(t.Context(), id, false) {
				done <- id
			}
		}()
	}
	_, err = b.login.Exec(t.Context(), "UPDATE river_job SET state = 'completed', finalized_at = now() WHERE id = $1", first.Job.ID)
	require.NoError(t, err)
	require.Equal(t, first.Job.ID, <-done)
	require.Equal(t, first.Job.ID, <-done)
	select {
	case <-done:
		t.Fatal("the other job is not final")
	default:
	}
	_, err = b.login.Exec(t.Context(), "DELETE FROM river_job WHERE id = $1", second.Job.ID)
	require.NoError(t, err)
	require.Equal(t, second.Job.ID, <-done, "a job that is gone is final")
	require.NotEqual(t, uuid.Nil, *second.Job.ResourceID)
}

// A job that waits for the client is told of once; who knows that waits for the end.
func TestWaiterTellsOfAJobThatWaitsForTheClient(t *testing.T) {
	t.Parallel()
	b := newBench(t).run()
	waiter := intake.NewWaiter(b.tenancy, nil)
	receipt, err := b.writer.Submit(t.Context(), submission(t, "alice", "", 1))
	require.NoError(t, err)
	id := receipt.Job.ID
	for code, told := range map[string]bool{"UNAVAILABLE": false, "PAYMENT_FAILED": true} {
		_, err = b.login.Exec(t.Context(), `UPDATE river_job SET state = 'scheduled', metadata = metadata || jsonb_build_object('snoozes', 1,
			'output', jsonb_build_object('code', $2::text, 'error', 'Wait.')) WHERE id = $1`, id, code)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		require.Equal(t, told, waiter.Wait(ctx, id, false), code)
		cancel()
		job, err := intake.Find(t.Context(), b.tenancy, "alice", id)
		require.NoError(t, err)
		require.Equal(t, code, string(job.Waiting.Code))
		require.Equal(t, told, job.WaitsForClient() != nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.False(t, waiter.Wait(ctx, id, true))
	ended := make(chan bool, 1)
	go func() { ended <- waiter.Wait(t.Context(), id, true) }()
	_, err = b.login.Exec(t.Context(), "UPDATE river_job SET state = 'completed', finalized_at = now() WHERE id = $1", id)
	require.NoError(t, err)
	require.True(t, <-ended)
}
