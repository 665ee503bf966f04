-- What each config revision changed: for the engines, which compile only that (config_change), and for people (audit_log).
--
-- Triggers write both in the operator's own transaction, once per statement. The revision is known at COMMIT only, so the notes carry
-- the number of the edit, and config_history says which revision it became.

ALTER TABLE config_edit ADD COLUMN edit bigint GENERATED ALWAYS AS IDENTITY;
COMMENT ON COLUMN config_edit.edit IS 'Number of the edit, by which config_change and audit_entry name it';

CREATE TABLE config_history (
    revision     bigint PRIMARY KEY,
    edit         bigint UNIQUE,
    commit_id    uuid NOT NULL DEFAULT gen_random_uuid(),
    changed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by   text NOT NULL DEFAULT session_user,
    comment      text,
    changes_kept boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE config_history IS 'The config revisions: when each was committed, by whom, and why';
COMMENT ON COLUMN config_history.revision IS 'The config revision';
COMMENT ON COLUMN config_history.edit IS 'Number of the edit that became it';
COMMENT ON COLUMN config_history.commit_id IS 'Tells it from a revision of the same number in a database that was restored or failed over';
COMMENT ON COLUMN config_history.changed_at IS 'When it was committed';
COMMENT ON COLUMN config_history.changed_by IS 'Who made it';
COMMENT ON COLUMN config_history.comment IS 'Why: what the transaction said by SET LOCAL ringmaster.comment = ''…''';
COMMENT ON COLUMN config_history.changes_kept IS 'false: its rows in config_change were pruned, so engines that are behind it load everything';
INSERT INTO config_history (revision, changed_at, changed_by) SELECT revision, changed_at, changed_by FROM config_revision;

CREATE TABLE config_change (
    edit   bigint NOT NULL,
    kind   text NOT NULL,
    object text NOT NULL,
    key    text NOT NULL,
    PRIMARY KEY (edit, kind, object, key)
);
COMMENT ON TABLE config_change IS 'What engines must compile again for each edit. Pruned after a while: what is for people stands in audit_log';
COMMENT ON COLUMN config_change.edit IS 'The edit; config_history says which revision it became';
COMMENT ON COLUMN config_change.kind IS 'What was touched: small (numbering plans, trunks, nodes, keys, prompts, areas), calendar, screening_list, screening_entry, translation_table, translation, distribution, script, service, service_number, or * for everything';
COMMENT ON COLUMN config_change.object IS 'Which one: its name, or the number';
COMMENT ON COLUMN config_change.key IS 'Which row of a table or list; of a number exact or prefix';

CREATE TABLE audit_entry (
    audit_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    edit       bigint NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    by         text NOT NULL DEFAULT session_user,
    comment    text DEFAULT nullif(current_setting('ringmaster.comment', true), ''),
    table_name text NOT NULL,
    operation  text NOT NULL CONSTRAINT operation_is_insert_update_delete_truncate_or_confirm
        CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'CONFIRM')),
    row_key    text,
    rows       bigint DEFAULT 1,
    before     jsonb,
    after      jsonb
);
CREATE INDEX audit_entry_edit ON audit_entry (edit);
CREATE INDEX audit_entry_row ON audit_entry (table_name, row_key);
COMMENT ON TABLE audit_entry IS 'The rows of audit_log, which adds the revision';
COMMENT ON COLUMN audit_entry.audit_id IS 'Number of the entry';
COMMENT ON COLUMN audit_entry.edit IS 'The edit; config_history says which revision it became';
COMMENT ON COLUMN audit_entry.at IS 'When the statement ran';
COMMENT ON COLUMN audit_entry.by IS 'Who ran it';
COMMENT ON COLUMN audit_entry.comment IS 'Why: SET LOCAL ringmaster.comment = ''…''';
COMMENT ON COLUMN audit_entry.table_name IS 'The operators'' table';
COMMENT ON COLUMN audit_entry.operation IS 'What happened to the row: INSERT, UPDATE or DELETE (a changed key is a DELETE and an INSERT). TRUNCATE: the whole table. CONFIRM: a mass change was confirmed';
COMMENT ON COLUMN audit_entry.row_key IS 'The row''s primary key, with . between columns; NULL: one entry for all rows of the statement';
COMMENT ON COLUMN audit_entry.rows IS 'How many rows the entry stands for; NULL: all there were';
COMMENT ON COLUMN audit_entry.before IS 'The row before. Secrets are not kept';
COMMENT ON COLUMN audit_entry.after IS 'The row after. Secrets are not kept';

