package intake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

const (
	// countFor is how long a count of a tenant's waiting jobs is used, with what this
	// process has accepted since.
	countFor = 5 * time.Second
	// countTimeout bounds a count, for which a submission waits.
	countTimeout = 2 * time.Second
	// countedTenants is of how many tenants a count is kept.
	countedTenants = 10_000
)

// QuotaOptions configures NewQuota.
type QuotaOptions struct {
	// DB acts as the intake role. Required.
	DB *postgres.Tenancy
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Metrics registers the metric. Required.
	Metrics prometheus.Registerer
}

// Quota bounds how many jobs of a tenant wait at once. It is exact for what one
// process accepts; several may together accept more, for as long as a count is used.
type Quota struct {
	opts    QuotaOptions
	tenants *lru.Cache[string, *waiting]
	refused prometheus.Counter
}

// waiting is what is known of one tenant.
type waiting struct {
	mu sync.Mutex
	// counted is how many jobs waited at the time at, up to the limit of the count.
	counted int
	at      time.Time
	// since is how many were accepted here since then, and pending how many may yet be.
	since, pending int
	// counting is closed when the count that is under way is done; nil without one.
	counting chan struct{}
}

// NewQuota returns a quota.
func NewQuota(opts QuotaOptions) (*Quota, error) {
	if opts.DB == nil || opts.Metrics == nil {
		return nil, errors.New("intake: DB and Metrics are required")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	tenants, err := lru.New[string, *waiting](countedTenants)
	if err != nil {
		return nil, fmt.Errorf("intake: quota: %w", err)
	}
	q := &Quota{opts: opts, tenants: tenants, refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "millrace_waiting_jobs_refused_total", Help: "Submissions refused because as many jobs of the tenant waited as may.",
	})}
	if err := opts.Metrics.Register(q.refused); err != nil {
		return nil, fmt.Errorf("intake: metrics: %w", err)
	}
	return q, nil
}

// Reserve takes a place among the tenant's waiting jobs, of which there may be so many.
// settle says whether a job has come of it, and must be called. The fault is
// RATE_LIMIT_EXCEEDED when all places are taken, and the database's when the jobs
// cannot be counted.
func (q *Quota) Reserve(ctx context.Context, tenant string, most int) (settle func(accepted bool), err error) {
	w, found := q.tenants.Get(tenant)
	if !found {
		w = &waiting{}
		if earlier, found, _ := q.tenants.PeekOrAdd(tenant, w); found {
			w = earlier
		}
	}
	if err := q.refresh(ctx, w, tenant, most); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counted+w.since+w.pending >= most {
		q.refused.Inc()
		return nil, fault.New(fault.RateLimitExceeded, "As many jobs are waiting as may; submit more when some are done.").
			With("limit", "waiting_jobs").With("quota", most).After(max(countFor-q.opts.Now().Sub(w.at), time.Second))
	}
	w.pending++
	return func(accepted bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pending--
		if accepted {
			w.since++
		}
	}, nil
}

// refresh counts anew when the count is old. One caller counts; the others use the old
// count meanwhile, or wait when there is none.
func (q *Quota) refresh(ctx context.Context, w *waiting, tenant string, most int) error {
	for {
		w.mu.Lock()
		fresh := !w.at.IsZero() && q.opts.Now().Sub(w.at) < countFor
		if fresh || (w.counting != nil && !w.at.IsZero()) {
			w.mu.Unlock()
			return nil
		}
		if counting := w.counting; counting != nil {
			w.mu.Unlock()
			select {
			case <-counting:
				continue // by another caller, who may have failed
			case <-ctx.Done():
				return fault.From(ctx.Err())
			}
		}
		done := make(chan struct{})
		w.counting = done
		before, started := w.since, q.opts.Now()
		w.mu.Unlock()

		n, err := q.count(ctx, tenant, most)

		w.mu.Lock()
		if err == nil {
			// What was accepted during the count may be in it: it is counted twice rather
			// than not at all.
			w.counted, w.at, w.since = n, started, w.since-before
		}
		w.counting = nil
		close(done)
		w.mu.Unlock()
		return err
	}
}

// selectWaiting counts up to a limit, over the index river_job_waiting.
const selectWaiting = `
	SELECT count(*) FROM (
		SELECT 1 FROM river_job
		WHERE metadata ->> 'tenant_id' = $1 AND state IN ('available', 'pending', 'retryable', 'scheduled')
		LIMIT $2
	) AS waiting`

// count returns how many jobs of the tenant wait, up to most.
func (q *Quota) count(ctx context.Context, tenant string, most int) (n int, err error) {
	// The others need the count too, when the caller is gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	err = q.opts.DB.Query(ctx, tenant, func(rows pgx.Rows) (err error) {
		n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
		return err
	}, selectWaiting, tenant, most)
	return n, postgres.Fault(err)
}
