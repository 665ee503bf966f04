-- Functions by which operators look back, undo, and wait until an edit is live.

CREATE FUNCTION check_kept_revision(wanted bigint) RETURNS void LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    first bigint;
    last  bigint;
BEGIN
    SELECT min(revision), max(revision) INTO first, last FROM config_history;
    IF wanted IS NULL OR wanted < first OR wanted > last THEN
        RAISE EXCEPTION 'there is no config revision %', coalesce(wanted::text, 'NULL') USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('The history goes from revision %s to %s.', first, last),
            HINT = 'SELECT revision, changed_at, changed_by, comment FROM config_history ORDER BY revision DESC LIMIT 20 lists the newest.';
    END IF;
END $$;
COMMENT ON FUNCTION check_kept_revision(bigint) IS 'Refuses a config revision that the history does not have';

CREATE FUNCTION config_diff(from_revision bigint, to_revision bigint)
RETURNS TABLE (table_name text, operation text, row_key text, rows bigint, before jsonb, after jsonb, revision bigint, at timestamptz, by text, comment text)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    forward CONSTANT boolean := from_revision <= to_revision;
BEGIN
    PERFORM check_kept_revision(from_revision), check_kept_revision(to_revision);
    RETURN QUERY
    WITH entry AS (
        SELECT * FROM audit_log l
        WHERE l.revision > least(from_revision, to_revision) AND l.revision <= greatest(from_revision, to_revision) AND l.operation <> 'CONFIRM'
    ), ends AS (
        SELECT e.table_name, e.row_key,
            (array_agg(e.before ORDER BY e.revision, e.audit_id))[1] AS first,
            (array_agg(e.after ORDER BY e.revision DESC, e.audit_id DESC))[1] AS last,
            (array_agg(e.audit_id ORDER BY e.revision DESC, e.audit_id DESC))[1] AS newest
        FROM entry e WHERE e.row_key IS NOT NULL GROUP BY e.table_name, e.row_key
    ), net AS (
        SELECT d.table_name, d.row_key, 1::bigint AS rows, d.newest, NULL::text AS operation,
            CASE WHEN forward THEN d.first ELSE d.last END AS before, CASE WHEN forward THEN d.last ELSE d.first END AS after
        FROM ends d WHERE d.first IS DISTINCT FROM d.last
        UNION ALL
        SELECT e.table_name, NULL, e.rows, e.audit_id, e.operation, NULL, NULL FROM entry e WHERE e.row_key IS NULL
    )
    SELECT n.table_name,
        coalesce(n.operation, CASE WHEN n.before IS NULL THEN 'INSERT' WHEN n.after IS NULL THEN 'DELETE' ELSE 'UPDATE' END),
        n.row_key, n.rows, n.before, n.after, e.revision, e.at, e.by, e.comment
    FROM net n JOIN entry e ON e.audit_id = n.newest
    ORDER BY n.table_name, n.row_key, n.newest;
END $$;
COMMENT ON FUNCTION config_diff(bigint, bigint) IS 'What differs between two config revisions, row by row, with the last who changed it. Without row_key: a statement that changed too many rows to keep each';

CREATE FUNCTION secret_column(name text) RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT nullif((string_to_array(encode(tgargs, 'escape'), '\000'))[4], '') FROM pg_trigger
    WHERE tgrelid = ('public.' || quote_ident(name))::regclass AND tgname = 'note_config_rows_inserted'
$$;
COMMENT ON FUNCTION secret_column(text) IS 'The column of an operators'' table whose values audit_log does not keep: the fourth argument of note_config_rows()';

CREATE FUNCTION rollback_to(to_revision bigint, reason text DEFAULT NULL) RETURNS TABLE (table_name text, operation text, row_key text)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t       record;
    bad     record;
    changed record;
    done    bigint;
