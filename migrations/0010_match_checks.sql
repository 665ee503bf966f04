-- A table or list begins to compare by prefix only when everything in it is a prefix. What is written into one that does is checked by
-- check_prefix_keys (0003).

CREATE FUNCTION check_match() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    name text := to_jsonb(NEW) ->> TG_TABLE_NAME;
    bad  text;
BEGIN
    -- At COMMIT: what the row is by now, if it is still there.
    IF TG_TABLE_NAME = 'translation_table' THEN
        SELECT t.key INTO bad FROM translation t JOIN translation_table p USING (translation_table)
        WHERE p.translation_table = name AND p.match = 'prefix' AND t.key !~ '^[0-9*#]{0,32}$' LIMIT 1;
    ELSE
        SELECT e.entry INTO bad FROM screening_entry e JOIN screening_list p USING (screening_list)
        WHERE p.screening_list = name AND p.match = 'prefix' AND e.entry !~ '^[0-9*#]{1,32}$' LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION '% "%" cannot compare by prefix', TG_TABLE_NAME, name USING
            ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, COLUMN = 'match', CONSTRAINT = 'keys_of_a_prefix_table_are_digits',
            DETAIL = format('"%s" stands in it, and a prefix is up to 32 digits, * or #.', bad),
            HINT = 'Take out what is not a prefix in the same transaction, or leave match at exact.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_match() IS 'Refuses, at COMMIT, that a table or list with words in it compares by prefix';
CREATE CONSTRAINT TRIGGER check_match AFTER UPDATE OF match ON translation_table
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.match = 'prefix' AND OLD.match <> 'prefix') EXECUTE FUNCTION check_match();
CREATE CONSTRAINT TRIGGER check_match AFTER UPDATE OF match ON screening_list
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.match = 'prefix' AND OLD.match <> 'prefix') EXECUTE FUNCTION check_match();
