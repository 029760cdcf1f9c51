-- Metric points as they came in, and the buckets that they are folded into.
--
-- Points are kept in chunks, one a request, in partitions by the day on which
-- they were received: what is late by years takes the same way. A chunk is
-- pending until a transaction has added all of it to its buckets; the same
-- transaction ends that, so that each point counts exactly once.

-- +goose Up
SET LOCAL ROLE millrace_owner;

CREATE TABLE metric_series (
    tenant_id  text        NOT NULL CHECK (tenant_id <> ''),
    id         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    name       text        NOT NULL CHECK (name <> ''),
    tags       jsonb       NOT NULL,
    key_hash   bytea       NOT NULL CHECK (length(key_hash) = 32), -- SHA-256 of Series.Key in internal/rollup/point.go
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX metric_series_key ON metric_series (tenant_id, key_hash);
CREATE INDEX metric_series_name ON metric_series (tenant_id, name, id);

-- What is counted and set for a tenant. NULL stands for the default.
CREATE TABLE metric_tenants (
    tenant_id   text    NOT NULL CHECK (tenant_id <> '') PRIMARY KEY,
    series      integer NOT NULL DEFAULT 0,
    max_series  integer CHECK (max_series >= 0),
    raw_days    integer CHECK (raw_days BETWEEN 1 AND 36500),
    minute_days integer CHECK (minute_days BETWEEN 1 AND 36500),
    hour_days   integer CHECK (hour_days BETWEEN 1 AND 36500),
    folded_at   timestamptz, -- everything received before this is in its buckets
    newest_at   timestamptz NOT NULL DEFAULT 'epoch' -- no bucket holds a newer point
);

CREATE TABLE metric_receipts (
    tenant_id       text        NOT NULL CHECK (tenant_id <> ''),
    idempotency_key text        NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    request_hash    bytea       NOT NULL,
    points          integer     NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, idempotency_key)
);
CREATE INDEX metric_receipts_created ON metric_receipts (created_at);

CREATE TABLE metric_chunks (
    tenant_id   text        NOT NULL CHECK (tenant_id <> ''),
    id          uuid        NOT NULL,
    received_at timestamptz NOT NULL,
    first_at    timestamptz NOT NULL, -- of its points
    last_at     timestamptz NOT NULL,
    points      integer     NOT NULL CHECK (points > 0),
    samples     bytea       NOT NULL, -- AppendChunk in internal/rollup/chunk.go
    pending     boolean     NOT NULL DEFAULT true,
    PRIMARY KEY (tenant_id, received_at, id)
) PARTITION BY RANGE (received_at);
-- They do not get smaller, and trying costs more than the rest of the insert.
ALTER TABLE metric_chunks ALTER COLUMN samples SET STORAGE EXTERNAL;
CREATE INDEX metric_chunks_pending ON metric_chunks (tenant_id, received_at, id) WHERE pending;
-- What touches a span of time: of chunks of a day at most it is between two ends of
-- the index; the others, imports, are few.
CREATE INDEX metric_chunks_span ON metric_chunks (tenant_id, last_at, first_at);
CREATE INDEX metric_chunks_wide ON metric_chunks (tenant_id, last_at, first_at) WHERE last_at - first_at > interval '24 hours';

CREATE TABLE metric_buckets_1m (
    tenant_id text             NOT NULL CHECK (tenant_id <> ''),
    series_id bigint           NOT NULL,
    at        timestamptz      NOT NULL,
    count     bigint           NOT NULL CHECK (count > 0),
    sum       double precision NOT NULL, -- the exact sum, rounded
    min       double precision NOT NULL,
    max       double precision NOT NULL,
    first     double precision NOT NULL,
    last      double precision NOT NULL,
    first_at  timestamptz      NOT NULL,
    last_at   timestamptz      NOT NULL,
    state     bytea            NOT NULL, -- AppendState in internal/rollup/bucket.go
    PRIMARY KEY (tenant_id, series_id, at)
) PARTITION BY RANGE (at);
ALTER TABLE metric_buckets_1m ALTER COLUMN state SET STORAGE EXTERNAL;
CREATE TABLE metric_buckets_1h (LIKE metric_buckets_1m INCLUDING ALL) PARTITION BY RANGE (at);
CREATE TABLE metric_buckets_1d (LIKE metric_buckets_1m INCLUDING ALL) PARTITION BY RANGE (at);

