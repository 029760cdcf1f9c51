package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page that draws metrics runs its own script and no other, and keeps the key
// to itself.
func TestMetricsAreDrawn(t *testing.T) {
	t.Parallel()
	got := newSite(t).do(request{method: "GET", path: "/docs/metrics"})
	require.Equal(t, http.StatusOK, got.status, got.text)
	require.Equal(t, "text/html; charset=utf-8", got.header.Get("Content-Type"))

	policy := got.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'; ")
	require.Contains(t, policy, "connect-src 'self'; ")
	require.NotContains(t, policy, "unsafe")
	for _, element := range []string{"script", "style"} {
		inline := regexp.MustCompile(`(?s)<`+element+`\b[^>]*>(.*?)</`+element+`>`).FindAllStringSubmatch(got.text, -1)
		require.Len(t, inline, 1, element)
		hash := sha256.Sum256([]byte(inline[0][1]))
		require.Contains(t, policy, element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"';")
	}
	require.NotRegexp(t, `(?i)https?:|="?//|\bstyle=|\bon[a-z]+=|javascript:`, got.text, "nothing from elsewhere, nothing that the policy refuses")
	require.NotRegexp(t, `(?i)innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b`, got.text, "what the API answers is text")
	require.NotRegexp(t, `(?i)localStorage|sessionStorage|indexedDB|cookie|location|history\.`, got.text, "the key is kept nowhere")
}
