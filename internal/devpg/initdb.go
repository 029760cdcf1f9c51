package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// initdb makes the cluster in a sibling and renames it: a directory data that
// has a PG_VERSION is complete, and anything else is made again.
func (s *starter) initdb(ctx context.Context) error {
	work := s.dir.init()
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("devpg: remove a cluster that was not finished: %w", err)
	}
	if err := s.account.mkdir(work); err != nil {
		return err
	}
	passwordFile := filepath.Join(work, "password")
	if err := os.WriteFile(passwordFile, []byte(s.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("devpg: hand the password to initdb: %w", err)
	}
	if err := s.account.own(passwordFile); err != nil {
		return err
	}

	path, inherit, err := s.account.reach(ctx, work)
	if err != nil {
		return err
	}
	if inherit != nil {
		defer func() { _ = inherit.Close() }() // a directory: nothing was written through it
	}
	arguments := []string{
		"--pgdata=" + filepath.Join(path, "data"),
		"--pwfile=" + filepath.Join(path, "password"),
		"--username=" + User,
		"--auth=scram-sha-256",
		"--encoding=UTF8",
		"--locale=C",
		"--no-instructions",
	}
	if s.opts.Ephemeral {
		arguments = append(arguments, "--no-sync")
	}
	running, err := launch(ctx, program{
		name: "initdb", path: s.binaries.initdb, arguments: arguments,
		account: s.account, directory: inherit, lock: s.serverLock, log: s.log,
	})
	if err != nil {
		return err
	}
	select {
	case <-running.done:
	case <-ctx.Done():
		running.abandon("INT")
		return fmt.Errorf("devpg: make the cluster: %w", context.Cause(ctx))
	}
	if running.err != nil {
		return fmt.Errorf("devpg: make the cluster: %w", running.err)
	}

	if err := os.Rename(filepath.Join(work, "data"), s.dir.data()); err != nil {
		return fmt.Errorf("devpg: put the cluster in its place: %w", err)
	}
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("devpg: remove what initdb left: %w", err)
	}
	if s.opts.Ephemeral {
		return nil
	}
	if err := errors.Join(syncDirectory(s.dir.data()), syncDirectory(string(s.dir))); err != nil {
		return fmt.Errorf("devpg: make the cluster durable: %w", err)
	}
	return nil
}
