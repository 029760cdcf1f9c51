//go:build lintconfig

package arch_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// breach is imports that a rule forbids, each in each of the files.
type breach struct{ files, imports []string }

// breaches lists by rule what the design forbids.
func breaches() map[string]breach {
	return map[string]breach{
		"cmd": {
			files:   []string{"api/*.go", "internal/payment/*.go"},
			imports: []string{"millrace/cmd/worker"},
		},
		"api": {
			files:   []string{"api/*.go", "api/*_test.go"},
			imports: []string{"millrace/workers"},
		},
		"workers": {
			files:   []string{"workers/*.go", "workers/*_test.go"},
			imports: []string{"millrace/api"},
		},
		"jobs": {
			files:   []string{"jobs/*.go", "jobs/*_test.go"},
			imports: []string{"millrace/api", "millrace/internal/intake", "millrace/workers"},
		},
		"wiring": {
			files: []string{"api/*.go", "jobs/*.go", "workers/*.go"},
			imports: []string{
				"millrace/internal/config", "millrace/internal/program/intakeserver",
				"millrace/internal/console", "millrace/internal/jwtauth", "millrace/internal/resendhook", "millrace/internal/resendmail", "millrace/internal/stripehook", "millrace/internal/stripepay",
			},
		},
		"domains": {
			files: []string{"internal/apikey/*.go", "internal/brandnew/*.go", "internal/conversation/*.go", "internal/payment/*.go", "internal/rollup/*.go"},
			imports: []string{
				"millrace/api", "millrace/internal/booking", "millrace/internal/intake", "millrace/jobs", "millrace/workers",
			},
		},
		"domain-tests": {
			files:   []string{"internal/payment/*_test.go"},
			imports: []string{"millrace/api", "millrace/jobs", "millrace/workers"},
		},
		"leaves": {
			files: []string{
				"internal/fault/*.go", "internal/money/*.go", "internal/phi/*.go", "internal/postgres/*.go", "internal/ratelimit/*.go",
				"internal/satisfaction/*.go", "internal/seal/*.go", "internal/strictjson/*.go", "internal/telemetry/*.go",
			},
			imports: []string{"millrace/internal/payment", "millrace/internal/postgres"},
		},
		"fault": {
			files:   []string{"internal/fault/*.go", "internal/money/*.go", "internal/phi/*.go", "internal/satisfaction/*.go"},
			imports: []string{"millrace/internal/fault", "millrace/internal/telemetry"},
		},
		"adapters": {
			files: []string{"internal/jwtauth/*.go", "internal/resendhook/*.go", "internal/resendmail/*.go", "internal/stripehook/*.go", "internal/stripepay/*.go"},
			imports: []string{
				"millrace/api", "millrace/internal/config", "millrace/internal/intake",
				"millrace/internal/program", "millrace/jobs", "millrace/workers",
			},
		},
		"intake": {
			files:   []string{"internal/intake/*.go"},
			imports: []string{"millrace/api", "millrace/workers"},
		},
		"console": {
			files:   []string{"internal/console/*.go"},
			imports: []string{"millrace/api", "millrace/internal/config", "millrace/internal/program", "millrace/workers"},
		},
		"gin": {
			files:   []string{"cmd/intake/*.go", "internal/payment/*.go", "internal/security/*_test.go", "workers/*.go"},
			imports: []string{"github.com/danielgtaylor/huma/v2", "github.com/gin-gonic/gin"},
		},
		"river": {
			files:   []string{"api/*.go", "cmd/worker/*.go", "internal/payment/*.go"},
			imports: []string{"github.com/riverqueue/river", "github.com/riverqueue/river/riverdriver/riverpgxv5"},
		},
		"riverui": {
			files:   []string{"api/*.go", "internal/intake/*.go", "workers/*.go"},
			imports: []string{"riverqueue.com/riverui"},
		},
		"stripe": {
			files:   []string{"api/*.go", "internal/payment/*.go", "internal/sandbox/*.go", "workers/*_test.go"},
			imports: []string{"github.com/stripe/stripe-go/v76", "github.com/stripe/stripe-go/v76/webhook"},
		},
		"stripehook": {
			files:   []string{"internal/stripehook/*.go"},
			imports: []string{"github.com/stripe/stripe-go/v76/client", "github.com/stripe/stripe-go/v76/paymentintent"},
		},
		"resend": {
			files:   []string{"cmd/worker/*.go", "internal/payment/*.go", "workers/*_test.go"},
			imports: []string{"github.com/resend/resend-go/v2"},
		},
		"jwt": {
			files:   []string{"api/*.go", "cmd/intake/*.go", "internal/apikey/*.go"},
			imports: []string{"github.com/MicahParks/jwkset", "github.com/golang-jwt/jwt/v5"},
		},
		"redis": {
			files:   []string{"api/*.go", "cmd/intake/*.go", "internal/redistest/*.go"},
			imports: []string{"github.com/redis/go-redis/v9"},
		},
		"tracing": {
			files:   []string{"api/*.go", "internal/intake/*.go", "workers/*.go"},
			imports: []string{"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp", "go.opentelemetry.io/otel/sdk/trace"},
		},
		"otel-global": {
			files:   []string{"api/*.go", "internal/telemetry/*.go", "workers/*_test.go"},
			imports: []string{"go.opentelemetry.io/otel"},
		},
		"tink": {
			files:   []string{"cmd/millrace/*.go", "internal/payment/*.go", "internal/postgres/*.go"},
			imports: []string{"github.com/tink-crypto/tink-go/v2/aead"},
		},
		"sentry": {
			files:   []string{"api/*.go", "cmd/worker/*.go", "internal/program/*.go", "workers/*_test.go"},
			imports: []string{"github.com/getsentry/sentry-go", "github.com/getsentry/sentry-go/slog"},
		},
	}
}

