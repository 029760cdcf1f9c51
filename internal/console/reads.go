package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/jobs"
)

// River UI asks for these again every two seconds, and its own statements for them read
// all of the backlog here: behind row-level security the planner neither looks at the
// statistics of a column whose operators may leak, as those of an enumeration may, nor
// sees that an index with the state in front is in order within a state. With five
// million jobs waiting they took 3 to 8 seconds; these take milliseconds, whatever waits.
func (c *Console) answers() map[string]func(context.Context, *http.Request) (any, error) {
	return map[string]func(context.Context, *http.Request) (any, error){
		"GET /api/jobs":          c.listJobs,
		"GET /api/states":        c.countStates,
		"GET /api/queues":        c.listQueues,
		"GET /api/queues/{name}": c.getQueue,
	}
}

// countCap is the highest number that is counted, as in River UI.
const countCap = 10_000

// settings bind a transaction that reads. The planner is told to follow indexes, since
// it does not know what it would find (see answers).
const settings = `
	SELECT set_config('transaction_read_only', 'on', true), set_config('statement_timeout', $1, true), set_config('jit', 'off', true),
		set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)`

// inOrder keeps the planner from reading and sorting all that a list may begin with.
const inOrder = `SELECT set_config('enable_sort', 'off', true)`

// query runs one statement that reads.
func (c *Console) query(ctx context.Context, scan func(pgx.Rows) error, sql string, args ...any) error {
	return c.reading(ctx, func(tx pgx.Tx) error { return query(ctx, tx, scan, sql, args...) })
}

// reading runs work in a transaction that reads.
func (c *Console) reading(ctx context.Context, work func(pgx.Tx) error) error {
	return c.everyone.Tx(ctx, "", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, settings, abandonAfter); err != nil {
			return fmt.Errorf("console: settings: %w", err)
		}
		return work(tx)
	})
}

func query(ctx context.Context, tx pgx.Tx, scan func(pgx.Rows) error, sql string, args ...any) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("console: read: %w", err)
	}
	defer rows.Close()
	return scan(rows)
}

// list is how River UI wraps lists.
type list[T any] struct {
	Data []T `json:"data"`
}

// job is a job as River UI lists it.
type job struct {
	ID          int64      `json:"id"`
	Args        string     `json:"args"`
	Attempt     int        `json:"attempt"`
	AttemptedAt *time.Time `json:"attempted_at"`
	AttemptedBy []string   `json:"attempted_by"`
	CreatedAt   time.Time  `json:"created_at"`
	FinalizedAt *time.Time `json:"finalized_at"`
	Kind        string     `json:"kind"`
	MaxAttempts int        `json:"max_attempts"`
	Priority    int        `json:"priority"`
	Queue       string     `json:"queue"`
	ScheduledAt time.Time  `json:"scheduled_at"`
	State       string     `json:"state"`
	Tags        []string   `json:"tags"`
}

// listJobs lists the jobs of a state: of a final one those that ended last, of any
// other those that are next in their queue.
func (c *Console) listJobs(ctx context.Context, r *http.Request) (any, error) {
	asked := r.URL.Query()
	state := intake.State(cmp.Or(asked.Get("state"), string(intake.StateRunning)))
	limit, err := strconv.Atoi(cmp.Or(asked.Get("limit"), "20"))
	var fields fault.Fields
	fields.Check(slices.Contains(intake.States(), state), "state", "must be a state of jobs")
	fields.Check(err == nil && limit >= 0 && limit <= maxJobs, "limit", fmt.Sprintf("must be 0 to %d", maxJobs))
	args := []any{string(state), limit}
	var where strings.Builder
	filter := func(name, condition string, values any) {
		if len(asked[name]) > 0 {
			args = append(args, values)
			fmt.Fprintf(&where, " AND "+condition, len(args))
		}
	}
	filter("ids", "id = ANY ($%d::bigint[])", numbers(asked, "ids", &fields))
	filter("kinds", "kind = ANY ($%d::text[])", asked["kinds"])
	filter("priorities", "priority = ANY ($%d::bigint[])", numbers(asked, "priorities", &fields))
	filter("queues", "queue = ANY ($%d::text[])", asked["queues"])
	filter("tags", "tags && $%d::text[]::varchar[]", asked["tags"])
	if err := fields.Err(); err != nil {
		return nil, err
	}
	order := "j.state, queue, priority, scheduled_at, id" // of River's index by which workers fetch
	if state.Done() {
		order = "j.state DESC, finalized_at DESC"
		where.WriteString(" AND finalized_at IS NOT NULL")
	}
	var found list[job]
	err = c.reading(ctx, func(tx pgx.Tx) error {
		// Those that are named are few, and found by their numbers.
		if len(asked["ids"]) == 0 {
			if _, err := tx.Exec(ctx, inOrder); err != nil {
				return fmt.Errorf("console: settings: %w", err)
			}
		}
		return query(ctx, tx, func(rows pgx.Rows) (err error) {
			found.Data, err = pgx.CollectRows(rows, pgx.RowToStructByPos[job])
			return err
		}, `
		SELECT id, args::text, attempt, attempted_at, coalesce(attempted_by, '{}'), created_at, finalized_at, kind, max_attempts, priority, queue, scheduled_at,
			state::text, coalesce(tags, '{}')::text[]
		FROM river_job AS j WHERE j.state = $1::river_job_state`+where.String()+` ORDER BY `+order+` LIMIT $2`, args...)
	})
	return found, err
}

