-- Sessions of the page that a person ended before their time, by the digest of their cookies.
CREATE TABLE ended_sessions (
    digest BLOB    PRIMARY KEY,
    ends   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX ended_sessions_ends ON ended_sessions (ends);
