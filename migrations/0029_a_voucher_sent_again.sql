-- Whoever has redeemed a voucher and sends it again, because the answer was lost, is told so, also after ten wrong ones: its own code teaches nobody anything.

CREATE OR REPLACE FUNCTION redeem_voucher(for_account text, code text, OUT state text, OUT currency text, OUT available numeric)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET ringmaster.booking = 'on' AS $$
DECLARE
    b account_balance;
    a account;
    v voucher;
BEGIN
    SELECT * INTO b FROM account_balance WHERE account_balance.account = for_account FOR UPDATE;
    SELECT * INTO a FROM account WHERE account.account = for_account;
    IF b.account IS NULL OR a.account IS NULL THEN
        state := 'no_account'; currency := ''; available := 0;
        RETURN;
    END IF;
    currency := a.currency;
    available := b.balance + a.credit_limit - b.pending;
    -- With the balance locked: nobody else redeems it for this account meanwhile.
    IF EXISTS (SELECT FROM voucher WHERE code_sha256 = sha256(convert_to(code, 'UTF8')) AND voucher.account = for_account) THEN
        state := 'redeemed'; -- once more: nothing is put in
        RETURN;
    END IF;
    state := 'refused';
    IF EXISTS (SELECT FROM secret_try t JOIN secret_budget s USING (scope) WHERE t.scope = 'voucher' AND t.key = for_account
            AND t.began_at > now() - make_interval(secs => s.window_seconds) AND t.failures >= s.failures) THEN
        RETURN;
    END IF;
    SELECT * INTO v FROM voucher WHERE code_sha256 = sha256(convert_to(code, 'UTF8')) FOR UPDATE;
    IF v.code_sha256 IS NULL OR v.account IS NOT NULL OR v.valid_to <= now() OR v.currency <> a.currency OR a.state = 'closed' THEN
        INSERT INTO secret_try AS t (scope, key, began_at, failures) VALUES ('voucher', for_account, now(), 1)
        ON CONFLICT (scope, key) DO UPDATE SET
            began_at = CASE WHEN t.began_at > now() - (SELECT make_interval(secs => s.window_seconds) FROM secret_budget s WHERE s.scope = 'voucher') THEN t.began_at ELSE now() END,
            failures = CASE WHEN t.began_at > now() - (SELECT make_interval(secs => s.window_seconds) FROM secret_budget s WHERE s.scope = 'voucher') THEN t.failures + 1 ELSE 1 END;
        RETURN;
    END IF;
    UPDATE voucher SET account = for_account, redeemed_at = clock_timestamp() WHERE code_sha256 = v.code_sha256;
    INSERT INTO ledger_entry (account, kind, amount, reference) VALUES (for_account, 'voucher', v.amount, 'voucher ' || left(encode(v.code_sha256, 'hex'), 12));
    UPDATE account_balance SET balance = balance + v.amount WHERE account_balance.account = for_account;
    state := 'redeemed';
    available := available + v.amount;
END $$;
