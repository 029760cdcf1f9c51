-- Workers fetch a queue's jobs in the order of priority, time and id. River's own
-- index begins with the state, and under row-level security Postgres does not see
-- that it gives that order too: comparing a state could leak (enum_eq is not
-- leakproof), so that it reads and sorts all that waits, 0.3 s for a million jobs.
-- In this one the state is a condition of the index. Building it holds writers up
-- for half a second a million jobs.

-- +goose Up
SET LOCAL ROLE millrace_owner;
CREATE INDEX river_job_available ON river_job (queue, priority, scheduled_at, id) WHERE state = 'available';
RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP INDEX river_job_available;
RESET ROLE;
