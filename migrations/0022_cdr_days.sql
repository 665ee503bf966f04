-- cdr has a partition for each day (UTC) on which records were stored, by the clock of Postgres: what clocks of nodes say decides nothing. A partition's key must hold the day, so
-- that there is one record per call is guaranteed by a narrow table of keys beside it, which a trigger writes with each record. Old days are dropped as a whole, when the operators say so.

-- One CDR per call ------------------------------------------------------------------------------------------------------

ALTER TABLE call_record DROP CONSTRAINT call_of_a_record_must_exist;
ALTER TABLE cdr RENAME TO cdr_before;
ALTER INDEX cdr_pkey RENAME TO cdr_before_pkey;
ALTER INDEX cdr_started_at RENAME TO cdr_before_started_at;
ALTER INDEX cdr_service RENAME TO cdr_before_service;
ALTER INDEX cdr_written_by RENAME TO cdr_before_written_by;

CREATE TABLE cdr (LIKE cdr_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING STORAGE) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE cdr IS 'Call detail records: exactly one per call, written when the call has ended. One partition for each day (UTC) on which they were stored: WHERE recorded_at >= ''2026-11-27Z'' AND recorded_at < ''2026-11-28Z'' reads one of them only';
COMMENT ON COLUMN cdr.recorded_at IS 'When it was stored, by the clock of Postgres; its day (UTC) is its partition';

CREATE TABLE cdr_key (
    call_id     text NOT NULL,
    node        text NOT NULL,
    recorded_at timestamptz NOT NULL,
    lost        boolean NOT NULL,
    PRIMARY KEY (call_id, node) -- a node names its own calls: no other node can take the record of one
);
COMMENT ON TABLE cdr_key IS 'The calls that have a CDR, so that none has two: written with the record, and kept for 30 days longer than it';
COMMENT ON COLUMN cdr_key.call_id IS 'The call';
COMMENT ON COLUMN cdr_key.node IS 'The node that carried it';
COMMENT ON COLUMN cdr_key.recorded_at IS 'When its CDR was stored: cdr.recorded_at, which says in which partition it is';
COMMENT ON COLUMN cdr_key.lost IS 'Whether it was closed as node_lost, so that its real end may still come; such keys stay';

CREATE TABLE cdr_default PARTITION OF cdr DEFAULT;
COMMENT ON TABLE cdr_default IS 'Call detail records of days that have no partition: none is ever refused. Engines move them when their day is over';
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT attname, col_description('cdr'::regclass, attnum) AS text FROM pg_attribute WHERE attrelid = 'cdr'::regclass AND attnum > 0 AND NOT attisdropped LOOP
        EXECUTE format('COMMENT ON COLUMN cdr_default.%I IS %L', one.attname, one.text);
    END LOOP;
END $$;

CREATE FUNCTION cdr_days() RETURNS TABLE (day date, partition regclass) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT to_date(substr(c.relname, 5), 'YYYY_MM_DD'), c.oid::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'cdr'::regclass AND c.relname ~ '^cdr_[0-9]{4}_[0-9]{2}_[0-9]{2}$' ORDER BY 1
$$;
COMMENT ON FUNCTION cdr_days() IS 'The days (UTC) that have a partition of cdr, the oldest first';

