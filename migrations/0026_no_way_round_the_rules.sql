-- Ways round the rules, closed: borrowed trigger functions, TRUNCATE, renamed keys, two operators at once, days that no engine can use; and
-- refusals that lacked advice.

-- Functions that do more than their caller may --------------------------------------------------------------------------
--
-- Whoever may EXECUTE a trigger function may hang it on a temporary table of their own, and so have it write what they like: money, history. Firing a
-- trigger needs no EXECUTE, so nobody needs it. Those that are meant to be called were granted to roles by name.
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', one);
    END LOOP;
END $$;

-- Edits -----------------------------------------------------------------------------------------------------------------

-- Reasons and comments stand in tables that people read in a terminal.
CREATE FUNCTION plain_text(said text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT nullif(btrim(regexp_replace(said, '[\u0001-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]+', ' ', 'g')), '')
$$;
COMMENT ON FUNCTION plain_text(text) IS 'What somebody said, without characters that control a terminal; NULL when nothing is left';
ALTER TABLE audit_entry ALTER COLUMN comment SET DEFAULT plain_text(current_setting('ringmaster.comment', true));

CREATE OR REPLACE FUNCTION confirm_mass_change(reason text) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF plain_text(reason) IS NULL THEN
        RAISE EXCEPTION 'a mass change needs a reason' USING ERRCODE = 'check_violation',
            DETAIL = 'None was given.',
            HINT = 'SELECT confirm_mass_change(''customer widgets has left''). The reason is kept in audit_log.';
    END IF;
    PERFORM set_config('ringmaster.confirmed', plain_text(reason), true);
END $$;

CREATE FUNCTION this_edit() RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    number bigint;
BEGIN
    SELECT e.edit INTO number FROM config_edit e WHERE e.transaction = pg_current_xact_id();
    IF NOT FOUND THEN -- counted already, by SET CONSTRAINTS ALL IMMEDIATE: this goes into another revision of the same transaction
        SET CONSTRAINTS count_config_revision DEFERRED;
        INSERT INTO config_edit (transaction) VALUES (pg_current_xact_id()) RETURNING config_edit.edit INTO number;
    END IF;
    RETURN number;
END $$;
COMMENT ON FUNCTION this_edit() IS 'The number of the edit that this transaction is making';
REVOKE EXECUTE ON FUNCTION this_edit() FROM PUBLIC;

-- Deferred triggers fire in the order in which they were put off. note_config_edit now fires before the first statement does anything, so this one is the first
-- at COMMIT, and the checks that read other rows (check_still_named, check_service_parameter and all others, and deferred foreign keys) come after it, while no other edit can commit:
-- of two operators at once the second sees what the first has done. Nobody waits for who leaves a transaction open, but after SET CONSTRAINTS ALL IMMEDIATE, by which
-- the lock is taken at once and kept until the end.
CREATE OR REPLACE FUNCTION count_config_revision() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    new_revision bigint;
BEGIN
    PERFORM FROM config_revision FOR UPDATE;
    -- A deferred foreign key may wait for a row that somebody has deleted and not committed, and everybody would wait with it.
    IF current_setting('lock_timeout') = '0' THEN
        PERFORM set_config('lock_timeout', '2s', true);
    END IF;
    DELETE FROM config_edit WHERE transaction = NEW.transaction;
    IF NOT EXISTS (SELECT FROM audit_entry a WHERE a.edit = NEW.edit AND a.operation <> 'CONFIRM') THEN
        RETURN NULL; -- nothing was changed
    END IF;
    UPDATE config_revision SET revision = revision + 1, changed_at = now(), changed_by = session_user RETURNING revision INTO new_revision;
    INSERT INTO config_history (revision, edit, comment) VALUES (new_revision, NEW.edit, plain_text(current_setting('ringmaster.comment', true)));
    PERFORM pg_notify('ringmaster_config', new_revision::text);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_config_revision() IS 'Lets one edit commit at a time, counts the new config revision if something was changed, and tells the engines (channel ringmaster_config)';
COMMENT ON FUNCTION note_config_edit() IS 'Remembers, before anything else, that this transaction is about to change operators'' tables';

-- As in 0006, but that TRUNCATE keeps the rows too, up to as many as other statements.
CREATE OR REPLACE FUNCTION note_config_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    most      CONSTANT bigint := 10000; -- rows of one statement that are noted one by one
    kind      text := TG_ARGV[0];
    object_column text := nullif(TG_ARGV[1], '');
    key_column text := nullif(TG_ARGV[2], '');
    secret    text := nullif(TG_ARGV[3], '');
    edit_now  bigint;
    mark      bigint;
    n         bigint;
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN SELECT count(*) INTO n FROM is_now;
        WHEN 'TRUNCATE' THEN EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT $1) AS t', TG_TABLE_NAME) INTO n USING most + 1;
        ELSE SELECT count(*) INTO n FROM was;
    END CASE;
    IF n = 0 THEN
        RETURN NULL;
    END IF;
    edit_now := this_edit();
    IF n > most THEN
        INSERT INTO audit_entry (edit, table_name, operation, rows) VALUES (edit_now, TG_TABLE_NAME, TG_OP, CASE WHEN TG_OP <> 'TRUNCATE' THEN n END);
        IF kind <> '' THEN
            INSERT INTO config_change VALUES (edit_now, CASE kind WHEN 'small' THEN 'small' ELSE '*' END, '', '') ON CONFLICT DO NOTHING;
        END IF;
        RETURN NULL;
    END IF;
    mark := nextval('audit_entry_audit_id_seq');
    CASE TG_OP
        WHEN 'INSERT' THEN
            INSERT INTO audit_entry (edit, table_name, operation, row_key, after)
            SELECT edit_now, TG_TABLE_NAME, 'INSERT', concat_ws('.', image ->> TG_ARGV[4], image ->> TG_ARGV[5], image ->> TG_ARGV[6]), redact(image, secret)
            FROM (SELECT to_jsonb(r) AS image FROM is_now r) AS i;
        WHEN 'DELETE' THEN
            INSERT INTO audit_entry (edit, table_name, operation, row_key, before)
            SELECT edit_now, TG_TABLE_NAME, 'DELETE', concat_ws('.', image ->> TG_ARGV[4], image ->> TG_ARGV[5], image ->> TG_ARGV[6]), redact(image, secret)
            FROM (SELECT to_jsonb(r) AS image FROM was r) AS i;
        WHEN 'TRUNCATE' THEN
            EXECUTE format('INSERT INTO audit_entry (edit, table_name, operation, row_key, before)
                SELECT $1, $2, ''DELETE'', concat_ws(''.'', image ->> $3, image ->> $4, image ->> $5), redact(image, $6)
                FROM (SELECT to_jsonb(r) AS image FROM %I r) AS i', TG_TABLE_NAME) USING edit_now, TG_TABLE_NAME, TG_ARGV[4], TG_ARGV[5], TG_ARGV[6], secret;
        WHEN 'UPDATE' THEN
            INSERT INTO audit_entry (edit, table_name, operation, row_key, before, after)
            SELECT edit_now, TG_TABLE_NAME, CASE WHEN o.image IS NULL THEN 'INSERT' WHEN i.image IS NULL THEN 'DELETE' ELSE 'UPDATE' END, row_key,
                redact(o.image, secret), redact(i.image, secret)
            FROM (SELECT image, concat_ws('.', image ->> TG_ARGV[4], image ->> TG_ARGV[5], image ->> TG_ARGV[6]) AS row_key
                  FROM (SELECT to_jsonb(r) AS image FROM was r) AS x) AS o
            FULL JOIN (SELECT image, concat_ws('.', image ->> TG_ARGV[4], image ->> TG_ARGV[5], image ->> TG_ARGV[6]) AS row_key
                  FROM (SELECT to_jsonb(r) AS image FROM is_now r) AS x) AS i USING (row_key)
            WHERE o.image IS DISTINCT FROM i.image;
    END CASE;
    IF kind <> '' THEN
        INSERT INTO config_change (edit, kind, object, key)
        SELECT DISTINCT edit_now, kind, coalesce(image ->> object_column, ''), coalesce(image ->> key_column, '')
        FROM audit_entry a, unnest(ARRAY[a.before, a.after]) AS image
        WHERE a.audit_id > mark AND a.edit = edit_now AND image IS NOT NULL
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON COLUMN audit_entry.operation IS 'What happened to the row: INSERT, UPDATE or DELETE (a changed key is a DELETE and an INSERT; so is each row that a TRUNCATE deletes). TRUNCATE: the whole table, of more than 10000 rows. CONFIRM: a mass change was confirmed';
COMMENT ON COLUMN audit_log.operation IS 'What happened to the row: INSERT, UPDATE or DELETE (a changed key is a DELETE and an INSERT; so is each row that a TRUNCATE deletes). TRUNCATE: the whole table, of more than 10000 rows. CONFIRM: a mass change was confirmed';

-- Mass changes ----------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION hold_mass_change(changed text, what text, detail text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    reason   text := plain_text(current_setting('ringmaster.confirmed', true));
    edit_now bigint;
BEGIN
    IF reason IS NULL THEN
        RAISE EXCEPTION '% needs a confirmation', what USING
            ERRCODE = 'RM001', TABLE = changed, CONSTRAINT = 'mass_changes_are_confirmed',
            DETAIL = detail || ' Nothing was changed.',
            HINT = 'If it is meant: BEGIN; SELECT confirm_mass_change(''why''); then the statement again, and COMMIT.';
    END IF;
    edit_now := this_edit();
    IF EXISTS (SELECT FROM audit_entry a WHERE a.edit = edit_now AND a.table_name = changed AND a.operation = 'CONFIRM') THEN
        RETURN;
    END IF;
    INSERT INTO audit_entry (edit, table_name, operation, rows, after)
    VALUES (edit_now, changed, 'CONFIRM', NULL, jsonb_build_object('reason', reason, 'confirmed', what));
END $$;

-- As in 0007, but that TRUNCATE is refused where rows have rules, and that the numbers do not all go unasked, however few.
CREATE OR REPLACE FUNCTION check_mass_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    least   CONSTANT bigint := 50; -- rows of a table that is worth holding
    counter CONSTANT text := 'ringmaster.deleted_' || TG_TABLE_NAME;
    n       bigint;
    deleted bigint;
    others  bigint;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        -- Whatever looks at each row that is deleted does not see this one. session_key says it by itself.
        IF TG_TABLE_NAME <> 'session_key' AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = TG_RELID AND NOT tgisinternal AND (tgtype & 9) = 9) THEN -- DELETE FOR EACH ROW
            RAISE EXCEPTION 'TRUNCATE of % is refused', TG_TABLE_NAME USING
                ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'rows_with_rules_are_not_truncated',
                DETAIL = format('TRUNCATE, by CASCADE too, looks at no single row, and so passes by what must hold for those of %s, such as that nothing goes that a service needs.', TG_TABLE_NAME),
                HINT = format('DELETE FROM %s looks at each. To delete many rows: BEGIN; SELECT confirm_mass_change(''why''); DELETE …; COMMIT.', TG_TABLE_NAME);
        END IF;
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT 1) AS t', TG_TABLE_NAME) INTO n;
        IF n > 0 THEN
            PERFORM hold_mass_change(TG_TABLE_NAME, 'TRUNCATE of ' || TG_TABLE_NAME, 'It empties the table.');
        END IF;
        RETURN NULL;
    END IF;
    SELECT count(*) INTO n FROM was;
    IF n = 0 THEN
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'service_number' THEN
        IF EXISTS (SELECT FROM was WHERE to_jsonb(was) ->> 'number' = '' AND to_jsonb(was) ->> 'match' = 'prefix')
            AND NOT EXISTS (SELECT FROM service_number WHERE number = '' AND match = 'prefix') THEN
            PERFORM hold_mass_change(TG_TABLE_NAME, 'losing the default route',
                'The number with the empty prefix answers for all numbers that have no service; without it their callers hear that the number does not exist.');
        ELSIF n > 1 AND NOT EXISTS (SELECT FROM service_number) THEN
            PERFORM hold_mass_change(TG_TABLE_NAME, 'deleting all of service_number', format('No call would be answered any more. It deletes %s rows; is a WHERE missing?', n));
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF n >= least THEN
            EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT $1) AS t', TG_TABLE_NAME) INTO others USING n + 1;
            IF others = n THEN
                PERFORM hold_mass_change(TG_TABLE_NAME, format('an UPDATE of every row of %s', TG_TABLE_NAME), format('It would change %s rows; is a WHERE missing?', n));
            END IF;
        END IF;
        RETURN NULL;
    END IF;
    -- All that this transaction has deleted counts; a savepoint that is rolled back takes its share back.
    deleted := n + coalesce(nullif(current_setting(counter, true), '')::bigint, 0);
    PERFORM set_config(counter, deleted::text, true);
    IF deleted * 5 > least THEN
        -- A fifth of what was there: fewer than four times as many are left.
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT $1) AS t', TG_TABLE_NAME) INTO others USING greatest(4 * deleted, least);
        IF others < 4 * deleted AND others + deleted >= least THEN
            PERFORM hold_mass_change(TG_TABLE_NAME, format('deleting more than a fifth of %s', TG_TABLE_NAME),
                format('This transaction deletes %s of %s rows.', deleted, others + deleted));
        END IF;
    END IF;
    RETURN NULL;
