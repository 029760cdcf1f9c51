package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("runbooks/*.md")
	require.NoError(t, err)
	var written []string
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); name != "README" && name != "kinds" {
			written = append(written, name)
		}
	}
	require.ElementsMatch(t, alertNames(), written)
}

func TestEveryRunbookHelps(t *testing.T) {
	t.Parallel()
	known := known(t)
	boards := regexp.MustCompile(`\bmillrace-[a-z-]+\b`)
	for _, name := range append(alertNames(), "README", "kinds") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(filepath.Join("runbooks", name+".md")) //nolint:gosec // a file of this package
			require.NoError(t, err)
			text := string(content)
			for _, metric := range regexp.MustCompile(`\b(?:[a-z]+:)?millrace_[a-z0-9_:]+`).FindAllString(text, -1) {
				if roles := []string{"millrace_owner", "millrace_worker", "millrace_intake"}; slices.Contains(roles, metric) {
					continue
				}
				require.Contains(t, known, base(known, metric), "no process exports and no rule records %s", metric)
			}
			for _, query := range regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(text, -1) {
				for line := range strings.Lines(query[1]) {
					requireAsks(t, known, strings.TrimSpace(line))
				}
			}
			for _, link := range regexp.MustCompile(`\]\(([A-Za-z]+\.md)`).FindAllStringSubmatch(text, -1) {
				require.FileExists(t, filepath.Join("runbooks", link[1]))
			}
			for _, board := range boards.FindAllString(text, -1) {
				require.Contains(t, []string{
					"millrace-overview", "millrace-queue", "millrace-kind", "millrace-intake", "millrace-workers", "millrace-payments-mails", "millrace-database",
				}, board)
			}
			if name == "README" || name == "kinds" {
				return
			}
			require.True(t, strings.HasPrefix(text, "# "+name+"\n"))
			at := 0
			for _, part := range []string{"\n## Look\n", "\n## Mend\n", "\n## Mended when\n", "\n## What makes it come back\n"} {
				next := strings.Index(text, part)
				require.Greater(t, next, at, part)
				at = next
			}
			require.Contains(t, text, "Dashboard", "where one looks first")
			require.Contains(t, text, "```promql\n", "what one asks")
		})
	}
}
