package api

import (
	"github.com/gin-gonic/gin"

	"millrace/internal/fault"
)

// Engine lets a test add a route that panics.
func (s *Server) Engine() *gin.Engine { return s.engine }

// Status is the table from fault to HTTP status.
func Status(code fault.Code) int { return status(code) }

// SourceOf returns a route that notes whom the server takes the client for.
func (*Server) SourceOf(seen *string) gin.HandlerFunc {
	return func(c *gin.Context) { *seen = c.ClientIP() }
}

// PreferredWait reads wait=N of a Prefer header.
var PreferredWait = preferredWait //nolint:gochecknoglobals // for tests

// CheckKey checks an Idempotency-Key.
var CheckKey = checkKey //nolint:gochecknoglobals // for tests

// PageToken and PagePosition write and read a page token.
var PageToken, PagePosition = pageToken, pagePosition //nolint:gochecknoglobals // for tests

// ETagMatches reads an If-None-Match header.
var ETagMatches = etagMatches //nolint:gochecknoglobals // for tests

// ReadReason is readReason.
func ReadReason(text string) (string, error) { return readReason(text) }