// rightful lists imports that the design wants, by file.
func rightful() map[string][]string {
	return map[string][]string{
		"api/*.go":                      {"github.com/danielgtaylor/huma/v2", "github.com/gin-gonic/gin", "millrace/internal/intake", "millrace/internal/payment", "millrace/jobs"},
		"cmd/intake/*.go":               {"millrace/internal/config", "millrace/internal/program"},
		"internal/config/*.go":          {"millrace/jobs"},
		"internal/console/*.go":         {"github.com/riverqueue/river", "millrace/internal/intake", "millrace/jobs", "riverqueue.com/riverui"},
		"internal/conversation/*.go":    {"millrace/internal/fault", "millrace/internal/phi", "millrace/internal/postgres", "millrace/internal/satisfaction"},
		"internal/intake/*.go":          {"github.com/riverqueue/river", "millrace/jobs"},
		"internal/jwtauth/*.go":         {"github.com/MicahParks/jwkset", "github.com/golang-jwt/jwt/v5", "millrace/internal/apikey"},
		"internal/payment/*.go":         {"millrace/internal/fault", "millrace/internal/money", "millrace/internal/postgres", "millrace/internal/seal"},
		"internal/payment/*_test.go":    {"millrace/internal/dbtest", "millrace/internal/payment"},
		"internal/postgres/*.go":        {"millrace/internal/fault", "millrace/internal/seal"},
		"internal/program/*.go":         {"millrace/api", "millrace/internal/stripehook", "millrace/internal/stripepay", "millrace/workers"},
		"internal/ratelimit/*.go":       {"github.com/redis/go-redis/v9", "millrace/internal/fault"},
		"internal/resendhook/*.go":      {"millrace/internal/booking"},
		"internal/resendmail/*.go":      {"github.com/resend/resend-go/v2", "millrace/internal/booking"},
		"internal/rollup/*.go":          {"millrace/internal/fault", "millrace/internal/postgres", "millrace/internal/strictjson"},
		"internal/seal/*.go":            {"github.com/tink-crypto/tink-go/v2/aead", "millrace/internal/fault"},
		"internal/sandbox/some_test.go": {"github.com/stripe/stripe-go/v76"},
		"internal/security/*_test.go":   {"millrace/api", "millrace/internal/program/intakeserver", "millrace/jobs", "millrace/workers"},
		"internal/strictjson/*.go":      {"millrace/internal/fault"},
		"internal/telemetry/*.go":       {"github.com/getsentry/sentry-go", "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp", "go.opentelemetry.io/otel/sdk/trace", "millrace/internal/fault"},
		"internal/stripehook/*.go":      {"github.com/stripe/stripe-go/v76", "github.com/stripe/stripe-go/v76/webhook", "millrace/internal/payment"},
		"internal/stripepay/*.go":       {"github.com/stripe/stripe-go/v76", "millrace/internal/payment"},
		"internal/stripepay/*_test.go":  {"github.com/stripe/stripe-mock/server", "millrace/internal/sandbox"},
		"jobs/*.go":                     {"github.com/riverqueue/river", "millrace/internal/payment", "millrace/internal/strictjson"},
		"migrations/*.go":               {"github.com/riverqueue/river"},
		"workers/*.go":                  {"go.opentelemetry.io/otel/trace", "github.com/riverqueue/river", "millrace/internal/payment", "millrace/jobs"},
		"workers/*_test.go":             {"go.opentelemetry.io/otel/sdk/trace", "millrace/internal/sandbox", "millrace/internal/stripepay"},
	}
}

