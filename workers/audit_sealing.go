package workers

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"millrace/internal/audit"
	"millrace/jobs"
)

// sealBatch is how many entries are sealed in one transaction: few enough that it
// takes a fraction of a second.
const sealBatch = 5000

// sealed is what an audit_sealing job returns.
type sealed struct {
	Entries int64 `json:"entries"`
}

// AuditSealing implements jobs.Handlers.
func (s *Set) AuditSealing(ctx context.Context, _ *river.Job[jobs.AuditSealingArgs]) (any, error) {
	var done sealed
	for until := s.halfTime(ctx); s.now().Before(until); {
		n, err := audit.Seal(ctx, s.db, sealBatch)
		if err != nil {
			return nil, err
		}
		done.Entries += n
		s.sealed.Add(float64(n))
		if n < sealBatch {
			return done, nil
		}
	}
	return nil, errUnfinished
}

// auditKept is what an audit_retention job returns.
type auditKept struct {
	Dropped []string `json:"dropped"`
}

// AuditRetention implements jobs.Handlers.
func (s *Set) AuditRetention(ctx context.Context, _ *river.Job[jobs.AuditRetentionArgs]) (any, error) {
	dropped, err := audit.Keep(ctx, s.db)
	if err != nil {
		return nil, err
	}
	return auditKept{Dropped: dropped}, nil
}

func newSealedCounter(registry prometheus.Registerer) (prometheus.Counter, error) {
	counter := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "millrace_audit_sealed_total", Help: "Entries of the audit log that were given their places in the chains.",
	})
	if err := registry.Register(counter); err != nil {
		return nil, fmt.Errorf("workers: metrics: %w", err)
	}
	return counter, nil
}
