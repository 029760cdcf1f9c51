package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/workers"
)

// Texts say up to which number jobs of a queue and state are counted.
func TestTextsNameTheCapOfDepths(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("grafana/*.json")
	require.NoError(t, err)
	found := 0
	for _, file := range append(files, "README.md") {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this package
		require.NoError(t, err)
		for _, says := range regexp.MustCompile(`(?:[Aa]t most|counted up to) ([\d,]+)`).FindAllStringSubmatch(string(text), -1) {
			n, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSuffix(says[1], ","), ",", ""))
			require.NoError(t, err)
			require.Equal(t, workers.DepthCap, n, "%s: %s", file, says[0])
			found++
		}
	}
	require.Positive(t, found)
}
