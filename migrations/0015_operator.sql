-- The role of the operators' console (docs/console.md): it sees the jobs of all
-- tenants, which carry ids, and the queues, and nothing else. What it changes is
-- which queues are paused, and jobs that belong to no tenant; a tenant's job is
-- cancelled and retried by the intake role, which enters the tenant for it. A login
-- that is no member of the role serves no console.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'millrace_operator') THEN
        BEGIN
            CREATE ROLE millrace_operator NOLOGIN NOSUPERUSER NOBYPASSRLS;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- a migration of another database of this cluster won the race
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'millrace_operator', 'MEMBER') THEN
        GRANT millrace_operator TO CURRENT_USER;
    END IF;
END
$$;
-- +goose StatementEnd
GRANT USAGE ON SCHEMA public TO millrace_operator;

SET LOCAL ROLE millrace_owner;
GRANT SELECT ON river_job, river_queue TO millrace_operator;
-- What River changes of a job to cancel or retry it, and of a queue to pause it.
GRANT UPDATE (state, finalized_at, scheduled_at, max_attempts, metadata) ON river_job TO millrace_operator;
GRANT UPDATE (paused_at, updated_at) ON river_queue TO millrace_operator;
CREATE POLICY see_everything ON river_job FOR SELECT TO millrace_operator USING (true);
CREATE POLICY operate_the_platform ON river_job FOR UPDATE TO millrace_operator
    USING (coalesce(metadata ->> 'tenant_id', '') = '')
    WITH CHECK (coalesce(metadata ->> 'tenant_id', '') = '');
RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP POLICY operate_the_platform ON river_job;
DROP POLICY see_everything ON river_job;
REVOKE ALL ON river_job, river_queue FROM millrace_operator;
REVOKE UPDATE (state, finalized_at, scheduled_at, max_attempts, metadata) ON river_job FROM millrace_operator;
REVOKE UPDATE (paused_at, updated_at) ON river_queue FROM millrace_operator;
RESET ROLE;
REVOKE ALL ON SCHEMA public FROM millrace_operator;
-- +goose StatementBegin
DO $$
BEGIN
    DROP ROLE IF EXISTS millrace_operator;
EXCEPTION WHEN dependent_objects_still_exist THEN
    NULL; -- another database of this cluster, or a login, still uses it
END
$$;
-- +goose StatementEnd
