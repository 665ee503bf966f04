-- Money: accounts, the ledger, reservations, limits and cards.
--
-- What accounts may spend is what the ledger adds up to. Nobody changes a balance or a row of the ledger: operators insert adjustments, engines
-- insert charges together with the call's CDR.

-- Accounts ------------------------------------------------------------------------------------------------------------

CREATE TABLE account (
    account        label PRIMARY KEY,
    subscriber     label CONSTRAINT subscriber_of_an_account_must_exist REFERENCES subscriber ON UPDATE CASCADE DEFERRABLE,
    currency       text NOT NULL CONSTRAINT currency_is_three_capital_letters CHECK (currency ~ '^[A-Z]{3}$'),
    credit_limit   numeric(18,6) NOT NULL DEFAULT 0 CONSTRAINT credit_limit_is_0_to_1000000000 CHECK (credit_limit >= 0 AND credit_limit <= 1000000000),
    state          text NOT NULL DEFAULT 'active' CONSTRAINT state_is_active_blocked_or_closed CHECK (state IN ('active', 'blocked', 'closed')),
    valid_to       timestamptz,
    maximum_calls  integer CONSTRAINT maximum_calls_is_at_least_1 CHECK (maximum_calls >= 1),
    spend_per_hour numeric(18,6) CONSTRAINT spend_per_hour_is_above_0 CHECK (spend_per_hour > 0),
    spend_per_day  numeric(18,6) CONSTRAINT spend_per_day_is_above_0 CHECK (spend_per_day > 0),
    new_countries  boolean NOT NULL DEFAULT true,
    description    short_text
);
CREATE INDEX account_subscriber ON account (subscriber) WHERE subscriber IS NOT NULL;
COMMENT ON TABLE account IS 'Who pays for calls. What it may spend is in account_balance; to put money in, INSERT INTO adjustment';
COMMENT ON COLUMN account.account IS 'Name of the account';
COMMENT ON COLUMN account.subscriber IS 'The customer whose it is; NULL: nobody''s in particular, such as a prepaid card''s';
COMMENT ON COLUMN account.currency IS 'ISO 4217 code of its money: EUR. It cannot change once something was booked';
COMMENT ON COLUMN account.credit_limit IS 'How far the balance may go below 0: 0 for a prepaid account';
COMMENT ON COLUMN account.state IS 'active; blocked: pays for no new call; closed: for good';
COMMENT ON COLUMN account.valid_to IS 'Pays for no new call from this instant; NULL: for ever valid';
COMMENT ON COLUMN account.maximum_calls IS 'Calls that it may pay for at once; NULL: any number';
COMMENT ON COLUMN account.spend_per_hour IS 'What calls admitted within an hour may cost together, against fraud; NULL: no cap';
COMMENT ON COLUMN account.spend_per_day IS 'What calls admitted within 24 hours may cost together; NULL: no cap';
COMMENT ON COLUMN account.new_countries IS 'false: it pays only for calls to countries in account_country';
COMMENT ON COLUMN account.description IS 'For people';

CREATE TABLE account_number (
    number  e164 PRIMARY KEY,
    account label NOT NULL CONSTRAINT account_of_a_number_must_exist REFERENCES account DEFERRABLE
);
CREATE INDEX account_number_account ON account_number (account);
COMMENT ON TABLE account_number IS 'Which account pays for calls of a number';
COMMENT ON COLUMN account_number.number IS 'The subscriber''s line, E.164 digits';
COMMENT ON COLUMN account_number.account IS 'The account that pays';

CREATE TABLE account_country (
    account      label NOT NULL CONSTRAINT account_of_a_country_must_exist REFERENCES account ON DELETE CASCADE DEFERRABLE,
    country_code text NOT NULL CONSTRAINT country_code_is_1_to_3_digits CHECK (country_code ~ '^[1-9][0-9]{0,2}$'),
    PRIMARY KEY (account, country_code)
);
COMMENT ON TABLE account_country IS 'Countries that an account with new_countries = false may call';
COMMENT ON COLUMN account_country.account IS 'The account';
COMMENT ON COLUMN account_country.country_code IS 'Country code as numbers begin with it: 49';

CREATE TABLE card (
    card        text PRIMARY KEY CONSTRAINT card_has_4_to_20_digits CHECK (card ~ '^[0-9]{4,20}$'),
    account     label NOT NULL CONSTRAINT account_of_a_card_must_exist REFERENCES account DEFERRABLE,
    pin         bytea CONSTRAINT pin_has_48_bytes_use_set_card_pin CHECK (length(pin) = 48),
    state       text NOT NULL DEFAULT 'active' CONSTRAINT state_is_active_or_blocked CHECK (state IN ('active', 'blocked')),
    language    text CONSTRAINT language_is_like_en_or_pt_BR CHECK (language ~ '^[a-z]{2,3}(_[A-Z]{2})?$'),
    description short_text
);
CREATE INDEX card_account ON card (account);
COMMENT ON TABLE card IS 'Calling cards: a number and a PIN that an account pays for';
COMMENT ON COLUMN card.card IS 'Number of the card, as callers dial it';
COMMENT ON COLUMN card.account IS 'The account that pays';
COMMENT ON COLUMN card.pin IS 'Salt and hash of the PIN; set it with SELECT set_card_pin(card, pin). NULL: no PIN is right';
COMMENT ON COLUMN card.state IS 'active or blocked';
COMMENT ON COLUMN card.language IS 'Language that its holder wants to hear; NULL: the service''s';
COMMENT ON COLUMN card.description IS 'For people';

