package apikey

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// Tenant is a tenant with its settings.
type Tenant struct {
	ID string `json:"id"`
	// PHI says what becomes of personal data in texts.
	PHI PHIMode `json:"phi"`
	// MaxWaitingJobs is how many of its jobs may wait at once.
	MaxWaitingJobs int       `json:"max_waiting_jobs"`
	CreatedAt      time.Time `json:"created_at"`
	// ShreddedAt is when its keys were destroyed.
	ShreddedAt *time.Time `json:"shredded_at,omitzero"`
}

// PHIModes lists every mode.
func PHIModes() []PHIMode { return []PHIMode{PHIMask, PHIStrict} }

// maxWaitingJobs bounds the setting of that name.
const maxWaitingJobs = 1_000_000_000

// ListTenants returns all tenants by id. db must act as the owner.
func ListTenants(ctx context.Context, db *postgres.Tenancy) ([]Tenant, error) {
	var tenants []Tenant
	err := db.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		tenants, err = pgx.CollectRows(rows, scanTenant)
		return err
	}, `SELECT id, phi, max_waiting_jobs, created_at, shredded_at FROM tenants ORDER BY id`)
	return tenants, postgres.Fault(err)
}

func scanTenant(row pgx.CollectableRow) (Tenant, error) {
	var t Tenant
	err := row.Scan(&t.ID, &t.PHI, &t.MaxWaitingJobs, &t.CreatedAt, &t.ShreddedAt)
	return t, err
}

// TenantChange is what SetTenant changes; nil leaves a setting as it is.
type TenantChange struct {
	PHI            *PHIMode
	MaxWaitingJobs *int
}

// SetTenant changes settings of a tenant and returns all of them. Running programs
// follow within CacheTTL. db must act as the owner. The fault is INVALID_INPUT or
// NOT_FOUND.
func SetTenant(ctx context.Context, db *postgres.Tenancy, id string, change TenantChange) (Tenant, error) {
	var fields fault.Fields
	fields.Check(change.PHI == nil || slices.Contains(PHIModes(), *change.PHI), "phi", "must be mask or strict")
	fields.Check(change.MaxWaitingJobs == nil || (*change.MaxWaitingJobs >= 0 && *change.MaxWaitingJobs <= maxWaitingJobs),
		"max-waiting-jobs", "must be from 0 to 1000000000")
	if err := fields.Err(); err != nil {
		return Tenant{}, err
	}
	var tenant Tenant
	err := db.Tx(ctx, "", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE tenants SET phi = coalesce($2, phi), max_waiting_jobs = coalesce($3, max_waiting_jobs) WHERE id = $1
			RETURNING id, phi, max_waiting_jobs, created_at, shredded_at`, id, change.PHI, change.MaxWaitingJobs)
		if err != nil {
			return err
		}
		tenant, err = pgx.CollectExactlyOneRow(rows, scanTenant)
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.NotFound, "There is no tenant of that name; creating a key makes one.")
		}
		return err
	})
	return tenant, postgres.Fault(err)
}

// Tenants looks up the rules of tenants that are named by something else than a
// key, and remembers them as a Verifier does keys.
type Tenants struct {
	db     *postgres.Tenancy
	cache  *expirable.LRU[string, known]
	flight singleflight.Group
}

type known struct {
	rules Rules
	found bool
}

// NewTenants returns a look-up; db must act as the intake role.
func NewTenants(db *postgres.Tenancy) *Tenants {
	return &Tenants{db: db, cache: expirable.NewLRU[string, known](10_000, nil, CacheTTL)}
}

// Rules returns what holds for a tenant; found is false when there is none of that id.
func (t *Tenants) Rules(ctx context.Context, id string) (rules Rules, found bool, err error) {
	if !TenantID.MatchString(id) {
		return Rules{}, false, nil
	}
	if k, cached := t.cache.Get(id); cached {
		return k.rules, k.found, nil
	}
	read, err, _ := t.flight.Do(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		k, err := t.read(ctx, id)
		if err == nil {
			t.cache.Add(id, k)
		}
		return k, err
	})
	k, _ := read.(known)
	return k.rules, k.found, err
}

func (t *Tenants) read(ctx context.Context, id string) (k known, err error) {
	err = t.db.Query(ctx, "", func(rows pgx.Rows) error {
		k.rules, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (r Rules, err error) {
			return r, row.Scan(&r.PHI, &r.MaxWaitingJobs, &r.Shredded)
		})
		return err
	}, `SELECT phi, max_waiting_jobs, shredded FROM millrace_tenant($1)`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return known{}, nil
	}
	k.found = err == nil
	return k, postgres.Fault(err)
}
