-- Mass changes are refused until the operator confirms them in the same transaction: rows of a big table deleted by more than a fifth or
-- changed all at once, TRUNCATE, and the loss of the last default route.
--
-- Refused, and not kept waiting for a second person: nothing is half done, and the confirmation stands in audit_log.

CREATE FUNCTION confirm_mass_change(reason text) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF coalesce(btrim(reason), '') = '' THEN
        RAISE EXCEPTION 'a mass change needs a reason' USING ERRCODE = 'check_violation',
            HINT = 'SELECT confirm_mass_change(''customer widgets has left''). The reason is kept in audit_log.';
    END IF;
    PERFORM set_config('ringmaster.confirmed', reason, true);
END $$;
COMMENT ON FUNCTION confirm_mass_change(text) IS 'Lets this transaction delete or change many rows at once; call it after BEGIN. The reason is kept in audit_log';

-- Refuses what it is told, or notes that it was confirmed.
CREATE FUNCTION hold_mass_change(changed text, what text, detail text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    reason text := nullif(current_setting('ringmaster.confirmed', true), '');
    this_edit bigint;
BEGIN
    IF reason IS NULL THEN
        RAISE EXCEPTION '% needs a confirmation', what USING
            ERRCODE = 'RM001', TABLE = changed, CONSTRAINT = 'mass_changes_are_confirmed',
            DETAIL = detail || ' Nothing was changed.',
            HINT = 'If it is meant: BEGIN; SELECT confirm_mass_change(''why''); then the statement again, and COMMIT.';
    END IF;
    INSERT INTO config_edit (transaction) VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
    SELECT coalesce(max(e.edit), 0) INTO this_edit FROM config_edit e WHERE e.transaction = pg_current_xact_id();
    IF EXISTS (SELECT FROM audit_entry a WHERE a.edit = this_edit AND a.table_name = changed AND a.operation = 'CONFIRM') THEN
        RETURN;
    END IF;
    INSERT INTO audit_entry (edit, table_name, operation, rows, after)
    VALUES (this_edit, changed, 'CONFIRM', NULL, jsonb_build_object('reason', reason, 'confirmed', what));
END $$;
COMMENT ON FUNCTION hold_mass_change(text, text, text) IS 'Refuses a mass change that was not confirmed, and notes one that was';

CREATE FUNCTION check_mass_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    least   CONSTANT bigint := 50; -- rows of a table that is worth holding
    counter CONSTANT text := 'ringmaster.deleted_' || TG_TABLE_NAME;
    n       bigint;
    deleted bigint;
    others  bigint;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM hold_mass_change(TG_TABLE_NAME, 'TRUNCATE of ' || TG_TABLE_NAME, 'It empties the table.');
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
COMMENT ON FUNCTION check_mass_change() IS 'Holds mass changes until they are confirmed';

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'note_config_edit' LOOP
        EXECUTE format('CREATE TRIGGER check_mass_change_deleted AFTER DELETE ON %s REFERENCING OLD TABLE AS was
            FOR EACH STATEMENT EXECUTE FUNCTION check_mass_change()', name);
        EXECUTE format('CREATE TRIGGER check_mass_change_updated AFTER UPDATE ON %s REFERENCING OLD TABLE AS was
            FOR EACH STATEMENT EXECUTE FUNCTION check_mass_change()', name);
        EXECUTE format('CREATE TRIGGER check_mass_change_truncated BEFORE TRUNCATE ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION check_mass_change()', name);
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION hold_mass_change(text, text, text) FROM PUBLIC;