END $$;

-- On all operators' tables, and on those to come.
DO $$
DECLARE
    t record;
    was  text := pg_get_functiondef('make_operator_table(text,text,text,text,text,text[])'::regprocedure);
    made CONSTANT text := replace(replace(was, 'note_config_edit AFTER INSERT', 'note_config_edit BEFORE INSERT'), 'AFTER TRUNCATE', 'BEFORE TRUNCATE');
BEGIN
    IF made NOT LIKE '%note_config_edit BEFORE INSERT%note_config_rows_truncated BEFORE TRUNCATE%' THEN
        RAISE EXCEPTION 'make_operator_table is not what migration 0011 made';
    END IF;
    EXECUTE made;
    FOR t IN SELECT tgrelid::regclass AS name FROM pg_trigger WHERE tgname = 'note_config_edit' LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER note_config_edit BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION note_config_edit()', t.name);
    END LOOP;
    FOR t IN SELECT pg_get_triggerdef(oid) AS was FROM pg_trigger WHERE tgname = 'note_config_rows_truncated' LOOP
        EXECUTE replace(replace(t.was, 'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'), ' AFTER TRUNCATE', ' BEFORE TRUNCATE');
    END LOOP;
END $$;

-- Days ------------------------------------------------------------------------------------------------------------------