// TestLinterRefusesForbiddenImports runs the linter's import rules over a
// module in which each of them is broken, next to imports that are right.
func TestLinterRefusesForbiddenImports(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	write(t, filepath.Join(dir, "go.mod"), "module millrace\n\ngo 1.26\n")
	write(t, filepath.Join(dir, ".golangci.yaml"), read(t, ".golangci.yaml"))
	imports := map[string]string{} // by file
	// plant writes a file into a folder of its own, where it makes no cycle. What
	// it imports need not exist: these rules look at the text.
	plant := func(pattern, imported string) (file string) {
		if strings.Contains(pattern, "*") {
			pattern = path.Join(path.Dir(pattern), fmt.Sprintf("planted%d", len(imports)), path.Base(pattern))
		}
		file = strings.ReplaceAll(pattern, "*", "planted")
		write(t, filepath.Join(dir, file), fmt.Sprintf("package planted\n\nimport _ %q\n", imported))
		imports[file] = imported
		return file
	}
	expected := map[string]string{} // rule by file
	for rule, breach := range breaches() {
		for _, pattern := range breach.files {
			for _, imported := range breach.imports {
				expected[plant(pattern, imported)] = rule
			}
		}
	}
	for pattern, list := range rightful() {
		for _, imported := range list {
			plant(pattern, imported)
		}
	}

	for rule, prefixes := range importRules(t) {
		for _, prefix := range prefixes {
			require.True(t, slices.ContainsFunc(breaches()[rule].imports, func(imported string) bool {
				return strings.HasPrefix(imported+"$", prefix)
			}), "breaches() shows what the rule %s refuses of %s", rule, prefix)
		}
	}
	found := depguard(t, dir)
	for file, imported := range imports {
		if rule, ok := expected[file]; ok {
			require.Contains(t, found[file], rule, "%s imports %s", file, imported)
		} else {
			require.Empty(t, found[file], "%s imports %s", file, imported)
		}
	}
}

// importRules returns the prefixes that each rule denies.
func importRules(t *testing.T) map[string][]string {
	t.Helper()
	var config struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						Deny []struct{ Pkg string }
					}
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, ".golangci.yaml")), &config))
	rules := map[string][]string{}
	for name, rule := range config.Linters.Settings.Depguard.Rules {
		require.NotEmpty(t, rule.Deny, name)
		for _, deny := range rule.Deny {
			rules[name] = append(rules[name], deny.Pkg)
		}
	}
	require.NotEmpty(t, rules)
	return rules
}

// depguard runs the linter and returns the rules that it found broken, by file.
func depguard(t *testing.T, dir string) map[string][]string {
	t.Helper()
	linter := os.Getenv("GOLANGCI_LINT")
	require.NotEmpty(t, linter, "GOLANGCI_LINT names the linter: run make check-imports")
	cmd := exec.CommandContext(t.Context(), linter, "run", "--enable-only=depguard", "--allow-parallel-runners", //nolint:gosec // the Makefile's linter
		"--issues-exit-code=0", "--show-stats=false", "--output.json.path=stdout", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=off", "GOWORK=off", "GOLANGCI_LINT_CACHE="+t.TempDir())
	output, err := cmd.Output()
	require.NoError(t, err, string(output))
	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	require.NoError(t, json.Unmarshal(output, &report), string(output))
	found := map[string][]string{}
	for _, issue := range report.Issues {
		require.Equal(t, "depguard", issue.FromLinter, issue.Text)
		rule := regexp.MustCompile(`not allowed from list '([^']+)'`).FindStringSubmatch(issue.Text)
		require.NotNil(t, rule, issue.Text)
		found[issue.Pos.Filename] = append(found[issue.Pos.Filename], rule[1])
	}
	return found
}
