-- rollback_to brings swapped rows back: two branches that had exchanged their names, two windows their hours, two rates their prefixes. What only one row may have is looked at row by row, so one UPDATE cannot give each its own
-- again. Rows of such tables, on which no others hang, are taken out and put in as they were. (Constraints that wait for the end of the transaction would do as well, but then ON CONFLICT DO NOTHING were refused.)

DO $$
DECLARE
    was  CONSTANT text := pg_get_functiondef('rollback_to(bigint, text)'::regprocedure);
    made CONSTANT text := replace(was, 'FROM pg_temp.rollback_row r WHERE r.operation <> ''LEFT'' GROUP BY 1, 2', 'FROM (SELECT s.table_name, o.operation, s.image FROM pg_temp.rollback_row s,
                unnest(CASE WHEN s.operation = ''UPDATE'' AND rows_may_swap(s.table_name) THEN ARRAY[''DELETE'', ''INSERT''] ELSE ARRAY[s.operation] END) AS o (operation)) AS r
        WHERE r.operation <> ''LEFT'' GROUP BY 1, 2');
BEGIN
    IF made = was THEN
        RAISE EXCEPTION 'rollback_to is not what migration 0024 made';
    END IF;
    EXECUTE made;
END $$;

CREATE FUNCTION rows_may_swap(table_name text) RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = ('public.' || table_name)::regclass AND i.indisunique AND NOT i.indisprimary)
        AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.confrelid = ('public.' || table_name)::regclass) AND secret_column(table_name) IS NULL
$$;
COMMENT ON FUNCTION rows_may_swap(text) IS 'Whether rows of a table may have exchanged what only one of them may have, and can be taken out and put in again: none hang on them, and they have no secret';
