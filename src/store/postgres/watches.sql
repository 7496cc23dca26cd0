-- Watches: what is asked for after events.

-- Writes what became of the question after a build (`again` is null where the watch ends), and puts the event that
-- announces the result in the inbox. False where there is no such event, or where the watch has ended.
CREATE OR REPLACE FUNCTION settle_watch(
    w_number bigint, w_polls integer, w_note text, now bigint, again bigint, w_state text, w_page text,
    e_id text, e_trigger text, e_kind text, e_project_id bigint, e_project text, e_subject text, e_occurred_at bigint,
    e_raw bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE watches SET polls = w_polls, note = w_note, checked_at = now, due = coalesce(again, due),
                       ended_at = CASE WHEN again IS NULL THEN now END, state = coalesce(w_state, state),
                       page = CASE WHEN w_state IS NULL THEN page ELSE w_page END
    WHERE number = w_number AND ended_at IS NULL;
    IF NOT FOUND OR e_id IS NULL THEN
        RETURN false;
    END IF;
    RETURN push(e_id, e_trigger, e_kind, e_project_id, e_project, e_subject, e_occurred_at, now, e_raw);
END
$$;
