-- What a hostile operator found: rows that stopped engines or meant the opposite, ways around the books, a ledger_check that was wrong about true books and blind to wrong ones, and a rollback that
-- one new customer made impossible.

-- Refused early ---------------------------------------------------------------------------------------------------------

-- First what is there already, so that no database is kept from being migrated. audit_log has the rows as they were.
DO $$
DECLARE
    why CONSTANT text := 'migration 0024: values that engines could not read, or read as their opposite';
BEGIN
    PERFORM set_config('ringmaster.comment', why, true), set_config('ringmaster.confirmed', why, true);
    -- NaN is no number, so it is no cap; its account could pay for no call, nor could others in the same batch. A cap above all that can be had caps nothing.
    IF EXISTS (SELECT FROM account WHERE spend_per_hour > 1000000000 OR spend_per_day > 1000000000) THEN
        UPDATE account SET spend_per_hour = CASE WHEN spend_per_hour = 'NaN' THEN NULL WHEN spend_per_hour > 1000000000 THEN 1000000000 ELSE spend_per_hour END,
            spend_per_day = CASE WHEN spend_per_day = 'NaN' THEN NULL WHEN spend_per_day > 1000000000 THEN 1000000000 ELSE spend_per_day END
        WHERE spend_per_hour > 1000000000 OR spend_per_day > 1000000000;
    END IF;
    -- They say that they hold never; engines had them hold always.
    IF EXISTS (SELECT FROM tariff_rate WHERE valid_from = 'infinity' OR valid_to = '-infinity') THEN
        DELETE FROM tariff_rate WHERE valid_from = 'infinity' OR valid_to = '-infinity';
    END IF;
    IF EXISTS (SELECT FROM calendar_holiday WHERE NOT isfinite(holiday)) THEN
        DELETE FROM calendar_holiday WHERE NOT isfinite(holiday);
    END IF;
    -- Longer than dates reach back: nothing could be dropped.
    IF EXISTS (SELECT FROM cdr_retention WHERE keep_days > 36500) THEN
        UPDATE cdr_retention SET keep_days = NULL WHERE keep_days > 36500;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE; -- no table is altered while checks of its rows are to come
    SET CONSTRAINTS ALL DEFERRED;
END $$;

-- NaN is above all numbers, so only an upper bound refuses it.
ALTER TABLE account
    DROP CONSTRAINT spend_per_hour_is_above_0, ADD CONSTRAINT spend_per_hour_is_above_0_up_to_1000000000 CHECK (spend_per_hour > 0 AND spend_per_hour <= 1000000000),
    DROP CONSTRAINT spend_per_day_is_above_0, ADD CONSTRAINT spend_per_day_is_above_0_up_to_1000000000 CHECK (spend_per_day > 0 AND spend_per_day <= 1000000000);
ALTER TABLE adjustment DROP CONSTRAINT amount_is_not_0,
    ADD CONSTRAINT amount_is_not_0 CHECK (amount <> 0), ADD CONSTRAINT amount_is_at_most_1000000000_either_way CHECK (abs(amount) <= 1000000000);
ALTER TABLE cdr_retention ADD CONSTRAINT keep_days_is_at_most_36500 CHECK (keep_days <= 36500);
-- Of the other columns that say from when or until when, Postgres itself asks (account.valid_to, voucher.valid_to), and there both infinities mean what they say.
ALTER TABLE tariff_rate ADD CONSTRAINT a_rate_does_not_begin_at_infinity_nor_end_at_minus_infinity CHECK (valid_from < 'infinity' AND valid_to > '-infinity');
ALTER TABLE calendar_holiday ADD CONSTRAINT a_holiday_is_a_day CHECK (isfinite(holiday));

-- Session keys: what it costs to keep none of the old ones.
CREATE OR REPLACE FUNCTION check_session_key_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' OR NOT EXISTS (SELECT FROM session_key) THEN
        RAISE EXCEPTION 'at least one session key must stay' USING
            ERRCODE = 'restrict_violation', TABLE = 'session_key', CONSTRAINT = 'there_is_a_session_key',
            DETAIL = 'Engines sign the state of each call with it: without one no call is answered.',
            HINT = 'SELECT rotate_session_key() makes a new key and keeps one for calls under way. SELECT rotate_session_key(1) deletes all others: calls under way then end at their next question, and without their session, so what was talked in them is not charged by it.';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION rotate_session_key(keep integer DEFAULT 2) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    IF keep < 1 THEN
        RAISE EXCEPTION 'at least one session key must stay' USING ERRCODE = 'check_violation',
            HINT = 'The default keeps one older key for calls under way. rotate_session_key(1) keeps only the new one: calls under way then end at their next question, and without their session, so what was talked in them is not charged by it.';
    END IF;
    -- gen_random_uuid() has 122 bits of the system's strong randomness; three of them fill 256.
    INSERT INTO session_key (secret)
    VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
    RETURNING session_key_id INTO made;
    DELETE FROM session_key WHERE session_key_id NOT IN (SELECT session_key_id FROM session_key ORDER BY session_key_id DESC LIMIT keep);
    RETURN made;
