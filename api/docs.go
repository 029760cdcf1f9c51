package api

import (
	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

// docs serves Swagger UI from the program itself: it needs nothing from elsewhere.
func (s *Server) docs() gin.HandlerFunc {
	page := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: "Millrace", SwaggerJSON: "/openapi.json", BasePath: "/docs",
		SettingsUI: map[string]string{"persistAuthorization": "true", "docExpansion": `"list"`, "defaultModelsExpandDepth": "0"},
	})
	return func(c *gin.Context) {
		switch c.Request.URL.Path {
		case scoresPage:
			explainScores(c)
			return
		case metricsPage:
			drawMetrics(c)
			return
		}
		// The page's own scripts and styles are inline; nothing may come from another origin.
		c.Header("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'")
		page.ServeHTTP(c.Writer, c.Request)
	}
}
