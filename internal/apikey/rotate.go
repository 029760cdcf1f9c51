package apikey

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/telemetry"
)

// MaxOverlap is how long two keys may work beside each other at most.
const MaxOverlap = 90 * 24 * time.Hour

// Rotation is what Rotate makes a key from.
type Rotation struct {
	// ID is the key that is replaced.
	ID string
	// Overlap is how long the old key still works, so that clients can be moved to
	// the new one; zero revokes it at once. Up to MaxOverlap.
	Overlap time.Duration
}

// Rotated is what Rotate did.
type Rotated struct {
	// Old is the key that is replaced, as it is now.
	Old Key
	// New has Old's tenant, name, scopes, limits and lifetime.
	New Key
}

// Rotate replaces a key by a new one, in one transaction, and returns the only
// copy of the new one that can be presented. A key that expires before the overlap
// is over expires as it would have. db must act as the owner. The fault is
// NOT_FOUND, CONFLICT when the key works no more or its tenant was shredded, or
// INVALID_INPUT.
func Rotate(ctx context.Context, db *postgres.Tenancy, r Rotation, now time.Time) (Rotated, telemetry.Secret, error) {
	var fields fault.Fields
	fields.Check(r.Overlap >= 0 && r.Overlap <= MaxOverlap, "overlap", "must be from 0 to 90d")
	if err := fields.Err(); err != nil {
		return Rotated{}, "", err
	}
	now = now.UTC().Truncate(time.Microsecond)
	var (
		keys   Rotated
		secret telemetry.Secret
	)
	err := db.Tx(ctx, "", func(tx pgx.Tx) error {
		old := Key{ID: r.ID}
		err := tx.QueryRow(ctx, `
			SELECT tenant_id, name, scopes, limits, created_at, expires_at, revoked_at, last_used_at FROM api_keys WHERE id = $1 FOR UPDATE`, r.ID).
			Scan(&old.Tenant, &old.Name, &old.Scopes, &old.Limits, &old.CreatedAt, &old.ExpiresAt, &old.RevokedAt, &old.LastUsedAt)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fault.New(fault.NotFound, "There is no key of that id.")
		case err != nil:
			return err
		case !old.Valid(now):
			return fault.New(fault.Conflict, "The key is revoked or expired; create a new one instead.")
		}
		keys.New, secret = draw(Request{Tenant: old.Tenant, Name: old.Name, Scopes: old.Scopes, Limits: old.Limits, ExpiresAt: old.renewed(now)}, now)
		if err := keys.New.insert(ctx, tx); err != nil {
			return err
		}
		keys.Old = old.ending(now, r.Overlap)
		_, err = tx.Exec(ctx, `UPDATE api_keys SET expires_at = $2, revoked_at = $3 WHERE id = $1`, r.ID, keys.Old.ExpiresAt, keys.Old.RevokedAt)
		return err
	})
	if err != nil {
		return Rotated{}, "", postgres.Fault(err)
	}
	return keys, secret, nil
}

// renewed is when a key that is made now expires to live as long as k.
func (k Key) renewed(now time.Time) *time.Time {
	if k.ExpiresAt == nil {
		return nil
	}
	at := now.Add(k.ExpiresAt.Sub(k.CreatedAt))
	return &at
}

// ending returns k as it is when it works for the overlap and no longer.
func (k Key) ending(now time.Time, overlap time.Duration) Key {
	if overlap == 0 {
		k.RevokedAt = &now
		return k
	}
	if end := now.Add(overlap); k.ExpiresAt == nil || end.Before(*k.ExpiresAt) {
		k.ExpiresAt = &end
	}
	return k
}
