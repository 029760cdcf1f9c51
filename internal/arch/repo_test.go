// Package arch_test holds the tests of the tree's own rules: who may import
// whom, what a program links, what a new kind touches, and that every path
// that is written down exists.
package arch_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// root returns the repository's directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "go.mod"))
	return dir
}

// read returns a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), path)) //nolint:gosec // a path that the test names
	require.NoError(t, err)
	return string(text)
}

// write puts a file into a temporary tree.
func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// goTool runs the go command in the repository and returns what it printed.
func goTool(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	var printed bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", args...) //nolint:gosec // arguments that the test names
	cmd.Dir = root(t)
	cmd.Stdout, cmd.Stderr = &printed, &printed
	err = cmd.Run()
	return printed.String(), err
}
