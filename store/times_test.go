package store_test

import (
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/store/storetest"
)

// That a node's times were put right stands in the CDR.
func TestCorrectedTimesAreFlagged(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	l := open(t, dsn).NewLedger()
	t.Cleanup(l.Close)
	for id, talk := range map[string]time.Duration{"odd": time.Hour, "plain": 30 * time.Second} {
		call := &logic.Session{CallID: id, Node: "n", StartedAt: noon.Add(-time.Minute)}
		cdr := logic.EndCall(call, logic.EndEvent{AnsweredAt: noon.Add(-30 * time.Second), EndedAt: noon, Talk: talk}, noon)
		if _, err := l.End(within(t), cdr); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask[string](t, dsn, "SELECT string_agg(call_id || ' ' || talk_ms || ' ' || flags::text, ', ' ORDER BY call_id) FROM cdr"); got != "odd 60000 {times}, plain 30000 {}" {
		t.Errorf("stored: %s", got)
	}
}
