-- What an operator who has only psql is told.

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
            HINT = CASE WHEN fault LIKE '% does not exist'
                THEN format('Insert it into %1$s in the same transaction, or name one that is there: SELECT %1$s FROM %1$s.', split_part(fault, ' ', 1))
                ELSE 'Write the value as the comment on script_parameter.type says.' END;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION wait_for_revision(wanted bigint DEFAULT NULL, timeout interval DEFAULT '10 s') RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
DECLARE
    until  CONSTANT timestamptz := clock_timestamp() + timeout;
    late   text;
    alive  bigint;
    newest bigint;
    bad    record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'wait_for_revision cannot see what others do in this transaction' USING ERRCODE = 'invalid_transaction_state',
            HINT = 'Call it outside of a transaction.';
    END IF;
    -- One's own edit has no revision before COMMIT.
    IF EXISTS (SELECT FROM config_edit WHERE transaction = pg_current_xact_id_if_assigned()) THEN
        RAISE EXCEPTION 'this transaction''s own edit cannot be live before COMMIT' USING ERRCODE = 'invalid_transaction_state',
            HINT = 'COMMIT, and then SELECT wait_for_revision().';
    END IF;
    SELECT revision INTO newest FROM config_revision;
    wanted := coalesce(wanted, newest);
    IF wanted > newest THEN
        RAISE EXCEPTION 'revision % is not committed yet', wanted USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('The newest is %s.', newest),
            HINT = 'SELECT wait_for_revision() waits for the newest.';
    END IF;
    LOOP -- In a volatile function each query sees what is committed by then.
        SELECT count(*), string_agg(format('%s serves %s%s', engine, revision, coalesce(': ' || left(error, 200), '')), '; ' ORDER BY engine) FILTER (WHERE revision < wanted)
        INTO alive, late FROM engine_status WHERE last_seen > clock_timestamp() - interval '15 s';
        IF alive > 0 AND late IS NULL THEN
            -- An engine says in one transaction what it serves and what is wrong with it.
            SELECT p.table_name, p.row_key, count(*) OVER () AS n INTO bad FROM config_problem p ORDER BY p.since DESC, p.table_name, p.row_key LIMIT 1;
            IF FOUND THEN
                RAISE WARNING 'revision % is live, but not all of its rows can be used', wanted USING
                    DETAIL = format('%s rows stand in config_problem, the newest is %s %s.', bad.n, bad.table_name, bad.row_key),
                    HINT = 'SELECT * FROM config_problem tells why. What they belong to goes on with its last good version until they are mended.';
            END IF;
            RETURN wanted;
        END IF;
        IF clock_timestamp() >= until THEN
            RAISE EXCEPTION 'revision % is not live everywhere after %', wanted, timeout USING ERRCODE = 'RM002',
                DETAIL = coalesce(late, 'No engine has been seen for 15 s') || '.',
                HINT = 'SELECT * FROM engine_status tells of each engine.';
        END IF;
        PERFORM pg_sleep(0.02);
    END LOOP;
END $$;
COMMENT ON FUNCTION wait_for_revision(bigint, interval) IS 'Waits until every engine seen in the last 15 s serves a config revision, by default the newest, and returns it; else an error says which lag. Warns of what stands in config_problem';

COMMENT ON COLUMN cdr.flags IS 'What to look at: excess (the node let it go on beyond what was granted), outage (admitted while Postgres was away), late (what it held had gone back before its end came; it was charged all the same), unpaid (nobody could be charged), times (the node sent times that cannot be, such as a conversation longer than the call; they were put within the call''s own bounds)';
