package config_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/config"
)

func intake(extra ...string) []string {
	return append([]string{"DATABASE_URL=postgres://u:hunter2@h/db"}, extra...)
}

func TestAccessIsClosedByDefault(t *testing.T) {
	t.Parallel()
	got, err := config.Load[config.Intake](intake())
	require.NoError(t, err)
	require.Empty(t, got.TrustedProxies)
	require.Empty(t, got.Origins)
	require.Empty(t, got.CertFile)
	require.Equal(t, config.JWT{TenantClaim: "tenant_id", ScopesClaim: "scope"}, got.JWT)
}

func TestAccessIsRead(t *testing.T) {
	t.Parallel()
	got, err := config.Load[config.Intake](intake("TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.7,2001:db8::/32", "CORS_ORIGINS=https://app.example.com, http://localhost:3000",
		"TLS_CERT_FILE=a.pem", "TLS_KEY_FILE=b.pem", "JWT_ISSUER=https://id.example.com/", "JWT_AUDIENCE=millrace", "JWT_JWKS_URL=https://id.example.com/jwks"))
	require.NoError(t, err)
	require.Equal(t, config.Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}, got.TrustedProxies)
	require.Equal(t, config.Origins{"https://app.example.com", "http://localhost:3000"}, got.Origins)
	for _, url := range []string{"http://127.0.0.1:9/jwks", "http://localhost/jwks", "http://[::1]/jwks"} {
		_, err = config.Load[config.Intake](intake("JWT_ISSUER=i", "JWT_AUDIENCE=a", "JWT_JWKS_URL="+url))
		require.NoError(t, err, url)
	}
	dev, err := config.Load[config.Dev]([]string{"JWT_ISSUER=i", "JWT_AUDIENCE=a", "JWT_SECRET=hunter2hunter2hunter2hunter2hunt"})
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", dev, dev, dev), "hunter2")
}

func TestAccessThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	jwt := func(extra ...string) []string {
		return intake(append([]string{"JWT_ISSUER=i", "JWT_AUDIENCE=a"}, extra...)...)
	}
	for _, c := range []struct {
		variable string
		environ  []string
	}{
		{"TRUSTED_PROXIES", intake("TRUSTED_PROXIES=hunter2")},
		{"TRUSTED_PROXIES", intake("TRUSTED_PROXIES=0.0.0.0/0")},
		{"TRUSTED_PROXIES", intake("TRUSTED_PROXIES=10.0.0.0/8,::/0")},
		{"TRUSTED_PROXIES", intake("TRUSTED_PROXIES=10.0.0.0/8,")},
		{"TRUSTED_PROXIES", intake("TRUSTED_PROXIES=::ffff:10.0.0.0/104")},
		{"CORS_ORIGINS", intake("CORS_ORIGINS=*")},
		{"CORS_ORIGINS", intake("CORS_ORIGINS=null")},
		{"CORS_ORIGINS", intake("CORS_ORIGINS=https://*.hunter2.example")},
		{"CORS_ORIGINS", intake("CORS_ORIGINS=https://app.example.com/")},
		{"CORS_ORIGINS", intake("CORS_ORIGINS=https://App.example.com")},
		{"CORS_ORIGINS", intake("CORS_ORIGINS=app.example.com")},
		{"CORS_ORIGINS", intake("CORS_ORIGINS=https://u:hunter2@app.example.com")},
		{"TLS_KEY_FILE", intake("TLS_CERT_FILE=a.pem")},
		{"TLS_CERT_FILE", intake("TLS_KEY_FILE=a.pem")},
		{"JWT_ISSUER", intake("JWT_AUDIENCE=a", "JWT_JWKS_URL=https://id.example.com")},
		{"JWT_AUDIENCE", intake("JWT_ISSUER=i", "JWT_JWKS_URL=https://id.example.com")},
		{"JWT_JWKS_URL", jwt()},
		{"JWT_JWKS_URL", jwt("JWT_JWKS_URL=http://id.example.com/hunter2")},
		{"JWT_JWKS_URL", jwt("JWT_JWKS_URL=ftp://id.example.com/")},
		{"JWT_JWKS_URL", jwt("JWT_JWKS_URL=https://u:hunter2@id.example.com/")},
		{"JWT_SECRET", jwt("JWT_SECRET=hunter2")},
		{"JWT_SECRET", jwt("JWT_SECRET=hunter2hunter2hunter2hunter2hunt", "JWT_JWKS_URL=https://id.example.com")},
		{"JWT_TENANT_CLAIM", jwt("JWT_JWKS_URL=https://id.example.com", "JWT_TENANT_CLAIM=app_metadata..tenant_id")},
		{"JWT_SCOPES_CLAIM", jwt("JWT_JWKS_URL=https://id.example.com", "JWT_SCOPES_CLAIM=.scope")},
	} {
		_, err := config.Load[config.Intake](c.environ)
		require.ErrorContains(t, err, c.variable, c.environ)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
