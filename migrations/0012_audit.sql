-- The audit log: who changed what, from where, with what outcome. Entries are
-- written by triggers, as the owner, in the transaction of the change: no role can
-- change something unseen, nor write an entry of a trigger's.
--
-- They wait in audit_pending until millrace_seal_audit moves them into audit_log,
-- where each has the next number of its tenant's chain and the hash of all before
-- it. docs/audit.md says what that proves. What belongs to no tenant has a chain of
-- its own, '-'.

-- +goose Up
SET LOCAL ROLE millrace_owner;

-- One row. It is also the lock that sealing and dropping hold.
CREATE TABLE audit_settings (
    only_row   boolean NOT NULL DEFAULT true CHECK (only_row) PRIMARY KEY,
    keep_years integer NOT NULL DEFAULT 6 CHECK (keep_years BETWEEN 1 AND 100)
);
INSERT INTO audit_settings DEFAULT VALUES;

CREATE TABLE audit_pending (
    id            bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     text        NOT NULL CHECK (tenant_id <> ''),
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor         text        NOT NULL, -- as the program said it; see Actor in internal/postgres/actor.go
    source        text        NOT NULL,
    request_id    text        NOT NULL,
    role          text        NOT NULL, -- as the database knows it
    origin        text        NOT NULL, -- the table whose trigger wrote it, or program
    action        text        NOT NULL,
    resource_type text        NOT NULL,
    resource_id   text        NOT NULL,
    outcome       text        NOT NULL,
    details       jsonb       NOT NULL DEFAULT '{}' -- names and texts, one level deep
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000); -- rows stay for a second

CREATE TABLE audit_log (
    tenant_id     text        NOT NULL CHECK (tenant_id <> ''),
    seq           bigint      NOT NULL CHECK (seq > 0),
    at            timestamptz NOT NULL,
    sealed_at     timestamptz NOT NULL, -- in the order of seq
    actor         text        NOT NULL,
    source        text        NOT NULL,
    request_id    text        NOT NULL,
    role          text        NOT NULL,
    origin        text        NOT NULL,
    action        text        NOT NULL,
    resource_type text        NOT NULL,
    resource_id   text        NOT NULL,
    outcome       text        NOT NULL,
    details       jsonb       NOT NULL,
    prev_hash     bytea       NOT NULL CHECK (length(prev_hash) = 32),
    hash          bytea       NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, seq, sealed_at)
) PARTITION BY RANGE (sealed_at);

-- The last entry of each chain.
CREATE TABLE audit_heads (
    tenant_id text        NOT NULL CHECK (tenant_id <> '') PRIMARY KEY,
    seq       bigint      NOT NULL,
    hash      bytea       NOT NULL,
    sealed_at timestamptz NOT NULL
);

-- The last entry of each chain that was dropped: where verification begins.
CREATE TABLE audit_anchors (
    tenant_id    text        NOT NULL CHECK (tenant_id <> '') PRIMARY KEY,
    seq          bigint      NOT NULL,
    hash         bytea       NOT NULL,
    sealed_until timestamptz NOT NULL -- when the last partition that was dropped ended
);

CREATE TABLE audit_partitions (
    from_at timestamptz NOT NULL PRIMARY KEY,
    to_at   timestamptz NOT NULL
);

-- +goose StatementBegin
DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['audit_settings', 'audit_pending', 'audit_log', 'audit_heads', 'audit_anchors', 'audit_partitions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', one);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', one);
        -- For the functions below, and for `millrace audit`. Nobody else has a policy or a grant.
        EXECUTE format('CREATE POLICY administration ON %I TO millrace_owner USING (true) WITH CHECK (true)', one);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION millrace_audit_refuse() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION millrace_audit_refuse();
-- Sealing deletes.
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON audit_pending
    FOR EACH STATEMENT EXECUTE FUNCTION millrace_audit_refuse();

