-- Builds whose outcome is asked for. `key` is a digest of integration, commit and ref. `due` counts while `ended_at` is
-- null.
CREATE TABLE watches (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT    NOT NULL UNIQUE,
    integration  TEXT    NOT NULL,
    project_id   INTEGER NOT NULL,
    project      TEXT    NOT NULL,
    sha          TEXT    NOT NULL,
    ref_name     TEXT    NOT NULL,
    project_json BLOB    NOT NULL,
    since        INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    polls        INTEGER NOT NULL DEFAULT 0,
    state        TEXT,
    page         TEXT,
    note         TEXT    NOT NULL DEFAULT '',
    checked_at   INTEGER,
    ended_at     INTEGER
) STRICT;

CREATE INDEX watches_due    ON watches (due)             WHERE ended_at IS NULL;
CREATE INDEX watches_ended  ON watches (ended_at)        WHERE ended_at IS NOT NULL;
CREATE INDEX watches_commit ON watches (project_id, sha);
