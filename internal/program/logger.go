package program

import (
	"io"
	"log"
	"log/slog"
	"os"

	"millrace/internal/config"
	"millrace/internal/telemetry"
)

// Logger returns the logger of a program, which tells Sentry of errors when there is a
// DSN, and what ends it: it waits for two seconds at most until everything is told. What
// libraries write with the standard library's log goes to the logger as well.
func Logger(w io.Writer, opts telemetry.LogOptions, to config.Sentry) (logger *slog.Logger, end func(), err error) {
	if to.SentryDSN != "" {
		opts.Sentry, err = telemetry.NewSentry(telemetry.SentryOptions{
			DSN: to.SentryDSN, Environment: to.SentryEnvironment, Release: Version(), Service: opts.Service,
		})
		if err != nil {
			return nil, nil, err
		}
	}
	logger = telemetry.NewLogger(w, opts)
	log.SetFlags(0)                                                             //nolint:forbidigo // it is redirected
	log.SetOutput(slog.NewLogLogger(logger.Handler(), slog.LevelWarn).Writer()) //nolint:forbidigo // it is redirected
	return logger, func() {
		opts.Sentry.Close()
		log.SetOutput(os.Stderr) //nolint:forbidigo // as it was
	}, nil
}
