package devpg

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
)

// loadPassword returns the superuser's password, making one when there is no
// cluster yet. It is on disk before the cluster is, as one without the other is
// of no use.
func (d directory) loadPassword(clusterExists bool) (string, error) {
	content, err := os.ReadFile(d.password())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("devpg: read the password: %w", err)
	}
	if password := strings.TrimSpace(string(content)); password != "" {
		return password, nil
	}
	if clusterExists {
		return "", fmt.Errorf("devpg: the password of the cluster is missing (%s): bring it back, or remove %s to begin anew", d.password(), d)
	}
	password := rand.Text()
	file, err := os.OpenFile(d.password(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("devpg: write the password: %w", err)
	}
	_, writeErr := file.WriteString(password + "\n")
	if err := errors.Join(writeErr, file.Sync(), file.Close()); err != nil {
		return "", fmt.Errorf("devpg: write the password: %w", err)
	}
	return password, nil
}
