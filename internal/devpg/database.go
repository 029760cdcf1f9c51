package devpg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// duplicateDatabase and uniqueViolation are what PostgreSQL answers when
// somebody else creates the same database, earlier or at the same time.
const (
	duplicateDatabase = "42P04"
	uniqueViolation   = "23505"
)

// CreateDatabase creates an empty database unless it exists.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	connection, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("devpg: create the database %s: %w", name, oneLine(err))
	}
	defer func() { _ = connection.Close(ctx) }() // every statement has been answered

	var exists bool
	if err := connection.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("devpg: look for the database %s: %w", name, oneLine(err))
	}
	if exists {
		return nil
	}
	_, err = connection.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	refused := new(pgconn.PgError)
	if errors.As(err, &refused) && (refused.Code == duplicateDatabase || refused.Code == uniqueViolation) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("devpg: create the database %s: %w", name, oneLine(err))
	}
	return nil
}
