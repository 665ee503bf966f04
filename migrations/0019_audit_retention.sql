-- How long audit_log and config_history are kept: for ever, unless the owner of the tables says otherwise. Nobody who is audited may prune.

CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'audit_entry' AND current_setting('ringmaster.pruning', true) = 'on' THEN
        RETURN NULL; -- prune_audit_log()
    END IF;
    RAISE EXCEPTION 'audit_log cannot be changed' USING
        ERRCODE = 'insufficient_privilege', TABLE = 'audit_log',
        DETAIL = 'It says what was done, so nothing in it is ever rewritten.',
        HINT = 'To undo an edit, SELECT * FROM rollback_to(revision): that makes a new revision. To say why, SET LOCAL ringmaster.comment = ''…'' before the edit. What is old, the owner of the tables may prune: SELECT * FROM prune_audit_log().';
END $$;

CREATE FUNCTION prune_audit_log(keep_for interval DEFAULT '400 days', keep_revisions bigint DEFAULT 1000, OUT oldest_revision bigint, OUT pruned bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp SET ringmaster.pruning = 'on' AS $$
DECLARE
    first_kept bigint;
BEGIN
    IF keep_for IS NULL OR keep_for < interval '30 days' OR keep_revisions IS NULL OR keep_revisions < 100 THEN
        RAISE EXCEPTION 'at least 30 days and 100 revisions of audit_log must stay' USING ERRCODE = 'check_violation', TABLE = 'audit_log',
            DETAIL = 'ringmaster diff, rollback_to() and replay read it.',
            HINT = 'SELECT * FROM prune_audit_log(''400 days'', 1000) is the default: what is older than that and not among the newest 1000 revisions goes.';
    END IF;
    -- All from the first that must stay, whatever the clock did: a rollback needs every revision in between.
    SELECT coalesce(min(h.revision), (SELECT r.revision FROM config_revision r)) INTO first_kept FROM config_history h
    WHERE h.revision > (SELECT r.revision FROM config_revision r) - keep_revisions OR h.changed_at >= clock_timestamp() - keep_for;
    -- The one before is what can still be rolled back to: its row stays, and what it changed goes.
    oldest_revision := greatest(first_kept - 1, (SELECT min(h.revision) FROM config_history h));
    DELETE FROM config_change c USING config_history h WHERE c.edit = h.edit AND h.revision <= oldest_revision;
    DELETE FROM audit_entry a USING config_history h WHERE a.edit = h.edit AND h.revision <= oldest_revision;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    UPDATE config_history SET changes_kept = false WHERE revision = oldest_revision AND changes_kept;
    DELETE FROM config_history WHERE revision < oldest_revision;
END $$;
COMMENT ON FUNCTION prune_audit_log(interval, bigint) IS 'Forgets what audit_log and config_history say of old revisions: those older than keep_for and not among the newest keep_revisions. Returns the oldest revision that can still be rolled back to, and how many entries of audit_log went. Nobody calls it by itself; only the owner of the tables may';
REVOKE EXECUTE ON FUNCTION prune_audit_log(interval, bigint) FROM PUBLIC;
