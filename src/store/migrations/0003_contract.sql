-- Plain names for columns, lanes and replacement of deliveries, holds with their keys in columns.

-- The field's names.
ALTER TABLE events     RENAME COLUMN answers_to TO trigger;
ALTER TABLE deliveries RENAME COLUMN news_since TO fresh_since;
ALTER TABLE deliveries RENAME COLUMN step       TO state;
ALTER TABLE unwanted   RENAME TO discarded;

-- State 11 of a delivery is *skipped*: the service answered that there is nothing to do.
CREATE INDEX deliveries_skipped ON deliveries (state) WHERE state = 11;

-- A delivery that replaces makes older ones of its lane needless that are not delivered yet.
ALTER TABLE deliveries ADD COLUMN replaces INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deliveries_replacing ON deliveries (lane, id) WHERE replaces = 1;

-- Holds say what they keep back in columns, and from what they follow. `integration` is empty where the key names none.
-- `name` is a destination, a route's target, an address's destination or a rate limit. `made_by` with `fingerprint`: whose
-- settings led to the hold; another version of them ends it. Of an older hold of a destination it is not known whether the
-- service asked for it: it ends by time alone, within the hour.
ALTER TABLE holds RENAME TO holds_2;
DROP INDEX holds_until;

CREATE TABLE holds (
    kind        TEXT    NOT NULL,  -- destination, route, address, bucket
    integration TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    cause       TEXT    NOT NULL,  -- as an attempt's outcome
    reason      TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    strikes     INTEGER NOT NULL,
    made_by     TEXT,
    fingerprint INTEGER,
    PRIMARY KEY (kind, integration, name)
) STRICT, WITHOUT ROWID;

INSERT INTO holds
SELECT CASE WHEN key GLOB 'route:*>*' THEN 'route' WHEN key GLOB 'off:*>*' THEN 'address' ELSE 'destination' END,
       CASE WHEN key GLOB 'route:*>*' THEN substr(key, 7, instr(key, '>') - 7)
            WHEN key GLOB 'off:*>*' THEN substr(key, 5, instr(key, '>') - 5) ELSE '' END,
       CASE WHEN key GLOB 'route:*>*' OR key GLOB 'off:*>*' THEN substr(key, instr(key, '>') + 1) ELSE key END,
       CASE WHEN key GLOB 'route:*>*' THEN 'misconfigured' WHEN key GLOB 'off:*>*' THEN 'switched_off'
            ELSE 'throttled' END,
       why, CAST(strftime('%s', 'now') AS INTEGER) * 1000, until, strikes, integration, fingerprint
FROM holds_2;

DROP TABLE holds_2;
CREATE INDEX holds_until ON holds (until);
