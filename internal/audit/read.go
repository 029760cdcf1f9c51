package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/postgres"
)

// Head is the last entry of a chain at some time. Noted elsewhere, it shows whether
// the chain up to it was changed since.
type Head struct {
	Tenant string `json:"tenant"`
	Seq    int64  `json:"seq"`
	Hash   Hash   `json:"hash"`
}

// String returns the form that `millrace audit verify --head` takes.
func (h Head) String() string { return fmt.Sprintf("%s:%d:%s", h.Tenant, h.Seq, h.Hash) }

// Anchor is the last entry of a chain that retention has dropped: the chain goes on
// after it.
type Anchor struct {
	Head

	// SealedUntil is before when all was sealed that was dropped.
	SealedUntil time.Time `json:"sealed_until"`
}

// Range says which entries to read.
type Range struct {
	// Tenant is whose; empty means every chain, one after the other.
	Tenant string
	// From and To bound SealedAt, To exclusive; zero means no bound.
	From, To time.Time
}

// Export hands over the entries of a range, each chain in its order, as they were at
// one moment. db must act as the owner. What each returns is returned as it is.
func Export(ctx context.Context, db *postgres.Tenancy, of Range, each func(*Sealed) error) error {
	var stopped error
	err := db.Snapshot(ctx, "", func(tx pgx.Tx) error {
		return stream(ctx, tx, of, func(entry *Sealed) error {
			stopped = each(entry)
			return stopped
		})
	})
	if stopped != nil {
		return stopped
	}
	return postgres.Fault(err)
}

// Heads returns the last entry of the tenant's chain, or of all chains when tenant is
// empty, by name. db must act as the owner.
func Heads(ctx context.Context, db *postgres.Tenancy, tenant string) (heads []Head, err error) {
	err = db.Snapshot(ctx, "", func(tx pgx.Tx) error {
		heads, err = readHeads(ctx, tx, tenant)
		return err
	})
	return heads, postgres.Fault(err)
}

// Latest returns up to limit entries of the tenant's chain, or of all chains when
// tenant is empty, the last that were sealed first. db must act as the owner.
func Latest(ctx context.Context, db *postgres.Tenancy, tenant string, limit int) (entries []Sealed, err error) {
	err = db.Query(ctx, "", func(rows pgx.Rows) error {
		return scan(rows, func(entry *Sealed) error {
			entries = append(entries, *entry)
			return nil
		})
	}, `
		SELECT last.tenant_id, last.seq, last.at, last.sealed_at, last.actor, last.source, last.request_id, last.role, last.origin, last.action,
			last.resource_type, last.resource_id, last.outcome, last.details::text, last.prev_hash, last.hash
		FROM audit_heads AS h CROSS JOIN LATERAL (
			SELECT l.tenant_id, l.seq, l.at, l.sealed_at, l.actor, l.source, l.request_id, l.role, l.origin, l.action,
				l.resource_type, l.resource_id, l.outcome, l.details, l.prev_hash, l.hash
			FROM audit_log AS l WHERE l.tenant_id = h.tenant_id ORDER BY l.seq DESC LIMIT $2
		) AS last
		WHERE $1 = '' OR h.tenant_id = $1
		ORDER BY last.sealed_at DESC, last.at DESC, last.tenant_id, last.seq DESC
		LIMIT $2`, tenant, limit)
	return entries, postgres.Fault(err)
}

// stream reads a range without holding more of it than a few rows.
func stream(ctx context.Context, tx pgx.Tx, of Range, each func(*Sealed) error) error {
	if of.To.IsZero() {
		of.To = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	whose := "tenant_id = $1"
	if of.Tenant == "" {
		whose = "$1 = ''"
	}
	// The primary keys of the partitions are merged: nothing is sorted.
	rows, err := tx.Query(ctx, `
		SELECT tenant_id, seq, at, sealed_at, actor, source, request_id, role, origin, action,
			resource_type, resource_id, outcome, details::text, prev_hash, hash
		FROM audit_log WHERE `+whose+` AND sealed_at >= $2 AND sealed_at < $3
		ORDER BY tenant_id, seq, sealed_at`, of.Tenant, of.From, of.To)
	if err != nil {
		return fmt.Errorf("audit: read: %w", err)
	}
	return scan(rows, each)
}

func scan(rows pgx.Rows, each func(*Sealed) error) error {
	var (
		s          Sealed
		details    []byte
		prev, hash []byte
	)
	_, err := pgx.ForEachRow(rows, []any{
		&s.Tenant, &s.Seq, &s.At, &s.SealedAt, &s.Actor, &s.Source, &s.RequestID, &s.Role, &s.Origin, &s.Action,
		&s.ResourceType, &s.ResourceID, &s.Outcome, &details, &prev, &hash,
	}, func() error {
		entry := s
		entry.At, entry.SealedAt = s.At.UTC(), s.SealedAt.UTC()
		copy(entry.PrevHash[:], prev)
		copy(entry.Hash[:], hash)
		if err := json.Unmarshal(details, &entry.Details); err != nil {
			// Somebody changed them. No text of Postgres's has this name, so no hash is right.
			entry.Details = Details{"\x00": string(details)}
		}
		return each(&entry)
	})
	return err
}

func readHeads(ctx context.Context, tx pgx.Tx, tenant string) ([]Head, error) {
	rows, err := tx.Query(ctx, `SELECT tenant_id, seq, hash FROM audit_heads WHERE $1 = '' OR tenant_id = $1 ORDER BY tenant_id`, tenant)
	if err != nil {
		return nil, fmt.Errorf("audit: heads: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Head, error) {
		var (
			head Head
			hash []byte
		)
		err := row.Scan(&head.Tenant, &head.Seq, &hash)
		copy(head.Hash[:], hash)
		return head, err
	})
}

func readAnchors(ctx context.Context, tx pgx.Tx, tenant string) ([]Anchor, error) {
	rows, err := tx.Query(ctx, `SELECT tenant_id, seq, hash, sealed_until FROM audit_anchors WHERE $1 = '' OR tenant_id = $1 ORDER BY tenant_id`, tenant)
	if err != nil {
		return nil, fmt.Errorf("audit: anchors: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Anchor, error) {
		var (
			anchor Anchor
			hash   []byte
		)
		err := row.Scan(&anchor.Tenant, &anchor.Seq, &hash, &anchor.SealedUntil)
		anchor.SealedUntil = anchor.SealedUntil.UTC()
		copy(anchor.Hash[:], hash)
		return anchor, err
	})
}
