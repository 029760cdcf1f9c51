package apikey

import (
	"context"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"golang.org/x/sync/singleflight"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// CacheTTL is how long a verifier remembers what it read of a key, and so how
// long a revoked key may still work.
const CacheTTL = 5 * time.Second

// Verifier checks presented keys, with a short memory so that a busy client
// does not cost a query a request. Unknown ids are remembered too.
type Verifier struct {
	db     *postgres.Tenancy
	now    func() time.Time
	cache  *expirable.LRU[string, entry]
	flight singleflight.Group
	used   usage
}

type entry struct {
	key   Key
	found bool
}

// NewVerifier returns a verifier; db must act as the intake role.
func NewVerifier(db *postgres.Tenancy, now func() time.Time) *Verifier {
	return &Verifier{db: db, now: now, cache: expirable.NewLRU[string, entry](10_000, nil, CacheTTL)}
}

// Verify returns the key that was presented. The fault is AUTH_REQUIRED, the
// same whether the key is malformed, unknown, wrong, revoked or expired, or its
// tenant shredded.
func (v *Verifier) Verify(ctx context.Context, presented string) (Key, error) {
	id, secret, ok := Split(presented)
	if !ok {
		return Key{}, Refused()
	}
	e, cached := v.cache.Get(id)
	if !cached {
		// One query for a crowd that presents the same key; it must not end with
		// the first caller's request.
		read, err, _ := v.flight.Do(id, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			key, found, err := find(ctx, v.db, id)
			if err != nil {
				return nil, err
			}
			e := entry{key: key, found: found}
			v.cache.Add(id, e)
			return e, nil
		})
		if err != nil {
			return Key{}, err
		}
		e, _ = read.(entry)
	}
	// The comparison is made for unknown keys too, so that time tells nothing.
	if matches := e.key.Matches(secret); !matches || !e.found || !e.key.Valid(v.now()) || e.key.Rules.Shredded {
		return Key{}, Refused()
	}
	v.used.note(e.key.ID)
	return e.key, nil
}

// Refused is the one AUTH_REQUIRED fault, whatever is wrong with what was presented.
func Refused() *fault.Fault {
	return fault.New(fault.AuthRequired, "Valid credentials are required: send an API key, or a token where the server takes those, as `Authorization: Bearer …`.")
}
