package api

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"
)

// apiPolicy is the Content-Security-Policy of everything that is no page: a browser
// that is made to show it loads and runs nothing. Pages set their own.
const apiPolicy = "default-src 'none'; frame-ancestors 'none'"

// secure sets the security headers that every answer has (OWASP REST Security Cheat
// Sheet), before anything else may answer.
func (s *Server) secure(c *gin.Context) {
	header := c.Writer.Header()
	header.Set("Content-Security-Policy", apiPolicy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	// Over plain HTTP browsers ignore it, and an attacker could send it (RFC 6797,
	// section 7.2).
	if s.overTLS(c) {
		header.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// overTLS reports whether the client's connection is encrypted: with this server,
// or with a trusted proxy in front that says so.
func (s *Server) overTLS(c *gin.Context) bool {
	if c.Request.TLS != nil {
		return true
	}
	if !strings.EqualFold(c.GetHeader("X-Forwarded-Proto"), "https") {
		return false
	}
	remote, err := netip.ParseAddr(c.RemoteIP())
	if err != nil {
		return false
	}
	for _, proxy := range s.opts.TrustedProxies {
		if proxy.Contains(remote.Unmap()) {
			return true
		}
	}
	return false
}

// trust makes Gin believe the trusted proxies about the client's address, and
// nobody when there are none; by default it believes anybody.
func (s *Server) trust(engine *gin.Engine) error {
	var proxies []string
	for _, proxy := range s.opts.TrustedProxies {
		proxies = append(proxies, proxy.String())
	}
	engine.RemoteIPHeaders = []string{"X-Forwarded-For"}
	return engine.SetTrustedProxies(proxies)
}

// shareWith lets pages of the origins call the API (the Fetch standard's CORS
// protocol). Credentials that a browser adds by itself are not used here, so none
// are allowed; a page sends its Authorization header itself. A preflight has no
// credentials, so it is answered before they are looked for.
func shareWith(origins []string) gin.HandlerFunc {
	policy := cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Prefer", "X-Request-Id"},
		ExposedHeaders: []string{
			"ETag", "Idempotent-Replayed", "Location", "Preference-Applied", "Retry-After", "X-Request-Id",
			"RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
		},
		MaxAge: 600, // seconds
	})
	return func(c *gin.Context) {
		if path := c.Request.URL.Path; path == ConsolePath || strings.HasPrefix(path, ConsolePath+"/") {
			c.Next() // no other page may read what operators see
			return
		}
		policy.HandlerFunc(c.Writer, c.Request)
		if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
			c.Abort()
			c.Writer.WriteHeaderNow()
		}
	}
}
