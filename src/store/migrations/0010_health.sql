-- A service that can't be told of a push may be asked after it whether it can be reached: that is a watch too.
ALTER TABLE watches ADD COLUMN kind TEXT NOT NULL DEFAULT 'build';

-- What services answered that were asked whether they can be reached. `since` is the time of the first such answer in a
-- row.
CREATE TABLE health (
    integration TEXT    PRIMARY KEY,
    reached     INTEGER NOT NULL,
    note        TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    checked_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX health_checked ON health (checked_at);
