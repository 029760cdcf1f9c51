package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"millrace/internal/apikey"
	"millrace/internal/audit"
	"millrace/internal/fault"
)

const (
	// maxBody bounds a request body, in bytes, unless a kind needs more.
	maxBody = 1 << 20
	// bodyTimeout bounds how long a body may take to arrive.
	bodyTimeout = 10 * time.Second
)

type principalKey struct{}

// principal returns the key that the request was made with.
func principal(ctx context.Context) apikey.Key {
	key, _ := ctx.Value(principalKey{}).(apikey.Key)
	return key
}

func get(path, summary string) huma.Operation  { return operation(http.MethodGet, path, summary) }
func post(path, summary string) huma.Operation { return operation(http.MethodPost, path, summary) }

// callback is a route that a provider calls: what it sends is signed, and holds
// fields that nobody here knows.
func callback(path, summary string) huma.Operation {
	op := post(path, summary)
	op.Tags = []string{"callbacks"}
	op.RejectUnknownQueryParameters = false
	op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	return op
}

func operation(method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: strings.ToLower(method) + strings.NewReplacer("/v1", "", "/", "-", "{", "", "}", "").Replace(path),
		Method:      method, Path: path, Summary: summary,
		Tags:                         []string{tag(path)},
		MaxBodyBytes:                 bodyLimit(maxBody),
		BodyReadTimeout:              bodyTimeout,
		RejectUnknownQueryParameters: true,
		SkipValidateBody:             true, // strictjson and the domains validate, for every door alike
		Errors:                       []int{http.StatusBadRequest},
	}
}

// bodyLimit is how huma is told a limit, in bytes: it refuses a body of exactly what
// it is told.
func bodyLimit(limit int) int64 { return int64(limit) + 1 }

func tag(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 2 && parts[1] == "v1" {
		return parts[2]
	}
	return "server"
}

// register adds an endpoint that wants a key with the scope, and counts its requests.
func register[I, O any](s *Server, api huma.API, op huma.Operation, scope apikey.Scope, endpoint func(context.Context, *I) (*O, error)) {
	op.Security = []map[string][]string{{"apiKey": {string(scope)}}}
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	if strings.Contains(op.Path, "{") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	op.Middlewares = append(op.Middlewares, s.authenticate, s.limit(op, scope), s.authorize(scope))
	open(s, api, op, endpoint)
}

// open adds an endpoint that anybody may call.
func open[I, O any](s *Server, api huma.API, op huma.Operation, endpoint func(context.Context, *I) (*O, error)) {
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := endpoint(ctx, in)
		if err == nil {
			return out, nil
		}
		if ready, ok := errors.AsType[*Error](err); ok {
			return nil, ready
		}
		return nil, s.errorOf(ctx, err)
	})
}

func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	c := humagin.Unwrap(ctx)
	key, err := s.verify(ctx.Context(), ctx.Header("Authorization"))
	if err != nil {
		s.abort(c, s.refusal(ctx.Context(), c.ClientIP(), fault.From(err)))
		return
	}
	requestOf(ctx.Context()).tenant = key.Tenant
	ctx = huma.WithContext(ctx, actAs(ctx.Context(), key.Actor()))
	next(huma.WithValue(ctx, principalKey{}, key))
}

// authorize refuses keys without the scope, and notes in the audit log that it did.
// It stands behind limit: a key that hammers costs no transaction each time.
func (s *Server) authorize(scope apikey.Scope) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		op := ctx.Operation()
		if f := s.unauthorized(ctx.Context(), scope, op.Method+" "+op.Path); f != nil {
			s.abort(humagin.Unwrap(ctx), f)
			return
		}
		next(ctx)
	}
}

// unauthorized is the refusal of a request whose key lacks the scope, which the audit
// log notes with the route; nil when the key has it.
func (s *Server) unauthorized(ctx context.Context, scope apikey.Scope, route string) *fault.Fault {
	key := principal(ctx)
	if key.Has(scope) {
		return nil
	}
	s.recordRefusal(ctx, key.Tenant, audit.Entry{Action: "requested", ResourceType: "route", ResourceID: route}, scope)
	return lacks(scope)
}

func lacks(scope apikey.Scope) *fault.Fault {
	return fault.New(fault.TenantAccessDenied, "This key lacks the scope that the request needs.").With("required_scope", scope)
}

// jsonBody checks what huma leaves open about a body that it hands on raw. limit is
// in bytes.
func jsonBody(contentType, contentEncoding string, body []byte, limit int) error {
	media, _, _ := strings.Cut(contentType, ";")
	switch {
	case !strings.EqualFold(strings.TrimSpace(media), "application/json"):
		return fault.New(fault.UnsupportedMediaType, "Send the body as JSON, with `Content-Type: application/json`.")
	case contentEncoding != "" && !strings.EqualFold(contentEncoding, "identity"):
		return fault.New(fault.UnsupportedMediaType, "Send the body without a Content-Encoding.")
	case len(body) > limit:
		return tooLarge(limit)
	}
	return nil
}
