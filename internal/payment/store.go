package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

// columns of one payment, in the order of scan.
const columns = `id, tenant_id, coalesce(amount, 0), coalesce(currency, ''), coalesce(payment_method, ''),
	coalesce(payment_intent, ''), coalesce(amount_to_capture, 0), coalesce(customer_email, ''), coalesce(description, ''),
	items, metadata, created_at, status, coalesce(intent_id, ''), coalesce(amount_captured, 0), failure, gateway_requests, updated_at`

func scan(row pgx.CollectableRow) (Payment, error) {
	var p Payment
	err := row.Scan(&p.ID, &p.Tenant, &p.Amount, &p.Currency, &p.PaymentMethod,
		&p.PaymentIntent, &p.AmountToCapture, &p.CustomerEmail, &p.Description,
		&p.Items, &p.Metadata, &p.CreatedAt, &p.Status, &p.IntentID, &p.AmountCaptured, &p.Failure, &p.GatewayRequests, &p.UpdatedAt)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, err
}

// InsertMany writes new payments of one tenant, which tx must have entered, in
// one statement.
func InsertMany(ctx context.Context, tx pgx.Tx, payments []Payment) error {
	n := len(payments)
	var (
		tenants, currencies, methods, intents, emails, descriptions = make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		ids                                                         = make([]uuid.UUID, n)
		amounts, toCapture                                          = make([]int64, n), make([]int64, n)
		items, metadata                                             = make([]*string, n), make([]*string, n)
		created                                                     = make([]time.Time, n)
	)
	for i, p := range payments {
		var err error
		if items[i], err = jsonText(p.Items, len(p.Items) == 0); err != nil {
			return err
		}
		if metadata[i], err = jsonText(p.Metadata, len(p.Metadata) == 0); err != nil {
			return err
		}
		tenants[i], ids[i], amounts[i], currencies[i], created[i] = p.Tenant, p.ID, p.Amount, p.Currency, p.CreatedAt
		methods[i], intents[i], toCapture[i] = p.PaymentMethod, p.PaymentIntent, p.AmountToCapture
		emails[i], descriptions[i] = p.CustomerEmail, p.Description
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO payments (tenant_id, id, amount, currency, payment_method, payment_intent, amount_to_capture,
			customer_email, description, items, metadata, created_at, updated_at)
		SELECT tenant_id, id, nullif(amount, 0), nullif(currency, ''), nullif(method, ''), nullif(intent, ''), nullif(to_capture, 0),
			nullif(email, ''), nullif(description, ''), items::jsonb, metadata::jsonb, created_at, created_at
		FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[],
				$8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[])
			AS row (tenant_id, id, amount, currency, method, intent, to_capture, email, description, items, metadata, created_at)`,
		tenants, ids, amounts, currencies, methods, intents, toCapture, emails, descriptions, items, metadata, created)
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
// has none of that id.
func Find(ctx context.Context, db *postgres.Tenancy, tenant string, id uuid.UUID) (Payment, error) {
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

// Begin records that the gateway is about to be asked (again), with the
// PaymentIntent once it is known. A final payment is left as it is.
func Begin(ctx context.Context, db *postgres.Tenancy, p Payment, now time.Time) error {
	return postgres.Fault(db.Tx(ctx, p.Tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE payments SET status = 'processing', intent_id = coalesce(nullif($3, ''), intent_id),
				gateway_requests = gateway_requests + 1, updated_at = $4
			WHERE tenant_id = $1 AND id = $2 AND status NOT IN ('captured', 'failed')`,
			p.Tenant, p.ID, p.IntentID, now)
		return err
	}))
}

// Settle writes an outcome in the tenant's transaction tx. A final payment does
// not change any more: who settles second changes nothing.
func Settle(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, outcome Outcome, now time.Time) error {
	var failure *string
	if outcome.Failure != nil {
		text := outcome.Failure.Error()
		failure = &text
	}
	_, err := tx.Exec(ctx, `
		UPDATE payments SET status = $3, intent_id = coalesce(nullif($4, ''), intent_id),
			amount_captured = nullif($5::bigint, 0), failure = $6::jsonb, updated_at = $7
		WHERE tenant_id = $1 AND id = $2 AND status NOT IN ('captured', 'failed')`,
		tenant, id, outcome.Status, outcome.IntentID, outcome.AmountCaptured, failure, now)
	if err != nil {
		return fmt.Errorf("payment: settle: %w", err)
	}
	return nil
}

// Cancel ends a payment that no worker has begun, in the tenant's transaction tx.
func Cancel(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, now time.Time) error {
	failure := fault.New(fault.JobCancelled, "The payment was cancelled before it began.").Error()
	_, err := tx.Exec(ctx, `
		UPDATE payments SET status = 'failed', failure = $3::jsonb, updated_at = $4
		WHERE tenant_id = $1 AND id = $2 AND status = 'pending'`, tenant, id, failure, now)
	if err != nil {
		return fmt.Errorf("payment: cancel: %w", err)
	}
	return nil
}
