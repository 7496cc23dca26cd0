-- Moments are milliseconds since 1970. Steps of a delivery, in one column so that partial indexes can follow it:
--
--    0 ready      open, leased to nobody, the first such row of its lane
--    1 behind     open, leased to nobody, behind a ready row of its lane
--    2 leased     open, somebody is at it
--   10 delivered
--   20 failed    21 expired    22 cancelled

CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    answers_to  TEXT,              -- the trigger
    kind        TEXT    NOT NULL,
    project_id  INTEGER,
    project     TEXT,              -- the project's full path, or the group's
    subject     TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    digest      BLOB,              -- of the body, where the broker's message bore no id
    raw         BLOB    NOT NULL   -- last: the rest is read without it
) STRICT;

CREATE INDEX events_digest ON events (digest) WHERE digest IS NOT NULL;

-- Events that are not dispatched yet. A table and not a flag: dispatching then doesn't write the event again.
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY REFERENCES events (seq)
) STRICT;

-- Events that nobody wanted: kept for a while, so that a repeat is known.
CREATE TABLE unwanted (
    seq INTEGER PRIMARY KEY REFERENCES events (seq)
) STRICT;

CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    event       INTEGER NOT NULL REFERENCES events (seq),
    integration TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    lane        INTEGER NOT NULL,
    step        INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due         INTEGER NOT NULL,
    news_since  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    settled_at  INTEGER,
    lease_node  TEXT,
    lease_until INTEGER,
    UNIQUE (event, integration, target)
) STRICT;

-- A row that is written leased and then settled, the ordinary case, passes through two of these: `leases`, `settled`.
CREATE INDEX deliveries_ready   ON deliveries (destination, due)        WHERE step = 0;
CREATE INDEX deliveries_lane    ON deliveries (lane)                    WHERE step <= 1;
CREATE INDEX deliveries_leases  ON deliveries (lease_node, lease_until) WHERE step = 2;
CREATE INDEX deliveries_settled ON deliveries (step, settled_at)        WHERE settled_at IS NOT NULL;
CREATE INDEX deliveries_dead    ON deliveries (step)                    WHERE step >= 20;

CREATE TABLE attempts (
    delivery   INTEGER NOT NULL REFERENCES deliveries (id),
    n          INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    status     INTEGER,
    note       TEXT    NOT NULL,
    PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (
    key         TEXT    PRIMARY KEY,
    until       INTEGER NOT NULL,
    why         TEXT    NOT NULL,
    strikes     INTEGER NOT NULL,
    integration TEXT,              -- with the fingerprint: ends when these settings change
    fingerprint INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX holds_until ON holds (until);

CREATE TABLE quarantine (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT    NOT NULL,
    id          TEXT,
    reason      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    raw         BLOB    NOT NULL
) STRICT;

CREATE INDEX quarantine_received_at ON quarantine (received_at);
