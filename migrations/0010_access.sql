-- What a tenant may do and how its texts are treated; what a key may do beside
-- its scopes; and when it was last used.

-- +goose Up
SET LOCAL ROLE millrace_owner;

ALTER TABLE tenants
    -- mask replaces personal data in texts; strict refuses them.
    ADD COLUMN phi              text    NOT NULL DEFAULT 'mask' CHECK (phi IN ('mask', 'strict')),
    -- How many of its jobs may wait at once.
    ADD COLUMN max_waiting_jobs integer NOT NULL DEFAULT 100000 CHECK (max_waiting_jobs >= 0),
    -- Set when its keys were destroyed: nothing is taken for it any more.
    ADD COLUMN shredded_at      timestamptz;

ALTER TABLE api_keys
    -- Rates by class that differ from the server's, {"payments": "100/m"}.
    ADD COLUMN limits       jsonb,
    -- To the minute, about.
    ADD COLUMN last_used_at timestamptz;

-- A key with its tenant's settings. It takes the place of millrace_api_key, which
-- stays for programs of before.
-- +goose StatementBegin
CREATE FUNCTION millrace_credential(key_id text)
RETURNS TABLE (tenant_id text, secret_hash bytea, scopes text[], limits jsonb, expires_at timestamptz, revoked_at timestamptz,
    phi text, max_waiting_jobs integer, shredded boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.tenant_id, k.secret_hash, k.scopes, k.limits, k.expires_at, k.revoked_at, t.phi, t.max_waiting_jobs, t.shredded_at IS NOT NULL
    FROM public.api_keys AS k JOIN public.tenants AS t ON t.id = k.tenant_id
    WHERE k.id = key_id
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_credential(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_credential(text) TO millrace_intake;

-- The settings of a tenant that is named by something else than a key.
-- +goose StatementBegin
CREATE FUNCTION millrace_tenant(tenant text)
RETURNS TABLE (phi text, max_waiting_jobs integer, shredded boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.phi, t.max_waiting_jobs, t.shredded_at IS NOT NULL FROM public.tenants AS t WHERE t.id = tenant
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_tenant(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_tenant(text) TO millrace_intake;

-- Notes that keys were used; an older time than the one that is there changes nothing.
-- +goose StatementBegin
CREATE FUNCTION millrace_keys_used(key_ids text[], at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE public.api_keys SET last_used_at = at WHERE id = ANY(key_ids) AND (last_used_at IS NULL OR last_used_at < at)
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_keys_used(text[], timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_keys_used(text[], timestamptz) TO millrace_intake;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP FUNCTION millrace_keys_used(text[], timestamptz);
DROP FUNCTION millrace_tenant(text);
DROP FUNCTION millrace_credential(text);
ALTER TABLE api_keys DROP COLUMN limits, DROP COLUMN last_used_at;
ALTER TABLE tenants DROP COLUMN phi, DROP COLUMN max_waiting_jobs, DROP COLUMN shredded_at;
RESET ROLE;
