-- rollback_to changes rows before it brings others back: a row that was given what another had that was deleted in the same edit (the same opening hours, say) must first have its own again, or two would have the same.

DO $$
DECLARE
    was  CONSTANT text := pg_get_functiondef('rollback_to(bigint, text)'::regprocedure);
    made CONSTANT text := replace(was, '4 DESC, r.table_name, r.operation' || chr(10), '4 DESC, r.table_name, r.operation DESC' || chr(10));
BEGIN
    IF made = was THEN
        RAISE EXCEPTION 'rollback_to is not what migration 0008 made';
    END IF;
    EXECUTE made;
END $$;
