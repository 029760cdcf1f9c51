package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"millrace/internal/telemetry"
)

// Access configures who may call the API beside API keys' holders, and from where.
type Access struct {
	JWT

	// TrustedProxies are believed about a client's address and its use of TLS.
	TrustedProxies Proxies `env:"TRUSTED_PROXIES"`
	// Origins are those of the web pages that may call the API.
	Origins Origins `env:"CORS_ORIGINS"`
}

// JWT configures tokens of an identity provider. They are taken when Issuer is set.
type JWT struct {
	Issuer      string           `env:"JWT_ISSUER"`
	Audience    string           `env:"JWT_AUDIENCE"`
	JWKSURL     string           `env:"JWT_JWKS_URL"`
	Secret      telemetry.Secret `env:"JWT_SECRET"`
	TenantClaim string           `env:"JWT_TENANT_CLAIM" envDefault:"tenant_id"`
	ScopesClaim string           `env:"JWT_SCOPES_CLAIM" envDefault:"scope"`
}

// minJWTSecret is how long JWT_SECRET is at least, in bytes (RFC 7518, section 3.2).
const minJWTSecret = 32

func tokens(j JWT) error {
	if j.Issuer == "" && j.Audience == "" && j.JWKSURL == "" && j.Secret == "" {
		return nil
	}
	var problems []error
	refuse := func(is bool, problem string) {
		if is {
			problems = append(problems, errors.New(problem))
		}
	}
	refuse(j.Issuer == "", "JWT_ISSUER is not set; it is the iss of the tokens, exactly")
	refuse(j.Audience == "", "JWT_AUDIENCE is not set; it is what the aud of the tokens has for this server")
	refuse(j.JWKSURL == "" && j.Secret == "", "JWT_JWKS_URL is not set, nor is JWT_SECRET; one of them says how tokens are signed")
	refuse(j.JWKSURL != "" && j.Secret != "", "JWT_SECRET is set beside JWT_JWKS_URL; tokens are signed in one way only")
	refuse(j.JWKSURL != "" && !private(j.JWKSURL), "JWT_JWKS_URL is wrong: it is an https URL (http on this machine) such as https://id.example.com/.well-known/jwks.json")
	refuse(j.Secret != "" && len(j.Secret) < minJWTSecret, "JWT_SECRET is too short: it has at least 32 bytes")
	for name, path := range map[string]string{"JWT_TENANT_CLAIM": j.TenantClaim, "JWT_SCOPES_CLAIM": j.ScopesClaim} {
		refuse(path == "" || strings.Contains("."+path+".", ".."), name+" is wrong: it is a claim such as tenant_id or app_metadata.tenant_id")
	}
	return errors.Join(problems...)
}

// private reports whether nobody on the way can change what a URL answers.
func private(text string) bool {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.User != nil {
		return false
	}
	host := parsed.Hostname()
	ip := net.ParseIP(host)
	return parsed.Scheme == "https" || (parsed.Scheme == "http" && (host == "localhost" || (ip != nil && ip.IsLoopback())))
}

// TLS names the files of the API's certificate, in PEM, and of its key; without
// them the API is served over plain HTTP.
type TLS struct {
	CertFile string `env:"TLS_CERT_FILE"`
	KeyFile  string `env:"TLS_KEY_FILE"`
}

func certificate(t TLS) error {
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		return errors.New("TLS_KEY_FILE is not set; it goes with TLS_CERT_FILE")
	case t.CertFile == "" && t.KeyFile != "":
		return errors.New("TLS_CERT_FILE is not set; it goes with TLS_KEY_FILE")
	}
	return nil
}

// Proxies are ranges of addresses, written "10.0.0.0/8,192.0.2.7".
type Proxies []netip.Prefix

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Proxies) UnmarshalText(text []byte) error {
	var all Proxies
	for entry := range strings.SplitSeq(string(text), ",") {
		entry = strings.TrimSpace(entry)
		prefix, err := netip.ParsePrefix(entry)
		if err != nil {
			address, err := netip.ParseAddr(entry)
			if err != nil || address.Zone() != "" {
				return errors.New("names no range of addresses")
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		// Who trusts everybody lets clients choose their address.
		if prefix.Bits() == 0 || prefix.Addr().Is4In6() {
			return errors.New("names too many addresses")
		}
		all = append(all, prefix.Masked())
	}
	*p = all
	return nil
}

// Origins are those of web pages, written "https://app.example.com,https://x.example".
type Origins []string

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Origins) UnmarshalText(text []byte) error {
	var all Origins
	for entry := range strings.SplitSeq(string(text), ",") {
		entry = strings.TrimSpace(entry)
		parsed, err := url.Parse(entry)
		// An origin is a scheme, a host and a port (RFC 6454), and compared as a text.
		if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Hostname() == "" || strings.Contains(entry, "*") ||
			entry != parsed.Scheme+"://"+parsed.Host || entry != strings.ToLower(entry) {
			return errors.New("names no origin")
		}
		all = append(all, entry)
	}
	*o = all
	return nil
}
