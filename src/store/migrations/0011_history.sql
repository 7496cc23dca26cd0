-- The JSON of events that are in the inbox or have rows in `deliveries`. The JSON of the others lies in files beside the
-- database.
CREATE TABLE bodies (
    event INTEGER PRIMARY KEY REFERENCES events (seq),
    raw   BLOB    NOT NULL
) STRICT;

INSERT INTO bodies SELECT seq, raw FROM events;
ALTER TABLE events DROP COLUMN raw;

ALTER TABLE events ADD COLUMN source   TEXT;      -- amqp or http; NULL for events of earlier versions
ALTER TABLE events ADD COLUMN verdicts TEXT;      -- JSON: which integrations were not told, and why
ALTER TABLE events ADD COLUMN wanted   INTEGER NOT NULL DEFAULT 1; -- 0: only for the event log, does not make the id known
ALTER TABLE events ADD COLUMN segment  INTEGER;   -- the file of the JSON, where it is not in `bodies`
ALTER TABLE events ADD COLUMN position INTEGER;   -- its place in the file, in bytes

-- Deliveries that ended well at the first attempt and never were rows of `deliveries`. Their ids come from the same sequence.
CREATE TABLE history (
    id          INTEGER PRIMARY KEY,
    event       INTEGER NOT NULL,
    integration TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    lane        INTEGER NOT NULL,
    state       INTEGER NOT NULL,  -- as in `deliveries`
    attempts    INTEGER NOT NULL,
    settled_at  INTEGER NOT NULL,
    latency_ms  INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    status      INTEGER,
    note        TEXT    NOT NULL
) STRICT;

CREATE INDEX history_event ON history (event);

-- Events without deliveries are found by their age.
CREATE INDEX events_unwanted ON events (received_at) WHERE wanted = 0;
