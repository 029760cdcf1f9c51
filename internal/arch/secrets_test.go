//go:build lintconfig

package arch_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSecretsAreFound plants secrets where the configuration makes exceptions and
// where it makes none: an exception must hide what it is for and nothing else.
func TestSecretsAreFound(t *testing.T) {
	t.Parallel()
	tool := os.Getenv("GITLEAKS")
	require.NotEmpty(t, tool, "GITLEAKS names the tool: run make check-secrets")
	lower := func(n int) string { return strings.ToLower(rand.Text() + rand.Text() + rand.Text())[:n] }
	var random [30]byte
	_, _ = rand.Read(random[:])
	secrets := map[string]string{ // made up here, or this file would be a finding
		"stripe-access-token":    "sk_live_" + rand.Text()[:24],
		"millrace-api-key":       "mrk_" + lower(16) + "_" + lower(52),
		"webhook-signing-secret": "whsec_" + base64.StdEncoding.EncodeToString(random[:24]),
		"resend-api-key":         "re_" + rand.Text()[:8] + "_" + rand.Text()[:24],
		"github-pat":             "ghp_" + hex.EncodeToString(random[:18]),
		"private-key":            "-----BEGIN RSA " + "PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(random[:]), 5))) + "\n-----END RSA " + "PRIVATE KEY-----",
	}
	files := []string{"main.go", ".env", "docs/x.md", "internal/config/config_test.go", "internal/telemetry/telemetry_test.go", "internal/arch/imports_test.go", "api/testdata/x.json", "deploy.yaml"}
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".gitleaks.toml"), read(t, ".gitleaks.toml"))
	for _, file := range files {
		var text strings.Builder
		for name, secret := range secrets {
			text.WriteString("// " + name + "\nvalue = \"" + secret + "\"\n\n")
		}
		write(t, filepath.Join(dir, file), text.String())
	}
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.CommandContext(t.Context(), tool, "dir", ".", "--no-banner", "--redact", "--exit-code=7", "--report-format=json", "--report-path="+report) //nolint:gosec // the Makefile's tool
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, string(output))
	require.Equal(t, 7, exit.ExitCode(), string(output))
	text, err := os.ReadFile(report) //nolint:gosec // of this test
	require.NoError(t, err)
	var findings []struct{ RuleID, File string }
	require.NoError(t, json.Unmarshal(text, &findings))
	found := map[string]bool{}
	for _, finding := range findings {
		found[filepath.ToSlash(finding.File)+" "+finding.RuleID] = true
	}
	for _, file := range files {
		for name := range secrets {
			require.True(t, found[file+" "+name], "%s in %s is not found", name, file)
		}
	}
}
