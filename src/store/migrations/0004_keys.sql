-- Unique keys over texts that people or events choose are digests of eight bytes: such a key has the same size however long
-- the text is. `key_of` is `Digest::of(parts).number()`; the program provides it for this step.

-- `route_key` is the digest of integration and target. A table's own unique key can't be dropped, so the table is copied.
CREATE TABLE deliveries_4 (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    event       INTEGER NOT NULL REFERENCES events (seq),
    route_key   INTEGER NOT NULL,
    integration TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    lane        INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due         INTEGER NOT NULL,
    fresh_since INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    settled_at  INTEGER,
    lease_node  TEXT,
    lease_until INTEGER,
    replaces    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (event, route_key)
) STRICT;

INSERT INTO deliveries_4
SELECT id, event, key_of(integration, target), integration, target, destination, lane, state, attempts, due, fresh_since,
       created_at, settled_at, lease_node, lease_until, replaces
FROM deliveries;

-- Ids go on where they were, also where the newest rows are gone.
DELETE FROM sqlite_sequence WHERE name = 'deliveries_4';
INSERT INTO sqlite_sequence (name, seq) SELECT 'deliveries_4', seq FROM sqlite_sequence WHERE name = 'deliveries';
DROP TABLE deliveries;
ALTER TABLE deliveries_4 RENAME TO deliveries;

CREATE INDEX deliveries_ready     ON deliveries (destination, due)        WHERE state = 0;
CREATE INDEX deliveries_lane      ON deliveries (lane)                    WHERE state <= 1;
CREATE INDEX deliveries_leases    ON deliveries (lease_node, lease_until) WHERE state = 2;
CREATE INDEX deliveries_settled   ON deliveries (state, settled_at)       WHERE settled_at IS NOT NULL;
CREATE INDEX deliveries_skipped   ON deliveries (state)                   WHERE state = 11;
CREATE INDEX deliveries_dead      ON deliveries (state)                   WHERE state >= 20;
CREATE INDEX deliveries_replacing ON deliveries (lane, id)                WHERE replaces = 1;

-- `key` is the digest of integration and name. For a route it is the deliveries' `route_key`.
CREATE TABLE holds_4 (
    kind        TEXT    NOT NULL,
    key         INTEGER NOT NULL,
    integration TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    strikes     INTEGER NOT NULL,
    made_by     TEXT,
    fingerprint INTEGER,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

INSERT INTO holds_4
SELECT kind, key_of(integration, name), integration, name, cause, reason, since, until, strikes, made_by, fingerprint
FROM holds;
DROP TABLE holds;
ALTER TABLE holds_4 RENAME TO holds;
CREATE INDEX holds_until        ON holds (until);
-- Names of destinations are digests with a prefix, and so short.
CREATE INDEX holds_destinations ON holds (name) WHERE kind = 'destination';

CREATE TABLE mutes_4 (
    project     INTEGER NOT NULL,
    slug        TEXT    NOT NULL,
    channel_key INTEGER NOT NULL,
    channel     TEXT    NOT NULL,
    until       INTEGER NOT NULL,
    asked_by    TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    PRIMARY KEY (project, slug, channel_key)
) STRICT, WITHOUT ROWID;

INSERT INTO mutes_4 SELECT project, slug, key_of(channel), channel, until, asked_by, revision FROM mutes;
DROP TABLE mutes;
ALTER TABLE mutes_4 RENAME TO mutes;
CREATE INDEX mutes_revision ON mutes (revision);

-- `path_key` is the digest of the path in lower case. It is NULL where the path is.
DROP INDEX projects_path;
ALTER TABLE projects ADD COLUMN path_key INTEGER;
UPDATE projects SET path_key = key_of(lower(path)) WHERE path IS NOT NULL;
CREATE UNIQUE INDEX projects_path ON projects (path_key);

CREATE TABLE groups_4 (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         INTEGER UNIQUE,    -- the forge's number
    path_key   INTEGER UNIQUE,
    path       TEXT,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

INSERT INTO groups_4
SELECT key, id, CASE WHEN path IS NOT NULL THEN key_of(lower(path)) END, path, revision, created_at FROM groups;
DELETE FROM sqlite_sequence WHERE name = 'groups_4';
INSERT INTO sqlite_sequence (name, seq) SELECT 'groups_4', seq FROM sqlite_sequence WHERE name = 'groups';
DROP TABLE groups;
ALTER TABLE groups_4 RENAME TO groups;
CREATE INDEX groups_revision ON groups (revision);
