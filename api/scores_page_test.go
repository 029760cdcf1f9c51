package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/satisfaction"
)

// The page for those who are scored is about the model that scores them.
func TestTheScoreIsExplained(t *testing.T) {
	t.Parallel()
	got := newSite(t).do(request{method: "GET", path: "/docs/scores"})
	require.Equal(t, http.StatusOK, got.status, got.text)
	require.Equal(t, "text/html; charset=utf-8", got.header.Get("Content-Type"))
	require.Contains(t, got.header.Get("Content-Security-Policy"), "default-src 'none'")
	file := satisfaction.Default().File()
	require.Contains(t, got.text, "version "+file.Version)
	speaksFor, speaksAgainst := satisfaction.Default().Influences()
	require.Greater(t, len(speaksFor), 10)
	require.Greater(t, len(speaksAgainst), 10)
	for _, influence := range append(speaksFor, speaksAgainst...) {
		require.Contains(t, got.text, strings.ReplaceAll(influence.Text, "'", "&#39;"))
	}
	for _, source := range file.Trained {
		require.NotEmpty(t, source.About)
		require.Contains(t, got.text, source.About)
	}
}
