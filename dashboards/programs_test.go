package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"millrace/internal/config"
	"millrace/internal/program/intakeserver"
	"millrace/internal/program/workerpool"
	"millrace/internal/telemetry"
)

// nowhere is a database that refuses every connection at once.
const nowhere = "postgres://nobody@127.0.0.1:1/none"

// metrics returns the names of the metrics that intake and worker register, each
// with its labels. It runs the real programs, so that nothing here repeats their
// wiring: on a context that has ended they wire everything, and stop.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	logger := slog.New(slog.DiscardHandler)

	intake := telemetry.NewRegistry("test")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, intakeserver.Run(ended, intakeserver.Options{DatabaseURL: nowhere, Listener: listener, Logger: logger, Registry: intake}))

	worker := telemetry.NewRegistry("test")
	require.NoError(t, workerpool.Run(ended, workerpool.Options{
		DatabaseURL: nowhere, Stripe: config.Stripe{Key: "sk_test_x"},
		Resend: config.Resend{ResendKey: "re_x", EmailFrom: "bookings@acme.example"}, Logger: logger, Registry: worker,
	}),
		"a worker that is stopped before it could begin ends in good order")

	found := map[string][]string{}
	for _, registry := range []*prometheus.Registry{intake, worker} {
		// A vector without children gathers nothing, but describes itself.
		described := make(chan *prometheus.Desc)
		go func() {
			defer close(described)
			registry.Describe(described)
		}()
		for desc := range described {
			if name, labels := parse(t, desc); strings.HasPrefix(name, "millrace_") {
				found[name] = labels
			}
		}
	}
	require.NotEmpty(t, found)
	return found
}

// parse reads a description's text, which is the only way to its name.
func parse(t *testing.T, desc *prometheus.Desc) (name string, labels []string) {
	t.Helper()
	parts := regexp.MustCompile(`^Desc\{fqName: "(\w+)", help: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`).FindStringSubmatch(desc.String())
	require.Len(t, parts, 4, "client_golang writes its descriptions in another way: %s", desc)
	for _, constant := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(parts[2], -1) {
		labels = append(labels, constant[1])
	}
	if parts[3] != "" {
		labels = append(labels, strings.Split(parts[3], ",")...)
	}
	return parts[1], labels
}

// documented is a row of the README's table of metrics.
type documented struct {
	kind   string
	labels []string
}

// documentation reads the table of metrics in the README.
func documentation(t *testing.T) map[string]documented {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	found := map[string]documented{}
	for _, cells := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (counter|gauge|histogram) \\|([^|]*)\\| (.+) \\|$").FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, found, cells[1], "listed twice")
		row := documented{kind: cells[2]}
		for _, label := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[3], -1) {
			row.labels = append(row.labels, label[1])
		}
		found[cells[1]] = row
	}
	require.NotEmpty(t, found)
	return found
}

func TestTheReadmeListsEveryMetric(t *testing.T) {
	t.Parallel()
	registered, listed := metrics(t), documentation(t)
	for name, labels := range registered {
		row, ok := listed[name]
		require.True(t, ok, "%s is missing in README.md", name)
		slices.Sort(labels)
		slices.Sort(row.labels)
		require.Equal(t, labels, row.labels, "labels of %s", name)
	}
	for name := range listed {
		require.Contains(t, registered, name, "README.md lists what no program registers")
	}
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, name := range regexp.MustCompile(`\bmillrace_\w+`).FindAllString(string(text), -1) {
		_, ok := registered[base(registered, name)]
		require.True(t, ok || strings.HasSuffix(name, "_"), "README.md speaks of %s", name)
	}
}
