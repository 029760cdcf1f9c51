package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// runsOn reports whether the process works in the data directory, as every
// process of a server does. Root without CAP_SYS_PTRACE, as in a container, may
// not see that of other accounts: then every PostgreSQL counts.
func runsOn(_ context.Context, pid int, data string) bool {
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	if errors.Is(err, os.ErrPermission) {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return err == nil && strings.TrimSpace(string(name)) == "postgres"
	}
	if err != nil {
		return false
	}
	ours, err := os.Stat(data)
	return err == nil && os.SameFile(theirs, ours)
}
