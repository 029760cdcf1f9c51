package api

import (
	"github.com/gin-gonic/gin"

	"millrace/internal/fault"
)

// Engine lets a test add a route that panics.
func (s *Server) Engine() *gin.Engine { return s.engine }

// Status is the table from fault to HTTP status.
func Status(code fault.Code) int { return status(code) }

// ReadReason is readReason.
func ReadReason(text string) (string, error) { return readReason(text) }