-- Who acts in this transaction: as the program said, else as the database knows.
-- +goose StatementBegin
CREATE FUNCTION millrace_audit_actor(OUT name text, OUT source text, OUT request_id text, OUT role text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    said jsonb := nullif(current_setting('millrace.actor', true), '');
BEGIN
    -- The setting stays what the session took, though this runs as the owner.
    role       := coalesce(nullif(current_setting('role'), 'none'), session_user);
    name       := left(coalesce(nullif(said ->> 'name', ''), 'role:' || role), 200);
    source     := left(coalesce(said ->> 'source', CASE WHEN said IS NULL THEN host(inet_client_addr()) END, ''), 200);
    request_id := left(coalesce(said ->> 'request_id', ''), 200);
END
$$;
-- +goose StatementEnd

-- Notes a change of a row. Its arguments are the type of the resource, the column
-- with the tenant (none: '-'), the columns that make its id, those whose values are
-- told, and those of which only is told that they changed: personal data and secrets
-- may be in them. A change of no such column is not noted.
-- +goose StatementBegin
CREATE FUNCTION millrace_audit_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    who    record := public.millrace_audit_actor();
    tenant text[] := string_to_array(TG_ARGV[1], ' ');
    ids    text[] := string_to_array(TG_ARGV[2], ' ');
    told   text[] := string_to_array(TG_ARGV[3], ' ');
    named  text[] := string_to_array(TG_ARGV[4], ' ');
    look   text;
    before jsonb := '{}';
    after  jsonb := '{}';
    known  jsonb; -- the row, as it is or was
    facts  jsonb;
BEGIN
    -- No other column is read: a row may have megabytes.
    SELECT 'SELECT jsonb_build_object(' || coalesce(string_agg(format('%L, ($1).%I::text', c, c), ', '), '') || ')'
    INTO look FROM unnest(tenant || ids || told || named) AS c;
    IF TG_OP <> 'INSERT' THEN
        EXECUTE look INTO before USING OLD;
        known := before;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        EXECUTE look INTO after USING NEW;
        known := after;
    END IF;
    SELECT coalesce(jsonb_object_agg(fact.name, fact.value), '{}') INTO facts
    FROM (
        SELECT 'before.' || c, before ->> c FROM unnest(told) AS c WHERE before ->> c IS DISTINCT FROM after ->> c
        UNION ALL
        SELECT 'after.' || c, after ->> c FROM unnest(told) AS c WHERE before ->> c IS DISTINCT FROM after ->> c
        UNION ALL
        SELECT 'changed', string_agg(c, ' ' ORDER BY n) FROM unnest(named) WITH ORDINALITY AS u (c, n)
        WHERE TG_OP = 'UPDATE' AND before ->> c IS DISTINCT FROM after ->> c
    ) AS fact (name, value)
    WHERE fact.value IS NOT NULL;
    IF TG_OP = 'UPDATE' AND facts = '{}' THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.audit_pending (tenant_id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details)
    VALUES (
        coalesce(known ->> tenant[1], '-'), who.name, who.source, who.request_id, who.role, TG_TABLE_NAME,
        CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END, TG_ARGV[0],
        array_to_string(ARRAY(SELECT coalesce(known ->> c, '') FROM unnest(ids) WITH ORDINALITY AS u (c, n) ORDER BY n), '/'),
        coalesce(CASE WHEN 'status' = ANY (told) THEN after ->> 'status' END, 'done'), facts);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER audit AFTER DELETE ON payments
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('payment', 'tenant_id', 'id', 'status', '');
CREATE TRIGGER audit_update AFTER UPDATE ON payments
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.amount_refunded IS DISTINCT FROM NEW.amount_refunded)
    EXECUTE FUNCTION millrace_audit_change('payment', 'tenant_id', 'id', 'status', 'amount_refunded');
CREATE TRIGGER audit AFTER INSERT OR DELETE ON payment_events
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('payment_event', 'tenant_id', 'payment_id event_id', 'type', '');
CREATE TRIGGER audit AFTER DELETE ON bookings
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('booking', 'tenant_id', 'id', 'status', '');
CREATE TRIGGER audit_update AFTER UPDATE ON bookings
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION millrace_audit_change('booking', 'tenant_id', 'id', 'status', '');
CREATE TRIGGER audit AFTER INSERT OR DELETE ON booking_mails
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('mail', 'tenant_id', 'booking_id message', 'status', '');
CREATE TRIGGER audit_update AFTER UPDATE ON booking_mails
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION millrace_audit_change('mail', 'tenant_id', 'booking_id message', 'status', '');
CREATE TRIGGER audit AFTER DELETE ON conversations
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('conversation', 'tenant_id', 'id', 'status', '');
CREATE TRIGGER audit_update AFTER UPDATE ON conversations
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION millrace_audit_change('conversation', 'tenant_id', 'id', 'status', '');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON calendars
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('calendar', 'tenant_id', 'resource', '',
        'timezone hours slot_minutes buffer_minutes days_ahead reminder_minutes business_name business_email business_color');
