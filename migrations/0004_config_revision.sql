-- Every committed edit of an operators' table makes one new config revision and tells the engines.
--
-- The revision is counted at COMMIT: so revisions are in the order of the commits, and an operator who leaves a
-- transaction open keeps nobody waiting.

CREATE TABLE config_revision (
    one        boolean PRIMARY KEY DEFAULT true CONSTRAINT config_revision_has_one_row CHECK (one),
    revision   bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE config_revision IS 'One row: the config version that is committed. Engines that serve it say so in engine_status';
COMMENT ON COLUMN config_revision.one IS 'Always true: there is one row';
COMMENT ON COLUMN config_revision.revision IS 'Counts the committed edits of operators'' tables';
COMMENT ON COLUMN config_revision.changed_at IS 'When the last edit began';
COMMENT ON COLUMN config_revision.changed_by IS 'Who made it';
INSERT INTO config_revision (revision) VALUES (1);

CREATE TABLE config_edit (
    transaction xid8 PRIMARY KEY
);
COMMENT ON TABLE config_edit IS 'Transactions that are changing operators'' tables; a row lives inside its transaction only, so this looks always empty';
COMMENT ON COLUMN config_edit.transaction IS 'The transaction';

CREATE FUNCTION note_config_edit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO config_edit VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_config_edit() IS 'Remembers that this transaction changes operators'' tables';

CREATE FUNCTION count_config_revision() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    new_revision bigint;
BEGIN
    DELETE FROM config_edit WHERE transaction = NEW.transaction;
    UPDATE config_revision SET revision = revision + 1, changed_at = now(), changed_by = session_user RETURNING revision INTO new_revision;
    PERFORM pg_notify('ringmaster_config', new_revision::text);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_config_revision() IS 'Counts the new config revision at COMMIT and tells the engines (channel ringmaster_config)';
CREATE CONSTRAINT TRIGGER count_config_revision AFTER INSERT ON config_edit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_config_revision();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['numbering_plan', 'trunk', 'node', 'session_key', 'prompt', 'area_prefix', 'calendar', 'calendar_window',
        'calendar_holiday', 'screening_list', 'screening_entry', 'translation_table', 'translation', 'distribution', 'distribution_branch',
        'script', 'script_parameter', 'step', 'step_exit', 'subscriber', 'service', 'service_parameter', 'service_number'] LOOP
        EXECUTE format('CREATE TRIGGER note_config_edit AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION note_config_edit()', name);
    END LOOP;
END $$;

-- Secrets -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION set_node_secret(node text, secret text) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF length(secret) < 12 THEN
        RAISE EXCEPTION 'the secret of node "%" is too short', node USING ERRCODE = 'check_violation',
            HINT = 'Give at least 12 characters; openssl rand -hex 16 makes a good one.';
    END IF;
    UPDATE node AS n SET secret_sha256 = sha256(convert_to(set_node_secret.secret, 'UTF8')) WHERE n.node = set_node_secret.node;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node "%" does not exist', node USING ERRCODE = 'foreign_key_violation',
            HINT = format('INSERT INTO node (node) VALUES (%L) first.', node);
    END IF;
END $$;
COMMENT ON FUNCTION set_node_secret(text, text) IS 'Sets the secret by which a node''s agent proves itself. Only its SHA-256 is stored';

CREATE FUNCTION rotate_session_key(keep integer DEFAULT 2) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    IF keep < 1 THEN
        RAISE EXCEPTION 'at least one session key must stay' USING ERRCODE = 'check_violation',
            HINT = 'rotate_session_key(1) keeps only the new key and ends every call''s session; the default keeps one older key for calls under way.';
    END IF;
    -- gen_random_uuid() has 122 bits of the system's strong randomness; three of them fill 256.
    INSERT INTO session_key (secret)
    VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
    RETURNING session_key_id INTO made;
    DELETE FROM session_key WHERE session_key_id NOT IN (SELECT session_key_id FROM session_key ORDER BY session_key_id DESC LIMIT keep);
    RETURN made;
END $$;
COMMENT ON FUNCTION rotate_session_key(integer) IS 'Makes a new key for session tokens and returns its number; the newest keep keys stay valid, so that calls under way go on';

REVOKE EXECUTE ON FUNCTION set_node_secret(text, text), rotate_session_key(integer) FROM PUBLIC;
SELECT rotate_session_key();
