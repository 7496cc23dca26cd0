-- Alerts that monitoring systems reported; see SQLite's migration.
CREATE TABLE alerts (
    number   bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key      text    NOT NULL,
    title    text    NOT NULL,
    reports  bigint  NOT NULL DEFAULT 1,
    since    bigint  NOT NULL,
    seen_at  bigint  NOT NULL,
    ended_at bigint
);

CREATE UNIQUE INDEX alerts_open ON alerts (key) WHERE ended_at IS NULL;
CREATE INDEX        alerts_seen ON alerts (seen_at);
