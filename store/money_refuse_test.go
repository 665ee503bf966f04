package store_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/migrations"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// TestNobodyBooksByHand: that a session says it books gives nobody a right. Who may book goes on.
func TestNobodyBooksByHand(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	operator, engine := as(t, dsn, "operator"), as(t, dsn, "engine")
	for _, c := range []struct{ who, sql, says string }{
		{operator, "SET ringmaster.booking = 'on'; UPDATE account_balance SET balance = 100", "INSERT INTO adjustment"},
		{operator, "BEGIN; SET LOCAL ringmaster.booking = 'on'; UPDATE account_balance SET pending = 1; COMMIT", "INSERT INTO adjustment"},
		{operator, "SET ringmaster.booking = 'on'; UPDATE account_balance SET account = 'bert'", "permission denied"},
		{operator, "UPDATE account_balance SET balance = 100", "INSERT INTO adjustment"},
		{as(t, dsn, "viewer"), "SET ringmaster.booking = 'on'; UPDATE account_balance SET balance = 100", "permission denied"},
		{engine, "UPDATE account_balance SET balance = 100", "INSERT INTO adjustment"},
		{dsn, "UPDATE account_balance SET balance = 100", "INSERT INTO adjustment"},
	} {
		if text := refusal(t, exec(t, c.who, c.sql)); !strings.HasPrefix(text, "42501") || !strings.Contains(text, c.says) {
			t.Errorf("%s: %s", c.sql, text)
		}
	}
	mustExec(t, operator, "INSERT INTO adjustment (account, amount, reason) VALUES ('anna', 1, 'test'); SELECT add_voucher('GOLD-0001', 5, 'EUR'); SELECT redeem_voucher('anna', 'GOLD-0001')")
	for _, who := range []string{engine, dsn} {
		mustExec(t, who, "SET ringmaster.booking = 'on'; UPDATE account_balance SET balance = balance + 0")
	}
	if got := balance(t, dsn, "anna"); got != "16 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
}

// TestCallRecordsStay: nobody takes them away but retention, and whoever tries is told of it.
func TestCallRecordsStay(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("call", payBy("anna"), 60, 1))
	endLedger(t, l, over("call", 30*time.Second))
	for _, who := range []string{as(t, dsn, "operator"), dsn} {
		for _, sql := range []string{"DELETE FROM cdr", "DELETE FROM cdr WHERE call_id = 'call'", "TRUNCATE cdr"} {
			if text := refusal(t, exec(t, who, sql)); !strings.HasPrefix(text, "42501") || !strings.Contains(text, "UPDATE cdr_retention SET keep_days") || !strings.Contains(text, "INSERT INTO adjustment") {
				t.Errorf("%s: %s", sql, text)
			}
		}
		if text := refusal(t, exec(t, who, "UPDATE cdr SET talk_ms = 1")); !strings.Contains(text, "INSERT INTO adjustment") || strings.Contains(text, "cdr_retention") {
			t.Errorf("UPDATE: %s", text)
		}
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr"); n != 1 {
		t.Errorf("%d call records", n)
	}
	wellKept(t, dsn)
}

// TestAVoucherIsMadeOnce: the same code again is refused, and changes nothing.
func TestAVoucherIsMadeOnce(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": ""})
	operator := as(t, dsn, "operator")
	mustExec(t, operator, "SELECT add_voucher('GOLD-0001', 5, 'EUR')")
	for range 2 {
		if text := refusal(t, exec(t, operator, "SELECT add_voucher('GOLD-0001', 7, 'EUR')")); !strings.HasPrefix(text, "23505") || !strings.Contains(text, "Draw another code") {
			t.Error(text)
		}
		mustExec(t, operator, "SELECT redeem_voucher('anna', 'GOLD-0001')")
	}
	mustExec(t, operator, "SELECT add_voucher('GOLD-0002', 5, 'EUR'); DELETE FROM voucher WHERE account IS NULL AND code_sha256 = sha256('GOLD-0002')")
	if got := balance(t, dsn, "anna"); got != "5 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
}

