package apikey

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/postgres"
)

// usagePeriod is how often the use of keys is written down, and so how much
// last_used_at may be off.
const usagePeriod = time.Minute

// usage notes which keys were used since it was written down last.
type usage struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

func (u *usage) note(ids ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = map[string]struct{}{}
	}
	for _, id := range ids {
		u.ids[id] = struct{}{}
	}
}

func (u *usage) take() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := slices.Sorted(maps.Keys(u.ids))
	u.ids = nil
	return ids
}

// Run writes down when keys were used, each minute and when ctx ends, so that no
// request waits for it. What cannot be written is kept for the next time.
func (v *Verifier) Run(ctx context.Context, logger *slog.Logger) {
	ticker := time.NewTicker(usagePeriod)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			ended = true
		}
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		if err := v.WriteUsed(limited); err != nil {
			logger.WarnContext(ctx, "apikey: the last use of keys is not written down yet", slog.Any("error", err))
		}
		cancel()
	}
}

// WriteUsed writes down now what Run writes by itself.
func (v *Verifier) WriteUsed(ctx context.Context) error {
	ids := v.used.take()
	if len(ids) == 0 {
		return nil
	}
	err := v.db.Tx(ctx, "", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT millrace_keys_used($1, $2)`, ids, v.now().UTC())
		return err
	})
	if err != nil {
		v.used.note(ids...)
	}
	return postgres.Fault(err)
}
