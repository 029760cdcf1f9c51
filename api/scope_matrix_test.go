package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/internal/apikey"
	"millrace/internal/jwtauth"
	"millrace/internal/postgres"
)

// anybody marks routes that want no credentials.
const anybody apikey.Scope = ""

// decisions is who may call each route there is. It is written down here once more,
// so that a change of who may do what is a change of this table, and a new route is
// decided about.
func decisions() map[string]apikey.Scope {
	return map[string]apikey.Scope{
		"GET /":                       anybody,
		"GET /docs":                   anybody,
		"GET /docs/*asset":            anybody,
		"GET /healthz":                anybody,
		"GET /openapi.json":           anybody,
		"GET /openapi.yaml":           anybody,
		"GET /openapi-3.0.json":       anybody,
		"GET /openapi-3.0.yaml":       anybody,
		"GET /readyz":                 anybody,
		"GET /ops":                    anybody, // leads to /ops/
		"GET /ops/*path":              apikey.OpsConsole,
		"POST /ops/*path":             apikey.OpsConsole,
		"PUT /ops/*path":              apikey.OpsConsole,
		"PATCH /ops/*path":            apikey.OpsConsole,
		"DELETE /ops/*path":           apikey.OpsConsole,
		"POST /webhooks/resend":       anybody, // the delivery is signed
		"POST /webhooks/stripe":       anybody, // the delivery is signed
		"GET /v1/bookings":            apikey.JobsRead,
		"POST /v1/bookings":           apikey.JobsWrite,
		"GET /v1/bookings/{id}":       apikey.JobsRead,
		"DELETE /v1/bookings/{id}":    apikey.JobsWrite,
		"GET /v1/calendar":            apikey.JobsRead,
		"PUT /v1/calendar":            apikey.JobsWrite,
		"POST /v1/compliance/scan":    apikey.JobsRead,
		"POST /v1/conversations":      apikey.JobsWrite,
		"GET /v1/conversations/{id}":  apikey.JobsRead,
		"GET /v1/jobs":                apikey.JobsRead,
		"POST /v1/jobs":               apikey.JobsWrite,
		"GET /v1/jobs/{id}":           apikey.JobsRead,
		"POST /v1/jobs/{id}/cancel":   apikey.JobsWrite,
		"POST /v1/jobs/{id}/retry":    apikey.JobsWrite,
		"GET /v1/metrics":             apikey.JobsRead,
		"POST /v1/metrics":            apikey.MetricsWrite,
		"GET /v1/metrics/latest":      apikey.JobsRead,
		"GET /v1/metrics/names":       apikey.JobsRead,
		"POST /v1/metrics/rollups":    apikey.JobsWrite,
		"GET /v1/metrics/tags":        apikey.JobsRead,
		"GET /v1/metrics/top":         apikey.JobsRead,
		"GET /v1/payments":            apikey.JobsRead,
		"POST /v1/payments":           apikey.JobsWrite,
		"GET /v1/payments/{id}":       apikey.JobsRead,
		"GET /v1/scores":              apikey.JobsRead,
		"GET /v1/scores/distribution": apikey.JobsRead,
		"GET /v1/scores/{id}":         apikey.JobsRead,
		"POST /v1/scores/rescorings":  apikey.JobsWrite,
		"GET /v1/slots":               apikey.JobsRead,
	}
}

//nolint:gosec // of tests
const (
	tokenSecret   = "0123456789abcdef0123456789abcdef"
	tokenIssuer   = "https://id.example.com/"
	tokenAudience = "millrace"
)

// withTokens lets a site take tokens of an identity provider.
func withTokens(t *testing.T) func(*api.Options) {
	t.Helper()
	return func(o *api.Options) {
		tokens, err := jwtauth.New(jwtauth.Options{
			Issuer: tokenIssuer, Audience: tokenAudience, Secret: tokenSecret, Tenants: apikey.NewTenants(o.DB), Logger: o.Logger,
		})
		require.NoError(t, err)
		o.Tokens = tokens
	}
}

