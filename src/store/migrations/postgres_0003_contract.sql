-- Plain names for columns, lanes and replacement of deliveries, holds with their keys in columns.

-- The field's names.
ALTER TABLE events     RENAME COLUMN answers_to TO trigger;
ALTER TABLE deliveries RENAME COLUMN news_since TO fresh_since;
ALTER TABLE deliveries RENAME COLUMN step       TO state;
ALTER TABLE unwanted   RENAME TO discarded;
ALTER INDEX unwanted_pkey RENAME TO discarded_pkey;

-- State 11 of a delivery is *skipped*: the service answered that there is nothing to do.
CREATE INDEX deliveries_skipped ON deliveries (state) WHERE state = 11;

-- A delivery that replaces makes older ones of its lane needless that are not delivered yet.
ALTER TABLE deliveries ADD COLUMN replaces boolean NOT NULL DEFAULT false;
CREATE INDEX deliveries_replacing ON deliveries (lane, id) WHERE replaces;

-- Holds say what they keep back in columns, and from what they follow; see SQLite's migration.
ALTER TABLE holds RENAME TO holds_2;
ALTER INDEX holds_pkey RENAME TO holds_2_pkey;
DROP INDEX holds_until;

CREATE TABLE holds (
    kind        text    COLLATE "C" NOT NULL,
    integration text    COLLATE "C" NOT NULL,
    name        text    COLLATE "C" NOT NULL,
    cause       text    NOT NULL,
    reason      text    NOT NULL,
    since       bigint  NOT NULL,
    until       bigint  NOT NULL,
    strikes     integer NOT NULL,
    made_by     text    COLLATE "C",
    fingerprint bigint,
    PRIMARY KEY (kind, integration, name)
);

INSERT INTO holds
SELECT CASE WHEN key LIKE 'route:%>%' THEN 'route' WHEN key LIKE 'off:%>%' THEN 'address' ELSE 'destination' END,
       CASE WHEN key LIKE 'route:%>%' THEN substr(key, 7, strpos(key, '>') - 7)
            WHEN key LIKE 'off:%>%' THEN substr(key, 5, strpos(key, '>') - 5) ELSE '' END,
       CASE WHEN key LIKE 'route:%>%' OR key LIKE 'off:%>%' THEN substr(key, strpos(key, '>') + 1) ELSE key END,
       CASE WHEN key LIKE 'route:%>%' THEN 'misconfigured' WHEN key LIKE 'off:%>%' THEN 'switched_off'
            ELSE 'throttled' END,
       why, (extract(epoch FROM now()) * 1000)::bigint, until, strikes, integration, fingerprint
FROM holds_2;

DROP TABLE holds_2;
CREATE INDEX holds_until ON holds (until);
