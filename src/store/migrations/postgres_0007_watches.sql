-- Builds whose outcome is asked for; see SQLite's migration.
CREATE TABLE watches (
    number       bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key          text    NOT NULL UNIQUE,
    integration  text    NOT NULL,
    project_id   bigint  NOT NULL,
    project      text    NOT NULL,
    sha          text    NOT NULL,
    ref_name     text    NOT NULL,
    project_json bytea   NOT NULL,
    since        bigint  NOT NULL,
    due          bigint  NOT NULL,
    polls        integer NOT NULL DEFAULT 0,
    state        text,
    page         text,
    note         text    NOT NULL DEFAULT '',
    checked_at   bigint,
    ended_at     bigint
);

CREATE INDEX watches_due    ON watches (due)      WHERE ended_at IS NULL;
CREATE INDEX watches_ended  ON watches (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX watches_commit ON watches (project_id, sha);
