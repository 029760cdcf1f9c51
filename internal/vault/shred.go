package vault

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// Shredded is what Shred did.
type Shredded struct {
	Tenant     string    `json:"tenant"`
	ShreddedAt time.Time `json:"shredded_at"`
	// Keyset says that there was one to destroy.
	Keyset bool `json:"keyset_destroyed"`
	// KeysRevoked are API keys.
	KeysRevoked int `json:"api_keys_revoked"`
	// PlainErased are rows that were not encrypted: what they said of people is
	// erased here, and in no backup.
	PlainErased int `json:"plain_rows_erased"`
}

// Shred destroys a tenant's keyset, so that nothing that it sealed can be read again,
// erases what is not encrypted of what rows say about people, and revokes the
// tenant's API keys: all or nothing. Amounts, states and ids stay. Programs follow
// within postgres.KeysetTTL. To repeat it erases what came meanwhile. The fault is
// NOT_FOUND for an unknown tenant.
func (v *Vault) Shred(ctx context.Context, tenant string) (Shredded, error) {
	done := Shredded{Tenant: tenant}
	now := v.opts.Now().UTC().Truncate(time.Microsecond)
	err := v.opts.DB.Tx(ctx, tenant, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE tenants SET shredded_at = coalesce(shredded_at, $2) WHERE id = $1", tenant, now)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.NotFound, "There is no such tenant.")
		}
		if err := tx.QueryRow(ctx, "SELECT shredded_at FROM tenants WHERE id = $1", tenant).Scan(&done.ShreddedAt); err != nil {
			return err
		}
		done.ShreddedAt = done.ShreddedAt.UTC()
		if tag, err = tx.Exec(ctx, `
			UPDATE tenant_keysets SET sealing = NULL, digesting = NULL, kek = NULL, destroyed_at = $2
			WHERE tenant_id = $1 AND destroyed_at IS NULL`, tenant, now); err != nil {
			return err
		}
		done.Keyset = tag.RowsAffected() > 0
		// A row without keys stays where there was none, so that nobody makes any.
		if _, err = tx.Exec(ctx, `
			INSERT INTO tenant_keysets (tenant_id, created_at, destroyed_at) VALUES ($1, $2, $2) ON CONFLICT (tenant_id) DO NOTHING`, tenant, now); err != nil {
			return err
		}
		if tag, err = tx.Exec(ctx, "UPDATE api_keys SET revoked_at = $2 WHERE tenant_id = $1 AND revoked_at IS NULL", tenant, now); err != nil {
			return err
		}
		done.KeysRevoked = int(tag.RowsAffected())
		return v.erase(ctx, tx, tenant, &done)
	})
	if err != nil {
		return Shredded{}, postgres.Fault(err)
	}
	return done, nil
}

// erase empties the plain columns. The empty value in place of a sealed one tells
// whoever reads the row why there is nothing.
func (v *Vault) erase(ctx context.Context, tx pgx.Tx, tenant string, done *Shredded) error {
	for _, table := range v.opts.Tables {
		tag, err := tx.Exec(ctx, "UPDATE "+table.Name+` SET sealed = '', `+strings.Join(table.Columns, " = NULL, ")+" = NULL WHERE tenant_id = $1 AND sealed IS NULL", tenant)
		if err != nil {
			return fmt.Errorf("vault: erase: %w", err)
		}
		done.PlainErased += int(tag.RowsAffected())
	}
	// Those from before there was a keyset are plain hashes, which confirm a guess.
	if _, err := tx.Exec(ctx, "DELETE FROM suppressed_addresses WHERE tenant_id = $1", tenant); err != nil {
		return fmt.Errorf("vault: erase: %w", err)
	}
	return nil
}
