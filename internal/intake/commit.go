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

	"millrace/internal/postgres"
	"millrace/jobs"
)

// commit writes a batch in one transaction, tenant by tenant, and returns each
// request's outcome in the batch's order. An error means that nothing of it was
// committed, or, when the connection broke at COMMIT, that this is unknown.
func (w *Writer) commit(ctx context.Context, batch []*request) ([]outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, w.opts.CommitTimeout)
	defer cancel()

	if err := w.number(ctx, batch); err != nil {
		return nil, err
	}
	// One order everywhere, so that two writers with the same keys wait for each
	// other instead of deadlocking.
	ordered := slices.Clone(batch)
	slices.SortStableFunc(ordered, func(a, b *request) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Key, b.Key))
	})
	outcomes := make(map[*request]outcome, len(batch))
	err := pgx.BeginFunc(ctx, w.opts.Pool, func(tx pgx.Tx) error {
		for tenant, group := range byTenant(ordered) {
			added, err := w.enroll(ctx, tx, tenant, group, outcomes)
			if err != nil {
				return err
			}
			if err := w.enqueue(ctx, tx, added); err != nil {
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

// number gives every request its time and a job id of River's sequence, so that
// ledger row and job can name each other. Ids are drawn for each batch, not
// ahead, so that they follow the order of commits over all processes.
func (w *Writer) number(ctx context.Context, batch []*request) error {
	var ids []int64
	err := w.tenancy.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	}, "SELECT nextval('river_job_id_seq') FROM generate_series(1, $1)", len(batch))
	if err != nil {
		return fmt.Errorf("intake: draw job ids: %w", err)
	}
	now := w.opts.Now().UTC().Truncate(time.Microsecond)
	for i, r := range batch {
		r.jobID, r.createdAt = ids[i], now
	}
	return nil
}

// enroll enters the tenant and writes the ledger rows of its requests. Those
// that are new are returned; for the others outcomes gets a replay or a mismatch.
func (w *Writer) enroll(ctx context.Context, tx pgx.Tx, tenant string, group []*request, outcomes map[*request]outcome) ([]*request, error) {
	n := len(group)
	var (
		ids                         = make([]int64, n)
		routes, keys, kinds, queues = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		hashes                      = make([][]byte, n)
		priorities, attempts        = make([]int16, n), make([]int16, n)
		resources                   = make([]uuid.UUID, n)
		created, scheduled          = make([]time.Time, n), make([]time.Time, n)
		actors, sources, requestIDs = make([]string, n), make([]string, n), make([]string, n)
		requests                    = make(map[int64]*request, n)
		added                       = make([]*request, 0, n)
	)
	for i, r := range group {
		ids[i], routes[i], keys[i], hashes[i] = r.jobID, r.Route, r.Key, r.Hash[:]
		kinds[i], queues[i], resources[i] = r.Kind.Name, r.Kind.Queue, r.Accepted.ResourceID
		priorities[i], attempts[i] = int16(r.Priority), int16(r.Kind.Policy.MaxAttempts) //nolint:gosec // 1 to 4, and a constant
		created[i], scheduled[i] = r.createdAt, r.scheduledAt()
		actors[i], sources[i], requestIDs[i] = r.actor.Name, r.actor.Source, r.RequestID
		requests[r.jobID] = r
	}
	var inserted []int64
	err := w.tenancy.Enter(ctx, tx, tenant, func(rows pgx.Rows) error {
		var err error
		inserted, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	}, `
		INSERT INTO submissions (tenant_id, job_id, route, idempotency_key, request_hash, kind, queue, priority, max_attempts,
			resource_id, created_at, scheduled_at, actor, source, request_id)
		SELECT $1, job_id, route, nullif(key, ''), hash, kind, queue, priority, max_attempts,
			nullif(resource_id, '00000000-0000-0000-0000-000000000000'), created_at, scheduled_at,
			nullif(actor, ''), nullif(source, ''), nullif(request_id, '')
		FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::smallint[], $9::smallint[],
				$10::uuid[], $11::timestamptz[], $12::timestamptz[],
				$13::text[], $14::text[], $15::text[])
			AS row (job_id, route, key, hash, kind, queue, priority, max_attempts, resource_id, created_at, scheduled_at, actor, source, request_id)
		ON CONFLICT (tenant_id, route, idempotency_key) DO NOTHING
		RETURNING job_id`,
		tenant, ids, routes, keys, hashes, kinds, queues, priorities, attempts, resources, created, scheduled,
		actors, sources, requestIDs)
	if err != nil {
		return nil, fmt.Errorf("intake: ledger: %w", err)
	}
	for _, id := range inserted {
		added = append(added, requests[id])
		delete(requests, id)
	}
	if err := replay(ctx, tx, tenant, requests, outcomes); err != nil {
		return nil, err
	}
	if len(requests) > 0 {
		return nil, fmt.Errorf("intake: %d submissions were neither added nor found", len(requests))
	}
	return added, nil
}

// Replay answers for a submission whose key the ledger has already, as Submit
// would. found is false when it has not.
func (w *Writer) Replay(ctx context.Context, submission Submission) (receipt Receipt, found bool, err error) {
	r := &request{Submission: submission}
	outcomes := map[*request]outcome{}
	err = w.tenancy.Tx(ctx, submission.Tenant, func(tx pgx.Tx) error {
		return replay(ctx, tx, submission.Tenant, map[int64]*request{0: r}, outcomes)
	})
	if err != nil {
		return Receipt{}, false, postgres.Fault(err)
	}
	o, found := outcomes[r]
	return o.receipt, found, o.err
}

// replay answers for requests whose key the ledger has already, be it from
// before or from this very batch: with that submission as it was accepted, or
// with a mismatch.
func replay(ctx context.Context, tx pgx.Tx, tenant string, requests map[int64]*request, outcomes map[*request]outcome) error {
	if len(requests) == 0 {
		return nil
	}
	type routeKey struct{ route, key string }
	repeated := make(map[routeKey][]*request, len(requests))
	for _, r := range requests {
		k := routeKey{r.Route, r.Key}
		repeated[k] = append(repeated[k], r)
	}
	var routes, keys []string
	for k := range repeated {
		routes, keys = append(routes, k.route), append(keys, k.key)
	}
	rows, err := tx.Query(ctx, `
		SELECT route, idempotency_key, job_id, request_hash, kind, queue, priority, max_attempts, resource_id, created_at, scheduled_at
		FROM submissions
		WHERE tenant_id = $1 AND (route, idempotency_key) IN (SELECT route, key FROM unnest($2::text[], $3::text[]) AS asked (route, key))`,
		tenant, routes, keys)
	if err != nil {
		return fmt.Errorf("intake: find by idempotency key: %w", err)
	}
	var (
		k    routeKey
		job  Job
		hash []byte
	)
	_, err = pgx.ForEachRow(rows, []any{
		&k.route, &k.key, &job.ID, &hash, &job.Kind, &job.Queue, &job.Priority, &job.MaxAttempts,
		&job.ResourceID, &job.CreatedAt, &job.ScheduledAt,
	}, func() error {
		earlier := job
		earlier.CreatedAt, earlier.ScheduledAt = job.CreatedAt.UTC(), job.ScheduledAt.UTC()
		earlier.State = initialState(earlier.CreatedAt, earlier.ScheduledAt)
		for _, r := range repeated[k] {
			outcomes[r] = outcome{receipt: Receipt{Job: earlier, Replayed: true}}
			if [sha256.Size]byte(hash) != r.Hash {
				outcomes[r] = outcome{err: mismatch()}
			}
			delete(requests, r.jobID)
		}
		job, hash = Job{}, nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("intake: find by idempotency key: %w", err)
	}
	return nil
}

// enqueue writes the domain rows and the River jobs of one tenant's new
// submissions, a statement a kind and one for all jobs.
func (w *Writer) enqueue(ctx context.Context, tx pgx.Tx, added []*request) error {
	if len(added) == 0 {
		return nil
	}
	type rows struct {
		resources []any
		jobIDs    []int64
	}
	var (
		params = make([]river.InsertManyParams, len(added))
		ids    = make([]int64, len(added))
		byKind = make(map[*jobs.Kind]*rows)
	)
	for i, r := range added {
		ids[i] = r.jobID
		opts := r.Kind.InsertOpts(jobs.Metadata{TenantID: r.Tenant, RequestID: r.RequestID, ScheduledAt: r.ScheduledAt, Trace: r.trace})
		opts.Priority, opts.ScheduledAt = r.Priority, r.runAt()
		params[i] = river.InsertManyParams{Args: r.Accepted.Args, InsertOpts: opts}
		if r.Accepted.Resource == nil {
			continue
		}
		if byKind[r.Kind] == nil {
			byKind[r.Kind] = &rows{}
		}
		of := byKind[r.Kind]
		of.resources, of.jobIDs = append(of.resources, r.Accepted.Resource), append(of.jobIDs, r.jobID)
	}
	for kind, of := range byKind {
		if err := kind.Insert(ctx, tx, of.resources, of.jobIDs); err != nil {
			return err
		}
	}
	if _, err := w.river.InsertManyTx(withJobIDs(ctx, ids), tx, params); err != nil {
		return fmt.Errorf("intake: insert jobs: %w", err)
	}
	return nil
}
