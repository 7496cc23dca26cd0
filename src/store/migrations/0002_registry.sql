-- What people configured. Each row bears the revision at which it changed last. Moments are milliseconds since 1970; what
-- is a map or a list is JSON. Owners and reaches are a kind (instance, group, project) and a number: of the instance 0, of
-- a group its key here, of a project the forge's.

-- The count of changes: one row, raised by whatever changes, under the one writer's lock, and so in the order of commits.
-- Not the greatest revision of the tables: that would be asked of five indexes with every change and every look.
CREATE TABLE registry (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO registry VALUES (1, 0);

CREATE TABLE integrations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_kind TEXT    NOT NULL,
    owner      INTEGER NOT NULL,
    slug       TEXT    NOT NULL,
    active     INTEGER NOT NULL,
    inherits   INTEGER NOT NULL,
    flags      TEXT    NOT NULL,
    properties TEXT    NOT NULL,
    secrets    BLOB,              -- sealed; NULL where there are none
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (owner_kind, owner, slug)
) STRICT;

CREATE INDEX integrations_revision ON integrations (revision);

-- Paths are ASCII, and letters' case makes no other path.
CREATE TABLE projects (
    id                   INTEGER PRIMARY KEY, -- the forge's number
    path                 TEXT COLLATE NOCASE,
    learned_branch       TEXT,
    learned_visibility   TEXT,
    corrected_branch     TEXT,
    corrected_visibility TEXT,
    protected_branches   TEXT,
    revision             INTEGER NOT NULL,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX projects_path     ON projects (path);
CREATE INDEX        projects_revision ON projects (revision);

CREATE TABLE groups (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         INTEGER UNIQUE,    -- the forge's number
    path       TEXT COLLATE NOCASE UNIQUE,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX groups_revision ON groups (revision);

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    reach_kind TEXT    NOT NULL,
    reach      INTEGER NOT NULL,
    may        TEXT    NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX tokens_revision ON tokens (revision);

CREATE TABLE mutes (
    project  INTEGER NOT NULL,
    slug     TEXT    NOT NULL,
    channel  TEXT    NOT NULL,
    until    INTEGER NOT NULL,
    asked_by TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (project, slug, channel)
) STRICT, WITHOUT ROWID;

CREATE INDEX mutes_revision ON mutes (revision);

CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    who    TEXT    NOT NULL,
    action TEXT    NOT NULL,
    object TEXT    NOT NULL,
    fields TEXT    NOT NULL        -- names, never values
) STRICT;
