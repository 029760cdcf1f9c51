package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

const docsPath = "/docs"

// docs serves Swagger UI from the program itself: it needs nothing from elsewhere.
func (s *Server) docs() gin.HandlerFunc {
	page := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: "Millrace", SwaggerJSON: "/openapi.json", BasePath: docsPath,
		SettingsUI: map[string]string{"persistAuthorization": "true", "docExpansion": `"list"`, "defaultModelsExpandDepth": "0"},
	})
	policy := docsPolicy(page)
	return func(c *gin.Context) {
		switch c.Request.URL.Path {
		case scoresPage:
			explainScores(c)
			return
		case metricsPage:
			drawMetrics(c)
			return
		}
		c.Header("Content-Security-Policy", policy)
		page.ServeHTTP(c.Writer, c.Request)
	}
}

// docsPolicy lets the page run the scripts that it came with and talk to this
// server, and nothing else: it remembers the reader's key. Swagger UI makes styles
// of its own as it goes.
func docsPolicy(page http.Handler) string {
	var text document
	page.ServeHTTP(&text, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: docsPath}, Header: http.Header{}})
	return "default-src 'none'; script-src 'self' " + sourceHashes(text.String(), "script") + "; style-src 'self' 'unsafe-inline'" +
		"; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// document is an answer that is looked at instead of sent.
type document struct {
	strings.Builder

	header http.Header
}

// Header implements http.ResponseWriter.
func (d *document) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}

// WriteHeader implements http.ResponseWriter.
func (*document) WriteHeader(int) {}
