-- What makes a table an operators' table, in one call for the migrations to come.

CREATE PROCEDURE make_operator_table(name text, kind text, object_column text, key_column text, secret_column text, VARIADIC primary_key text[])
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    args text := (SELECT string_agg(quote_literal(a), ', ') FROM unnest(ARRAY[kind, object_column, key_column, secret_column] || primary_key) AS a);
BEGIN
    EXECUTE format('CREATE TRIGGER note_config_edit AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I
        FOR EACH STATEMENT EXECUTE FUNCTION note_config_edit()', name);
    EXECUTE format('CREATE TRIGGER note_config_rows_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS is_now
        FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%s)', name, args);
    EXECUTE format('CREATE TRIGGER note_config_rows_updated AFTER UPDATE ON %I REFERENCING OLD TABLE AS was NEW TABLE AS is_now
        FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%s)', name, args);
    EXECUTE format('CREATE TRIGGER note_config_rows_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS was
        FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%s)', name, args);
    EXECUTE format('CREATE TRIGGER note_config_rows_truncated AFTER TRUNCATE ON %I
        FOR EACH STATEMENT EXECUTE FUNCTION note_config_rows(%s)', name, args);
    EXECUTE format('CREATE TRIGGER check_mass_change_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS was
        FOR EACH STATEMENT EXECUTE FUNCTION check_mass_change()', name);
    EXECUTE format('CREATE TRIGGER check_mass_change_updated AFTER UPDATE ON %I REFERENCING OLD TABLE AS was
        FOR EACH STATEMENT EXECUTE FUNCTION check_mass_change()', name);
    EXECUTE format('CREATE TRIGGER check_mass_change_truncated BEFORE TRUNCATE ON %I
        FOR EACH STATEMENT EXECUTE FUNCTION check_mass_change()', name);
    EXECUTE format('GRANT SELECT ON %I TO ringmaster_engine', name);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE, TRUNCATE ON %I TO ringmaster_operator', name);
    IF secret_column = '' THEN
        EXECUTE format('GRANT SELECT ON %I TO ringmaster_operator, ringmaster_viewer', name);
    ELSE
        EXECUTE format('GRANT SELECT (%s) ON %I TO ringmaster_operator, ringmaster_viewer',
            (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
             WHERE attrelid = name::regclass AND attnum > 0 AND NOT attisdropped AND attname <> secret_column), name);
    END IF;
END $$;
COMMENT ON PROCEDURE make_operator_table(text, text, text, text, text, text[]) IS 'Makes a table one of the operators'': its edits are counted, noted and held, and the roles may use it. kind as in config_change, empty for what engines don''t need';
REVOKE EXECUTE ON PROCEDURE make_operator_table(text, text, text, text, text, text[]) FROM PUBLIC;
