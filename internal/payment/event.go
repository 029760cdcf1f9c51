package payment

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/internal/postgres"
)

// Event is what the gateway told by itself: it says where to look, not what is
// true. Events come late, twice and in any order.
type Event struct {
	ID        string
	Type      string
	IntentID  string
	CreatedAt time.Time
}

// Known reports whether events of this type are about payments.
func (e Event) Known() bool { return len(e.news()) > 0 }

// IsNewsFor reports whether the event can change a payment that stands so.
func (e Event) IsNewsFor(status Status) bool { return slices.Contains(e.news(), status) }

// news is the one table of events (Stripe's API reference, "Types of events"): the
// states of a payment in which the gateway is worth asking.
func (e Event) news() []Status {
	switch e.Type {
	case "payment_intent.succeeded":
		return []Status{Pending, Processing, RequiresAction, Failed} // of a failed one it would be an alarm
	case "payment_intent.payment_failed", "payment_intent.canceled", "payment_intent.requires_action":
		return []Status{Pending, Processing, RequiresAction}
	case "charge.refunded":
		return []Status{Pending, Processing, RequiresAction, Captured, Disputed}
	case "charge.dispute.created":
		return []Status{Pending, Processing, RequiresAction, Captured}
	default:
		return nil
	}
}

// Carried is a payment with the job that carries it.
type Carried struct {
	Reference

	JobID  int64
	Status Status
}

// OfIntent finds the payments of all tenants that go through an intent. db acts
// as intake.
func OfIntent(ctx context.Context, db *postgres.Tenancy, intentID string) ([]Carried, error) {
	var list []Carried
	err := db.Query(ctx, "", func(rows pgx.Rows) error {
		var (
			c   Carried
			err error
		)
		_, err = pgx.ForEachRow(rows, []any{&c.Tenant, &c.ID, &c.JobID, &c.Status}, func() error {
			list = append(list, c)
			return nil
		})
		return err
	}, "SELECT tenant_id, id, job_id, status FROM millrace_payments_of_intent($1)", intentID)
	return list, postgres.Fault(err)
}

// RecordEvent notes in the tenant's transaction tx that an event about a payment
// has come. fresh is false when it had come before.
func RecordEvent(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, event Event, now time.Time) (fresh bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO payment_events (tenant_id, payment_id, event_id, type, created_at, received_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant_id, payment_id, event_id) DO NOTHING`,
		tenant, id, event.ID, event.Type, event.CreatedAt, now)
	if err != nil {
		return false, fmt.Errorf("payment: record event: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}
