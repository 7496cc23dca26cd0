-- The operations of the store. Each is a function, and so one transaction and one round trip. They are created at each start
-- of a daemon: they belong to the program, not to the data.
--
-- Each writer takes one lock first and holds it until the commit, so writers run one after another, as in SQLite. Therefore
-- a function may read and then write what follows from it.

CREATE OR REPLACE FUNCTION alone() RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(1178752364) -- "FBel"
$$;

-- The key of these texts, as `Digest::of(parts).number()` computes it.
CREATE OR REPLACE FUNCTION key_of(VARIADIC parts text[]) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || encode(substr(sha256(string_agg(int8send(octet_length(part)::bigint) || convert_to(part, 'UTF8'),
                                                   ''::bytea ORDER BY place)), 1, 8), 'hex'))::bit(64)::bigint
    FROM unnest(parts) WITH ORDINALITY AS p (part, place)
$$;

-- The first open row of a lane that no node has leased.
CREATE OR REPLACE FUNCTION first_of(the_lane bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT id FROM deliveries WHERE lane = the_lane AND state <= 1 ORDER BY id LIMIT 1
$$;

-- The state for a row that begins to wait in its lane. A ready row with a greater id becomes one that is behind.
CREATE OR REPLACE FUNCTION enter(the_lane bigint, the_id bigint) RETURNS integer LANGUAGE plpgsql AS $$
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

-- Makes the next row of a lane ready, after a row left the lane.
CREATE OR REPLACE FUNCTION leave(the_lane bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE deliveries SET state = 0 WHERE id = first_of(the_lane) AND state <> 0
$$;

-- The moment at which a newer row of the lane was written that replaces this one. Null where there is none.
CREATE OR REPLACE FUNCTION replaced_at(the_lane bigint, the_id bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT created_at FROM deliveries WHERE lane = the_lane AND replaces AND id > the_id ORDER BY id LIMIT 1
$$;

-- Cancels a row that a newer one replaces.
CREATE OR REPLACE FUNCTION cancel_replaced(the_id bigint, at_moment bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE deliveries SET state = 22, settled_at = at_moment, lease_node = NULL, lease_until = NULL WHERE id = the_id;
    INSERT INTO attempts (delivery, n, at, latency_ms, outcome, status, note)
    SELECT the_id, coalesce(max(n), 0) + 1, at_moment, 0, 'cancelled', NULL, 'replaced by a newer state'
    FROM attempts WHERE delivery = the_id;
END
$$;

-- Ends the leases of these rows, which return to their lanes.
CREATE OR REPLACE FUNCTION free(rows bigint[]) RETURNS void LANGUAGE plpgsql AS $$
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

-- Removes what has ended: lapsed leases (a thousand at most), holds, and workers of shares that had nothing to do for ten
-- minutes. `lease_now` is the moment by the clock that leases go by.
CREATE OR REPLACE FUNCTION lapse(now bigint, lease_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM holds WHERE until <= now;
    DELETE FROM workers WHERE until <= lease_now - 600000;
    PERFORM free(ARRAY (SELECT id FROM deliveries WHERE state = 2 AND lease_until <= lease_now LIMIT 1000));
END
$$;

-- Until when a destination is held.
CREATE OR REPLACE FUNCTION held_until(the_destination text, now bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT until FROM holds
    WHERE kind = 'destination' AND name = the_destination AND until > now
$$;

-- The number of an event to be dispatched: of the event in the inbox, or of one written now. NULL for a known event. An
-- event of the last ten minutes answers for one redelivered body without an id: it has the digest of that id then.
CREATE OR REPLACE FUNCTION number_of(
    e_id text, e_trigger text, e_kind text, e_project_id bigint, e_project text, e_subject text, e_occurred_at bigint,
    e_digest bytea, e_raw bytea, e_inbox bigint, e_redelivered boolean, now bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found_seq bigint;
BEGIN
    IF e_inbox IS NOT NULL THEN
        DELETE FROM inbox WHERE seq = e_inbox;
        IF FOUND THEN RETURN e_inbox; END IF;
    ELSIF e_digest IS NOT NULL AND e_redelivered THEN
        SELECT seq INTO found_seq FROM events
        WHERE digest IN (e_digest, sha256(convert_to(e_id, 'UTF8'))) AND received_at >= now - 600000
        ORDER BY digest = e_digest, seq LIMIT 1;
        IF FOUND THEN
            UPDATE events SET digest = sha256(convert_to(e_id, 'UTF8')) WHERE seq = found_seq AND digest = e_digest;
            RETURN NULL;
        END IF;
    END IF;
    SELECT seq INTO found_seq FROM events WHERE id = e_id;
    IF FOUND THEN
        DELETE FROM inbox WHERE seq = found_seq;
        RETURN CASE WHEN FOUND THEN found_seq END;
    END IF;
    INSERT INTO events (id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest, raw)
    VALUES (e_id, e_trigger, e_kind, e_project_id, e_project, e_subject, e_occurred_at, now, e_digest, e_raw)
    RETURNING seq INTO found_seq;
    RETURN found_seq;
END
$$;

-- Writes a batch of events (one array for each column) with their deliveries, which name their event by its place in the
-- batch. Returns, for each delivery in the given order, its id, whether it is leased, and whether the node works the share from
-- now on that another node worked. The id is null where the delivery existed before.
CREATE OR REPLACE FUNCTION enqueue(
    e_id text[], e_trigger text[], e_kind text[], e_project_id bigint[], e_project text[], e_subject text[],
    e_occurred_at bigint[], e_digest bytea[], e_raw bytea[], e_inbox bigint[], e_redelivered boolean[],
    d_event integer[], d_integration text[], d_target text[], d_destination text[], d_lane bigint[],
    d_lease_node text[], d_lease_until bigint[], now bigint, d_replaces boolean[], d_route_key bigint[],
    m_project_id bigint[], m_iid bigint[], m_source_project_id bigint[], m_branch_key bigint[], m_state text[],
    m_seen_at bigint[], d_share text[], lease_now bigint
) RETURNS TABLE (new_id bigint, new_leased boolean, new_gained boolean) LANGUAGE plpgsql AS $$
DECLARE
    seqs bigint[] := '{}';
    leased boolean;
    worked text;
BEGIN
    PERFORM alone();
    INSERT INTO merge_requests AS known (project_id, iid, source_project_id, branch_key, state, seen_at)
    SELECT DISTINCT ON (n.project_id, n.iid) n.project_id, n.iid, n.source_project_id, n.branch_key, n.state, n.seen_at
    FROM unnest(m_project_id, m_iid, m_source_project_id, m_branch_key, m_state, m_seen_at)
         WITH ORDINALITY AS n (project_id, iid, source_project_id, branch_key, state, seen_at, place)
    -- Of several events in the batch, the latest counts.
    ORDER BY n.project_id, n.iid, n.seen_at DESC, n.place DESC
    ON CONFLICT (project_id, iid) DO UPDATE SET source_project_id = excluded.source_project_id,
        branch_key = excluded.branch_key, state = excluded.state, seen_at = excluded.seen_at
    WHERE excluded.seen_at >= known.seen_at;
    PERFORM lapse(now, lease_now);
    FOR i IN 1 .. coalesce(array_length(e_id, 1), 0) LOOP
        IF i = ANY (d_event) THEN
            seqs[i] := number_of(e_id[i], e_trigger[i], e_kind[i], e_project_id[i], e_project[i], e_subject[i],
                                 e_occurred_at[i], e_digest[i], e_raw[i], e_inbox[i], e_redelivered[i], now);
        ELSIF e_inbox[i] IS NOT NULL THEN
            PERFORM discard(ARRAY [e_inbox[i]]);
        END IF;
    END LOOP;
    FOR i IN 1 .. coalesce(array_length(d_event, 1), 0) LOOP
        worked := NULL;
        IF seqs[d_event[i]] IS NOT NULL AND d_lease_node[i] IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.lane = d_lane[i] AND d.state <= 2
                           AND (d.state <= 1 OR d.lease_node <> d_lease_node[i])) THEN
            worked := work(d_share[i], d_lease_node[i], d_lease_until[i]);
        END IF;
        leased := worked IS NOT NULL;
        new_gained := worked IS NOT DISTINCT FROM 'gained';
        new_id := NULL;
        -- A known event ends the message: its deliveries were written with it, whatever became of them since.
        IF seqs[d_event[i]] IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.event = seqs[d_event[i]]
                           AND d.route_key = d_route_key[i]) THEN
            INSERT INTO deliveries (event, route_key, integration, target, destination, share, lane, state, due, created_at, fresh_since,
                                    lease_node, lease_until, replaces)
            VALUES (seqs[d_event[i]], d_route_key[i], d_integration[i], d_target[i], d_destination[i], d_share[i], d_lane[i],
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

-- Takes events out of the inbox that lead to no delivery. They are kept for a while, so that a repeat is recognised.
CREATE OR REPLACE FUNCTION discard(numbers bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    WITH gone AS (DELETE FROM inbox WHERE seq = ANY (numbers) RETURNING seq)
    INSERT INTO discarded (seq) SELECT seq FROM gone ON CONFLICT DO NOTHING;
END
$$;

-- Stores an event that came over HTTP. False where its id is known.
CREATE OR REPLACE FUNCTION push(
    e_id text, e_trigger text, e_kind text, e_project_id bigint, e_project text, e_subject text, e_occurred_at bigint,
    e_received_at bigint, e_raw bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
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

-- Leases due rows of one destination, oldest first. Of a lane, the ready row goes first, and those right behind it may go
-- along as far as nothing is in their way: another destination, a later moment, a held route, another node's earlier row. What
-- makes the events' JSON more than so many bytes still goes, the rows after it don't. `gained` is the share that another node
-- worked before; `refused` says that another node works it.
CREATE OR REPLACE FUNCTION claim_one(
    the_destination text, most integer, most_bytes bigint, the_node text, the_until bigint, now bigint,
    OUT taken bigint[], OUT gained text, OUT refused boolean
) LANGUAGE plpgsql AS $$
DECLARE
    the_share text;
    worked text;
    moved bigint[];
BEGIN
    taken := '{}';
    refused := false;
    IF held_until(the_destination, now) IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT share INTO the_share FROM deliveries
    WHERE destination = the_destination AND state = 0 AND due <= now ORDER BY due, id LIMIT 1;
    IF the_share IS NULL THEN
        RETURN;
    END IF;
    worked := work(the_share, the_node, the_until);
    IF worked IS NULL THEN
        refused := true;
        RETURN;
    END IF;
    IF worked = 'gained' THEN
        gained := the_share;
    END IF;
    -- Ready rows of held routes are put off to the hold's end, a bounded number at a time.
    WITH held AS (
        SELECT r.id, h.until
        FROM (SELECT id, route_key FROM deliveries
              WHERE destination = the_destination AND state = 0 AND due <= now ORDER BY due, id LIMIT most + 1000) AS r
        JOIN holds AS h ON h.kind = 'route' AND h.key = r.route_key AND h.until > now
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
                   OR EXISTS (SELECT 1 FROM holds AS x WHERE x.kind = 'route' AND x.key = d.route_key
                              AND x.until > now)
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
    taken := coalesce(taken, '{}');
END
$$;

-- Claims rows of several destinations. One that another node works has no more for this one.
CREATE OR REPLACE FUNCTION claim(
    destinations text[], most integer, most_bytes bigint, the_node text, the_until bigint, now bigint, lease_now bigint
) RETURNS TABLE (
    place integer, d_id bigint, d_lane bigint, d_destination text, d_integration text, d_target text, d_attempts integer,
    d_fresh_since bigint, e_seq bigint, e_id text, e_occurred_at bigint, e_raw bytea, d_more boolean, d_replaces boolean,
    d_started boolean, d_gained text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    got record;
BEGIN
    PERFORM alone();
    PERFORM lapse(now, lease_now);
    FOR i IN 1 .. coalesce(array_length(destinations, 1), 0) LOOP
        SELECT c.taken, c.gained, c.refused INTO got
        FROM claim_one(destinations[i], most, most_bytes, the_node, the_until, now) AS c;
        RETURN QUERY
            SELECT i, d.id, d.lane, d.destination::text, d.integration::text, d.target::text, d.attempts, d.fresh_since,
                   e.seq, e.id::text, e.occurred_at, e.raw, NULL::boolean, d.replaces, d.started,
                   NULL::text
            FROM deliveries AS d JOIN events AS e ON e.seq = d.event WHERE d.id = ANY (got.taken) ORDER BY d.id;
        RETURN QUERY
            SELECT i, NULL::bigint, NULL::bigint, NULL::text, NULL::text, NULL::text, NULL::integer, NULL::bigint,
                   NULL::bigint, NULL::text, NULL::bigint, NULL::bytea,
                   NOT got.refused
                   AND EXISTS (SELECT 1 FROM deliveries AS d WHERE d.destination = destinations[i] AND d.state = 0),
                   NULL::boolean, NULL::boolean, got.gained;
    END LOOP;
END
$$;

-- Destinations one after another (the smallest key, then the smallest greater one), each with the moment of its next claim.
-- Each costs a few steps into the index, however many rows it has. Those that another node works are left out; `the_node` is
-- NULL where all are asked for.
CREATE OR REPLACE FUNCTION waiting(now bigint, most integer, the_node text, lease_now bigint)
RETURNS TABLE (w_destination text, w_at bigint) LANGUAGE plpgsql AS $$
DECLARE
    has_peers boolean := the_node IS NOT NULL AND EXISTS (SELECT 1 FROM nodes WHERE name <> the_node);
BEGIN
    -- Rows whose lease has lapsed wait too. Leases seldom lapse.
    IF EXISTS (SELECT 1 FROM deliveries WHERE state = 2 AND lease_until <= lease_now) THEN
        PERFORM alone();
        PERFORM lapse(now, lease_now);
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
            AND (NOT has_peers
                 OR may_work((SELECT d.share FROM deliveries AS d WHERE d.state = 0 AND d.destination = found.destination
                              ORDER BY d.due LIMIT 1), the_node))
    ) AS w ORDER BY wanted, destination LIMIT most;
END
$$;

-- Begins a hold, or prolongs it; a longer one stays.
CREATE OR REPLACE FUNCTION begin_hold(
    h_kind text, h_integration text, h_name text, h_cause text, h_reason text, h_since bigint, h_until bigint,
    h_strikes integer, h_made_by text, h_fingerprint bigint
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO holds AS h (kind, key, integration, name, cause, reason, since, until, strikes, made_by, fingerprint)
    VALUES (h_kind, key_of(h_integration, h_name), h_integration, h_name, h_cause, h_reason, h_since, h_until, h_strikes, h_made_by, h_fingerprint)
    ON CONFLICT (kind, key) DO UPDATE SET cause = excluded.cause, reason = excluded.reason,
        since = excluded.since, until = excluded.until, strikes = excluded.strikes, made_by = excluded.made_by,
        fingerprint = excluded.fingerprint
    WHERE excluded.until >= h.until
$$;

-- Ends a hold. Rows of a held route or of a switched-off address were put off, so these are due again.
CREATE OR REPLACE FUNCTION end_hold(h_kind text, h_integration text, h_name text, now bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM holds WHERE kind = h_kind AND key = key_of(h_integration, h_name);
    IF FOUND AND h_kind = 'route' THEN
        UPDATE deliveries SET due = now
        WHERE state <= 1 AND due > now AND route_key = key_of(h_integration, h_name);
    ELSIF FOUND AND h_kind = 'address' THEN
        UPDATE deliveries SET due = now
        WHERE state <= 1 AND due > now AND integration = h_integration AND destination = h_name;
    END IF;
END
$$;

-- Ends holds, one array a column.
CREATE OR REPLACE FUNCTION end_holds(h_kind text[], h_integration text[], h_name text[], now bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    FOR i IN 1 .. coalesce(array_length(h_kind, 1), 0) LOOP
        PERFORM end_hold(h_kind[i], h_integration[i], h_name[i], now);
    END LOOP;
END
$$;

-- Settles one row. `new_state` is null where the row is to wait until `new_due`. False where there is no such row.
CREATE OR REPLACE FUNCTION settle_one(
    the_id bigint, the_node text, new_state integer, new_due bigint, new_attempts integer, now bigint, lease_now bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
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
    ELSIF NOT (d.state <= 1 OR (d.state = 2 AND (d.lease_node = the_node OR d.lease_until <= lease_now))) THEN
        RETURN true;
    END IF;
    IF new_state IS NULL AND replaced_at(d.lane, the_id) IS NOT NULL THEN
        new_state := 22;
    END IF;
    IF new_state IS NULL THEN
        UPDATE deliveries
        SET state = CASE WHEN d.state <= 1 THEN d.state ELSE enter(d.lane, the_id) END,
            attempts = new_attempts, due = new_due, started = false, lease_node = NULL, lease_until = NULL
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

-- Writes the outcomes of a node's attempts, one array for each column. Holds that end (`e_`) and that begin (`h_`) have
-- arrays of their own, in which the first column names the settlement that each belongs to. `lease_now` is NULL where leases go
-- by the moments of the settlements.
CREATE OR REPLACE FUNCTION settle(
    the_node text, s_id bigint[], s_state integer[], s_due bigint[], s_attempts integer[], s_at bigint[],
    r_at bigint[], r_latency_ms bigint[], r_outcome text[], r_status integer[], r_note text[],
    e_of bigint[], e_kind text[], e_integration text[], e_name text[],
    h_of bigint[], h_kind text[], h_integration text[], h_name text[], h_cause text[], h_reason text[], h_since bigint[],
    h_until bigint[], h_strikes integer[], h_made_by text[], h_fingerprint bigint[], lease_now bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    FOR i IN 1 .. coalesce(array_length(s_id, 1), 0) LOOP
        IF settle_one(s_id[i], the_node, s_state[i], s_due[i], s_attempts[i], s_at[i], coalesce(lease_now, s_at[i])) THEN
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

-- Ends a node's leases of these rows.
CREATE OR REPLACE FUNCTION release(the_node text, rows bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    PERFORM free(ARRAY (SELECT id FROM deliveries WHERE id = ANY (rows) AND state = 2 AND lease_node = the_node));
END
$$;

-- Ends leases whose grant never reached the node: those of these events or destinations that the node has until exactly
-- these moments. No node works these rows, and later rows of their lanes would overtake them.
CREATE OR REPLACE FUNCTION release_unconfirmed(the_node text, the_until bigint[], event_ids text[], destinations text[]) RETURNS void
LANGUAGE plpgsql AS $$
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

-- Prolongs a node's leases of these rows, and its work on their shares. Returns the rows that the node still leases.
CREATE OR REPLACE FUNCTION renew(the_node text, the_until bigint, rows bigint[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
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
        AND share IN (SELECT share FROM deliveries WHERE id = ANY (own));
    RETURN coalesce(own, '{}');
END
$$;

-- Marks rows as started and prolongs their leases. Returns the rows that the node still leases.
CREATE OR REPLACE FUNCTION start(the_node text, the_until bigint, rows bigint[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    own bigint[] := renew(the_node, the_until, rows);
BEGIN
    UPDATE deliveries SET started = true WHERE id = ANY (own);
    RETURN own;
END
$$;

-- Ends all leases of a node, at its start and at its end.
CREATE OR REPLACE FUNCTION release_leases(the_node text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    PERFORM free(ARRAY (SELECT id FROM deliveries WHERE state = 2 AND lease_node = the_node));
END
$$;

-- Ends these integrations' holds that other settings than these led to (NULL: whatever led to them), and makes due what
-- waited for them. What a service asked for stays, and so does a destination that rows of other integrations wait for.
CREATE OR REPLACE FUNCTION end_outdated_holds(integrations text[], fingerprints bigint[], now bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
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
          AND NOT (h.kind = 'destination' AND h.cause <> 'misconfigured'
                   AND EXISTS (SELECT 1 FROM deliveries AS d
                               WHERE d.destination = h.name AND d.state = 0 AND d.integration <> h.made_by))
        RETURNING h.made_by
    )
    SELECT array_agg(made_by) INTO healed FROM gone;
    UPDATE deliveries SET due = now WHERE state <= 1 AND due > now AND integration = ANY (healed);
    RETURN coalesce(array_length(healed, 1), 0);
END
$$;

-- Ends holds and waits at these moments that would end later. A row that is held for as long stays as it is. What
-- watches and merge requests have as of later than now is as of now. Returns how much was changed.
CREATE OR REPLACE FUNCTION shorten_waits(
    causes text[], untils bigint[], latest_due bigint, latest_watch bigint, now bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    held bigint;
    waited bigint;
    watched bigint;
    seen bigint;
BEGIN
    PERFORM alone();
    UPDATE holds AS h SET until = c.until FROM unnest(causes, untils) AS c (cause, until)
    WHERE h.cause = c.cause AND h.until > c.until;
    GET DIAGNOSTICS held = ROW_COUNT;
    UPDATE deliveries AS d SET due = latest_due
    WHERE d.state <= 1 AND d.due > latest_due
      AND NOT EXISTS (SELECT 1 FROM holds AS h WHERE h.kind = 'route' AND h.key = d.route_key AND h.until >= d.due)
      AND NOT EXISTS (SELECT 1 FROM holds AS h
                      WHERE h.kind = 'destination' AND h.name = d.destination AND h.until >= d.due);
    GET DIAGNOSTICS waited = ROW_COUNT;
    UPDATE watches SET due = least(due, latest_watch), since = least(since, now)
    WHERE ended_at IS NULL AND (due > latest_watch OR since > now);
    GET DIAGNOSTICS watched = ROW_COUNT;
    UPDATE merge_requests SET seen_at = now WHERE seen_at > now;
    GET DIAGNOSTICS seen = ROW_COUNT;
    RETURN held + waited + watched + seen;
END
$$;

-- Makes a settled delivery due again. False where there is none, or where it is not settled.
CREATE OR REPLACE FUNCTION resend(
    the_id bigint, a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    PERFORM alone();
    SELECT lane, destination INTO d FROM deliveries WHERE id = the_id AND settled_at IS NOT NULL;
    IF NOT FOUND OR replaced_at(d.lane, the_id) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Rows of an earlier version that were settled then have no share.
    UPDATE deliveries SET state = enter(d.lane, the_id), attempts = 0, due = a_at, fresh_since = a_at, settled_at = NULL,
        started = false, share = coalesce(nullif(share, ''), destination)
    WHERE id = the_id;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    PERFORM pg_notify('forgebell_stored', d.destination);
    RETURN true;
END
$$;

-- Ends a waiting row that no node has leased, or a dead letter: `done`. A leased one is `leased`, any other `ended`.
CREATE OR REPLACE FUNCTION cancel(
    the_id bigint, a_at bigint, a_who text, a_action text, a_object text, a_fields text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    PERFORM alone();
    SELECT lane, state INTO d FROM deliveries WHERE id = the_id AND (state <= 2 OR state IN (20, 21));
    IF NOT FOUND THEN
        RETURN 'ended';
    ELSIF d.state = 2 THEN
        RETURN 'leased';
    END IF;
    UPDATE deliveries SET state = 22, settled_at = a_at WHERE id = the_id;
    INSERT INTO attempts (delivery, n, at, latency_ms, outcome, status, note)
    SELECT the_id, coalesce(max(n), 0) + 1, a_at, 0, 'cancelled', NULL, 'cancelled by ' || a_who
    FROM attempts WHERE delivery = the_id;
    -- A dead letter has left its lane already.
    IF d.state <= 1 THEN
        PERFORM leave(d.lane);
    END IF;
    PERFORM note(a_at, a_who, a_action, a_object, a_fields);
    RETURN 'done';
END
$$;

-- Removes a bounded piece of what is too old: deliveries in one state, settled before a moment. Returns how many deliveries, and how many events.
CREATE OR REPLACE FUNCTION sweep_deliveries(the_state integer, before bigint, most bigint)
RETURNS TABLE (s_deliveries bigint, s_events bigint) LANGUAGE plpgsql AS $$
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

-- Removes those of these events that have no delivery and do not wait in the inbox.
CREATE OR REPLACE FUNCTION forget(seqs bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
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

-- Removes old events that led to no delivery. Returns how many were examined, and how many were removed.
CREATE OR REPLACE FUNCTION sweep_discarded(before bigint, most bigint)
RETURNS TABLE (s_found bigint, s_events bigint) LANGUAGE plpgsql AS $$
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
