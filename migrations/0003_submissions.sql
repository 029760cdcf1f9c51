-- The ledger of accepted submissions, and row-level security on River's jobs.
-- A submission's id is its River job's id. The tenant of a job is metadata's
-- tenant_id: the intake role sees and writes only jobs of the tenant that its
-- transaction names in the setting millrace.tenant.

-- +goose Up
ALTER TABLE river_job OWNER TO millrace_owner;
ALTER TABLE river_leader OWNER TO millrace_owner;
ALTER TABLE river_queue OWNER TO millrace_owner;
ALTER TABLE river_notification OWNER TO millrace_owner;
ALTER TABLE river_migration OWNER TO millrace_owner;
SET LOCAL ROLE millrace_owner;

-- No foreign key to tenants: it would lock the tenant's row in every commit,
-- and the tenant comes from a key that has one.
CREATE TABLE submissions (
    tenant_id       text        NOT NULL CHECK (tenant_id <> ''),
    job_id          bigint      NOT NULL,
    route           text        NOT NULL,
    idempotency_key text        CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    request_hash    bytea       NOT NULL,
    kind            text        NOT NULL,
    queue           text        NOT NULL,
    priority        smallint    NOT NULL,
    max_attempts    smallint    NOT NULL,
    resource_id     uuid,
    created_at      timestamptz NOT NULL,
    scheduled_at    timestamptz NOT NULL,
    -- The outcome, copied from the job when River deletes it; until then NULL.
    state           text,
    attempt         smallint,
    attempted_at    timestamptz,
    finalized_at    timestamptz,
    output          jsonb,
    error           text,
    PRIMARY KEY (tenant_id, job_id)
);
-- Without a key (NULL) nothing conflicts.
CREATE UNIQUE INDEX submissions_idempotency_key ON submissions (tenant_id, route, idempotency_key);

ALTER TABLE submissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE submissions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON submissions
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
-- For the trigger below, which runs as the owner.
CREATE POLICY keep_final_state ON submissions TO millrace_owner USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON submissions TO millrace_intake;

-- River deletes finished jobs after their retention; whoever deletes one, its
-- outcome goes into the ledger in the same transaction.
-- +goose StatementBegin
CREATE FUNCTION millrace_keep_final_state() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE public.submissions SET
        state        = CASE WHEN OLD.finalized_at IS NULL THEN 'cancelled' ELSE OLD.state::text END,
        attempt      = OLD.attempt,
        attempted_at = OLD.attempted_at,
        finalized_at = coalesce(OLD.finalized_at, now()),
        output       = OLD.metadata -> 'output',
        error        = OLD.errors[cardinality(OLD.errors)] ->> 'error'
    WHERE tenant_id = OLD.metadata ->> 'tenant_id' AND job_id = OLD.id;
    RETURN OLD;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER millrace_keep_final_state BEFORE DELETE ON river_job
    FOR EACH ROW EXECUTE FUNCTION millrace_keep_final_state();

-- Says which of some jobs are final, and nothing else about them, so that one
-- query serves the waiting requests of all tenants.
-- +goose StatementBegin
CREATE FUNCTION millrace_finished_jobs(job_ids bigint[]) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT asked.id
    FROM unnest(job_ids) AS asked (id)
    LEFT JOIN public.river_job AS job ON job.id = asked.id
    WHERE job.id IS NULL OR job.finalized_at IS NOT NULL
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_finished_jobs(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_finished_jobs(bigint[]) TO millrace_intake;

ALTER TABLE river_job ENABLE ROW LEVEL SECURITY;
ALTER TABLE river_job FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON river_job TO millrace_intake
    USING (metadata ->> 'tenant_id' = current_setting('millrace.tenant', true))
    WITH CHECK (metadata ->> 'tenant_id' = current_setting('millrace.tenant', true));
CREATE POLICY work_everything ON river_job TO millrace_worker USING (true) WITH CHECK (true);
CREATE POLICY ownership ON river_job TO millrace_owner USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE ON river_job TO millrace_intake;
GRANT SELECT ON river_queue TO millrace_intake;
GRANT USAGE ON SEQUENCE river_job_id_seq TO millrace_intake;

GRANT SELECT, INSERT, UPDATE, DELETE
    ON river_job, river_leader, river_queue, river_notification
    TO millrace_worker;
GRANT SELECT ON river_migration TO millrace_worker;
GRANT USAGE ON SEQUENCE river_job_id_seq, river_notification_id_seq TO millrace_worker;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
REVOKE ALL ON river_job, river_leader, river_queue, river_notification, river_migration
    FROM millrace_intake, millrace_worker;
REVOKE ALL ON SEQUENCE river_job_id_seq, river_notification_id_seq FROM millrace_intake, millrace_worker;
DROP POLICY ownership ON river_job;
DROP POLICY work_everything ON river_job;
DROP POLICY tenant_isolation ON river_job;
ALTER TABLE river_job NO FORCE ROW LEVEL SECURITY;
ALTER TABLE river_job DISABLE ROW LEVEL SECURITY;
DROP FUNCTION millrace_finished_jobs(bigint[]);
DROP TRIGGER millrace_keep_final_state ON river_job;
DROP FUNCTION millrace_keep_final_state();
DROP TABLE submissions;
RESET ROLE;
