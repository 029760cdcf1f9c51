package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// ownerPatience is for an owner that was killed a moment ago, and whose
	// files the kernel has not closed yet.
	ownerPatience = 500 * time.Millisecond

	// serverPatience is for a server whose owner is gone. It is longer than the
	// watchdog takes from the first signal to the last.
	serverPatience = 15 * time.Second

	lockInterval = 10 * time.Millisecond
)

// lock is a file with an exclusive flock. The lock belongs to the open file: it
// ends when this process and all those that inherited the file have closed it,
// which the kernel sees to, so no lock can be stale.
type lock struct{ file *os.File }

// errLocked says that somebody else still held the lock when patience ended.
var errLocked = errors.New("locked by another process")

// acquire waits for the lock for at most patience.
func acquire(ctx context.Context, path string, patience time.Duration) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // a fixed name in our own directory
	if err != nil {
		return nil, fmt.Errorf("devpg: open the lock (the directory may belong to another account: set MILLRACE_HOME to one of yours): %w", err)
	}
	taken := false
	defer func() {
		if !taken {
			_ = file.Close() // the error that is being returned says more
		}
	}()

	ctx, cancel := context.WithTimeoutCause(ctx, patience, errLocked)
	defer cancel()
	ticker := time.NewTicker(lockInterval)
	defer ticker.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			taken = true
			return &lock{file: file}, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("devpg: lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("devpg: lock %s: %w", path, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// release gives up this process's share of the lock. It may be called twice.
func (l *lock) release() { _ = l.file.Close() }

// acquireOwner takes the lock that says that d has a living owner. It is not
// inherited by other programs, as os.OpenFile opens with O_CLOEXEC.
func acquireOwner(ctx context.Context, d directory) (*lock, error) {
	held, err := acquire(ctx, d.ownerLock(), ownerPatience)
	if errors.Is(err, errLocked) {
		return nil, &DirInUseError{Dir: string(d), PID: readNumber(d.ownerLock())}
	}
	if err != nil {
		return nil, err
	}
	if err := held.file.Truncate(0); err != nil {
		held.release()
		return nil, fmt.Errorf("devpg: write the lock: %w", err)
	}
	if _, err := held.file.WriteString(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		held.release()
		return nil, fmt.Errorf("devpg: write the lock: %w", err)
	}
	return held, nil
}

// acquireServer waits until no process of an earlier server on d is left.
func acquireServer(ctx context.Context, d directory) (*lock, error) {
	held, err := acquire(ctx, d.serverLock(), serverPatience)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("devpg: the PostgreSQL of an earlier run on %s has not stopped within %s: end it (kill -QUIT %d) and try again",
			d, serverPatience, readNumber(d.pidFile()))
	}
	return held, err
}

// readNumber returns what the first line of a file holds, 0 when it is not a
// positive number: the callers can do without.
func readNumber(path string) int {
	content, err := os.ReadFile(path) //nolint:gosec // a fixed name in our own directory
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(content), "\n")
	number, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return max(number, 0)
}