CREATE VIEW audit_log AS
    SELECT a.audit_id, h.revision, a.at, a.by, a.comment, a.table_name, a.operation, a.row_key, a.rows, a.before, a.after
    FROM audit_entry a LEFT JOIN config_history h USING (edit);
COMMENT ON VIEW audit_log IS 'Every change of every operators'' table: who, when, why, before and after. It cannot be changed';
COMMENT ON COLUMN audit_log.audit_id IS 'Number of the entry';
COMMENT ON COLUMN audit_log.revision IS 'The config revision that it is part of; NULL: your own, not yet committed';
COMMENT ON COLUMN audit_log.at IS 'When the statement ran';
COMMENT ON COLUMN audit_log.by IS 'Who ran it';
COMMENT ON COLUMN audit_log.comment IS 'Why: what the transaction said by SET LOCAL ringmaster.comment = ''…''';
COMMENT ON COLUMN audit_log.table_name IS 'The operators'' table';
COMMENT ON COLUMN audit_log.operation IS 'What happened to the row: INSERT, UPDATE or DELETE (a changed key is a DELETE and an INSERT). TRUNCATE: the whole table. CONFIRM: a mass change was confirmed';
COMMENT ON COLUMN audit_log.row_key IS 'The row''s primary key, with . between columns; NULL: one entry for all rows of a statement that changed more than 10000';
COMMENT ON COLUMN audit_log.rows IS 'How many rows the entry stands for; NULL: all there were';
COMMENT ON COLUMN audit_log.before IS 'The row before. Secrets are not kept';
COMMENT ON COLUMN audit_log.after IS 'The row after. Secrets are not kept';

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'audit_log cannot be changed' USING
        ERRCODE = 'insufficient_privilege', TABLE = 'audit_log',
        DETAIL = 'It says what was done, so nothing in it is ever rewritten.',
        HINT = 'To undo an edit, SELECT * FROM rollback_to(revision): that makes a new revision. To say why, SET LOCAL ringmaster.comment = ''…'' before the edit.';
END $$;
COMMENT ON FUNCTION refuse_audit_change() IS 'Refuses to change or delete what stands in audit_log';
CREATE TRIGGER refuse_audit_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER refuse_audit_change INSTEAD OF INSERT OR UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();

CREATE OR REPLACE FUNCTION count_config_revision() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    new_revision bigint;
BEGIN
    DELETE FROM config_edit WHERE transaction = NEW.transaction;
    UPDATE config_revision SET revision = revision + 1, changed_at = now(), changed_by = session_user RETURNING revision INTO new_revision;
    INSERT INTO config_history (revision, edit, comment)
    VALUES (new_revision, NEW.edit, nullif(current_setting('ringmaster.comment', true), ''));
    PERFORM pg_notify('ringmaster_config', new_revision::text);
    RETURN NULL;
END $$;

