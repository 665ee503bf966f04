-- Scripts may have tariffs and limits as parameters.

ALTER TABLE script_parameter DROP CONSTRAINT type_of_a_parameter_is_known, ADD CONSTRAINT type_of_a_parameter_is_known CHECK (type IN ('account', 'calendar', 'call_limit', 'distribution', 'integer',
    'number', 'prompt', 'screening_list', 'target', 'tariff', 'text', 'translation_table', 'trunk'));

CREATE OR REPLACE FUNCTION parameter_fault(type text, value text) RETURNS text LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    one    text;
    exists boolean;
BEGIN
    IF type IS NULL THEN
        RETURN NULL;
    END IF;
    CASE type
    WHEN 'text' THEN
        RETURN NULL;
    WHEN 'integer' THEN
        RETURN CASE WHEN value !~ '^-?[0-9]{1,18}$' THEN format('"%s" is not a whole number', value) END;
    WHEN 'number' THEN
        RETURN CASE WHEN value !~ '^\+?[0-9*#]{1,32}$' THEN format('"%s" is not a number of up to 32 digits, * or #', value) END;
    WHEN 'target' THEN
        FOREACH one IN ARRAY string_to_array(value, ',') LOOP
            IF one !~ '^\+?[0-9*#]{1,32}@[A-Za-z0-9][A-Za-z0-9_-]{0,39}$' THEN
                RETURN format('"%s" is not a target: write number@trunk, several with commas between and no blanks', one);
            END IF;
            IF NOT EXISTS (SELECT FROM trunk t WHERE t.trunk = split_part(one, '@', 2)) THEN
                RETURN format('trunk "%s" does not exist', split_part(one, '@', 2));
            END IF;
        END LOOP;
        RETURN CASE WHEN value = '' THEN 'a target is empty' END;
    WHEN 'account', 'calendar', 'call_limit', 'distribution', 'tariff', 'prompt', 'screening_list', 'translation_table', 'trunk' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$I AS t WHERE t.%1$I = $1)', type) INTO exists USING value;
        RETURN CASE WHEN NOT exists THEN format('%s "%s" does not exist', type, value) END;
    END CASE;
END $$;

CREATE OR REPLACE FUNCTION check_service_parameter() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    owner text;
    type  text;
    fault text;
    names text;
BEGIN
    -- At COMMIT: what the row is by now, if it is still there.
    SELECT s.script, p.type, parameter_fault(p.type, v.value) INTO owner, type, fault
    FROM service_parameter v JOIN service s USING (service)
    LEFT JOIN script_parameter p ON p.script = s.script AND p.parameter = v.parameter
    WHERE v.service = NEW.service AND v.parameter = NEW.parameter;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF type IS NULL THEN
        SELECT string_agg(parameter, ', ' ORDER BY parameter) INTO names FROM script_parameter WHERE script = owner;
        RAISE EXCEPTION 'script "%" has no parameter "%"', owner, NEW.parameter USING
            ERRCODE = 'foreign_key_violation', TABLE = 'service_parameter', CONSTRAINT = 'parameter_of_a_service_is_one_of_its_script',
            DETAIL = format('Service %s follows script %s.', NEW.service, owner),
            HINT = 'Its parameters are: ' || coalesce(names, 'none') || '.';
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault USING
            ERRCODE = 'check_violation', TABLE = 'service_parameter', CONSTRAINT = 'value_of_a_parameter_fits_its_type',
            DETAIL = format('Parameter %s of service %s is of type %s.', NEW.parameter, NEW.service, type),
            HINT = CASE WHEN type IN ('account', 'calendar', 'call_limit', 'distribution', 'tariff', 'prompt', 'screening_list', 'translation_table', 'trunk')
                THEN format('Insert it into %s in the same transaction, or name one that is there.', type)
                ELSE 'Write the value as the comment on script_parameter.type says.' END;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER check_still_named AFTER DELETE OR UPDATE OF call_limit ON call_limit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_still_named('call_limit');
CREATE CONSTRAINT TRIGGER check_still_named AFTER DELETE OR UPDATE OF account ON account
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_still_named('account');

COMMENT ON COLUMN script_parameter.type IS 'account, calendar, call_limit, distribution, prompt, screening_list, tariff, translation_table, trunk: the name of a row there. target: number@trunk, several with commas. integer, number, text: as they are';
