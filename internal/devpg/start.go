package devpg

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// portAttempts bounds how often another port is tried when the one that was
// free is taken by somebody else before the server has it.
const portAttempts = 5

// machine is what Start needs of the computer, replaced in tests.
type machine struct {
	euid       int
	lookPath   func(file string) (string, error)
	glob       func(pattern string) ([]string, error)
	cache      func() (string, error) // directory for downloads
	repository string                 // URL to download from
	listenOn   func(ctx context.Context, port int) (int, error)
}

func systemMachine() machine {
	euid := os.Geteuid()
	return machine{
		euid:       euid,
		lookPath:   exec.LookPath,
		glob:       filepath.Glob,
		cache:      func() (string, error) { return cacheDirectory(euid) },
		repository: mavenCentral,
		listenOn:   listenOn,
	}
}

// starter carries what the steps of one Start find out.
type starter struct {
	opts    Options
	machine machine

	dir        directory
	owner      *lock
	serverLock *lock
	log        *logFile
	account    account
	binaries   binaries
	password   string
}

func start(ctx context.Context, opts Options, m machine) (_ *Server, err error) {
	began := time.Now()
	opts, err = opts.normalised()
	if err != nil {
		return nil, err
	}
	s := &starter{opts: opts, machine: m}
	if s.dir, err = openDirectory(opts); err != nil {
		return nil, err
	}
	if s.owner, err = acquireOwner(ctx, s.dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.abandon(ctx)
		}
	}()
	if s.serverLock, err = acquireServer(ctx, s.dir); err != nil {
		return nil, err
	}
	// The server holds it from now on.
	defer s.serverLock.release()
	if opts.Port != 0 {
		// Seen here, it costs nobody the wait for a new cluster.
		if _, err = m.listenOn(ctx, opts.Port); err != nil {
			return nil, err
		}
	}
	if s.log, err = openLog(s.dir.log()); err != nil {
		return nil, err
	}
	defer s.log.close()

	cold, err := s.prepare(ctx)
	if err != nil {
		return nil, err
	}
	running, port, err := s.listen(ctx)
	if err != nil {
		return nil, err
	}
	server := &Server{
		dir: s.dir, port: port, password: s.password, ephemeral: opts.Ephemeral, logger: opts.Logger,
		process: running, owner: s.owner, patience: defaultPatience(), done: make(chan struct{}),
	}
	if !opts.Ephemeral {
		if err = s.dir.keepPort(port); err == nil {
			err = server.CreateDatabase(ctx, DefaultDatabase)
		}
		if err != nil {
			running.abandon("QUIT")
			return nil, err
		}
	}
	go server.watch(context.WithoutCancel(ctx))
	opts.Logger.InfoContext(ctx, "PostgreSQL is ready",
		slog.Int("port", port), slog.Int("version", s.binaries.major), slog.Bool("new", cold),
		slog.String("dir", string(s.dir)), slog.Float64("seconds", time.Since(began).Seconds()))
	return server, nil
}

// prepare sees to it that there are programs, a password and a cluster. It
// reports whether the cluster is new.
func (s *starter) prepare(ctx context.Context) (cold bool, err error) {
	major, err := s.dir.major()
	if err != nil {
		return false, err
	}
	if s.account, err = chooseAccount(s.dir, s.machine.euid); err != nil {
		return false, err
	}
	search := finder{
		lookPath: s.machine.lookPath,
		glob:     s.machine.glob,
		version:  s.account.askVersion,
		download: func(ctx context.Context, major int) (string, error) {
			cache, err := s.machine.cache()
			if err != nil {
				return "", err
			}
			return downloader{repository: s.machine.repository, cache: cache, logger: s.opts.Logger}.fetch(ctx, major)
		},
	}
	if s.binaries, err = search.find(ctx, major); err != nil {
		return false, err
	}
	if s.password, err = s.dir.loadPassword(major != 0); err != nil {
		return false, err
	}
	if major == 0 {
		return true, s.initdb(ctx)
	}
	return false, s.dir.clearPIDFile(ctx)
}

// listen starts the server on a port that it can have.
func (s *starter) listen(ctx context.Context) (*process, int, error) {
	path, inherit, err := s.account.reach(ctx, s.dir.data())
	if err != nil {
		return nil, 0, err
	}
	if inherit != nil {
		defer func() { _ = inherit.Close() }() // a directory: nothing was written through it
	}
	for attempt := 1; ; attempt++ {
		port, err := s.choosePort(ctx, attempt)
		if err != nil {
			return nil, 0, err
		}
		running, err := s.run(ctx, path, inherit, port)
		if err == nil {
			return running, port, nil
		}
		if !isPortTaken(err) {
			return nil, 0, err
		}
		if s.opts.Port != 0 || attempt == portAttempts {
			return nil, 0, &PortInUseError{Port: port}
		}
	}
}

func (s *starter) choosePort(ctx context.Context, attempt int) (int, error) {
	if s.opts.Port != 0 {
		return s.machine.listenOn(ctx, s.opts.Port)
	}
	if last := s.dir.lastPort(); last != 0 && attempt == 1 {
		if port, err := s.machine.listenOn(ctx, last); err == nil {
			return port, nil
		}
	}
	return s.machine.listenOn(ctx, 0)
}

// run starts the server and waits until it answers.
func (s *starter) run(ctx context.Context, path string, inherit *os.File, port int) (*process, error) {
	arguments := append([]string{"-D", path, "-p", strconv.Itoa(port)}, settingArguments(serverSettings(s.opts))...)
	running, err := launch(ctx, program{
		name: "postgres", path: s.binaries.postgres, arguments: arguments,
		account: s.account, directory: inherit, lock: s.serverLock, log: s.log,
	})
	if err != nil {
		return nil, err
	}
	url := (&Server{port: port, password: s.password}).URL("postgres")
	if err := awaitReady(ctx, running, s.dir, url); err != nil {
		running.abandon("QUIT")
		return nil, err
	}
	return running, nil
}

// abandon gives back what a Start that failed has taken.
func (s *starter) abandon(ctx context.Context) {
	defer s.owner.release()
	if !s.opts.Ephemeral {
		return
	}
	if err := s.dir.removeWhenIdle(ctx); err != nil {
		s.opts.Logger.WarnContext(ctx, "the directory of a server that did not start is left behind", slog.Any("error", err))
	}
}

// watch ends the Server when its process has ended.
func (s *Server) watch(ctx context.Context) {
	<-s.process.done
	s.idle = s.dir.awaitIdle(ctx)
	if !s.stopping.Load() {
		s.err = s.process.err
		if s.err == nil {
			s.err = fmt.Errorf("postgres was stopped by somebody else (see %s)", s.dir.log())
		}
		s.err = fmt.Errorf("devpg: the server is gone: %w", s.err)
		s.logger.ErrorContext(ctx, "PostgreSQL has exited by itself", slog.Any("error", s.err))
	}
	if !s.ephemeral {
		s.owner.release() // as late as this, or Stop might meet somebody else's server
	}
	close(s.done)
}
