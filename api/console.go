package api

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"

	"millrace/internal/apikey"
	"millrace/internal/fault"
	"millrace/internal/ratelimit"
)

// ConsolePath is where the operators' console is, with everything below.
const ConsolePath = "/ops"

// consolePolicy lets River UI run its own scripts and talk to this server, and
// nothing else. Its parts make styles as they go.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; font-src 'self'" +
	"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Console is the operators' console.
type Console interface {
	// Serve answers a request under /ops/ that an operator made, who is the actor of
	// its context, or returns the fault to answer with.
	Serve(w http.ResponseWriter, r *http.Request) error
}

// consoleRoutes adds the console. It is no part of the contract: its requests are
// between River UI's pages and River UI.
func (s *Server) consoleRoutes() {
	if s.opts.Console == nil {
		return
	}
	serve := s.console()
	s.engine.GET(ConsolePath, func(c *gin.Context) { c.Redirect(http.StatusFound, ConsolePath+"/") })
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		s.engine.Handle(method, ConsolePath+"/*path", serve)
	}
}

func (s *Server) console() gin.HandlerFunc {
	// A browser adds the operator's name and key by itself, whichever page has it
	// ask: those of other sites may not have it change anything.
	foreign := http.NewCrossOriginProtection()
	return func(c *gin.Context) {
		if err := foreign.Check(c.Request); err != nil {
			s.abortConsole(c, fault.New(fault.TenantAccessDenied, "A page of another site sent this request; the console takes changes from its own pages only.").With("reason", "CROSS_SITE").Because(err))
			return
		}
		ctx, err := s.authenticateOperator(c)
		if err != nil {
			s.abortConsole(c, fault.From(err))
			return
		}
		c.Request = c.Request.WithContext(ctx)
		take := ratelimit.Take{Class: ratelimit.Writes}
		if c.Request.Method == http.MethodGet {
			take.Class = ratelimit.Reads
		}
		if err := s.count(ctx, take); err != nil {
			s.abortConsole(c, fault.From(err))
			return
		}
		if f := s.unauthorized(ctx, apikey.OpsConsole, c.Request.Method+" "+c.FullPath()); f != nil {
			s.abortConsole(c, f)
			return
		}
		c.Header("Content-Security-Policy", consolePolicy)
		if err := s.opts.Console.Serve(uncached{c.Writer}, c.Request); err != nil {
			s.abortConsole(c, fault.From(err))
		}
	}
}

// uncached keeps answers out of caches where http.Error takes the header away, as it
// does on the way to a page that no file is there for.
type uncached struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w uncached) WriteHeader(status int) {
	w.Header().Set("Cache-Control", "no-store")
	w.ResponseWriter.WriteHeader(status)
}

// authenticateOperator returns the request's context with the operator's key as its
// principal and actor.
func (s *Server) authenticateOperator(c *gin.Context) (context.Context, error) {
	ctx := c.Request.Context()
	authorization, name := operatorsCredentials(c.GetHeader("Authorization"))
	key, err := s.verify(ctx, authorization)
	if err != nil {
		return nil, s.refusal(ctx, c.ClientIP(), fault.From(err))
	}
	requestOf(ctx).tenant = key.Tenant
	actor := key.Actor()
	if name != "" {
		actor += " operator:" + name
	}
	return context.WithValue(actAs(ctx, actor), principalKey{}, key), nil
}

// operatorName is what a user name must look like to be noted: no e-mail address
// gets into the audit log.
var operatorName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`)

// operatorsCredentials makes of a browser's credentials (Basic, RFC 7617), of which
// the password is a key, what others send, and returns the name that came with them.
// The name is whatever the person typed.
func operatorsCredentials(authorization string) (as, name string) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return authorization, ""
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", ""
	}
	name, password, _ := strings.Cut(string(text), ":")
	if !operatorName.MatchString(name) {
		name = ""
	}
	return "Bearer " + password, name
}

// consoleError says it twice: as every answer of ours, and as River UI reads it.
type consoleError struct {
	*Error

	Text string `json:"message"`
}

func (s *Server) abortConsole(c *gin.Context, f *fault.Fault) {
	e := s.errorOf(c.Request.Context(), f)
	maps.Copy(c.Writer.Header(), e.headers)
	if f.Code == fault.AuthRequired {
		// A browser asks for a name and a password then.
		c.Writer.Header().Set("WWW-Authenticate", `Basic realm="millrace operators", charset="UTF-8", Bearer realm="millrace"`)
	}
	c.AbortWithStatusJSON(e.status, consoleError{e, e.Message})
}
