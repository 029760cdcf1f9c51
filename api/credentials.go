package api

import (
	"context"
	"strings"

	"millrace/internal/apikey"
)

// Tokens checks tokens of an identity provider, and returns what stands for one as
// a key with an ID of its own form. The error is an AUTH_REQUIRED fault, the same
// whatever is wrong, or UNAVAILABLE.
type Tokens interface {
	Verify(ctx context.Context, token string) (apikey.Key, error)
}

// verify returns whom the value of an Authorization header stands for.
func (s *Server) verify(ctx context.Context, authorization string) (apikey.Key, error) {
	presented := bearer(authorization)
	if s.opts.Tokens == nil || presented == "" || apikey.IsKey(presented) {
		return s.keys.Verify(ctx, presented)
	}
	return s.opts.Tokens.Verify(ctx, presented)
}

// bearer takes the credentials out of an Authorization header (RFC 6750, section
// 2.1; the scheme's case does not matter, RFC 9110, section 11.1). It returns "" for
// any other scheme.
func bearer(authorization string) string {
	scheme, credentials, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(credentials)
}
