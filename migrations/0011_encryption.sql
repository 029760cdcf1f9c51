-- Encryption at rest: a keyset a tenant, wrapped by a key that is not in the
-- database, and one sealed column in place of what a row says about people.

-- +goose Up
SET LOCAL ROLE millrace_owner;

CREATE TABLE tenant_keysets (
    tenant_id    text        NOT NULL CHECK (tenant_id <> ''),
    -- Wrapped in internal/seal/keys.go. NULL once the tenant was shredded: the row
    -- stays, so that nobody makes another keyset.
    sealing      bytea,
    digesting    bytea,
    kek          text,                 -- id of the key that wraps them
    created_at   timestamptz NOT NULL,
    rotated_at   timestamptz,          -- when the newest key was made, unless it is the first
    destroyed_at timestamptz,
    PRIMARY KEY (tenant_id),
    CHECK ((destroyed_at IS NULL) = (sealing IS NOT NULL AND digesting IS NOT NULL AND kek IS NOT NULL)),
    CHECK (destroyed_at IS NULL OR (sealing IS NULL AND digesting IS NULL AND kek IS NULL))
);
ALTER TABLE tenant_keysets ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_keysets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON tenant_keysets
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
-- Keysets are wrapped anew, rotated and destroyed as the owner.
CREATE POLICY administration ON tenant_keysets TO millrace_owner USING (true) WITH CHECK (true);
-- Intake makes a tenant's first one.
GRANT SELECT, INSERT ON tenant_keysets TO millrace_intake;
GRANT SELECT ON tenant_keysets TO millrace_worker;

-- An empty value stands for plain columns that were erased when their tenant was
-- shredded. No CHECK is validated: the old rows hold, and reading them all would
-- lock the tables.
ALTER TABLE payments
    ADD COLUMN sealed bytea,
    ADD CONSTRAINT payments_sealed CHECK (sealed IS NULL OR
        (customer_email IS NULL AND description IS NULL AND items IS NULL AND metadata IS NULL)) NOT VALID;
ALTER TABLE bookings
    ADD COLUMN sealed bytea,
    ALTER COLUMN name DROP NOT NULL,
    ALTER COLUMN email DROP NOT NULL,
    ADD CONSTRAINT bookings_sealed CHECK (CASE WHEN sealed IS NULL THEN name IS NOT NULL AND email IS NOT NULL
        ELSE name IS NULL AND email IS NULL AND notes IS NULL END) NOT VALID;
ALTER TABLE conversations
    ADD COLUMN sealed bytea,
    ALTER COLUMN messages DROP NOT NULL,
    DROP CONSTRAINT conversations_check, -- (feedback IS NOT NULL) = has_feedback
    ADD CONSTRAINT conversations_sealed CHECK (CASE WHEN sealed IS NULL THEN messages IS NOT NULL AND (feedback IS NOT NULL) = has_feedback
        ELSE messages IS NULL AND feedback IS NULL END) NOT VALID;

-- The texts of one conversation of the tenant that the transaction acts for:
-- row-level security binds the owner, as whom this runs, too. Intake has no other
-- way to them.
-- +goose StatementBegin
CREATE FUNCTION millrace_conversation_texts(conversation uuid)
RETURNS TABLE (messages json, feedback json, sealed bytea)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.messages, c.feedback, c.sealed FROM public.conversations AS c
    WHERE c.tenant_id = current_setting('millrace.tenant', true) AND c.id = conversation
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_conversation_texts(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_conversation_texts(uuid) TO millrace_intake, millrace_worker;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
-- Row-level security holds for the owner too, so it steps aside for the look.
ALTER TABLE payments NO FORCE ROW LEVEL SECURITY;
ALTER TABLE bookings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE conversations NO FORCE ROW LEVEL SECURITY;
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM payments WHERE sealed IS NOT NULL) OR EXISTS (SELECT FROM bookings WHERE sealed IS NOT NULL)
        OR EXISTS (SELECT FROM conversations WHERE sealed IS NOT NULL) THEN
        RAISE EXCEPTION 'rows are encrypted, and the database cannot decrypt them: taking this migration back would lose what they hold';
    END IF;
END
$$;
-- +goose StatementEnd
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
ALTER TABLE bookings FORCE ROW LEVEL SECURITY;
ALTER TABLE conversations FORCE ROW LEVEL SECURITY;
DROP FUNCTION millrace_conversation_texts(uuid);
ALTER TABLE conversations
    DROP CONSTRAINT conversations_sealed,
    ADD CONSTRAINT conversations_check CHECK ((feedback IS NOT NULL) = has_feedback) NOT VALID,
    ALTER COLUMN messages SET NOT NULL,
    DROP COLUMN sealed;
ALTER TABLE bookings
    DROP CONSTRAINT bookings_sealed,
    ALTER COLUMN name SET NOT NULL,
    ALTER COLUMN email SET NOT NULL,
    DROP COLUMN sealed;
ALTER TABLE payments DROP CONSTRAINT payments_sealed, DROP COLUMN sealed;
DROP TABLE tenant_keysets;
RESET ROLE;
