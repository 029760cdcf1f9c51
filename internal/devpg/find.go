package devpg

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// binaries are the two programs that this package runs.
type binaries struct {
	postgres string
	initdb   string
	major    int
}

// finder searches for PostgreSQL. Its functions are those of the system, except
// in tests.
type finder struct {
	lookPath func(file string) (string, error)
	glob     func(pattern string) ([]string, error)

	// version returns the major version of a `postgres`, an error when the
	// account of the server cannot run it.
	version func(ctx context.Context, postgres string) (int, error)

	// download returns a directory with the programs of a major version; 0 means
	// any. It is the last resort.
	download func(ctx context.Context, major int) (string, error)
}

// searchPatterns are the directories where packages put the programs, in the
// order in which they are searched; within one, newer versions come first.
// Debian and Homebrew's versioned formulae keep them off PATH.
func searchPatterns() []string {
	return []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // Red Hat, from postgresql.org
		"/usr/bin",                  // Red Hat, Arch
		"/usr/libexec/postgresql*",  // Alpine
		"/opt/homebrew/opt/postgresql@*/bin",
		"/opt/homebrew/opt/postgresql/bin",
		"/usr/local/opt/postgresql@*/bin", // Homebrew on Intel
		"/usr/local/opt/postgresql/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/Library/PostgreSQL/*/bin", // EnterpriseDB's installer for macOS
		"/usr/local/pgsql/bin",      // built from source
	}
}

// find returns the first programs of the major version want, or when want is 0
// of any that is at least MinimumMajor.
func (f finder) find(ctx context.Context, want int) (binaries, error) {
	var passed []string
	for _, dir := range f.candidates() {
		found, err := f.examine(ctx, dir)
		if ctx.Err() != nil {
			return binaries{}, fmt.Errorf("devpg: search for PostgreSQL: %w", context.Cause(ctx))
		}
		if err != nil {
			continue
		}
		if found.major == want || (want == 0 && found.major >= MinimumMajor) {
			return found, nil
		}
		passed = append(passed, fmt.Sprintf("%d in %s", found.major, dir))
	}

	wanted := fmt.Sprintf("PostgreSQL %d or newer", MinimumMajor)
	if want != 0 {
		wanted = fmt.Sprintf("PostgreSQL %d, which made the data,", want)
	}
	instead := ""
	if len(passed) > 0 {
		instead = " (only " + strings.Join(passed, ", ") + ")"
	}
	dir, err := f.download(ctx, want)
	if err != nil {
		return binaries{}, fmt.Errorf("devpg: no %s was found%s, and it could not be downloaded (%w): %w: %s",
			wanted, instead, err, ErrNotInstalled, howToInstall)
	}
	found, err := f.examine(ctx, dir)
	if err != nil {
		return binaries{}, fmt.Errorf("devpg: no %s was found%s, and the downloaded one does not run here (%w): %w: %s",
			wanted, instead, err, ErrNotInstalled, howToInstall)
	}
	return found, nil
}

// candidates are directories that may hold the programs, best first.
func (f finder) candidates() []string {
	var dirs []string
	add := func(found ...string) {
		for _, dir := range found {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	if path, err := f.lookPath("postgres"); err == nil {
		// On PATH may be a link to the place where initdb and the libraries are.
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			add(filepath.Dir(resolved))
		}
		add(filepath.Dir(path))
	}
	for _, pattern := range searchPatterns() {
		matches, err := f.glob(pattern)
		if err != nil {
			continue // cannot be: the patterns are ours and a test globs them all
		}
		slices.SortStableFunc(matches, func(a, b string) int {
			return cmp.Compare(versionInPath(b), versionInPath(a))
		})
		add(matches...)
	}
	return dirs
}

// versionInPath is the last number in a path, -1 when there is none.
func versionInPath(path string) float64 {
	match := lastNumber.FindStringSubmatch(path)
	if match == nil {
		return -1
	}
	number, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return -1
	}
	return number
}

func (f finder) examine(ctx context.Context, dir string) (binaries, error) {
	found := binaries{postgres: filepath.Join(dir, "postgres"), initdb: filepath.Join(dir, "initdb")}
	for _, path := range []string{found.postgres, found.initdb} {
		if _, err := os.Stat(path); err != nil {
			return found, fmt.Errorf("look for a program: %w", err)
		}
	}
	major, err := f.version(ctx, found.postgres)
	found.major = major
	return found, err
}

// askVersion runs `postgres --version` as the account that will run the server,
// which is what shows whether it can.
func (a account) askVersion(ctx context.Context, postgres string) (int, error) {
	command := exec.CommandContext(ctx, postgres, "--version")
	command.Dir = "/"
	command.Env = childEnvironment()
	command.SysProcAttr = a.attributes()
	output, err := command.Output()
	if err != nil {
		return 0, fmt.Errorf("run %s --version: %w", postgres, err)
	}
	return parseVersion(string(output))
}

// parseVersion reads what `postgres --version` prints, such as
// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "… 19devel".
func parseVersion(output string) (int, error) {
	match := versionOutput.FindStringSubmatch(output)
	if match == nil {
		return 0, fmt.Errorf("%q is not the version of a PostgreSQL", strings.TrimSpace(output))
	}
	major, err := strconv.Atoi(match[1])
	if err != nil {
		return 0, fmt.Errorf("read the version of PostgreSQL: %w", err)
	}
	return major, nil
}

var (
	versionOutput = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)
	lastNumber    = regexp.MustCompile(`(\d+(?:\.\d+)?)\D*$`)
)