BEGIN
    PERFORM check_kept_revision(to_revision);
    -- Nobody else changes these tables until this transaction has ended. Always in the same order, so that two wait and don't lock each other out.
    FOR t IN SELECT DISTINCT l.table_name AS name FROM audit_log l WHERE l.revision > to_revision ORDER BY 1 LOOP
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', t.name);
    END LOOP;
    IF EXISTS (SELECT FROM audit_log l WHERE l.revision IS NULL AND l.operation <> 'CONFIRM'
        AND l.audit_id > (SELECT coalesce(max(audit_id), 0) FROM audit_log WHERE revision IS NOT NULL)) THEN
        RAISE EXCEPTION 'this transaction has changed rows already' USING ERRCODE = 'invalid_transaction_state',
            HINT = 'COMMIT or ROLLBACK them first; a rollback_to stands by itself in its transaction.';
    END IF;
    -- The session's keys are not part of what operators decide: an old key never comes back.
    SELECT l.* INTO bad FROM audit_log l WHERE l.revision > to_revision AND l.row_key IS NULL AND l.operation <> 'CONFIRM' AND l.table_name <> 'session_key'
    ORDER BY l.revision DESC LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'revision % cannot be undone', bad.revision USING ERRCODE = 'feature_not_supported', TABLE = bad.table_name,
            DETAIL = format('%s of %s changed %s rows in one statement, and single rows are kept up to 10000.', bad.operation, bad.table_name, coalesce(bad.rows::text, 'all')),
            HINT = format('Roll back to %s or later, and mend %s by hand or from a backup.', bad.revision, bad.table_name);
    END IF;
    CREATE TEMPORARY TABLE IF NOT EXISTS rollback_row (table_name text, operation text, row_key text, image jsonb) ON COMMIT DROP;
    TRUNCATE pg_temp.rollback_row;
    INSERT INTO pg_temp.rollback_row
    SELECT d.table_name, d.operation, d.row_key, coalesce(d.after, d.before)
    FROM config_diff((SELECT revision FROM config_revision), to_revision) d WHERE d.table_name <> 'session_key';
    SELECT r.* INTO bad FROM pg_temp.rollback_row r WHERE r.operation = 'INSERT' AND r.image ->> secret_column(r.table_name) IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% "%" cannot be brought back', bad.table_name, bad.row_key USING ERRCODE = 'feature_not_supported', TABLE = bad.table_name,
            DETAIL = 'It was deleted since, and its secret is not kept.',
            HINT = CASE bad.table_name WHEN 'node'
                THEN format('INSERT INTO node (node) VALUES (%L) and SELECT set_node_secret(%L, ''…'') yourself, then roll back.', bad.row_key, bad.row_key)
                ELSE 'Insert it yourself with a new secret, then roll back.' END;
    END IF;
    PERFORM set_config('ringmaster.confirmed', format('rollback to revision %s', to_revision) || coalesce(': ' || reason, ''), true);
    PERFORM set_config('ringmaster.comment', format('rollback to revision %s', to_revision) || coalesce(': ' || reason, ''), true);
    SET CONSTRAINTS ALL DEFERRED;
    -- Rows that others hang on are deleted last, when those that stay hang on something else again.
    FOR changed IN
        SELECT r.table_name, r.operation, array_agg(r.image) AS images,
            EXISTS (SELECT FROM pg_constraint c WHERE c.confrelid = ('public.' || r.table_name)::regclass AND c.confdeltype = 'c') AS parent
        FROM pg_temp.rollback_row r GROUP BY 1, 2
        ORDER BY CASE WHEN r.operation <> 'DELETE' THEN 1
            WHEN EXISTS (SELECT FROM pg_constraint c WHERE c.confrelid = ('public.' || r.table_name)::regclass AND c.confdeltype = 'c') THEN 2 ELSE 0 END,
            4 DESC, r.table_name, r.operation
    LOOP
        SELECT string_agg(format('x.%1$I = r.%1$I', a.attname), ' AND ') FILTER (WHERE a.attnum = ANY (k.conkey)) AS same,
            string_agg(format('%1$I = r.%1$I', a.attname), ', ') FILTER (WHERE a.attnum <> ALL (k.conkey) AND a.attname IS DISTINCT FROM secret_column(changed.table_name)) AS assign
        INTO t FROM pg_attribute a JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
        WHERE a.attrelid = ('public.' || changed.table_name)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
        EXECUTE CASE changed.operation
            WHEN 'INSERT' THEN format('INSERT INTO %1$I OVERRIDING SYSTEM VALUE SELECT r.* FROM unnest($1) AS image, jsonb_populate_record(NULL::%1$I, image) AS r', changed.table_name)
            WHEN 'DELETE' THEN format('DELETE FROM %1$I AS x USING unnest($1) AS image, jsonb_populate_record(NULL::%1$I, image) AS r WHERE %2$s', changed.table_name, t.same)
            ELSE format('UPDATE %1$I AS x SET %3$s FROM unnest($1) AS image, jsonb_populate_record(NULL::%1$I, image - coalesce(%4$L, '''')) AS r WHERE %2$s', changed.table_name, t.same, t.assign,
                secret_column(changed.table_name))
        END USING changed.images;
        GET DIAGNOSTICS done = ROW_COUNT;
    END LOOP;
    RETURN QUERY SELECT r.table_name, r.operation, r.row_key FROM pg_temp.rollback_row r ORDER BY 1, 3, 2;
END $$;
COMMENT ON FUNCTION rollback_to(bigint, text) IS 'Makes the operators'' tables what they were at a config revision, as a new revision, and lists the rows it changed. Session keys and secrets stay as they are';

CREATE FUNCTION wait_for_revision(wanted bigint DEFAULT NULL, timeout interval DEFAULT '10 s') RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
DECLARE
    until  CONSTANT timestamptz := clock_timestamp() + timeout;
    late   text;
    alive  bigint;
    newest bigint;
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
            DETAIL = format('The newest is %s.', newest);
    END IF;
    LOOP -- In a volatile function each query sees what is committed by then.
        SELECT count(*), string_agg(format('%s serves %s%s', engine, revision, coalesce(': ' || left(error, 200), '')), '; ' ORDER BY engine) FILTER (WHERE revision < wanted)
        INTO alive, late FROM engine_status WHERE last_seen > clock_timestamp() - interval '15 s';
        IF alive > 0 AND late IS NULL THEN
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
COMMENT ON FUNCTION wait_for_revision(bigint, interval) IS 'Waits until every engine seen in the last 15 s serves a config revision, by default the newest, and returns it; else an error says which lag';
