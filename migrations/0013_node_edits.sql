-- A new node or session key concerns no service: engines hear of it as a kind of its own, and do not look at every service for it.

DO $$
DECLARE
    t text[];
    args text;
BEGIN
    FOREACH t SLICE 1 IN ARRAY ARRAY[['node', 'secret_sha256', 'node'], ['session_key', 'secret', 'session_key_id']] LOOP
        args := format('%L, %L, %L, %L, %L, %L, %L', 'node', '', '', t[2], t[3], '', '');
        EXECUTE format('CREATE OR REPLACE TRIGGER note_config_rows_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS is_now
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%s)', t[1], args);
        EXECUTE format('CREATE OR REPLACE TRIGGER note_config_rows_updated AFTER UPDATE ON %I REFERENCING OLD TABLE AS was NEW TABLE AS is_now
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%s)', t[1], args);
        EXECUTE format('CREATE OR REPLACE TRIGGER note_config_rows_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS was
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%s)', t[1], args);
        EXECUTE format('CREATE OR REPLACE TRIGGER note_config_rows_truncated AFTER TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%s)', t[1], args);
    END LOOP;
END $$;
COMMENT ON COLUMN config_change.kind IS 'What was touched: small (numbering plans, trunks, prompts, areas), node (nodes, session keys), calendar, screening_list, screening_entry, translation_table, translation, distribution, script, service, service_number, or * for everything';