-- Without an id: the hash of an address can be guessed.
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON suppressed_addresses
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('suppressed_address', 'tenant_id', '', 'reason', 'address_hash');
CREATE TRIGGER audit AFTER DELETE ON metric_tenants
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('metric_settings', 'tenant_id', 'tenant_id', 'max_series raw_days minute_days hour_days', '');
CREATE TRIGGER audit_insert AFTER INSERT ON metric_tenants
    FOR EACH ROW WHEN (coalesce(NEW.max_series, NEW.raw_days, NEW.minute_days, NEW.hour_days) IS NOT NULL)
    EXECUTE FUNCTION millrace_audit_change('metric_settings', 'tenant_id', 'tenant_id', 'max_series raw_days minute_days hour_days', '');
CREATE TRIGGER audit_update AFTER UPDATE ON metric_tenants
    FOR EACH ROW WHEN ((OLD.max_series, OLD.raw_days, OLD.minute_days, OLD.hour_days) IS DISTINCT FROM (NEW.max_series, NEW.raw_days, NEW.minute_days, NEW.hour_days))
    EXECUTE FUNCTION millrace_audit_change('metric_settings', 'tenant_id', 'tenant_id', 'max_series raw_days minute_days hour_days', '');
CREATE TRIGGER audit AFTER INSERT OR DELETE ON tenants
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('tenant', 'id', 'id', 'phi max_waiting_jobs shredded_at', '');
CREATE TRIGGER audit_update AFTER UPDATE ON tenants
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('tenant', 'id', 'id', 'phi max_waiting_jobs shredded_at', '');
CREATE TRIGGER audit AFTER INSERT OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('api_key', 'tenant_id', 'id', 'scopes limits expires_at revoked_at', '');
-- Not when it is noted that a key was used.
CREATE TRIGGER audit_update AFTER UPDATE OF id, tenant_id, name, secret_hash, scopes, limits, expires_at, revoked_at ON api_keys
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('api_key', 'tenant_id', 'id', 'scopes limits expires_at revoked_at', 'tenant_id name secret_hash');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON tenant_keysets
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('keyset', 'tenant_id', 'tenant_id', 'kek destroyed_at', 'sealing digesting');
CREATE TRIGGER audit_update AFTER UPDATE ON audit_settings
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('audit_settings', '', '', 'keep_years', '');
CREATE TRIGGER audit_update AFTER UPDATE OF paused_at ON river_queue
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('queue', '', 'name', 'paused_at', '');

-- Whose submission it was: many requests share the transaction that writes theirs.
-- NULL in rows of before.
ALTER TABLE submissions
    ADD COLUMN actor      text,
    ADD COLUMN source     text,
    ADD COLUMN request_id text;

-- +goose StatementBegin
CREATE FUNCTION millrace_audit_submissions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    who record := public.millrace_audit_actor();
BEGIN
    EXECUTE format($insert$
        INSERT INTO public.audit_pending (tenant_id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details)
        SELECT s.tenant_id, coalesce(left(s.actor, 200), $2), CASE WHEN s.actor IS NULL THEN $3 ELSE coalesce(left(s.source, 200), '') END,
            coalesce(left(s.request_id, 200), $4), $5, 'submissions', 'submitted', 'job', s.job_id::text, 'accepted',
            CASE WHEN s.resource_id IS NULL THEN jsonb_build_object('kind', s.kind, 'route', s.route)
                ELSE jsonb_build_object('kind', s.kind, 'route', s.route, 'resource', s.resource_id::text) END
        FROM %s AS s
        ORDER BY s.job_id
    $insert$, CASE TG_LEVEL WHEN 'ROW' THEN '(SELECT ($1).*)' ELSE 'added' END)
    USING NEW, who.name, who.source, who.request_id, who.role;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- Once for all rows of a statement, which costs an eighth of once a row. YugabyteDB
