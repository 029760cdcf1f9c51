package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever follows a runbook at night types what stands there.
func TestEveryCommandInARunbookExists(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../dashboards/runbooks/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	command := regexp.MustCompile("(?m)(^|`|xargs )millrace ([^`|\n]+)")
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this repository
		require.NoError(t, err)
		for _, line := range command.FindAllStringSubmatch(string(text), -1) {
			found++
			words := strings.Fields(line[2])
			if line[1] == "xargs " {
				words = append(words, "4711")
			}
			requireCommand(t, filepath.Base(file), words)
		}
	}
	require.Greater(t, found, 40)
}

func requireCommand(t *testing.T, file string, words []string) {
	t.Helper()
	line := strings.Join(words, " ")
	cmd, rest, err := root().Find(words)
	require.NoError(t, err, "%s: %s", file, line)
	require.False(t, cmd.HasSubCommands(), "%s: %s names no command", file, line)
	require.NoError(t, cmd.ParseFlags(rest), "%s: %s", file, line)
	require.NoError(t, cmd.Args(cmd, cmd.Flags().Args()), "%s: %s", file, line)
}
