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

// actorValue is an actor with its text for the setting, which is made once.
type actorValue struct {
	actor Actor
	text  string
}

// WithActor returns a context whose transactions say who acts in them.
func WithActor(ctx context.Context, actor Actor) context.Context {
	text, _ := json.Marshal(actor) // three strings
	return context.WithValue(ctx, actorKey{}, actorValue{actor, string(text)})
}

// ActorOf returns who acts in the context's transactions; nobody when nothing was said.
func ActorOf(ctx context.Context) Actor {
	value, _ := ctx.Value(actorKey{}).(actorValue)
	return value.actor
}

func actorText(ctx context.Context) string {
	value, _ := ctx.Value(actorKey{}).(actorValue)
	return value.text
}
