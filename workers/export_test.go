package workers

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// HotTables returns the tables whose tuples are exported.
func HotTables() []string { return hotTables() }

// Looker looks as the leader does, time after time.
type Looker struct{ counter *depthCounter }

// NewLooker returns a new leader's.
func NewLooker() *Looker { return &Looker{newDepthCounter()} }

// Look returns what was counted, by queue and state.
func (l *Looker) Look(ctx context.Context, conn *pgx.Conn) (map[string]int64, error) {
	seen, err := lookAsLeader(ctx, conn, l.counter)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, q := range seen.queues {
		for state, n := range q.states {
			counts[q.queue+" "+state] = n
		}
	}
	return counts, nil
}