// TestARedeemedVoucherStays: who deletes it could make it again, and redeem it again.
func TestARedeemedVoucherStays(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": ""})
	operator := as(t, dsn, "operator")
	mustExec(t, operator, "SELECT add_voucher('GOLD-0001', 5, 'EUR'); SELECT add_voucher('GOLD-0002', 5, 'EUR'); SELECT redeem_voucher('anna', 'GOLD-0001')")
	for _, c := range []struct{ who, sql, says string }{
		{operator, "DELETE FROM voucher", "('anna', -5, 'why')"},
		{operator, "DELETE FROM voucher WHERE account = 'anna'", "DELETE FROM voucher WHERE account IS NULL"},
		{operator, "TRUNCATE voucher", "DELETE FROM voucher WHERE account IS NULL"},
		{dsn, "DELETE FROM voucher WHERE account = 'anna'", "DELETE FROM voucher WHERE account IS NULL"},
		{dsn, "TRUNCATE voucher", "DELETE FROM voucher WHERE account IS NULL"},
		{dsn, "UPDATE voucher SET account = NULL, redeemed_at = NULL WHERE account = 'anna'", "Account anna redeemed it"},
		{dsn, "UPDATE voucher SET amount = 7 WHERE account = 'anna'", "Account anna redeemed it"},
	} {
		if text := refusal(t, exec(t, c.who, c.sql)); !strings.HasPrefix(text, "42501") || !strings.Contains(text, c.says) {
			t.Errorf("%s: %s", c.sql, text)
		}
	}
	mustExec(t, operator, "DELETE FROM voucher WHERE account IS NULL")
	if n := ask[int](t, dsn, "SELECT count(*) FROM voucher"); n != 1 {
		t.Errorf("%d vouchers are left", n)
	}
	wellKept(t, dsn)
}

// TestAnAccountThatNothingWasBookedIn may be renamed and deleted.
func TestAnAccountThatNothingWasBookedIn(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	operator := as(t, dsn, "operator")
	mustExec(t, operator, "INSERT INTO account (account, currency) VALUES ('anna', 'EUR'); UPDATE account SET account = 'bert' WHERE account = 'anna'")
	if got := balance(t, dsn, "bert"); got != "0 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
	mustExec(t, operator, "DELETE FROM account")
	wellKept(t, dsn)
}

// TestACorrectionThatAddsUpToNothing: who pays is credited with all of it.
func TestACorrectionThatAddsUpToNothing(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1"})
	l := newLedger(t, dsn)
	terms := payBy("anna")
	terms.Credit = charging.Party{Account: "anna", Parts: charging.Whole}
	askLedger(t, l, reserve("lost", terms, 60, 1))
	lost := over("lost", 20*time.Second)
	lost.Outcome = "node_lost"
	endLedger(t, l, lost)
	wellKept(t, dsn)
	endLedger(t, l, over("lost", 30*time.Second))
	if n := ask[int](t, dsn, "SELECT jsonb_array_length(charges) FROM cdr_correction"); n != 2 {
		t.Errorf("%d differences", n)
	}
	if got := balance(t, dsn, "anna"); got != "1 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
}

