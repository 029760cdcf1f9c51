// Package vault administers what tenants' rows are encrypted with: it tells which
// keys are in use, wraps keysets anew, rotates them, encrypts rows again, and
// destroys a tenant's keyset, and with it what was stored about people.
package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/seal"
)

// Options configures New.
type Options struct {
	// DB acts as the owner. Required.
	DB *postgres.Tenancy
	// Keys wrap keysets. Without them Status and Shred work, and nothing else.
	Keys *seal.Keys
	// Tables are all that have sealed rows. Required.
	Tables []seal.Table
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Vault administers the keysets of a database. It is safe while programs run.
type Vault struct {
	opts Options
}

// New returns a vault.
func New(opts Options) (*Vault, error) {
	if opts.DB == nil || len(opts.Tables) == 0 {
		return nil, errors.New("vault: DB and Tables are required")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.DB = opts.DB.WithKeys(opts.Keys, opts.Now)
	return &Vault{opts: opts}, nil
}

// KeyUse is how a key-encryption key is used.
type KeyUse struct {
	Key string `json:"key"`
	// Tenants is how many keysets it wraps.
	Tenants int `json:"tenants"`
	// Present says that the key is among those that are set here.
	Present bool `json:"present"`
}

// Status is what the tenants of a database are encrypted with.
type Status struct {
	// First is the key that wraps from now on; empty when none is set here.
	First string   `json:"first,omitzero"`
	Keys  []KeyUse `json:"keys"`
	// Without is how many tenants have no keyset: they have stored nothing yet, or
	// in the clear.
	Without  int `json:"tenants_without_keyset"`
	Shredded int `json:"tenants_shredded"`
	// OldestKey is when the oldest of the keys was made that seal rows now; nil when
	// there is none.
	OldestKey *time.Time `json:"oldest_sealing_key,omitzero"`
}

// Status tells what the tenants are encrypted with.
func (v *Vault) Status(ctx context.Context) (Status, error) {
	status := Status{Keys: []KeyUse{}}
	if v.opts.Keys != nil {
		status.First = v.opts.Keys.First()
	}
	err := v.opts.DB.Tx(ctx, "", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT kek, count(*)::int FROM tenant_keysets WHERE kek IS NOT NULL GROUP BY kek ORDER BY kek")
		if err != nil {
			return err
		}
		var use KeyUse
		if _, err := pgx.ForEachRow(rows, []any{&use.Key, &use.Tenants}, func() error {
			use.Present = v.opts.Keys.Has(use.Key)
			status.Keys = append(status.Keys, use)
			return nil
		}); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			SELECT count(*) FILTER (WHERE k.tenant_id IS NULL AND t.shredded_at IS NULL)::int, count(t.shredded_at)::int,
				min(coalesce(k.rotated_at, k.created_at)) FILTER (WHERE k.destroyed_at IS NULL)
			FROM tenants AS t LEFT JOIN tenant_keysets AS k ON k.tenant_id = t.id`).
			Scan(&status.Without, &status.Shredded, &status.OldestKey)
	})
	if status.OldestKey != nil {
		*status.OldestKey = status.OldestKey.UTC()
	}
	return status, postgres.Fault(err)
}

// Tenants lists those whose rows can be encrypted: all but the shredded ones.
func (v *Vault) Tenants(ctx context.Context) ([]string, error) {
	var list []string
	err := v.opts.DB.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}, "SELECT id FROM tenants WHERE shredded_at IS NULL ORDER BY id")
	return list, postgres.Fault(err)
}

// Rewrap wraps with the first key every keyset that another one wraps, and returns
// how many. After that the others are needed no more. It goes on where it was
// interrupted.
func (v *Vault) Rewrap(ctx context.Context) (n int, err error) {
	if v.opts.Keys == nil {
		return 0, errNoKeys()
	}
	var tenants []string
	err = v.opts.DB.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}, "SELECT tenant_id FROM tenant_keysets WHERE kek <> $1 ORDER BY tenant_id", v.opts.Keys.First())
	if err != nil {
		return 0, postgres.Fault(err)
	}
	for _, tenant := range tenants {
		if err := v.change(ctx, tenant, false, func(s *seal.Keyset) (*seal.Keyset, error) { return s, nil }); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Rotate gives a tenant a new key, by which rows are sealed from now on: programs
// follow within postgres.KeysetTTL. What was sealed before stays as it is. The fault
// is NOT_FOUND for a tenant without a keyset.
func (v *Vault) Rotate(ctx context.Context, tenant string) error {
	if v.opts.Keys == nil {
		return errNoKeys()
	}
	return v.change(ctx, tenant, true, (*seal.Keyset).Rotate)
}

// change replaces a tenant's keyset. It locks the row, so that of two changes none
// is lost.
func (v *Vault) change(ctx context.Context, tenant string, rotated bool, change func(*seal.Keyset) (*seal.Keyset, error)) error {
	return postgres.Fault(v.opts.DB.Tx(ctx, tenant, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT FROM tenant_keysets WHERE tenant_id = $1 FOR UPDATE", tenant); err != nil {
			return err
		}
		stored, destroyed, err := postgres.SelectKeyset(ctx, tx, tenant)
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && destroyed:
			return fault.New(fault.NotFound, "There is no such tenant that has a keyset.")
		case err != nil:
			return err
		}
		keyset, err := v.opts.Keys.Unwrap(tenant, stored)
		if err != nil {
			return err
		}
		if keyset, err = change(keyset); err != nil {
			return err
		}
		wrapped, err := v.opts.Keys.Wrap(tenant, keyset)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE tenant_keysets SET sealing = $2, digesting = $3, kek = $4, rotated_at = CASE WHEN $5 THEN $6 ELSE rotated_at END
			WHERE tenant_id = $1`,
			tenant, wrapped.Sealing, wrapped.Digesting, wrapped.Key, rotated, v.opts.Now().UTC())
		if err != nil {
			return fmt.Errorf("vault: update keyset: %w", err)
		}
		return nil
	}))
}

func errNoKeys() error {
	return fault.New(fault.Conflict, "No key is set here: set ENCRYPTION_KEYS or ENCRYPTION_KEYS_FILE to those that the programs have.")
}