func numbers(asked url.Values, name string, fields *fault.Fields) []int64 {
	list := make([]int64, len(asked[name]))
	for i, text := range asked[name] {
		var err error
		if list[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			fields.Add(name, "must be numbers")
			break
		}
	}
	return list
}

// count is how many jobs a state has, as River UI shows it.
type count struct {
	Accuracy   string    `json:"accuracy"`
	Count      int       `json:"count"`
	ObservedAt time.Time `json:"observed_at"`
}

// states are the names of all states.
func states() []string {
	names := make([]string, len(intake.States()))
	for i, state := range intake.States() {
		names[i] = string(state)
	}
	return names
}

func (c *Console) countStates(ctx context.Context, _ *http.Request) (any, error) {
	counts := map[string]count{}
	err := c.query(ctx, func(rows pgx.Rows) error {
		var state string
		n := count{}
		_, err := pgx.ForEachRow(rows, []any{&state, &n.Count, &n.ObservedAt}, func() error {
			n.Accuracy = "exact"
			if n.Count > countCap {
				n.Accuracy, n.Count = "lower_bound", countCap
			}
			counts[state] = n
			return nil
		})
		return err
	}, `
		SELECT s.state, (SELECT count(*) FROM (SELECT FROM river_job AS j WHERE j.state = s.state::river_job_state LIMIT $2) AS capped), now()
		FROM unnest($1::text[]) AS s (state)`, states(), countCap+1)
	return counts, err
}

// queue is a queue as River UI shows it. Its counts are of countCap at most.
type queue struct {
	Name           string     `json:"name"`
	CreatedAt      time.Time  `json:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at"`
	PausedAt       *time.Time `json:"paused_at"`
	CountAvailable int        `json:"count_available"`
	CountRunning   int        `json:"count_running"`
	// Concurrency is always null: it is a part of River Pro.
	Concurrency *struct{} `db:"-" json:"concurrency"`
}

func (c *Console) listQueues(ctx context.Context, _ *http.Request) (any, error) {
	queues, err := c.queues(ctx, "")
	return list[queue]{queues}, err
}

func (c *Console) getQueue(ctx context.Context, r *http.Request) (any, error) {
	queues, err := c.queues(ctx, r.PathValue("name"))
	if err != nil || len(queues) == 0 {
		return nil, cmp.Or(err, error(noSuchQueue()))
	}
	return queues[0], nil
}

func noSuchQueue() *fault.Fault {
	return fault.New(fault.NotFound, "There is no such queue. A queue is there once a worker has worked it.")
}

// queues returns the queue of that name, or all when it is empty.
func (c *Console) queues(ctx context.Context, name string) (queues []queue, err error) {
	err = c.query(ctx, func(rows pgx.Rows) error {
		queues, err = pgx.CollectRows(rows, pgx.RowToStructByPos[queue])
		return err
	}, `
		SELECT q.name, q.created_at, q.updated_at, q.paused_at,
			(SELECT count(*) FROM (SELECT FROM river_job AS j WHERE j.state = 'available' AND j.queue = q.name LIMIT $2) AS capped),
			(SELECT count(*) FROM (SELECT FROM river_job AS j WHERE j.state = 'running' AND j.queue = q.name LIMIT $2) AS capped)
		FROM river_queue AS q WHERE $1 = '' OR q.name = $1
		ORDER BY q.name LIMIT 1000`, name, countCap)
	return queues, err
}

// completeKind completes the name of a kind from the catalogue: River UI would read
// every job for it.
func completeKind(asked url.Values) any {
	names := list[string]{Data: []string{}}
	for _, kind := range jobs.Catalog() {
		if strings.Contains(kind.Name, strings.ToLower(asked.Get("match"))) && kind.Name > asked.Get("after") && !slices.Contains(asked["exclude"], kind.Name) {
			names.Data = append(names.Data, kind.Name)
		}
	}
	slices.Sort(names.Data)
	return names
}

// readRoutes leads each question to what answers it: the functions above, else River UI.
func (c *Console) readRoutes() http.Handler {
	mux := http.NewServeMux()
	for pattern, do := range c.answers() {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+c.path+path, func(w http.ResponseWriter, r *http.Request) {
			answer, err := do(r.Context(), r)
			readingOf(r.Context()).failed = err
			reply(w, answer)
		})
	}
	mux.HandleFunc("GET "+c.path+"/api/autocomplete", func(w http.ResponseWriter, r *http.Request) {
		if asked := r.URL.Query(); asked.Get("facet") == "job_kind" {
			reply(w, completeKind(asked))
			return
		}
		c.ui.ServeHTTP(w, r)
	})
	mux.Handle("/", c.ui)
	return mux
}

func reply(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(answer) // into memory
}