CREATE TABLE secret_budget (
    scope          text PRIMARY KEY CONSTRAINT scope_is_card_caller_or_all CHECK (scope IN ('card', 'caller', 'all')),
    failures       integer NOT NULL CONSTRAINT failures_are_at_least_1 CHECK (failures >= 1),
    window_seconds integer NOT NULL CONSTRAINT window_seconds_are_1_to_86400 CHECK (window_seconds BETWEEN 1 AND 86400)
);
COMMENT ON TABLE secret_budget IS 'How many wrong PINs there may be: of one card, from one caller, and in all. When they are used up, every PIN is refused until the window has passed';
COMMENT ON COLUMN secret_budget.scope IS 'card, caller or all';
COMMENT ON COLUMN secret_budget.failures IS 'Wrong PINs within the window; the next try is refused, right or wrong';
COMMENT ON COLUMN secret_budget.window_seconds IS 'Length of the window, from the first wrong PIN in it';
INSERT INTO secret_budget (scope, failures, window_seconds) VALUES ('card', 3, 900), ('caller', 10, 3600), ('all', 1000, 60);

CREATE TABLE call_limit (
    call_limit       label PRIMARY KEY,
    maximum_calls    integer CONSTRAINT maximum_calls_is_at_least_1 CHECK (maximum_calls >= 1),
    calls_per_window integer CONSTRAINT calls_per_window_is_at_least_1 CHECK (calls_per_window >= 1),
    window_seconds   integer CONSTRAINT window_seconds_are_1_to_86400 CHECK (window_seconds BETWEEN 1 AND 86400),
    gap_ms           integer CONSTRAINT gap_ms_is_1_to_3600000 CHECK (gap_ms BETWEEN 1 AND 3600000),
    description      short_text,
    CONSTRAINT calls_per_window_and_window_seconds_go_together CHECK ((calls_per_window IS NULL) = (window_seconds IS NULL)),
    CONSTRAINT a_limit_bounds_something CHECK (coalesce(maximum_calls, calls_per_window, gap_ms) IS NOT NULL)
);
COMMENT ON TABLE call_limit IS 'How many calls may be up at once, begin within a window, or follow each other; services name it in a step that limits';
COMMENT ON COLUMN call_limit.call_limit IS 'Name of the limit';
COMMENT ON COLUMN call_limit.maximum_calls IS 'Calls at once; NULL: any number';
COMMENT ON COLUMN call_limit.calls_per_window IS 'Calls that may begin within window_seconds; NULL: any number';
COMMENT ON COLUMN call_limit.window_seconds IS 'Length of the window';
COMMENT ON COLUMN call_limit.gap_ms IS 'Milliseconds from one admitted call to the next; NULL: none';
COMMENT ON COLUMN call_limit.description IS 'For people';

-- A service that charges says what holds while the ledger is away.
ALTER TABLE service ADD COLUMN on_outage text NOT NULL DEFAULT 'deny' CONSTRAINT on_outage_is_deny_or_allow CHECK (on_outage IN ('deny', 'allow')),
    ADD COLUMN outage_cap numeric(18,6) NOT NULL DEFAULT 0 CONSTRAINT outage_cap_is_0_or_more CHECK (outage_cap >= 0 AND outage_cap <= 1000000000);
COMMENT ON COLUMN service.on_outage IS 'What steps that need money or a limit do while Postgres is away. deny: refuse. allow: let calls through, up to outage_cap, and charge them when it is back';
COMMENT ON COLUMN service.outage_cap IS 'With allow: what one account may spend so within an hour, on each engine';

-- The engines' tables -------------------------------------------------------------------------------------------------

