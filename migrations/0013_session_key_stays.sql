-- Edits that Postgres took although they hurt every call: no session key left; a validity whose bounds mean the opposite of what they say.

CREATE FUNCTION check_session_key_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' OR NOT EXISTS (SELECT FROM session_key) THEN
        RAISE EXCEPTION 'at least one session key must stay' USING
            ERRCODE = 'restrict_violation', TABLE = 'session_key', CONSTRAINT = 'there_is_a_session_key',
            DETAIL = 'Engines sign the state of each call with it: without one no call is answered.',
            HINT = 'SELECT rotate_session_key(1) makes a new key and deletes all others; calls under way then end at their next question.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_session_key_stays() IS 'Refuses, at COMMIT, to delete the last session key';
CREATE CONSTRAINT TRIGGER check_session_key_stays AFTER DELETE ON session_key
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_session_key_stays();
CREATE TRIGGER check_session_key_stays_truncated BEFORE TRUNCATE ON session_key FOR EACH STATEMENT EXECUTE FUNCTION check_session_key_stays();

-- Engines read both infinities as unbounded, which is what they mean at the other end only.
ALTER TABLE calendar_window ADD CONSTRAINT a_window_does_not_begin_at_infinity_nor_end_at_minus_infinity CHECK (valid_from < 'infinity' AND valid_to > '-infinity');
ALTER TABLE screening_entry ADD CONSTRAINT an_entry_does_not_begin_at_infinity_nor_end_at_minus_infinity CHECK (valid_from < 'infinity' AND valid_to > '-infinity');
