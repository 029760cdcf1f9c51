package workers

import (
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/jobs"
)

// DepthCap bounds what is counted of one queue and state, and so the cost.
const DepthCap = 10_000

// queueDepth is how full a queue is.
type queueDepth struct {
	queue string
	// states counts its jobs by live state, each up to DepthCap.
	states map[string]int64
	// discarded counts those that were given up and are kept, up to DepthCap.
	discarded int64
	oldest    time.Duration
	paused    bool
}

// queueDepths reads the depths of all queues into depths, in the catalogue's order.
// Each number is an index scan of at most DepthCap entries.
func queueDepths(batch *pgx.Batch, depths *[]queueDepth) {
	var names []string
	for _, queue := range jobs.Queues() {
		names = append(names, queue.Name)
		*depths = append(*depths, queueDepth{queue: queue.Name, states: map[string]int64{}})
	}
	batch.Queue(`
		SELECT q.n - 1, state.name,
			(SELECT count(*) FROM (
				-- River makes a short retry available a few seconds early.
				SELECT 1 FROM river_job AS j
				WHERE j.state = state.name::river_job_state AND j.queue = q.name AND (j.state <> 'available' OR j.scheduled_at <= now())
				LIMIT $2) AS counted),
			-- Jobs with a deadline are ordered by times long past, so they are looked at apart.
			coalesce(extract(epoch FROM now() - (
				SELECT min(greatest(first.scheduled_at, first.created_at))
				FROM generate_series(1, 4) AS prio (n), unnest(ARRAY['-infinity', now() - interval '30 days']) AS since (t), LATERAL (
					SELECT scheduled_at, created_at FROM river_job
					WHERE state = 'available' AND queue = q.name AND priority = prio.n AND scheduled_at >= since.t
					ORDER BY scheduled_at LIMIT 1) AS first)), 0)::float8,
			EXISTS (SELECT 1 FROM river_queue WHERE name = q.name AND paused_at IS NOT NULL)
		FROM unnest($1::text[]) WITH ORDINALITY AS q (name, n), unnest(ARRAY['available', 'running', 'retryable', 'scheduled', 'discarded']) AS state (name)`,
		names, DepthCap).Query(func(rows pgx.Rows) error {
		var (
			at     int
			state  string
			count  int64
			oldest float64
			paused bool
		)
		_, err := pgx.ForEachRow(rows, []any{&at, &state, &count, &oldest, &paused}, func() error {
			q := &(*depths)[at]
			if q.oldest, q.paused = seconds(oldest), paused; state == discarded {
				q.discarded = count
				return nil
			}
			q.states[state] = count
			return nil
		})
		return err
	})
}
