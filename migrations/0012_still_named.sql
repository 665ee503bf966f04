-- What a service names cannot go away under it, also where the name is part of a target (number@trunk) or a script's default.

CREATE OR REPLACE FUNCTION check_still_named() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    kind text := TG_ARGV[0];
    name text := to_jsonb(OLD) ->> TG_ARGV[0];
    target text := '@' || name || '(,|$)'; -- names have no characters that a pattern would take for its own
    place text;
    there boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$I AS t WHERE t.%1$I = $1)', kind) INTO there USING name;
    IF there THEN
        RETURN NULL; -- put back in the same transaction
    END IF;
    SELECT format('the service parameter %s.%s', v.service, v.parameter) INTO place
    FROM service_parameter v JOIN service s USING (service) JOIN script_parameter p ON p.script = s.script AND p.parameter = v.parameter
    WHERE v.value = name AND p.type = kind LIMIT 1;
    IF NOT FOUND AND kind = 'trunk' THEN
        SELECT format('the service parameter %s.%s, a target', v.service, v.parameter) INTO place
        FROM service_parameter v JOIN service s USING (service) JOIN script_parameter p ON p.script = s.script AND p.parameter = v.parameter
        WHERE p.type = 'target' AND v.value ~ target LIMIT 1;
    END IF;
    IF NOT FOUND THEN
        SELECT format('the script parameter %s.%s by default, which service %s leaves at that', p.script, p.parameter, s.service) INTO place
        FROM script_parameter p JOIN service s USING (script)
        WHERE (p.default_value = name AND p.type = kind OR kind = 'trunk' AND p.type = 'target' AND p.default_value ~ target)
            AND NOT EXISTS (SELECT FROM service_parameter v WHERE v.service = s.service AND v.parameter = p.parameter) LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION '% "%" is in use', kind, name USING
            ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'what_a_service_names_must_exist',
            DETAIL = format('It is the value of %s.', place),
            HINT = 'Change that parameter in the same transaction. Who names it: SELECT * FROM service_parameter WHERE value LIKE ' || quote_literal('%' || name || '%') || '.';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION check_default_numbering_plan() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM numbering_plan WHERE numbering_plan = 'default') THEN
        RAISE EXCEPTION 'the numbering plan "default" cannot go' USING
            ERRCODE = 'restrict_violation', TABLE = 'numbering_plan', CONSTRAINT = 'there_is_a_numbering_plan_named_default',
            DETAIL = 'It holds for all trunks that name none, and for calls that come in on no trunk that is known: without it what they dial with a leading 0 would be nobody''s number.',
            HINT = 'Change its columns, or give trunks a plan of their own and leave this one.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_default_numbering_plan() IS 'Refuses, at COMMIT, to delete or rename the numbering plan named default';
CREATE CONSTRAINT TRIGGER check_default_numbering_plan AFTER DELETE OR UPDATE OF numbering_plan ON numbering_plan
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.numbering_plan = 'default') EXECUTE FUNCTION check_default_numbering_plan();
