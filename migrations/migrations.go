// Package migrations holds the database schema: River's own migrations and
// ours, run by one command in one order, with a way down for each.
package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed *.sql
var files embed.FS

// Digest identifies the schema that Up makes, in 12 hexadecimal digits: it
// changes with our migrations and with River's newest.
func Digest() (string, error) {
	hash := sha256.New()
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return "", fmt.Errorf("migrations: %w", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return "", fmt.Errorf("migrations: %w", err)
		}
		hash.Write(text)
	}
	river, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return "", fmt.Errorf("migrations: river: %w", err)
	}
	_, _ = fmt.Fprint(hash, len(river.AllVersions()))
	return hex.EncodeToString(hash.Sum(nil)[:6]), nil
}

// lockKey serialises migrations of one database ("millrace" in ASCII).
const lockKey = 0x6d696c6c72616365

// Migrator runs migrations as the login of its pool, which must be able to
// create roles, or find those of package postgres already there.
type Migrator struct {
	pool   *pgxpool.Pool
	logger *slog.Logger
}

// New returns a migrator. The pool must not set a role of its own.
func New(pool *pgxpool.Pool, logger *slog.Logger) *Migrator {
	return &Migrator{pool: pool, logger: logger}
}

// Status says which of our migrations are applied.
type Status struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Up applies everything that is pending: the roles, then River's migrations,
// then ours. It does nothing when all is applied, and two at once wait for
// each other.
func (m *Migrator) Up(ctx context.Context) error {
	return m.locked(ctx, func(provider *goose.Provider, river *rivermigrate.Migrator[pgx.Tx]) error {
		// 0001 makes the roles that own what River's migrations create.
		if _, err := provider.UpTo(ctx, 1); err != nil {
			return fmt.Errorf("migrations: roles: %w", err)
		}
		if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
			return fmt.Errorf("migrations: river: %w", err)
		}
		if _, err := provider.Up(ctx); err != nil {
			return fmt.Errorf("migrations: %w", err)
		}
		return nil
	})
}

// Down takes back the newest of our migrations. With all set it takes back
// everything, River's tables and every job in them included.
func (m *Migrator) Down(ctx context.Context, all bool) error {
	return m.locked(ctx, func(provider *goose.Provider, river *rivermigrate.Migrator[pgx.Tx]) error {
		if !all {
			version, err := provider.GetDBVersion(ctx)
			if err != nil {
				return fmt.Errorf("migrations: version: %w", err)
			}
			if version <= 1 {
				return errors.New("migrations: only the roles and River's tables are left; `migrate down --all` removes them, with every job")
			}
			if _, err := provider.Down(ctx); err != nil {
				return fmt.Errorf("migrations: down: %w", err)
			}
			return nil
		}
		if _, err := provider.DownTo(ctx, 1); err != nil {
			return fmt.Errorf("migrations: down: %w", err)
		}
		if _, err := river.Migrate(ctx, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: -1}); err != nil {
			return fmt.Errorf("migrations: river down: %w", err)
		}
		if _, err := provider.DownTo(ctx, 0); err != nil {
			return fmt.Errorf("migrations: roles down: %w", err)
		}
		return nil
	})
}

// Status lists our migrations in order.
func (m *Migrator) Status(ctx context.Context) ([]Status, error) {
	var list []Status
	err := m.locked(ctx, func(provider *goose.Provider, _ *rivermigrate.Migrator[pgx.Tx]) error {
		rows, err := provider.Status(ctx)
		if err != nil {
			return fmt.Errorf("migrations: status: %w", err)
		}
		for _, row := range rows {
			list = append(list, Status{
				Version: row.Source.Version,
				Name:    row.Source.Path,
				Applied: row.State == goose.StateApplied,
			})
		}
		return nil
	})
	return list, err
}

func (m *Migrator) locked(ctx context.Context, work func(*goose.Provider, *rivermigrate.Migrator[pgx.Tx]) error) error {
	conn, err := m.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrations: connect: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(lockKey)); err != nil {
		return fmt.Errorf("migrations: lock: %w", err)
	}
	defer func() {
		if _, err := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(lockKey)); err != nil {
			m.logger.WarnContext(ctx, "migrations: unlock failed; closing the connection frees the lock", slog.Any("error", err))
			_ = conn.Conn().Close(context.WithoutCancel(ctx))
		}
	}()

	db := stdlib.OpenDBFromPool(m.pool)
	defer func() { _ = db.Close() }()
	provider, err := newProvider(db, files)
	if err != nil {
		return err
	}
	river, err := rivermigrate.New(riverpgxv5.New(m.pool), &rivermigrate.Config{Logger: m.logger})
	if err != nil {
		return fmt.Errorf("migrations: river: %w", err)
	}
	return work(provider, river)
}

func newProvider(db *sql.DB, source fs.FS) (*goose.Provider, error) {
	provider, err := goose.NewProvider(goose.DialectPostgres, db, source,
		goose.WithTableName("millrace_migration"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return provider, nil
}
