package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// hotTables are those whose rows change with the work, so that they live by vacuum.
func hotTables() []string {
	return []string{"river_job", "submissions", "payments", "bookings", "booking_mails", "metric_chunks", "audit_pending"}
}

// tableTuples is what autovacuum counts with (pg_stat_user_tables).
type tableTuples struct {
	Table string
	Live  int64
	Dead  int64
}

// tuples reads the counts of the hot tables into tables.
func tuples(batch *pgx.Batch, tables *[]tableTuples) {
	// pg_stat_user_tables would compute a dozen figures of every table.
	batch.Queue(`
		SELECT name, coalesce(pg_stat_get_live_tuples(to_regclass(name)), 0), coalesce(pg_stat_get_dead_tuples(to_regclass(name)), 0)
		FROM unnest($1::text[]) AS hot (name)`, hotTables()).Query(func(rows pgx.Rows) (err error) {
		*tables, err = pgx.CollectRows(rows, pgx.RowToStructByPos[tableTuples])
		return err
	})
}

// heldBack is what keeps vacuum from clearing dead rows.
type heldBack struct {
	// XminAge is how many transactions back the oldest snapshot reaches.
	XminAge int64
	// TransactionAge is how long the oldest transaction has been open.
	TransactionAge time.Duration
}

// findHeldBack returns nil when the database does not tell: a login that migrates
// without the right to grant pg_read_all_stats, or a schema from before it was asked for.
func findHeldBack(ctx context.Context, conn *pgx.Conn) (*heldBack, error) {
	var (
		xmin *int64
		open *float64
	)
	err := conn.QueryRow(ctx, "SELECT xmin_age, transaction_seconds FROM millrace_held_back()").Scan(&xmin, &open)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "42883" { // undefined_function
		return nil, nil //nolint:nilnil // nothing to export is not an error
	}
	if err != nil {
		return nil, fmt.Errorf("workers: held back: %w", err)
	}
	if xmin == nil || open == nil {
		return nil, nil //nolint:nilnil // nothing to export is not an error
	}
	return &heldBack{XminAge: *xmin, TransactionAge: seconds(*open)}, nil
}
