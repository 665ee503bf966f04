-- Edits that Postgres took although it can tell that they are wrong: no session key left, which hurt every call; a validity whose bounds mean the opposite of
-- what they say; a default of another type.

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

-- A default must be one that a service could give. Only what stands for itself: a shipped script's default may name a prompt that the operator has yet to make.
CREATE FUNCTION check_default_value() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    fault text := CASE WHEN NEW.type IN ('integer', 'number') THEN parameter_fault(NEW.type, NEW.default_value) END;
BEGIN
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault USING
            ERRCODE = 'check_violation', TABLE = 'script_parameter', COLUMN = 'default_value', CONSTRAINT = 'value_of_a_parameter_fits_its_type',
            DETAIL = format('It would be the default of parameter %s of script %s, which is of type %s.', NEW.parameter, NEW.script, NEW.type),
            HINT = 'Write the value as the comment on script_parameter.type says; NULL when every service must give it.';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION check_default_value() IS 'Refuses defaults of parameters that are no integer or number';
CREATE TRIGGER check_default_value BEFORE INSERT OR UPDATE OF type, default_value ON script_parameter
    FOR EACH ROW WHEN (NEW.default_value IS NOT NULL) EXECUTE FUNCTION check_default_value();