// token is one that is right, apart from what change does.
func token(t *testing.T, tenant string, scopes []apikey.Scope, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": tokenIssuer, "aud": tokenAudience, "sub": "jane.doe@example.com", "exp": time.Now().Add(time.Hour).Unix(), "tenant_id": tenant, "scope": scopes,
	}
	if change != nil {
		change(claims)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(tokenSecret))
	require.NoError(t, err)
	return text
}

// routes returns the routes that the server has, as the contract writes them.
func (s *site) routes() []string {
	var routes []string
	for _, route := range s.server.Engine().Routes() {
		path := route.Path
		if strings.HasPrefix(path, "/v1/") {
			for part := range strings.SplitSeq(path, "/") {
				if name, ok := strings.CutPrefix(part, ":"); ok {
					path = strings.Replace(path, part, "{"+name+"}", 1)
				}
			}
		}
		routes = append(routes, route.Method+" "+path)
	}
	return routes
}

// TestScopeMatrix calls every route with every credential (OWASP API5:2023, Broken
// Function Level Authorization): each is answered exactly where its scope says so.
func TestScopeMatrix(t *testing.T) {
	t.Parallel()
	s := newSite(t, withTokens(t))
	require.ElementsMatch(t, keysOf(decisions()), s.routes(), "each route is decided about in decisions()")

	type credential struct {
		scopes []apikey.Scope
		valid  bool
	}
	credentials := map[string]credential{
		"": {}, "nonsense": {}, "mrk_nonsense": {}, s.expiredKey(): {}, s.revokedKey(): {},
		token(t, "alice", apikey.Scopes(), func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() }): {},
		token(t, "alice", apikey.Scopes(), func(c jwt.MapClaims) { c["aud"] = "other" }):                           {},
		token(t, "nobody", apikey.Scopes(), nil):                                                                   {},
		token(t, "alice", nil, nil):                                                                                {nil, true},
		token(t, "alice", apikey.Scopes(), nil):                                                                    {apikey.Scopes(), true},
		s.key("alice", apikey.Scopes()...):                                                                         {apikey.Scopes(), true},
		token(t, "alice", []apikey.Scope{"*"}, nil):                                                                {nil, true},
	}
	for _, scope := range apikey.Scopes() {
		only := []apikey.Scope{scope}
		credentials[s.key("alice", scope)] = credential{only, true}
		credentials[token(t, "alice", only, nil)] = credential{only, true}
	}
	for route, scope := range decisions() {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(route, " ")
			path = strings.NewReplacer("{id}", "1", "*asset", "", "*path", "api/states").Replace(path)
			for presented, c := range credentials {
				a := s.do(request{method: method, path: path, key: presented, body: map[bool]string{true: "{", false: ""}[method == "POST" || method == "PUT"]})
				has := false
				for _, own := range c.scopes {
					has = has || own == scope
				}
				switch {
				case scope == anybody || c.valid && has:
					require.NotContains(t, []int{401, 403}, a.status, "%v: %s", c, a.text)
				case !c.valid:
					require.Equal(t, 401, a.status, a.text)
					require.Equal(t, "AUTH_REQUIRED", a.code())
				default:
					require.Equal(t, 403, a.status, "%v: %s", c, a.text)
					require.Equal(t, "TENANT_ACCESS_DENIED", a.code())
					require.Equal(t, string(scope), a.at("details", "required_scope"))
				}
			}
		})
	}
}

func TestTheContractTellsTheScopes(t *testing.T) {
	t.Parallel()
	for route, op := range newSite(t).operations() {
		scope, decided := decisions()[route]
		require.True(t, decided, route)
		if scope == anybody {
			require.Empty(t, op.Security, route)
			continue
		}
		require.Equal(t, []map[string][]string{{"apiKey": {string(scope)}}}, op.Security, route)
	}
}

type operation struct {
	Security    []map[string][]string
	RequestBody *struct{ Content map[string]any }
}

