-- Nodes that share a store are PostgreSQL's alone: one daemon has a SQLite file to itself.
SELECT 1 WHERE false;
