-- Conversations, masked before they get here; the score of each; and how the
-- scores of a day are distributed.

-- +goose Up
SET LOCAL ROLE millrace_owner;

CREATE TABLE conversations (
    tenant_id     text        NOT NULL CHECK (tenant_id <> ''),
    id            uuid        NOT NULL,
    -- What was submitted; never changed. Texts are masked.
    session_id    text        NOT NULL CHECK (session_id ~ '^[A-Za-z0-9_.:-]{1,128}$'),
    messages      json        NOT NULL, -- turn in internal/conversation/conversation.go
    message_count integer     NOT NULL CHECK (message_count BETWEEN 1 AND 1000),
    skipped_count integer     NOT NULL CHECK (skipped_count BETWEEN 0 AND 1000),
    skipped       jsonb,                -- the first of them, with their problems
    masked        jsonb,                -- how much was masked, by category
    has_feedback  boolean     NOT NULL,
    feedback      json CHECK ((feedback IS NOT NULL) = has_feedback),
    created_at    timestamptz NOT NULL,
    -- What has become of it.
    status        text        NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'scored', 'cancelled')),
    -- The River job that scores it.
    job_id        bigint,
    PRIMARY KEY (tenant_id, id)
);

-- One a conversation, under the same id. The newest replaces the one before.
CREATE TABLE scores (
    tenant_id    text             NOT NULL CHECK (tenant_id <> ''),
    id           uuid             NOT NULL,
    session_id   text             NOT NULL,
    created_at   timestamptz      NOT NULL, -- the conversation's
    satisfaction numeric          NOT NULL CHECK (satisfaction BETWEEN 0 AND 100),
    rating       double precision NOT NULL,
    confidence   double precision NOT NULL,
    verdict      text             NOT NULL CHECK (verdict <> ''),
    model        text             NOT NULL CHECK (model <> ''),
    detail       json             NOT NULL, -- Score in internal/satisfaction/satisfaction.go
    scored_at    timestamptz      NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
-- In the order of each list, whose pages go on by key.
CREATE UNIQUE INDEX scores_time ON scores (tenant_id, created_at, id);
CREATE UNIQUE INDEX scores_satisfaction ON scores (tenant_id, satisfaction, id);
CREATE UNIQUE INDEX scores_session ON scores (tenant_id, session_id, created_at, id);

-- Kept with each score, in its transaction, so that nobody counts them.
CREATE TABLE score_days (
    tenant_id text     NOT NULL CHECK (tenant_id <> ''),
    day       date     NOT NULL, -- of the conversation's created_at, in UTC
    bucket    smallint NOT NULL CHECK (bucket BETWEEN 0 AND 9), -- tens of satisfaction; 100 is in 9
    -- No CHECK that it is not negative: a change of it is proposed as a row.
    count     bigint   NOT NULL,
    total     numeric  NOT NULL, -- of satisfaction: exact, so that what is taken back leaves nothing
    PRIMARY KEY (tenant_id, day, bucket)
) WITH (fillfactor = 50); -- a few rows, updated with every score

ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON conversations
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
ALTER TABLE scores ENABLE ROW LEVEL SECURITY;
ALTER TABLE scores FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON scores
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
ALTER TABLE score_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE score_days FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON score_days
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));

-- Intake takes texts in and never reads them: what the API shows has none.
GRANT INSERT, UPDATE (status) ON conversations TO millrace_intake;
GRANT SELECT (tenant_id, id, session_id, message_count, skipped_count, skipped, masked, has_feedback, created_at, status, job_id)
    ON conversations TO millrace_intake;
GRANT SELECT ON scores, score_days TO millrace_intake;
GRANT SELECT, UPDATE (status) ON conversations TO millrace_worker;
GRANT SELECT, INSERT, UPDATE (satisfaction, rating, confidence, verdict, model, detail, scored_at) ON scores TO millrace_worker;
GRANT SELECT, INSERT, UPDATE (count, total) ON score_days TO millrace_worker;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP TABLE score_days;
DROP TABLE scores;
DROP TABLE conversations;
RESET ROLE;