-- Engines know the years 1 to 9999, and refused the whole calendar for one day beyond. What stands there already stays, and in config_problem: an operator decides.
ALTER TABLE calendar_holiday ADD CONSTRAINT holiday_is_in_the_years_1_to_9999 CHECK (holiday BETWEEN '0001-01-01' AND '9999-12-31') NOT VALID;
ALTER TABLE calendar_window ADD CONSTRAINT valid_from_and_valid_to_are_in_the_years_1_to_9999 CHECK (
    (valid_from BETWEEN '0001-01-01' AND '9999-12-31' OR valid_from = '-infinity') AND (valid_to BETWEEN '0001-01-02' AND '9999-12-31' OR valid_to = 'infinity')) NOT VALID;
DO $$
BEGIN
    ALTER TABLE calendar_holiday VALIDATE CONSTRAINT holiday_is_in_the_years_1_to_9999;
    ALTER TABLE calendar_window VALIDATE CONSTRAINT valid_from_and_valid_to_are_in_the_years_1_to_9999;
EXCEPTION
    WHEN check_violation THEN
        RAISE WARNING 'a calendar has days beyond the years 1 to 9999, which no engine can use' USING HINT = 'SELECT * FROM config_problem names it: delete the holiday, or change the window.';
END $$;

-- Renamed keys ----------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION check_service_is_complete() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    -- Of a parameter, the service that it was taken from: deleted, renamed or given to another.
    name    text := CASE WHEN TG_TABLE_NAME = 'service' THEN NEW.service ELSE OLD.service END;
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
            DETAIL = format('Service %s gives it.', name),
            HINT = 'Delete it from service_parameter in the same transaction.';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER check_service_is_complete_renamed AFTER UPDATE OF service, parameter ON service_parameter DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.service <> NEW.service OR OLD.parameter <> NEW.parameter) EXECUTE FUNCTION check_service_is_complete();

