package devpg

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotInstalled is wrapped by the error of a Start that found no usable
// PostgreSQL and could not download one. That error says what to install.
var ErrNotInstalled = errors.New("PostgreSQL is not installed")

// howToInstall ends every error that wraps ErrNotInstalled.
const howToInstall = "install it (Debian: apt-get install postgresql, " +
	"Red Hat: dnf install postgresql-server, macOS: brew install postgresql) or set DATABASE_URL"

// DirInUseError says that a living process runs a server on the directory.
type DirInUseError struct {
	Dir string
	PID int // of the owner; 0 when it is not known
}

func (e *DirInUseError) Error() string {
	owner := "another millrace"
	if e.PID != 0 {
		owner += fmt.Sprintf(" (process %d)", e.PID)
	}
	return fmt.Sprintf("devpg: %s is running on %s: stop it, or set MILLRACE_HOME to another directory", owner, e.Dir)
}

// PortInUseError says that Options.Port cannot be had.
type PortInUseError struct{ Port int }

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("devpg: port %d on 127.0.0.1 is in use: stop what listens there, or choose another port", e.Port)
}

// exitError says how a program under the watchdog ended.
type exitError struct {
	program string
	how     string   // "exit status 1"
	lines   []string // the last ones that it logged
	logFile string
}

func (e *exitError) Error() string {
	message := fmt.Sprintf("%s ended with %s", e.program, e.how)
	if quoted := e.quoted(); len(quoted) > 0 {
		message += ": " + strings.Join(quoted, " | ")
	}
	return message + " (see " + e.logFile + ")"
}

// quoted leaves out what PostgreSQL says in the normal course of things, unless
// there is nothing else.
func (e *exitError) quoted() []string {
	const most = 4
	unusual := slices.DeleteFunc(slices.Clone(e.lines), func(line string) bool {
		return strings.HasPrefix(line, "LOG:")
	})
	if len(unusual) == 0 {
		unusual = e.lines
	}
	return unusual[max(0, len(unusual)-most):]
}

// flatError shows another error in one line.
type flatError struct{ err error }

func (e flatError) Error() string { return strings.Join(strings.Fields(e.err.Error()), " ") }
func (e flatError) Unwrap() error { return e.err }

// oneLine is for the errors of pgx, which take a line for each address tried.
func oneLine(err error) error { return flatError{err: err} }
