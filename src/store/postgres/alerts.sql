-- What became of each report of an alert, in the order of the reports; see the module `store::alerts`. The events of new
-- alerts are put in the inbox.
CREATE OR REPLACE FUNCTION note_alerts(
    keys text[], titles text[], fires boolean[], ids text[], triggers text[], kinds text[], project_ids bigint[],
    projects text[], subjects text[], raws bytea[], now bigint
) RETURNS TABLE (n_place integer, n_number bigint, n_change text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alone();
    FOR i IN 1 .. coalesce(array_length(keys, 1), 0) LOOP
        n_place := i;
        n_number := (SELECT a.number FROM alerts AS a WHERE a.key = keys[i] AND a.ended_at IS NULL);
        IF n_number IS NOT NULL AND fires[i] THEN
            UPDATE alerts AS a SET reports = a.reports + 1, seen_at = now WHERE a.number = n_number;
            n_change := 'again';
        ELSIF n_number IS NOT NULL THEN
            UPDATE alerts AS a SET ended_at = now, seen_at = now WHERE a.number = n_number;
            n_change := 'ended';
        ELSIF fires[i] THEN
            INSERT INTO alerts AS a (key, title, since, seen_at) VALUES (keys[i], titles[i], now, now)
            RETURNING a.number INTO n_number;
            PERFORM push(ids[i] || '-' || n_number, triggers[i], kinds[i], project_ids[i],
                         projects[i], subjects[i], now, now, raws[i]);
            n_change := 'new';
        ELSE
            n_change := NULL;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
