package api

import (
	"context"
	"log/slog"

	"millrace/internal/apikey"
	"millrace/internal/audit"
	"millrace/internal/postgres"
)

// actAs returns a context in whose transactions name acts, from where the request
// came from.
func actAs(ctx context.Context, name string) context.Context {
	request := requestOf(ctx)
	return postgres.WithActor(ctx, postgres.Actor{Name: name, Source: request.client, RequestID: request.id})
}

// recordRefusal notes in the audit log that a key asked for what its scopes do not
// allow. The answer is the same when that fails.
func (s *Server) recordRefusal(ctx context.Context, tenant string, asked audit.Entry, scope apikey.Scope) {
	asked.Outcome, asked.Details = audit.Refused, audit.Details{"required_scope": string(scope)}
	if err := audit.Record(ctx, s.opts.DB, tenant, asked); err != nil {
		s.opts.Logger.ErrorContext(ctx, "a refused access was not recorded", slog.Any("error", err))
	}
}
