package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
)

// commit writes a batch in one transaction, tenant by tenant, and returns each
// request's outcome in the batch's order. An error means that nothing of it was
// committed, or, when the connection broke at COMMIT, that this is unknown.
func (c *committer) commit(ctx context.Context, batch []*request) ([]outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.CommitTimeout)
	defer cancel()

	if err := c.number(ctx, batch); err != nil {
		return nil, err
	}
	// One order everywhere, so that two writers with the same keys wait for each
	// other instead of deadlocking.
	ordered := slices.Clone(batch)
	slices.SortFunc(ordered, func(a, b *request) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Key, b.Key))
	})
	outcomes := make(map[*request]outcome, len(batch))
	err := pgx.BeginFunc(ctx, c.opts.Pool, func(tx pgx.Tx) error {
		for tenant, group := range byTenant(ordered) {
			added, err := c.enroll(ctx, tx, tenant, group, outcomes)
			if err != nil {
				return err
			}
			if err := c.enqueue(ctx, tx, added); err != nil {
				return err
			}
			for _, r := range added {
				outcomes[r] = outcome{receipt: r.receipt()}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	replies := make([]outcome, len(batch))
	for i, r := range batch {
		replies[i] = outcomes[r]
	}
	return replies, nil
}

// byTenant yields the runs of one tenant in requests ordered by tenant.
func byTenant(ordered []*request) func(yield func(string, []*request) bool) {
	return func(yield func(string, []*request) bool) {
		for len(ordered) > 0 {
			tenant := ordered[0].Tenant
			end := slices.IndexFunc(ordered, func(r *request) bool { return r.Tenant != tenant })
			if end < 0 {
				end = len(ordered)
			}
			if !yield(tenant, ordered[:end]) {
				return
			}
			ordered = ordered[end:]
		}
	}
}

// idBlock is how many job ids are taken from River's sequence at a time.
const idBlock = 250

// number gives every request its job id and time, so that ledger row and job
// can name each other without a further round trip.
func (c *committer) number(ctx context.Context, batch []*request) error {
	if len(c.ids) < len(batch) {
		err := c.tenancy.Query(ctx, "", func(rows pgx.Rows) error {
			ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			c.ids = append(c.ids, ids...)
			return err
		}, "SELECT nextval('river_job_id_seq') FROM generate_series(1, $1)", max(idBlock, len(batch)))
		if err != nil {
			return fmt.Errorf("intake: take job ids: %w", err)
		}
	}
	now := c.opts.Now().UTC().Truncate(time.Microsecond)
	for i, r := range batch {
		r.jobID, r.createdAt = c.ids[i], now
	}
	c.ids = c.ids[len(batch):]
	return nil
}

// enroll enters the tenant and writes the ledger rows of its requests. Those
// that are new are returned; for the others outcomes gets a replay or a mismatch.
func (c *committer) enroll(ctx context.Context, tx pgx.Tx, tenant string, group []*request, outcomes map[*request]outcome) ([]*request, error) {
	n := len(group)
	var (
		ids                         = make([]int64, n)
		routes, keys, kinds, queues = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		hashes                      = make([][]byte, n)
		priorities, attempts        = make([]int16, n), make([]int16, n)
		resources                   = make([]uuid.UUID, n)
		created, scheduled          = make([]time.Time, n), make([]time.Time, n)
		requests                    = make(map[int64]*request, n)
		added                       = make([]*request, 0, n)
	)
	for i, r := range group {
		ids[i], routes[i], keys[i], hashes[i] = r.jobID, r.Route, r.Key, r.Hash[:]
		kinds[i], queues[i], resources[i] = r.Kind.Name, r.Kind.Queue, r.Accepted.ResourceID
		priorities[i], attempts[i] = int16(r.Priority), int16(r.Kind.Policy.MaxAttempts) //nolint:gosec // 1 to 4, and a constant
		created[i], scheduled[i] = r.createdAt, r.scheduledAt()
		requests[r.jobID] = r
	}
	var inserted []int64
	err := c.tenancy.Enter(ctx, tx, tenant, func(rows pgx.Rows) error {
		var err error
		inserted, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	}, `
		INSERT INTO submissions (tenant_id, job_id, route, idempotency_key, request_hash, kind, queue, priority, max_attempts,
			resource_id, created_at, scheduled_at)
		SELECT $1, job_id, route, nullif(key, ''), hash, kind, queue, priority, max_attempts,
			nullif(resource_id, '00000000-0000-0000-0000-000000000000'), created_at, scheduled_at
		FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::smallint[], $9::smallint[],
				$10::uuid[], $11::timestamptz[], $12::timestamptz[])
			AS row (job_id, route, key, hash, kind, queue, priority, max_attempts, resource_id, created_at, scheduled_at)
		ON CONFLICT (tenant_id, route, idempotency_key) DO NOTHING
		RETURNING job_id`,
		tenant, ids, routes, keys, hashes, kinds, queues, priorities, attempts, resources, created, scheduled)
	if err != nil {
		return nil, fmt.Errorf("intake: ledger: %w", err)
	}
	for _, id := range inserted {
		added = append(added, requests[id])
		delete(requests, id)
	}
	for _, r := range requests {
		earlier, hash, err := findByKey(ctx, tx, r)
		if err != nil {
			return nil, err
		}
		if hash != r.Hash {
			outcomes[r] = outcome{err: mismatch()}
			continue
		}
		outcomes[r] = outcome{receipt: Receipt{Job: earlier, Replayed: true}}
	}
	return added, nil
}

// findByKey reads the submission that holds r's key, as it was accepted.
func findByKey(ctx context.Context, tx pgx.Tx, r *request) (Job, [sha256.Size]byte, error) {
	var (
		job  Job
		hash []byte
	)
	err := tx.QueryRow(ctx, `
		SELECT job_id, request_hash, kind, queue, priority, max_attempts, resource_id, created_at, scheduled_at
		FROM submissions WHERE tenant_id = $1 AND route = $2 AND idempotency_key = $3`, r.Tenant, r.Route, r.Key).
		Scan(&job.ID, &hash, &job.Kind, &job.Queue, &job.Priority, &job.MaxAttempts, &job.ResourceID, &job.CreatedAt, &job.ScheduledAt)
	if err != nil {
		return Job{}, [sha256.Size]byte{}, fmt.Errorf("intake: find by idempotency key: %w", err)
	}
	job.CreatedAt, job.ScheduledAt, job.State = job.CreatedAt.UTC(), job.ScheduledAt.UTC(), StateAvailable
	if job.ScheduledAt.After(job.CreatedAt) {
		job.State = StateScheduled
	}
	return job, [sha256.Size]byte(hash), nil
}

// enqueue writes the domain rows and the River jobs of one tenant's new
// submissions, a statement a kind and one for all jobs.
func (c *committer) enqueue(ctx context.Context, tx pgx.Tx, added []*request) error {
	if len(added) == 0 {
		return nil
	}
	var (
		params    = make([]river.InsertManyParams, len(added))
		ids       = make([]int64, len(added))
		resources = make(map[*jobs.Kind][]any)
	)
	for i, r := range added {
		metadata, err := jobMetadata(r)
		if err != nil {
			return err
		}
		ids[i] = r.jobID
		params[i] = river.InsertManyParams{Args: r.Accepted.Args, InsertOpts: &river.InsertOpts{
			MaxAttempts: r.Kind.Policy.MaxAttempts,
			Metadata:    metadata,
			Priority:    r.Priority,
			Queue:       r.Kind.Queue,
			ScheduledAt: r.ScheduledAt,
		}}
		if r.Accepted.Resource != nil {
			resources[r.Kind] = append(resources[r.Kind], r.Accepted.Resource)
		}
	}
	for kind, rows := range resources {
		if err := kind.Insert(ctx, tx, rows); err != nil {
			return err
		}
	}
	if _, err := c.river.InsertManyTx(withJobIDs(ctx, ids), tx, params); err != nil {
		return fmt.Errorf("intake: insert jobs: %w", err)
	}
	return nil
}
