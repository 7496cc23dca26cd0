-- The same tables as SQLite's, under the schema `forgebell`. Moments are milliseconds since 1970. Steps of a delivery:
--
--    0 ready      open, leased to nobody, the first such row of its lane
--    1 behind     open, leased to nobody, behind a ready row of its lane
--    2 leased     open, somebody is at it
--   10 delivered
--   20 failed    21 expired    22 cancelled
--
-- Keys are compared by their bytes: nobody's language decides their order.

CREATE TABLE events (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text   COLLATE "C" NOT NULL UNIQUE,
    answers_to  text,
    kind        text   NOT NULL,
    project_id  bigint,
    project     text,
    subject     text   NOT NULL,
    occurred_at bigint NOT NULL,
    received_at bigint NOT NULL,
    digest      bytea,
    raw         bytea  NOT NULL
);

CREATE INDEX events_digest ON events (digest) WHERE digest IS NOT NULL;

CREATE TABLE inbox (
    seq bigint PRIMARY KEY REFERENCES events (seq)
);

CREATE TABLE unwanted (
    seq bigint PRIMARY KEY REFERENCES events (seq)
);

CREATE TABLE deliveries (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event       bigint  NOT NULL REFERENCES events (seq),
    integration text    COLLATE "C" NOT NULL,
    target      text    COLLATE "C" NOT NULL,
    destination text    COLLATE "C" NOT NULL,
    lane        bigint  NOT NULL,
    step        integer NOT NULL,
    attempts    integer NOT NULL DEFAULT 0,
    due         bigint  NOT NULL,
    news_since  bigint  NOT NULL,
    created_at  bigint  NOT NULL,
    settled_at  bigint,
    lease_node  text    COLLATE "C",
    lease_until bigint,
    UNIQUE (event, integration, target)
);

CREATE INDEX deliveries_ready   ON deliveries (destination, due, id)    WHERE step = 0;
CREATE INDEX deliveries_lane    ON deliveries (lane, id)                WHERE step <= 2;
CREATE INDEX deliveries_leases  ON deliveries (lease_node, lease_until) WHERE step = 2;
CREATE INDEX deliveries_settled ON deliveries (step, settled_at)        WHERE settled_at IS NOT NULL;
CREATE INDEX deliveries_dead    ON deliveries (step)                    WHERE step >= 20;

-- Rows come, change twice and go: what they leave behind is cleared often.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, fillfactor = 80);

CREATE TABLE attempts (
    delivery   bigint  NOT NULL REFERENCES deliveries (id),
    n          integer NOT NULL,
    at         bigint  NOT NULL,
    latency_ms bigint  NOT NULL,
    outcome    text    NOT NULL,
    status     integer,
    note       text    NOT NULL,
    PRIMARY KEY (delivery, n)
);

CREATE TABLE holds (
    key         text    COLLATE "C" PRIMARY KEY,
    until       bigint  NOT NULL,
    why         text    NOT NULL,
    strikes     integer NOT NULL,
    integration text    COLLATE "C",
    fingerprint bigint
);

CREATE INDEX holds_until ON holds (until);

-- Which node works a destination: pace is kept in that node's memory, so there must be one.
CREATE TABLE workers (
    destination text   COLLATE "C" PRIMARY KEY,
    node        text   COLLATE "C" NOT NULL,
    until       bigint NOT NULL
);

CREATE INDEX workers_until ON workers (until);

CREATE TABLE quarantine (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text   NOT NULL,
    id          text,
    reason      text   NOT NULL,
    received_at bigint NOT NULL,
    raw         bytea  NOT NULL
);

CREATE INDEX quarantine_received_at ON quarantine (received_at);
