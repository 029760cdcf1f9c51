package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/jackc/pgx/v5/pgconn"

	"millrace/internal/fault"
)

const (
	// sentryFlush bounds how long the end of a program waits for Sentry.
	sentryFlush = 2 * time.Second
	// sentryPause is how often one sort of error is told at most.
	sentryPause = time.Minute
	// sentrySorts is how many sorts of errors are kept apart at most.
	sentrySorts = 1000
	// sentryText is how many bytes of an error's text are told.
	sentryText = 2048
)

// SentryOptions configures NewSentry.
type SentryOptions struct {
	// DSN is the address of the project. Required.
	DSN Secret
	// Environment is Sentry's name for the installation; Sentry takes an empty one for
	// production.
	Environment string
	// Release is the version of the program. Required.
	Release string
	// Service is the program.
	Service string
	// Now is the clock that repeats are held back by. Default time.Now.
	Now func() time.Time
}

// Sentry tells a Sentry project of what a logger writes at error level. An error that
// repeats is told once a minute, with how often it came meanwhile. The zero value and
// nil tell nobody.
//
// It has a client of its own and leaves the SDK's hubs, integrations and global state
// alone: an event holds what event puts into it and nothing that was collected.
type Sentry struct {
	client  *sentry.Client
	service string
	now     func() time.Time

	mu sync.Mutex
	// sorts is by fingerprint.
	sorts map[string]*occurrence
}

// occurrence is when one sort of error was told last.
type occurrence struct {
	told time.Time
	// held is how many came since then.
	held int
}

// CheckSentryDSN returns an error that does not show the DSN when it is not one.
func CheckSentryDSN(dsn Secret) error {
	if _, err := sentry.NewDsn(dsn.Reveal()); err != nil {
		return errors.New("it is the address of a Sentry project, such as https://key@o1.ingest.sentry.io/2")
	}
	return nil
}

// NewSentry starts a client. Nothing is sent before there is an error.
func NewSentry(opts SentryOptions) (*Sentry, error) {
	if err := CheckSentryDSN(opts.DSN); err != nil {
		return nil, fmt.Errorf("telemetry: Sentry's DSN is wrong: %w", err)
	}
	if opts.Release == "" {
		return nil, errors.New("telemetry: Release is required") // the SDK would ask git
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: opts.DSN.Reveal(), Environment: opts.Environment, Release: opts.Release,
		// Those that come with it send modules, the machine and the environment.
		Integrations:         func([]sentry.Integration) []sentry.Integration { return nil },
		BeforeSend:           gate,
		DisableClientReports: true,
	})
	if err != nil {
		return nil, errors.New("telemetry: Sentry's client cannot be made") // its error may quote the DSN
	}
	return &Sentry{client: client, service: opts.Service, now: opts.Now, sorts: map[string]*occurrence{}}, nil
}

// Close sends what was told, within two seconds, and stops.
func (s *Sentry) Close() {
	if s == nil || s.client == nil {
		return
	}
	// A client whose Sentry does not answer would wait for it longer; the program ends anyhow.
	if s.client.Flush(sentryFlush) {
		s.client.Close()
	}
}

// gate is the last thing that an event passes: what the SDK added, such as the name of
// the machine, is left behind.
func gate(event *sentry.Event, _ *sentry.EventHint) *sentry.Event {
	return &sentry.Event{
		EventID: event.EventID, Timestamp: event.Timestamp, Platform: event.Platform, Sdk: event.Sdk,
		Environment: event.Environment, Release: event.Release,
		Level: event.Level, Message: event.Message, Transaction: event.Transaction, Fingerprint: event.Fingerprint,
		Exception: event.Exception, Tags: event.Tags, Contexts: event.Contexts,
	}
}

// SentryTags are the attributes of a line that its event has as tags.
func SentryTags() []string {
	return []string{
		"service", "errorCode", "kind", "queue", "jobId", "attempt", "outcome",
		"route", "method", "status", "requestId", "tenantId", "trace_id", "span_id",
	}
}

// reported tells Sentry of the lines at error level, and passes on all.
type reported struct {
	slog.Handler

	sentry *Sentry
	attrs  []slog.Attr
}

// Handle implements slog.Handler.
func (h reported) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelError {
		attrs := slices.Clone(h.attrs)
		record.Attrs(func(attr slog.Attr) bool {
			attrs = append(attrs, attr)
			return true
		})
		h.sentry.tell(record, attrs)
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h reported) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler, h.attrs = h.Handler.WithAttrs(attrs), append(slices.Clip(h.attrs), attrs...)
	return h
}

// WithGroup implements slog.Handler. The program makes no groups but in attributes.
func (h reported) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

