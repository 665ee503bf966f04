-- What a constraint cannot say: refusals that need another table, each with what to do about it.

CREATE FUNCTION check_time_zone() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    place text := lower(regexp_replace(NEW.time_zone, '^.*/', ''));
    near  text;
BEGIN
    -- pg_timezone_names reads every zone file, so a zone that is in use already is not looked up again.
    IF EXISTS (SELECT FROM calendar WHERE time_zone = NEW.time_zone)
        OR EXISTS (SELECT FROM pg_timezone_names WHERE name = NEW.time_zone AND name !~ '^(posix|right)/' AND name NOT IN ('localtime', 'posixrules')) THEN
        RETURN NEW;
    END IF;
    SELECT string_agg(name, ', ' ORDER BY name) INTO near FROM (
        SELECT name FROM pg_timezone_names
        WHERE name LIKE '%/%' AND name !~ '^(posix|right|Etc)/' AND left(lower(regexp_replace(name, '^.*/', '')), 3) = left(place, 3)
        ORDER BY name LIMIT 5) AS n;
    RAISE EXCEPTION 'time zone "%" does not exist', NEW.time_zone USING
        ERRCODE = 'check_violation', TABLE = 'calendar', COLUMN = 'time_zone', CONSTRAINT = 'time_zone_is_in_pg_timezone_names',
        DETAIL = format('Calendar %s needs a time zone of the IANA database, spelt as it is there, with its capitals.', NEW.calendar),
        HINT = coalesce('Did you mean ' || near || '? ', '') || 'All names: SELECT name FROM pg_timezone_names.';
END $$;
COMMENT ON FUNCTION check_time_zone() IS 'Refuses calendars in a time zone that does not exist';
CREATE TRIGGER check_time_zone BEFORE INSERT OR UPDATE OF time_zone ON calendar FOR EACH ROW EXECUTE FUNCTION check_time_zone();

-- In prefix tables and lists the keys are digits. Checked once per statement, so that millions of rows load fast.
CREATE FUNCTION check_prefix_keys() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    IF TG_TABLE_NAME = 'translation' THEN
        SELECT w.translation_table AS owner, w.key AS key INTO bad FROM written w JOIN translation_table p USING (translation_table)
        WHERE p.match = 'prefix' AND w.key !~ '^[0-9*#]{0,32}$' LIMIT 1;
    ELSE
        SELECT w.screening_list AS owner, w.entry AS key INTO bad FROM written w JOIN screening_list p USING (screening_list)
        WHERE p.match = 'prefix' AND w.entry !~ '^[0-9*#]{1,32}$' LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION '"%" is not a prefix', bad.key USING
            ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'keys_of_a_prefix_table_are_digits',
            DETAIL = format('%s compares by prefix, so what stands in it is up to 32 digits, * or #.', bad.owner),
            HINT = 'Write E.164 digits without + and blanks, or set match to exact in the table or list.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_prefix_keys() IS 'Refuses keys that are not digits in tables and lists that compare by prefix';
CREATE TRIGGER check_prefix_keys_inserted AFTER INSERT ON translation REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_prefix_keys();
CREATE TRIGGER check_prefix_keys_updated AFTER UPDATE ON translation REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_prefix_keys();
CREATE TRIGGER check_prefix_keys_inserted AFTER INSERT ON screening_entry REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_prefix_keys();
CREATE TRIGGER check_prefix_keys_updated AFTER UPDATE ON screening_entry REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_prefix_keys();

-- What a parameter of some type may be. Returns what is wrong with it, or NULL.
CREATE FUNCTION parameter_fault(type text, value text) RETURNS text LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
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
    WHEN 'calendar', 'distribution', 'prompt', 'screening_list', 'translation_table', 'trunk' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$I AS t WHERE t.%1$I = $1)', type) INTO exists USING value;
        RETURN CASE WHEN NOT exists THEN format('%s "%s" does not exist', type, value) END;
    END CASE;
END $$;
COMMENT ON FUNCTION parameter_fault(text, text) IS 'What is wrong with a value of a parameter''s type, or NULL';

CREATE FUNCTION check_service_parameter() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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
            HINT = CASE WHEN type IN ('calendar', 'distribution', 'prompt', 'screening_list', 'translation_table', 'trunk')
                THEN format('Insert it into %s in the same transaction, or name one that is there.', type)
                ELSE 'Write the value as the comment on script_parameter.type says.' END;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_service_parameter() IS 'Refuses, at COMMIT, parameters that the script does not have or that do not fit their type';
CREATE CONSTRAINT TRIGGER check_service_parameter AFTER INSERT OR UPDATE ON service_parameter
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_service_parameter();

CREATE FUNCTION check_service_is_complete() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    name    text := CASE WHEN TG_OP = 'DELETE' THEN OLD.service ELSE NEW.service END;
    owner   text;
    missing text;
    unknown text;
