package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// columns of one payment, in the order of scan.
const columns = `id, tenant_id, coalesce(amount, 0), coalesce(currency, ''), coalesce(payment_method, ''),
	coalesce(payment_intent, ''), coalesce(amount_to_capture, 0), capture_before, coalesce(customer_email, ''), coalesce(description, ''),
	items, metadata, sealed, created_at, status, coalesce(job_id, 0), coalesce(intent_id, ''), coalesce(client_secret, ''), expires_at,
	coalesce(amount_captured, 0), coalesce(amount_refunded, 0), failure, gateway_requests, gateway_log, updated_at`

func scan(row pgx.CollectableRow) (Payment, error) {
	var p Payment
	err := row.Scan(&p.ID, &p.Tenant, &p.Amount, &p.Currency, &p.PaymentMethod,
		&p.PaymentIntent, &p.AmountToCapture, &p.CaptureBefore, &p.CustomerEmail, &p.Description,
		&p.Items, &p.Metadata, &p.sealed, &p.CreatedAt, &p.Status, &p.JobID, &p.IntentID, &p.ClientSecret, &p.ExpiresAt,
		&p.AmountCaptured, &p.AmountRefunded, &p.Failure, &p.GatewayRequests, &p.GatewayLog, &p.UpdatedAt)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	if p.handedOut = p.ClientSecret != ""; p.Status != RequiresAction {
		p.ClientSecret = ""
	}
	for _, at := range []*time.Time{p.CaptureBefore, p.ExpiresAt} {
		if at != nil {
			*at = at.UTC()
		}
	}
	return p, err
}

// InsertMany writes new payments of one tenant, which tx must have entered, in
// one statement, each with the job that carries it. What Seal sealed is stored so.
func InsertMany(ctx context.Context, tx pgx.Tx, payments []Payment, jobIDs []int64) error {
	n := len(payments)
	var (
		tenants, currencies, methods, intents, emails, descriptions = make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		ids                                                         = make([]uuid.UUID, n)
		amounts, toCapture                                          = make([]int64, n), make([]int64, n)
		items, metadata                                             = make([]*string, n), make([]*string, n)
		created                                                     = make([]time.Time, n)
		captureBefore                                               = make([]*time.Time, n)
		sealed                                                      = make([][]byte, n)
	)
	for i, p := range payments {
		if sealed[i] = p.sealed; p.sealed != nil {
			private{}.to(&p)
		}
		var err error
		if items[i], err = jsonText(p.Items, len(p.Items) == 0); err != nil {
			return err
		}
		if metadata[i], err = jsonText(p.Metadata, len(p.Metadata) == 0); err != nil {
			return err
		}
		tenants[i], ids[i], amounts[i], currencies[i], created[i] = p.Tenant, p.ID, p.Amount, p.Currency, p.CreatedAt
		methods[i], intents[i], toCapture[i] = p.PaymentMethod, p.PaymentIntent, p.AmountToCapture
		emails[i], descriptions[i], captureBefore[i] = p.CustomerEmail, p.Description, p.CaptureBefore
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO payments (tenant_id, id, amount, currency, payment_method, payment_intent, amount_to_capture,
			capture_before, customer_email, description, items, metadata, sealed, created_at, updated_at, job_id)
		SELECT tenant_id, id, nullif(amount, 0), nullif(currency, ''), nullif(method, ''), nullif(intent, ''), nullif(to_capture, 0),
			capture_before, nullif(email, ''), nullif(description, ''), items::jsonb, metadata::jsonb, sealed, created_at, created_at, job_id
		FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[],
				$8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::bigint[], $15::bytea[])
			AS row (tenant_id, id, amount, currency, method, intent, to_capture, email, description, items, metadata, created_at, capture_before, job_id, sealed)`,
		tenants, ids, amounts, currencies, methods, intents, toCapture, emails, descriptions, items, metadata, created, captureBefore, jobIDs, sealed)
	if err != nil {
		return fmt.Errorf("payment: insert: %w", err)
	}
	return nil
}

func jsonText(v any, empty bool) (*string, error) {
	if empty {
		return nil, nil //nolint:nilnil // nil is SQL's NULL
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("payment: encode: %w", err)
	}
	s := string(text)
	return &s, nil
}

// Find reads a payment of the tenant. The fault is NOT_FOUND when the tenant
// has none of that id; those of Tenancy.Unseal come when it cannot be decrypted.
func Find(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (Payment, error) {
	p, err := findSealed(ctx, db, tenant, id)
	if err != nil {
		return Payment{}, err
	}
	return p.unseal(ctx, db)
}

// findSealed reads a payment without what is sealed of it: all that is needed to
// bring it to its end, also when the tenant was shredded.
func findSealed(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (Payment, error) {
	var p Payment
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		p, err = pgx.CollectExactlyOneRow(rows, scan)
		return err
	}, "SELECT "+columns+" FROM payments WHERE tenant_id = $1 AND id = $2", tenant, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Payment{}, fault.New(fault.NotFound, "There is no such payment.")
	}
	return p, postgres.Fault(err)
}

// Filter chooses payments of a list. Zero values do not filter.
type Filter struct {
	// Before is the id below which to go on; zero starts with the newest.
	Before uuid.UUID
	// Limit is how many to return.
	Limit int
}

// List reads the tenant's payments, newest first: their ids are UUIDs of
// version 7, which begin with the time.
func List(ctx context.Context, db *postgres.Tenancy, tenant string, filter Filter) ([]Payment, error) {
	var list []Payment
	err := db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, scan)
		return err
	}, "SELECT "+columns+` FROM payments
		WHERE tenant_id = $1 AND ($2::uuid = '00000000-0000-0000-0000-000000000000' OR id < $2)
		ORDER BY id DESC LIMIT $3`, tenant, filter.Before, filter.Limit)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	for i, p := range list {
		if list[i], err = p.unseal(ctx, db); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Begin records that the gateway is about to be asked for what may move money:
// the payment's status, intent and receipt, and how many requests more it counts.
// The fault is PAYMENT_FAILED when another payment pays through the same intent,
// and UNAVAILABLE when the payment ended meanwhile: it is left as it is, and the
// gateway must not be asked.
func Begin(ctx context.Context, db *postgres.Tenancy, p Payment, asked int, now time.Time) error {
	log, err := jsonText(p.GatewayLog, len(p.GatewayLog) == 0)
	if err != nil {
		return err
	}
	err = db.Tx(ctx, p.Tenant, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE payments SET status = $3, intent_id = nullif($4, ''), gateway_log = $5::jsonb,
				gateway_requests = gateway_requests + $6, updated_at = $7
			WHERE tenant_id = $1 AND id = $2 AND status = ANY($8)`,
			p.Tenant, p.ID, p.Status, p.IntentID, log, asked, now, Processing.before())
		if err == nil && tag.RowsAffected() == 0 {
			return endedMeanwhile()
		}
		return err
	})
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "payments_intent" {
		return Failure(ReasonGatewayError, "Another payment captures this PaymentIntent already.").Because(err)
	}
	return postgres.Fault(err)
}

