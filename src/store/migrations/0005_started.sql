-- A mark on deliveries whose attempt must not be repeated, written before the attempt begins. It is still there after a
-- process ended in the midst of the attempt.
ALTER TABLE deliveries ADD COLUMN started INTEGER NOT NULL DEFAULT 0;