CREATE OR REPLACE FUNCTION check_script_parameter() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    key   record;
    held  script_parameter;
    other record;
BEGIN
    -- What it was called before too: services may still give that.
    FOR key IN SELECT DISTINCT k.script, k.parameter FROM (VALUES (OLD.script, OLD.parameter), (NEW.script, NEW.parameter)) AS k (script, parameter) WHERE k.script IS NOT NULL LOOP
        SELECT * INTO held FROM script_parameter WHERE script = key.script AND parameter = key.parameter;
        IF NOT FOUND THEN
            SELECT v.service INTO other FROM service_parameter v JOIN service s USING (service) WHERE s.script = key.script AND v.parameter = key.parameter LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'parameter "%" of script "%" is in use', key.parameter, key.script USING
                    ERRCODE = 'foreign_key_violation', TABLE = 'script_parameter', CONSTRAINT = 'parameter_of_a_service_is_one_of_its_script',
                    DETAIL = format('Service %s gives it.', other.service),
                    HINT = 'Delete it from service_parameter, or rename it there, in the same transaction.';
            END IF;
            CONTINUE;
        END IF;
        IF held.default_value IS NULL THEN
            SELECT s.service INTO other FROM service s
            WHERE s.script = key.script AND NOT EXISTS (SELECT FROM service_parameter v WHERE v.service = s.service AND v.parameter = key.parameter) LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'service "%" lacks: %', other.service, key.parameter USING
                    ERRCODE = 'not_null_violation', TABLE = 'script_parameter', CONSTRAINT = 'a_service_gives_every_required_parameter',
                    DETAIL = format('Parameter %s of script %s has no default, and the service follows that script.', key.parameter, key.script),
                    HINT = 'Give the parameter a default_value, or give it to every service of the script in the same transaction.';
            END IF;
        END IF;
        SELECT v.service, parameter_fault(held.type, v.value) AS fault INTO other
        FROM service_parameter v JOIN service s USING (service)
        WHERE s.script = key.script AND v.parameter = key.parameter AND parameter_fault(held.type, v.value) IS NOT NULL LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION '%', other.fault USING
                ERRCODE = 'check_violation', TABLE = 'script_parameter', CONSTRAINT = 'value_of_a_parameter_fits_its_type',
                DETAIL = format('Service %s gives that to parameter %s, which would be of type %s.', other.service, key.parameter, held.type),
                HINT = 'Change the values in service_parameter in the same transaction.';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- With deferred foreign keys the rows of a table or list may be there before it is.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['translation_table', 'screening_list'] LOOP
        EXECUTE format('CREATE CONSTRAINT TRIGGER check_match_made AFTER INSERT ON %I DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.match = ''prefix'') EXECUTE FUNCTION check_match()', name);
        EXECUTE format('CREATE CONSTRAINT TRIGGER check_match_renamed AFTER UPDATE OF %1$I ON %1$I DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.match = ''prefix'' AND OLD.%1$I <> NEW.%1$I) EXECUTE FUNCTION check_match()', name);
    END LOOP;
