package booking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// FindCalendar reads the calendar of a resource. A tenant that has none for the
// default resource has DefaultCalendar there; the fault is NOT_FOUND when another
// one has none.
func FindCalendar(ctx context.Context, db *postgres.Tenancy, tenant, resource string) (Calendar, error) {
	var c Calendar
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		c, err = pgx.CollectExactlyOneRow(rows, scanCalendar)
		return err
	}, `SELECT resource, timezone, hours, slot_minutes, buffer_minutes, days_ahead, reminder_minutes,
			business_name, coalesce(business_email, ''), business_color
		FROM calendars WHERE tenant_id = $1 AND resource = $2`, tenant, resource)
	switch {
	case err == nil:
		return c, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return Calendar{}, postgres.Fault(err)
	case resource == DefaultResource:
		return DefaultCalendar(tenant), nil
	default:
		return Calendar{}, fault.New(fault.NotFound, "There is no calendar for this resource; PUT /v1/calendar makes one.")
	}
}

func scanCalendar(row pgx.CollectableRow) (Calendar, error) {
	var c Calendar
	err := row.Scan(&c.Resource, &c.Timezone, &c.Hours, &c.SlotMinutes, &c.BufferMinutes, &c.DaysAhead, &c.ReminderMinutes,
		&c.Business.Name, &c.Business.Email, &c.Business.Color)
	return c, err
}

// PutCalendar makes or replaces the calendar of a resource, which Validate
// returned. Bookings stay as they are.
func PutCalendar(ctx context.Context, db *postgres.Tenancy, tenant string, c Calendar, now time.Time) error {
	hours, err := json.Marshal(c.Hours)
	if err != nil {
		return fmt.Errorf("booking: encode hours: %w", err)
	}
	err = db.Tx(ctx, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO calendars (tenant_id, resource, timezone, hours, slot_minutes, buffer_minutes, days_ahead, reminder_minutes,
				business_name, business_email, business_color, created_at, updated_at)
			VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7, $8, $9, nullif($10, ''), $11, $12, $12)
			ON CONFLICT (tenant_id, resource) DO UPDATE SET
				timezone = excluded.timezone, hours = excluded.hours, slot_minutes = excluded.slot_minutes,
				buffer_minutes = excluded.buffer_minutes, days_ahead = excluded.days_ahead, reminder_minutes = excluded.reminder_minutes,
				business_name = excluded.business_name, business_email = excluded.business_email,
				business_color = excluded.business_color, updated_at = excluded.updated_at`,
			tenant, c.Resource, c.Timezone, string(hours), c.SlotMinutes, c.BufferMinutes, c.DaysAhead, c.ReminderMinutes,
			c.Business.Name, c.Business.Email, c.Business.Color, now)
		return err
	})
	return postgres.Fault(err)
}