CREATE TABLE account_balance (
    account label PRIMARY KEY CONSTRAINT account_of_a_balance_must_exist REFERENCES account ON UPDATE CASCADE ON DELETE CASCADE,
    balance numeric(18,6) NOT NULL DEFAULT 0,
    pending numeric(18,6) NOT NULL DEFAULT 0 CONSTRAINT pending_is_0_or_more CHECK (pending >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE account_balance IS 'What the ledger adds up to, account by account. To change it, INSERT INTO adjustment';
COMMENT ON COLUMN account_balance.account IS 'The account';
COMMENT ON COLUMN account_balance.balance IS 'Sum of its ledger_entry rows';
COMMENT ON COLUMN account_balance.pending IS 'Sum of its pending reservations: held for calls that go on';

CREATE TABLE ledger_entry (
    ledger_entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account         label NOT NULL CONSTRAINT account_of_a_ledger_entry_must_exist REFERENCES account,
    kind            text NOT NULL CONSTRAINT kind_is_adjustment_voucher_charge_share_or_correction
        CHECK (kind IN ('adjustment', 'voucher', 'charge', 'share', 'correction')),
    amount          numeric(18,6) NOT NULL CONSTRAINT amount_is_not_0 CHECK (amount <> 0),
    call_id         text,
    node            text,
    charge          integer,
    reference       text,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    by              text NOT NULL DEFAULT session_user,
    CONSTRAINT a_ledger_entry_of_a_call_names_call_node_and_charge
        CHECK ((kind IN ('charge', 'share', 'correction')) = (call_id IS NOT NULL AND node IS NOT NULL AND charge IS NOT NULL))
);
CREATE UNIQUE INDEX a_charge_is_booked_once ON ledger_entry (call_id, node, charge, account, kind, (amount < 0)) WHERE call_id IS NOT NULL;
CREATE INDEX ledger_entry_account ON ledger_entry (account, ledger_entry_id);
COMMENT ON TABLE ledger_entry IS 'The ledger. Rows are only ever added: money comes by adjustments and vouchers, and goes by charges of calls';
COMMENT ON COLUMN ledger_entry.ledger_entry_id IS 'Number of the entry';
COMMENT ON COLUMN ledger_entry.account IS 'The account';
COMMENT ON COLUMN ledger_entry.kind IS 'adjustment, voucher, charge (of a call), share (of what others paid for a call) or correction (of a charge, when the real end of a call came late)';
COMMENT ON COLUMN ledger_entry.amount IS 'Above 0: into the account. Below: out of it';
COMMENT ON COLUMN ledger_entry.call_id IS 'The call; NULL: none';
COMMENT ON COLUMN ledger_entry.node IS 'The node that named the call';
COMMENT ON COLUMN ledger_entry.charge IS 'Which of the call''s charges, counted from 1';
COMMENT ON COLUMN ledger_entry.reference IS 'Why: the reason of an adjustment, the tariff of a charge';
COMMENT ON COLUMN ledger_entry.at IS 'When it was booked';
COMMENT ON COLUMN ledger_entry.by IS 'Who booked it';

CREATE TABLE adjustment (
    adjustment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account       label NOT NULL CONSTRAINT account_of_an_adjustment_must_exist REFERENCES account,
    amount        numeric(18,6) NOT NULL CONSTRAINT amount_is_not_0 CHECK (amount <> 0 AND abs(amount) <= 1000000000),
    reason        short_text NOT NULL CONSTRAINT an_adjustment_has_a_reason CHECK (btrim(reason) <> ''),
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    by            text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE adjustment IS 'Money that operators put into accounts, or take out: INSERT INTO adjustment (account, amount, reason) VALUES (''a'', 20, ''invoice 7'')';
COMMENT ON COLUMN adjustment.adjustment_id IS 'Number of the adjustment';
COMMENT ON COLUMN adjustment.account IS 'The account';
COMMENT ON COLUMN adjustment.amount IS 'In the account''s currency. Above 0: into the account. Below: out of it, as far as it may be spent';
COMMENT ON COLUMN adjustment.reason IS 'Why';
COMMENT ON COLUMN adjustment.at IS 'When';
COMMENT ON COLUMN adjustment.by IS 'Who';

CREATE TABLE reservation (
    call_id     text NOT NULL,
    node        text NOT NULL,
    charge      integer NOT NULL CONSTRAINT charge_is_counted_from_1 CHECK (charge >= 1),
    payer       integer NOT NULL DEFAULT 1 CONSTRAINT payer_is_1_or_2 CHECK (payer IN (1, 2)),
    account     label CONSTRAINT account_of_a_reservation_must_exist REFERENCES account,
    state       text NOT NULL DEFAULT 'pending' CONSTRAINT state_is_pending_posted_voided_or_expired CHECK (state IN ('pending', 'posted', 'voided', 'expired')),
    amount      numeric(18,6) NOT NULL CONSTRAINT amount_is_0_or_more CHECK (amount >= 0),
    posted      numeric(18,6) NOT NULL DEFAULT 0 CONSTRAINT posted_is_0_or_more CHECK (posted >= 0),
    seconds     bigint NOT NULL CONSTRAINT seconds_are_not_negative CHECK (seconds >= 0),
    final       boolean NOT NULL DEFAULT false,
    extended    boolean NOT NULL DEFAULT false,
    talk_ms     bigint,
    body        bigint NOT NULL,
    terms       jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    settled_at  timestamptz,
    claims      text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (call_id, node, charge, payer),
    CONSTRAINT a_reservation_has_an_account_unless_it_is_void CHECK (account IS NOT NULL OR state = 'voided'),
    CONSTRAINT what_is_settled_says_when CHECK ((state = 'pending') = (settled_at IS NULL)),
    CONSTRAINT only_what_is_posted_costs CHECK (state = 'posted' OR posted = 0)
) WITH (fillfactor = 80);
CREATE INDEX reservation_pending ON reservation (expires_at) WHERE state = 'pending';
CREATE INDEX reservation_account ON reservation (account, created_at);
CREATE INDEX reservation_held ON reservation (account) WHERE state = 'pending';
COMMENT ON TABLE reservation IS 'Money held for calls: pending while the call goes on, then once and for all posted, voided or expired';
COMMENT ON COLUMN reservation.call_id IS 'The call';
COMMENT ON COLUMN reservation.node IS 'The node that named it';
COMMENT ON COLUMN reservation.charge IS 'Which of the call''s charges, counted from 1';
COMMENT ON COLUMN reservation.payer IS 'Where a charge is split: the first or the second payer';
COMMENT ON COLUMN reservation.account IS 'Who pays; NULL: it was given back before it was made';
COMMENT ON COLUMN reservation.state IS 'pending, posted (it did cost something), voided (it did not) or expired (its call was never heard of again)';
COMMENT ON COLUMN reservation.amount IS 'What is held, or was';
COMMENT ON COLUMN reservation.posted IS 'What it did cost this account';
COMMENT ON COLUMN reservation.seconds IS 'Seconds of conversation that it is enough for';
COMMENT ON COLUMN reservation.final IS 'true: the call gets no more than that';
COMMENT ON COLUMN reservation.extended IS 'true: it was made longer while they talked';
COMMENT ON COLUMN reservation.talk_ms IS 'Milliseconds of the conversation, once it is over; the call may go on';
COMMENT ON COLUMN reservation.body IS 'Tells the call from another one that took its name';
COMMENT ON COLUMN reservation.terms IS 'Tariff, rate, price and split, as they were when the call was admitted: they hold until its end';
COMMENT ON COLUMN reservation.created_at IS 'When it was made';
COMMENT ON COLUMN reservation.expires_at IS 'When it expires unless the call is heard of';
COMMENT ON COLUMN reservation.claims IS 'The answers of engines that rely on it: it is given back when none does';
COMMENT ON COLUMN reservation.settled_at IS 'When it was posted, voided or expired; NULL: it is pending';

CREATE TABLE live_call (
    call_id      text NOT NULL,
    node         text NOT NULL,
    channel      text NOT NULL DEFAULT '',
    trunk        text NOT NULL DEFAULT '',
    caller       text NOT NULL DEFAULT '',
    called       text NOT NULL DEFAULT '',
    dialled      text NOT NULL DEFAULT '',
    presentation text NOT NULL DEFAULT 'allowed',
    service      text NOT NULL DEFAULT '',
    subscriber   text NOT NULL DEFAULT '',
    script       text NOT NULL DEFAULT '',
    revision     bigint NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL,
    answered_at  timestamptz,
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (call_id, node)
);
CREATE INDEX live_call_node ON live_call (node);
COMMENT ON TABLE live_call IS 'Calls that go on and hold money or a place in a limit; what their record needs if their node is lost';
COMMENT ON COLUMN live_call.call_id IS 'The call';
COMMENT ON COLUMN live_call.node IS 'The node that carries it';
COMMENT ON COLUMN live_call.channel IS 'The caller''s channel';
COMMENT ON COLUMN live_call.trunk IS 'The trunk it came in on';
COMMENT ON COLUMN live_call.caller IS 'The caller''s number, E.164 digits';
COMMENT ON COLUMN live_call.called IS 'The called number, E.164 digits';
COMMENT ON COLUMN live_call.dialled IS 'The called number as it was dialled';
COMMENT ON COLUMN live_call.presentation IS 'Whether the caller''s number may be shown';
COMMENT ON COLUMN live_call.service IS 'The service';
COMMENT ON COLUMN live_call.subscriber IS 'Who owns it';
COMMENT ON COLUMN live_call.script IS 'The script it follows';
COMMENT ON COLUMN live_call.revision IS 'The config revision that decided';
COMMENT ON COLUMN live_call.started_at IS 'When it began';
COMMENT ON COLUMN live_call.answered_at IS 'When the conversation that is charged began, as the node''s heartbeats say; NULL: it has not, or is not known';
COMMENT ON COLUMN live_call.seen_at IS 'When a heartbeat last named it';

CREATE TABLE limit_place (
    call_limit  text NOT NULL,
    key         text NOT NULL,
    call_id     text NOT NULL,
    node        text NOT NULL,
    taken_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    released_at timestamptz,
    claims      text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (call_limit, key, call_id, node)
);
CREATE INDEX limit_place_call ON limit_place (call_id, node) WHERE released_at IS NULL;
CREATE INDEX limit_place_taken ON limit_place (call_limit, key, taken_at);
CREATE INDEX limit_place_live ON limit_place (call_limit, key) WHERE released_at IS NULL;
COMMENT ON TABLE limit_place IS 'Places that calls have, or had lately, in limits: the set of live calls, never a counter';
COMMENT ON COLUMN limit_place.call_limit IS 'The limit';
COMMENT ON COLUMN limit_place.key IS 'What it counts: an account, number, service, trunk';
COMMENT ON COLUMN limit_place.call_id IS 'The call';
COMMENT ON COLUMN limit_place.node IS 'The node that carries it';
COMMENT ON COLUMN limit_place.taken_at IS 'When it was admitted';
COMMENT ON COLUMN limit_place.expires_at IS 'When the place is free again unless the call is heard of';
COMMENT ON COLUMN limit_place.claims IS 'The answers of engines that rely on it';
COMMENT ON COLUMN limit_place.released_at IS 'When the call ended; NULL: it has its place';

CREATE TABLE secret_try (
    scope    text NOT NULL,
    key      text NOT NULL,
    began_at timestamptz NOT NULL,
    failures integer NOT NULL,
    PRIMARY KEY (scope, key)
);
COMMENT ON TABLE secret_try IS 'Wrong PINs, counted by card, by caller and in all, within the windows of secret_budget';
COMMENT ON COLUMN secret_try.scope IS 'card, caller or all';
COMMENT ON COLUMN secret_try.key IS 'The card or the caller; empty for all, and for callers without a number';
COMMENT ON COLUMN secret_try.began_at IS 'When the window began';
COMMENT ON COLUMN secret_try.failures IS 'Wrong PINs in it';

CREATE TABLE secret_failure (
    call_id text NOT NULL,
    node    text NOT NULL,
    try     integer NOT NULL,
    digest  bytea NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (call_id, node, try, digest)
);
COMMENT ON TABLE secret_failure IS 'Wrong PINs that are counted already, so that a try that is sent twice counts once; kept for a day';
COMMENT ON COLUMN secret_failure.call_id IS 'The call';
COMMENT ON COLUMN secret_failure.node IS 'The node that carries it';
COMMENT ON COLUMN secret_failure.try IS 'Which of the call''s tries, counted from 1';
COMMENT ON COLUMN secret_failure.digest IS 'Hash of call, card and PIN: another PIN under the same number is another try';
COMMENT ON COLUMN secret_failure.at IS 'When';

ALTER TABLE cdr ADD COLUMN charges jsonb NOT NULL DEFAULT '[]' CONSTRAINT charges_are_a_list CHECK (jsonb_typeof(charges) = 'array'),
    ADD COLUMN flags text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN cdr.charges IS 'What it did cost: charge, account, amount, currency, tariff, rate, seconds; share: who was credited with a part of it';
COMMENT ON COLUMN cdr.flags IS 'What to look at: excess (the node let it go on beyond what was granted), outage (admitted while Postgres was away), unpaid (nobody could be charged)';

CREATE TABLE cdr_correction (
    call_id      text NOT NULL,
    node         text NOT NULL,
    talk_ms      bigint NOT NULL,
    cause        integer NOT NULL,
    ended_at     timestamptz NOT NULL,
    charges      jsonb NOT NULL DEFAULT '[]',
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (call_id, node)
);
COMMENT ON TABLE cdr_correction IS 'Real ends of calls that had been closed as node_lost: at most one per call. The CDR stays as it was';
COMMENT ON COLUMN cdr_correction.call_id IS 'The call';
COMMENT ON COLUMN cdr_correction.node IS 'The node';
COMMENT ON COLUMN cdr_correction.talk_ms IS 'Milliseconds of conversation, as the node says now';
COMMENT ON COLUMN cdr_correction.cause IS 'ITU-T Q.850 cause of the end';
COMMENT ON COLUMN cdr_correction.ended_at IS 'When the caller''s leg ended';
COMMENT ON COLUMN cdr_correction.charges IS 'The differences that were booked, as in cdr.charges';
COMMENT ON COLUMN cdr_correction.recorded_at IS 'When it was stored';

-- What keeps the books right --------------------------------------------------------------------------------------------

CREATE FUNCTION make_account_balance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO account_balance (account) VALUES (NEW.account);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION make_account_balance() IS 'Gives a new account its balance of 0';
CREATE TRIGGER make_account_balance AFTER INSERT ON account FOR EACH ROW EXECUTE FUNCTION make_account_balance();

CREATE FUNCTION check_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    b account_balance;
BEGIN
    SELECT * INTO b FROM account_balance WHERE account = OLD.account FOR UPDATE;
    IF NEW.currency <> OLD.currency AND (EXISTS (SELECT FROM ledger_entry WHERE account = OLD.account) OR EXISTS (SELECT FROM reservation WHERE account = OLD.account)) THEN
        RAISE EXCEPTION 'the currency of account "%" cannot change', OLD.account USING
            ERRCODE = 'check_violation', TABLE = 'account', COLUMN = 'currency', CONSTRAINT = 'currency_stays_once_something_was_booked',
            DETAIL = format('%s was booked in it.', OLD.currency),
            HINT = 'Make another account in the new currency, and move its numbers and cards there.';
    END IF;
    IF NEW.credit_limit < OLD.credit_limit AND b.balance - b.pending + NEW.credit_limit < 0 THEN
        RAISE EXCEPTION 'account "%" has used more credit than that', OLD.account USING
            ERRCODE = 'check_violation', TABLE = 'account', COLUMN = 'credit_limit', CONSTRAINT = 'credit_limit_covers_what_is_used',
            DETAIL = format('Its balance is %s %s and %s are held for calls that go on.', trim_scale(b.balance), OLD.currency, trim_scale(b.pending)),
            HINT = format('At least %s is needed. To stop it from spending more, UPDATE account SET state = ''blocked''.', trim_scale(b.pending - b.balance));
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION check_account() IS 'Refuses another currency once something was booked, and a credit limit below what is used';
CREATE TRIGGER check_account BEFORE UPDATE OF currency, credit_limit ON account FOR EACH ROW EXECUTE FUNCTION check_account();

CREATE FUNCTION book_adjustment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET ringmaster.booking = 'on' AS $$
DECLARE
    b      account_balance;
    credit numeric;
    owed   text;
BEGIN
    NEW.at := clock_timestamp();
    NEW."by" := session_user;
    SELECT * INTO b FROM account_balance WHERE account = NEW.account FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NEW; -- the foreign key says it
    END IF;
    SELECT a.credit_limit, a.currency INTO credit, owed FROM account a WHERE a.account = NEW.account;
    IF NEW.amount < 0 AND b.balance - b.pending + credit + NEW.amount < 0 THEN
        RAISE EXCEPTION 'account "%" has not got that much', NEW.account USING
            ERRCODE = 'check_violation', TABLE = 'adjustment', COLUMN = 'amount', CONSTRAINT = 'an_adjustment_takes_only_what_may_be_spent',
            DETAIL = format('%s %s may be spent: balance %s, credit limit %s, held for calls %s.', trim_scale(b.balance - b.pending + credit), owed,
                trim_scale(b.balance), trim_scale(credit), trim_scale(b.pending)),
            HINT = 'Take less, or give the account a credit limit first.';
    END IF;
    INSERT INTO ledger_entry (account, kind, amount, reference, by) VALUES (NEW.account, 'adjustment', NEW.amount, NEW.reason, NEW."by");
    UPDATE account_balance SET balance = balance + NEW.amount WHERE account = NEW.account;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION book_adjustment() IS 'Books an adjustment in the ledger, unless the account has not got that much';
CREATE TRIGGER book_adjustment BEFORE INSERT ON adjustment FOR EACH ROW EXECUTE FUNCTION book_adjustment();

CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the books are only ever added to', TG_OP, TG_TABLE_NAME USING
        ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, CONSTRAINT = 'the_books_are_only_added_to',
        DETAIL = 'What happened stands there as it happened, so that balances, charges and call records agree.',
        HINT = 'To put money into an account or take it out: INSERT INTO adjustment (account, amount, reason) VALUES (''name'', 12.50, ''why'').';
END $$;
COMMENT ON FUNCTION refuse_ledger_change() IS 'Refuses to change what was booked';
CREATE TRIGGER refuse_ledger_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER refuse_ledger_change BEFORE UPDATE OR DELETE OR TRUNCATE ON adjustment FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER refuse_ledger_change BEFORE UPDATE ON cdr FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER refuse_ledger_change BEFORE UPDATE OR DELETE OR TRUNCATE ON cdr_correction FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- PINs ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION pin_hash(salt bytea, pin text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = public, pg_temp AS $$
DECLARE
    plain bytea := salt || convert_to(pin, 'UTF8');
    h     bytea := sha256(plain);
BEGIN
    FOR i IN 2..10000 LOOP
        h := sha256(h || plain);
    END LOOP;
    RETURN h;
END $$;
COMMENT ON FUNCTION pin_hash(bytea, text) IS 'The hash of a PIN, as engines compute it';

CREATE FUNCTION set_card_pin(card text, pin text) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    salt bytea := uuid_send(gen_random_uuid());
BEGIN
    IF pin IS NULL OR pin !~ '^[0-9]{4,12}$' THEN
        RAISE EXCEPTION 'a PIN has 4 to 12 digits' USING ERRCODE = 'check_violation', TABLE = 'card', COLUMN = 'pin', HINT = 'SELECT set_card_pin(''card number'', ''digits'').';
    END IF;
    UPDATE card SET pin = salt || pin_hash(salt, set_card_pin.pin) WHERE card.card = set_card_pin.card;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no card "%"', card USING ERRCODE = 'foreign_key_violation', TABLE = 'card', HINT = 'INSERT INTO card (card, account) first; both can be one transaction.';
    END IF;
END $$;
COMMENT ON FUNCTION set_card_pin(text, text) IS 'Gives a card its PIN, of which only a salted hash is kept';

-- Roles -----------------------------------------------------------------------------------------------------------------

-- Engines ask Postgres for accounts and cards when a call needs them: no snapshot holds them.
CALL make_operator_table('account', '', '', '', '', 'account');
CALL make_operator_table('account_number', '', '', '', '', 'number');
CALL make_operator_table('account_country', '', '', '', '', 'account', 'country_code');
CALL make_operator_table('card', '', '', '', 'pin', 'card');
CALL make_operator_table('secret_budget', '', '', '', '', 'scope');
CALL make_operator_table('call_limit', 'call_limit', 'call_limit', '', '', 'call_limit');

REVOKE ALL ON account_balance, ledger_entry, adjustment, reservation, live_call, limit_place, secret_try, secret_failure, cdr_correction FROM PUBLIC;
GRANT SELECT ON account_balance, ledger_entry, adjustment, reservation, live_call, limit_place, cdr_correction TO ringmaster_engine, ringmaster_operator, ringmaster_viewer;
GRANT INSERT ON adjustment TO ringmaster_operator;
-- Refused with advice, rather than with "permission denied".
GRANT UPDATE, DELETE ON ledger_entry, adjustment TO ringmaster_operator;
GRANT UPDATE ON cdr TO ringmaster_operator;
GRANT INSERT ON ledger_entry, cdr_correction TO ringmaster_engine;
GRANT UPDATE (balance, pending) ON account_balance TO ringmaster_engine;
GRANT INSERT, UPDATE ON reservation TO ringmaster_engine;
GRANT INSERT, UPDATE, DELETE ON live_call, limit_place, secret_try TO ringmaster_engine;
GRANT SELECT ON secret_try TO ringmaster_engine;
GRANT SELECT, INSERT, DELETE ON secret_failure TO ringmaster_engine;
GRANT SELECT, DELETE ON secret_try TO ringmaster_operator;
GRANT EXECUTE ON FUNCTION set_card_pin(text, text) TO ringmaster_operator;

-- Who books says so: engines on each of their connections, the functions above for themselves. So nobody changes a balance by hand, not even an owner.
CREATE FUNCTION refuse_balance_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'a balance cannot be changed: it is what the ledger adds up to' USING
        ERRCODE = 'insufficient_privilege', TABLE = 'account_balance', CONSTRAINT = 'a_balance_is_what_the_ledger_adds_up_to',
        DETAIL = format('Account %s.', OLD.account),
        HINT = format('INSERT INTO adjustment (account, amount, reason) VALUES (''%s'', 12.50, ''why'').', OLD.account);
END $$;
COMMENT ON FUNCTION refuse_balance_change() IS 'Refuses to change a balance by hand, with advice';
CREATE TRIGGER refuse_balance_change BEFORE UPDATE ON account_balance FOR EACH ROW
    WHEN (current_setting('ringmaster.booking', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION refuse_balance_change();
GRANT UPDATE ON account_balance TO ringmaster_operator;

-- Nodes that are not heard of -------------------------------------------------------------------------------------------

ALTER TABLE node_status DROP CONSTRAINT state_is_in_service_or_out_of_service,
    ADD CONSTRAINT state_is_in_service_out_of_service_or_suspect CHECK (state IN ('in_service', 'out_of_service', 'suspect'));
COMMENT ON COLUMN node_status.state IS 'in_service or out_of_service, as the engine told the node; suspect: three heartbeats are missing';

-- Vouchers ----------------------------------------------------------------------------------------------------------------

CREATE TABLE voucher (
    code_sha256 bytea PRIMARY KEY CONSTRAINT code_sha256_has_32_bytes_use_add_voucher CHECK (length(code_sha256) = 32),
    amount      numeric(18,6) NOT NULL CONSTRAINT amount_is_above_0 CHECK (amount > 0 AND amount <= 1000000),
    currency    text NOT NULL CONSTRAINT currency_is_three_capital_letters CHECK (currency ~ '^[A-Z]{3}$'),
    valid_to    timestamptz,
    account     label CONSTRAINT account_of_a_voucher_must_exist REFERENCES account,
    redeemed_at timestamptz,
    CONSTRAINT a_redeemed_voucher_says_when_and_by_whom CHECK ((account IS NULL) = (redeemed_at IS NULL))
);
COMMENT ON TABLE voucher IS 'Vouchers that put money into an account, once. SELECT add_voucher(''code'', 10, ''EUR'')';
COMMENT ON COLUMN voucher.code_sha256 IS 'SHA-256 of the code; the code itself is not kept';
COMMENT ON COLUMN voucher.amount IS 'What it puts in';
COMMENT ON COLUMN voucher.currency IS 'ISO 4217 code; only accounts in that currency can redeem it';
COMMENT ON COLUMN voucher.valid_to IS 'Cannot be redeemed from this instant; NULL: for ever valid';
COMMENT ON COLUMN voucher.account IS 'Who has redeemed it; NULL: nobody yet';
COMMENT ON COLUMN voucher.redeemed_at IS 'When';
REVOKE ALL ON voucher FROM PUBLIC;
GRANT SELECT ON voucher TO ringmaster_engine, ringmaster_operator, ringmaster_viewer;
GRANT DELETE ON voucher TO ringmaster_operator;

CREATE FUNCTION add_voucher(code text, amount numeric, currency text, valid_to timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF code IS NULL OR code !~ '^[!-~]{8,64}$' THEN
        RAISE EXCEPTION 'a voucher''s code has 8 to 64 printable characters' USING ERRCODE = 'check_violation', TABLE = 'voucher',
            HINT = 'Many, and drawn at random: whoever guesses one has the money.';
    END IF;
    INSERT INTO voucher (code_sha256, amount, currency, valid_to) VALUES (sha256(convert_to(code, 'UTF8')), add_voucher.amount, add_voucher.currency, add_voucher.valid_to);
END $$;
COMMENT ON FUNCTION add_voucher(text, numeric, text, timestamptz) IS 'Makes a voucher: code, amount, currency, and until when it can be redeemed';
REVOKE EXECUTE ON FUNCTION add_voucher(text, numeric, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_voucher(text, numeric, text, timestamptz) TO ringmaster_operator;

ALTER TABLE secret_budget DROP CONSTRAINT scope_is_card_caller_or_all, ADD CONSTRAINT scope_is_card_caller_all_or_voucher CHECK (scope IN ('card', 'caller', 'all', 'voucher'));
COMMENT ON COLUMN secret_budget.scope IS 'card, caller or all: wrong PINs. voucher: wrong codes for one account';
INSERT INTO secret_budget (scope, failures, window_seconds) VALUES ('voucher', 10, 3600);

CREATE FUNCTION redeem_voucher(for_account text, code text, OUT state text, OUT currency text, OUT available numeric)
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
    state := 'refused';
    IF EXISTS (SELECT FROM secret_try t JOIN secret_budget s USING (scope) WHERE t.scope = 'voucher' AND t.key = for_account
            AND t.began_at > now() - make_interval(secs => s.window_seconds) AND t.failures >= s.failures) THEN
        RETURN;
    END IF;
    SELECT * INTO v FROM voucher WHERE code_sha256 = sha256(convert_to(code, 'UTF8')) FOR UPDATE;
    IF v.account = for_account THEN
        state := 'redeemed'; -- once more: nothing is put in
        RETURN;
    END IF;
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
COMMENT ON FUNCTION redeem_voucher(text, text) IS 'Puts a voucher''s money into an account, once';
REVOKE EXECUTE ON FUNCTION redeem_voucher(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redeem_voucher(text, text) TO ringmaster_engine, ringmaster_operator;

-- The books are right ---------------------------------------------------------------------------------------------------

CREATE VIEW ledger_check AS
    SELECT 'balance_is_the_sum_of_the_ledger' AS invariant, b.account::text AS subject, format('balance %s, ledger %s', b.balance, coalesce(e.amount, 0)) AS detail
    FROM account_balance b LEFT JOIN (SELECT account, sum(amount) AS amount FROM ledger_entry GROUP BY account) AS e USING (account) WHERE b.balance <> coalesce(e.amount, 0)
    UNION ALL
    SELECT 'pending_is_the_sum_of_pending_reservations', b.account, format('pending %s, reservations %s', b.pending, coalesce(r.amount, 0))
    FROM account_balance b LEFT JOIN (SELECT account, sum(amount) AS amount FROM reservation WHERE state = 'pending' GROUP BY account) AS r USING (account) WHERE b.pending <> coalesce(r.amount, 0)
    UNION ALL
    SELECT 'nothing_is_spent_that_is_not_there', b.account, format('balance %s, pending %s, credit limit %s', b.balance, b.pending, a.credit_limit)
    FROM account_balance b JOIN account a USING (account)
    -- but for what calls came to that no engine could keep within their grant: their CDRs say so
    WHERE b.balance - b.pending + a.credit_limit < 0 AND b.balance - b.pending + a.credit_limit < (SELECT coalesce(sum(e.amount), 0) FROM ledger_entry e LEFT JOIN cdr c USING (call_id, node)
        WHERE e.account = b.account AND e.amount < 0 AND (e.kind = 'correction' OR c.flags && ARRAY['excess', 'outage', 'late']))
    UNION ALL
    SELECT 'cdr_charges_are_the_ledgers', coalesce(c.call_id, e.call_id) || '@' || coalesce(c.node, e.node), format('account %s: CDR %s, ledger %s', coalesce(c.account, e.account), c.amount, e.amount)
    FROM (SELECT d.call_id, d.node, x.account, sum(CASE WHEN x.share THEN x.amount ELSE -x.amount END) AS amount
          FROM cdr d, jsonb_to_recordset(d.charges) AS x (account text, amount numeric, share boolean) WHERE d.charges <> '[]' AND x.account <> '' GROUP BY 1, 2, 3) AS c
    FULL JOIN (SELECT call_id, node, account::text, sum(amount) AS amount FROM ledger_entry WHERE kind IN ('charge', 'share') GROUP BY 1, 2, 3) AS e USING (call_id, node, account)
    WHERE c.amount IS DISTINCT FROM e.amount
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
    SELECT 'a_correction_is_of_a_call_that_was_closed', k.call_id || '@' || k.node, coalesce('its CDR says ' || c.outcome, 'it has no CDR')
    FROM cdr_correction k LEFT JOIN cdr c USING (call_id, node) WHERE c.outcome IS DISTINCT FROM 'node_lost'
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
    FROM reservation r JOIN cdr c USING (call_id, node) WHERE r.state = 'pending'
    UNION ALL
    SELECT 'an_ended_call_has_no_place', p.call_limit || ' ' || p.key, format('call %s@%s', p.call_id, p.node)
    FROM limit_place p JOIN cdr c USING (call_id, node) WHERE p.released_at IS NULL
    UNION ALL
    SELECT 'no_more_calls_than_the_limit', l.call_limit || ' ' || p.key, format('%s calls, at most %s', count(*), l.maximum_calls)
    FROM limit_place p JOIN call_limit l USING (call_limit) WHERE p.released_at IS NULL AND l.maximum_calls IS NOT NULL GROUP BY l.call_limit, p.key, l.maximum_calls HAVING count(*) > l.maximum_calls
    UNION ALL
    SELECT 'an_adjustment_is_in_the_ledger', coalesce(a.account, e.account), format('adjustments %s, ledger %s', a.amount, e.amount)
    FROM (SELECT account, sum(amount) AS amount FROM adjustment GROUP BY account) AS a
    FULL JOIN (SELECT account, sum(amount) AS amount FROM ledger_entry WHERE kind = 'adjustment' GROUP BY account) AS e USING (account) WHERE a.amount IS DISTINCT FROM e.amount;
COMMENT ON VIEW ledger_check IS 'What is wrong with the books: empty when all is well. ringmaster ledger check shows it';
COMMENT ON COLUMN ledger_check.invariant IS 'What should hold';
COMMENT ON COLUMN ledger_check.subject IS 'The account, call or limit of which it does not hold';
COMMENT ON COLUMN ledger_check.detail IS 'The figures';
REVOKE ALL ON ledger_check FROM PUBLIC;
GRANT SELECT ON ledger_check TO ringmaster_engine, ringmaster_operator, ringmaster_viewer;
