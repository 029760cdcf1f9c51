-- The three roles of Millrace. None can log in: a deployment makes logins that
-- are members of one of them, and each program takes its role when it connects.
--   millrace_owner   owns every table; only migrations act as it
--   millrace_intake  the HTTP API: owns nothing, and row-level security binds it
--   millrace_worker  the workers: works River's tables, and domain rows of the
--                    tenant whose job it holds
-- Roles belong to the cluster, so another database may have made them already.

-- +goose Up
-- +goose StatementBegin
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['millrace_owner', 'millrace_intake', 'millrace_worker'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- a migration of another database of this cluster won the race
            END;
        END IF;
        IF NOT pg_has_role(current_user, role_name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd
GRANT USAGE, CREATE ON SCHEMA public TO millrace_owner;
GRANT USAGE ON SCHEMA public TO millrace_intake, millrace_worker;

-- +goose Down
REVOKE ALL ON SCHEMA public FROM millrace_owner, millrace_intake, millrace_worker;
-- +goose StatementBegin
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['millrace_worker', 'millrace_intake', 'millrace_owner'] LOOP
        BEGIN
            EXECUTE format('DROP ROLE IF EXISTS %I', role_name);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            NULL; -- another database of this cluster, or a login, still uses it
        END;
    END LOOP;
END
$$;
-- +goose StatementEnd
