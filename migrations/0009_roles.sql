-- Three roles by least privilege. Give them to login roles: GRANT ringmaster_operator TO anna.
--
-- Roles belong to the whole server: another database on it may have made them already, or be making them now.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ringmaster_engine', 'ringmaster_operator', 'ringmaster_viewer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL; -- another database's migration was faster
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'role % does not exist, and % may not make it', name, current_user USING
                        ERRCODE = 'insufficient_privilege',
                        HINT = 'Let an administrator run: CREATE ROLE ringmaster_engine NOLOGIN; CREATE ROLE ringmaster_operator NOLOGIN; CREATE ROLE ringmaster_viewer NOLOGIN; then migrate again.';
            END;
        END IF;
    END LOOP;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO ringmaster_engine, ringmaster_operator, ringmaster_viewer;

-- What operators write, all may read, but for secrets.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'note_config_edit' LOOP
        EXECUTE format('GRANT SELECT ON %s TO ringmaster_engine', name);
        EXECUTE format('GRANT INSERT, UPDATE, DELETE, TRUNCATE ON %s TO ringmaster_operator', name);
        IF name NOT IN ('node', 'session_key') THEN
            EXECUTE format('GRANT SELECT ON %s TO ringmaster_operator, ringmaster_viewer', name);
        END IF;
    END LOOP;
END $$;
GRANT SELECT (node, certificate_name, capacity, in_service) ON node TO ringmaster_operator, ringmaster_viewer;
GRANT SELECT (session_key_id, created_at) ON session_key TO ringmaster_operator, ringmaster_viewer;
GRANT EXECUTE ON FUNCTION set_node_secret(text, text), rotate_session_key(integer) TO ringmaster_operator;
-- Refused with advice, rather than with "permission denied".
GRANT INSERT, UPDATE, DELETE ON audit_log TO ringmaster_operator;

GRANT SELECT ON cdr, call_record, node_status, engine_status, config_problem, config_check, config_revision, config_history, config_change,
    config_edit, audit_log, migration TO ringmaster_engine, ringmaster_operator, ringmaster_viewer;
GRANT INSERT ON cdr, call_record TO ringmaster_engine;
GRANT INSERT, UPDATE ON node_status TO ringmaster_engine;
GRANT INSERT, UPDATE, DELETE ON engine_status, config_problem TO ringmaster_engine;
GRANT UPDATE ON config_check TO ringmaster_engine;
GRANT EXECUTE ON FUNCTION prune_config_change(bigint, interval) TO ringmaster_engine;
