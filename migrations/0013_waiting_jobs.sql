-- How many jobs of a tenant wait is counted before each submission, about (see
-- internal/intake/quota.go). Only jobs that wait are in the index: one that is
-- taken up leaves it.

-- +goose Up
SET LOCAL ROLE millrace_owner;
CREATE INDEX river_job_waiting ON river_job ((metadata ->> 'tenant_id'))
    WHERE state IN ('available', 'pending', 'retryable', 'scheduled');
RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP INDEX river_job_waiting;
RESET ROLE;
