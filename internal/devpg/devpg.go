// Package devpg runs a private PostgreSQL for `millrace dev` and for tests, on
// a machine that may have nothing but Go.
//
// The server belongs to the process that started it: it listens on 127.0.0.1
// only, under a random password, and it stops when that process ends, however
// it ends. What a directory holds while a server runs on it:
//
//	owner.lock      held (flock) by the process that called Start
//	server.lock     held by every process of the server, so that the next Start
//	                can wait for one that is still shutting down
//	password        of the superuser millrace; mode 0600
//	port            used the last time
//	postgres.log    of initdb and of the server
//	data            the cluster, owned by the account that the server runs as
//	init            a cluster that is being made; renamed to data when complete
//
// The process tree:
//
//	this process ──pipe──▶ /bin/sh (own session) ──▶ postgres
//	                          │
//	                          └─▶ /bin/sh reads signal names from the pipe and
//	                              passes them on; end of file means that this
//	                              process is gone, and stops the server
package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// MinimumMajor is the oldest PostgreSQL that Start accepts.
	MinimumMajor = 14

	// User is the superuser that URL logs in as.
	User = "millrace"

	// DefaultDatabase exists in every cluster that is not Ephemeral.
	DefaultDatabase = "millrace"
)

// Options say where and how Start runs a server.
type Options struct {
	// Dir is the directory described at the top of this package. It is created
	// when missing and kept between runs, except when Ephemeral is set. A
	// relative path is taken from the working directory of the process.
	//
	// Required, except when Ephemeral is set: then empty means a new directory
	// below os.TempDir.
	Dir string

	// Port is the TCP port on 127.0.0.1. When it is in use, Start returns a
	// [PortInUseError].
	//
	// Defaults to the port of the last run on Dir when that is still free, else
	// to any free one.
	Port int

	// Logger receives what happens to the server, not what the server itself
	// logs: that goes to postgres.log in Dir.
	//
	// Defaults to a logger that discards.
	Logger *slog.Logger

	// Ephemeral is for tests: nothing is ever flushed to disk, Dir has to be
	// missing or empty, and Stop removes what Start put there. A killed process
	// leaves the directory behind, but never the server.
	Ephemeral bool

	// Settings are further settings of postgresql.conf, such as
	// "log_statement": "all". They take precedence over the ones that this
	// package chooses, except for the ones that say where the server listens
	// and keeps its data, which Start refuses.
	Settings map[string]string
}

// normalised checks o and fills in its defaults.
func (o Options) normalised() (Options, error) {
	if o.Dir == "" && !o.Ephemeral {
		return o, errors.New("devpg: Options.Dir is required unless Ephemeral is set")
	}
	if o.Dir != "" {
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return o, fmt.Errorf("devpg: find the directory %s: %w", o.Dir, err)
		}
		o.Dir = dir
	}
	if o.Port < 0 || o.Port > 65535 {
		return o, fmt.Errorf("devpg: port %d is outside 0 to 65535", o.Port)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for name := range o.Settings {
		if !settingName.MatchString(name) {
			return o, fmt.Errorf("devpg: %q is not the name of a PostgreSQL setting", name)
		}
		switch strings.ToLower(name) {
		case "port", "listen_addresses", "unix_socket_directories", "data_directory":
			return o, fmt.Errorf("devpg: the setting %s is not to be set: use Options.Port and Options.Dir", name)
		}
	}
	return o, nil
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

// Server is a PostgreSQL that answers. It has to be stopped with Stop.
type Server struct {
	dir       directory
	port      int
	password  string
	ephemeral bool
	logger    *slog.Logger

	process  *process
	owner    *lock
	patience patience
	stopping atomic.Bool
	cleaned  sync.Once

	done chan struct{}
	err  error // these two are written before done is closed
	idle error // not nil when a process of the server outlived it
}

// Start runs a server on opts.Dir and returns when it answers. A first start
// makes the cluster. PostgreSQL is searched on PATH, then where Debian, Red Hat,
// Homebrew, Postgres.app and others put it; when the machine has none, it is
// downloaded, once. A cluster keeps the major version that made it.
//
// ctx bounds the start only: the server goes on when ctx ends later, until Stop
// is called or this process ends.
//
// Errors to tell apart: [ErrNotInstalled], [DirInUseError], [PortInUseError].
func Start(ctx context.Context, opts Options) (*Server, error) {
	return start(ctx, opts, systemMachine())
}

// URL is the connection string of one database of the server. It holds the
// password: do not log it.
func (s *Server) URL(database string) string {
	return (&url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(User, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}).String()
}

// Port is the TCP port on 127.0.0.1 that the server listens on.
func (s *Server) Port() int { return s.port }

// String leaves the password out, for logs.
func (s *Server) String() string {
	return fmt.Sprintf("PostgreSQL on 127.0.0.1:%d", s.port)
}

// Done is closed when the server has exited, by itself or after Stop.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err tells why the server exited by itself. It is nil before Done is closed,
// and after Stop.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}
