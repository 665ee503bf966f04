package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/store/storetest"
)

// TestPendingSaysWhy: for each way in which money can be held, an operator reads which it is and what becomes of it.
func TestPendingSaysWhy(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "100"})
	s := open(t, dsn)
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	on := func(node, callID string, number int, finished ...charging.Finished) {
		t.Helper()
		ask := reserve(callID, payBy("anna"), 60, 1)
		ask.Reserve.Key.Node, ask.Reserve.Key.Number, ask.Reserve.Finished = node, number, finished
		if answer := askLedger(t, l, ask); answer.State != charging.StateGranted {
			t.Fatalf("%s: %+v", callID, answer)
		}
	}
	for _, callID := range []string{"talking", "ringing", "unnamed", "forgotten"} {
		on("node1", callID, 1)
	}
	on("silent", "of a silent node", 1)
	on("stranger", "of a stranger", 1)
	on("node1", "second", 1)
	on("node1", "second", 2, charging.Finished{Number: 1, Talk: 7000})
	if err := l.Register(within(t), "silent", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	answered := time.Now().Add(-5 * time.Second)
	if _, err := l.Heartbeat(within(t), "node1", "boot-1", 2, []charging.LiveCall{{CallID: "talking", AnsweredAt: answered}, {CallID: "ringing"}, {CallID: "second"}}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, `UPDATE node_status SET last_seen = now() - interval '30 seconds' WHERE node = 'silent';
		UPDATE reservation SET created_at = now() - interval '30 seconds' WHERE call_id = 'unnamed';
		DELETE FROM live_call WHERE call_id = 'forgotten'`)
	held, err := s.Books().Pending(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if held[0].CallID != "unnamed" {
		t.Errorf("the oldest is %s", held[0].CallID)
	}
	why := make(map[string][]string)
	for _, h := range held {
		if h.Account != "anna" || h.ExpiresAt.Before(h.CreatedAt) {
			t.Errorf("%+v", h)
		}
		why[h.CallID] = append(why[h.CallID], fmt.Sprintf("%s for %d s: %s", h.Amount, h.Seconds, h.Why))
	}
	for callID, want := range map[string][]string{
		"talking":          {"18.6 for 1860 s: they talk since " + answered.UTC().Round(time.Second).Format(time.DateTime) + "+00"}, // extended by the heartbeat
		"ringing":          {"0.6 for 60 s: the call is being set up, or nobody talks yet"},
		"unnamed":          {"0.6 for 60 s: its node lives and does not name the call: closed two minutes after it did last"},
		"forgotten":        {"0.6 for 60 s: the call is not known any more: it expires"},
		"of a silent node": {"0.6 for 60 s: its node was not heard of since "},
		"of a stranger":    {"0.6 for 60 s: its node has never sent a heartbeat"},
		"second":           {"0.07 for 60 s: an earlier conversation of a call that goes on", "0.6 for 60 s: the call is being set up, or nobody talks yet"},
	} {
		if len(why[callID]) != len(want) {
			t.Errorf("%s: %q", callID, why[callID])
			continue
		}
		for i := range want {
			if !strings.HasPrefix(why[callID][i], want[i]) {
				t.Errorf("%s:\ngot  %s\nwant %s", callID, why[callID][i], want[i])
			}
		}
		delete(why, callID)
	}
	if len(why) > 0 {
		t.Errorf("held besides: %v", why)
	}
}

// TestAStatementAddsUp: each entry with the balance after it, from any instant on, and with whom a call was to.
func TestAStatementAddsUp(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "bert": ""})
	s := open(t, dsn)
	l := newLedger(t, dsn)
	for i, talk := range []time.Duration{30 * time.Second, 0, 90 * time.Second} {
		callID := fmt.Sprint("call-", i)
		askLedger(t, l, reserve(callID, payBy("anna"), 120, 1))
		endLedger(t, l, over(callID, talk))
	}
	middle := ask[time.Time](t, dsn, "SELECT max(at) FROM ledger_entry")
	mustExec(t, as(t, dsn, "operator"), "INSERT INTO adjustment (account, amount, reason) VALUES ('anna', -0.5, 'a slip of mine')")
	all, err := s.Books().Statement(within(t), "anna", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range all {
		lines = append(lines, strings.TrimRight(fmt.Sprint(e.Kind, " ", e.Amount, " ", e.Balance, " ", e.CallID, " ", e.Called), " "))
	}
	if got, want := strings.Join(lines, "\n"), "adjustment 10 10\ncharge -0.3 9.7 call-0 498001234567\ncharge -0.9 8.8 call-2 498001234567\nadjustment -0.5 8.3"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if last := all[len(all)-1]; last.Reference != "a slip of mine" || last.By == "" {
		t.Errorf("%+v", last)
	}
	late, err := s.Books().Statement(within(t), "anna", middle)
	if err != nil || len(late) != 2 || late[0] != all[2] || late[1] != all[3] {
		t.Errorf("from the last call on: %+v, %v", late, err)
	}
	if none, err := s.Books().Statement(within(t), "bert", time.Time{}); err != nil || len(none) != 0 {
		t.Errorf("bert: %+v, %v", none, err)
	}
	if _, err := s.Books().Statement(within(t), "carl", time.Time{}); err == nil || err.Error() != "there is no account carl" {
		t.Errorf("carl: %v", err)
	}
}