// tell sends an event, unless one of its sort was sent just now: in a flood of errors
// little more than the fingerprint is worked out.
func (s *Sentry) tell(record slog.Record, attrs []slog.Attr) {
	l := line{message: record.Message, at: record.Time, tags: map[string]string{"service": s.service}}
	for _, attr := range attrs {
		value := attr.Value.Resolve()
		switch {
		case attr.Key == errorKey:
			if l.err, _ = value.Any().(error); l.err == nil {
				l.text = value.String()
			}
		case slices.Contains(SentryTags(), attr.Key):
			l.tags[attr.Key] = value.String()
		}
	}
	fingerprint := l.fingerprint()
	repeats, fresh := s.admit(strings.Join(fingerprint, "\n"))
	if !fresh {
		return
	}
	event := l.event()
	event.Fingerprint = fingerprint
	if repeats > 0 {
		event.Contexts = map[string]sentry.Context{"repeats": {"since_last_event": repeats}}
	}
	s.client.CaptureEvent(event, nil, nil)
}

// admit says whether an error of this sort is told now, and how many were held back
// since the last one was.
func (s *Sentry) admit(fingerprint string) (held int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	known := s.sorts[fingerprint]
	if known == nil {
		if len(s.sorts) >= sentrySorts {
			for name, one := range s.sorts {
				if now.Sub(one.told) >= sentryPause {
					delete(s.sorts, name)
				}
			}
		}
		if len(s.sorts) >= sentrySorts {
			return 0, false
		}
		s.sorts[fingerprint] = &occurrence{told: now}
		return 0, true
	}
	if now.Sub(known.told) < sentryPause {
		known.held++
		return 0, false
	}
	held, known.held, known.told = known.held, 0, now
	return held, true
}

// line is what a log line has that Sentry is told.
type line struct {
	message string
	at      time.Time
	tags    map[string]string
	// err is the line's error, or nil; then text is what it has in its place.
	err  error
	text string
}

// fingerprint says what sort of error it is: what Sentry makes one issue.
func (l line) fingerprint() []string {
	return []string{Scrub(l.message), l.tags["errorCode"], l.happenedTo(), l.tags["outcome"], l.place()}
}

// happenedTo is a kind of job or a route, or empty.
func (l line) happenedTo() string {
	if route := l.tags["route"]; route != "" {
		return strings.TrimSpace(l.tags["method"] + " " + route)
	}
	return l.tags["kind"]
}

// event is the line for Sentry: its message, its error as the log has it, the stack of
// a panic, and tags. Other attributes stay in the log.
func (l line) event() *sentry.Event {
	event := sentry.NewEvent()
	event.Level, event.Timestamp, event.Message, event.Transaction = sentry.LevelError, l.at, Scrub(l.message), l.happenedTo()
	event.Tags = map[string]string{}
	for name, value := range l.tags {
		event.Tags[name] = Scrub(value)
	}
	text := Scrub(withoutQuotes(l.text))
	if l.err != nil {
		text = errorText(l.err)
	}
	exception := sentry.Exception{Type: cmp.Or(l.tags["errorCode"], "error"), Value: cmp.Or(shorten(text), event.Message)}
	if p, ok := errors.AsType[*Panic](l.err); ok {
		exception.Type, exception.Stacktrace = p.Error(), p.sentryStack()
		exception.Mechanism = &sentry.Mechanism{Type: "panic"}
		exception.Mechanism.SetUnhandled()
		event.Level = sentry.LevelFatal
	}
	event.Exception = []sentry.Exception{exception}
	return event
}

// shorten cuts a text that is too long for an event.
func shorten(text string) string {
	if len(text) <= sentryText {
		return text
	}
	return strings.ToValidUTF8(text[:sentryText], "") + "…"
}

// origin matches how our errors begin: the package, and what it was doing.
var origin = regexp.MustCompile(`^[a-z]+: [a-z ]+:`)

// place says where an error comes from, by what does not change from one to the next:
// the innermost function of ours that panicked; or the beginning of the cause's text,
// the type of the innermost error, and what Postgres names.
func (l line) place() string {
	err := l.err
	if err == nil {
		if state := sqlState.FindStringSubmatch(l.text); state != nil {
			return state[1]
		}
		return ""
	}
	if p, ok := errors.AsType[*Panic](err); ok {
		return p.place()
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Cause() != nil {
		err = f.Cause()
	}
	where := []string{origin.FindString(err.Error())}
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		where = append(where, refusal.Code, refusal.TableName, refusal.ConstraintName)
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return strings.Join(append(where, fmt.Sprintf("%T", err)), " ")
}

// place is the innermost function of ours.
func (p *Panic) place() string {
	for _, frame := range p.frames {
		if ours(frame.Function) {
			return frame.Function
		}
	}
	return p.kind
}

// ours reports whether a function is of this module.
func ours(function string) bool {
	return strings.HasPrefix(function, "millrace/") || strings.HasPrefix(function, "main.")
}

// sentryStack is the stack as Sentry wants it, the innermost call last.
func (p *Panic) sentryStack() *sentry.Stacktrace {
	stack := &sentry.Stacktrace{}
	for _, frame := range slices.Backward(p.frames) {
		module := pkg(frame.Function)
		stack.Frames = append(stack.Frames, sentry.Frame{
			Module: module, Function: strings.TrimPrefix(frame.Function, module+"."),
			Filename: strings.TrimPrefix(file(frame), "millrace/"), Lineno: frame.Line, InApp: ours(frame.Function),
		})
	}
	return stack
}