-- cannot (https://github.com/yugabyte/yugabyte-db/issues/1668).
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE 'CREATE TRIGGER audit_insert AFTER INSERT ON submissions '
        || CASE WHEN version() LIKE '%-YB-%' THEN 'FOR EACH ROW' ELSE 'REFERENCING NEW TABLE AS added FOR EACH STATEMENT' END
        || ' EXECUTE FUNCTION millrace_audit_submissions()';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit AFTER DELETE ON submissions
    FOR EACH ROW EXECUTE FUNCTION millrace_audit_change('submission', 'tenant_id', 'job_id', 'kind', '');

-- Notes what people do with jobs, and jobs that end badly. Workers end them without
-- saying who they are.
-- +goose StatementBegin
CREATE FUNCTION millrace_audit_job() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    who  record := public.millrace_audit_actor();
    said boolean := coalesce(current_setting('millrace.actor', true), '') <> '';
BEGIN
    INSERT INTO public.audit_pending (tenant_id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details)
    VALUES (
        coalesce(nullif(OLD.metadata ->> 'tenant_id', ''), '-'),
        CASE WHEN NOT said AND who.role = 'millrace_worker' THEN 'job:' || OLD.kind ELSE who.name END, who.source,
        CASE WHEN said THEN who.request_id ELSE left(coalesce(OLD.metadata ->> 'request_id', ''), 200) END,
        who.role, 'river_job',
        CASE WHEN TG_OP = 'DELETE' THEN 'deleted' WHEN NEW.state = 'available' THEN 'retried' ELSE NEW.state::text END,
        'job', OLD.id::text, CASE WHEN TG_OP = 'DELETE' THEN 'done' ELSE NEW.state::text END,
        jsonb_build_object('kind', OLD.kind, 'before.state', OLD.state::text));
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_update AFTER UPDATE OF state ON river_job
    FOR EACH ROW WHEN (OLD.state <> NEW.state AND (NEW.state IN ('cancelled', 'discarded')
        OR (NEW.state = 'available' AND OLD.state IN ('cancelled', 'discarded', 'completed'))))
    EXECUTE FUNCTION millrace_audit_job();
-- Not when River forgets what ended long ago.
CREATE TRIGGER audit AFTER DELETE ON river_job
    FOR EACH ROW WHEN (OLD.finalized_at IS NULL OR coalesce(current_setting('millrace.actor', true), '') <> '')
    EXECUTE FUNCTION millrace_audit_job();

-- Notes what changes no row, for the tenant of the transaction. Its entries have the
-- origin program; those of triggers have the name of their table.
-- +goose StatementBegin
CREATE FUNCTION millrace_audit(action text, resource_type text, resource_id text, outcome text, details jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    who record := public.millrace_audit_actor();
BEGIN
    IF greatest(length(action), length(resource_type), length(resource_id), length(outcome)) > 200 OR length(details::text) > 4000
        OR EXISTS (SELECT FROM jsonb_each(details) AS d WHERE jsonb_typeof(d.value) <> 'string') THEN
        RAISE EXCEPTION 'an entry has texts of up to 200 characters, and details of up to 4000 that are texts' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.audit_pending (tenant_id, actor, source, request_id, role, origin, action, resource_type, resource_id, outcome, details)
    VALUES (coalesce(nullif(current_setting('millrace.tenant', true), ''), '-'), who.name, who.source, who.request_id, who.role, 'program',
        millrace_audit.action, millrace_audit.resource_type, millrace_audit.resource_id, millrace_audit.outcome, millrace_audit.details);
END
$$;
-- +goose StatementEnd

-- Sealing.

-- A field of what is hashed: a netstring (https://cr.yp.to/proto/netstrings.txt). As
-- stable as convert_to, so that it is inlined.
-- +goose StatementBegin
CREATE FUNCTION millrace_netstring(field text) RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT octet_length(convert_to(field, 'UTF8')) || ':' || field || ',' $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION millrace_audit_link(before bytea, first bytea, fields text) RETURNS bytea
LANGUAGE sql STABLE
AS $$ SELECT sha256(coalesce(before, first) || convert_to(fields, 'UTF8')) $$;
-- +goose StatementEnd
-- The running hash of a chain, from the hash that it begins after.
CREATE AGGREGATE millrace_audit_chain(bytea, text) (SFUNC = millrace_audit_link, STYPE = bytea);

-- Makes the partition of a moment, if it is not there.
-- +goose StatementBegin
CREATE FUNCTION millrace_audit_partition(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    starts timestamptz := date_trunc('month', moment);
    ends   timestamptz := starts + interval '1 month';
    part   text := 'audit_log_' || to_char(starts, 'YYYYMM');
BEGIN
    IF EXISTS (SELECT FROM public.audit_partitions AS p WHERE p.from_at = starts) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_log INCLUDING ALL)', part);
    -- Without a policy nobody reads it but through its parent, which has one.
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I
        FOR EACH STATEMENT EXECUTE FUNCTION public.millrace_audit_refuse()', part);
    EXECUTE format('ALTER TABLE public.audit_log ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', part, starts, ends);
    INSERT INTO public.audit_partitions (from_at, to_at) VALUES (starts, ends);
END
$$;
-- +goose StatementEnd

-- Moves the entries that have waited longest into the log, and returns how many
-- these were. Of two at once the second does nothing.
-- +goose StatementBegin
CREATE FUNCTION millrace_seal_audit(at_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    sealing timestamptz;
    sealed  bigint;
BEGIN
    PERFORM FROM public.audit_settings AS s FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    sealing := clock_timestamp();
    PERFORM public.millrace_audit_partition(sealing);
    WITH taken AS (
        DELETE FROM public.audit_pending AS p
        WHERE p.id IN (SELECT o.id FROM public.audit_pending AS o ORDER BY o.id LIMIT at_most)
        RETURNING p.id, p.tenant_id, p.at, p.actor, p.source, p.request_id, p.role, p.origin, p.action, p.resource_type, p.resource_id, p.outcome, p.details
    ), numbered AS (
        SELECT t.*, coalesce(h.seq, 0) + row_number() OVER (PARTITION BY t.tenant_id ORDER BY t.id) AS seq,
            coalesce(h.hash, decode(repeat('00', 32), 'hex')) AS head,
            greatest(sealing, h.sealed_at) AS sealed_at -- a clock that was set back makes no disorder
        FROM taken AS t LEFT JOIN public.audit_heads AS h ON h.tenant_id = t.tenant_id
    ), chained AS (
        SELECT n.*, public.millrace_audit_chain(n.head,
            public.millrace_netstring(n.tenant_id) || public.millrace_netstring(n.seq::text) ||
            public.millrace_netstring((extract(epoch FROM n.at) * 1000000)::bigint::text) ||
            public.millrace_netstring((extract(epoch FROM n.sealed_at) * 1000000)::bigint::text) ||
            public.millrace_netstring(n.actor) || public.millrace_netstring(n.source) || public.millrace_netstring(n.request_id) ||
            public.millrace_netstring(n.role) || public.millrace_netstring(n.origin) || public.millrace_netstring(n.action) ||
            public.millrace_netstring(n.resource_type) || public.millrace_netstring(n.resource_id) || public.millrace_netstring(n.outcome) ||
            coalesce((
                SELECT string_agg(public.millrace_netstring(d.key) || public.millrace_netstring(d.value), '' ORDER BY d.key COLLATE "C")
                FROM jsonb_each_text(n.details) AS d), '')
            ) OVER (PARTITION BY n.tenant_id ORDER BY n.seq) AS hash
        FROM numbered AS n
    ), logged AS (
        INSERT INTO public.audit_log (tenant_id, seq, at, sealed_at, actor, source, request_id, role, origin, action,
            resource_type, resource_id, outcome, details, prev_hash, hash)
        SELECT c.tenant_id, c.seq, c.at, c.sealed_at, c.actor, c.source, c.request_id, c.role, c.origin, c.action,
            c.resource_type, c.resource_id, c.outcome, c.details, lag(c.hash, 1, c.head) OVER (PARTITION BY c.tenant_id ORDER BY c.seq), c.hash
        FROM chained AS c
    ), headed AS (
        INSERT INTO public.audit_heads AS h (tenant_id, seq, hash, sealed_at)
        SELECT DISTINCT ON (c.tenant_id) c.tenant_id, c.seq, c.hash, c.sealed_at FROM chained AS c ORDER BY c.tenant_id, c.seq DESC
        ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, sealed_at = excluded.sealed_at
    )
    SELECT count(*) INTO sealed FROM taken;
    RETURN sealed;
END
$$;
-- +goose StatementEnd

-- Makes the partitions of this month and the next, and drops the oldest one if all
-- in it is older than what is kept. Returns what it dropped, if anything. It takes
-- no arguments, so that nobody who may call it can have it drop more.
-- +goose StatementBegin
CREATE FUNCTION millrace_audit_keep() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET lock_timeout = '2s'
AS $$
DECLARE
    years  integer;
    starts timestamptz;
    ends   timestamptz;
    part   text;
BEGIN
    SELECT s.keep_years INTO years FROM public.audit_settings AS s FOR UPDATE;
    PERFORM public.millrace_audit_partition(now());
    PERFORM public.millrace_audit_partition(now() + interval '1 month');
    SELECT p.from_at, p.to_at INTO starts, ends FROM public.audit_partitions AS p ORDER BY p.from_at LIMIT 1;
    IF ends > now() - make_interval(years => years) THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.audit_anchors AS a (tenant_id, seq, hash, sealed_until)
    SELECT h.tenant_id, gone.seq, gone.hash, ends
    FROM public.audit_heads AS h CROSS JOIN LATERAL (
        SELECT l.seq, l.hash FROM public.audit_log AS l
        WHERE l.tenant_id = h.tenant_id AND l.sealed_at >= starts AND l.sealed_at < ends
        ORDER BY l.seq DESC LIMIT 1
    ) AS gone
    ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, sealed_until = excluded.sealed_until;
    part := 'audit_log_' || to_char(starts, 'YYYYMM');
    EXECUTE format('DROP TABLE public.%I', part);
    DELETE FROM public.audit_partitions AS p WHERE p.from_at = starts;
    RETURN part;
END
$$;
-- +goose StatementEnd

-- Since when the oldest entry waits to be sealed; NULL when none does.
-- +goose StatementBegin
CREATE FUNCTION millrace_audit_backlog() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT p.at FROM public.audit_pending AS p ORDER BY p.id LIMIT 1 $$;
-- +goose StatementEnd

-- Who may execute a trigger's function may also make it note changes of a table of
-- their own.
REVOKE ALL ON FUNCTION millrace_audit_refuse(), millrace_audit_actor(), millrace_audit_change(), millrace_audit_submissions(), millrace_audit_job(),
    millrace_audit(text, text, text, text, jsonb), millrace_netstring(text), millrace_audit_link(bytea, bytea, text), millrace_audit_chain(bytea, text),
    millrace_audit_partition(timestamptz), millrace_seal_audit(integer), millrace_audit_keep(), millrace_audit_backlog() FROM PUBLIC;
-- The trigger's function of 0003 is older than that thought: it writes the ledger.
REVOKE ALL ON FUNCTION millrace_keep_final_state() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_audit(text, text, text, text, jsonb) TO millrace_intake, millrace_worker;
GRANT EXECUTE ON FUNCTION millrace_seal_audit(integer), millrace_audit_keep(), millrace_audit_backlog() TO millrace_worker;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP TRIGGER audit_update ON river_queue;
DROP TRIGGER audit_update ON river_job;
DROP TRIGGER audit ON river_job;
DROP TRIGGER audit_insert ON submissions;
DROP TRIGGER audit ON submissions;
DROP TRIGGER audit ON tenant_keysets;
DROP TRIGGER audit_update ON api_keys;
DROP TRIGGER audit ON api_keys;
DROP TRIGGER audit_update ON tenants;
DROP TRIGGER audit ON tenants;
DROP TRIGGER audit_update ON metric_tenants;
DROP TRIGGER audit_insert ON metric_tenants;
DROP TRIGGER audit ON metric_tenants;
DROP TRIGGER audit ON suppressed_addresses;
DROP TRIGGER audit ON calendars;
DROP TRIGGER audit_update ON conversations;
DROP TRIGGER audit ON conversations;
DROP TRIGGER audit_update ON booking_mails;
DROP TRIGGER audit ON booking_mails;
DROP TRIGGER audit_update ON bookings;
DROP TRIGGER audit ON bookings;
DROP TRIGGER audit ON payment_events;
DROP TRIGGER audit_update ON payments;
DROP TRIGGER audit ON payments;
DROP FUNCTION millrace_audit_backlog();
DROP FUNCTION millrace_audit_keep();
DROP FUNCTION millrace_seal_audit(integer);
DROP FUNCTION millrace_audit_partition(timestamptz);
DROP AGGREGATE millrace_audit_chain(bytea, text);
DROP FUNCTION millrace_audit_link(bytea, bytea, text);
DROP FUNCTION millrace_netstring(text);
DROP FUNCTION millrace_audit(text, text, text, text, jsonb);
DROP FUNCTION millrace_audit_job();
DROP FUNCTION millrace_audit_submissions();
ALTER TABLE submissions DROP COLUMN actor, DROP COLUMN source, DROP COLUMN request_id;
DROP TABLE audit_partitions;
DROP TABLE audit_anchors;
DROP TABLE audit_heads;
DROP TABLE audit_log;
DROP TABLE audit_pending;
DROP TABLE audit_settings;
DROP FUNCTION millrace_audit_change();
DROP FUNCTION millrace_audit_actor();
DROP FUNCTION millrace_audit_refuse();
RESET ROLE;
