package devpg

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

const (
	// downloadTimeout is for some 15 MB. The library itself knows no limit.
	downloadTimeout = 5 * time.Minute

	// mavenCentral has the binaries of github.com/zonkyio/embedded-postgres-binaries.
	mavenCentral = "https://repo1.maven.org/maven2"
)

// downloader fetches PostgreSQL into a cache directory, once.
type downloader struct {
	repository string // URL of a Maven repository
	cache      string // directory; created when missing
	logger     *slog.Logger
}

// cacheDirectory is the user's, or for root one that other accounts can reach:
// the server does not run as root, and root's own is closed to everybody else.
func cacheDirectory(euid int) (string, error) {
	if euid == 0 && os.Getenv("XDG_CACHE_HOME") == "" {
		if runtime.GOOS == "darwin" {
			return "/Library/Caches/millrace", nil
		}
		return "/var/cache/millrace", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	return filepath.Join(dir, "millrace"), nil
}

// downloadVersion maps a major version to what the library offers; 0 is the
// newest.
func downloadVersion(major int) (embedded.PostgresVersion, error) {
	switch major {
	case 14:
		return embedded.V14, nil
	case 15:
		return embedded.V15, nil
	case 16:
		return embedded.V16, nil
	case 17:
		return embedded.V17, nil
	case 0, 18:
		return embedded.V18, nil
	default:
		return "", fmt.Errorf("there is no download of PostgreSQL %d", major)
	}
}

// fetch returns the directory with the programs of a major version; 0 is the
// newest. What the library unpacks it checks against the repository's SHA-256.
func (d downloader) fetch(ctx context.Context, major int) (string, error) {
	version, err := downloadVersion(major)
	if err != nil {
		return "", err
	}
	target := filepath.Join(d.cache, "postgresql-"+string(version))
	programs := filepath.Join(target, "bin")
	if _, err := os.Stat(programs); err == nil {
		return programs, nil
	}
	if err := os.MkdirAll(d.cache, 0o755); err != nil { //nolint:gosec // programs that another account runs
		return "", fmt.Errorf("create the cache directory: %w", err)
	}
	work, err := os.MkdirTemp(d.cache, "download-")
	if err != nil {
		return "", fmt.Errorf("create a directory for the download: %w", err)
	}

	d.logger.InfoContext(ctx, "downloading PostgreSQL, once",
		slog.String("version", string(version)), slog.String("from", d.repository), slog.String("to", target))
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	finished := make(chan error, 1)
	go func() {
		// The library takes no context. A download that nobody waits for any more
		// ends here, and goes with its directory.
		err := unpack(d.repository, version, work, target)
		_ = os.RemoveAll(work) // a leftover in a cache
		finished <- err
	}()
	select {
	case err := <-finished:
		return programs, err
	case <-ctx.Done():
		return "", fmt.Errorf("download PostgreSQL: %w", ctx.Err())
	}
}

// unpack lets the library fetch the programs into work, and moves them to
// target in one step.
//
// The library exports only Start, which also makes a cluster, without a password
// file, and runs it, but not as root. It leaves initdb out for a data directory
// that has a PG_VERSION, and pg_ctl fails at once on one that has nothing else.
// So Start returns an error here, and whether it got as far as unpacking is seen
// by the runtime directory: that is removed first, and made again after the last
// file is in its place.
func unpack(repository string, version embedded.PostgresVersion, work, target string) error {
	data := filepath.Join(work, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("prepare the download: %w", err)
	}
	major, _, _ := strings.Cut(string(version), ".")
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(major), 0o600); err != nil {
		return fmt.Errorf("prepare the download: %w", err)
	}

	unpacked, reached := filepath.Join(work, "unpacked"), filepath.Join(work, "runtime")
	library := embedded.NewDatabase(embedded.DefaultConfig().
		Version(version).
		BinaryRepositoryURL(repository).
		CachePath(filepath.Join(work, "archive")).
		BinariesPath(unpacked).
		RuntimePath(reached).
		DataPath(data).
		Port(0).
		Logger(io.Discard))
	startErr := library.Start()
	if startErr == nil {
		if err := library.Stop(); err != nil {
			return fmt.Errorf("stop a server that should not have started: %w", err)
		}
	}
	if _, err := os.Stat(reached); err != nil {
		return startErr
	}
	if err := os.Rename(unpacked, target); err != nil {
		if _, statErr := os.Stat(target); statErr == nil {
			return nil // another process was faster
		}
		return fmt.Errorf("keep the download: %w", err)
	}
	return nil
}
