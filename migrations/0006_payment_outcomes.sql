-- What a payment needs to be followed to its end: the job that carries it, what
-- the gateway answered, when an authorisation lapses, refunds and disputes, and
-- the gateway's events.

-- +goose Up
SET LOCAL ROLE millrace_owner;

ALTER TABLE payments
    -- Asked for: when the client knows that the authorisation lapses.
    ADD COLUMN capture_before   timestamptz,
    -- The River job that carries the payment; NULL for payments older than this.
    ADD COLUMN job_id           bigint,
    -- What the gateway said: see Call in internal/payment/receipt.go.
    ADD COLUMN gateway_log      jsonb,
    ADD COLUMN expires_at       timestamptz,
    ADD COLUMN amount_refunded  bigint,
    -- For the customer's browser; kept from when the payment waited for the
    -- customer until it is final.
    ADD COLUMN client_secret    text,
    DROP CONSTRAINT payments_status_check,
    -- Not validated: the old rows' states are among the new ones, and reading
    -- them all would lock the table.
    ADD CONSTRAINT payments_status_check CHECK (status IN
        ('pending', 'processing', 'requires_action', 'captured', 'failed', 'refunded', 'disputed')) NOT VALID;

-- One PaymentIntent pays for one payment. The gateway's events are found by it.
CREATE UNIQUE INDEX payments_intent ON payments (intent_id, tenant_id) WHERE intent_id IS NOT NULL;
-- What the reconciler looks through: it holds what is in flight, and no more.
CREATE INDEX payments_in_flight ON payments (updated_at) WHERE status IN ('pending', 'processing', 'requires_action');

-- For the functions below, which run as the owner.
CREATE POLICY look_up ON payments FOR SELECT TO millrace_owner USING (true);

GRANT UPDATE (gateway_log, expires_at, amount_refunded, client_secret) ON payments TO millrace_worker;

-- Which payments an event of the gateway is about: it names no tenant.
-- +goose StatementBegin
CREATE FUNCTION millrace_payments_of_intent(intent text)
RETURNS TABLE (tenant_id text, id uuid, job_id bigint, status text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.tenant_id, p.id, coalesce(p.job_id, 0), p.status FROM public.payments AS p WHERE p.intent_id = intent
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_payments_of_intent(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_payments_of_intent(text) TO millrace_intake;

-- Payments of all tenants that nobody works on: not final, untouched since a
-- time, and their job has ended or is gone. Reads what is in flight, by index.
-- Of a payment without job_id nobody knows.
-- +goose StatementBegin
CREATE FUNCTION millrace_abandoned_payments(untouched_since timestamptz, at_most integer)
RETURNS TABLE (tenant_id text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.tenant_id, p.id
    FROM public.payments AS p
    LEFT JOIN public.river_job AS job ON job.id = p.job_id
    WHERE p.status IN ('pending', 'processing', 'requires_action') AND p.updated_at < untouched_since
        AND p.job_id IS NOT NULL AND (job.id IS NULL OR job.finalized_at IS NOT NULL)
    ORDER BY p.updated_at
    LIMIT at_most
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_abandoned_payments(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_abandoned_payments(timestamptz, integer) TO millrace_worker;

-- Events of the gateway that were taken in, so that a repeated delivery changes nothing.
CREATE TABLE payment_events (
    tenant_id   text        NOT NULL CHECK (tenant_id <> ''),
    payment_id  uuid        NOT NULL,
    event_id    text        NOT NULL,
    type        text        NOT NULL,
    created_at  timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, payment_id, event_id)
);
ALTER TABLE payment_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE payment_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON payment_events
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
GRANT SELECT, INSERT ON payment_events TO millrace_intake;

-- Says which of some jobs are final, and which wait for the client, so that
-- whoever waits for them can be told. It takes the place of
-- millrace_finished_jobs, which stays for programs of before.
-- +goose StatementBegin
CREATE FUNCTION millrace_told_jobs(job_ids bigint[]) RETURNS TABLE (job_id bigint, final boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT asked.id, job.id IS NULL OR job.finalized_at IS NOT NULL
    FROM unnest(job_ids) AS asked (id)
    LEFT JOIN public.river_job AS job ON job.id = asked.id
    WHERE job.id IS NULL OR job.finalized_at IS NOT NULL
        OR (job.state = 'scheduled' AND job.metadata -> 'output' ->> 'code' = 'PAYMENT_FAILED')
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_told_jobs(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_told_jobs(bigint[]) TO millrace_intake;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP FUNCTION millrace_told_jobs(bigint[]);
DROP TABLE payment_events;
DROP FUNCTION millrace_abandoned_payments(timestamptz, integer);
DROP FUNCTION millrace_payments_of_intent(text);
DROP INDEX payments_in_flight;
DROP INDEX payments_intent;
DROP POLICY look_up ON payments;
-- Both were captured, and the older code knows no more of them. Row-level
-- security holds for the owner too, so it steps aside for this statement.
ALTER TABLE payments NO FORCE ROW LEVEL SECURITY;
UPDATE payments SET status = 'captured' WHERE status IN ('refunded', 'disputed');
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
ALTER TABLE payments
    DROP CONSTRAINT payments_status_check,
    ADD CONSTRAINT payments_status_check CHECK (status IN
        ('pending', 'processing', 'requires_action', 'captured', 'failed')) NOT VALID,
    DROP COLUMN capture_before,
    DROP COLUMN job_id,
    DROP COLUMN gateway_log,
    DROP COLUMN expires_at,
    DROP COLUMN amount_refunded,
    DROP COLUMN client_secret;
RESET ROLE;
