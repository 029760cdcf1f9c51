package rollup

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/postgres"
)

// Retention is for how long what is kept; days are kept for ever.
type Retention struct {
	Raw, Minute, Hour time.Duration
}

// DefaultRetention is a tenant's unless its settings say otherwise.
func DefaultRetention() Retention { return Retention{Raw: 7 * day, Minute: 30 * day, Hour: 400 * day} }

// KeyRetention is for how long a request's idempotency key is remembered.
const KeyRetention = 7 * day

// Kept says what Keep did.
type Kept struct {
	Dropped []string `json:"dropped" doc:"Partitions that were dropped."`
	// Forgotten is how many idempotency keys were forgotten.
	Forgotten int64 `json:"forgotten" doc:"Idempotency keys that were forgotten."`
}

// ahead is for how long in advance partitions are there.
const ahead = 2 * day

// Keep makes the partitions of the time to come and drops those that nobody may
// read any more: whose time, or the time of the last writing into them, is longer
// ago than the longest retention of any tenant. A dropped partition is dropped as a
// whole: no point or bucket is deleted. Idempotency keys are forgotten after
// KeyRetention.
func Keep(ctx context.Context, db *postgres.Tenancy, now time.Time) (Kept, error) {
	kept := Kept{Dropped: []string{}}
	longest := DefaultRetention()
	err := db.Tx(ctx, "", func(tx pgx.Tx) error {
		var raw, minute, hour int
		if err := tx.QueryRow(ctx, "SELECT raw_days, minute_days, hour_days FROM millrace_metric_retention()").Scan(&raw, &minute, &hour); err != nil {
			return fmt.Errorf("rollup: retention: %w", err)
		}
		longest = Retention{
			Raw: max(longest.Raw, time.Duration(raw)*day), Minute: max(longest.Minute, time.Duration(minute)*day),
			Hour: max(longest.Hour, time.Duration(hour)*day),
		}
		for _, table := range tables() {
			for _, at := range []time.Time{now, now.Add(ahead)} {
				if _, err := tx.Exec(ctx, "SELECT millrace_metric_partition($1, $2)", table, at); err != nil {
					return fmt.Errorf("rollup: partitions: %w", err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return kept, postgres.Fault(err)
	}
	for table, retention := range map[string]time.Duration{
		chunksTable: longest.Raw, bucketsTable(Minute): longest.Minute, bucketsTable(Hour): longest.Hour,
	} {
		for {
			var dropped *string
			// Each in a transaction of its own, as each waits for whoever reads the table.
			err := db.Tx(ctx, "", func(tx pgx.Tx) error {
				return tx.QueryRow(ctx, "SELECT millrace_metric_drop($1, $2)", table, now.Add(-retention)).Scan(&dropped)
			})
			if err != nil {
				return kept, postgres.Fault(err)
			}
			if dropped == nil {
				break
			}
			kept.Dropped = append(kept.Dropped, *dropped)
		}
	}
	for {
		var forgotten int64
		err := db.Tx(ctx, "", func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, "SELECT millrace_metric_forget($1)", now.Add(-KeyRetention)).Scan(&forgotten)
		})
		if err != nil || forgotten == 0 {
			return kept, postgres.Fault(err)
		}
		kept.Forgotten += forgotten
	}
}

func tables() []string {
	all := []string{chunksTable}
	for _, r := range Resolutions() {
		all = append(all, bucketsTable(r))
	}
	return all
}

// Backlog is a tenant with points that are not folded yet.
type Backlog struct {
	Tenant string
	Since  time.Time
}

// Backlogs lists the tenants with points that are not folded yet.
func Backlogs(ctx context.Context, db *postgres.Tenancy) ([]Backlog, error) {
	var all []Backlog
	err := db.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Backlog])
		return err
	}, "SELECT tenant_id, since FROM millrace_metric_backlog()")
	return all, postgres.Fault(err)
}

// Settings are a tenant's limits; zero stands for the default.
type Settings struct {
	MaxSeries                     int
	RawDays, MinuteDays, HourDays int
}

// Set replaces a tenant's settings. db is the owner's.
func Set(ctx context.Context, db *postgres.Tenancy, tenant string, s Settings) error {
	return postgres.Fault(db.Tx(ctx, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO metric_tenants (tenant_id, max_series, raw_days, minute_days, hour_days)
			VALUES ($1, nullif($2, 0), nullif($3, 0), nullif($4, 0), nullif($5, 0))
			ON CONFLICT (tenant_id) DO UPDATE SET max_series = excluded.max_series, raw_days = excluded.raw_days,
				minute_days = excluded.minute_days, hour_days = excluded.hour_days`,
			tenant, s.MaxSeries, s.RawDays, s.MinuteDays, s.HourDays)
		return err
	}))
}

// Get reads a tenant's settings. db is the owner's.
func Get(ctx context.Context, db *postgres.Tenancy, tenant string) (Settings, error) {
	var s Settings
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Settings])
		if len(found) > 0 {
			s = found[0]
		}
		return err
	}, `
		SELECT coalesce(max_series, 0), coalesce(raw_days, 0), coalesce(minute_days, 0), coalesce(hour_days, 0)
		FROM metric_tenants WHERE tenant_id = $1`, tenant)
	return s, postgres.Fault(err)
}
