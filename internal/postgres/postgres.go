// Package postgres opens connection pools that act as one of Millrace's roles,
// and runs statements inside the row-level security of one tenant.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/internal/fault"
)

// Role is a database role made by the first migration.
type Role string

// The roles; see migrations/0001_roles.sql, and 0015_operator.sql for the last.
const (
	Owner    Role = "millrace_owner"
	Intake   Role = "millrace_intake"
	Worker   Role = "millrace_worker"
	Operator Role = "millrace_operator"
	// Login leaves the connection's own role: for migrations.
	Login Role = ""
)

// Options configures Open.
type Options struct {
	// URL is a libpq connection string or URL. Required.
	URL string
	// Role is taken by every connection when it is made.
	Role Role
	// MaxConns bounds the pool; 0 means what the URL says (pool_max_conns), else 10.
	MaxConns int
	// Application names the program in pg_stat_activity.
	Application string
}

// Open makes a pool. It does not wait for the database: the first use connects,
// so that a program can start before its database and report itself not ready.
func Open(ctx context.Context, opts Options) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(opts.URL)
	if err != nil {
		// pgx's message quotes the URL with its password.
		return nil, errors.New("postgres: DATABASE_URL is not a valid connection string (postgres://user:password@host:port/database)")
	}
	switch {
	case opts.MaxConns > 0:
		cfg.MaxConns = int32(min(opts.MaxConns, 10_000))
	case cfg.MaxConns < 10:
		cfg.MaxConns = 10
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if opts.Application != "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = opts.Application
	}
	if opts.Role != Login {
		cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			// SET ROLE takes no parameters; Role is one of our constants.
			_, err := conn.Exec(ctx, "SET ROLE "+string(opts.Role))
			return err
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return pool, nil
}

// Fault classifies a database error: unreachable or restarting is UNAVAILABLE,
// everything else is DB_ERROR. A fault and nil pass through.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return err
	}
	if Unreachable(err) || lostRace(err) {
		return fault.New(fault.Unavailable, "The database cannot be reached at the moment; nothing was lost, try again shortly.").
			After(2 * time.Second).Because(err)
	}
	return fault.New(fault.DBError, "The database refused the operation; nothing was stored. Quote the request id if it persists.").Because(err)
}

// lostRace reports whether the transaction gave way to another one (class 40:
// serialization failure, deadlock) and would succeed when repeated.
func lostRace(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "40")
}

// Unreachable reports whether err says that the database could not be asked or
// went away, rather than that it refused what was asked.
func Unreachable(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code[:2] {
		case "08", "53", "57": // connection exception, insufficient resources, operator intervention
			return true
		}
		return pgErr.Code == "25006" // read_only_sql_transaction: a standby, until failover ends
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return f.Code == fault.Unavailable
	}
	return !errors.Is(err, pgx.ErrNoRows)
}
