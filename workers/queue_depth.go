package workers

import (
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/jobs"
)

const (
	// DepthCap is the most that is counted of one queue and state: it bounds what a
	// look costs, whatever waits.
	DepthCap = 10_000
	// shallowCap is the same for all queues but one, whose turn it is to be counted up
	// to DepthCap. So a number beyond it may be as old as all turns together.
	shallowCap = 1000
)

// queueDepth is how full a queue is.
type queueDepth struct {
	queue string
	// states counts its jobs by state, each up to DepthCap: the live ones and discarded.
	states map[string]int64
	oldest time.Duration
	paused bool
}

// depthCounter counts queues, and remembers what it counted of each beyond shallowCap
// when it was its turn.
type depthCounter struct {
	turn int
	deep map[depthKey]int64
}

func newDepthCounter() *depthCounter { return &depthCounter{deep: map[depthKey]int64{}} }

type depthKey struct{ queue, state string }

// count has batch read the depths of all queues into depths, in the catalogue's order.
// Each number is an index scan of no more entries than its cap, besides those that
// died since the last vacuum.
func (c *depthCounter) count(batch *pgx.Batch, depths *[]queueDepth) {
	var (
		names []string
		caps  []int64
	)
	for _, queue := range jobs.Queues() {
		names, caps = append(names, queue.Name), append(caps, shallowCap)
	}
	deep := c.turn % len(names)
	caps[deep] = DepthCap
	c.turn++
	batch.Queue(`
		SELECT q.name,
			-- River makes a short retry available a few seconds early.
			(SELECT count(*) FROM (SELECT FROM river_job WHERE state = 'available' AND queue = q.name AND scheduled_at <= now() LIMIT q.cap) AS counted),
			(SELECT count(*) FROM (SELECT FROM river_job WHERE state = 'running' AND queue = q.name LIMIT q.cap) AS counted),
			(SELECT count(*) FROM (SELECT FROM river_job WHERE state = 'retryable' AND queue = q.name LIMIT q.cap) AS counted),
			(SELECT count(*) FROM (SELECT FROM river_job WHERE state = 'scheduled' AND queue = q.name LIMIT q.cap) AS counted),
			(SELECT count(*) FROM (SELECT FROM river_job WHERE state = 'discarded' AND queue = q.name LIMIT q.cap) AS counted),
			-- Jobs with a deadline are ordered by times long past, so they are looked at apart.
			coalesce(extract(epoch FROM now() - (
				SELECT min(greatest(first.scheduled_at, first.created_at))
				FROM generate_series(1, 4) AS prio (n), unnest(ARRAY['-infinity', now() - interval '30 days']) AS since (t), LATERAL (
					SELECT scheduled_at, created_at FROM river_job
					WHERE state = 'available' AND queue = q.name AND priority = prio.n AND scheduled_at >= since.t
					-- In the index's order: row-level security keeps the planner from seeing that
					-- the state is one, and it would sort all that wait.
					ORDER BY state, queue, priority, scheduled_at LIMIT 1) AS first)), 0)::float8,
			EXISTS (SELECT FROM river_queue WHERE name = q.name AND paused_at IS NOT NULL)
		FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS q (name, cap, place) ORDER BY q.place`,
		names, caps).Query(func(rows pgx.Rows) (err error) {
		*depths, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (queueDepth, error) {
			var (
				q                                                   queueDepth
				available, running, retryable, scheduled, discarded int64
				oldest                                              float64
			)
			err := row.Scan(&q.queue, &available, &running, &retryable, &scheduled, &discarded, &oldest, &q.paused)
			q.states = map[string]int64{"available": available, "running": running, "retryable": retryable, "scheduled": scheduled, "discarded": discarded}
			q.oldest = seconds(oldest)
			return q, err
		})
		if err == nil {
			c.remember(*depths, deep)
		}
		return err
	})
}

// remember keeps what was counted of the queue whose turn it was, and puts in what is
// known of the others where their count ended at shallowCap.
func (c *depthCounter) remember(depths []queueDepth, deep int) {
	for i, q := range depths {
		for state, n := range q.states {
			key := depthKey{q.queue, state}
			switch {
			case i == deep:
				c.deep[key] = n
			case n == shallowCap:
				q.states[state] = max(n, c.deep[key])
			}
		}
	}
}
