package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tenancy runs statements as one role with one tenant set, so that row-level
// security shows only that tenant's rows. Role and tenant are set for the
// transaction alone (set_config with is_local), never for the session: a
// connection that a pool or PgBouncer hands on carries nothing over.
//
// It also seals what rows say about people, and opens it; see WithKeys.
type Tenancy struct {
	pool    *pgxpool.Pool
	role    Role
	keysets *keysets
}

// scope is sent in front of the statements of each transaction.
const scope = "SELECT set_config('role', $1, true), set_config('millrace.tenant', $2, true), set_config('millrace.actor', $3, true)"

// NewTenancy returns a Tenancy over the pool.
func NewTenancy(pool *pgxpool.Pool, role Role) *Tenancy {
	return (&Tenancy{pool: pool, role: role}).WithKeys(nil, time.Now)
}

// Tx runs work in one transaction of the tenant and commits it when work
// returns nil. An empty tenant sees no tenant's rows.
func (t *Tenancy) Tx(ctx context.Context, tenant string, work func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, scope, string(t.role), tenant, actorText(ctx)); err != nil {
			return fmt.Errorf("postgres: enter tenant: %w", err)
		}
		return work(tx)
	})
}

// Snapshot runs reads in one transaction of the tenant in which all see the
// database as it was at the first.
func (t *Tenancy) Snapshot(ctx context.Context, tenant string, read func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, t.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, scope, string(t.role), tenant, actorText(ctx)); err != nil {
			return fmt.Errorf("postgres: enter tenant: %w", err)
		}
		return read(tx)
	})
}

// Query runs one statement for the tenant in one round trip and hands its rows
// to scan, which reads them all. The statement and the setting in front of it
// are one pipeline, which PostgreSQL runs as one transaction.
func (t *Tenancy) Query(ctx context.Context, tenant string, scan func(pgx.Rows) error, sql string, args ...any) error {
	return t.query(ctx, t.pool, tenant, scan, sql, args...)
}

// Enter makes the rest of the transaction tx act for the tenant, in place of the
// one before it, and runs a first statement for it, in one round trip.
func (t *Tenancy) Enter(ctx context.Context, tx pgx.Tx, tenant string, scan func(pgx.Rows) error, sql string, args ...any) error {
	return t.query(ctx, tx, tenant, scan, sql, args...)
}

type batcher interface {
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

func (t *Tenancy) query(ctx context.Context, db batcher, tenant string, scan func(pgx.Rows) error, sql string, args ...any) error {
	var batch pgx.Batch
	batch.Queue(scope, string(t.role), tenant, actorText(ctx))
	batch.Queue(sql, args...)
	results := db.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }()
	if _, err := results.Exec(); err != nil {
		return fmt.Errorf("postgres: enter tenant: %w", err)
	}
	rows, err := results.Query()
	if err != nil {
		return fmt.Errorf("postgres: query: %w", err)
	}
	defer rows.Close()
	if err := scan(rows); err != nil {
		return err
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("postgres: query: %w", err)
	}
	if err := results.Close(); err != nil {
		return fmt.Errorf("postgres: query: %w", err)
	}
	return nil
}

// Check asks whether the role is in place and bound by row-level security, and
// whether the schema is there: what readiness means for the database.
func (t *Tenancy) Check(ctx context.Context) error {
	return t.Tx(ctx, "", func(tx pgx.Tx) error {
		var bypass, migrated bool
		err := tx.QueryRow(ctx, `
			SELECT rolsuper OR rolbypassrls, to_regclass('public.payments') IS NOT NULL
			FROM pg_catalog.pg_roles WHERE rolname = current_user`).Scan(&bypass, &migrated)
		switch {
		case err != nil:
			return fmt.Errorf("postgres: check: %w", err)
		case bypass:
			return fmt.Errorf("postgres: the role %s bypasses row-level security; run `millrace migrate up` and leave the role as it makes it", t.role)
		case !migrated:
			return fmt.Errorf("postgres: the schema is missing; run `millrace migrate up`")
		}
		return nil
	})
}
