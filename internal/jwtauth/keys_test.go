package jwtauth_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/fault"
)

func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	first, second := ecKey(t), ecKey(t)
	p.publish(t, ecJWK(t, "first", first))
	v := p.verifier(t, nil)
	old := sign(t, jwt.SigningMethodES256, "first", first, p.claims(nil))
	_, err := v.Verify(t.Context(), old)
	require.NoError(t, err)

	p.publish(t, ecJWK(t, "second", second))
	fresh := sign(t, jwt.SigningMethodES256, "second", second, p.claims(nil))
	requireRefused(t, v, fresh, "the issuer was asked a moment ago")
	require.EqualValues(t, 1, p.asked.Load())
	p.now.Add(10)
	_, err = v.Verify(t.Context(), fresh)
	require.NoError(t, err, "an unknown id has the keys read again")
	requireRefused(t, v, old, "the first key was withdrawn")
	require.EqualValues(t, 2, p.asked.Load())
}

func TestAWithdrawnKeyIsFollowedWhileOthersAreUsed(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k, withdrawn := ecKey(t), ecKey(t)
	p.publish(t, ecJWK(t, "k", k), ecJWK(t, "withdrawn", withdrawn))
	v := p.verifier(t, nil)
	gone := sign(t, jwt.SigningMethodES256, "withdrawn", withdrawn, p.claims(nil))
	_, err := v.Verify(t.Context(), gone)
	require.NoError(t, err)
	p.publish(t, ecJWK(t, "k", k))
	p.now.Add(299)
	_, err = v.Verify(t.Context(), gone)
	require.NoError(t, err)
	require.EqualValues(t, 1, p.asked.Load(), "keys are fresh for five minutes")
	p.now.Add(1)
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), gone)
		return err != nil
	}, 20*time.Second, time.Millisecond)
}

func TestKeysOfAnHourAgoAreReadBeforeTheyAreUsed(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k := ecKey(t)
	p.publish(t, ecJWK(t, "withdrawn", k))
	v := p.verifier(t, nil)
	_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodES256, "withdrawn", k, p.claims(nil)))
	require.NoError(t, err)
	p.publish(t, ecJWK(t, "k", ecKey(t)))
	p.now.Add(3600)
	requireRefused(t, v, sign(t, jwt.SigningMethodES256, "withdrawn", k, p.claims(nil)))
}

func TestUnknownIDsDoNotMakeMuchWork(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k := ecKey(t)
	p.publish(t, ecJWK(t, "k", k))
	v := p.verifier(t, nil)
	tokens := make([]string, 200)
	for i := range tokens {
		tokens[i] = sign(t, jwt.SigningMethodES256, "guess"+strings.Repeat("x", i), k, p.claims(nil))
	}
	var crowd sync.WaitGroup
	for _, token := range tokens {
		crowd.Go(func() { _, _ = v.Verify(t.Context(), token) })
	}
	crowd.Wait()
	for _, token := range tokens {
		requireRefused(t, v, token)
	}
	require.EqualValues(t, 1, p.asked.Load())
}

func TestAnIssuerThatCannotBeAskedIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*provider){
		"an error":     func(p *provider) { p.status.Store(http.StatusInternalServerError) },
		"a redirect":   func(p *provider) { p.status.Store(http.StatusFound) },
		"no JSON":      func(p *provider) { p.answer("<html>") },
		"no keys":      func(p *provider) { p.answer(`{"keys":[]}`) },
		"not an array": func(p *provider) { p.answer(`{"keys":7}`) },
		"too long":     func(p *provider) { p.answer(*p.set.Load() + strings.Repeat(" ", 256<<10)) },
		"too many": func(p *provider) {
			p.answer(`{"keys":[` + strings.Repeat((*p.set.Load())[len(`{"keys":[`):len(*p.set.Load())-2]+",", 100) + `{}]}`)
		},
		"gone": func(p *provider) { p.server.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			k := ecKey(t)
			p.publish(t, ecJWK(t, "k", k))
			spoil(p)
			v := p.verifier(t, nil)
			token := sign(t, jwt.SigningMethodES256, "k", k, p.claims(nil))
			for range 3 {
				_, err := v.Verify(t.Context(), token)
				f := fault.From(err)
				require.Equal(t, fault.Unavailable, f.Code)
				require.Positive(t, f.RetryAfter)
				require.NotContains(t, f.Error(), p.server.URL)
			}
			require.LessOrEqual(t, p.asked.Load(), int32(1))
			p.status.Store(http.StatusOK)
			p.publish(t, ecJWK(t, "k", k))
			if name == "gone" {
				return
			}
			p.now.Add(10)
			_, err := v.Verify(t.Context(), token)
			require.NoError(t, err, "it recovers by itself")
		})
	}
}

func (p *provider) answer(text string) { p.set.Store(&text) }