CREATE FUNCTION add_cdr_day(one_day date) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    name CONSTANT text := 'cdr_' || to_char(one_day, 'YYYY_MM_DD');
    low  CONSTANT timestamptz := one_day;
    high CONSTANT timestamptz := one_day + 1;
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE cdr INCLUDING ALL)', name);
    EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', name, format('Call detail records that were stored on %s (UTC); read them in cdr', one_day));
    EXECUTE format('CREATE TRIGGER refuse_ledger_change BEFORE UPDATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()', name);
    -- ATTACH, unlike CREATE TABLE … PARTITION OF, keeps nobody from writing to the other days.
    LOCK TABLE cdr_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('WITH moved AS (DELETE FROM cdr_default WHERE recorded_at >= $1 AND recorded_at < $2 RETURNING *) INSERT INTO %I SELECT * FROM moved', name) USING low, high;
    EXECUTE format('ALTER TABLE cdr ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, low, high);
END $$;
COMMENT ON FUNCTION add_cdr_day(date) IS 'Makes the partition of cdr for a day (UTC), with what cdr_default has of it';
REVOKE EXECUTE ON FUNCTION add_cdr_day(date) FROM PUBLIC;

CREATE FUNCTION make_cdr_days(ahead integer DEFAULT 7) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '1s' AS $$
DECLARE
    today   CONSTANT date := clock_timestamp()::date;
    made    integer := 0;
    one_day date;
BEGIN
    IF NOT pg_try_advisory_xact_lock(4713) THEN
        RETURN 0; -- another engine is at it
    END IF;
    -- A day that has begun, or is about to, is left alone: who just writes a record of it has chosen cdr_default for it, and would be refused.
    FOR one_day IN SELECT d::date FROM generate_series(today + 1, today + least(ahead, 400), interval '1 day') AS d WHERE d > clock_timestamp() + interval '1 hour' LOOP
        IF to_regclass('cdr_' || to_char(one_day, 'YYYY_MM_DD')) IS NULL THEN
            PERFORM add_cdr_day(one_day);
            made := made + 1;
        END IF;
    END LOOP;
    -- What days without a partition left behind, when nobody writes to it any more: that is while today has one.
    IF EXISTS (SELECT FROM cdr_days() WHERE day = today) THEN
        FOR one_day IN SELECT DISTINCT recorded_at::date FROM cdr_default WHERE recorded_at < today AND recorded_at < clock_timestamp() - interval '1 hour' - interval '1 day' ORDER BY 1 LIMIT 10 LOOP
            IF to_regclass('cdr_' || to_char(one_day, 'YYYY_MM_DD')) IS NULL THEN
                PERFORM add_cdr_day(one_day);
                made := made + 1;
            END IF;
        END LOOP;
    END IF;
    RETURN made;
END $$;
COMMENT ON FUNCTION make_cdr_days(integer) IS 'Makes the partitions of cdr for the days (UTC) to come, and for days of which cdr_default has records; returns how many it made. Engines call it every ten minutes';
REVOKE EXECUTE ON FUNCTION make_cdr_days(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_cdr_days(integer) TO ringmaster_engine;

DO $$
DECLARE
    one_day date;
BEGIN
    FOR one_day IN SELECT (recorded_at AT TIME ZONE 'UTC')::date FROM cdr_before UNION SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date + n FROM generate_series(0, 7) AS n ORDER BY 1 LOOP
        PERFORM add_cdr_day(one_day);
    END LOOP;
END $$;
INSERT INTO cdr SELECT * FROM cdr_before;
INSERT INTO cdr_key SELECT call_id, node, recorded_at, outcome = 'node_lost' FROM cdr_before ORDER BY recorded_at;

ALTER TABLE cdr ADD PRIMARY KEY (call_id, node, recorded_at);
CREATE INDEX cdr_started_at ON cdr (started_at);
CREATE INDEX cdr_service ON cdr (service, started_at);
CREATE INDEX cdr_written_by ON cdr (written_by, node, call_id);
CREATE INDEX cdr_key_recorded_at ON cdr_key (recorded_at) WHERE NOT lost; -- those that go one day

CREATE FUNCTION note_cdr_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- No SET search_path: that would cost more than the rest, for each call.
    INSERT INTO public.cdr_key (call_id, node, recorded_at, lost) VALUES (NEW.call_id, NEW.node, NEW.recorded_at, NEW.outcome OPERATOR(pg_catalog.=) 'node_lost') ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN NEW;
    END IF;
    RETURN NULL; -- the call has its record
END $$;
COMMENT ON FUNCTION note_cdr_key() IS 'Notes the key of a CDR; a second record of a call is left out, as by ON CONFLICT DO NOTHING';
CREATE TRIGGER note_cdr_key BEFORE INSERT ON cdr FOR EACH ROW EXECUTE FUNCTION note_cdr_key();
CREATE TRIGGER refuse_ledger_change BEFORE UPDATE ON cdr FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER refuse_ledger_change BEFORE UPDATE ON cdr_default FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER refuse_ledger_change BEFORE UPDATE OR TRUNCATE ON cdr_key FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
ALTER TABLE call_record ADD CONSTRAINT call_of_a_record_must_exist FOREIGN KEY (call_id, node) REFERENCES cdr_key DEFERRABLE;

REVOKE ALL ON cdr, cdr_default, cdr_key FROM PUBLIC;
GRANT SELECT ON cdr, cdr_key TO ringmaster_engine, ringmaster_operator, ringmaster_viewer;
GRANT INSERT ON cdr, cdr_key TO ringmaster_engine;
GRANT UPDATE ON cdr TO ringmaster_operator; -- refused with advice, rather than with "permission denied"

-- Retention -------------------------------------------------------------------------------------------------------------

CREATE TABLE cdr_retention (
    one       boolean PRIMARY KEY DEFAULT true CONSTRAINT cdr_retention_has_one_row CHECK (one),
    keep_days integer CONSTRAINT keep_days_is_at_least_35 CHECK (keep_days >= 35)
);
COMMENT ON TABLE cdr_retention IS 'One row: for how long call detail records are kept. UPDATE cdr_retention SET keep_days = 400';
COMMENT ON COLUMN cdr_retention.one IS 'Always true: there is one row';
COMMENT ON COLUMN cdr_retention.keep_days IS 'Days (UTC) after that on which they were stored for which call detail records are kept, at least 35; NULL: for ever. Engines begin a day after the edit to drop what is older';
INSERT INTO cdr_retention (keep_days) VALUES (NULL);
CALL make_operator_table('cdr_retention', '', '', '', '', 'one');

CREATE TABLE cdr_retention_since (
    one        boolean PRIMARY KEY DEFAULT true CONSTRAINT cdr_retention_since_has_one_row CHECK (one),
    changed_at timestamptz NOT NULL
);
COMMENT ON TABLE cdr_retention_since IS 'One row: since when cdr_retention is as it is';
COMMENT ON COLUMN cdr_retention_since.one IS 'Always true: there is one row';
COMMENT ON COLUMN cdr_retention_since.changed_at IS 'When cdr_retention was last edited';
INSERT INTO cdr_retention_since (changed_at) VALUES (clock_timestamp());
CREATE FUNCTION note_cdr_retention() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE cdr_retention_since SET changed_at = clock_timestamp();
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_cdr_retention() IS 'Notes when cdr_retention was edited, for the day in which that can be taken back';
CREATE TRIGGER note_cdr_retention AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON cdr_retention FOR EACH STATEMENT EXECUTE FUNCTION note_cdr_retention();

CREATE TABLE cdr_dropped_day (
    day             date PRIMARY KEY,
    records         bigint NOT NULL,
    last_written_by xid8,
    dropped_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE cdr_dropped_day IS 'Days whose call detail records retention has dropped';
COMMENT ON COLUMN cdr_dropped_day.day IS 'The day (UTC) on which they were stored';
COMMENT ON COLUMN cdr_dropped_day.records IS 'How many there were';
COMMENT ON COLUMN cdr_dropped_day.last_written_by IS 'The newest of their transactions: an export that has not come so far will not see all of them; NULL: there were none';
COMMENT ON COLUMN cdr_dropped_day.dropped_at IS 'When they were dropped';

CREATE TABLE cdr_dropped_charge (
    account text PRIMARY KEY,
    amount  numeric(18,6) NOT NULL,
    beyond  numeric(18,6) NOT NULL
);
COMMENT ON TABLE cdr_dropped_charge IS 'What the call records that retention has dropped had charged, by account: ledger_check compares it with the ledger, which keeps every entry';
COMMENT ON COLUMN cdr_dropped_charge.account IS 'The account';
COMMENT ON COLUMN cdr_dropped_charge.amount IS 'Sum of what they charged and shared, as in the ledger: below 0 out of the account';
COMMENT ON COLUMN cdr_dropped_charge.beyond IS 'The part of it that was charged for calls with the flag excess, outage or late';

CREATE FUNCTION drop_cdr_days(most integer DEFAULT 31, at_once boolean DEFAULT false) RETURNS TABLE (day date, records bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '250ms' AS $$
#variable_conflict use_column
DECLARE
    keep      integer;
    since     timestamptz;
    one       record;
    low       timestamptz;
    high      timestamptz;
    done_days date[] := '{}';
BEGIN
    SELECT r.keep_days, s.changed_at INTO keep, since FROM cdr_retention r, cdr_retention_since s;
    IF keep IS NULL OR NOT at_once AND since > clock_timestamp() - interval '1 day' OR NOT pg_try_advisory_xact_lock(4713) THEN
        RETURN;
    END IF;
    FOR one IN SELECT d.day, d.partition FROM cdr_days() AS d WHERE d.day < clock_timestamp()::date - keep ORDER BY d.day LOOP
        EXIT WHEN cardinality(done_days) >= most;
        low := one.day;
        high := one.day + 1;
        EXECUTE format('LOCK TABLE %s IN EXCLUSIVE MODE', one.partition); -- nobody adds to it, all may read
        -- Whatever is still open is settled first: engines do that.
        CONTINUE WHEN EXISTS (SELECT FROM reservation r JOIN cdr_key k USING (call_id, node) WHERE r.state = 'pending' AND k.recorded_at >= low AND k.recorded_at < high)
            OR EXISTS (SELECT FROM limit_place p JOIN cdr_key k USING (call_id, node) WHERE p.released_at IS NULL AND k.recorded_at >= low AND k.recorded_at < high)
            OR EXISTS (SELECT FROM live_call l JOIN cdr_key k USING (call_id, node) WHERE k.recorded_at >= low AND k.recorded_at < high);
        EXECUTE format('INSERT INTO cdr_dropped_charge AS t (account, amount, beyond)
            SELECT x.account, sum(x.amount), coalesce(sum(x.amount) FILTER (WHERE beyond AND x.amount < 0), 0)
            FROM (SELECT x.account, CASE WHEN x.share THEN x.amount ELSE -x.amount END AS amount, d.flags && ARRAY[''excess'', ''outage'', ''late''] AS beyond
                  FROM %s d, jsonb_to_recordset(d.charges) AS x (account text, amount numeric, share boolean) WHERE d.charges <> ''[]'' AND x.account <> '''') AS x GROUP BY x.account
            ON CONFLICT (account) DO UPDATE SET amount = t.amount + excluded.amount, beyond = t.beyond + excluded.beyond', one.partition);
        EXECUTE format('INSERT INTO cdr_dropped_day AS t (day, records, last_written_by) SELECT $1, (SELECT count(*) FROM %1$s), (SELECT written_by FROM %1$s ORDER BY written_by DESC LIMIT 1)
            ON CONFLICT (day) DO UPDATE SET records = t.records + excluded.records, last_written_by = coalesce(excluded.last_written_by, t.last_written_by), dropped_at = excluded.dropped_at', one.partition) USING one.day;
        EXECUTE format('DELETE FROM call_record r USING %s d WHERE r.call_id = d.call_id AND r.node = d.node', one.partition);
        done_days := done_days || one.day;
    END LOOP;
    IF done_days = '{}' THEN
        RETURN;
    END IF;
    -- From here on ends of calls wait, for as long as it takes to forget some tables; when somebody reads cdr for longer than lock_timeout, all is undone, and done another time.
    LOCK TABLE cdr IN ACCESS EXCLUSIVE MODE;
    FOR one IN SELECT d.day, d.partition FROM cdr_days() AS d WHERE d.day = ANY (done_days) LOOP
        EXECUTE format('DROP TABLE %s', one.partition);
    END LOOP;
    RETURN QUERY SELECT d.day, d.records FROM cdr_dropped_day d WHERE d.day = ANY (done_days) ORDER BY d.day;
END $$;
COMMENT ON FUNCTION drop_cdr_days(integer, boolean) IS 'Drops call detail records, day by day, that are older than cdr_retention says, and returns which. Engines call it; to drop at once after an edit: SELECT * FROM drop_cdr_days(at_once => true)';
REVOKE EXECUTE ON FUNCTION drop_cdr_days(integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_cdr_days(integer, boolean) TO ringmaster_engine, ringmaster_operator;

CREATE FUNCTION forget_cdr_keys(most integer DEFAULT 10000) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '250ms' AS $$
DECLARE
    until  timestamptz;
    gone   bigint;
BEGIN
    -- Never the key of a record that is there, whatever kept its day from being dropped.
    SELECT least((clock_timestamp()::date - r.keep_days - 30)::timestamptz, (SELECT min(d.day) FROM cdr_days() AS d)::timestamptz, (SELECT min(c.recorded_at) FROM cdr_default c)) INTO until
    FROM cdr_retention r, cdr_retention_since s WHERE r.keep_days IS NOT NULL AND s.changed_at < clock_timestamp() - interval '1 day';
    IF until IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM cdr_key WHERE ctid = ANY (ARRAY(SELECT k.ctid FROM cdr_key k WHERE k.recorded_at < until AND NOT k.lost ORDER BY k.recorded_at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
COMMENT ON FUNCTION forget_cdr_keys(integer) IS 'Forgets keys of call detail records that retention dropped 30 days ago and longer, at most so many, and returns how many. Until then an end that comes again is known. Engines call it';
REVOKE EXECUTE ON FUNCTION forget_cdr_keys(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_cdr_keys(integer) TO ringmaster_engine;

REVOKE ALL ON cdr_retention_since, cdr_dropped_day, cdr_dropped_charge FROM PUBLIC;
GRANT SELECT ON cdr_retention_since, cdr_dropped_day, cdr_dropped_charge TO ringmaster_engine, ringmaster_operator, ringmaster_viewer;

-- The books -------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW ledger_check AS
    WITH charged AS MATERIALIZED ( -- where CDR and ledger differ: for CDRs that retention has dropped, all
        SELECT call_id, node, account, c.amount AS cdr, e.amount AS ledger, c.amount IS NULL AND (k.recorded_at IS NULL OR d.day IS NOT NULL) AS dropped
        FROM (SELECT d.call_id, d.node, x.account, sum(CASE WHEN x.share THEN x.amount ELSE -x.amount END) AS amount
              FROM cdr d, jsonb_to_recordset(d.charges) AS x (account text, amount numeric, share boolean) WHERE d.charges <> '[]' AND x.account <> '' GROUP BY 1, 2, 3) AS c
        FULL JOIN (SELECT call_id, node, account::text, sum(amount) AS amount FROM ledger_entry WHERE kind IN ('charge', 'share') GROUP BY 1, 2, 3) AS e USING (call_id, node, account)
        LEFT JOIN cdr_key k USING (call_id, node) LEFT JOIN cdr_dropped_day d ON d.day = (k.recorded_at AT TIME ZONE 'UTC')::date
        WHERE c.amount IS DISTINCT FROM e.amount
    )
    SELECT 'balance_is_the_sum_of_the_ledger' AS invariant, b.account::text AS subject, format('balance %s, ledger %s', b.balance, coalesce(e.amount, 0)) AS detail
    FROM account_balance b LEFT JOIN (SELECT account, sum(amount) AS amount FROM ledger_entry GROUP BY account) AS e USING (account) WHERE b.balance <> coalesce(e.amount, 0)
    UNION ALL
    SELECT 'pending_is_the_sum_of_pending_reservations', b.account, format('pending %s, reservations %s', b.pending, coalesce(r.amount, 0))
    FROM account_balance b LEFT JOIN (SELECT account, sum(amount) AS amount FROM reservation WHERE state = 'pending' GROUP BY account) AS r USING (account) WHERE b.pending <> coalesce(r.amount, 0)
    UNION ALL
    SELECT 'nothing_is_spent_that_is_not_there', b.account, format('balance %s, pending %s, credit limit %s', b.balance, b.pending, a.credit_limit)
    FROM account_balance b JOIN account a USING (account)
    -- but for what calls came to that no engine could keep within their grant: their CDRs say so
    WHERE b.balance - b.pending + a.credit_limit < 0 AND b.balance - b.pending + a.credit_limit < coalesce((SELECT d.beyond FROM cdr_dropped_charge d WHERE d.account = b.account), 0)
        + (SELECT coalesce(sum(e.amount), 0) FROM ledger_entry e LEFT JOIN cdr_key k USING (call_id, node) LEFT JOIN cdr c ON c.call_id = k.call_id AND c.node = k.node AND c.recorded_at = k.recorded_at
            WHERE e.account = b.account AND e.amount < 0 AND (e.kind = 'correction' OR c.flags && ARRAY['excess', 'outage', 'late']))
    UNION ALL
    SELECT 'cdr_charges_are_the_ledgers', call_id || '@' || node, format('account %s: CDR %s, ledger %s', account, cdr, ledger) FROM charged WHERE NOT dropped
    UNION ALL
    SELECT 'dropped_charges_are_the_ledgers', account, format('CDRs that retention dropped %s, ledger %s', d.amount, e.amount)
    FROM cdr_dropped_charge d FULL JOIN (SELECT account, sum(ledger) AS amount FROM charged WHERE dropped GROUP BY account) AS e USING (account) WHERE coalesce(d.amount, 0) <> coalesce(e.amount, 0)
    UNION ALL
    SELECT 'a_cdr_has_its_key', call_id || '@' || node, CASE WHEN k.lost IS NULL THEN 'there is no key of its CDR' WHEN c.lost IS NULL THEN 'there is no CDR of its key' ELSE 'the key says something else of node_lost' END
    FROM (SELECT call_id, node, recorded_at, outcome = 'node_lost' AS lost FROM cdr) AS c FULL JOIN cdr_key k USING (call_id, node, recorded_at)
    LEFT JOIN cdr_dropped_day d ON d.day = (recorded_at AT TIME ZONE 'UTC')::date WHERE c.lost IS DISTINCT FROM k.lost AND (c.lost IS NOT NULL OR d.day IS NULL)
    UNION ALL
    SELECT 'corrections_are_the_ledgers', coalesce(c.call_id, e.call_id) || '@' || coalesce(c.node, e.node), format('account %s: correction %s, ledger %s', coalesce(c.account, e.account), c.amount, e.amount)
    FROM (SELECT d.call_id, d.node, x.account, sum(CASE WHEN x.share THEN x.amount ELSE -x.amount END) AS amount
          FROM cdr_correction d, jsonb_to_recordset(d.charges) AS x (account text, amount numeric, share boolean) WHERE d.charges <> '[]' AND x.account <> '' GROUP BY 1, 2, 3) AS c
    FULL JOIN (SELECT call_id, node, account::text, sum(amount) AS amount FROM ledger_entry WHERE kind = 'correction' GROUP BY 1, 2, 3) AS e USING (call_id, node, account)
    WHERE c.amount IS DISTINCT FROM e.amount
    UNION ALL
    SELECT 'what_is_posted_is_in_the_ledger', r.call_id || '@' || r.node || '#' || r.charge, format('account %s: posted %s, ledger %s', r.account, r.posted, e.amount)
    FROM (SELECT call_id, node, charge, account, sum(posted) AS posted FROM reservation WHERE state = 'posted' GROUP BY 1, 2, 3, 4) AS r
    LEFT JOIN (SELECT call_id, node, charge, account, -sum(amount) AS amount FROM ledger_entry WHERE kind = 'charge' GROUP BY 1, 2, 3, 4) AS e USING (call_id, node, charge, account)
    WHERE r.posted IS DISTINCT FROM e.amount
    UNION ALL
    SELECT 'a_charge_is_in_the_accounts_currency', c.call_id || '@' || c.node, format('account %s has %s, the CDR says %s', a.account, a.currency, x.currency)
    FROM cdr c, jsonb_to_recordset(c.charges) AS x (account text, currency text) JOIN account a USING (account) WHERE c.charges <> '[]' AND a.currency <> x.currency
    UNION ALL
    SELECT 'a_correction_is_of_a_call_that_was_closed', k.call_id || '@' || k.node, CASE WHEN c.lost IS NULL THEN 'it has no CDR' ELSE 'its CDR does not say node_lost' END
    FROM cdr_correction k LEFT JOIN cdr_key c USING (call_id, node) WHERE c.lost IS NOT TRUE
    UNION ALL
    SELECT 'what_is_held_is_for_a_live_call', r.call_id || '@' || r.node || '#' || r.charge, format('%s is pending for account %s', r.amount, r.account)
    FROM reservation r WHERE r.state = 'pending' AND NOT EXISTS (SELECT FROM live_call l WHERE l.call_id = r.call_id AND l.node = r.node)
    UNION ALL
    SELECT 'a_place_is_of_a_live_call', p.call_limit || ' ' || p.key, format('call %s@%s', p.call_id, p.node)
    FROM limit_place p WHERE p.released_at IS NULL AND NOT EXISTS (SELECT FROM live_call l WHERE l.call_id = p.call_id AND l.node = p.node)
    UNION ALL
    SELECT 'a_voucher_is_in_the_ledger', coalesce(v.account, e.account), format('vouchers %s, ledger %s', v.amount, e.amount)
    FROM (SELECT account::text, sum(amount) AS amount FROM voucher WHERE account IS NOT NULL GROUP BY account) AS v
    FULL JOIN (SELECT account::text, sum(amount) AS amount FROM ledger_entry WHERE kind = 'voucher' GROUP BY account) AS e USING (account) WHERE v.amount IS DISTINCT FROM e.amount
    UNION ALL
    SELECT 'an_ended_call_holds_nothing', r.call_id || '@' || r.node || '#' || r.charge, format('%s is pending for account %s', r.amount, r.account)
    FROM reservation r JOIN cdr_key c USING (call_id, node) WHERE r.state = 'pending'
    UNION ALL
    SELECT 'an_ended_call_has_no_place', p.call_limit || ' ' || p.key, format('call %s@%s', p.call_id, p.node)
    FROM limit_place p JOIN cdr_key c USING (call_id, node) WHERE p.released_at IS NULL
    UNION ALL
    SELECT 'no_more_calls_than_the_limit', l.call_limit || ' ' || p.key, format('%s calls, at most %s', count(*), l.maximum_calls)
    FROM limit_place p JOIN call_limit l USING (call_limit) WHERE p.released_at IS NULL AND l.maximum_calls IS NOT NULL GROUP BY l.call_limit, p.key, l.maximum_calls HAVING count(*) > l.maximum_calls
    UNION ALL
    SELECT 'an_adjustment_is_in_the_ledger', coalesce(a.account, e.account), format('adjustments %s, ledger %s', a.amount, e.amount)
    FROM (SELECT account, sum(amount) AS amount FROM adjustment GROUP BY account) AS a
    FULL JOIN (SELECT account, sum(amount) AS amount FROM ledger_entry WHERE kind = 'adjustment' GROUP BY account) AS e USING (account) WHERE a.amount IS DISTINCT FROM e.amount;

-- A query of all of cdr, such as ledger_check, has an expression or two for each day: to compile them takes a minute, to run them a second.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET jit = off', current_database());
EXCEPTION
    WHEN insufficient_privilege THEN
        NULL; -- engines and ringmaster say so for themselves
END $$;

DROP TABLE cdr_before;
