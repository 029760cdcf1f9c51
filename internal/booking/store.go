package booking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// columns of one booking, in the order of scan.
const columns = `id, tenant_id, slot_id, coalesce(name, ''), coalesce(email, ''), timezone, coalesce(notes, ''), sealed, resource, starts_at, ends_at, busy_until,
	created_at, status, sequence, cancelled_at, updated_at, coalesce(job_id, 0), coalesce(reminder_job_id, 0),
	coalesce((SELECT mail.status FROM booking_mails AS mail
		WHERE mail.tenant_id = bookings.tenant_id AND mail.booking_id = bookings.id AND mail.message = 'confirmation'), 'pending')`

func scan(row pgx.CollectableRow) (Booking, error) {
	var b Booking
	err := row.Scan(&b.ID, &b.Tenant, &b.SlotID, &b.Name, &b.Email, &b.Timezone, &b.Notes, &b.sealed, &b.Resource, &b.StartsAt, &b.EndsAt, &b.busyUntil,
		&b.CreatedAt, &b.Status, &b.Sequence, &b.CancelledAt, &b.UpdatedAt, &b.JobID, &b.ReminderJobID, &b.EmailStatus)
	for _, at := range []*time.Time{&b.StartsAt, &b.EndsAt, &b.busyUntil, &b.CreatedAt, &b.UpdatedAt, b.CancelledAt} {
		if at != nil {
			*at = at.UTC()
		}
	}
	return b, err
}

// Resolve finds the slot of a booking that New made, in its calendar as it is now.
// The fault is SLOT_UNAVAILABLE when the calendar does not offer it, or no more.
func Resolve(ctx context.Context, db *postgres.Tenancy, tenant string, b Booking) (Booking, error) {
	gone := fault.New(fault.SlotUnavailable, "That time is not offered; choose a slot that is listed as free.")
	resource, _, ok := ParseSlot(b.SlotID)
	if !ok {
		return Booking{}, gone
	}
	c, err := FindCalendar(ctx, db, tenant, resource)
	if f := fault.From(err); f != nil && f.Code == fault.NotFound {
		return Booking{}, gone.Because(err)
	}
	if err != nil {
		return Booking{}, err
	}
	slot, ok := c.Find(b.SlotID, b.CreatedAt)
	if !ok {
		return Booking{}, gone
	}
	return b.At(slot, c), nil
}

