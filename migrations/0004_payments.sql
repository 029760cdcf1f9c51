-- Payments. Amounts are in the currency's minor unit.

-- +goose Up
SET LOCAL ROLE millrace_owner;

CREATE TABLE payments (
    tenant_id         text        NOT NULL CHECK (tenant_id <> ''),
    id                uuid        NOT NULL,
    -- What was asked; never changed.
    amount            bigint      CHECK (amount > 0),
    currency          text        CHECK (currency ~ '^[a-z]{3}$'),
    payment_method    text,
    payment_intent    text,
    amount_to_capture bigint,
    customer_email    text,
    description       text,
    items             jsonb,
    metadata          jsonb,
    created_at        timestamptz NOT NULL,
    -- What has become of it; changed by the worker alone.
    status            text        NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'processing', 'requires_action', 'captured', 'failed')),
    intent_id         text,
    amount_captured   bigint,
    failure           jsonb,
    gateway_requests  integer     NOT NULL DEFAULT 0,
    updated_at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    -- A new charge names its amount; a capture may take the authorised one.
    CHECK ((payment_method IS NULL) <> (payment_intent IS NULL)),
    CHECK (payment_intent IS NOT NULL OR (amount IS NOT NULL AND currency IS NOT NULL))
) WITH (fillfactor = 70); -- each payment is updated a few times: leave room for HOT updates

ALTER TABLE payments ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON payments
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));

-- Intake updates only to cancel what has not begun.
GRANT SELECT, INSERT, UPDATE (status, failure, updated_at) ON payments TO millrace_intake;
GRANT SELECT ON payments TO millrace_worker;
GRANT UPDATE (status, intent_id, amount_captured, failure, gateway_requests, updated_at) ON payments TO millrace_worker;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP TABLE payments;
RESET ROLE;
