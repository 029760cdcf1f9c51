// Package jwtauth checks JSON Web Tokens of an identity provider (RFC 7519, with
// the advice of RFC 8725) and makes of them what package apikey makes of a key: a
// tenant with scopes.
package jwtauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"millrace/internal/apikey"
	"millrace/internal/telemetry"
)

// Defaults and bounds.
const (
	DefaultTenantClaim = "tenant_id"
	DefaultScopesClaim = "scope"
	// MinSecret is how long a secret is at least, in bytes (RFC 7518, section 3.2).
	MinSecret = 32
	// Leeway is how much clocks may differ.
	Leeway = 30 * time.Second
	// maxToken bounds a token, in bytes.
	maxToken = 8 << 10
)

// Options configures New.
type Options struct {
	// Issuer and Audience are what a token's iss must be and its aud must have. Required.
	Issuer, Audience string
	// JWKSURL is where the issuer's public keys are (RFC 7517). Exactly one of
	// JWKSURL and Secret is required.
	JWKSURL string
	// Secret is what the issuer signs with by HS256, of at least MinSecret bytes.
	Secret telemetry.Secret
	// TenantClaim and ScopesClaim say which claims hold the tenant and the scopes;
	// dots lead into objects (app_metadata.tenant_id).
	// Default DefaultTenantClaim and DefaultScopesClaim.
	TenantClaim, ScopesClaim string
	// Tenants knows the tenants. Required.
	Tenants *apikey.Tenants
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger is required.
	Logger *slog.Logger
}

// Verifier checks tokens. It may be used by many goroutines at once.
type Verifier struct {
	opts   Options
	parser *jwt.Parser
	keys   *keySet // nil with a secret
}

// New returns a verifier. It asks the issuer for nothing yet.
func New(opts Options) (*Verifier, error) {
	switch {
	case opts.Issuer == "" || opts.Audience == "" || opts.Tenants == nil || opts.Logger == nil:
		return nil, errors.New("jwtauth: Issuer, Audience, Tenants and Logger are required")
	case (opts.JWKSURL == "") == (opts.Secret == ""):
		return nil, errors.New("jwtauth: exactly one of JWKSURL and Secret is required")
	case opts.Secret != "" && len(opts.Secret) < MinSecret:
		return nil, errors.New("jwtauth: Secret must have at least 32 bytes")
	}
	if opts.TenantClaim == "" {
		opts.TenantClaim = DefaultTenantClaim
	}
	if opts.ScopesClaim == "" {
		opts.ScopesClaim = DefaultScopesClaim
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	v := &Verifier{opts: opts}
	// What a token may be signed by follows from what is configured, never from the
	// token alone: a public key is no secret for HS256 (RFC 8725, section 2.1).
	methods := []string{jwt.SigningMethodHS256.Alg()}
	if opts.JWKSURL != "" {
		v.keys = newKeySet(opts)
		methods = asymmetric()
	}
	v.parser = jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithIssuer(opts.Issuer), jwt.WithAudience(opts.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(Leeway), jwt.WithTimeFunc(opts.Now), jwt.WithStrictDecoding())
	return v, nil
}

// Verify returns what a token stands for, as a key that has an ID of its own form.
// The fault is AUTH_REQUIRED, the same whatever is wrong with the token, or
// UNAVAILABLE when nothing could be asked that is needed to tell.
func (v *Verifier) Verify(ctx context.Context, token string) (apikey.Key, error) {
	if len(token) > maxToken {
		return v.refuse(ctx, "too long")
	}
	claims := jwt.MapClaims{}
	if _, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) { return v.key(ctx, t) }); err != nil {
		if lost, ok := errors.AsType[*noKeysError](err); ok {
			return apikey.Key{}, lost.fault()
		}
		return v.refuse(ctx, reason(err))
	}
	tenant, _ := claim(claims, v.opts.TenantClaim).(string)
	rules, found, err := v.opts.Tenants.Rules(ctx, tenant)
	switch {
	case err != nil:
		return apikey.Key{}, err
	case !found:
		return v.refuse(ctx, "no tenant of ours")
	case rules.Shredded:
		return v.refuse(ctx, "the tenant is shredded")
	}
	subject, _ := claims.GetSubject()
	if subject == "" {
		return v.refuse(ctx, "no subject")
	}
	return apikey.Key{ID: apikey.TokenPrefix + pseudonym(subject), Tenant: tenant, Scopes: scopes(claim(claims, v.opts.ScopesClaim)), Rules: rules}, nil
}

func (v *Verifier) key(ctx context.Context, token *jwt.Token) (any, error) {
	// Extensions that a token calls critical are not understood (RFC 7515, section 4.1.11).
	if _, critical := token.Header["crit"]; critical {
		return nil, errRefused
	}
	if v.keys == nil {
		return []byte(v.opts.Secret.Reveal()), nil
	}
	kid, isText := token.Header["kid"].(string)
	if _, given := token.Header["kid"]; given && !isText {
		return nil, errRefused
	}
	return v.keys.find(ctx, kid, token.Method.Alg())
}

var errRefused = errors.New("jwtauth: refused")

// refuse tells the operator, and nobody else, what was wrong.
func (v *Verifier) refuse(ctx context.Context, why string) (apikey.Key, error) {
	v.opts.Logger.DebugContext(ctx, "jwtauth: a token is refused", slog.String("reason", why))
	return apikey.Key{}, apikey.Refused()
}

// reason puts the library's error into words that hold nothing of the token.
func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "not a token"
	case errors.Is(err, jwt.ErrTokenExpired):
		return "expired"
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "from the future"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return "another issuer"
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "another audience"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "a claim is missing: iss, aud or exp"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "wrong signature or algorithm"
	default:
		return "no key for it"
	}
}

// claim follows a dotted path into claims.
func claim(claims map[string]any, path string) any {
	var value any = claims
	for name := range strings.SplitSeq(path, ".") {
		var members map[string]any
		switch v := value.(type) {
		case jwt.MapClaims:
			members = v
		case map[string]any:
			members = v
		}
		value = members[name]
	}
	return value
}

// scopes reads a text of scopes with spaces between them (RFC 6749, section 3.3) or
// an array of texts. Scopes that are not ours are for others and mean nothing here.
func scopes(value any) []apikey.Scope {
	var names []string
	switch v := value.(type) {
	case string:
		names = strings.Fields(v)
	case []any:
		for _, name := range v {
			if text, ok := name.(string); ok {
				names = append(names, text)
			}
		}
	}
	return slices.DeleteFunc(apikey.Scopes(), func(scope apikey.Scope) bool { return !slices.Contains(names, string(scope)) })
}

// pseudonym returns a subject that is a UUID as it is, and of any other the start
// of its SHA-256 in hexadecimal: it may be an e-mail address, and is written to logs.
func pseudonym(subject string) string {
	if id, err := uuid.Parse(subject); err == nil && len(subject) == 36 {
		return id.String()
	}
	hash := sha256.Sum256([]byte(subject))
	return "sha256-" + hex.EncodeToString(hash[:8])
}
