-- The JSON of events that were not wanted, for people who ask what would become of them now. That of the others is in `events`.
ALTER TABLE event_log ADD COLUMN raw bytea;

-- The list's order, also where it begins at a moment; and the events of one project. Events without the project's number are
-- found by its path.
CREATE INDEX event_log_order ON event_log (received_at, id);
DROP INDEX event_log_received;
CREATE INDEX event_log_project ON event_log (project_id, received_at);
CREATE INDEX event_log_path ON event_log (lower(project)) WHERE project_id IS NULL OR project_id <= 0;

-- Sessions of the page that a person ended before their time, by the digest of their cookies.
CREATE TABLE ended_sessions (
    digest bytea  PRIMARY KEY,
    ends   bigint NOT NULL
);

CREATE INDEX ended_sessions_ends ON ended_sessions (ends);