END $$;

-- Refusals with advice --------------------------------------------------------------------------------------------------

-- A number. Postgres says of a domain neither which value it was nor what to do, so the domain's rule is the table's now, and a trigger speaks first.
ALTER TABLE service_number ALTER COLUMN number TYPE text,
    ADD CONSTRAINT e164_number_is_up_to_15_digits_country_code_first_without_plus CHECK (number ~ '^([1-9][0-9]{0,14})?$');
CREATE FUNCTION refuse_number() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    digits  text := regexp_replace(NEW.number, '[ ()/.-]', '', 'g');
    meant   text;
BEGIN
    -- As a caller would dial it.
    SELECT CASE WHEN digits LIKE '+%' THEN substr(digits, 2)
        WHEN starts_with(digits, p.international_prefix) THEN substr(digits, length(p.international_prefix) + 1)
        WHEN starts_with(digits, p.national_prefix) THEN p.country_code || substr(digits, length(p.national_prefix) + 1)
        ELSE digits END
    INTO meant FROM numbering_plan p WHERE p.numbering_plan = 'default';
    RAISE EXCEPTION '"%" is not an E.164 number', left(NEW.number, 40) USING
        ERRCODE = 'check_violation', TABLE = 'service_number', COLUMN = 'number', CONSTRAINT = 'e164_number_is_up_to_15_digits_country_code_first_without_plus',
        DETAIL = format('It stands in the row for service %s. It has up to 15 digits, the country code first, without +, blanks and leading 0.', NEW.service),
        HINT = CASE WHEN meant ~ '^[1-9][0-9]{1,14}$' THEN format('Did you mean %s?', meant) ELSE 'For example 498001234567, whatever callers dial before it.' END;
