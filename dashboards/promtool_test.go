//go:build prometheus

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tool runs a program that comes with Prometheus, and returns what it printed.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	binary, err := exec.LookPath(name)
	require.NoError(t, err, "this test needs %s on the PATH: apt-get install prometheus prometheus-alertmanager, or https://prometheus.io/download", name)
	output, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput() //nolint:gosec // the arguments are our own
	return string(output), err
}

func TestPromtoolTakesTheRules(t *testing.T) {
	t.Parallel()
	output, err := tool(t, "promtool", append([]string{"check", "rules", "--lint-fatal"}, ruleFiles(t)...)...)
	require.NoError(t, err, output)
	output, err = tool(t, "promtool", "check", "config", "prometheus.yml")
	require.NoError(t, err, output)
	for _, file := range ruleFiles(t) {
		require.Contains(t, output, filepath.Base(file), "the example configuration reads every file of rules")
	}
}

func TestPromtoolTestsTheRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("rules/tests/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			output, err := tool(t, "promtool", "test", "rules", file)
			require.NoError(t, err, output)
			require.Contains(t, output, "SUCCESS")
		})
	}
}

// Alertmanager's example sends pages and tickets to where they belong.
func TestAmtoolTakesTheExample(t *testing.T) {
	t.Parallel()
	output, err := tool(t, "amtool", "check-config", "alertmanager.yml")
	require.NoError(t, err, output)
	for severity, receiver := range map[severity]string{page: "on-call", ticket: "tickets"} {
		output, err := tool(t, "amtool", "config", "routes", "test", "--config.file=alertmanager.yml", "severity="+string(severity), "alertname=MillraceNoLeader")
		require.NoError(t, err, output)
		answer := strings.Fields(output)
		require.Equal(t, receiver, answer[len(answer)-1], "the last of what it says")
	}
}
