-- The event log: one row for each event, also for those that no integration wanted. See SQLite's migration, where the rows
-- of `events` serve as the log.
CREATE TABLE event_log (
    id          text   COLLATE "C" PRIMARY KEY,
    trigger     text,
    kind        text   NOT NULL,
    project_id  bigint,
    project     text,
    subject     text   NOT NULL,
    occurred_at bigint NOT NULL,
    received_at bigint NOT NULL,
    source      text   NOT NULL,   -- amqp or http
    verdicts    text,              -- JSON: which integrations were not told, and why
    wanted      boolean NOT NULL
);

CREATE INDEX event_log_received ON event_log (received_at);
