package postgres

import (
	"context"
	"encoding/json"
)

// Actor is who acts in the transactions of a context, for the audit log: each has
// it in the setting millrace.actor, as JSON.
type Actor struct {
	// Name is key:ID, jwt:SUBJECT, job:KIND, webhook:PROVIDER or operator:LOGIN.
	Name string `json:"name"`
	// Source is where the request came from: an address, a host name.
	Source string `json:"source,omitzero"`
	// RequestID finds the request's log lines.
	RequestID string `json:"request_id,omitzero"`
}

type actorKey struct{}

// WithActor returns a context whose transactions say who acts in them.
func WithActor(ctx context.Context, actor Actor) context.Context {
	text, _ := json.Marshal(actor) // three strings
	return context.WithValue(ctx, actorKey{}, string(text))
}

func actorOf(ctx context.Context) string {
	text, _ := ctx.Value(actorKey{}).(string)
	return text
}
