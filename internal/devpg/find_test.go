package devpg

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeMachine is a tree with programs that are empty files; the version of each
// is in a map by directory.
type fakeMachine struct {
	root       string
	path       string // directory that PATH has, relative to root; may be empty
	versions   map[string]int
	downloaded string
}

func (m fakeMachine) finder() finder {
	return finder{
		lookPath: func(file string) (string, error) {
			if m.path == "" {
				return "", exec.ErrNotFound
			}
			return filepath.Join(m.root, m.path, file), nil
		},
		glob: func(pattern string) ([]string, error) { return filepath.Glob(m.root + pattern) },
		version: func(_ context.Context, postgres string) (int, error) {
			dir := strings.TrimPrefix(filepath.Dir(postgres), m.root)
			if version := m.versions[dir]; version != 0 {
				return version, nil
			}
			return 0, errors.New("cannot be run")
		},
		download: func(context.Context, int) (string, error) {
			if m.downloaded == "" {
				return "", errors.New("no network")
			}
			return filepath.Join(m.root, m.downloaded), nil
		},
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		machine fakeMachine
		links   map[string]string // name to target
		want    int               // major version asked for
		found   string            // directory
		fails   []string          // parts of the error
	}{
		"PATH comes first": {
			machine: fakeMachine{path: "/opt/pg/bin", versions: map[string]int{
				"/opt/pg/bin": 14, "/usr/lib/postgresql/17/bin": 17,
			}},
			found: "/opt/pg/bin",
		},
		"PATH has a link": {
			machine: fakeMachine{path: "/bin", versions: map[string]int{"/keg/16/bin": 16}},
			links:   map[string]string{"/bin/postgres": "/keg/16/bin/postgres"},
			found:   "/keg/16/bin",
		},
		"PATH has an old one": {
			machine: fakeMachine{path: "/opt/pg/bin", versions: map[string]int{
				"/opt/pg/bin": 13, "/usr/lib/postgresql/15/bin": 15,
			}},
			found: "/usr/lib/postgresql/15/bin",
		},
		"Debian's newest": {
			machine: fakeMachine{versions: map[string]int{
				"/usr/lib/postgresql/9.6/bin": 9, "/usr/lib/postgresql/14/bin": 14,
				"/usr/lib/postgresql/16/bin": 16, "/usr/lib/postgresql/15/bin": 15,
			}},
			found: "/usr/lib/postgresql/16/bin",
		},
		"the version of the data": {
			machine: fakeMachine{versions: map[string]int{
				"/usr/lib/postgresql/14/bin": 14, "/usr/lib/postgresql/16/bin": 16,
			}},
			want:  14,
			found: "/usr/lib/postgresql/14/bin",
		},
		"Red Hat's packages": {
			machine: fakeMachine{versions: map[string]int{"/usr/bin": 16}},
			found:   "/usr/bin",
		},
		"Red Hat, from postgresql.org": {
			machine: fakeMachine{versions: map[string]int{"/usr/pgsql-15/bin": 15, "/usr/pgsql-17/bin": 17}},
			found:   "/usr/pgsql-17/bin",
		},
		"Homebrew": {
			machine: fakeMachine{versions: map[string]int{"/opt/homebrew/opt/postgresql@16/bin": 16}},
			found:   "/opt/homebrew/opt/postgresql@16/bin",
		},
		"Homebrew on Intel, unversioned": {
			machine: fakeMachine{versions: map[string]int{"/usr/local/opt/postgresql/bin": 17}},
			found:   "/usr/local/opt/postgresql/bin",
		},
		"Postgres.app": {
			machine: fakeMachine{versions: map[string]int{"/Applications/Postgres.app/Contents/Versions/17/bin": 17}},
			found:   "/Applications/Postgres.app/Contents/Versions/17/bin",
		},
		"download": {
			machine: fakeMachine{downloaded: "/cache/bin", versions: map[string]int{"/cache/bin": 18, "/usr/bin": 13}},
			found:   "/cache/bin",
		},
		"nothing": {
			fails: []string{"no PostgreSQL 14 or newer was found,", "no network", howToInstall},
		},
		"only old ones": {
			machine: fakeMachine{path: "/usr/bin", versions: map[string]int{"/usr/bin": 13}},
			fails:   []string{"(only 13 in ", howToInstall},
		},
		"not the version of the data": {
			machine: fakeMachine{versions: map[string]int{"/usr/bin": 16}},
			want:    15,
			fails:   []string{"no PostgreSQL 15, which made the data,", "(only 16 in "},
		},
		"a download that does not run": {
			machine: fakeMachine{downloaded: "/cache/bin", versions: map[string]int{"/cache/bin": 0}},
			fails:   []string{"does not run here (cannot be run)", howToInstall},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, err := filepath.EvalSymlinks(t.TempDir())
			require.NoError(t, err)
			test.machine.root = root
			for dir := range test.machine.versions {
				require.NoError(t, os.MkdirAll(root+dir, 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(root+dir, "postgres"), nil, 0o600))
				require.NoError(t, os.WriteFile(filepath.Join(root+dir, "initdb"), nil, 0o600))
			}
			for link, target := range test.links {
				require.NoError(t, os.MkdirAll(filepath.Dir(root+link), 0o700))
				require.NoError(t, os.Symlink(root+target, root+link))
			}

			found, err := test.machine.finder().find(t.Context(), test.want)
			if test.fails != nil {
				require.ErrorIs(t, err, ErrNotInstalled)
				requireOneLine(t, err)
				for _, part := range test.fails {
					require.ErrorContains(t, err, part)
				}
				return
			}
			require.NoError(t, err)
			require.Equal(t, binaries{
				postgres: filepath.Join(root+test.found, "postgres"),
				initdb:   filepath.Join(root+test.found, "initdb"),
				major:    test.machine.versions[test.found],
			}, found)
		})
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 16.4\n":                           16,
		"postgres (PostgreSQL) 19devel\n":                        19,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"postgres (PostgreSQL) 9.6.24\n":                         9,
	} {
		got, err := parseVersion(output)
		require.NoError(t, err)
		require.Equal(t, want, got, output)
	}
	_, err := parseVersion("postgres: command not found")
	require.Error(t, err)
}
