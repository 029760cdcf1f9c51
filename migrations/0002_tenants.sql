-- Tenants and their API keys. Only the hash of a key's secret is stored. The
-- intake role cannot read the table: it asks a function about one key at a time.

-- +goose Up
SET LOCAL ROLE millrace_owner;

CREATE TABLE tenants (
    id         text        NOT NULL CHECK (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE api_keys (
    id          text        NOT NULL CHECK (id ~ '^[a-z0-9]{16}$'),
    tenant_id   text        NOT NULL REFERENCES tenants (id),
    name        text        NOT NULL CHECK (length(name) <= 100),
    secret_hash bytea       NOT NULL CHECK (length(secret_hash) = 32),
    scopes      text[]      NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    revoked_at  timestamptz,
    PRIMARY KEY (id)
);
CREATE INDEX api_keys_tenant_idx ON api_keys (tenant_id, created_at);

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
-- Keys are administered as the owner; nobody else has a policy here.
CREATE POLICY administration ON tenants TO millrace_owner USING (true) WITH CHECK (true);
CREATE POLICY administration ON api_keys TO millrace_owner USING (true) WITH CHECK (true);

-- +goose StatementBegin
CREATE FUNCTION millrace_api_key(key_id text)
RETURNS TABLE (tenant_id text, secret_hash bytea, scopes text[], expires_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.tenant_id, k.secret_hash, k.scopes, k.expires_at, k.revoked_at
    FROM public.api_keys AS k
    WHERE k.id = key_id
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_api_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_api_key(text) TO millrace_intake;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP FUNCTION millrace_api_key(text);
DROP TABLE api_keys;
DROP TABLE tenants;
RESET ROLE;
