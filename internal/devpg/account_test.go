package devpg

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	return int(stat.Uid)
}

// TestParentsThatNobodyMayEnter has the data below a directory of mode 0700. For
// root, whose server runs as another account, that is the hard case; everybody
// else owns the directory.
func TestParentsThatNobodyMayEnter(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	dir := directory(filepath.Join(closed, "postgres"))
	server := newServer(t, Options{Dir: string(dir)})
	require.Equal(t, "127.0.0.1", query(t, server.URL(DefaultDatabase), "SELECT host(inet_server_addr())"))

	require.Equal(t, os.Geteuid(), ownerOf(t, dir.password()))
	if os.Geteuid() != 0 {
		require.Equal(t, os.Geteuid(), ownerOf(t, dir.data()))
		return
	}
	require.NotZero(t, ownerOf(t, dir.data()))
	info, err := os.Stat(closed)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "the directory must not be opened up")
}

// TestOrdinaryUser runs a server as nobody when the tests run as root, and as
// the user of the tests otherwise.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	executable, err := os.Executable()
	require.NoError(t, err)
	nobody := account{}
	if os.Geteuid() == 0 {
		executable = copyForEverybody(t, executable)
		nobody, err = chooseAccount(directory(t.TempDir()), 0)
		require.NoError(t, err)
	}
	owner := startHelper(t, "", func(command *exec.Cmd) {
		command.Path, command.Args = executable, []string{executable}
		command.Dir = "/"
		command.Env = append(command.Env, "TMPDIR="+os.TempDir())
		if nobody.other {
			command.SysProcAttr.Credential = nobody.attributes().Credential
		}
	})
	owner.expect(t, "starting")
	url := owner.expect(t, "ready")
	data := query(t, url, "SELECT current_setting('data_directory')")
	if nobody.other {
		require.Equal(t, int(nobody.uid), ownerOf(t, filepath.Join(filepath.Dir(data), "password")))
	}
	owner.stop(t)
	require.NoDirExists(t, data)
}

// copyForEverybody puts an executable where other accounts can run it: what
// t.TempDir returns is below a directory that is closed to them.
func copyForEverybody(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devpg-test-") //nolint:usetesting // the reason is above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // likewise
	copied := filepath.Join(dir, "owner")
	// By another process: a program that this one wrote cannot be run while a
	// child of another test holds the open file for a moment.
	require.NoError(t, exec.CommandContext(t.Context(), "cp", path, copied).Run()) //nolint:gosec // likewise
	require.NoError(t, os.Chmod(copied, 0o755))                                    //nolint:gosec // likewise
	return copied
}

func TestChooseAccount(t *testing.T) {
	t.Parallel()
	ordinary, err := chooseAccount(directory(t.TempDir()), 1000)
	require.NoError(t, err)
	require.Equal(t, account{}, ordinary)

	root, err := chooseAccount(directory(t.TempDir()), 0)
	require.NoError(t, err)
	require.True(t, root.other)
	require.NotZero(t, root.uid)

	dir := directory(t.TempDir())
	require.NoError(t, os.Mkdir(dir.data(), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir.data(), "PG_VERSION"), []byte("15\n"), 0o600))
	if os.Geteuid() == 0 {
		_, err = chooseAccount(dir, 0)
		requireOneLine(t, err)
		require.ErrorContains(t, err, "chown")
		require.NoError(t, os.Chown(dir.data(), 12345, 12346))
	}
	owner, err := chooseAccount(dir, 0)
	require.NoError(t, err)
	require.Equal(t, ownerOf(t, dir.data()), int(owner.uid))
}

func TestReachSaysWhatToDo(t *testing.T) {
	t.Parallel()
	stranger := account{other: true, uid: 12345, gid: 12345}
	// For root because the directory is closed to the account, for others
	// because they may not change to it.
	_, _, err := stranger.reach(t.Context(), t.TempDir())
	requireOneLine(t, err)
	require.ErrorContains(t, err, "MILLRACE_HOME")
	require.True(t, strings.HasPrefix(err.Error(), "devpg: "))
}