-- The partitions of the tables above.
CREATE TABLE metric_partitions (
    parent     text        NOT NULL,
    from_at    timestamptz NOT NULL,
    to_at      timestamptz NOT NULL,
    -- About when something was written into it after its time; NULL when nothing was.
    written_at timestamptz,
    PRIMARY KEY (parent, from_at)
);

-- Makes the partition of a table that holds a moment, if it is not there, and
-- notes that it is written into.
-- +goose StatementBegin
CREATE FUNCTION millrace_metric_partition(parent text, moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    unit text := CASE parent WHEN 'metric_chunks' THEN 'day' WHEN 'metric_buckets_1m' THEN 'week'
        WHEN 'metric_buckets_1h' THEN 'month' WHEN 'metric_buckets_1d' THEN 'year' END;
    starts timestamptz := date_trunc(unit, moment);
    ends   timestamptz := starts + ('1 ' || unit)::interval;
    part   text := parent || '_' || to_char(starts, 'YYYYMMDD');
BEGIN
    IF unit IS NULL THEN
        RAISE EXCEPTION 'there is no table of metrics of that name';
    END IF;
    UPDATE public.metric_partitions AS p SET written_at = now()
    WHERE p.parent = millrace_metric_partition.parent AND p.from_at = starts
        AND p.to_at < now() AND coalesce(p.written_at, p.to_at) < now() - interval '1 hour';
    IF EXISTS (SELECT FROM public.metric_partitions AS p WHERE p.parent = millrace_metric_partition.parent AND p.from_at = starts) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('millrace_metric_partition ' || part, 0));
    IF EXISTS (SELECT FROM public.metric_partitions AS p WHERE p.parent = millrace_metric_partition.parent AND p.from_at = starts) THEN
        RETURN;
    END IF;
    -- Attached, since that, unlike creating it in place, waits for no reader or writer.
    EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', part, parent);
    -- Without a policy nobody reads it but through its parent, which has one.
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent, part, starts, ends);
    INSERT INTO public.metric_partitions (parent, from_at, to_at, written_at)
    VALUES (parent, starts, ends, CASE WHEN ends < now() THEN now() END);
END
$$;
-- +goose StatementEnd