END $$;
COMMENT ON FUNCTION refuse_number() IS 'Says which number cannot be, and what was probably meant';
CREATE TRIGGER refuse_number BEFORE INSERT OR UPDATE OF number ON service_number FOR EACH ROW WHEN (NEW.number !~ '^([1-9][0-9]{0,14})?$') EXECUTE FUNCTION refuse_number();

-- Prices, likewise.
ALTER TABLE tariff_rate ALTER COLUMN price_per_minute TYPE numeric(18,6), ALTER COLUMN connect_fee TYPE numeric(18,6),
    ALTER COLUMN minimum_charge TYPE numeric(18,6), ALTER COLUMN maximum_charge TYPE numeric(18,6),
    ADD CONSTRAINT a_price_is_0_to_1000000 CHECK (price_per_minute BETWEEN 0 AND 1000000 AND connect_fee BETWEEN 0 AND 1000000
        AND minimum_charge BETWEEN 0 AND 1000000 AND maximum_charge BETWEEN 0 AND 1000000);
CREATE FUNCTION refuse_price() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT * INTO bad FROM (VALUES ('price_per_minute', NEW.price_per_minute), ('connect_fee', NEW.connect_fee), ('minimum_charge', NEW.minimum_charge),
        ('maximum_charge', NEW.maximum_charge)) AS p (name, price) WHERE NOT p.price BETWEEN 0 AND 1000000 LIMIT 1;
    RAISE EXCEPTION '% cannot be %', bad.name, trim_scale(bad.price) USING
        ERRCODE = 'check_violation', TABLE = 'tariff_rate', COLUMN = bad.name, CONSTRAINT = 'a_price_is_0_to_1000000',
        DETAIL = format('It stands in the rate of tariff %s for prefix "%s". Prices are 0 to 1000000, in the currency of the tariff.', NEW.tariff, NEW.prefix),
        HINT = 'What costs nothing has the price 0. What a call brings to somebody is a share, a parameter of the service.';
END $$;
COMMENT ON FUNCTION refuse_price() IS 'Says which price of a rate cannot be';
CREATE TRIGGER refuse_price BEFORE INSERT OR UPDATE ON tariff_rate FOR EACH ROW
    WHEN (NOT (NEW.price_per_minute BETWEEN 0 AND 1000000 AND NEW.connect_fee BETWEEN 0 AND 1000000 AND NEW.minimum_charge BETWEEN 0 AND 1000000 AND NEW.maximum_charge BETWEEN 0 AND 1000000))
    EXECUTE FUNCTION refuse_price();

