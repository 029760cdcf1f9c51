package workers

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
)

// quiet passes on River's warnings and errors only, as its lines about single jobs
// repeat the observer's, and says them in our words. What comes from a database that
// cannot be reached is a warning: River goes on by itself when it is back.
func quiet(logger *slog.Logger) *slog.Logger { return slog.New(quietHandler{logger.Handler()}) }

type quietHandler struct{ slog.Handler }

func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// ourNames are the attributes of River's that have a name in our logs. Its others stay
// as they are when they are numbers, and are left out when they are not, as they may
// hold anything: the value of a panic, the payload of a notification.
var ourNames = map[string]string{ //nolint:gochecknoglobals // a constant that is a map
	"err": "error", "error": "error", "job_id": "jobId", "job_kind": "kind", "kind": "kind", "queue": "queue",
}

// gone matches the error of a database that cannot be reached, which River logs as a text.
var gone = regexp.MustCompile(`SQLSTATE (?:08|53|57|25006)|connect|EOF|timeout|deadline|canceled|closed pool|closed network|conn closed|conn busy|broken pipe|reset by peer`)

// Handle implements slog.Handler.
func (h quietHandler) Handle(ctx context.Context, record slog.Record) error {
	level := record.Level
	var ours, numbers []slog.Attr
	record.Attrs(func(attr slog.Attr) bool {
		name, known := ourNames[attr.Key]
		switch {
		case known:
			if name == "error" && gone.MatchString(attr.Value.String()) {
				level = slog.LevelWarn
			}
			ours = append(ours, slog.Attr{Key: name, Value: attr.Value})
		case strings.Contains("Int64 Uint64 Float64 Duration Bool", attr.Value.Kind().String()):
			numbers = append(numbers, attr)
		}
		return true
	})
	if len(numbers) > 0 {
		ours = append(ours, slog.GroupAttrs("river", numbers...))
	}
	line := slog.NewRecord(record.Time, level, record.Message, record.PC)
	line.AddAttrs(ours...)
	return h.Handler.Handle(ctx, line)
}

func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs)}
}

func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}
