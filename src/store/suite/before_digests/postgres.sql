-- A store as version 3 of the schema has it, as `pg_dump --column-inserts` writes it. The program of that version upgraded
-- the store in `before_rebuild` and added to it (commit cbdab32), with the same key as SQLite's. Left out: comments, and
-- settings of the session. Never edit it: it stands for stores that exist.
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
CREATE SCHEMA forgebell;
CREATE FUNCTION forgebell.alone() RETURNS void
    LANGUAGE sql
    AS $$
    SELECT pg_advisory_xact_lock(1178752364) -- "FBel"
$$;
CREATE FUNCTION forgebell.begin_hold(h_kind text, h_integration text, h_name text, h_cause text, h_reason text, h_since bigint, h_until bigint, h_strikes integer, h_made_by text, h_fingerprint bigint) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO holds AS h (kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint)
    VALUES (h_kind, h_integration, h_name, h_cause, h_reason, h_since, h_until, h_strikes, h_made_by, h_fingerprint)
    ON CONFLICT (kind, integration, name) DO UPDATE SET cause = excluded.cause, reason = excluded.reason,
        since = excluded.since, until = excluded.until, strikes = excluded.strikes, made_by = excluded.made_by,
        fingerprint = excluded.fingerprint
    WHERE excluded.until >= h.until