BEGIN
    SELECT script INTO owner FROM service WHERE service = name;
    IF NOT FOUND THEN
        RETURN NULL; -- gone by now
    END IF;
    SELECT string_agg(p.parameter, ', ' ORDER BY p.parameter) INTO missing FROM script_parameter p
    WHERE p.script = owner AND p.default_value IS NULL
        AND NOT EXISTS (SELECT FROM service_parameter v WHERE v.service = name AND v.parameter = p.parameter);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'service "%" lacks: %', name, missing USING
            ERRCODE = 'not_null_violation', TABLE = 'service_parameter', CONSTRAINT = 'a_service_gives_every_required_parameter',
            DETAIL = format('Script %s has no default for it.', owner),
            HINT = format('INSERT INTO service_parameter (service, parameter, value) VALUES (''%s'', ''%s'', …) in the same transaction.', name, split_part(missing, ',', 1));
    END IF;
    SELECT string_agg(v.parameter, ', ' ORDER BY v.parameter) INTO unknown FROM service_parameter v
    WHERE v.service = name AND NOT EXISTS (SELECT FROM script_parameter p WHERE p.script = owner AND p.parameter = v.parameter);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'script "%" of service "%" has no parameter: %', owner, name, unknown USING
            ERRCODE = 'foreign_key_violation', TABLE = 'service_parameter', CONSTRAINT = 'parameter_of_a_service_is_one_of_its_script',
            HINT = 'Delete it from service_parameter in the same transaction.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_service_is_complete() IS 'Refuses, at COMMIT, a service whose parameters are not those of its script';
CREATE CONSTRAINT TRIGGER check_service_is_complete AFTER INSERT OR UPDATE OF script ON service
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_service_is_complete();
CREATE CONSTRAINT TRIGGER check_service_is_complete AFTER DELETE ON service_parameter
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_service_is_complete();

-- A script's parameters cannot change under the services that follow it.
CREATE FUNCTION check_script_parameter() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    owner label := CASE WHEN TG_OP = 'DELETE' THEN OLD.script ELSE NEW.script END;
    name  text := CASE WHEN TG_OP = 'DELETE' THEN OLD.parameter ELSE NEW.parameter END;
    held  script_parameter;
    other record;
BEGIN
    SELECT * INTO held FROM script_parameter WHERE script = owner AND parameter = name;
    IF NOT FOUND THEN
        SELECT v.service INTO other FROM service_parameter v JOIN service s USING (service) WHERE s.script = owner AND v.parameter = name LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'parameter "%" of script "%" is in use', name, owner USING
                ERRCODE = 'foreign_key_violation', TABLE = 'script_parameter', CONSTRAINT = 'parameter_of_a_service_is_one_of_its_script',
                DETAIL = format('Service %s gives it.', other.service),
                HINT = 'Delete it from service_parameter in the same transaction.';
        END IF;
        RETURN NULL;
    END IF;
    IF held.default_value IS NULL THEN
        SELECT s.service INTO other FROM service s
        WHERE s.script = owner AND NOT EXISTS (SELECT FROM service_parameter v WHERE v.service = s.service AND v.parameter = name) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'service "%" lacks: %', other.service, name USING
                ERRCODE = 'not_null_violation', TABLE = 'script_parameter', CONSTRAINT = 'a_service_gives_every_required_parameter',
                DETAIL = format('Parameter %s of script %s has no default, and the service follows that script.', name, owner),
                HINT = 'Give the parameter a default_value, or give it to every service of the script in the same transaction.';
        END IF;
    END IF;
    SELECT v.service, parameter_fault(held.type, v.value) AS fault INTO other
    FROM service_parameter v JOIN service s USING (service)
    WHERE s.script = owner AND v.parameter = name AND parameter_fault(held.type, v.value) IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '%', other.fault USING
            ERRCODE = 'check_violation', TABLE = 'script_parameter', CONSTRAINT = 'value_of_a_parameter_fits_its_type',
            DETAIL = format('Service %s gives that to parameter %s, which would be of type %s.', other.service, name, held.type),
            HINT = 'Change the values in service_parameter in the same transaction.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_script_parameter() IS 'Refuses, at COMMIT, changes of a script''s parameters that its services don''t go along with';
CREATE CONSTRAINT TRIGGER check_script_parameter AFTER INSERT OR UPDATE OR DELETE ON script_parameter
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_script_parameter();

-- A row that a service names in a parameter cannot go away under it. The argument is the parameters' type.
CREATE FUNCTION check_still_named() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    kind text := TG_ARGV[0];
    name text := to_jsonb(OLD) ->> TG_ARGV[0];
    user_of_it text;
    there boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$I AS t WHERE t.%1$I = $1)', kind) INTO there USING name;
    IF there THEN
        RETURN NULL; -- put back in the same transaction
    END IF;
    SELECT v.service || '.' || v.parameter INTO user_of_it
    FROM service_parameter v JOIN service s USING (service) JOIN script_parameter p ON p.script = s.script AND p.parameter = v.parameter
    WHERE v.value = name AND p.type = kind LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% "%" is in use', kind, name USING
            ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'what_a_service_names_must_exist',
            DETAIL = format('It is the value of the service parameter %s.', user_of_it),
            HINT = 'Change that parameter in the same transaction. Who names it: SELECT * FROM service_parameter WHERE value = ' || quote_literal(name) || '.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_still_named() IS 'Refuses, at COMMIT, to delete or rename what a service names in a parameter';
DO $$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['calendar', 'distribution', 'prompt', 'screening_list', 'translation_table', 'trunk'] LOOP
        EXECUTE format('CREATE CONSTRAINT TRIGGER check_still_named AFTER DELETE OR UPDATE OF %1$I ON %1$I
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_still_named(%1$L)', kind);
    END LOOP;
END $$;
