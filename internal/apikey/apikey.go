// Package apikey makes, stores and checks API keys. A key is
// "mrk_<id>_<secret>": the id finds the row, the secret is 256 random bits of
// which only the SHA-256 is stored. A slow hash adds nothing to a secret that
// cannot be guessed.
package apikey

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/ratelimit"
	"millrace/internal/telemetry"
)

// Scope is a right that a key carries.
type Scope string

// The scopes.
const (
	JobsRead     Scope = "jobs:read"
	JobsWrite    Scope = "jobs:write"
	MetricsWrite Scope = "metrics:write"
	PHIReveal    Scope = "phi:reveal"
	OpsAdmin     Scope = "ops:admin"
	// OpsConsole is the one scope that reaches beyond the key's tenant: it opens the
	// operators' console, with the jobs of all tenants.
	OpsConsole Scope = "ops:console"
)

// Scopes lists every scope.
func Scopes() []Scope {
	return []Scope{JobsRead, JobsWrite, MetricsWrite, PHIReveal, OpsAdmin, OpsConsole}
}

const (
	prefix    = "mrk_"
	idLen     = 16 // base32 characters of 80 random bits
	secretLen = 52 // base32 characters of 256 random bits
)

// Key is what is stored of a key.
type Key struct {
	ID     string  `json:"id"`
	Tenant string  `json:"tenant"`
	Name   string  `json:"name"`
	Scopes []Scope `json:"scopes"`
	// Limits are rates by class that differ from the server's: {"payments": "100/m"}.
	Limits    map[string]string `json:"limits,omitzero"`
	CreatedAt time.Time         `json:"created_at"`
	ExpiresAt *time.Time        `json:"expires_at,omitzero"`
	RevokedAt *time.Time        `json:"revoked_at,omitzero"`
	// LastUsedAt is right to the minute, about.
	LastUsedAt *time.Time `json:"last_used_at,omitzero"`
	// Rules are the tenant's; only Verify fills them in.
	Rules Rules `json:"-"`

	hash []byte
}

// Rules are what holds for a tenant, whatever key it comes with.
type Rules struct {
	// PHI says what becomes of personal data in texts.
	PHI PHIMode
	// MaxWaitingJobs is how many of its jobs may wait at once.
	MaxWaitingJobs int
	// Shredded tenants are served no more.
	Shredded bool
}

// PHIMode says what becomes of personal data in texts.
type PHIMode string

// The modes.
const (
	PHIMask   PHIMode = "mask"   // replaced by placeholders before anything is stored
	PHIStrict PHIMode = "strict" // refused with PHI_DETECTED
)

// Has reports whether the key carries the scope.
func (k Key) Has(scope Scope) bool { return slices.Contains(k.Scopes, scope) }

