// Package telemetry makes the logger and serves the metrics of a program.
package telemetry

import (
	"errors"
	"io"
	"log/slog"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lmittmann/tint"

	"millrace/internal/fault"
)

// Secret is a string that no log shows, whatever way it gets there.
type Secret string

const hidden = "[redacted]"

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps the secret out of JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the secret for the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

// LogOptions configures NewLogger.
type LogOptions struct {
	Service string
	Level   slog.Level
	// Text writes for people; otherwise one JSON object a line.
	Text bool
	// Color colours text; for terminals.
	Color bool
	// Sentry is told of what is logged at error level; nil for nobody.
	Sentry *Sentry
}

// errorKey is the attribute that holds the error of a line.
const errorKey = "error"

// NewLogger returns a logger that writes timestamp, level, service, msg and
// attributes, and those of its context's Subject. Errors are written with their public
// code and text, and their cause with everything scrubbed that looks like a credential
// or an address; a fault adds errorCode, a Panic adds stack; a traced context adds
// trace_id and span_id. docs/logs.md lists them all.
func NewLogger(w io.Writer, opts LogOptions) *slog.Logger {
	handler := format(w, opts)
	if opts.Sentry != nil {
		handler = reported{Handler: handler, sentry: opts.Sentry}
	}
	return slog.New(completed{traced{handler}})
}

// format returns what writes lines as they are.
func format(w io.Writer, opts LogOptions) slog.Handler {
	if opts.Text {
		return tint.NewTextHandler(w, &tint.Options{Level: opts.Level, TimeFormat: "15:04:05.000", NoColor: !opts.Color, ReplaceAttr: replace})
	}
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: opts.Level, ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
		if len(groups) == 0 && attr.Key == slog.TimeKey {
			attr.Key = "timestamp"
			return attr
		}
		return replace(groups, attr)
	}})
	return handler.WithAttrs([]slog.Attr{slog.String("service", opts.Service)})
}

func replace(_ []string, attr slog.Attr) slog.Attr {
	switch value := attr.Value.Any().(type) {
	case error:
		attr.Value = slog.StringValue(errorText(value))
	case string:
		if attr.Key == errorKey || attr.Key == "stack" || attr.Key == slog.MessageKey {
			attr.Value = slog.StringValue(Scrub(withoutQuotes(value)))
		}
	}
	return attr
}

func errorText(err error) string {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return Scrub(withoutRows(err))
	}
	text := string(f.Code) + ": " + f.Message
	if cause := f.Cause(); cause != nil {
		text += " Cause: " + withoutRows(cause)
	}
	return Scrub(text)
}

// withoutRows is the text of an error without the message of Postgres in it where
// that may quote a value: a text that is no number (class 22), or whatever a trigger
// says (P0). What is left finds the place: the code, the table and the constraint.
func withoutRows(err error) string {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return err.Error()
	}
	if quotesNothing(refusal.Code) {
		return err.Error()
	}
	return strings.ReplaceAll(err.Error(), refusal.Error(), strings.Join(strings.Fields(
		"SQLSTATE "+refusal.Code+" "+refusal.TableName+" "+refusal.ColumnName+" "+refusal.ConstraintName), " "))
}

// quotesNothing reports whether the messages of a class of SQLSTATE hold names of
// things and states only.
func quotesNothing(code string) bool {
	for _, class := range []string{"08", "0A", "25", "40", "42", "53", "54", "55", "57", "58"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// sqlState matches an error of Postgres in a text, as pgx writes it.
var sqlState = regexp.MustCompile(`(?s)[A-Z]+: .*?\(SQLSTATE (\w{5})\)`)

// withoutQuotes is withoutRows for an error that is a text already.
func withoutQuotes(text string) string {
	if !strings.Contains(text, "SQLSTATE") { // most have none, and every line is looked at
		return text
	}
	return sqlState.ReplaceAllStringFunc(text, func(match string) string {
		if code := sqlState.FindStringSubmatch(match)[1]; !quotesNothing(code) {
			return "SQLSTATE " + code
		}
		return match
	})
}

// sensitive matches what must not be in a log even when a vendor or a library
// puts it into an error: credentials, e-mail addresses, card-like numbers.
var sensitive = regexp.MustCompile(strings.Join([]string{
	`\b(?:sk|rk|pk)_(?:live|test)_\w+`, `\bwhsec_[\w+/=]+`, `\bre_\w{8,}`, `\bmrk_\w+`, `(?i)\bbearer\s+\S+`,
	`\bpi_\w+_secret_\w+`,
	`(?:postgres(?:ql)?|rediss?)://\S+`,
	`[\w.+-]+@[\w-]+\.[\w.-]+`,
	`\b(?:\d[ -]?){12,18}\d\b`,
}, "|"))

// Scrub replaces what must not be in a log.
func Scrub(text string) string { return sensitive.ReplaceAllString(text, hidden) }
