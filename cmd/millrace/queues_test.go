package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/postgres"
	"millrace/jobs"
	"millrace/workers"
)

func TestQueues(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	queues := func(args ...string) outcome {
		return run(t, newQueuesCommand([]string{"DATABASE_URL=" + db.URL, "MILLRACE_HOME=" + t.TempDir()}), "", args...)
	}
	_, err := db.Pool(t, postgres.Login).Exec(t.Context(),
		"INSERT INTO river_queue (name, metadata, created_at, updated_at) VALUES ('emails', '{}', '2030-01-31T12:00Z', '2030-01-31T12:00Z')")
	require.NoError(t, err)

	listed := queues("list")
	require.Equal(t, 0, listed.code, listed.stderr)
	rows := lines(listed.stdout)
	require.Len(t, rows, 1+len(jobs.Queues()))
	require.Regexp(t, `^QUEUE +PAUSED SINCE +WORKER SEEN$`, rows[0])
	require.Regexp(t, `^payments +not paused +not within a day$`, rows[1])
	require.Regexp(t, `(?m)^emails +not paused +2030-01-31T12:00:00Z$`, listed.stdout)

	paused := queues("pause", "emails", "--json")
	require.Equal(t, 0, paused.code, paused.stderr)
	state := decode[workers.QueueState](t, paused.stdout)
	require.Equal(t, "emails", state.Name)
	require.NotNil(t, state.PausedAt)
	require.Regexp(t, `(?m)^emails +20\d\d-\S+Z +20`, queues("list").stdout)

	resumed := queues("resume", "emails")
	require.Equal(t, 0, resumed.code, resumed.stderr)
	require.Len(t, lines(resumed.stdout), 2, "only the queue that was changed")
	require.Regexp(t, `(?m)^emails +not paused`, resumed.stdout)

	for _, unknown := range []string{"nothing", "*", "payments"} {
		got := queues("pause", unknown)
		require.Equal(t, exitNotFound, got.code, got.stderr)
	}
	require.Equal(t, exitUsage, queues("pause").code)
	require.Equal(t, exitUsage, queues("stop").code)
}
