package devpg

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is who the server runs as. The zero value is the account of this
// process.
type account struct {
	other    bool // another account than that of this process
	uid, gid uint32
}

// chooseAccount returns the account for the cluster in d. PostgreSQL refuses to
// run as root, so root takes the owner of the cluster when there is one, else
// the account that distributions make for PostgreSQL, else nobody.
func chooseAccount(d directory, euid int) (account, error) {
	if euid != 0 {
		return account{}, nil
	}
	info, err := os.Stat(d.data())
	switch {
	case err == nil:
		stat, ok := info.Sys().(*syscall.Stat_t)
		if ok && stat.Uid != 0 {
			return account{other: true, uid: stat.Uid, gid: stat.Gid}, nil
		}
		if major, err := d.major(); err != nil || major != 0 {
			return account{}, errors.Join(err, fmt.Errorf("devpg: %s belongs to root, as whom PostgreSQL refuses to run: chown -R it to another account", d.data()))
		}
	case !errors.Is(err, os.ErrNotExist):
		return account{}, fmt.Errorf("devpg: look at the cluster: %w", err)
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr != nil || gidErr != nil {
			continue
		}
		return account{other: true, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return account{}, errors.New("devpg: PostgreSQL refuses to run as root, and there is no account postgres or nobody to run it as: run millrace as an ordinary user")
}

// attributes make a child run as the account, in a session of its own: neither
// Ctrl-C nor the end of the terminal reaches it.
func (a account) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if a.other {
		attributes.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: []uint32{a.gid}}
	}
	return attributes
}

// own gives a file of ours to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("devpg: give %s to the account that PostgreSQL runs as: %w", path, err)
	}
	return nil
}

// mkdir creates a directory for the account alone.
func (a account) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return fmt.Errorf("devpg: create a directory for the server: %w", err)
	}
	return a.own(path)
}
