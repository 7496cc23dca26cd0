-- Plain names for columns, lanes and replacement of deliveries, holds with their keys in columns.

-- Step 11 of a delivery is *skipped*: the service answered that there is nothing to do.
CREATE INDEX deliveries_skipped ON deliveries (step) WHERE step = 11;