// InsertMany writes new bookings of one tenant, which tx must have entered, each
// with the job that confirms it, and takes their time. What Seal sealed is stored
// so. The fault is SLOT_UNAVAILABLE when any of that is taken already, by one of
// them too; tx can then only be rolled back.
func InsertMany(ctx context.Context, tx pgx.Tx, bookings []Booking, jobIDs []int64) error {
	n := len(bookings)
	var (
		tenants, slots, names, emails = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		zones, notes, resources       = make([]string, n), make([]string, n), make([]string, n)
		ids                           = make([]uuid.UUID, n)
		starts, ends, busy, created   = make([]time.Time, n), make([]time.Time, n), make([]time.Time, n), make([]time.Time, n)
		firstTicks                    = make([]time.Time, n)
		sealed                        = make([][]byte, n)
	)
	for i, b := range bookings {
		if sealed[i] = b.sealed; b.sealed != nil {
			private{}.to(&b)
		}
		tenants[i], ids[i], slots[i], names[i], emails[i] = b.Tenant, b.ID, b.SlotID, b.Name, b.Email
		zones[i], notes[i], resources[i] = b.Timezone, b.Notes, b.Resource
		starts[i], ends[i], busy[i], created[i] = b.StartsAt, b.EndsAt, b.busyUntil, b.CreatedAt
		firstTicks[i] = b.StartsAt.Truncate(tick)
	}
	// In one order, so that two transactions that want the same time wait for each
	// other instead of deadlocking. Microseconds are the database's resolution: a
	// tick that begins when the booking ends is not taken.
	_, err := tx.Exec(ctx, `
		INSERT INTO booking_ticks (tenant_id, resource, tick, booking_id)
		SELECT tenant_id, resource, tick, id
		FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[]) AS row (tenant_id, resource, id, first_tick, busy_until),
			generate_series(first_tick, busy_until - interval '1 microsecond', interval '5 minutes') AS tick
		ORDER BY tenant_id, resource, tick`,
		tenants, resources, ids, firstTicks, busy)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "booking_ticks_pkey" {
		return fault.New(fault.SlotUnavailable, "That time has just been taken; choose another slot.").Because(err)
	}
	if err != nil {
		return fmt.Errorf("booking: take the time: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO bookings (tenant_id, id, slot_id, name, email, timezone, notes, sealed, resource, starts_at, ends_at, busy_until,
			created_at, updated_at, job_id)
		SELECT tenant_id, id, slot_id, nullif(name, ''), nullif(email, ''), timezone, nullif(notes, ''), sealed, resource, starts_at, ends_at, busy_until,
			created_at, created_at, nullif(job_id, 0)
		FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
				$9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::bigint[], $14::bytea[])
			AS row (tenant_id, id, slot_id, name, email, timezone, notes, resource, starts_at, ends_at, busy_until, created_at, job_id, sealed)`,
		tenants, ids, slots, names, emails, zones, notes, resources, starts, ends, busy, created, jobIDs, sealed)
	if err != nil {
		return fmt.Errorf("booking: insert: %w", err)
	}
	return nil
}

// Find reads a booking of the tenant. The fault is NOT_FOUND when the tenant has
// none of that id; those of Tenancy.Unseal come when it cannot be decrypted.
func Find(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (Booking, error) {
	var b Booking
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		b, err = pgx.CollectExactlyOneRow(rows, scan)
		return err
	}, "SELECT "+columns+" FROM bookings WHERE tenant_id = $1 AND id = $2", tenant, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Booking{}, notFound()
	}
	if err != nil {
		return Booking{}, postgres.Fault(err)
	}
	return b.unseal(ctx, db)
}

func notFound() *fault.Fault { return fault.New(fault.NotFound, "There is no such booking.") }

// Filter chooses bookings of a list. Zero values do not filter.
type Filter struct {
	// Before is the id below which to go on; zero starts with the newest.
	Before uuid.UUID
	// Limit is how many to return.
	Limit int
}

// List reads the tenant's bookings, those made last first: their ids are UUIDs of
// version 7, which begin with the time.
func List(ctx context.Context, db *postgres.Tenancy, tenant string, filter Filter) ([]Booking, error) {
	var list []Booking
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, scan)
		return err
	}, "SELECT "+columns+` FROM bookings
		WHERE tenant_id = $1 AND ($2::uuid = '00000000-0000-0000-0000-000000000000' OR id < $2)
		ORDER BY id DESC LIMIT $3`, tenant, filter.Before, filter.Limit)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	for i, b := range list {
		if list[i], err = b.unseal(ctx, db); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Taken lists the five minutes of a resource that bookings take, by their start,
// oldest first: all that a slot which starts in [from, to) could need.
func Taken(ctx context.Context, db *postgres.Tenancy, tenant, resource string, from, to time.Time) ([]time.Time, error) {
	const reach = (maxSlotMinutes + maxBufferMinutes) * time.Minute // of a slot that starts just before to
	var list []time.Time
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, pgx.RowTo[time.Time])
		return err
	}, `SELECT tick FROM booking_ticks
		WHERE tenant_id = $1 AND resource = $2 AND tick >= $3 AND tick < $4
		ORDER BY tick`, tenant, resource, from.Truncate(tick), to.Add(reach))
	return list, postgres.Fault(err)
}

// Cancel cancels a booking in the tenant's transaction tx, and frees its time. What
// it returns lacks what is sealed of it. The fault is CONFLICT when it is cancelled
// or over already, NOT_FOUND when the tenant has none of that id.
func Cancel(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, now time.Time) (Booking, error) {
	rows, err := tx.Query(ctx, `
		UPDATE bookings SET status = 'cancelled', sequence = sequence + 1, cancelled_at = $3, updated_at = $3
		WHERE tenant_id = $1 AND id = $2 AND status = 'confirmed' AND ends_at > $3
		RETURNING `+columns, tenant, id, now)
	if err != nil {
		return Booking{}, fmt.Errorf("booking: cancel: %w", err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Booking{}, whyNotCancelled(ctx, tx, tenant, id)
	}
	if err != nil {
		return Booking{}, fmt.Errorf("booking: cancel: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		DELETE FROM booking_ticks
		WHERE tenant_id = $1 AND resource = $2 AND tick >= $3 AND tick < $4 AND booking_id = $5`,
		tenant, b.Resource, b.StartsAt.Truncate(tick), b.busyUntil, id); err != nil {
		return Booking{}, fmt.Errorf("booking: free the time: %w", err)
	}
	return b, nil
}

func whyNotCancelled(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID) error {
	var status Status
	err := tx.QueryRow(ctx, "SELECT status FROM bookings WHERE tenant_id = $1 AND id = $2", tenant, id).Scan(&status)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return notFound()
	case err != nil:
		return fmt.Errorf("booking: cancel: %w", err)
	case status == Cancelled:
		return fault.New(fault.Conflict, "The booking is cancelled already.")
	default:
		return fault.New(fault.Conflict, "The appointment is over, so that it cannot be cancelled any more.")
	}
}

// SetReminder notes in the tenant's transaction tx which job will remind the
// customer.
func SetReminder(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, jobID int64) error {
	if _, err := tx.Exec(ctx, "UPDATE bookings SET reminder_job_id = $3 WHERE tenant_id = $1 AND id = $2", tenant, id, jobID); err != nil {
		return fmt.Errorf("booking: set reminder: %w", err)
	}
	return nil
}
