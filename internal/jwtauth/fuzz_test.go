package jwtauth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/internal/apikey"
	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/jwtauth"
	"millrace/internal/postgres"
)

// Whatever a token holds, and even when its signature is right: it is refused in the
// one way, or stands for the tenant that there is with scopes that there are.
func FuzzVerify(f *testing.F) {
	db := dbtest.New(f)
	_, _, err := apikey.Create(f.Context(), db.Tenancy(f, postgres.Owner), apikey.Request{Tenant: "alice", Scopes: apikey.Scopes()}, time.Now())
	require.NoError(f, err)
	now := time.Unix(1_800_000_000, 0)
	verifier, err := jwtauth.New(jwtauth.Options{
		Issuer: issuer, Audience: audience, Secret: secret, TenantClaim: "app.tenant", Now: func() time.Time { return now }, Logger: dbtest.Logger(f),
		Tenants: apikey.NewTenants(db.Tenancy(f, postgres.Intake)),
	})
	require.NoError(f, err)
	claims := func(tenant, scope string) string {
		return fmt.Sprintf(`{"iss":%q,"aud":[%q],"sub":%q,"exp":1800003600,"app":{"tenant":%s},"scope":%s}`, issuer, audience, subject, tenant, scope)
	}
	f.Add(`{"alg":"HS256","typ":"JWT"}`, claims(`"alice"`, `"jobs:read"`), true)
	f.Add(`{"alg":"HS256"}`, claims(`"ALICE"`, `["jobs:read",1]`), true)
	f.Add(`{"alg":"HS256"}`, claims(`{"x":1}`, `null`), true)
	f.Add(`{"alg":"none"}`, claims(`"alice"`, `"jobs:read"`), false)
	f.Add(`{"alg":"HS256","crit":["b64"],"b64":false}`, claims(`"alice"`, `"jobs:read"`), true)
	f.Add(`{"alg":"HS256"}`, `{"exp":1e400}`, true)
	f.Fuzz(func(t *testing.T, header, payload string, authentic bool) {
		token := b64([]byte(header)) + "." + b64([]byte(payload))
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write([]byte(token))
		signature := mac.Sum(nil)
		if !authentic {
			signature[0] ^= 1
		}
		key, err := verifier.Verify(t.Context(), token+"."+b64(signature))
		if err != nil {
			require.Zero(t, key)
			require.Equal(t, fault.AuthRequired, fault.From(err).Code)
			return
		}
		require.True(t, authentic)
		require.Equal(t, "alice", key.Tenant)
		require.True(t, strings.HasPrefix(key.ID, apikey.TokenPrefix))
		for _, scope := range key.Scopes {
			require.True(t, slices.Contains(apikey.Scopes(), scope))
		}
	})
}