func TestAnIssuerThatFailsLaterChangesNothing(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k := ecKey(t)
	p.publish(t, ecJWK(t, "k", k))
	v := p.verifier(t, nil)
	good := func() string { return sign(t, jwt.SigningMethodES256, "k", k, p.claims(nil)) }
	_, err := v.Verify(t.Context(), good())
	require.NoError(t, err)
	p.status.Store(http.StatusInternalServerError)
	for _, later := range []int64{300, 3600, 24 * 3600} {
		p.now.Add(later)
		_, err = v.Verify(t.Context(), good())
		require.NoError(t, err)
	}
	p.now.Add(10)
	requireRefused(t, v, sign(t, jwt.SigningMethodES256, "who", k, p.claims(nil)), "an unknown id is unknown")
}

// A hanging issuer holds up those who need a key that is not known, and nobody else.
func TestAnIssuerThatHangsHoldsUpNobodyWhoIsKnown(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k := ecKey(t)
	p.publish(t, ecJWK(t, "k", k))
	v := p.verifier(t, nil)
	v.AskFor(time.Hour)
	known := sign(t, jwt.SigningMethodES256, "k", k, p.claims(nil))
	_, err := v.Verify(t.Context(), known)
	require.NoError(t, err)
	p.hang.Store(true)
	p.now.Add(300)
	waiting := make(chan error, 1)
	go func() {
		_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodES256, "who", k, p.claims(nil)))
		waiting <- err
	}()
	require.Eventually(t, func() bool { return p.asked.Load() == 2 }, 10*time.Second, time.Millisecond)
	for range 10 {
		_, err = v.Verify(t.Context(), known)
		require.NoError(t, err)
	}
	require.Empty(t, waiting)
	p.freed <- struct{}{}
	require.Equal(t, fault.AuthRequired, fault.From(<-waiting).Code)
}

func TestTheWaitForAnIssuerIsBounded(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k := ecKey(t)
	p.publish(t, ecJWK(t, "k", k))
	p.hang.Store(true)
	v := p.verifier(t, nil)
	v.AskFor(50 * time.Millisecond)
	_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodES256, "k", k, p.claims(nil)))
	require.Equal(t, fault.Unavailable, fault.From(err).Code)
}

// A P-256 key is not for ES384, though its numbers would fit into the signature.
func TestAKeyIsForTheAlgorithmOfItsCurve(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k := ecKey(t)
	jwk := ecJWK(t, "k", k)
	delete(jwk, "alg")
	p.publish(t, jwk)
	v := p.verifier(t, nil)
	good := strings.Split(sign(t, jwt.SigningMethodES256, "k", k, p.claims(nil)), ".")
	text := b64([]byte(`{"alg":"ES384","kid":"k"}`)) + "." + good[1]
	hash := sha512.Sum384([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k, hash[:])
	require.NoError(t, err)
	signature := make([]byte, 96)
	r.FillBytes(signature[:48])
	s.FillBytes(signature[48:])
	requireRefused(t, v, text+"."+b64(signature))
	_, err = v.Verify(t.Context(), strings.Join(good, "."))
	require.NoError(t, err)
}

func TestWeakAndForeignKeysAreLeftOut(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k := ecKey(t)
	encryption := ecJWK(t, "enc", k)
	encryption["use"] = "enc"
	other := ecJWK(t, "alg", k)
	other["alg"] = "ES384"
	certified := ecJWK(t, "x5u", k)
	certified["x5u"] = p.server.URL + "/certificate"
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is to be refused
	require.NoError(t, err)
	p.publish(t, encryption, other, certified, rsaJWK("weak", weak), map[string]string{"kty": "new", "kid": "new"},
		map[string]string{"kty": "EC", "crv": "P-256", "kid": "bad", "x": b64(big.NewInt(1).Bytes()), "y": "AQ"})
	v := p.verifier(t, nil)
	for _, id := range []string{"enc", "alg", "new", "bad"} {
		requireRefused(t, v, sign(t, jwt.SigningMethodES256, id, k, p.claims(nil)), id)
	}
	requireRefused(t, v, sign(t, jwt.SigningMethodRS256, "weak", weak, p.claims(nil)))
	_, err = v.Verify(t.Context(), sign(t, jwt.SigningMethodES256, "x5u", k, p.claims(nil)))
	require.NoError(t, err)
	require.EqualValues(t, 1, p.asked.Load(), "nothing that the set points to is fetched")
}

func TestTheOnlyKeyNeedsNoID(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	k := ecKey(t)
	only := ecJWK(t, "", k)
	delete(only, "kid")
	p.publish(t, only)
	_, err := p.verifier(t, nil).Verify(t.Context(), sign(t, jwt.SigningMethodES256, "", k, p.claims(nil)))
	require.NoError(t, err)
}
