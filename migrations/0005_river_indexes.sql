-- River's GIN indexes on args and metadata serve searches by their content,
-- which nothing here does: a job's args are ids, and jobs are found by id. Their
-- upkeep is a third of an insert's cost, and the flush of their pending lists
-- holds one up for tens of milliseconds.

-- +goose Up
SET LOCAL ROLE millrace_owner;
DROP INDEX IF EXISTS river_job_args_index;
DROP INDEX IF EXISTS river_job_metadata_index;
RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
CREATE INDEX river_job_args_index ON river_job USING gin (args);
CREATE INDEX river_job_metadata_index ON river_job USING gin (metadata);
RESET ROLE;
