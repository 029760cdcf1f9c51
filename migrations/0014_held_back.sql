-- What holds vacuum back: the oldest snapshot and the oldest open transaction. Only
-- members of pg_read_all_stats see those of other logins, and with them their
-- statements; so the owner is one, which nobody connects as, and this tells the
-- workers two numbers.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT pg_has_role('millrace_owner', 'pg_read_all_stats', 'MEMBER') THEN
        GRANT pg_read_all_stats TO millrace_owner;
    END IF;
EXCEPTION
    -- The function then says nothing, and nobody exports the numbers; who has the right
    -- may grant it at any time.
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'pg_read_all_stats cannot be granted to millrace_owner by this login';
    -- Roles belong to the cluster: a migration of another database won the race.
    WHEN unique_violation OR internal_error THEN
        NULL;
END
$$;
-- +goose StatementEnd

SET LOCAL ROLE millrace_owner;

-- The numbers are NULL when the owner does not see other logins' sessions. Sessions of
-- other databases hold nothing back here; replicas and replication slots do.
-- +goose StatementBegin
CREATE FUNCTION millrace_held_back() RETURNS TABLE (xmin_age bigint, transaction_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH sessions AS (
        SELECT s.backend_xmin, s.xact_start, s.backend_type FROM pg_stat_activity AS s
        WHERE s.pid <> pg_backend_pid() AND (s.datname = current_database() OR s.backend_type = 'walsender')
    ), prepared AS (
        SELECT p.transaction, p.prepared FROM pg_prepared_xacts AS p WHERE p.database = current_database()
    )
    SELECT (SELECT coalesce(max(age(held.xmin)), 0)::bigint FROM (
                SELECT s.backend_xmin FROM sessions AS s
                UNION ALL SELECT p.transaction FROM prepared AS p
                UNION ALL SELECT slot.xmin FROM pg_replication_slots AS slot
                UNION ALL SELECT slot.catalog_xmin FROM pg_replication_slots AS slot
            ) AS held (xmin)),
        (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - opened.at)), 0)::double precision FROM (
                SELECT s.xact_start FROM sessions AS s WHERE s.backend_type = 'client backend'
                UNION ALL SELECT p.prepared FROM prepared AS p
            ) AS opened (at))
    WHERE pg_has_role('pg_read_all_stats', 'USAGE')
    UNION ALL SELECT NULL, NULL WHERE NOT pg_has_role('pg_read_all_stats', 'USAGE')
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_held_back() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_held_back() TO millrace_worker;

RESET ROLE;

-- +goose Down
-- The owner's membership stays: another database of this cluster may use it.
SET LOCAL ROLE millrace_owner;
DROP FUNCTION millrace_held_back();
RESET ROLE;
