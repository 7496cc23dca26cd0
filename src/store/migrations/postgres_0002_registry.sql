-- What people configured: the same tables as SQLite's. Each row bears the revision at which it changed last. Moments are
-- milliseconds since 1970; what is a map or a list is JSON. Owners and reaches are a kind (instance, group, project) and a
-- number: of the instance 0, of a group its key here, of a project the forge's.

-- The count of changes: one row, raised by whatever changes, under the one writer's lock, and so in the order of commits.
-- No sequence, which counts in the order of asking; and not the greatest revision of the tables, which would be asked of
-- five indexes with every change and every look.
CREATE TABLE registry (
    one      bigint  PRIMARY KEY CHECK (one = 1),
    revision bigint  NOT NULL
);

INSERT INTO registry VALUES (1, 0);

CREATE TABLE integrations (
    id         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_kind text    COLLATE "C" NOT NULL,
    owner      bigint  NOT NULL,
    slug       text    COLLATE "C" NOT NULL,
    active     boolean NOT NULL,
    inherits   boolean NOT NULL,
    flags      text    NOT NULL,
    properties text    NOT NULL,
    secrets    bytea,              -- sealed; NULL where there are none
    revision   bigint  NOT NULL,
    created_at bigint  NOT NULL,
    updated_at bigint  NOT NULL,
    UNIQUE (owner_kind, owner, slug)
);

CREATE INDEX integrations_revision ON integrations (revision);

-- Paths are ASCII, and letters' case makes no other path.
CREATE TABLE projects (
    id                   bigint  PRIMARY KEY, -- the forge's number
    path                 text    COLLATE "C",
    learned_branch       text,
    learned_visibility   text,
    corrected_branch     text,
    corrected_visibility text,
    protected_branches   text,
    revision             bigint  NOT NULL,
    created_at           bigint  NOT NULL,
    updated_at           bigint  NOT NULL
);

CREATE UNIQUE INDEX projects_path     ON projects (lower(path));
CREATE INDEX        projects_revision ON projects (revision);

CREATE TABLE groups (
    key        bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         bigint  UNIQUE,    -- the forge's number
    path       text    COLLATE "C",
    revision   bigint  NOT NULL,
    created_at bigint  NOT NULL
);

CREATE UNIQUE INDEX groups_path     ON groups (lower(path));
CREATE INDEX        groups_revision ON groups (revision);

CREATE TABLE tokens (
    id         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text    NOT NULL,
    hash       bytea   NOT NULL UNIQUE,
    reach_kind text    COLLATE "C" NOT NULL,
    reach      bigint  NOT NULL,
    may        text    NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    revision   bigint  NOT NULL,
    created_at bigint  NOT NULL
);

CREATE INDEX tokens_revision ON tokens (revision);

CREATE TABLE mutes (
    project  bigint  NOT NULL,
    slug     text    COLLATE "C" NOT NULL,
    channel  text    COLLATE "C" NOT NULL,
    until    bigint  NOT NULL,
    asked_by text    NOT NULL,
    revision bigint  NOT NULL,
    PRIMARY KEY (project, slug, channel)
);

CREATE INDEX mutes_revision ON mutes (revision);

CREATE TABLE audit (
    id     bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     bigint  NOT NULL,
    who    text    NOT NULL,
    action text    NOT NULL,
    object text    NOT NULL,
    fields text    NOT NULL        -- names, never values
);
