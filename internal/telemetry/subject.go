package telemetry

import (
	"context"
	"errors"
	"log/slog"

	"millrace/internal/fault"
)

// Subject is what a context is about, a request or an attempt of a job: every line
// that is logged with the context says so.
type Subject interface {
	// LogAttrs returns what is known by now.
	LogAttrs() []slog.Attr
}

type subjectKey struct{}

// About returns a context whose log lines have the attributes of s, but for those that
// a line has itself.
func About(ctx context.Context, s Subject) context.Context {
	return context.WithValue(ctx, subjectKey{}, s)
}

// completed adds to each line what follows from it: the attributes of its context's
// subject, the code of an error that is a fault, and the stack of a panic.
type completed struct{ slog.Handler }

// Handle implements slog.Handler.
func (h completed) Handle(ctx context.Context, record slog.Record) error {
	var known, missing []slog.Attr
	record.Attrs(func(attr slog.Attr) bool {
		known = append(known, attr)
		return true
	})
	add := func(attr slog.Attr) {
		for _, list := range [][]slog.Attr{known, missing} {
			for _, other := range list {
				if other.Key == attr.Key {
					return
				}
			}
		}
		missing = append(missing, attr)
	}
	if subject, ok := ctx.Value(subjectKey{}).(Subject); ok {
		for _, attr := range subject.LogAttrs() {
			add(attr)
		}
	}
	for _, attr := range known {
		err, ok := attr.Value.Any().(error)
		if attr.Key != errorKey || !ok {
			continue
		}
		if f, ok := errors.AsType[*fault.Fault](err); ok {
			add(slog.String("errorCode", string(f.Code)))
		}
		if p, ok := errors.AsType[*Panic](err); ok {
			add(slog.String("stack", p.Stack()))
		}
	}
	if len(missing) > 0 {
		record = record.Clone()
		record.AddAttrs(missing...)
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h completed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return completed{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h completed) WithGroup(name string) slog.Handler { return completed{h.Handler.WithGroup(name)} }
