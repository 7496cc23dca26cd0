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
