-- Services that are asked whether they can be reached; see SQLite's migration.
ALTER TABLE watches ADD COLUMN kind text NOT NULL DEFAULT 'build';

CREATE TABLE health (
    integration text    PRIMARY KEY,
    reached     boolean NOT NULL,
    note        text    NOT NULL,
    since       bigint  NOT NULL,
    checked_at  bigint  NOT NULL
);

CREATE INDEX health_checked ON health (checked_at);
