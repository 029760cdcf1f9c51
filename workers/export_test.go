package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// HotTables returns the tables whose tuples are exported.
func HotTables() []string { return hotTables() }

// Looker looks at the database as a worker of this client id does, time after time.
type Looker struct{ depth *depth }

// NewLooker returns one that has not looked yet.
func NewLooker(pool *pgxpool.Pool, client string) (*Looker, error) {
	d, err := newDepth(pool, client, time.Now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	return &Looker{d}, err
}

// Look returns what was counted, by queue and state; nil when another client leads.
func (l *Looker) Look(ctx context.Context) (map[string]int64, error) {
	seen, err := l.depth.look(ctx)
	if err != nil || seen.leads == nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, q := range seen.leads.queues {
		for state, n := range q.states {
			counts[q.queue+" "+state] = n
		}
	}
	return counts, nil
}

// TraceNothing does what an attempt does about tracing while there is none.
func TraceNothing(ctx context.Context) { traceOutcome(ctx, retried, errUnfinished) }