-- Names that lead nowhere. Each is put off as its foreign key is, and by its capital it fires before the key's own trigger (RI_…), which has no advice. In DETAIL stands what
-- Postgres would have said.
CREATE FUNCTION check_named() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    there  boolean;
    kind   text;
    named  text;
    key    text;
    advice text;
BEGIN
    -- At COMMIT the row may be another by now.
    CASE TG_ARGV[0]
    WHEN 'service_of_a_number_must_exist' THEN
        there := EXISTS (SELECT FROM service WHERE service = NEW.service)
            OR NOT EXISTS (SELECT FROM service_number WHERE number = NEW.number AND match = NEW.match AND service = NEW.service);
        kind := 'service'; named := NEW.service; key := format('(service)=(%s)', named);
        advice := 'Name one that is there (SELECT service FROM service), or insert it before, in the same transaction.';
    WHEN 'trunk_of_a_translation_must_exist' THEN
        there := EXISTS (SELECT FROM trunk WHERE trunk = NEW.trunk)
            OR NOT EXISTS (SELECT FROM translation WHERE translation_table = NEW.translation_table AND translation.key = NEW.key AND trunk = NEW.trunk);
        kind := 'trunk'; named := NEW.trunk; key := format('(trunk)=(%s)', named);
        advice := 'Name one that is there (SELECT trunk FROM trunk), or insert it before: INSERT INTO trunk (trunk) VALUES (…); nodes need a PJSIP endpoint of that name.';
    WHEN 'trunk_of_a_branch_must_exist' THEN
        there := EXISTS (SELECT FROM trunk WHERE trunk = NEW.trunk)
            OR NOT EXISTS (SELECT FROM distribution_branch WHERE distribution = NEW.distribution AND position = NEW.position AND trunk = NEW.trunk);
        kind := 'trunk'; named := NEW.trunk; key := format('(trunk)=(%s)', named);
        advice := 'Name one that is there (SELECT trunk FROM trunk), or insert it before: INSERT INTO trunk (trunk) VALUES (…); nodes need a PJSIP endpoint of that name.';
    WHEN 'step_of_an_exit_must_exist' THEN
        there := EXISTS (SELECT FROM step WHERE script = NEW.script AND step = NEW.step)
            OR NOT EXISTS (SELECT FROM step_exit WHERE script = NEW.script AND step = NEW.step AND exit = NEW.exit);
        kind := 'step'; named := NEW.script || '.' || NEW.step; key := format('(script, step)=(%s, %s)', NEW.script, NEW.step);
    WHEN 'next_step_of_an_exit_must_exist' THEN
        there := EXISTS (SELECT FROM step WHERE script = NEW.script AND step = NEW.next_step)
            OR NOT EXISTS (SELECT FROM step_exit WHERE script = NEW.script AND step = NEW.step AND exit = NEW.exit AND next_step = NEW.next_step);
        kind := 'step'; named := NEW.script || '.' || NEW.next_step; key := format('(script, next_step)=(%s, %s)', NEW.script, NEW.next_step);
    WHEN 'first_step_of_a_script_must_exist' THEN
        there := EXISTS (SELECT FROM step WHERE script = NEW.script AND step = NEW.first_step) OR NOT EXISTS (SELECT FROM script WHERE script = NEW.script AND first_step = NEW.first_step);
        kind := 'step'; named := NEW.script || '.' || NEW.first_step; key := format('(script, first_step)=(%s, %s)', NEW.script, NEW.first_step);
    END CASE;
    IF there THEN
        RETURN NULL;
    END IF;
    IF kind = 'step' THEN
        advice := format('Name a step of script %1$s (SELECT step FROM step WHERE script = %1$L), or insert it in the same transaction.', NEW.script);
    END IF;
    RAISE EXCEPTION '% "%" does not exist', kind, named USING
        ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_ARGV[0],
        DETAIL = format('Key %s is not present in table "%s".', key, kind),
        HINT = advice;
