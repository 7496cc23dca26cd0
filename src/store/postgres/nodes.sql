-- Which node works what: signs of life, shares, and taking over.

-- The node that a share falls to: where a node comes or goes, only its own part moves (rendezvous hashing). NULL where no node
-- has joined.
CREATE OR REPLACE FUNCTION node_of(the_share text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT name::text FROM nodes ORDER BY hashtextextended(name, hashtextextended(the_share, 0)) DESC, name LIMIT 1
$$;

-- Whether a node may lease rows of a share: the share falls to this node, and no other has rows of it leased. Where no node has
-- joined, there is none to share with.
CREATE OR REPLACE FUNCTION may_work(the_share text, the_node text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    chosen text := node_of(the_share);
    former text;
BEGIN
    IF chosen IS NULL OR chosen <> the_node THEN
        RETURN chosen IS NULL;
    END IF;
    SELECT node INTO former FROM workers WHERE share = the_share;
    RETURN former IS NULL OR former = the_node
        OR NOT EXISTS (SELECT 1 FROM deliveries WHERE state = 2 AND lease_node = former AND share = the_share);
END
$$;

-- Makes a node the one that works a share: 'own', or 'gained' where another node worked it last. NULL where the node may not.
CREATE OR REPLACE FUNCTION work(the_share text, the_node text, lease_until bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    w record;
BEGIN
    IF NOT may_work(the_share, the_node) THEN
        RETURN NULL;
    END IF;
    SELECT node, until INTO w FROM workers WHERE share = the_share;
    IF NOT FOUND THEN
        INSERT INTO workers (share, node, until) VALUES (the_share, the_node, lease_until);
    ELSIF w.node <> the_node THEN
        UPDATE workers SET node = the_node, until = lease_until WHERE share = the_share;
        RETURN 'gained';
    -- The row is not written with every batch. It may end up to five seconds before the lease.
    ELSIF w.until + 5000 < lease_until THEN
        UPDATE workers SET until = lease_until WHERE share = the_share;
    END IF;
    RETURN 'own';
END
$$;

-- Rows that the node leases are bound for other destinations. They stand in no lane's order.
CREATE OR REPLACE FUNCTION redirect(the_node text, rows bigint[], destinations text[], shares text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    UPDATE deliveries AS d SET destination = n.destination, share = n.share
    FROM unnest(rows, destinations, shares) AS n (id, destination, share)
    WHERE d.id = n.id AND d.state = 2 AND d.lease_node = the_node;
END
$$;

-- A sign of life of a node, which joins with its first. Returns the database's clock, and all nodes with their signs of life.
-- It waits for no writer.
CREATE OR REPLACE FUNCTION beat(the_node text) RETURNS TABLE (b_clock bigint, b_node text, b_beats bigint)
LANGUAGE plpgsql AS $$
DECLARE
    clock bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
BEGIN
    -- One that comes back after it was taken over has a number that no former life of it had.
    INSERT INTO nodes AS n (name, beats) VALUES (the_node, clock)
    ON CONFLICT (name) DO UPDATE SET beats = n.beats + 1;
    RETURN QUERY SELECT clock, n.name::text, n.beats FROM nodes AS n;
END
$$;

-- Takes over what a silent node leased, unless it has given a sign of life since this one. Returns how many rows, or NULL.
CREATE OR REPLACE FUNCTION take_over(the_node text, the_beats bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    rows bigint[];
BEGIN
    PERFORM alone();
    DELETE FROM nodes WHERE name = the_node AND beats = the_beats;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    rows := ARRAY (SELECT id FROM deliveries WHERE state = 2 AND lease_node = the_node);
    PERFORM free(rows);
    PERFORM pg_notify('forgebell_stored', d.destination)
    FROM (SELECT DISTINCT destination FROM deliveries WHERE id = ANY (rows)) AS d;
    RETURN coalesce(array_length(rows, 1), 0);
END
$$;

-- A node that ends has nothing leased any more. What it worked falls to the others at once.
CREATE OR REPLACE FUNCTION leave_nodes(the_node text) RETURNS void LANGUAGE sql AS $$
    DELETE FROM nodes WHERE name = the_node
$$;