END $$;
COMMENT ON FUNCTION rotate_session_key(integer) IS 'Makes a new key for session tokens and returns its number; the newest keep keys stay valid, so that calls under way go on. With keep 1 they end without their session, and what was talked in them is not charged by it';

-- The books -------------------------------------------------------------------------------------------------------------

-- Who writes the ledger changes balances: engines, and the functions that book for operators, as their owner. That a session says it books (ringmaster.booking) keeps an owner from slips; it gives nobody a right.
DROP TRIGGER refuse_balance_change ON account_balance;
CREATE TRIGGER refuse_balance_change BEFORE UPDATE OF balance, pending ON account_balance FOR EACH ROW
    WHEN (current_setting('ringmaster.booking', true) IS DISTINCT FROM 'on' OR NOT has_table_privilege('ledger_entry'::regclass, 'INSERT')) EXECUTE FUNCTION refuse_balance_change();
REVOKE UPDATE ON account_balance FROM ringmaster_operator;
GRANT UPDATE (balance, pending) ON account_balance TO ringmaster_operator; -- refused with advice; its name follows the account's only

CREATE FUNCTION refuse_voucher_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'TRUNCATE of voucher is refused: those that were redeemed stay' USING
            ERRCODE = 'insufficient_privilege', TABLE = 'voucher', CONSTRAINT = 'a_redeemed_voucher_stays',
            DETAIL = 'Their money stands in the ledger, and without them their codes could be redeemed again.',
            HINT = 'DELETE FROM voucher WHERE account IS NULL deletes those that nobody has redeemed.';
    END IF;
    RAISE EXCEPTION '% of a redeemed voucher is refused', TG_OP USING
        ERRCODE = 'insufficient_privilege', TABLE = 'voucher', CONSTRAINT = 'a_redeemed_voucher_stays',
        DETAIL = format('Account %s redeemed it on %s. Its money stands in the ledger, and without it its code could be redeemed again.', OLD.account, OLD.redeemed_at),
        HINT = format('DELETE FROM voucher WHERE account IS NULL deletes those that nobody has redeemed. To take the money back: INSERT INTO adjustment (account, amount, reason) VALUES (''%s'', -%s, ''why'').',
            OLD.account, trim_scale(OLD.amount));
END $$;
COMMENT ON FUNCTION refuse_voucher_change() IS 'Refuses to change or delete vouchers that were redeemed, with advice';
CREATE TRIGGER refuse_voucher_change BEFORE UPDATE OR DELETE ON voucher FOR EACH ROW WHEN (OLD.account IS NOT NULL) EXECUTE FUNCTION refuse_voucher_change();
CREATE TRIGGER refuse_voucher_change_truncated BEFORE TRUNCATE ON voucher FOR EACH STATEMENT EXECUTE FUNCTION refuse_voucher_change();
GRANT TRUNCATE ON voucher TO ringmaster_operator; -- refused with advice

CREATE FUNCTION check_account_stays() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Adjustments and vouchers stand in the ledger.
    IF EXISTS (SELECT FROM ledger_entry WHERE account = OLD.account) OR EXISTS (SELECT FROM reservation WHERE account = OLD.account) THEN
        RAISE EXCEPTION 'account "%" cannot be %', OLD.account, CASE TG_OP WHEN 'DELETE' THEN 'deleted' ELSE 'renamed' END USING
            ERRCODE = 'restrict_violation', TABLE = 'account', COLUMN = 'account', CONSTRAINT = 'an_account_stays_once_something_was_booked',
            DETAIL = 'Something was booked in it, or held for a call, and the books name it for ever.',
            HINT = format('To stop it from paying: UPDATE account SET state = ''closed'' WHERE account = ''%s''. Its numbers and cards can pay by another account: UPDATE account_number SET account = ''other'' WHERE account = ''%1$s'', and the same of card.', OLD.account);
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
COMMENT ON FUNCTION check_account_stays() IS 'Refuses to delete or rename an account once something was booked, with advice';
CREATE TRIGGER check_account_stays_deleted BEFORE DELETE ON account FOR EACH ROW EXECUTE FUNCTION check_account_stays();
CREATE TRIGGER check_account_stays_renamed BEFORE UPDATE OF account ON account FOR EACH ROW WHEN (NEW.account <> OLD.account) EXECUTE FUNCTION check_account_stays();

