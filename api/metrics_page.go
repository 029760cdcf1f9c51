package api

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
)

// metricsPage is where a person looks at metrics without any other tool.
const metricsPage = "/docs/metrics"

//go:embed metrics_page.html
var metricsPageHTML string

// metricsPagePolicy lets the page run its own script and style and talk to this
// server, and nothing else.
//
//nolint:gochecknoglobals // computed once, of what is embedded
var metricsPagePolicy = sync.OnceValue(func() string {
	return "default-src 'none'; script-src " + sourceHashes(metricsPageHTML, "script") + "; style-src " + sourceHashes(metricsPageHTML, "style") +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
})

// sourceHashes is how a Content-Security-Policy names the texts of a page's inline
// elements of a kind (CSP level 3, section 2.3.1).
func sourceHashes(page, element string) string {
	var hashes []string
	for {
		_, after, found := strings.Cut(page, "<"+element+">")
		if !found {
			return strings.Join(hashes, " ")
		}
		var text string
		text, page, _ = strings.Cut(after, "</"+element+">")
		hash := sha256.Sum256([]byte(text))
		hashes = append(hashes, "'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'")
	}
}

func drawMetrics(c *gin.Context) {
	c.Header("Content-Security-Policy", metricsPagePolicy())
	c.Data(http.StatusOK, "text/html; charset=utf-8", []byte(metricsPageHTML))
}
