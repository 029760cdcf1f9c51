package devpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// reach returns a path under which a program that runs as the account, and that
// inherits the returned file as descriptor inheritedDirectory, can use dir.
//
// That is dir itself, unless the account may not pass through one of its
// parents, as below a home directory of mode 0700. Linux then offers another
// way: /proc/self/fd/N leads to an open directory without a look at its
// parents. PostgreSQL is content with it, and unlike the capability
// CAP_DAC_READ_SEARCH it opens no other directory to the server, and is there
// in containers too.
func (a account) reach(ctx context.Context, dir string) (path string, inherit *os.File, err error) {
	if !a.other {
		return dir, nil, nil
	}
	if a.enters(ctx, dir, nil) {
		return dir, nil, nil
	}
	if runtime.GOOS == "linux" {
		file, err := os.Open(dir) //nolint:gosec // our own directory
		if err != nil {
			return "", nil, fmt.Errorf("devpg: open the directory of the server: %w", err)
		}
		path := fmt.Sprintf("/proc/self/fd/%d", inheritedDirectory)
		if a.enters(ctx, path, file) {
			return path, file, nil
		}
		_ = file.Close() // nothing was written through it
	}
	return "", nil, fmt.Errorf("devpg: the account that PostgreSQL runs as cannot reach %s: set MILLRACE_HOME to a directory whose parents everybody may enter, such as /var/lib/millrace", dir)
}

// enters tries instead of reasoning about modes, access lists and the like.
func (a account) enters(ctx context.Context, path string, directory *os.File) bool {
	probe := exec.CommandContext(ctx, shell, "-c", `cd "$1" && test -r . && test -w .`, "devpg", path) //nolint:gosec // a fixed script
	probe.Dir = "/"
	probe.Env = childEnvironment()
	probe.SysProcAttr = a.attributes()
	if directory != nil {
		probe.ExtraFiles = []*os.File{inheritedLock - 3: nil, inheritedDirectory - 3: directory}
	}
	return probe.Run() == nil
}