-- Arguments: kind, column of the object, column of the key, column that is secret, and up to three columns of the primary key.
-- See config_change; kind is empty for what engines don't need.
CREATE FUNCTION note_config_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    most      CONSTANT bigint := 10000; -- rows of one statement that are noted one by one
    kind      text := TG_ARGV[0];
    object_column text := nullif(TG_ARGV[1], '');
    key_column text := nullif(TG_ARGV[2], '');
    secret    text := nullif(TG_ARGV[3], '');
    this_edit bigint;
    mark      bigint;
    n         bigint;
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN SELECT count(*) INTO n FROM is_now;
        WHEN 'TRUNCATE' THEN n := NULL;
        ELSE SELECT count(*) INTO n FROM was;
    END CASE;
    IF n = 0 THEN
        RETURN NULL;
    END IF;
    SELECT e.edit INTO this_edit FROM config_edit e WHERE e.transaction = pg_current_xact_id();
    IF NOT FOUND THEN -- counted already, by SET CONSTRAINTS ALL IMMEDIATE: this goes into another revision of the same transaction
        SET CONSTRAINTS count_config_revision DEFERRED;
        INSERT INTO config_edit (transaction) VALUES (pg_current_xact_id()) RETURNING config_edit.edit INTO this_edit;
    END IF;
    IF n IS NULL OR n > most THEN
        INSERT INTO audit_entry (edit, table_name, operation, rows) VALUES (this_edit, TG_TABLE_NAME, TG_OP, n);
        IF kind <> '' THEN
            INSERT INTO config_change VALUES (this_edit, CASE kind WHEN 'small' THEN 'small' ELSE '*' END, '', '') ON CONFLICT DO NOTHING;
        END IF;
        RETURN NULL;
    END IF;
    mark := nextval('audit_entry_audit_id_seq');
    CASE TG_OP
        WHEN 'INSERT' THEN
            INSERT INTO audit_entry (edit, table_name, operation, row_key, after)
            SELECT this_edit, TG_TABLE_NAME, 'INSERT', concat_ws('.', image ->> TG_ARGV[4], image ->> TG_ARGV[5], image ->> TG_ARGV[6]), redact(image, secret)
            FROM (SELECT to_jsonb(r) AS image FROM is_now r) AS i;
        WHEN 'DELETE' THEN
            INSERT INTO audit_entry (edit, table_name, operation, row_key, before)
            SELECT this_edit, TG_TABLE_NAME, 'DELETE', concat_ws('.', image ->> TG_ARGV[4], image ->> TG_ARGV[5], image ->> TG_ARGV[6]), redact(image, secret)
            FROM (SELECT to_jsonb(r) AS image FROM was r) AS i;
        WHEN 'UPDATE' THEN
            INSERT INTO audit_entry (edit, table_name, operation, row_key, before, after)
            SELECT this_edit, TG_TABLE_NAME, CASE WHEN o.image IS NULL THEN 'INSERT' WHEN i.image IS NULL THEN 'DELETE' ELSE 'UPDATE' END, row_key,
                redact(o.image, secret), redact(i.image, secret)
            FROM (SELECT image, concat_ws('.', image ->> TG_ARGV[4], image ->> TG_ARGV[5], image ->> TG_ARGV[6]) AS row_key
                  FROM (SELECT to_jsonb(r) AS image FROM was r) AS x) AS o
            FULL JOIN (SELECT image, concat_ws('.', image ->> TG_ARGV[4], image ->> TG_ARGV[5], image ->> TG_ARGV[6]) AS row_key
                  FROM (SELECT to_jsonb(r) AS image FROM is_now r) AS x) AS i USING (row_key)
            WHERE o.image IS DISTINCT FROM i.image;
    END CASE;
    IF kind <> '' THEN
        INSERT INTO config_change (edit, kind, object, key)
        SELECT DISTINCT this_edit, kind, coalesce(image ->> object_column, ''), coalesce(image ->> key_column, '')
        FROM audit_entry a, unnest(ARRAY[a.before, a.after]) AS image
        WHERE a.audit_id > mark AND a.edit = this_edit AND image IS NOT NULL
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_config_rows() IS 'Notes what a statement changed, in audit_log and for the engines';