-- Drops the oldest partition of a table that ended before a moment, and that
-- nothing was written into since, unless points in it are still pending. Returns
-- what it dropped, if anything.
-- +goose StatementBegin
CREATE FUNCTION millrace_metric_drop(parent text, before timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET lock_timeout = '2s'
AS $$
DECLARE
    starts timestamptz;
    ends   timestamptz;
    part   text;
BEGIN
    FOR starts, ends IN
        SELECT p.from_at, p.to_at FROM public.metric_partitions AS p
        WHERE p.parent = millrace_metric_drop.parent AND p.to_at <= before AND coalesce(p.written_at, p.to_at) <= before
        ORDER BY p.from_at
        FOR UPDATE SKIP LOCKED
    LOOP
        part := parent || '_' || to_char(starts, 'YYYYMMDD');
        -- Asked of the parent: the partition itself shows its rows to nobody.
        CONTINUE WHEN parent = 'metric_chunks' AND EXISTS (
            SELECT FROM public.metric_chunks AS c WHERE c.pending AND c.received_at >= starts AND c.received_at < ends);
        EXECUTE format('DROP TABLE public.%I', part);
        DELETE FROM public.metric_partitions AS p WHERE p.parent = millrace_metric_drop.parent AND p.from_at = starts;
        RETURN part;
    END LOOP;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- Forgets up to 10,000 keys of requests that came before a moment, and returns how
-- many these were.
-- +goose StatementBegin
CREATE FUNCTION millrace_metric_forget(before timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH forgotten AS (
        DELETE FROM public.metric_receipts AS r
        USING (SELECT o.tenant_id, o.idempotency_key FROM public.metric_receipts AS o WHERE o.created_at < before ORDER BY o.created_at LIMIT 10000) AS old
        WHERE r.tenant_id = old.tenant_id AND r.idempotency_key = old.idempotency_key
        RETURNING 1
    )
    SELECT count(*) FROM forgotten
$$;
-- +goose StatementEnd

-- Lists tenants with pending points, and since when; it names tenants, which the
-- worker's own transactions cannot.
-- +goose StatementBegin
CREATE FUNCTION millrace_metric_backlog() RETURNS TABLE (tenant_id text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE waiting AS (
        (SELECT c.tenant_id, c.received_at FROM public.metric_chunks AS c WHERE c.pending ORDER BY c.tenant_id, c.received_at LIMIT 1)
        UNION ALL
        SELECT following.tenant_id, following.received_at
        FROM waiting, LATERAL (
            SELECT c.tenant_id, c.received_at FROM public.metric_chunks AS c
            WHERE c.pending AND c.tenant_id > waiting.tenant_id ORDER BY c.tenant_id, c.received_at LIMIT 1
        ) AS following
    )
    SELECT * FROM waiting
$$;
-- +goose StatementEnd

-- The longest that any tenant has set.
-- +goose StatementBegin
CREATE FUNCTION millrace_metric_retention() RETURNS TABLE (raw_days integer, minute_days integer, hour_days integer)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(max(t.raw_days), 0), coalesce(max(t.minute_days), 0), coalesce(max(t.hour_days), 0) FROM public.metric_tenants AS t
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_metric_partition(text, timestamptz), millrace_metric_drop(text, timestamptz),
    millrace_metric_forget(timestamptz), millrace_metric_backlog(), millrace_metric_retention() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_metric_partition(text, timestamptz) TO millrace_intake, millrace_worker;
GRANT EXECUTE ON FUNCTION millrace_metric_drop(text, timestamptz), millrace_metric_forget(timestamptz), millrace_metric_backlog(), millrace_metric_retention() TO millrace_worker;

-- +goose StatementBegin
DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['metric_series', 'metric_tenants', 'metric_receipts', 'metric_chunks',
        'metric_buckets_1m', 'metric_buckets_1h', 'metric_buckets_1d'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', one);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', one);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I
            USING (tenant_id = current_setting(''millrace.tenant'', true))
            WITH CHECK (tenant_id = current_setting(''millrace.tenant'', true))', one);
    END LOOP;
END
$$;
-- +goose StatementEnd
-- For the functions above, which run as the owner.
CREATE POLICY look_up ON metric_chunks FOR SELECT TO millrace_owner USING (true);
CREATE POLICY look_up ON metric_tenants FOR SELECT TO millrace_owner USING (true);
CREATE POLICY look_up ON metric_receipts FOR SELECT TO millrace_owner USING (true);
CREATE POLICY forget ON metric_receipts FOR DELETE TO millrace_owner USING (true);

GRANT SELECT, INSERT ON metric_series, metric_receipts, metric_chunks, metric_tenants TO millrace_intake;
GRANT UPDATE (series) ON metric_tenants TO millrace_intake;
GRANT SELECT ON metric_buckets_1m, metric_buckets_1h, metric_buckets_1d TO millrace_intake;
-- Workers write points of their own, about conversations.
GRANT SELECT, INSERT ON metric_series TO millrace_worker;
GRANT SELECT, INSERT, UPDATE (pending) ON metric_chunks TO millrace_worker;
GRANT SELECT, INSERT, UPDATE (series, folded_at, newest_at) ON metric_tenants TO millrace_worker;
GRANT SELECT, INSERT, UPDATE ON metric_buckets_1m, metric_buckets_1h, metric_buckets_1d TO millrace_worker;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP FUNCTION millrace_metric_retention();
DROP FUNCTION millrace_metric_backlog();
DROP FUNCTION millrace_metric_forget(timestamptz);
DROP FUNCTION millrace_metric_drop(text, timestamptz);
DROP FUNCTION millrace_metric_partition(text, timestamptz);
DROP TABLE metric_partitions;
DROP TABLE metric_buckets_1d;
DROP TABLE metric_buckets_1h;
DROP TABLE metric_buckets_1m;
DROP TABLE metric_chunks;
DROP TABLE metric_receipts;
DROP TABLE metric_tenants;
DROP TABLE metric_series;
RESET ROLE;
