-- The nodes that are alive. `beats` grows with each sign of life, at least once a second.
CREATE TABLE nodes (
    name  text   COLLATE "C" PRIMARY KEY,
    beats bigint NOT NULL
) WITH (fillfactor = 50);

-- What nodes divide among them is shares: the destinations that take from one rate limit. Of the open rows it is not known
-- which share they are of, so each destination is one until these rows are delivered.
ALTER TABLE deliveries ADD COLUMN share text COLLATE "C" NOT NULL DEFAULT '';
UPDATE deliveries SET share = destination WHERE state <= 2;

DROP INDEX deliveries_leases;
CREATE INDEX deliveries_leases ON deliveries (lease_node, share, lease_until) WHERE state = 2;

DROP TABLE workers;
CREATE TABLE workers (
    share text   COLLATE "C" PRIMARY KEY,
    node  text   COLLATE "C" NOT NULL,
    until bigint NOT NULL
);

CREATE INDEX workers_until ON workers (until);
