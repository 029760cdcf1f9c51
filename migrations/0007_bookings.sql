-- Bookings: calendars, the appointments booked in them, the mails about these,
-- and the addresses that no mail is sent to any more.

-- +goose Up
SET LOCAL ROLE millrace_owner;

CREATE TABLE calendars (
    tenant_id        text        NOT NULL CHECK (tenant_id <> ''),
    resource         text        NOT NULL CHECK (resource ~ '^[a-z0-9_-]{1,64}$'),
    timezone         text        NOT NULL,
    hours            jsonb       NOT NULL, -- Hours in internal/booking/calendar.go
    slot_minutes     integer     NOT NULL CHECK (slot_minutes BETWEEN 5 AND 480),
    buffer_minutes   integer     NOT NULL CHECK (buffer_minutes BETWEEN 0 AND 240),
    days_ahead       integer     NOT NULL CHECK (days_ahead BETWEEN 1 AND 366),
    reminder_minutes integer     NOT NULL CHECK (reminder_minutes BETWEEN 0 AND 10080),
    business_name    text        NOT NULL,
    business_email   text,
    business_color   text        NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, resource)
);

CREATE TABLE bookings (
    tenant_id       text        NOT NULL CHECK (tenant_id <> ''),
    id              uuid        NOT NULL,
    -- What was asked; never changed.
    slot_id         text        NOT NULL,
    name            text        NOT NULL,
    email           text        NOT NULL,
    timezone        text        NOT NULL,
    notes           text,
    -- What the slot was when it was booked: the calendar may change later.
    resource        text        NOT NULL,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    busy_until      timestamptz NOT NULL, -- ends_at and the buffer after it
    created_at      timestamptz NOT NULL,
    -- What has become of it.
    status          text        NOT NULL DEFAULT 'confirmed' CHECK (status IN ('confirmed', 'cancelled')),
    -- SEQUENCE of the calendar entry (RFC 5545, 3.8.7.4): grows with each change.
    sequence        integer     NOT NULL DEFAULT 0,
    cancelled_at    timestamptz,
    updated_at      timestamptz NOT NULL,
    -- The River jobs that send the confirmation and the reminder.
    job_id          bigint,
    reminder_job_id bigint,
    PRIMARY KEY (tenant_id, id),
    CHECK (starts_at < ends_at AND ends_at <= busy_until),
    CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL))
);

-- The five minutes of a resource's time that bookings take, named by their
-- start. The key is the guarantee that no two bookings share a moment, whatever
-- length slots had when each was made.
CREATE TABLE booking_ticks (
    tenant_id  text        NOT NULL CHECK (tenant_id <> ''),
    resource   text        NOT NULL,
    tick       timestamptz NOT NULL CHECK (extract(epoch FROM tick)::bigint % 300 = 0),
    booking_id uuid        NOT NULL,
    PRIMARY KEY (tenant_id, resource, tick)
);

-- What became of each mail about a booking, by the name of its message.
CREATE TABLE booking_mails (
    tenant_id   text        NOT NULL CHECK (tenant_id <> ''),
    booking_id  uuid        NOT NULL,
    message     text        NOT NULL CHECK (message <> ''),
    provider_id text,
    status      text        NOT NULL
        CHECK (status IN ('sent', 'delivered', 'bounced', 'complained', 'failed', 'suppressed')),
    failure     jsonb,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, booking_id, message)
) WITH (fillfactor = 80); -- each is updated when the provider tells more
CREATE INDEX booking_mails_provider ON booking_mails (provider_id, tenant_id) WHERE provider_id IS NOT NULL;

CREATE TABLE suppressed_addresses (
    tenant_id    text        NOT NULL CHECK (tenant_id <> ''),
    address_hash bytea       NOT NULL CHECK (length(address_hash) = 32), -- SHA-256 of the address in lower case
    reason       text        NOT NULL CHECK (reason <> ''),
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, address_hash)
);

ALTER TABLE calendars ENABLE ROW LEVEL SECURITY;
ALTER TABLE calendars FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON calendars
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;
ALTER TABLE bookings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON bookings
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
ALTER TABLE booking_ticks ENABLE ROW LEVEL SECURITY;
ALTER TABLE booking_ticks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON booking_ticks
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
ALTER TABLE booking_mails ENABLE ROW LEVEL SECURITY;
ALTER TABLE booking_mails FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON booking_mails
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));
ALTER TABLE suppressed_addresses ENABLE ROW LEVEL SECURITY;
ALTER TABLE suppressed_addresses FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON suppressed_addresses
    USING (tenant_id = current_setting('millrace.tenant', true))
    WITH CHECK (tenant_id = current_setting('millrace.tenant', true));

-- For the function below, which runs as the owner.
CREATE POLICY look_up ON booking_mails FOR SELECT TO millrace_owner USING (true);

GRANT SELECT, INSERT ON calendars TO millrace_intake;
GRANT UPDATE (timezone, hours, slot_minutes, buffer_minutes, days_ahead, reminder_minutes,
    business_name, business_email, business_color, updated_at) ON calendars TO millrace_intake;
GRANT SELECT, INSERT, UPDATE (status, sequence, cancelled_at, updated_at) ON bookings TO millrace_intake;
GRANT SELECT, INSERT, DELETE ON booking_ticks TO millrace_intake;
GRANT SELECT, UPDATE (status, updated_at) ON booking_mails TO millrace_intake;
GRANT SELECT, INSERT ON suppressed_addresses TO millrace_intake;
GRANT SELECT ON calendars, suppressed_addresses TO millrace_worker;
GRANT SELECT, UPDATE (reminder_job_id) ON bookings TO millrace_worker;
GRANT SELECT, INSERT, UPDATE (provider_id, status, failure, updated_at) ON booking_mails TO millrace_worker;

-- Which mail an event of the provider is about: it names no tenant.
-- +goose StatementBegin
CREATE FUNCTION millrace_mail_of_provider(provider text)
RETURNS TABLE (tenant_id text, booking_id uuid, message text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.tenant_id, m.booking_id, m.message FROM public.booking_mails AS m WHERE m.provider_id = provider
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION millrace_mail_of_provider(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION millrace_mail_of_provider(text) TO millrace_intake;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE millrace_owner;
DROP FUNCTION millrace_mail_of_provider(text);
DROP TABLE suppressed_addresses;
DROP TABLE booking_mails;
DROP TABLE booking_ticks;
DROP TABLE bookings;
DROP TABLE calendars;
RESET ROLE;
