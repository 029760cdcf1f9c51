package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"millrace/internal/fault"
	"millrace/internal/seal"
)

// KeysetTTL is how long a program remembers a tenant's keyset, and so how long it
// may still read what belongs to a tenant that was shredded.
const KeysetTTL = 30 * time.Second

// maxKeysets bounds how many are remembered.
const maxKeysets = 10_000

// keysets is a memory of tenants' keysets, so that sealing and opening cost no
// query.
type keysets struct {
	keys   *seal.Keys
	now    func() time.Time
	cache  *lru.Cache[string, keysetEntry]
	flight singleflight.Group
}

// keysetEntry is what was found for a tenant: a keyset; why there is none that
// could be used; or neither, when the tenant has none.
type keysetEntry struct {
	keyset  *seal.Keyset
	problem error
	readAt  time.Time
}

// WithKeys returns a Tenancy that encrypts for tenants without a keyset too, each of
// which gets one when it first writes. keys may be nil: then such tenants' rows stay
// plain, and those of the others can be neither read nor written.
func (t *Tenancy) WithKeys(keys *seal.Keys, now func() time.Time) *Tenancy {
	cache, err := lru.New[string, keysetEntry](maxKeysets)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Tenancy{pool: t.pool, role: t.role, keysets: &keysets{keys: keys, now: now, cache: cache}}
}

// Seal encrypts the fields of a row as JSON, to be stored in their place. It returns
// nil when the row is to be stored plain, because neither the program has keys nor
// the tenant a keyset. The fault is UNAVAILABLE when the tenant has one and the
// program lacks its key, TENANT_ACCESS_DENIED when the tenant was shredded,
// MASKING_FAILED when nothing could be encrypted.
//
// It may query the database: call it before a transaction, not inside.
func (t *Tenancy) Seal(ctx context.Context, row seal.Row, fields any) ([]byte, error) {
	found, err := t.Keyset(ctx, row.Tenant)
	if err != nil || found == nil {
		return nil, err
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("postgres: encode: %w", err)
	}
	return found.Seal(row, text)
}

// Unseal decrypts what Seal returned for the row into fields, which it leaves alone
// when sealed is nil: the row is plain. The faults are those of Seal; MASKING_FAILED
// says that the stored value is not the row's.
//
// Like Seal it may query the database.
func (t *Tenancy) Unseal(ctx context.Context, row seal.Row, sealed []byte, fields any) error {
	if sealed == nil {
		return nil
	}
	// What another program sealed a moment ago may be of a key that is not in memory.
	found, err := t.keyset(ctx, row.Tenant, func(e keysetEntry) bool { return e.keyset == nil || !e.keyset.Knows(sealed) })
	switch {
	case err != nil:
		return err
	case found == nil:
		return seal.Damaged(errors.New("postgres: the tenant has no keyset"))
	}
	text, err := found.Open(row, sealed)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, fields); err != nil {
		return seal.Damaged(errors.New("postgres: a sealed text of another form")) // the error may quote it
	}
	return nil
}

// Keyset returns a tenant's keyset, made if it has none and the program has keys,
// unless it acts as worker; nil when there is none. The faults are those of Seal.
func (t *Tenancy) Keyset(ctx context.Context, tenant string) (*seal.Keyset, error) {
	return t.keyset(ctx, tenant, func(e keysetEntry) bool { return e.keyset == nil && t.keysets.keys != nil })
}

// Digest returns what stands for a text in lookups (seal.Keyset.Digest), or nil when
// the tenant has no keyset. The faults are those of Seal.
func (t *Tenancy) Digest(ctx context.Context, tenant, text string) ([]byte, error) {
	found, err := t.keyset(ctx, tenant, func(keysetEntry) bool { return false })
	if err != nil || found == nil {
		return nil, err
	}
	return found.Digest(text)
}

// keyset returns a tenant's keyset, or nil when there is none. stale says of one in
// memory that it will not do.
func (t *Tenancy) keyset(ctx context.Context, tenant string, stale func(keysetEntry) bool) (*seal.Keyset, error) {
	k := t.keysets
	e, found := k.cache.Get(tenant)
	if !found || k.now().Sub(e.readAt) >= KeysetTTL || (e.problem == nil && stale(e)) {
		// One query for a crowd; it must not end with the first caller's request.
		read, err, _ := k.flight.Do(tenant, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			e, err := t.readKeyset(ctx, tenant)
			if err != nil {
				return nil, Fault(err)
			}
			k.cache.Add(tenant, e)
			return e, nil
		})
		if err != nil {
			return nil, err
		}
		e, _ = read.(keysetEntry)
	}
	if problem, ok := errors.AsType[*fault.Fault](e.problem); ok {
		own := *problem // whoever gets it may change it
		return nil, &own
	}
	return e.keyset, e.problem
}

// readKeyset reads a tenant's keyset, made if it has none and this role may make one.
func (t *Tenancy) readKeyset(ctx context.Context, tenant string) (e keysetEntry, err error) {
	e.readAt = t.keysets.now()
	err = t.Tx(ctx, tenant, func(tx pgx.Tx) error {
		stored, destroyed, err := SelectKeyset(ctx, tx, tenant)
		if errors.Is(err, pgx.ErrNoRows) && t.keysets.keys != nil && t.role != Worker {
			if err := t.insertKeyset(ctx, tx, tenant); err != nil {
				return err
			}
			// Another process may have been first: its keyset is the tenant's.
			stored, destroyed, err = SelectKeyset(ctx, tx, tenant)
		}
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return err
		case destroyed:
			e.problem = shredded()
		default:
			e.keyset, e.problem = t.keysets.keys.Unwrap(tenant, stored)
		}
		return nil
	})
	return e, err
}

func (t *Tenancy) insertKeyset(ctx context.Context, tx pgx.Tx, tenant string) error {
	fresh, err := seal.New()
	if err != nil {
		return err
	}
	wrapped, err := t.keysets.keys.Wrap(tenant, fresh)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO tenant_keysets (tenant_id, sealing, digesting, kek, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant_id) DO NOTHING`,
		tenant, wrapped.Sealing, wrapped.Digesting, wrapped.Key, t.keysets.now().UTC())
	if err != nil {
		return fmt.Errorf("postgres: insert keyset: %w", err)
	}
	return nil
}

// SelectKeyset reads a tenant's keyset as it is stored. The error is pgx.ErrNoRows
// when it has none; destroyed says that it had one, and was shredded.
func SelectKeyset(ctx context.Context, tx pgx.Tx, tenant string) (stored seal.Wrapped, destroyed bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT sealing, digesting, coalesce(kek, ''), destroyed_at IS NOT NULL FROM tenant_keysets WHERE tenant_id = $1`, tenant).
		Scan(&stored.Sealing, &stored.Digesting, &stored.Key, &destroyed)
	if err != nil {
		return seal.Wrapped{}, false, fmt.Errorf("postgres: read keyset: %w", err)
	}
	return stored, destroyed, nil
}

func shredded() *fault.Fault {
	return fault.New(fault.TenantAccessDenied, "The tenant was shredded: its keys were destroyed, and what was stored about people can be read no more.").
		With("reason", "TENANT_SHREDDED")
}