ALTER TABLE limit_place ADD COLUMN maximum_calls bigint;
COMMENT ON COLUMN limit_place.maximum_calls IS 'How many calls there might be at once when it was admitted; NULL: any number';

CREATE OR REPLACE VIEW ledger_check AS
    WITH charged AS MATERIALIZED ( -- where CDR and ledger differ: for CDRs that retention has dropped, all
        SELECT call_id, node, account, c.amount AS cdr, e.amount AS ledger, c.amount IS NULL AND (k.recorded_at IS NULL OR d.day IS NOT NULL) AS dropped
        FROM (SELECT d.call_id, d.node, x.account, sum(CASE WHEN x.share THEN x.amount ELSE -x.amount END) AS amount
              FROM cdr d, jsonb_to_recordset(d.charges) AS x (account text, amount numeric, share boolean) WHERE d.charges <> '[]' AND x.account <> '' GROUP BY 1, 2, 3) AS c
        FULL JOIN (SELECT call_id, node, account::text, sum(amount) AS amount FROM ledger_entry WHERE kind IN ('charge', 'share') GROUP BY 1, 2, 3) AS e USING (call_id, node, account)
        LEFT JOIN cdr_key k USING (call_id, node) LEFT JOIN cdr_dropped_day d ON d.day = (k.recorded_at AT TIME ZONE 'UTC')::date
        WHERE c.amount IS DISTINCT FROM e.amount
    ), posted AS MATERIALIZED ( -- where reservation and ledger differ
        SELECT call_id, node, charge, account, r.posted, e.amount
        FROM (SELECT call_id, node, charge, account, sum(posted) AS posted FROM reservation WHERE state = 'posted' GROUP BY 1, 2, 3, 4) AS r
        FULL JOIN (SELECT call_id, node, charge, account, -sum(amount) AS amount FROM ledger_entry WHERE kind = 'charge' GROUP BY 1, 2, 3, 4) AS e USING (call_id, node, charge, account)
        WHERE r.posted IS DISTINCT FROM e.amount
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
    WHERE coalesce(c.amount, 0) <> coalesce(e.amount, 0) -- sums of 0 are not booked
    UNION ALL
    SELECT 'what_is_posted_is_in_the_ledger', call_id || '@' || node || '#' || charge, format('account %s: posted %s, ledger %s', account, posted, amount) FROM posted WHERE posted.posted IS NOT NULL
    UNION ALL
    -- But for what was charged though it was not held, or not any more: its CDR says so. Of a CDR that retention has dropped nobody knows.
    SELECT 'what_is_charged_was_held', call_id || '@' || node || '#' || charge, format('account %s: ledger %s, no reservation is posted', account, amount)
    FROM posted p WHERE p.posted IS NULL AND EXISTS (SELECT FROM cdr_key k JOIN cdr c ON c.call_id = k.call_id AND c.node = k.node AND c.recorded_at = k.recorded_at
        WHERE k.call_id = p.call_id AND k.node = p.node AND NOT c.flags && ARRAY['outage', 'late'])
    UNION ALL
    SELECT 'an_account_has_its_row_and_its_balance', n.account, CASE WHEN a.account IS NULL THEN 'there is no row of it in account' ELSE 'there is no row of it in account_balance' END
    FROM (SELECT account::text FROM account UNION SELECT account::text FROM account_balance UNION SELECT account::text FROM ledger_entry UNION SELECT account::text FROM reservation WHERE account IS NOT NULL) AS n
    LEFT JOIN account a ON a.account = n.account LEFT JOIN account_balance b ON b.account = n.account WHERE a.account IS NULL OR b.account IS NULL
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
    -- By what held when the newest of them was admitted: a limit may be lowered while calls are up.
    SELECT 'no_more_calls_than_the_limit', p.call_limit || ' ' || p.key, format('%s calls, at most %s', count(*), (array_agg(p.maximum_calls ORDER BY p.taken_at DESC))[1])
    FROM limit_place p WHERE p.released_at IS NULL GROUP BY p.call_limit, p.key HAVING count(*) > (array_agg(p.maximum_calls ORDER BY p.taken_at DESC))[1]
    UNION ALL
    SELECT 'an_adjustment_is_in_the_ledger', coalesce(a.account, e.account), format('adjustments %s, ledger %s', a.amount, e.amount)
    FROM (SELECT account, sum(amount) AS amount FROM adjustment GROUP BY account) AS a
    FULL JOIN (SELECT account, sum(amount) AS amount FROM ledger_entry WHERE kind = 'adjustment' GROUP BY account) AS e USING (account) WHERE a.amount IS DISTINCT FROM e.amount;

-- Undoing ---------------------------------------------------------------------------------------------------------------

-- Customers come and go, pay and are blocked while others edit services: what is theirs is no config. An account that was booked in could not be taken back anyway, and a cap against fraud must not be.
CREATE OR REPLACE FUNCTION rollback_to(to_revision bigint, reason text DEFAULT NULL) RETURNS TABLE (table_name text, operation text, row_key text)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    customers CONSTANT text[] := ARRAY['account', 'account_number', 'account_country', 'card', 'secret_budget'];
    newest  bigint;
    t       record;
    bad     record;
    changed record;
    stays   record;
    done    bigint;
BEGIN
    PERFORM check_kept_revision(to_revision);
    -- Nobody else changes these tables until this transaction has ended. Always in the same order, so that two wait and don't lock each other out.
    FOR t IN SELECT DISTINCT l.table_name AS name FROM audit_log l WHERE l.revision > to_revision ORDER BY 1 LOOP
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', t.name);
    END LOOP;
    SELECT revision INTO newest FROM config_revision;
    IF EXISTS (SELECT FROM audit_log l WHERE l.revision IS NULL AND l.operation <> 'CONFIRM'
        AND l.audit_id > (SELECT coalesce(max(audit_id), 0) FROM audit_log WHERE revision IS NOT NULL)) THEN
        RAISE EXCEPTION 'this transaction has changed rows already' USING ERRCODE = 'invalid_transaction_state',
            HINT = 'COMMIT or ROLLBACK them first; a rollback_to stands by itself in its transaction.';
    END IF;
    -- The session's keys are not part of what operators decide: an old key never comes back.
    SELECT l.* INTO bad FROM audit_log l WHERE l.revision > to_revision AND l.row_key IS NULL AND l.operation <> 'CONFIRM' AND l.table_name <> ALL (customers || 'session_key'::text)
    ORDER BY l.revision DESC LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'revision % cannot be undone', bad.revision USING ERRCODE = 'feature_not_supported', TABLE = bad.table_name,
            DETAIL = format('%s of %s changed %s rows in one statement, and single rows are kept up to 10000.', bad.operation, bad.table_name, coalesce(bad.rows::text, 'all')),
            HINT = format('Roll back to %s or later, and mend %s by hand or from a backup.', bad.revision, bad.table_name);
    END IF;
    CREATE TEMPORARY TABLE IF NOT EXISTS rollback_row (table_name text, operation text, row_key text, image jsonb) ON COMMIT DROP;
    TRUNCATE pg_temp.rollback_row;
    INSERT INTO pg_temp.rollback_row
    SELECT d.table_name, CASE WHEN d.table_name = ANY (customers) THEN 'LEFT' ELSE d.operation END, d.row_key, coalesce(d.after, d.before)
    FROM config_diff(newest, to_revision) d WHERE d.table_name <> 'session_key';
    -- When a subscriber goes, for it was renamed since, its accounts go back to whose they were, and are as they are but for that. It stays where an account stays with it.
    UPDATE pg_temp.rollback_row r SET operation = 'UPDATE', image = to_jsonb(a) || jsonb_build_object('subscriber', r.image ->> 'subscriber')
    FROM account a JOIN pg_temp.rollback_row s ON s.table_name = 'subscriber' AND s.operation = 'DELETE' AND s.row_key = a.subscriber
    WHERE r.table_name = 'account' AND r.row_key = a.account AND r.image ->> 'subscriber' <> a.subscriber;
    UPDATE pg_temp.rollback_row s SET operation = 'LEFT' WHERE s.table_name = 'subscriber' AND s.operation = 'DELETE'
        AND EXISTS (SELECT FROM account a WHERE a.subscriber = s.row_key AND NOT EXISTS (SELECT FROM pg_temp.rollback_row r WHERE r.table_name = 'account' AND r.operation = 'UPDATE' AND r.row_key = a.account));
    SELECT r.* INTO bad FROM pg_temp.rollback_row r WHERE r.operation = 'INSERT' AND r.image ->> secret_column(r.table_name) IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% "%" cannot be brought back', bad.table_name, bad.row_key USING ERRCODE = 'feature_not_supported', TABLE = bad.table_name,
            DETAIL = 'It was deleted since, and its secret is not kept.',
            HINT = CASE bad.table_name WHEN 'node'
                THEN format('INSERT INTO node (node) VALUES (%L) and SELECT set_node_secret(%L, ''…'') yourself, then roll back.', bad.row_key, bad.row_key)
                ELSE 'Insert it yourself with a new secret, then roll back.' END;
    END IF;
    PERFORM set_config('ringmaster.confirmed', format('rollback to revision %s', to_revision) || coalesce(': ' || reason, ''), true);
    PERFORM set_config('ringmaster.comment', format('rollback to revision %s', to_revision) || coalesce(': ' || reason, ''), true);
    SET CONSTRAINTS ALL DEFERRED;
    -- Rows that others hang on are deleted last, when those that stay hang on something else again.
    FOR changed IN
        SELECT r.table_name, r.operation, array_agg(r.image) AS images,
            EXISTS (SELECT FROM pg_constraint c WHERE c.confrelid = ('public.' || r.table_name)::regclass AND c.confdeltype = 'c') AS parent
        FROM pg_temp.rollback_row r WHERE r.operation <> 'LEFT' GROUP BY 1, 2
        ORDER BY CASE WHEN r.operation <> 'DELETE' THEN 1
            WHEN EXISTS (SELECT FROM pg_constraint c WHERE c.confrelid = ('public.' || r.table_name)::regclass AND c.confdeltype = 'c') THEN 2 ELSE 0 END,
            4 DESC, r.table_name, r.operation DESC -- rows that were given another's place have their own again before that one is brought back
    LOOP
        SELECT string_agg(format('x.%1$I = r.%1$I', a.attname), ' AND ') FILTER (WHERE a.attnum = ANY (k.conkey)) AS same,
            string_agg(format('%1$I = r.%1$I', a.attname), ', ') FILTER (WHERE a.attnum <> ALL (k.conkey) AND a.attname IS DISTINCT FROM secret_column(changed.table_name)) AS assign
        INTO t FROM pg_attribute a JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
        WHERE a.attrelid = ('public.' || changed.table_name)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
        EXECUTE CASE changed.operation
            WHEN 'INSERT' THEN format('INSERT INTO %1$I OVERRIDING SYSTEM VALUE SELECT r.* FROM unnest($1) AS image, jsonb_populate_record(NULL::%1$I, image) AS r', changed.table_name)
            WHEN 'DELETE' THEN format('DELETE FROM %1$I AS x USING unnest($1) AS image, jsonb_populate_record(NULL::%1$I, image) AS r WHERE %2$s', changed.table_name, t.same)
            ELSE format('UPDATE %1$I AS x SET %3$s FROM unnest($1) AS image, jsonb_populate_record(NULL::%1$I, image - coalesce(%4$L, '''')) AS r WHERE %2$s', changed.table_name, t.same, t.assign,
                secret_column(changed.table_name))
        END USING changed.images;
        GET DIAGNOSTICS done = ROW_COUNT;
    END LOOP;
    SELECT count(*) AS n, string_agg(concat_ws(' ', r.table_name, r.row_key), ', ' ORDER BY r.table_name, r.row_key) FILTER (WHERE r.place <= 10) AS list INTO stays
    FROM (SELECT *, row_number() OVER (ORDER BY l.table_name, l.row_key) AS place FROM pg_temp.rollback_row l WHERE l.operation = 'LEFT') AS r;
    IF stays.n > 0 THEN
        RAISE NOTICE '% rows of customers stay as they are', stays.n USING
            DETAIL = stays.list || CASE WHEN stays.n > 10 THEN ', …' ELSE '' END || '.',
            HINT = format('SELECT * FROM config_diff(%s, %s) says what they were and what they are (ringmaster diff %1$s..%2$s). Where one was a mistake too, change it by hand: UPDATE account SET spend_per_hour = 20 WHERE account = ''name''.', to_revision, newest);
    END IF;
    RETURN QUERY SELECT r.table_name, r.operation, r.row_key FROM pg_temp.rollback_row r ORDER BY 1, 3, 2;
END $$;
COMMENT ON FUNCTION rollback_to(bigint, text) IS 'Makes the operators'' tables what they were at a config revision, as a new revision, and lists the rows it changed. Customers'' rows (account, account_number, account_country, card, secret_budget) stay as they are, listed as LEFT; so do session keys and secrets';