// Valid reports whether the key may be used at that time.
func (k Key) Valid(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// TokenPrefix begins the ID of what stands for a token of an identity provider in
// place of a key.
const TokenPrefix = "jwt:"

// Actor is what the audit log calls who acts with the key: key:ID, or the ID of
// what stands for a token.
func (k Key) Actor() string {
	if strings.HasPrefix(k.ID, TokenPrefix) {
		return k.ID
	}
	return "key:" + k.ID
}

// IsKey reports whether what was presented is meant to be an API key.
func IsKey(presented string) bool { return strings.HasPrefix(presented, prefix) }

// Matches reports in constant time whether secret is the key's.
func (k Key) Matches(secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(hash[:], k.hash) == 1
}

// Split takes a presented key apart. ok is false when it has not the form of a key.
func Split(presented string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(presented, prefix)
	if !ok {
		return "", "", false
	}
	id, secret, ok = strings.Cut(rest, "_")
	if !ok || len(id) != idLen || len(secret) != secretLen {
		return "", "", false
	}
	return id, secret, true
}

// Request is what Create makes a key from.
type Request struct {
	Tenant string
	Name   string
	Scopes []Scope
	// Limits are rates by class that differ from the server's: {"payments": "100/m"}.
	Limits map[string]string
	// ExpiresAt is when the key stops working; nil is never.
	ExpiresAt *time.Time
}

// TenantID is the form of a tenant's id.
var TenantID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func (r Request) validate(now time.Time) error {
	var fields fault.Fields
	fields.Check(TenantID.MatchString(r.Tenant), "tenant", "must have 1 to 63 of a-z, 0-9, _ and -, and begin with a letter or a digit")
	fields.Check(len(r.Name) <= 100, "name", "must have at most 100 bytes")
	fields.Check(len(r.Scopes) > 0, "scopes", "must name at least one scope")
	for _, scope := range r.Scopes {
		fields.Check(slices.Contains(Scopes(), scope), "scopes", fmt.Sprintf("must be of %v", Scopes()))
	}
	if _, err := ratelimit.ParseLimits(r.Limits); err != nil {
		fields.Add("limits", err.Error())
	}
	fields.Check(r.ExpiresAt == nil || r.ExpiresAt.After(now), "expires_at", "must be in the future")
	return fields.Err()
}

// Create stores a new key, and its tenant if that is new. It returns the only
// copy of the key that can be presented. db must act as the owner. The fault is
// INVALID_INPUT, or CONFLICT when the tenant was shredded.
func Create(ctx context.Context, db *postgres.Tenancy, request Request, now time.Time) (Key, telemetry.Secret, error) {
	if err := request.validate(now); err != nil {
		return Key{}, "", err
	}
	key, secret := draw(request, now)
	err := db.Tx(ctx, "", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO tenants (id, created_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`,
			key.Tenant, key.CreatedAt); err != nil {
			return err
		}
		return key.insert(ctx, tx)
	})
	if err != nil {
		return Key{}, "", postgres.Fault(err)
	}
	return key, secret, nil
}

// draw makes a key of a valid request.
func draw(request Request, now time.Time) (Key, telemetry.Secret) {
	id, secret := random(10), random(32)
	hash := sha256.Sum256([]byte(secret))
	return Key{
		ID: id, Tenant: request.Tenant, Name: request.Name, Scopes: request.Scopes, Limits: request.Limits,
		CreatedAt: now.UTC().Truncate(time.Microsecond), ExpiresAt: request.ExpiresAt, hash: hash[:],
	}, telemetry.Secret(prefix + id + "_" + secret)
}

// insert stores a key, unless its tenant was shredded.
func (k Key) insert(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, `
		INSERT INTO api_keys (id, tenant_id, name, secret_hash, scopes, limits, created_at, expires_at)
		SELECT $1, t.id, $3, $4, $5, $6, $7, $8 FROM tenants AS t WHERE t.id = $2 AND t.shredded_at IS NULL`,
		k.ID, k.Tenant, k.Name, k.hash, k.Scopes, k.Limits, k.CreatedAt, k.ExpiresAt)
	if err == nil && tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "The tenant was shredded; it gets no keys any more.")
	}
	return err
}

// List returns the tenant's keys, newest first, or all keys when tenant is
// empty. db must act as the owner.
func List(ctx context.Context, db *postgres.Tenancy, tenant string) ([]Key, error) {
	var keys []Key
	err := db.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		keys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) {
			var key Key
			err := row.Scan(&key.ID, &key.Tenant, &key.Name, &key.Scopes, &key.Limits, &key.CreatedAt, &key.ExpiresAt, &key.RevokedAt, &key.LastUsedAt)
			return key, err
		})
		return err
	}, `SELECT id, tenant_id, name, scopes, limits, created_at, expires_at, revoked_at, last_used_at FROM api_keys
		WHERE $1 = '' OR tenant_id = $1 ORDER BY created_at DESC, id`, tenant)
	return keys, postgres.Fault(err)
}

// Revoke ends a key. Programs that have it cached follow within their cache's
// time. The fault is NOT_FOUND when there is no such key that still works.
func Revoke(ctx context.Context, db *postgres.Tenancy, id string, now time.Time) error {
	return postgres.Fault(db.Tx(ctx, "", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL`, id, now)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.NotFound, "There is no key of that id that still works.")
		}
		return nil
	}))
}

// find reads one key through the function that the intake role may call.
func find(ctx context.Context, db *postgres.Tenancy, id string) (key Key, found bool, err error) {
	key.ID = id
	err = db.Query(ctx, "", func(rows pgx.Rows) error {
		key, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (Key, error) {
			key := Key{ID: id}
			err := row.Scan(&key.Tenant, &key.hash, &key.Scopes, &key.Limits, &key.ExpiresAt, &key.RevokedAt,
				&key.Rules.PHI, &key.Rules.MaxWaitingJobs, &key.Rules.Shredded)
			return key, err
		})
		return err
	}, `SELECT tenant_id, secret_hash, scopes, limits, expires_at, revoked_at, phi, max_waiting_jobs, shredded
		FROM millrace_credential($1)`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, false, nil
	}
	return key, err == nil, postgres.Fault(err)
}

func random(bytes int) string {
	buffer := make([]byte, bytes)
	_, _ = rand.Read(buffer) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(buffer))
}