CREATE FUNCTION redact(image jsonb, secret text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN image ->> secret IS NULL THEN image ELSE image || jsonb_build_object(secret, '(not kept)') END $$;
COMMENT ON FUNCTION redact(jsonb, text) IS 'A row''s image without its secret column';

DO $$
DECLARE
    t text[];
BEGIN
    FOREACH t SLICE 1 IN ARRAY ARRAY[
        -- table, kind, object, key, secret, primary key
        ['numbering_plan', 'small', '', '', '', 'numbering_plan', '', ''],
        ['trunk', 'small', '', '', '', 'trunk', '', ''],
        ['node', 'small', '', '', 'secret_sha256', 'node', '', ''],
        ['session_key', 'small', '', '', 'secret', 'session_key_id', '', ''],
        ['prompt', 'small', '', '', '', 'prompt', '', ''],
        ['area_prefix', 'small', '', '', '', 'prefix', '', ''],
        ['calendar', 'calendar', 'calendar', '', '', 'calendar', '', ''],
        ['calendar_window', 'calendar', 'calendar', '', '', 'calendar_window_id', '', ''],
        ['calendar_holiday', 'calendar', 'calendar', '', '', 'calendar', 'holiday', ''],
        ['screening_list', 'screening_list', 'screening_list', '', '', 'screening_list', '', ''],
        ['screening_entry', 'screening_entry', 'screening_list', 'entry', '', 'screening_list', 'entry', ''],
        ['translation_table', 'translation_table', 'translation_table', '', '', 'translation_table', '', ''],
        ['translation', 'translation', 'translation_table', 'key', '', 'translation_table', 'key', ''],
        ['distribution', 'distribution', 'distribution', '', '', 'distribution', '', ''],
        ['distribution_branch', 'distribution', 'distribution', '', '', 'distribution', 'position', ''],
        ['script', 'script', 'script', '', '', 'script', '', ''],
        ['script_parameter', 'script', 'script', '', '', 'script', 'parameter', ''],
        ['step', 'script', 'script', '', '', 'script', 'step', ''],
        ['step_exit', 'script', 'script', '', '', 'script', 'step', 'exit'],
        ['subscriber', '', '', '', '', 'subscriber', '', ''],
        ['service', 'service', 'service', '', '', 'service', '', ''],
        ['service_parameter', 'service', 'service', '', '', 'service', 'parameter', ''],
        ['service_number', 'service_number', 'number', 'match', '', 'number', 'match', '']] LOOP
        -- By their names they fire after note_config_edit.
        EXECUTE format('CREATE TRIGGER note_config_rows_inserted AFTER INSERT ON %1$I REFERENCING NEW TABLE AS is_now
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%2$L, %3$L, %4$L, %5$L, %6$L, %7$L, %8$L)', VARIADIC t);
        EXECUTE format('CREATE TRIGGER note_config_rows_updated AFTER UPDATE ON %1$I REFERENCING OLD TABLE AS was NEW TABLE AS is_now
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%2$L, %3$L, %4$L, %5$L, %6$L, %7$L, %8$L)', VARIADIC t);
        EXECUTE format('CREATE TRIGGER note_config_rows_deleted AFTER DELETE ON %1$I REFERENCING OLD TABLE AS was
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%2$L, %3$L, %4$L, %5$L, %6$L, %7$L, %8$L)', VARIADIC t);
        EXECUTE format('CREATE TRIGGER note_config_rows_truncated AFTER TRUNCATE ON %1$I
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%2$L, %3$L, %4$L, %5$L, %6$L, %7$L, %8$L)', VARIADIC t);
    END LOOP;
END $$;

CREATE FUNCTION prune_config_change(keep_revisions bigint DEFAULT 10000, keep_for interval DEFAULT '1 day') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '300ms' AS $$
DECLARE
    pruned bigint;
BEGIN
    WITH old AS (
        UPDATE config_history SET changes_kept = false
        WHERE changes_kept AND (revision <= (SELECT r.revision FROM config_revision r) - keep_revisions OR changed_at < clock_timestamp() - keep_for)
        RETURNING edit)
    DELETE FROM config_change USING old WHERE config_change.edit = old.edit;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END $$;
COMMENT ON FUNCTION prune_config_change(bigint, interval) IS 'Forgets which rows older revisions touched; engines that are further behind load everything. The engines call it';
CREATE INDEX config_history_changes_kept ON config_history (revision) WHERE changes_kept;

REVOKE ALL ON config_history, config_change, audit_entry, audit_log FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION prune_config_change(bigint, interval) FROM PUBLIC;