func endedMeanwhile() *fault.Fault {
	return fault.New(fault.Unavailable, "The payment ended meanwhile; its status says how.")
}

// Settle writes an outcome in the tenant's transaction tx. The payment's states
// only lead onwards: an outcome that comes too late changes nothing, and a final
// one that contradicts how the payment ended meanwhile is an UNAVAILABLE fault. A
// failed capture gives the client's intent free for another payment. ended says that
// it is this outcome that ended the payment: it was not final before.
func Settle(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, o Outcome, now time.Time) (ended bool, err error) {
	var failure *string
	if o.Failure != nil {
		text := o.Failure.Error()
		failure = &text
	}
	log, err := jsonText(o.Log, len(o.Log) == 0)
	if err != nil {
		return false, err
	}
	var expires *time.Time
	if !o.ExpiresAt.IsZero() {
		expires = &o.ExpiresAt
	}
	var before Status
	err = tx.QueryRow(ctx, `
		WITH before AS (SELECT status FROM payments WHERE tenant_id = $1 AND id = $2 FOR UPDATE)
		UPDATE payments SET status = $3,
			intent_id = CASE WHEN $3 = 'failed' AND payment_intent IS NOT NULL THEN NULL ELSE coalesce(nullif($4, ''), intent_id) END,
			client_secret = CASE WHEN $14 THEN NULL ELSE coalesce(nullif($5, ''), client_secret) END, amount_captured = nullif($6::bigint, 0), amount_refunded = nullif(greatest(amount_refunded, $7::bigint), 0),
			expires_at = coalesce($8, expires_at), failure = $9::jsonb, gateway_log = coalesce($10::jsonb, gateway_log),
			gateway_requests = gateway_requests + $11, updated_at = $12
		FROM before
		WHERE tenant_id = $1 AND id = $2 AND before.status = ANY($13)
		RETURNING before.status`,
		tenant, id, o.Status, o.IntentID, o.ClientSecret, o.AmountCaptured, o.AmountRefunded, expires, failure, log, o.Asked, now, o.Status.before(), o.Status.Final()).Scan(&before)
	switch {
	case errors.Is(err, pgx.ErrNoRows) && o.Status.Final():
		return false, endedMeanwhile()
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("payment: settle: %w", err)
	default:
		return o.Status.Final() && !before.Final(), nil
	}
}

// Cancel ends a payment that no worker has begun, in the tenant's transaction tx.
// The fault is CONFLICT when one has.
func Cancel(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, now time.Time) error {
	failure := fault.New(fault.JobCancelled, "The payment was cancelled before it began.").Error()
	tag, err := tx.Exec(ctx, `
		UPDATE payments SET status = 'failed', failure = $3::jsonb, updated_at = $4
		WHERE tenant_id = $1 AND id = $2 AND status = 'pending'`, tenant, id, failure, now)
	if err != nil {
		return fmt.Errorf("payment: cancel: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "The payment has begun at the gateway, so that it cannot be cancelled any more.")
	}
	return nil
}

// Reference names a payment of a tenant.
type Reference struct {
	Tenant string
	ID     uuid.UUID
}

// Abandoned lists payments of all tenants, at most n and the oldest first, that
// are not final, have not changed since a time, and whose job has ended or is
// gone. db acts as the worker.
func Abandoned(ctx context.Context, db *postgres.Tenancy, since time.Time, n int) ([]Reference, error) {
	var list []Reference
	err := db.Query(ctx, "", func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Reference])
		return err
	}, "SELECT tenant_id, id FROM millrace_abandoned_payments($1, $2)", since, n)
	return list, postgres.Fault(err)
}