// TestALimitMayBeLoweredWhileCallsAreUp, and raised, and the books stay right.
func TestALimitMayBeLoweredWhileCallsAreUp(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, "INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('some', 3)")
	l := newLedger(t, dsn)
	admit := func(id string, most int64) bool {
		return askLedger(t, l, place(id, "some", charging.LimitRule{MaximumCalls: most})).State == charging.StateGranted
	}
	for i := range 3 {
		if !admit(fmt.Sprint("call-", i), 3) {
			t.Fatal("refused")
		}
	}
	mustExec(t, dsn, "UPDATE call_limit SET maximum_calls = 1")
	wellKept(t, dsn)
	if admit("more", 1) {
		t.Error("a fourth was admitted")
	}
	mustExec(t, dsn, "UPDATE call_limit SET maximum_calls = 4")
	if !admit("fourth", 4) {
		t.Error("refused")
	}
	mustExec(t, dsn, "UPDATE call_limit SET maximum_calls = 1")
	wellKept(t, dsn)
	if got := ask[string](t, dsn, "SELECT string_agg(maximum_calls::text, ' ' ORDER BY taken_at) FROM limit_place"); got != "3 3 3 4" {
		t.Errorf("places were given by %s", got)
	}
	mustExec(t, dsn, "UPDATE limit_place SET maximum_calls = 3 WHERE call_id = 'fourth'")
	if got := ask[string](t, dsn, "SELECT string_agg(invariant || ' ' || subject || ': ' || detail, ', ') FROM ledger_check"); got != "no_more_calls_than_the_limit some k: 4 calls, at most 3" {
		t.Errorf("found: %s", got)
	}
}

// TestMigrationMendsWhatEnginesCouldNotRead: a database of before that has such rows, and many others.
func TestMigrationMendsWhatEnginesCouldNotRead(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	before := make(fstest.MapFS)
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if text, err := fs.ReadFile(migrations.Files, name); err != nil {
			t.Fatal(err)
		} else if name < "0024" {
			before[name] = &fstest.MapFile{Data: text}
		}
	}
	if err := store.MigrateFiles(t.Context(), dsn, before); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, `INSERT INTO account (account, currency, spend_per_hour, spend_per_day) SELECT 'a' || i, 'EUR', 'NaN', 5 FROM generate_series(1, 60) AS i;
		INSERT INTO account (account, currency, spend_per_hour, spend_per_day) VALUES ('b', 'EUR', 7, 'NaN'), ('c', 'EUR', 100000000000, NULL);
		INSERT INTO tariff (tariff, currency) VALUES ('t', 'EUR');
		INSERT INTO tariff_rate (tariff, prefix, price_per_minute, valid_from, valid_to) VALUES ('t', '', 1, 'infinity', NULL), ('t', '49', 1, NULL, '-infinity'), ('t', '33', 1, '-infinity', 'infinity');
		INSERT INTO calendar VALUES ('c', 'UTC'); INSERT INTO calendar_holiday VALUES ('c', 'infinity', 'x'), ('c', '2026-12-24', 'y');
		UPDATE cdr_retention SET keep_days = 2147483647`)
	was := revision(t, dsn)
	if err := store.Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	got := ask[string](t, dsn, `SELECT string_agg(concat_ws(' ', account, spend_per_hour, spend_per_day), ', ' ORDER BY account) FILTER (WHERE account !~ 'a.') || '; ' || count(*) FILTER (WHERE spend_per_hour IS NULL AND spend_per_day = 5)
		|| '; ' || (SELECT string_agg(prefix, ' ') FROM tariff_rate) || '; ' || (SELECT string_agg(name, ' ') FROM calendar_holiday) || '; ' || (SELECT coalesce(keep_days::text, 'for ever') FROM cdr_retention) FROM account`)
	if want := "b 7.000000, c 1000000000.000000; 60; 33; y; for ever"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM audit_log WHERE revision > $1 AND comment LIKE 'migration 0024%' AND operation <> 'CONFIRM'", was); n != 66 {
		t.Errorf("%d rows stand in audit_log", n)
	}
	wellKept(t, dsn)
	// A database without such rows makes no revision.
	dsn = storetest.Empty(t)
	if err := store.MigrateFiles(t.Context(), dsn, before); err != nil {
		t.Fatal(err)
	}
	was = revision(t, dsn)
	if err := store.Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	if is := revision(t, dsn); is != was {
		t.Errorf("revision %d became %d", was, is)
	}
}
