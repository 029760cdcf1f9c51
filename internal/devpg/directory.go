package devpg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// directory is the absolute path of Options.Dir; its methods name what is in it.
type directory string

func (d directory) ownerLock() string  { return filepath.Join(string(d), "owner.lock") }
func (d directory) serverLock() string { return filepath.Join(string(d), "server.lock") }
func (d directory) password() string   { return filepath.Join(string(d), "password") }
func (d directory) port() string       { return filepath.Join(string(d), "port") }
func (d directory) log() string        { return filepath.Join(string(d), "postgres.log") }
func (d directory) data() string       { return filepath.Join(string(d), "data") }
func (d directory) init() string       { return filepath.Join(string(d), "init") }

// directoryMode lets others pass through, because the server runs as another
// account when this process is root. Everything inside has a mode of its own.
const directoryMode = 0o711

// openDirectory creates what Options ask for.
func openDirectory(opts Options) (directory, error) {
	if opts.Dir == "" {
		dir, err := os.MkdirTemp("", "millrace-devpg-")
		if err != nil {
			return "", fmt.Errorf("devpg: create a directory for the server: %w", err)
		}
		if err := os.Chmod(dir, directoryMode); err != nil {
			return "", fmt.Errorf("devpg: open the directory to the account of the server: %w", err)
		}
		return directory(dir), nil
	}
	if err := os.MkdirAll(opts.Dir, directoryMode); err != nil {
		return "", fmt.Errorf("devpg: create the directory %s (or set MILLRACE_HOME to another one): %w", opts.Dir, err)
	}
	if opts.Ephemeral {
		entries, err := os.ReadDir(opts.Dir)
		if err != nil {
			return "", fmt.Errorf("devpg: read the directory: %w", err)
		}
		if len(entries) > 0 {
			return "", fmt.Errorf("devpg: %s is not empty, and Stop would remove what an Ephemeral server keeps there: choose another directory", opts.Dir)
		}
	}
	return directory(opts.Dir), nil
}

// major is the PostgreSQL version of the cluster in d, 0 when there is none.
func (d directory) major() (int, error) {
	content, err := os.ReadFile(filepath.Join(d.data(), "PG_VERSION"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("devpg: read the version of the cluster: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("devpg: %s holds no PostgreSQL cluster that can be read: remove it to begin anew", d.data())
	}
	return major, nil
}

// remove deletes what Start made, and d itself when nothing else is in it.
func (d directory) remove() error {
	var failed []error
	for _, path := range []string{
		d.data(), d.init(), d.password(), d.port(), d.log(), d.serverLock(), d.ownerLock(),
	} {
		failed = append(failed, os.RemoveAll(path))
	}
	if entries, err := os.ReadDir(string(d)); err == nil && len(entries) == 0 {
		failed = append(failed, os.Remove(string(d)))
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("devpg: remove the throw-away server: %w", err)
	}
	return nil
}

// syncDirectory makes a rename in the directory survive a machine crash.
func syncDirectory(path string) error {
	dir, err := os.Open(path) //nolint:gosec // our own directory
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = dir.Close() }() // nothing was written through it
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}
