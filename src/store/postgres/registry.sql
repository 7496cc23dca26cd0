-- What people configured. Every change takes the writers' lock, so that revisions are given in the order of commits, and
-- notifies all nodes.

CREATE OR REPLACE FUNCTION next_revision() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    given bigint;
BEGIN
    PERFORM pg_notify('forgebell_configured', '');
    UPDATE registry SET revision = revision + 1 RETURNING revision INTO given;
    RETURN given;
END
$$;

-- Writes a line of the audit log, in the transaction of the change.
CREATE OR REPLACE FUNCTION note(a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO audit (at, who, action, object, fields) VALUES (a_at, a_who, a_action, a_object, a_fields)
$$;

-- Returns the row as written. No row where the integration has another revision than the change was made from, or where a
-- rival was set active after the revision at which the rivals were looked at.
CREATE OR REPLACE FUNCTION put_integration(
    i_owner_kind text, i_owner bigint, i_slug text, i_active boolean, i_inherits boolean, i_flags text,
    i_properties text, i_secrets bytea, made_from bigint,
    rivals text[], rivals_seen bigint,
    a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS SETOF integrations LANGUAGE plpgsql AS $$
DECLARE
    found_revision bigint;
BEGIN
    PERFORM alone();
    SELECT i.revision INTO found_revision FROM integrations AS i
    WHERE i.owner_kind = i_owner_kind AND i.owner = i_owner AND i.slug = i_slug;
    IF found_revision IS DISTINCT FROM made_from THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT 1 FROM integrations AS i
               WHERE i.owner_kind = i_owner_kind AND i.owner = i_owner AND i.slug = ANY (rivals)
                   AND i.active AND NOT i.inherits AND i.revision > rivals_seen) THEN
        RETURN;
    END IF;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    IF made_from IS NULL THEN
        RETURN QUERY INSERT INTO integrations (owner_kind, owner, slug, active, inherits, flags, properties, secrets,
                                               revision, created_at, updated_at)
        VALUES (i_owner_kind, i_owner, i_slug, i_active, i_inherits, i_flags, i_properties, i_secrets,
                next_revision(), a_at, a_at)
        RETURNING *;
    ELSE
        RETURN QUERY UPDATE integrations AS i
        SET active = i_active, inherits = i_inherits, flags = i_flags, properties = i_properties, secrets = i_secrets,
            revision = next_revision(), updated_at = a_at
        WHERE i.owner_kind = i_owner_kind AND i.owner = i_owner AND i.slug = i_slug
        RETURNING *;
    END IF;
END
$$;

-- Replaces sealed secrets. False, without a change, where the old ones are not exactly those in the table.
CREATE OR REPLACE FUNCTION reseal(
    s_id bigint[], s_old bytea[], s_new bytea[], a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    IF EXISTS (SELECT 1 FROM integrations AS i LEFT JOIN unnest(s_id, s_old) AS s (id, old) ON s.id = i.id
               WHERE i.secrets IS DISTINCT FROM s.old) THEN
        RETURN false;
    END IF;
    UPDATE integrations AS i SET secrets = s.new FROM unnest(s_id, s_new) AS s (id, new) WHERE i.id = s.id;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    RETURN true;
END
$$;

-- Switches integrations off and removes their secrets, where these are still the given ones. Returns their ids.
CREATE OR REPLACE FUNCTION drop_undecryptable(
    s_id bigint[], s_old bytea[], s_object text[], a_at bigint, a_who text, a_action text, a_fields text
) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    FOR n IN 1 .. coalesce(array_length(s_id, 1), 0) LOOP
        UPDATE integrations SET secrets = NULL, active = false, revision = next_revision(), updated_at = a_at
        WHERE id = s_id[n] AND secrets = s_old[n];
        CONTINUE WHEN NOT FOUND;
        PERFORM note(a_at, a_who, a_action, s_object[n], a_fields);
        RETURN NEXT s_id[n];
    END LOOP;
END
$$;

-- The key of a path of a project or group. Letters' case makes no other path.
CREATE OR REPLACE FUNCTION path_key_of(the_path text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT key_of(lower(the_path COLLATE "C"))
$$;

-- Takes the path from another project that has it.
CREATE OR REPLACE FUNCTION take_project_path(the_path text, the_id bigint, now bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE projects SET path = NULL, path_key = NULL, revision = next_revision(), updated_at = now
    WHERE path_key = path_key_of(the_path) AND id <> the_id
$$;

-- Stores projects as events showed them. NULL stands for what an event did not show. Returns the rows in the given order,
-- as they are after all of them: a later project may have taken the path of an earlier one.
CREATE OR REPLACE FUNCTION upsert_seen_projects(s_id bigint[], s_path text[], s_branch text[], s_visibility text[], now bigint)
RETURNS SETOF projects LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    FOR n IN 1 .. coalesce(array_length(s_id, 1), 0) LOOP
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM projects AS p WHERE p.id = s_id[n]
                AND (s_path[n] IS NULL OR p.path IS NOT DISTINCT FROM s_path[n])
                AND (s_branch[n] IS NULL OR p.learned_branch IS NOT DISTINCT FROM s_branch[n])
                AND (s_visibility[n] IS NULL OR p.learned_visibility IS NOT DISTINCT FROM s_visibility[n]));
        PERFORM take_project_path(s_path[n], s_id[n], now);
        INSERT INTO projects AS p (id, path, path_key, learned_branch, learned_visibility, revision, created_at, updated_at)
        VALUES (s_id[n], s_path[n], path_key_of(s_path[n]), s_branch[n], s_visibility[n], next_revision(), now, now)
        ON CONFLICT (id) DO UPDATE SET
            path = coalesce(excluded.path, p.path), path_key = coalesce(excluded.path_key, p.path_key),
            learned_branch = coalesce(excluded.learned_branch, p.learned_branch),
            learned_visibility = coalesce(excluded.learned_visibility, p.learned_visibility),
            revision = excluded.revision, updated_at = excluded.updated_at;
    END LOOP;
    RETURN QUERY SELECT p.* FROM unnest(s_id) WITH ORDINALITY AS s (id, n) JOIN projects AS p ON p.id = s.id ORDER BY s.n;
END
$$;

-- Stores what a person said of a project. `keeps_…` says that the present value stays, whatever the argument.
CREATE OR REPLACE FUNCTION override_project(
    p_id bigint, p_path text, keeps_branch boolean, p_branch text, keeps_visibility boolean, p_visibility text,
    keeps_protected boolean, p_protected text,
    a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS SETOF projects LANGUAGE plpgsql AS $$
DECLARE
    known projects;
BEGIN
    PERFORM alone();
    SELECT p.* INTO known FROM projects AS p WHERE p.id = p_id;
    IF keeps_branch THEN
        p_branch := known.corrected_branch;
    END IF;
    IF keeps_visibility THEN
        p_visibility := known.corrected_visibility;
    END IF;
    IF keeps_protected THEN
        p_protected := known.protected_branches;
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM projects AS p WHERE p.id = p_id
            AND (p_path IS NULL OR p.path IS NOT DISTINCT FROM p_path)
            AND p.corrected_branch IS NOT DISTINCT FROM p_branch
            AND p.corrected_visibility IS NOT DISTINCT FROM p_visibility
            AND p.protected_branches IS NOT DISTINCT FROM p_protected
    ) THEN
        PERFORM take_project_path(p_path, p_id, a_at);
        INSERT INTO projects AS p (id, path, path_key, corrected_branch, corrected_visibility, protected_branches, revision,
                                   created_at, updated_at)
        VALUES (p_id, p_path, path_key_of(p_path), p_branch, p_visibility, p_protected, next_revision(), a_at, a_at)
        ON CONFLICT (id) DO UPDATE SET
            path = coalesce(excluded.path, p.path), path_key = coalesce(excluded.path_key, p.path_key),
            corrected_branch = excluded.corrected_branch,
            corrected_visibility = excluded.corrected_visibility, protected_branches = excluded.protected_branches,
            revision = excluded.revision, updated_at = excluded.updated_at;
        PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    END IF;
    RETURN QUERY SELECT p.* FROM projects AS p WHERE p.id = p_id;
END
$$;

CREATE OR REPLACE FUNCTION put_group(
    g_id bigint, g_path text, a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS SETOF groups LANGUAGE plpgsql AS $$
DECLARE
    known groups;
BEGIN
    PERFORM alone();
    SELECT g.* INTO known FROM groups AS g WHERE g.id = g_id;
    IF NOT FOUND THEN
        -- A group with another number is another group, which had the path before.
        SELECT g.* INTO known FROM groups AS g
        WHERE g.path_key = path_key_of(g_path) AND (g_id IS NULL OR g.id IS NULL);
    END IF;
    -- Only a caller that knows the number knows the spelling of the path.
    IF known.key IS NOT NULL AND (g_id IS NULL OR (known.id = g_id AND known.path IS NOT DISTINCT FROM g_path)) THEN
        RETURN NEXT known;
        RETURN;
    END IF;
    UPDATE groups AS g SET path = NULL, path_key = NULL, revision = next_revision()
    WHERE g.path_key = path_key_of(g_path) AND g.key IS DISTINCT FROM known.key;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    IF known.key IS NULL THEN
        RETURN QUERY INSERT INTO groups (id, path, path_key, revision, created_at)
        VALUES (g_id, g_path, path_key_of(g_path), next_revision(), a_at) RETURNING *;
    ELSE
        RETURN QUERY UPDATE groups AS g SET id = g_id, path = g_path, path_key = path_key_of(g_path), revision = next_revision()
        WHERE g.key = known.key RETURNING *;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION create_token(
    t_name text, t_hash bytea, t_reach_kind text, t_reach bigint, t_may text, t_expires_at bigint,
    a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS SETOF tokens LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    RETURN QUERY INSERT INTO tokens (name, hash, reach_kind, reach, may, expires_at, revision, created_at)
    VALUES (t_name, t_hash, t_reach_kind, t_reach, t_may, t_expires_at, next_revision(), a_at) RETURNING *;
END
$$;

CREATE OR REPLACE FUNCTION revoke_token(
    t_id bigint, a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    UPDATE tokens SET revoked_at = a_at, revision = next_revision()
    WHERE id = t_id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > a_at);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION mute(
    m_project bigint, m_slug text, m_channel text, m_until bigint, m_asked_by text,
    a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    INSERT INTO mutes (project, slug, channel_key, channel, until, asked_by, revision)
    VALUES (m_project, m_slug, key_of(m_channel), m_channel, m_until, m_asked_by, next_revision())
    ON CONFLICT (project, slug, channel_key) DO UPDATE SET
        until = excluded.until, asked_by = excluded.asked_by, revision = excluded.revision;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
END
$$;