$$;
CREATE FUNCTION forgebell.cancel_replaced(the_id bigint, at_moment bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE deliveries SET state = 22, settled_at = at_moment, lease_node = NULL, lease_until = NULL WHERE id = the_id;
    INSERT INTO attempts (delivery, n, at, latency_ms, outcome, status, note)
    SELECT the_id, coalesce(max(n), 0) + 1, at_moment, 0, 'cancelled', NULL, 'replaced by a newer state'
    FROM attempts WHERE delivery = the_id;
END
$$;
CREATE FUNCTION forgebell.claim(destinations text[], most integer, most_bytes bigint, the_node text, the_until bigint, now bigint) RETURNS TABLE(place integer, d_id bigint, d_lane bigint, d_destination text, d_integration text, d_target text, d_attempts integer, d_fresh_since bigint, e_seq bigint, e_id text, e_occurred_at bigint, e_raw bytea, d_more boolean, d_replaces boolean)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    taken bigint[];
BEGIN
    PERFORM alone();
    PERFORM lapse(now);
    FOR i IN 1 .. coalesce(array_length(destinations, 1), 0) LOOP
        taken := claim_one(destinations[i], most, most_bytes, the_node, the_until, now);
        RETURN QUERY
            SELECT i, d.id, d.lane, d.destination::text, d.integration::text, d.target::text, d.attempts, d.fresh_since,
                   e.seq, e.id::text, e.occurred_at, e.raw, NULL::boolean, d.replaces
            FROM deliveries AS d JOIN events AS e ON e.seq = d.event WHERE d.id = ANY (taken) ORDER BY d.id;
        RETURN QUERY
            SELECT i, NULL::bigint, NULL::bigint, NULL::text, NULL::text, NULL::text, NULL::integer, NULL::bigint,
                   NULL::bigint, NULL::text, NULL::bigint, NULL::bytea,
                   EXISTS (SELECT 1 FROM deliveries AS d WHERE d.destination = destinations[i] AND d.state = 0),
                   NULL::boolean;
    END LOOP;
END
$$;
CREATE FUNCTION forgebell.claim_one(the_destination text, most integer, most_bytes bigint, the_node text, the_until bigint, now bigint) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    taken bigint[];
    moved bigint[];
BEGIN
    IF held_until(the_destination, now) IS NOT NULL
       OR NOT EXISTS (SELECT 1 FROM deliveries WHERE destination = the_destination AND state = 0 AND due <= now)
       OR NOT work(the_destination, the_node, the_until) THEN
        RETURN '{}';
    END IF;
    -- Ready rows of held routes are put off to the hold's end, a bounded number at a time.
    WITH held AS (
        SELECT r.id, h.until
        FROM (SELECT id, integration, target FROM deliveries
              WHERE destination = the_destination AND state = 0 AND due <= now ORDER BY due, id LIMIT most + 1000) AS r
        JOIN holds AS h ON h.kind = 'route' AND h.integration = r.integration AND h.name = r.target AND h.until > now
    )
    UPDATE deliveries AS d SET due = held.until FROM held WHERE d.id = held.id;
    WITH ready AS (
        SELECT id, lane, due FROM deliveries
        WHERE destination = the_destination AND state = 0 AND due <= now ORDER BY due, id LIMIT most + 1000
    ), heads AS (
        SELECT r.id, r.lane FROM ready AS r
        WHERE NOT EXISTS (SELECT 1 FROM deliveries AS f WHERE f.lane = r.lane AND f.state = 2
                          AND f.state <= 2 AND f.lease_node <> the_node AND f.id < r.id)
        ORDER BY r.due, r.id LIMIT most
    ), rows AS (
        SELECT b.id, b.lane, b.event,
               count(*) FILTER (WHERE b.stuck) OVER (PARTITION BY b.lane ORDER BY b.id) AS stuck
        FROM heads AS h CROSS JOIN LATERAL (
            SELECT d.id, d.lane, d.event,
                   d.destination <> the_destination OR d.due > now
                   OR EXISTS (SELECT 1 FROM holds AS x WHERE x.kind = 'route' AND x.integration = d.integration
                              AND x.name = d.target AND x.until > now)
                   OR EXISTS (SELECT 1 FROM deliveries AS f WHERE f.lane = d.lane AND f.state = 2
                              AND f.state <= 2 AND f.lease_node <> the_node AND f.id < d.id) AS stuck
            FROM deliveries AS d WHERE d.lane = h.lane AND d.state <= 1 AND d.id >= h.id
            ORDER BY d.id LIMIT most
        ) AS b
    ), oldest AS (
        SELECT r.id, r.lane, sum(octet_length(e.raw)) OVER (ORDER BY r.id) - octet_length(e.raw) AS before
        FROM rows AS r JOIN events AS e ON e.seq = r.event WHERE r.stuck = 0 ORDER BY r.id LIMIT most
    ), chosen AS (
        SELECT id, lane FROM oldest WHERE before < most_bytes
    ), leased AS (
        UPDATE deliveries AS d SET state = 2, lease_node = the_node, lease_until = the_until
        FROM chosen WHERE d.id = chosen.id RETURNING d.id, d.lane
    )
    SELECT array_agg(id ORDER BY id), array_agg(DISTINCT lane) INTO taken, moved FROM leased;
    PERFORM leave(lane) FROM unnest(moved) AS lane;
    RETURN coalesce(taken, '{}');
END
$$;
CREATE TABLE forgebell.tokens (
    id bigint NOT NULL,
    name text NOT NULL,
    hash bytea NOT NULL,
    reach_kind text NOT NULL COLLATE pg_catalog."C",
    reach bigint NOT NULL,
    may text NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    revision bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE FUNCTION forgebell.create_token(t_name text, t_hash bytea, t_reach_kind text, t_reach bigint, t_may text, t_expires_at bigint, a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS SETOF forgebell.tokens
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM alone();
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    RETURN QUERY INSERT INTO tokens (name, hash, reach_kind, reach, may, expires_at, revision, created_at)
    VALUES (t_name, t_hash, t_reach_kind, t_reach, t_may, t_expires_at, next_revision(), a_at) RETURNING *;
END
$$;
CREATE FUNCTION forgebell.discard(numbers bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM alone();
    WITH gone AS (DELETE FROM inbox WHERE seq = ANY (numbers) RETURNING seq)
    INSERT INTO discarded (seq) SELECT seq FROM gone ON CONFLICT DO NOTHING;
END
$$;
CREATE FUNCTION forgebell.drop_undecryptable(s_id bigint[], s_old bytea[], s_object text[], a_at bigint, a_who text, a_action text, a_fields text) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION forgebell.end_hold(h_kind text, h_integration text, h_name text, now bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM holds WHERE kind = h_kind AND integration = h_integration AND name = h_name;
    IF FOUND AND h_kind = 'route' THEN
        UPDATE deliveries SET due = now
        WHERE state <= 1 AND due > now AND integration = h_integration AND target = h_name;
    END IF;
END
$$;
CREATE FUNCTION forgebell.end_holds(h_kind text[], h_integration text[], h_name text[], now bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM alone();
    FOR i IN 1 .. coalesce(array_length(h_kind, 1), 0) LOOP
        PERFORM end_hold(h_kind[i], h_integration[i], h_name[i], now);
    END LOOP;
END
$$;
CREATE FUNCTION forgebell.end_outdated_holds(integrations text[], fingerprints bigint[], now bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    healed text[];
BEGIN
    PERFORM alone();
    WITH gone AS (
        DELETE FROM holds AS h
        WHERE h.made_by IS NOT NULL AND h.fingerprint IS NOT NULL AND h.until > now
          AND h.cause NOT IN ('throttled', 'quota')
          AND EXISTS (SELECT 1 FROM unnest(integrations, fingerprints) AS c (integration, fingerprint)
                      WHERE c.integration = h.made_by AND c.fingerprint IS DISTINCT FROM h.fingerprint)
          AND NOT (h.kind = 'destination'
                   AND EXISTS (SELECT 1 FROM deliveries AS d
                               WHERE d.destination = h.name AND d.state = 0 AND d.integration <> h.made_by))
        RETURNING h.made_by
    )
    SELECT array_agg(made_by) INTO healed FROM gone;
    UPDATE deliveries SET due = now WHERE state <= 1 AND due > now AND integration = ANY (healed);
    RETURN coalesce(array_length(healed, 1), 0);
END
$$;
CREATE FUNCTION forgebell.enqueue(e_id text[], e_trigger text[], e_kind text[], e_project_id bigint[], e_project text[], e_subject text[], e_occurred_at bigint[], e_digest bytea[], e_raw bytea[], e_inbox bigint[], e_redelivered boolean[], d_event integer[], d_integration text[], d_target text[], d_destination text[], d_lane bigint[], d_lease_node text[], d_lease_until bigint[], now bigint, d_replaces boolean[]) RETURNS TABLE(new_id bigint, new_leased boolean)
    LANGUAGE plpgsql
    AS $$
DECLARE
    seqs bigint[] := '{}';
    leased boolean;
BEGIN
    PERFORM alone();
    PERFORM lapse(now);
    FOR i IN 1 .. coalesce(array_length(e_id, 1), 0) LOOP
        IF i = ANY (d_event) THEN
            seqs[i] := number_of(e_id[i], e_trigger[i], e_kind[i], e_project_id[i], e_project[i], e_subject[i],
                                 e_occurred_at[i], e_digest[i], e_raw[i], e_inbox[i], e_redelivered[i], now);
        ELSIF e_inbox[i] IS NOT NULL THEN
            PERFORM discard(ARRAY [e_inbox[i]]);
        END IF;
    END LOOP;
    FOR i IN 1 .. coalesce(array_length(d_event, 1), 0) LOOP
        leased := d_lease_node[i] IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.lane = d_lane[i] AND d.state <= 2
                            AND (d.state <= 1 OR d.lease_node <> d_lease_node[i]))
            AND work(d_destination[i], d_lease_node[i], d_lease_until[i]);
        new_id := NULL;
        IF NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.event = seqs[d_event[i]]
                       AND d.integration = d_integration[i] AND d.target = d_target[i]) THEN
            INSERT INTO deliveries (event, integration, target, destination, lane, state, due, created_at, fresh_since,
                                    lease_node, lease_until, replaces)
            VALUES (seqs[d_event[i]], d_integration[i], d_target[i], d_destination[i], d_lane[i],
                    -- Its id will be the greatest.
                    CASE WHEN leased THEN 2 ELSE enter(d_lane[i], 9223372036854775807) END,
                    now, now, e_occurred_at[d_event[i]],
                    CASE WHEN leased THEN d_lease_node[i] END, CASE WHEN leased THEN d_lease_until[i] END, d_replaces[i])
            RETURNING id INTO new_id;
            IF d_replaces[i] THEN
                PERFORM cancel_replaced(d.id, now) FROM deliveries AS d
                WHERE d.lane = d_lane[i] AND d.state <= 1 AND d.id < new_id;
                PERFORM leave(d_lane[i]);
            END IF;
            IF NOT leased THEN
                PERFORM pg_notify('forgebell_stored', d_destination[i]);
            END IF;
        END IF;
        new_leased := leased;
        RETURN NEXT;
    END LOOP;
END
$$;
CREATE FUNCTION forgebell.enter(the_lane bigint, the_id bigint) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    the_first bigint := first_of(the_lane);
BEGIN
    IF the_first < the_id THEN
        RETURN 1;
    END IF;
    UPDATE deliveries SET state = 1 WHERE id = the_first AND state = 0;
    RETURN 0;
END
$$;
CREATE FUNCTION forgebell.first_of(the_lane bigint) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT id FROM deliveries WHERE lane = the_lane AND state <= 1 ORDER BY id LIMIT 1
$$;
CREATE FUNCTION forgebell.forget(seqs bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM discarded WHERE seq = ANY (seqs);
    DELETE FROM events AS e WHERE e.seq = ANY (seqs)
        AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.event = e.seq)
        AND NOT EXISTS (SELECT 1 FROM inbox AS i WHERE i.seq = e.seq);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
CREATE FUNCTION forgebell.free(rows bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT id, lane FROM deliveries WHERE id = ANY (rows) AND state = 2 ORDER BY id LOOP
        IF replaced_at(r.lane, r.id) IS NOT NULL THEN
            PERFORM cancel_replaced(r.id, replaced_at(r.lane, r.id));
        ELSE
            UPDATE deliveries SET state = enter(r.lane, r.id), lease_node = NULL, lease_until = NULL WHERE id = r.id;
        END IF;
    END LOOP;
END
$$;
CREATE FUNCTION forgebell.held_until(the_destination text, now bigint) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT until FROM holds
    WHERE kind = 'destination' AND integration = '' AND name = the_destination AND until > now
$$;
CREATE FUNCTION forgebell.lapse(now bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM holds WHERE until <= now;
    DELETE FROM workers WHERE until <= now;
    PERFORM free(ARRAY (SELECT id FROM deliveries WHERE state = 2 AND lease_until <= now LIMIT 1000));
END
$$;
CREATE FUNCTION forgebell.leave(the_lane bigint) RETURNS void
    LANGUAGE sql
    AS $$
    UPDATE deliveries SET state = 0 WHERE id = first_of(the_lane) AND state <> 0
$$;
CREATE FUNCTION forgebell.mute(m_project bigint, m_slug text, m_channel text, m_until bigint, m_asked_by text, a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM alone();
    INSERT INTO mutes (project, slug, channel, until, asked_by, revision)
    VALUES (m_project, m_slug, m_channel, m_until, m_asked_by, next_revision())
    ON CONFLICT (project, slug, channel) DO UPDATE SET
        until = excluded.until, asked_by = excluded.asked_by, revision = excluded.revision;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
END
$$;
CREATE FUNCTION forgebell.next_revision() RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    given bigint;
BEGIN
    PERFORM pg_notify('forgebell_configured', '');
    UPDATE registry SET revision = revision + 1 RETURNING revision INTO given;
    RETURN given;
END
$$;
CREATE FUNCTION forgebell.note(a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO audit (at, who, action, object, fields) VALUES (a_at, a_who, a_action, a_object, a_fields)
$$;
CREATE FUNCTION forgebell.number_of(e_id text, e_trigger text, e_kind text, e_project_id bigint, e_project text, e_subject text, e_occurred_at bigint, e_digest bytea, e_raw bytea, e_inbox bigint, e_redelivered boolean, now bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    found_seq bigint;
BEGIN
    IF e_inbox IS NOT NULL THEN
        DELETE FROM inbox WHERE seq = e_inbox;
        IF FOUND THEN
            RETURN e_inbox;
        END IF;
    ELSIF e_digest IS NOT NULL AND e_redelivered THEN
        SELECT max(seq) INTO found_seq FROM events WHERE digest = e_digest;
        IF found_seq IS NOT NULL THEN
            RETURN found_seq;
        END IF;
    END IF;
    SELECT seq INTO found_seq FROM events WHERE id = e_id;
    IF found_seq IS NULL THEN
        INSERT INTO events (id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw)
        VALUES (e_id, e_trigger, e_kind, e_project_id, e_project, e_subject, e_occurred_at, now, e_digest, e_raw)
        RETURNING seq INTO found_seq;
    END IF;
    RETURN found_seq;
END
$$;
CREATE TABLE forgebell.projects (
    id bigint NOT NULL,
    path text COLLATE pg_catalog."C",
    learned_branch text,
    learned_visibility text,
    corrected_branch text,
    corrected_visibility text,
    protected_branches text,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE FUNCTION forgebell.override_project(p_id bigint, p_path text, keeps_branch boolean, p_branch text, keeps_visibility boolean, p_visibility text, keeps_protected boolean, p_protected text, a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS SETOF forgebell.projects
    LANGUAGE plpgsql
    AS $$
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
        INSERT INTO projects AS p (id, path, corrected_branch, corrected_visibility, protected_branches, revision,
                                   created_at, updated_at)
        VALUES (p_id, p_path, p_branch, p_visibility, p_protected, next_revision(), a_at, a_at)
        ON CONFLICT (id) DO UPDATE SET
            path = coalesce(excluded.path, p.path), corrected_branch = excluded.corrected_branch,
            corrected_visibility = excluded.corrected_visibility, protected_branches = excluded.protected_branches,
            revision = excluded.revision, updated_at = excluded.updated_at;
        PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    END IF;
    RETURN QUERY SELECT p.* FROM projects AS p WHERE p.id = p_id;
END
$$;
CREATE FUNCTION forgebell.push(e_id text, e_trigger text, e_kind text, e_project_id bigint, e_project text, e_subject text, e_occurred_at bigint, e_received_at bigint, e_raw bytea) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    new_seq bigint;
BEGIN
    PERFORM alone();
    IF EXISTS (SELECT 1 FROM events WHERE id = e_id) THEN
        RETURN false;
    END IF;
    INSERT INTO events (id, trigger, kind, project_id, project, subject, occurred_at, received_at, raw)
    VALUES (e_id, e_trigger, e_kind, e_project_id, e_project, e_subject, e_occurred_at, e_received_at, e_raw)
    RETURNING seq INTO new_seq;
    INSERT INTO inbox (seq) VALUES (new_seq);
    PERFORM pg_notify('forgebell_arrived', '');
    RETURN true;
END
$$;
CREATE TABLE forgebell.groups (
    key bigint NOT NULL,
    id bigint,
    path text COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE FUNCTION forgebell.put_group(g_id bigint, g_path text, a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS SETOF forgebell.groups
    LANGUAGE plpgsql
    AS $$
DECLARE
    known groups;
BEGIN
    PERFORM alone();
    SELECT g.* INTO known FROM groups AS g WHERE g.id = g_id;
    IF NOT FOUND THEN
        -- A group with another number is another group, which had the path before.
        SELECT g.* INTO known FROM groups AS g
        WHERE lower(g.path) = lower(g_path COLLATE "C") AND (g_id IS NULL OR g.id IS NULL);
    END IF;
    -- Only a caller that knows the number knows the spelling of the path.
    IF known.key IS NOT NULL AND (g_id IS NULL OR (known.id = g_id AND known.path IS NOT DISTINCT FROM g_path)) THEN
        RETURN NEXT known;
        RETURN;
    END IF;
    UPDATE groups AS g SET path = NULL, revision = next_revision()
    WHERE lower(g.path) = lower(g_path COLLATE "C") AND g.key IS DISTINCT FROM known.key;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    IF known.key IS NULL THEN
        RETURN QUERY INSERT INTO groups (id, path, revision, created_at)
        VALUES (g_id, g_path, next_revision(), a_at) RETURNING *;
    ELSE
        RETURN QUERY UPDATE groups AS g SET id = g_id, path = g_path, revision = next_revision()
        WHERE g.key = known.key RETURNING *;
    END IF;
END
$$;
CREATE TABLE forgebell.integrations (
    id bigint NOT NULL,
    owner_kind text NOT NULL COLLATE pg_catalog."C",
    owner bigint NOT NULL,
    slug text NOT NULL COLLATE pg_catalog."C",
    active boolean NOT NULL,
    inherits boolean NOT NULL,
    flags text NOT NULL,
    properties text NOT NULL,
    secrets bytea,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE FUNCTION forgebell.put_integration(i_owner_kind text, i_owner bigint, i_slug text, i_active boolean, i_inherits boolean, i_flags text, i_properties text, i_secrets bytea, made_from bigint, a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS SETOF forgebell.integrations
    LANGUAGE plpgsql
    AS $$
DECLARE
    found_revision bigint;
BEGIN
    PERFORM alone();
    SELECT i.revision INTO found_revision FROM integrations AS i
    WHERE i.owner_kind = i_owner_kind AND i.owner = i_owner AND i.slug = i_slug;
    IF found_revision IS DISTINCT FROM made_from THEN
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
CREATE FUNCTION forgebell.release(the_node text, rows bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM alone();
    PERFORM free(ARRAY (SELECT id FROM deliveries WHERE id = ANY (rows) AND state = 2 AND lease_node = the_node));
END
$$;
CREATE FUNCTION forgebell.release_leases(the_node text, now bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM alone();
    PERFORM free(ARRAY (SELECT id FROM deliveries WHERE state = 2 AND lease_node = the_node));
    UPDATE workers SET until = now + 15000 WHERE node = the_node AND until > now + 15000;
END
$$;
CREATE FUNCTION forgebell.release_unconfirmed(the_node text, the_until bigint[], event_ids text[], destinations text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    unconfirmed bigint[];
BEGIN
    PERFORM alone();
    SELECT array_agg(d.id) INTO unconfirmed FROM deliveries AS d
    WHERE d.state = 2 AND d.lease_node = the_node AND d.lease_until = ANY (the_until)
      AND (d.destination = ANY (destinations)
           OR EXISTS (SELECT 1 FROM events AS e WHERE e.seq = d.event AND e.id = ANY (event_ids)));
    PERFORM free(unconfirmed);
    PERFORM pg_notify('forgebell_stored', d.destination)
    FROM (SELECT DISTINCT destination FROM deliveries WHERE id = ANY (unconfirmed)) AS d;
END
$$;
CREATE FUNCTION forgebell.renew(the_node text, the_until bigint, rows bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    own bigint[];
BEGIN
    PERFORM alone();
    WITH renewed AS (
        UPDATE deliveries SET lease_until = greatest(lease_until, the_until)
        WHERE id = ANY (rows) AND state = 2 AND lease_node = the_node RETURNING id
    )
    SELECT array_agg(id) INTO own FROM renewed;
    UPDATE workers SET until = the_until WHERE node = the_node AND until < the_until
        AND destination IN (SELECT destination FROM deliveries WHERE id = ANY (own));
    RETURN coalesce(own, '{}');
END
$$;
CREATE FUNCTION forgebell.replaced_at(the_lane bigint, the_id bigint) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT created_at FROM deliveries WHERE lane = the_lane AND replaces AND id > the_id ORDER BY id LIMIT 1
$$;
CREATE FUNCTION forgebell.reseal(s_id bigint[], s_old bytea[], s_new bytea[], a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION forgebell.resend(the_id bigint, a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    d record;
BEGIN
    PERFORM alone();
    SELECT lane, destination INTO d FROM deliveries WHERE id = the_id AND settled_at IS NOT NULL;
    IF NOT FOUND OR replaced_at(d.lane, the_id) IS NOT NULL THEN
        RETURN false;
    END IF;
    UPDATE deliveries SET state = enter(d.lane, the_id), attempts = 0, due = a_at, fresh_since = a_at, settled_at = NULL
    WHERE id = the_id;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    PERFORM pg_notify('forgebell_stored', d.destination);
    RETURN true;
END
$$;
CREATE FUNCTION forgebell.revoke_token(t_id bigint, a_at bigint, a_who text, a_action text, a_object text, a_fields text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION forgebell.settle(the_node text, s_id bigint[], s_state integer[], s_due bigint[], s_attempts integer[], s_at bigint[], r_at bigint[], r_latency_ms bigint[], r_outcome text[], r_status integer[], r_note text[], e_of bigint[], e_kind text[], e_integration text[], e_name text[], h_of bigint[], h_kind text[], h_integration text[], h_name text[], h_cause text[], h_reason text[], h_since bigint[], h_until bigint[], h_strikes integer[], h_made_by text[], h_fingerprint bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM alone();
    FOR i IN 1 .. coalesce(array_length(s_id, 1), 0) LOOP
        IF settle_one(s_id[i], the_node, s_state[i], s_due[i], s_attempts[i], s_at[i]) THEN
            INSERT INTO attempts (delivery, n, at, latency_ms, outcome, status, note)
            SELECT s_id[i], coalesce(max(n), 0) + 1, r_at[i], r_latency_ms[i], r_outcome[i], r_status[i], r_note[i]
            FROM attempts WHERE delivery = s_id[i];
            IF s_state[i] IS NULL THEN
                INSERT INTO attempts (delivery, n, at, latency_ms, outcome, status, note)
                SELECT d.id, (SELECT max(n) + 1 FROM attempts WHERE delivery = d.id), s_at[i], 0, 'cancelled', NULL,
                       'replaced by a newer state'
                FROM deliveries AS d WHERE d.id = s_id[i] AND d.state = 22 AND d.settled_at = s_at[i];
            END IF;
        END IF;
        IF i = ANY (e_of) THEN
            PERFORM end_hold(e_kind[j], e_integration[j], e_name[j], s_at[i])
            FROM generate_subscripts(e_of, 1) AS j WHERE e_of[j] = i;
        END IF;
        IF i = ANY (h_of) THEN
            PERFORM begin_hold(h_kind[j], h_integration[j], h_name[j], h_cause[j], h_reason[j], h_since[j], h_until[j],
                               h_strikes[j], h_made_by[j], h_fingerprint[j])
            FROM generate_subscripts(h_of, 1) AS j WHERE h_of[j] = i;
        END IF;
    END LOOP;
END
$$;
CREATE FUNCTION forgebell.settle_one(the_id bigint, the_node text, new_state integer, new_due bigint, new_attempts integer, now bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    d record;
BEGIN
    SELECT state, lane, lease_node, lease_until INTO d FROM deliveries WHERE id = the_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- That it was delivered counts always. Other outcomes count only with the lease, or where no node has it.
    IF new_state = 10 THEN
        IF d.state = 10 THEN
            RETURN true;
        END IF;
    ELSIF NOT (d.state <= 1 OR (d.state = 2 AND (d.lease_node = the_node OR d.lease_until <= now))) THEN
        RETURN true;
    END IF;
    IF new_state IS NULL AND replaced_at(d.lane, the_id) IS NOT NULL THEN
        new_state := 22;
    END IF;
    IF new_state IS NULL THEN
        UPDATE deliveries
        SET state = CASE WHEN d.state <= 1 THEN d.state ELSE enter(d.lane, the_id) END,
            attempts = new_attempts, due = new_due, lease_node = NULL, lease_until = NULL
        WHERE id = the_id;
    ELSE
        UPDATE deliveries
        SET state = new_state, attempts = new_attempts, settled_at = now, lease_node = NULL, lease_until = NULL
        WHERE id = the_id;
        IF d.state = 0 THEN
            PERFORM leave(d.lane);
        END IF;
    END IF;
    RETURN true;
END
$$;
CREATE FUNCTION forgebell.sweep_deliveries(the_state integer, before bigint, most bigint) RETURNS TABLE(s_deliveries bigint, s_events bigint)
    LANGUAGE plpgsql
    AS $$
DECLARE
    old bigint[];
    their_events bigint[];
BEGIN
    PERFORM alone();
    SELECT array_agg(id), array_agg(DISTINCT event) INTO old, their_events FROM (
        SELECT id, event FROM deliveries
        WHERE state = the_state AND settled_at IS NOT NULL AND settled_at < before ORDER BY settled_at LIMIT most
    ) AS d;
    DELETE FROM attempts WHERE delivery = ANY (old);
    DELETE FROM deliveries WHERE id = ANY (old);
    s_deliveries := coalesce(array_length(old, 1), 0);
    s_events := forget(their_events);
    RETURN NEXT;
END
$$;
CREATE FUNCTION forgebell.sweep_discarded(before bigint, most bigint) RETURNS TABLE(s_found bigint, s_events bigint)
    LANGUAGE plpgsql
    AS $$
DECLARE
    seqs bigint[];
BEGIN
    PERFORM alone();
    SELECT array_agg(seq) INTO seqs FROM (
        SELECT u.seq FROM discarded AS u JOIN events AS e ON e.seq = u.seq
        WHERE e.received_at < before ORDER BY u.seq LIMIT most
    ) AS u;
    s_found := coalesce(array_length(seqs, 1), 0);
    s_events := forget(seqs);
    RETURN NEXT;
END
$$;
CREATE FUNCTION forgebell.take_project_path(the_path text, the_id bigint, now bigint) RETURNS void
    LANGUAGE sql
    AS $$
    UPDATE projects SET path = NULL, revision = next_revision(), updated_at = now
    WHERE lower(path) = lower(the_path COLLATE "C") AND id <> the_id
$$;
CREATE FUNCTION forgebell.upsert_seen_projects(s_id bigint[], s_path text[], s_branch text[], s_visibility text[], now bigint) RETURNS SETOF forgebell.projects
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM alone();
    FOR n IN 1 .. coalesce(array_length(s_id, 1), 0) LOOP
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM projects AS p WHERE p.id = s_id[n]
                AND (s_path[n] IS NULL OR p.path IS NOT DISTINCT FROM s_path[n])
                AND (s_branch[n] IS NULL OR p.learned_branch IS NOT DISTINCT FROM s_branch[n])
                AND (s_visibility[n] IS NULL OR p.learned_visibility IS NOT DISTINCT FROM s_visibility[n]));
        PERFORM take_project_path(s_path[n], s_id[n], now);
        INSERT INTO projects AS p (id, path, learned_branch, learned_visibility, revision, created_at, updated_at)
        VALUES (s_id[n], s_path[n], s_branch[n], s_visibility[n], next_revision(), now, now)
        ON CONFLICT (id) DO UPDATE SET
            path = coalesce(excluded.path, p.path), learned_branch = coalesce(excluded.learned_branch, p.learned_branch),
            learned_visibility = coalesce(excluded.learned_visibility, p.learned_visibility),
            revision = excluded.revision, updated_at = excluded.updated_at;
    END LOOP;
    RETURN QUERY SELECT p.* FROM unnest(s_id) WITH ORDINALITY AS s (id, n) JOIN projects AS p ON p.id = s.id ORDER BY s.n;
END
$$;
CREATE FUNCTION forgebell.waiting(now bigint, most integer) RETURNS TABLE(w_destination text, w_at bigint)
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Rows whose lease has lapsed wait too. Leases seldom lapse.
    IF EXISTS (SELECT 1 FROM deliveries WHERE state = 2 AND lease_until <= now) THEN
        PERFORM alone();
        PERFORM lapse(now);
    END IF;
    RETURN QUERY WITH RECURSIVE found (destination) AS (
        (SELECT destination FROM deliveries WHERE state = 0 ORDER BY destination LIMIT 1)
        UNION ALL
        SELECT (SELECT d.destination FROM deliveries AS d
                WHERE d.state = 0 AND d.destination > found.destination ORDER BY d.destination LIMIT 1)
        FROM found WHERE found.destination IS NOT NULL
    )
    SELECT destination::text, wanted FROM (
        SELECT destination,
               greatest((SELECT d.due FROM deliveries AS d WHERE d.state = 0 AND d.destination = found.destination
                         ORDER BY d.due LIMIT 1),
                        held_until(destination, now)) AS wanted
        FROM found WHERE destination IS NOT NULL
    ) AS w ORDER BY wanted, destination LIMIT most;
END
$$;
CREATE FUNCTION forgebell.work(the_destination text, the_node text, lease_until bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    w record;
BEGIN
    SELECT node, until INTO w FROM workers WHERE destination = the_destination;
    IF NOT FOUND THEN
        INSERT INTO workers (destination, node, until) VALUES (the_destination, the_node, lease_until);
        RETURN true;
    END IF;
    IF w.node <> the_node THEN
        RETURN false;
    END IF;
    -- The row is not written with every batch. It may end up to five seconds before the lease.
    IF w.until + 5000 < lease_until THEN
        UPDATE workers SET until = lease_until WHERE destination = the_destination;
    END IF;
    RETURN true;
END
$$;
CREATE TABLE forgebell.attempts (
    delivery bigint NOT NULL,
    n integer NOT NULL,
    at bigint NOT NULL,
    latency_ms bigint NOT NULL,
    outcome text NOT NULL,
    status integer,
    note text NOT NULL
);
CREATE TABLE forgebell.audit (
    id bigint NOT NULL,
    at bigint NOT NULL,
    who text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    fields text NOT NULL
);
ALTER TABLE forgebell.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forgebell.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE forgebell.deliveries (
    id bigint NOT NULL,
    event bigint NOT NULL,
    integration text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    destination text NOT NULL COLLATE pg_catalog."C",
    lane bigint NOT NULL,
    state integer NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due bigint NOT NULL,
    fresh_since bigint NOT NULL,
    created_at bigint NOT NULL,
    settled_at bigint,
    lease_node text COLLATE pg_catalog."C",
    lease_until bigint,
    replaces boolean DEFAULT false NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000', fillfactor='80');
ALTER TABLE forgebell.deliveries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forgebell.deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE forgebell.discarded (
    seq bigint NOT NULL
);
CREATE TABLE forgebell.events (
    seq bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    trigger text,
    kind text NOT NULL,
    project_id bigint,
    project text,
    subject text NOT NULL,
    occurred_at bigint NOT NULL,
    received_at bigint NOT NULL,
    digest bytea,
    raw bytea NOT NULL
);
ALTER TABLE forgebell.events ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forgebell.events_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE forgebell.groups ALTER COLUMN key ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forgebell.groups_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE forgebell.holds (
    kind text NOT NULL COLLATE pg_catalog."C",
    integration text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    cause text NOT NULL,
    reason text NOT NULL,
    since bigint NOT NULL,
    until bigint NOT NULL,
    strikes integer NOT NULL,
    made_by text COLLATE pg_catalog."C",
    fingerprint bigint
);
CREATE TABLE forgebell.inbox (
    seq bigint NOT NULL
);
ALTER TABLE forgebell.integrations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forgebell.integrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE forgebell.mutes (
    project bigint NOT NULL,
    slug text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL COLLATE pg_catalog."C",
    until bigint NOT NULL,
    asked_by text NOT NULL,
    revision bigint NOT NULL
);
CREATE TABLE forgebell.quarantine (
    number bigint NOT NULL,
    source text NOT NULL,
    id text,
    reason text NOT NULL,
    received_at bigint NOT NULL,
    raw bytea NOT NULL
);
ALTER TABLE forgebell.quarantine ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forgebell.quarantine_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE forgebell.registry (
    one bigint NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT registry_one_check CHECK ((one = 1))
);
CREATE TABLE forgebell.schema_version (
    version bigint NOT NULL
);
ALTER TABLE forgebell.tokens ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME forgebell.tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE forgebell.workers (
    destination text NOT NULL COLLATE pg_catalog."C",
    node text NOT NULL COLLATE pg_catalog."C",
    until bigint NOT NULL
);
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (1, 1, 1700000001000, 12, 'delivered', 200, 'Delivered');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (2, 1, 1700000003000, 12, 'unavailable', 503, 'Waiting(2023-11-14T22:13:30Z)');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (2, 2, 1700000011000, 12, 'unavailable', 503, 'Waiting(2023-11-14T22:23:20Z)');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (6, 1, 1700000016000, 12, 'unavailable', 503, 'Failed');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (7, 1, 1700000016000, 12, 'unavailable', 503, 'Expired');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (8, 1, 1700000016000, 12, 'unavailable', 503, 'Cancelled');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (9, 1, 1700000018000, 12, 'unavailable', 503, 'Failed');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (10, 1, 1700000022000, 12, 'unavailable', 503, 'Waiting(2023-11-14T22:46:40Z)');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (11, 1, 1700000024000, 12, 'unavailable', 503, 'Waiting(2023-11-14T23:03:20Z)');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (12, 1, 1700000026000, 12, 'unavailable', 503, 'Failed');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (13, 1, 1700000028000, 12, 'delivered', 200, 'Delivered');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (19, 1, 1700000200000, 0, 'cancelled', NULL, 'replaced by a newer state');
INSERT INTO forgebell.attempts (delivery, n, at, latency_ms, outcome, status, note) VALUES (21, 1, 1700000201000, 12, 'unavailable', 503, 'Skipped');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (1, 1700000020000, 'token ci (3)', 'delivery.retry', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (2, 1700000050000, 'token ci (3)', 'integration.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (3, 1700000051000, 'token ci (3)', 'group.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (4, 1700000052000, 'token ci (3)', 'group.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (5, 1700000053000, 'token ci (3)', 'integration.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (6, 1700000054000, 'token ci (3)', 'integration.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (7, 1700000055000, 'token ci (3)', 'integration.update', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (8, 1700000056000, 'token ci (3)', 'integration.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (9, 1700000057000, 'token ci (3)', 'integration.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (10, 1700000060000, 'token ci (3)', 'project.update', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (11, 1700000061000, 'token ci (3)', 'token.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (12, 1700000061000, 'token ci (3)', 'token.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (13, 1700000061000, 'token ci (3)', 'token.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (14, 1700000062000, 'token ci (3)', 'token.revoke', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (15, 1700000063000, 'token ci (3)', 'mute', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (16, 1700000063000, 'token ci (3)', 'mute', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (17, 1700000203000, 'token ci (3)', 'mute', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (18, 1700000203000, 'token ci (3)', 'mute', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.audit (id, at, who, action, object, fields) OVERRIDING SYSTEM VALUE VALUES (19, 1700000205000, 'token ci (3)', 'group.create', 'project 42 slack', '["webhook","push_events"]');
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (1, 1, 'acme/web:slack', '#ops', 'hooks.slack.example', 1, 10, 1, 1700000000000, 1699999995000, 1700000000000, 1700000001000, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (2, 2, 'acme/web:slack', '#ops', 'hooks.slack.example', 1, 0, 2, 1700000600000, 1699999995000, 1700000002000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (3, 3, 'acme/web:slack', '#ops', 'hooks.slack.example', 1, 1, 0, 1700000012000, 1699999995000, 1700000012000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (4, 4, 'acme/web:mattermost', '', 'chat.example', 2, 2, 0, 1700000013000, 1699999995000, 1700000013000, NULL, 'a', 1700005000000, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (6, 6, 'acme/web:slack', '#dev', 'hooks.slack.example', 4, 20, 1, 1700000015000, 1699999995000, 1700000015000, 1700000016000, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (7, 7, 'acme/web:slack', '#dev', 'hooks.slack.example', 5, 21, 1, 1700000015000, 1699999995000, 1700000015000, 1700000016000, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (8, 8, 'acme/web:slack', '#dev', 'hooks.slack.example', 6, 22, 1, 1700000015000, 1699999995000, 1700000015000, 1700000016000, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (9, 9, 'acme/web:emails-on-push', 'ada@example.com', 'mail:example.com', 7, 0, 0, 1700000020000, 1700000020000, 1700000017000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (10, 10, 'acme/web:emails-on-push', 'bob@example.com', 'mail:example.com', 8, 0, 1, 1700002000000, 1699999995000, 1700000021000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (11, 11, 'acme/web:slack', '#gone', 'hooks.slack.example', 9, 0, 1, 1700003000000, 1699999995000, 1700000023000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (12, 12, 'acme/web:discord', '', 'discord.example/1', 10, 20, 1, 1700000025000, 1699999995000, 1700000025000, 1700000026000, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (13, 13, 'acme/web:slack', '#ops', 'hooks.slack.example', 11, 10, 1, 1700000027000, 1699999995000, 1700000027000, 1700000028000, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (5, 5, 'acme/web:discord', '', 'discord.example', 3, 0, 0, 1700000014000, 1699999995000, 1700000014000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (14, 17, 'acme/web:slack', '#büro', 'hooks.slack.example', 77, 0, 0, 1700000200000, 1699999995000, 1700000200000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (15, 17, 'acme/web:slack', '#Büro', 'hooks.slack.example', 77, 1, 0, 1700000200000, 1699999995000, 1700000200000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (16, 17, 'acme/web:slack', '', 'hooks.slack.example', 77, 1, 0, 1700000200000, 1699999995000, 1700000200000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (17, 18, 'acme/web:slack', '#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'hooks.slack.example', 77, 1, 0, 1700000200000, 1699999995000, 1700000200000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (18, 18, 'acme/web:slack', '#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy', 'hooks.slack.example', 77, 1, 0, 1700000200000, 1699999995000, 1700000200000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (19, 19, 'acme/web:slack', '#state', 'hooks.slack.example', 78, 22, 0, 1700000200000, 1699999995000, 1700000200000, 1700000200000, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (20, 20, 'acme/web:slack', '#state', 'hooks.slack.example', 78, 0, 0, 1700000200000, 1699999995000, 1700000200000, NULL, NULL, NULL, true);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (22, 22, 'acme/web:slack', '#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxz', 'other.example', 80, 0, 0, 1700000200000, 1699999995000, 1700000200000, NULL, NULL, NULL, false);
INSERT INTO forgebell.deliveries (id, event, integration, target, destination, lane, state, attempts, due, fresh_since, created_at, settled_at, lease_node, lease_until, replaces) OVERRIDING SYSTEM VALUE VALUES (21, 21, 'acme/web:slack', '#skip', 'hooks.slack.example', 79, 11, 1, 1700000200000, 1699999995000, 1700000200000, 1700000201000, NULL, NULL, false);
INSERT INTO forgebell.discarded (seq) VALUES (15);
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (1, 'delivered', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000000000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2264656c697665726564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (2, 'retried', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000002000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2272657472696564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (3, 'behind', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000012000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22626568696e64222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (4, 'leased', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000013000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226c6561736564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (5, 'lapsed', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000014000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226c6170736564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (6, 'failed', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000015000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226661696c6564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (7, 'expired', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000015000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2265787069726564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (8, 'cancelled', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000015000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2263616e63656c6c6564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (9, 'resent', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000017000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22726573656e74222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (10, 'held', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000021000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2268656c64222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (11, 'no channel', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000023000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226e6f206368616e6e656c222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (12, 'no webhook', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000025000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226e6f20776562686f6f6b222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (13, 'no id', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000027000, '\x0707070707070707070707070707070707070707070707070707070707070707', '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226e6f206964222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (14, 'posted 1', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000030000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22706f737465642031222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (15, 'posted 2', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000031000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22706f737465642032222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (16, 'posted 3', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000032000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22706f737465642033222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (17, 'two channels', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000200000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2274776f206368616e6e656c73222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (18, 'a long channel', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000200000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2261206c6f6e67206368616e6e656c222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (19, 'older state', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000200000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226f6c646572207374617465222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (20, 'newer state', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000200000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a226e65776572207374617465222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (21, 'skipped', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000200000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a22736b6970706564222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.events (seq, id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw) OVERRIDING SYSTEM VALUE VALUES (22, 'held by a long route', 'push', 'push', 7, 'acme/web', 'ref:refs/heads/main', 1699999995000, 1700000200000, NULL, '\x7b226f626a6563745f6b696e64223a2270757368222c22726566223a22726566732f68656164732f6d61696e222c226166746572223a2268656c642062792061206c6f6e6720726f757465222c0a2020202020202020202020202270726f6a656374223a7b226964223a372c22706174685f776974685f6e616d657370616365223a2261636d652f776562227d7d');
INSERT INTO forgebell.groups (key, id, path, revision, created_at) OVERRIDING SYSTEM VALUE VALUES (1, 9, 'acme', 2, 1700000051000);
INSERT INTO forgebell.groups (key, id, path, revision, created_at) OVERRIDING SYSTEM VALUE VALUES (2, NULL, 'acme/tools', 3, 1700000052000);
INSERT INTO forgebell.groups (key, id, path, revision, created_at) OVERRIDING SYSTEM VALUE VALUES (3, 70, 'Acme/Deep/Group', 24, 1700000205000);
INSERT INTO forgebell.holds (kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint) VALUES ('destination', '', 'mail:example.com', 'throttled', 'connection refused', 1795986398276, 1700002000000, 3, NULL, NULL);
INSERT INTO forgebell.holds (kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint) VALUES ('route', 'acme/web:slack', '#gone', 'misconfigured', 'channel_not_found', 1795986398276, 1700003000000, 2, 'acme/web:slack', 11);
INSERT INTO forgebell.holds (kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint) VALUES ('address', 'acme/web:discord', 'discord.example/1', 'switched_off', 'Unknown Webhook', 1795986398276, 1700090000000, 1, 'acme/web:discord', 22);
INSERT INTO forgebell.holds (kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint) VALUES ('route', 'acme/web:slack', '#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxz', 'misconfigured', 'it said so', 1700000000000, 1700005000000, 1, NULL, NULL);
INSERT INTO forgebell.holds (kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint) VALUES ('bucket', '', 'slack-token:0123', 'throttled', 'it said so', 1700000000000, 1700004000000, 1, NULL, NULL);
INSERT INTO forgebell.holds (kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint) VALUES ('destination', '', 'other.example', 'unavailable', 'it said so', 1700000000000, 1700004500000, 1, NULL, NULL);
INSERT INTO forgebell.inbox (seq) VALUES (14);
INSERT INTO forgebell.inbox (seq) VALUES (16);
INSERT INTO forgebell.integrations (id, owner_kind, owner, slug, active, inherits, flags, properties, secrets, revision, created_at, updated_at) OVERRIDING SYSTEM VALUE VALUES (1, 'instance', 0, 'slack', true, false, '{"job_events":true,"push_events":false}', '{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}', NULL, 1, 1700000050000, 1700000050000);
INSERT INTO forgebell.integrations (id, owner_kind, owner, slug, active, inherits, flags, properties, secrets, revision, created_at, updated_at) OVERRIDING SYSTEM VALUE VALUES (2, 'group', 1, 'slack', true, false, '{"job_events":true,"push_events":false}', '{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}', '\x01fcda67f4e5ddd639dc6d63c3a39439a9d31a9b398636b76659ffe177f621ebda82147b907467a4934557df8551c61816697c2e5e5a967b1fd1530c493343f92e7372fb481d13941ef2b4563616e934e392f38e', 4, 1700000053000, 1700000053000);
INSERT INTO forgebell.integrations (id, owner_kind, owner, slug, active, inherits, flags, properties, secrets, revision, created_at, updated_at) OVERRIDING SYSTEM VALUE VALUES (3, 'project', 42, 'slack', true, false, '{"job_events":true,"push_events":false}', '{"channel":"#new"}', '\x01fcda67f4e5ddd639254fb8d839f74b33356c2083dfd10af675cd9a601bcf0554c4b34b4614ef86aa0981a23e653aa907a35109794c7c2e59f47d7c4b2faf6b7b0b207ee736bdc71a8da7f245736a3f7362', 6, 1700000054000, 1700000055000);
INSERT INTO forgebell.integrations (id, owner_kind, owner, slug, active, inherits, flags, properties, secrets, revision, created_at, updated_at) OVERRIDING SYSTEM VALUE VALUES (4, 'project', 43, 'slack', true, true, '{}', '{}', NULL, 7, 1700000056000, 1700000056000);
INSERT INTO forgebell.integrations (id, owner_kind, owner, slug, active, inherits, flags, properties, secrets, revision, created_at, updated_at) OVERRIDING SYSTEM VALUE VALUES (5, 'project', 43, 'discord', false, false, '{"job_events":true,"push_events":false}', '{"channel":"#ops, #dev","notify_only_broken_pipelines":true,"volume":11}', '\x01fcda67f4e5ddd639f21e125be017d924e880bd2bb4b3069e6499a17870f83e6ba534fda5db1e47e2ce4b92d4ad713dafd63358a9381a7df028ebabb59141e4e4e6e8a73e618aef5ec5b17f', 8, 1700000057000, 1700000057000);
INSERT INTO forgebell.mutes (project, slug, channel, until, asked_by, revision) VALUES (42, 'slack', 'ops', 1700005000000, '@ada', 18);
INSERT INTO forgebell.mutes (project, slug, channel, until, asked_by, revision) VALUES (42, 'slack', 'dev', 1700000060000, '@ada', 19);
INSERT INTO forgebell.mutes (project, slug, channel, until, asked_by, revision) VALUES (44, 'slack', 'büro', 1700009000000, '@ada', 20);
INSERT INTO forgebell.mutes (project, slug, channel, until, asked_by, revision) VALUES (44, 'slack', '#büro-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 1700009000000, '@ada', 21);
INSERT INTO forgebell.projects (id, path, learned_branch, learned_visibility, corrected_branch, corrected_visibility, protected_branches, revision, created_at, updated_at) VALUES (43, NULL, NULL, NULL, NULL, NULL, NULL, 11, 1700000058000, 1700000059000);
INSERT INTO forgebell.projects (id, path, learned_branch, learned_visibility, corrected_branch, corrected_visibility, protected_branches, revision, created_at, updated_at) VALUES (44, 'acme/api', NULL, NULL, NULL, NULL, NULL, 12, 1700000059000, 1700000059000);
INSERT INTO forgebell.projects (id, path, learned_branch, learned_visibility, corrected_branch, corrected_visibility, protected_branches, revision, created_at, updated_at) VALUES (42, 'acme/web', 'main', 'private', 'trunk', 'public', '["trunk","release/*"]', 13, 1700000058000, 1700000060000);
INSERT INTO forgebell.projects (id, path, learned_branch, learned_visibility, corrected_branch, corrected_visibility, protected_branches, revision, created_at, updated_at) VALUES (50, 'Acme/Über', NULL, NULL, NULL, NULL, NULL, 22, 1700000204000, 1700000204000);
INSERT INTO forgebell.projects (id, path, learned_branch, learned_visibility, corrected_branch, corrected_visibility, protected_branches, revision, created_at, updated_at) VALUES (51, 'acme/pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp', NULL, NULL, NULL, NULL, NULL, 23, 1700000204000, 1700000204000);
INSERT INTO forgebell.quarantine (number, source, id, reason, received_at, raw) OVERRIDING SYSTEM VALUE VALUES (1, 'amqp', NULL, 'the body is no JSON', 1700000040000, '\x00ff7b');
INSERT INTO forgebell.quarantine (number, source, id, reason, received_at, raw) OVERRIDING SYSTEM VALUE VALUES (2, 'http', 'strange', 'it has no object_kind', 1700000041000, '\x7b7d');
INSERT INTO forgebell.registry (one, revision) VALUES (1, 24);
INSERT INTO forgebell.schema_version (version) VALUES (3);
INSERT INTO forgebell.tokens (id, name, hash, reach_kind, reach, may, expires_at, revoked_at, revision, created_at) OVERRIDING SYSTEM VALUE VALUES (1, 'admin', '\x8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918', 'instance', 0, 'maintain', NULL, NULL, 14, 1700000061000);
INSERT INTO forgebell.tokens (id, name, hash, reach_kind, reach, may, expires_at, revoked_at, revision, created_at) OVERRIDING SYSTEM VALUE VALUES (2, 'group', '\xad936fcbed631fa67e05c3ea03953905221c9d46af0616b70badf105a966fb11', 'group', 1, 'read', 1700009999000, NULL, 15, 1700000061000);
INSERT INTO forgebell.tokens (id, name, hash, reach_kind, reach, may, expires_at, revoked_at, revision, created_at) OVERRIDING SYSTEM VALUE VALUES (3, 'forge', '\x71b41d6dd48dc58eba8f5cf9edf30fef6597fdf285a521bb8fcbad4b3d50887d', 'project', 42, 'ingest', NULL, 1700000062000, 17, 1700000061000);
INSERT INTO forgebell.workers (destination, node, until) VALUES ('chat.example', 'a', 1700005000000);
INSERT INTO forgebell.workers (destination, node, until) VALUES ('hooks.slack.example', 'a', 1700000260000);
SELECT pg_catalog.setval('forgebell.audit_id_seq', 19, true);
SELECT pg_catalog.setval('forgebell.deliveries_id_seq', 22, true);
SELECT pg_catalog.setval('forgebell.events_seq_seq', 22, true);
SELECT pg_catalog.setval('forgebell.groups_key_seq', 3, true);
SELECT pg_catalog.setval('forgebell.integrations_id_seq', 5, true);
SELECT pg_catalog.setval('forgebell.quarantine_number_seq', 2, true);
SELECT pg_catalog.setval('forgebell.tokens_id_seq', 3, true);
ALTER TABLE ONLY forgebell.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (delivery, n);
ALTER TABLE ONLY forgebell.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY forgebell.deliveries
    ADD CONSTRAINT deliveries_event_integration_target_key UNIQUE (event, integration, target);
ALTER TABLE ONLY forgebell.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY forgebell.discarded
    ADD CONSTRAINT discarded_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY forgebell.events
    ADD CONSTRAINT events_id_key UNIQUE (id);
ALTER TABLE ONLY forgebell.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY forgebell.groups
    ADD CONSTRAINT groups_id_key UNIQUE (id);
ALTER TABLE ONLY forgebell.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (key);
ALTER TABLE ONLY forgebell.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (kind, integration, name);
ALTER TABLE ONLY forgebell.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY forgebell.integrations
    ADD CONSTRAINT integrations_owner_kind_owner_slug_key UNIQUE (owner_kind, owner, slug);
ALTER TABLE ONLY forgebell.integrations
    ADD CONSTRAINT integrations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY forgebell.mutes
    ADD CONSTRAINT mutes_pkey PRIMARY KEY (project, slug, channel);
ALTER TABLE ONLY forgebell.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (id);
ALTER TABLE ONLY forgebell.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (number);
ALTER TABLE ONLY forgebell.registry
    ADD CONSTRAINT registry_pkey PRIMARY KEY (one);
ALTER TABLE ONLY forgebell.tokens
    ADD CONSTRAINT tokens_hash_key UNIQUE (hash);
ALTER TABLE ONLY forgebell.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);
ALTER TABLE ONLY forgebell.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (destination);
CREATE INDEX deliveries_dead ON forgebell.deliveries USING btree (state) WHERE (state >= 20);
CREATE INDEX deliveries_lane ON forgebell.deliveries USING btree (lane, id) WHERE (state <= 2);
CREATE INDEX deliveries_leases ON forgebell.deliveries USING btree (lease_node, lease_until) WHERE (state = 2);
CREATE INDEX deliveries_ready ON forgebell.deliveries USING btree (destination, due, id) WHERE (state = 0);
CREATE INDEX deliveries_replacing ON forgebell.deliveries USING btree (lane, id) WHERE replaces;
CREATE INDEX deliveries_settled ON forgebell.deliveries USING btree (state, settled_at) WHERE (settled_at IS NOT NULL);
CREATE INDEX deliveries_skipped ON forgebell.deliveries USING btree (state) WHERE (state = 11);
CREATE INDEX events_digest ON forgebell.events USING btree (digest) WHERE (digest IS NOT NULL);
CREATE UNIQUE INDEX groups_path ON forgebell.groups USING btree (lower(path));
CREATE INDEX groups_revision ON forgebell.groups USING btree (revision);
CREATE INDEX holds_until ON forgebell.holds USING btree (until);
CREATE INDEX integrations_revision ON forgebell.integrations USING btree (revision);
CREATE INDEX mutes_revision ON forgebell.mutes USING btree (revision);
CREATE UNIQUE INDEX projects_path ON forgebell.projects USING btree (lower(path));
CREATE INDEX projects_revision ON forgebell.projects USING btree (revision);
CREATE INDEX quarantine_received_at ON forgebell.quarantine USING btree (received_at);
CREATE INDEX tokens_revision ON forgebell.tokens USING btree (revision);
CREATE INDEX workers_until ON forgebell.workers USING btree (until);
ALTER TABLE ONLY forgebell.attempts
    ADD CONSTRAINT attempts_delivery_fkey FOREIGN KEY (delivery) REFERENCES forgebell.deliveries(id);
ALTER TABLE ONLY forgebell.deliveries
    ADD CONSTRAINT deliveries_event_fkey FOREIGN KEY (event) REFERENCES forgebell.events(seq);
ALTER TABLE ONLY forgebell.inbox
    ADD CONSTRAINT inbox_seq_fkey FOREIGN KEY (seq) REFERENCES forgebell.events(seq);
ALTER TABLE ONLY forgebell.discarded
    ADD CONSTRAINT unwanted_seq_fkey FOREIGN KEY (seq) REFERENCES forgebell.events(seq);
