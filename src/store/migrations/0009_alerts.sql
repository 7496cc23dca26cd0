-- Alerts that monitoring systems reported: a row for each occurrence. `key` is a digest of project and fingerprint; one
-- occurrence of a key is open at a time. `reports` counts how often it was reported as firing.
CREATE TABLE alerts (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT    NOT NULL,
    title    TEXT    NOT NULL,
    reports  INTEGER NOT NULL DEFAULT 1,
    since    INTEGER NOT NULL,
    seen_at  INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX alerts_open ON alerts (key) WHERE ended_at IS NULL;
CREATE INDEX        alerts_seen ON alerts (seen_at);
