package jwtauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"

	"millrace/internal/fault"
)

const (
	// askTimeout bounds one request for the keys, and so the wait of a request that
	// needs a key which is not known yet.
	askTimeout = 3 * time.Second
	// askEvery is how often the issuer is asked at most, whatever tokens come.
	askEvery = 10 * time.Second
	// freshFor is after which keys are asked for again while they are used, and so
	// how long a withdrawn key may still be good.
	freshFor = 5 * time.Minute
	// goodFor is after which keys that nobody used are asked for before they are used.
	goodFor = time.Hour

	maxKeySet = 256 << 10 // bytes
	maxKeys   = 100
	minRSA    = 2048 // bits (RFC 7518, section 3.3)
)

// keySet is an issuer's keys, read when they are needed. Keys that were read stay
// good while the issuer cannot be asked.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time
	logger *slog.Logger
	flight singleflight.Group
	// timeout is askTimeout; a test has another.
	timeout time.Duration

	mu    sync.Mutex
	keys  []key
	read  time.Time // zero while no keys were ever read
	asked time.Time
}

type key struct {
	id, alg string
	public  any
}

func newKeySet(opts Options) *keySet {
	// Who answers for a redirect is not who was configured.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &keySet{url: opts.JWKSURL, client: client, now: opts.Now, logger: opts.Logger, timeout: askTimeout}
}

// noKeysError says that no keys were ever read, so that nothing is known of any token.
type noKeysError struct{}

func (*noKeysError) Error() string { return "jwtauth: the issuer's keys could not be read" }

func (e *noKeysError) fault() *fault.Fault {
	return fault.New(fault.Unavailable, "Tokens cannot be checked at the moment; try again shortly.").After(askEvery).Because(e)
}

// find returns the public key of an id for an algorithm. A token without an id is
// for the only key of a set.
func (s *keySet) find(ctx context.Context, id, alg string) (any, error) {
	keys, age, mayAsk := s.state()
	found := pick(keys, id, alg)
	switch {
	case found != nil && age < freshFor, !mayAsk:
	case found != nil && age < goodFor:
		s.ask(ctx) // nobody waits for it
	default:
		select {
		case <-s.ask(ctx):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		keys, age, _ = s.state()
		found = pick(keys, id, alg)
	}
	switch {
	case age < 0:
		return nil, &noKeysError{}
	case found == nil:
		return nil, errRefused
	}
	return found, nil
}

// state returns the keys, their age (negative when none were ever read), and
// whether the issuer may be asked again.
func (s *keySet) state() (keys []key, age time.Duration, mayAsk bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	age = -1
	if !s.read.IsZero() {
		age = max(now.Sub(s.read), 0)
	}
	return s.keys, age, s.asked.IsZero() || now.Sub(s.asked) >= askEvery
}

func pick(keys []key, id, alg string) any {
	if id == "" && len(keys) > 1 {
		return nil
	}
	for _, k := range keys {
		if (id == "" || k.id == id) && (k.alg == "" || k.alg == alg) && fits(k.public, alg) {
			return k.public
		}
	}
	return nil
}

// ask reads the keys anew, once for all who ask at the same time. The channel gets
// a value when that is done, whatever came of it.
func (s *keySet) ask(ctx context.Context) <-chan singleflight.Result {
	return s.flight.DoChan("", func() (any, error) {
		if _, _, mayAsk := s.state(); !mayAsk { // since the caller looked, others have asked
			return nil, nil //nolint:nilnil // the keys are where the caller finds them
		}
		// It must not end with the request that began it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		keys, err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = s.now()
		if err != nil {
			s.logger.WarnContext(ctx, "jwtauth: the issuer's keys cannot be read", slog.Any("error", err))
			return nil, err
		}
		s.keys, s.read = keys, s.asked
		return nil, nil //nolint:nilnil // the keys are where the caller finds them
	})
}

func (s *keySet) fetch(ctx context.Context) ([]key, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("jwtauth: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("jwtauth: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("jwtauth: the issuer answered %d", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("jwtauth: %w", err)
	}
	if len(text) > maxKeySet {
		return nil, fmt.Errorf("jwtauth: the key set has more than %d bytes", maxKeySet)
	}
	return parse(text)
}

// parse reads a key set. Keys that cannot be used are left out, as the issuer may
// have them for others; a set without any that can is an error.
func parse(text []byte) ([]key, error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("jwtauth: what the issuer answered is no key set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("jwtauth: the key set has more than %d keys", maxKeys)
	}
	var keys []key
	for _, member := range set.Keys {
		if member.KTY == jwkset.KtyOct || (member.USE != "" && member.USE != jwkset.UseSig) {
			continue
		}
		// Certificates say nothing that counts here, and the library would fetch them.
		member.X5U, member.X5C, member.X5T, member.X5TS256 = "", nil, "", ""
		parsed, err := jwkset.NewJWKFromMarshal(member, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil || !strong(parsed.Key()) {
			continue
		}
		keys = append(keys, key{id: member.KID, alg: member.ALG.String(), public: parsed.Key()})
	}
	if len(keys) == 0 {
		return nil, errors.New("jwtauth: the key set has no key that can be used")
	}
	return keys, nil
}

func strong(public any) bool {
	rsaKey, ok := public.(*rsa.PublicKey)
	return !ok || rsaKey.N.BitLen() >= minRSA
}

// asymmetric lists the algorithms that a key set's keys may be for.
func asymmetric() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// fits reports whether a key is one of the algorithm's (RFC 7518, section 3.1).
func fits(public any, alg string) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return alg[:2] == "RS" || alg[:2] == "PS"
	case *ecdsa.PublicKey:
		return map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg] == k.Curve
	case ed25519.PublicKey:
		return alg == jwt.SigningMethodEdDSA.Alg()
	default:
		return false
	}
}
