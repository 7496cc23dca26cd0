-- Unique keys over texts that people or events choose are digests of eight bytes: PostgreSQL refuses an index row of more
-- than 2,704 bytes, and one such row made a whole batch fail. The tables are SQLite's.

-- `Digest::of(parts).number()`.
CREATE FUNCTION key_of(VARIADIC parts text[]) RETURNS bigint LANGUAGE sql IMMUTABLE AS $key$
    SELECT ('x' || encode(substr(sha256(string_agg(int8send(octet_length(part)::bigint) || convert_to(part, 'UTF8'),
                                                   ''::bytea ORDER BY place)), 1, 8), 'hex'))::bit(64)::bigint
    FROM unnest(parts) WITH ORDINALITY AS p (part, place)
$key$;

-- `route_key` is the digest of integration and target.
ALTER TABLE deliveries ADD COLUMN route_key bigint;
UPDATE deliveries SET route_key = key_of(integration, target);
ALTER TABLE deliveries ALTER COLUMN route_key SET NOT NULL;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_event_integration_target_key;
ALTER TABLE deliveries ADD UNIQUE (event, route_key);

-- `key` is the digest of integration and name. For a route it is the deliveries' `route_key`.
ALTER TABLE holds ADD COLUMN key bigint;
UPDATE holds SET key = key_of(integration, name);
ALTER TABLE holds DROP CONSTRAINT holds_pkey;
ALTER TABLE holds ADD PRIMARY KEY (kind, key);
-- Names of destinations are digests with a prefix, and so short.
CREATE INDEX holds_destinations ON holds (name) WHERE kind = 'destination';

ALTER TABLE mutes ADD COLUMN channel_key bigint;
UPDATE mutes SET channel_key = key_of(channel);
ALTER TABLE mutes DROP CONSTRAINT mutes_pkey;
ALTER TABLE mutes ADD PRIMARY KEY (project, slug, channel_key);

-- `path_key` is the digest of the path in lower case. It is NULL where the path is.
DROP INDEX projects_path;
ALTER TABLE projects ADD COLUMN path_key bigint;
UPDATE projects SET path_key = key_of(lower(path)) WHERE path IS NOT NULL;
CREATE UNIQUE INDEX projects_path ON projects (path_key);

DROP INDEX groups_path;
ALTER TABLE groups ADD COLUMN path_key bigint;
UPDATE groups SET path_key = key_of(lower(path)) WHERE path IS NOT NULL;
CREATE UNIQUE INDEX groups_path ON groups (path_key);
