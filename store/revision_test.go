package store_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ringmaster/logic"
	"ringmaster/store/storetest"
)

// unordered is rows as text, each table's in the order of their texts, without session keys, and without accounts, which are as they are now.
func unordered(rows *logic.Rows) string {
	var out strings.Builder
	value := reflect.ValueOf(*rows)
	for i := range value.NumField() {
		name := value.Type().Field(i).Name
		if name == "Revision" || name == "SessionKeys" || name == "Accounts" {
			continue
		}
		var lines []string
		for n := range value.Field(i).Len() {
			row := value.Field(i).Index(n).Interface()
			text := fmt.Sprintf("%+v", row)
			if p, ok := row.(logic.ScriptParameterRow); ok && p.DefaultValue != nil {
				text = fmt.Sprintf("%s %s %s %q", p.Script, p.Parameter, p.Type, *p.DefaultValue)
			}
			lines = append(lines, text)
		}
		slices.Sort(lines)
		fmt.Fprintf(&out, "%s\n%s\n", name, strings.Join(lines, "\n"))
	}
	return out.String()
}

// TestAnyRevisionCanBeLookedAt: after random edits, every revision is read as it was, by somebody who may only look.
func TestAnyRevisionCanBeLookedAt(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	bystanders(t, dsn, 100)
	s, viewer, anna := open(t, dsn), open(t, as(t, dsn, "viewer")), operator(t, dsn)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	was := make(map[int64]string)
	var known []int64
	looked, lost := 0, 0
	for range scale(20) {
		rows, err := s.LoadPublic(within(t))
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, rows.Revision)
		was[rows.Revision] = unordered(rows)
		edit(t, anna, r)
		at := r.IntN(len(known))
		rows, err = viewer.LoadRevision(within(t), known[at])
		if err != nil {
			if !strings.Contains(err.Error(), "is not kept") || strings.Contains(err.Error(), "oll back") {
				t.Errorf("seed %d: revision %d: %v", seed, known[at], err)
			}
			known = known[at+1:] // what came before can't be had either
			lost++
			continue
		}
		looked++
		if got, want := unordered(rows), was[known[at]]; got != want {
			t.Fatalf("seed %d: revision %d was\n%s\nand is read as\n%s", seed, known[at], want, got)
		}
	}
	t.Logf("%d looks, %d at what is not kept", looked, lost)
}

// TestWhatEnginesDoNotDecideByIsInNobodysWay: an older revision can be looked at whatever became of accounts, cards and nodes since; rolling back to it may still be refused.
func TestWhatEnginesDoNotDecideByIsInNobodysWay(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, `INSERT INTO account (account, subscriber, currency) VALUES ('old', 'acme', 'EUR'); INSERT INTO card (card, account) VALUES ('8912340099', 'old');
		SELECT set_card_pin('8912340099', '2580'); INSERT INTO node (node, capacity) VALUES ('n1', 7); SELECT set_node_secret('n1', 'a long enough secret')`)
	s := open(t, dsn)
	want, err := s.LoadPublic(within(t))
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "DELETE FROM card WHERE card = '8912340099'")
	mustExec(t, dsn, "DELETE FROM node")
	mustExec(t, dsn, "INSERT INTO account (account, subscriber, currency) VALUES ('new', 'acme', 'EUR'); INSERT INTO adjustment (account, amount, reason) VALUES ('new', 5, 'a start')")
	mustExec(t, dsn, "UPDATE service SET active = false; SELECT rotate_session_key(1)")
	before := revision(t, dsn)
	got, err := s.LoadRevision(within(t), want.Revision)
	if err != nil {
		t.Fatal(err)
	}
	if unordered(got) != unordered(want) {
		t.Errorf("it was\n%s\nand is read as\n%s", unordered(want), unordered(got))
	}
	if got.Revision != before || revision(t, dsn) != before {
		t.Errorf("revision %d, then %d; it was %d", got.Revision, revision(t, dsn), before)
	}
	for name, c := range map[string]struct {
		revision int64
		want     string
	}{"none": {0, "The history goes from"}, "to come": {before + 1, "The history goes from"}} {
		if _, err := s.LoadRevision(within(t), c.revision); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustExec(t, dsn, "INSERT INTO screening_list VALUES ('big'); INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 10001) AS i")
	if _, err := s.LoadRevision(within(t), want.Revision); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("ask for revision %d or a later", before+1)) {
		t.Errorf("%v", err)
	}
	if _, err := s.LoadRevision(within(t), before+1); err != nil {
		t.Error(err)
	}
}

// TestARoleThatMayNotIsToldWhichMay: a viewer's draft and rollback are refused with the role that they need.
func TestARoleThatMayNotIsToldWhichMay(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, "UPDATE service SET active = false")
	viewer := open(t, as(t, dsn, "viewer"))
	_, draft := viewer.LoadDraft(within(t), "UPDATE service SET active = true")
	_, rollback := viewer.Rollback(within(t), revision(t, dsn)-1, "", true)
	for _, err := range []error{draft, rollback} {
		if err == nil || !strings.Contains(err.Error(), "GRANT ringmaster_operator") {
			t.Errorf("%v", err)
		}
	}
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('n1'); SELECT set_node_secret('n1', 'a long enough secret')")
	mustExec(t, dsn, "DELETE FROM node")
	if _, err := open(t, dsn).Rollback(within(t), revision(t, dsn)-1, "", true); err == nil || !strings.Contains(err.Error(), "\nHINT: INSERT INTO node") || !strings.Contains(err.Error(), "\nDETAIL: ") {
		t.Errorf("%v", err)
	}
}
