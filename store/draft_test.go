package store_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ringmaster/logic"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

func TestLoadDraftShowsWhatIsNotThere(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	s := open(t, dsn)
	before, err := s.Load(within(t))
	if err != nil {
		t.Fatal(err)
	}
	draft, err := s.LoadDraft(within(t), `INSERT INTO trunk (trunk) VALUES ('drafted'); UPDATE service SET active = false WHERE service = 'acme_hotline';`)
	if err != nil {
		t.Fatal(err)
	}
	if len(draft.Trunks) != len(before.Trunks)+1 || draft.Revision != before.Revision {
		t.Errorf("the draft has %d trunks and revision %d; before there were %d and %d", len(draft.Trunks), draft.Revision, len(before.Trunks), before.Revision)
	}
	for _, service := range draft.Services {
		if service.Active != (service.Service != "acme_hotline") {
			t.Errorf("service %s: active is %v in the draft", service.Service, service.Active)
		}
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM trunk WHERE trunk = 'drafted'"); n != 0 {
		t.Error("the draft was committed")
	}
	if revision := ask[int64](t, dsn, "SELECT revision FROM config_revision"); revision != before.Revision {
		t.Errorf("the draft has made revision %d", revision)
	}
}

func TestDraftsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	s := open(t, dsn)
	for name, c := range map[string]struct{ sql, want string }{
		"syntax":            {"INSERT INTO trunk (trunk) VALUES ('a');\nINSERT trunk;", "line 2: "},
		"a constraint":      {"INSERT INTO service_number VALUES ('0800', 'exact', 'acme_hotline')", "the country code first"},
		"one at commit":     {"DELETE FROM calendar WHERE calendar = 'always'", `calendar "always" is in use`},
		"its hint":          {"DELETE FROM calendar WHERE calendar = 'always'", "HINT: Change that parameter"},
		"commit":            {"DELETE FROM screening_entry; COMMIT", "ends its own transaction"},
		"commit in between": {"DELETE FROM screening_entry; COMMIT; DELETE FROM screening_list", "ends its own transaction"},
		"rollback":          {"ROLLBACK", "ends its own transaction"},
		"write after it":    {"ROLLBACK; DELETE FROM screening_entry", "ends its own transaction"},
		"begin anew":        {"ROLLBACK; BEGIN; DELETE FROM screening_entry; COMMIT", "ends its own transaction"},
		"commit in a block": {"DO $$ BEGIN DELETE FROM screening_entry; COMMIT; END $$", "invalid transaction termination"},
	} {
		if _, err := s.LoadDraft(within(t), c.sql); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM screening_entry"); n != 4 {
		t.Errorf("%d entries are left of 4: a draft was committed", n)
	}
}

func TestOperatorTablesExist(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	for _, name := range store.OperatorTables() {
		if !ask[bool](t, dsn, "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($1))", name) {
			t.Errorf("table %s isn't there", name)
		}
	}
}

// TestCheckDeferredKeepsNobodyWaiting: others commit edits while constraints were checked and the transaction is still open.
func TestCheckDeferredKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	conn := dial(t, dsn)
	tx, err := conn.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(within(t))
	if _, err := tx.Exec(within(t), "INSERT INTO trunk (trunk) VALUES ('a')"); err != nil {
		t.Fatal(err)
	}
	if err := store.CheckDeferred(within(t), tx); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "SET lock_timeout = '5s'; INSERT INTO trunk (trunk) VALUES ('b')")
	if _, err := tx.Exec(within(t), "DELETE FROM calendar WHERE calendar = 'always'"); err == nil {
		t.Error("a constraint is still deferred")
	}
}

// TestOperatorsMayTryDrafts: an operator's rights are enough.
func TestOperatorsMayTryDrafts(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	s := open(t, dsn+separator+"options=-c%20role%3Dringmaster_operator")
	if err := s.Check(within(t)); err != nil {
		t.Error(err)
	}
	if _, err := s.LoadDraft(within(t), "INSERT INTO trunk (trunk) VALUES ('a')"); err != nil {
		t.Error(err)
	}
	public, err := s.LoadPublic(within(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := open(t, dsn).Load(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(public.SessionKeys) != len(all.SessionKeys) || bytes.Equal(public.SessionKeys[0].Secret, all.SessionKeys[0].Secret) {
		t.Errorf("%d session keys of %d, or the real ones", len(public.SessionKeys), len(all.SessionKeys))
	}
	if !slices.Contains(public.Accounts, logic.AccountRow{Account: "acme", Currency: "EUR"}) || all.Accounts != nil {
		t.Errorf("tools read the accounts %v, engines %v; want all, and none", public.Accounts, all.Accounts)
	}
	public.Accounts = nil
	public.SessionKeys, all.SessionKeys = nil, nil
	if !reflect.DeepEqual(public, all) {
		t.Error("the rows differ by more than secrets")
	}
}