// operations returns the contract's operations by route.
func (s *site) operations() map[string]operation {
	s.t.Helper()
	var contract struct {
		Paths map[string]map[string]operation
	}
	a := s.do(request{method: "GET", path: "/openapi.json"})
	require.NoError(s.t, json.Unmarshal([]byte(a.text), &contract))
	operations := map[string]operation{}
	for path, methods := range contract.Paths {
		for method, op := range methods {
			operations[strings.ToUpper(method)+" "+path] = op
		}
	}
	require.NotEmpty(s.t, operations)
	return operations
}

// bodies returns the routes that take JSON from clients.
func bodies(s *site) (doors []request) {
	for route, op := range s.operations() {
		method, path, _ := strings.Cut(route, " ")
		if op.RequestBody != nil && strings.HasPrefix(path, "/v1/") {
			doors = append(doors, request{method: method, path: strings.ReplaceAll(path, "{id}", "1")})
		}
	}
	require.NotEmpty(s.t, doors)
	return doors
}

func keysOf[V any](m map[string]V) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

func (s *site) expiredKey() string {
	s.t.Helper()
	soon := time.Now().Add(time.Hour)
	expired, key, err := apikey.Create(s.t.Context(), s.owner, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes(), ExpiresAt: &soon}, time.Now())
	require.NoError(s.t, err)
	_, err = s.login.Exec(s.t.Context(), "UPDATE api_keys SET expires_at = now() WHERE id = $1", expired.ID)
	require.NoError(s.t, err)
	return key.Reveal()
}

func (s *site) revokedKey() string {
	s.t.Helper()
	revoked, key, err := apikey.Create(s.t.Context(), s.owner, apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(s.t, err)
	require.NoError(s.t, apikey.Revoke(s.t.Context(), s.owner, revoked.ID, time.Now()))
	return key.Reveal()
}

// A token reaches its tenant's rows and no other's, and leaves who it is of to the
// actor of the transaction, as a hash.
func TestATokenActsForItsTenant(t *testing.T) {
	t.Parallel()
	s := newSite(t, withTokens(t))
	write := []apikey.Scope{apikey.JobsWrite, apikey.JobsRead}
	alice, mallory := token(t, "alice", write, nil), token(t, "mallory", write, nil)
	a := s.pay(alice, "k", charge)
	require.Equal(t, 202, a.status, a.text)
	location := a.header.Get("Location")
	require.Equal(t, 200, s.do(request{method: "GET", path: location, key: s.alice}).status, "the tenant's keys see it")
	require.Equal(t, 404, s.do(request{method: "GET", path: location, key: mallory}).status)
	require.NotContains(t, s.logs.String(), "jane.doe")

	_, err := s.login.Exec(t.Context(), `CREATE TABLE seen (actor text); GRANT INSERT ON seen TO PUBLIC;
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_setting('millrace.actor', true)); RETURN NULL; END $$;
		CREATE TRIGGER see AFTER UPDATE ON river_job FOR EACH STATEMENT EXECUTE FUNCTION see()`)
	require.NoError(t, err)
	require.Equal(t, 200, s.do(request{method: "POST", path: location + "/cancel", key: alice}).status)
	var actor postgres.Actor
	var text string
	require.NoError(t, s.login.QueryRow(t.Context(), "SELECT actor FROM seen LIMIT 1").Scan(&text))
	require.NoError(t, json.Unmarshal([]byte(text), &actor))
	require.Regexp(t, `^jwt:sha256-[0-9a-f]{16}$`, actor.Name)
}

func TestWithoutAnIdentityProviderTokensAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.do(request{method: "GET", path: "/v1/jobs", key: token(t, "alice", apikey.Scopes(), nil)})
	require.Equal(t, 401, a.status)
	b := s.do(request{method: "GET", path: "/v1/jobs"})
	delete(a.body, "request_id")
	delete(b.body, "request_id")
	require.Equal(t, b.body, a.body)
}
