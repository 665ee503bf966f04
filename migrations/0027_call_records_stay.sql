-- What is refused is refused with advice: call records that somebody deletes, and a voucher that there is already.

CREATE OR REPLACE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the books are only ever added to', TG_OP, TG_TABLE_NAME USING
        ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, CONSTRAINT = 'the_books_are_only_added_to',
        DETAIL = 'What happened stands there as it happened, so that balances, charges and call records agree.',
        HINT = CASE WHEN TG_TABLE_NAME LIKE 'cdr%' AND TG_OP <> 'UPDATE'
            THEN 'For how long call records are kept: UPDATE cdr_retention SET keep_days = 400. '
            ELSE '' END
            || 'To put money into an account or take it out: INSERT INTO adjustment (account, amount, reason) VALUES (''name'', 12.50, ''why'').';
END $$;

-- On the table itself, not on its days: what engines do with those when they are over is retention.
CREATE TRIGGER refuse_ledger_deletion BEFORE DELETE OR TRUNCATE ON cdr FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
GRANT DELETE, TRUNCATE ON cdr TO ringmaster_operator; -- refused with advice, rather than with "permission denied"

CREATE OR REPLACE FUNCTION add_voucher(code text, amount numeric, currency text, valid_to timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF code IS NULL OR code !~ '^[!-~]{8,64}$' THEN
        RAISE EXCEPTION 'a voucher''s code has 8 to 64 printable characters' USING ERRCODE = 'check_violation', TABLE = 'voucher',
            HINT = 'Many, and drawn at random: whoever guesses one has the money.';
    END IF;
    INSERT INTO voucher (code_sha256, amount, currency, valid_to) VALUES (sha256(convert_to(code, 'UTF8')), add_voucher.amount, add_voucher.currency, add_voucher.valid_to)
        ON CONFLICT (code_sha256) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is a voucher with this code already' USING ERRCODE = 'unique_violation', TABLE = 'voucher', CONSTRAINT = 'a_code_is_of_one_voucher',
            DETAIL = 'Nothing was changed: neither its amount nor whether it was redeemed.',
            HINT = 'Draw another code. One that nobody redeemed can be taken away: DELETE FROM voucher WHERE account IS NULL AND code_sha256 = sha256(''the code'').';
    END IF;
END $$;