END $$;
COMMENT ON FUNCTION check_named() IS 'Refuses, with advice, what a foreign key would refuse without: its argument is the key';
CREATE CONSTRAINT TRIGGER "Check_named" AFTER INSERT OR UPDATE OF service ON service_number DEFERRABLE
    FOR EACH ROW EXECUTE FUNCTION check_named('service_of_a_number_must_exist');
CREATE CONSTRAINT TRIGGER "Check_named" AFTER INSERT OR UPDATE OF trunk ON translation DEFERRABLE
    FOR EACH ROW WHEN (NEW.trunk IS NOT NULL) EXECUTE FUNCTION check_named('trunk_of_a_translation_must_exist');
CREATE CONSTRAINT TRIGGER "Check_named" AFTER INSERT OR UPDATE OF trunk ON distribution_branch DEFERRABLE
    FOR EACH ROW WHEN (NEW.trunk IS NOT NULL) EXECUTE FUNCTION check_named('trunk_of_a_branch_must_exist');
CREATE CONSTRAINT TRIGGER "Check_named" AFTER INSERT OR UPDATE OF script, step ON step_exit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_named('step_of_an_exit_must_exist');
CREATE CONSTRAINT TRIGGER "Check_named_next" AFTER INSERT OR UPDATE OF script, next_step ON step_exit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_named('next_step_of_an_exit_must_exist');
CREATE CONSTRAINT TRIGGER "Check_named" AFTER INSERT OR UPDATE OF script, first_step ON script DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_named('first_step_of_a_script_must_exist');

-- Of two rates that overlap the older is told of, by what stays true when the newer is refused. Two operators at once are one after the other since above, and a lock
-- of its own would be taken in the other order.
CREATE OR REPLACE FUNCTION check_tariff_rate() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    older tariff_rate;
    newer tariff_rate;
    pair  bigint[];
BEGIN
    SELECT r.* INTO older FROM tariff_rate r JOIN tariff_rate n ON n.tariff_rate_id = NEW.tariff_rate_id
    WHERE r.tariff = n.tariff AND r.prefix = n.prefix AND r.calendar IS NOT DISTINCT FROM n.calendar AND r.tariff_rate_id <> n.tariff_rate_id
        AND tstzrange(r.valid_from, r.valid_to) && tstzrange(n.valid_from, n.valid_to) ORDER BY r.tariff_rate_id LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    pair := ARRAY[older.tariff_rate_id, NEW.tariff_rate_id];
    SELECT * INTO older FROM tariff_rate WHERE tariff_rate_id = ANY (pair) ORDER BY xmin = pg_current_xact_id()::xid, tariff_rate_id LIMIT 1;
    SELECT * INTO newer FROM tariff_rate WHERE tariff_rate_id = ANY (pair) AND tariff_rate_id <> older.tariff_rate_id;
    RAISE EXCEPTION 'tariff "%" would have two rates for prefix "%" at the same time', NEW.tariff, NEW.prefix USING
        ERRCODE = 'exclusion_violation', TABLE = 'tariff_rate', CONSTRAINT = 'rates_of_one_prefix_and_calendar_do_not_overlap',
        DETAIL = format('Rate %s holds from %s to %s%s, and the newer one from %s to %s.', older.tariff_rate_id, coalesce(older.valid_from::text, 'ever'), coalesce(older.valid_to::text, 'ever'),
            coalesce(' while calendar ' || older.calendar || ' is open', ''), coalesce(newer.valid_from::text, 'ever'), coalesce(newer.valid_to::text, 'ever')),
        HINT = CASE WHEN newer.valid_from > coalesce(older.valid_from, '-infinity')
            THEN format('End the old one first, in the same transaction: UPDATE tariff_rate SET valid_to = %L WHERE tariff_rate_id = %s.', newer.valid_from, older.tariff_rate_id)
            ELSE format('Give the newer one a valid_from, and end the old one then, in the same transaction: UPDATE tariff_rate SET valid_to = … WHERE tariff_rate_id = %s.', older.tariff_rate_id) END;
END $$;
