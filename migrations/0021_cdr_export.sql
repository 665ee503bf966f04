-- Billing reads call detail records as they are written: none is missed and none is read twice, although transactions do not end in the order in which they began. So each
-- record knows the transaction that wrote it, and a reader takes those only that are older than every transaction that still runs.

ALTER TABLE cdr ADD COLUMN written_by xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE cdr_correction ADD COLUMN written_by xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX cdr_written_by ON cdr (written_by, node, call_id);
CREATE INDEX cdr_correction_written_by ON cdr_correction (written_by, node, call_id);
COMMENT ON COLUMN cdr.written_by IS 'The transaction that stored it: the order in which "ringmaster cdr export" reads';
COMMENT ON COLUMN cdr_correction.written_by IS 'The transaction that stored it: the order in which "ringmaster cdr export" reads';
