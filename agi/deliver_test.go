package agi

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"ringmaster/rpc/api"
)

// keyless is an engine that does not know the key of the session "new" yet. It takes every other end, and any without a session.
func keyless(t *testing.T, l *ledger) *scripted {
	return newScripted(t, nodeReply(func(method, body string) string {
		switch {
		case method == api.MethodCallStart:
			return faultResponse("105", "shed")
		case strings.Contains(body, "<string>new</string>"):
			return faultResponse("101", "not made by us")
		case method == api.MethodCallEnd:
			l.end(body)
		}
		return response(stringMember("call_id", "x"))
	}))
}

// startClocked starts an agent whose deliverer's clock the test sets.
func startClocked(t *testing.T, spool string, now *clock, engines ...string) *node {
	t.Helper()
	return startConfigured(t, Config{
		Node: "node1", Secret: "geheim", Engines: engines, HTTPListen: "127.0.0.1:0", AGIListen: "127.0.0.1:0", Spool: spool,
		Deadline: 10 * time.Second, Heartbeat: 10 * time.Second, Capacity: 110, Log: testLog(t), Registry: prometheus.NewRegistry(), Now: now.read,
	})
}

// endCall tells the end of the call id, with its session.
func (n *node) endCall(t *testing.T, id, session string) {
	t.Helper()
	expect(t, n.curl(t, "/end", strings.Replace(call1, "node1-1.1", id, 1)+"&op=&ended=1700000001&session="+session), "status", "OK")
}

// retried is how often an end was sent and not acknowledged.
func (n *node) retried() int {
	return int(testutil.ToFloat64(n.metrics.ends.WithLabelValues(endRetried)))
}

// refusedAgain lets d pass and waits until the one end that is refused was refused once more.
func (n *node) refusedAgain(t *testing.T, now *clock, d time.Duration) {
	t.Helper()
	before := n.retried()
	now.add(d)
	n.deliverer.wake()
	eventually(t, "the end is refused again", func() bool { return n.retried() > before })
}

// sent is the sessions of the ends that l has, "" for one without, sorted.
func (l *ledger) sent(t *testing.T) []string {
	var list []string
	for _, body := range l.all() {
		session, found := strings.CutPrefix(strings.Fields(decodeCall(t, body))[0], "session=")
		if !found {
			session = ""
		}
		list = append(list, session)
	}
	slices.Sort(list)
	return list
}

// TestEndIsOfferedToTheEngineThatKnowsItsKey: the first engine is behind by one session key; the second takes the end with its session, so that the
// call is charged.
func TestEndIsOfferedToTheEngineThatKnowsItsKey(t *testing.T) {
	var behind, ahead ledger
	first := keyless(t, &behind)
	second := newScripted(t, nodeReply(func(method, body string) string {
		if method == api.MethodCallEnd {
			ahead.end(body)
		}
		return response(stringMember("call_id", "x"))
	}))
	n := startAgent(t, t.TempDir(), first.URL, second.URL)
	n.endCall(t, "node1-1", "new")
	eventually(t, "the end is delivered", func() bool { return len(n.inFolder(folderPending)) == 0 })
	if got, other := ahead.sent(t), behind.sent(t); !slices.Equal(got, []string{"new"}) || len(other) != 0 {
		t.Errorf("the second engine has %q, the first %q", got, other)
	}
	if got := testutil.ToFloat64(n.metrics.ends.WithLabelValues(endDelivered)); got != 1 {
		t.Errorf("counted as delivered: %v", got)
	}
}

// TestReportIsAnsweredByTheEngineThatKnowsItsKey: as for ends, in the middle of a dialogue. When no engine knows it, the call goes to its fallback.
func TestReportIsAnsweredByTheEngineThatKnowsItsKey(t *testing.T) {
	var l ledger
	var rotated atomic.Bool
	second := newScripted(t, nodeReply(func(string, string) string {
		if rotated.Load() {
			return faultResponse("101", "not made by us")
		}
		return told("new", structValue(stringMember("op", "answer")))
	}))
	first := keyless(t, &l)
	n := startAgent(t, t.TempDir(), first.URL, second.URL)
	expect(t, n.curl(t, "/start", call1), "op", "answer", "session", "new")
	expect(t, n.curl(t, "/next", call1+"&step=1&op=answer"), "status", "OK", "op", "answer", "step", "2")
	if a, b := len(first.asked(api.MethodCallReport)), len(second.asked(api.MethodCallReport)); a != 1 || b != 1 {
		t.Errorf("asked %d and %d times", a, b)
	}
	rotated.Store(true)
	expect(t, n.curl(t, "/next", call1+"&step=2&op=answer"), "status", "UNAVAILABLE")
	if got := testutil.ToFloat64(n.metrics.fallbacks.WithLabelValues(fallbackFault)); got != 1 {
		t.Errorf("fallbacks because of a fault: %v", got)
	}
}

// TestSessionThatNobodyKnowsIsKeptForAWhile: all engines refuse it. The end waits for as long as any of them may only be behind, holds up no other end,
// and goes without its session then. Neither time alone is enough, nor what an agent before had seen.
func TestSessionThatNobodyKnowsIsKeptForAWhile(t *testing.T) {
	var l ledger
	now := &clock{now: time.Unix(1700000100, 0)}
	engines := []string{keyless(t, &l).URL, keyless(t, &l).URL}
	spool := t.TempDir()
	n := startClocked(t, spool, now, engines...)
	n.endCall(t, "node1-1", "new")
	eventually(t, "it is refused", func() bool { return n.retried() == 1 })
	n.endCall(t, "node1-2", "old")
	eventually(t, "another end passes", func() bool { return slices.Equal(l.sent(t), []string{"old"}) })
	n.refusedAgain(t, now, time.Hour)
	n.stop()

	n = startClocked(t, spool, now, engines...)
	eventually(t, "it is refused", func() bool { return n.retried() == 1 })
	n.refusedAgain(t, now, time.Second)
	n.refusedAgain(t, now, sessionPatience-2*time.Second)
	n.refusedAgain(t, now, 999*time.Millisecond)
	n.endCall(t, "node1-3", "older")
	eventually(t, "another end passes", func() bool { return len(l.all()) > 1 })
	if got := l.sent(t); !slices.Equal(got, []string{"old", "older"}) {
		t.Errorf("sent too early: %q", got)
	}
	now.add(time.Second)
	n.deliverer.wake()
	eventually(t, "it goes without", func() bool { return slices.Equal(l.sent(t), []string{"", "old", "older"}) })
	eventually(t, "it is counted", func() bool {
		return testutil.ToFloat64(n.metrics.ends.WithLabelValues(endWithoutSession)) == 1
	})
}

// TestSessionIsKeptForAnEngineThatIsAway: one engine refuses the session for hours, while the other one, which would know it, cannot say so. Nothing is
// given up, others pass, and the engine that comes back gets the end with its session.
func TestSessionIsKeptForAnEngineThatIsAway(t *testing.T) {
	for name, excuse := range map[string]string{
		"hangs up": "", "not ready": faultResponse("106", "no key yet"), "not durable": faultResponse("107", "no Postgres"), "shedding": faultResponse("105", "shed"),
	} {
		for _, awayFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, configured first: %v", name, awayFirst), func(t *testing.T) {
				t.Parallel()
				var l, knows ledger
				var back atomic.Bool
				now := &clock{now: time.Unix(1700000100, 0)}
				away := newScripted(t, func(method, body string) string {
					if !back.Load() {
						return excuse
					}
					return nodeReply(func(string, string) string { knows.end(body); return response(stringMember("call_id", "x")) })(method, body)
				})
				engines := []string{keyless(t, &l).URL, away.URL}
				if awayFirst {
					slices.Reverse(engines)
				}
				n := startClocked(t, t.TempDir(), now, engines...)
				n.endCall(t, "node1-1", "new")
				eventually(t, "it is refused", func() bool { return n.retried() > 0 })
				n.endCall(t, "node1-2", "old")
				eventually(t, "another end passes", func() bool { return slices.Equal(l.sent(t), []string{"old"}) })
				for range 10 * sessionRounds {
					n.refusedAgain(t, now, time.Hour)
				}
				eventually(t, "it alone waits", func() bool { return slices.Equal(n.inFolder(folderPending), []string{"node1-1.json"}) })
				back.Store(true)
				now.add(time.Hour)
				n.deliverer.wake()
				eventually(t, "it goes with its session", func() bool { return slices.Equal(knows.sent(t), []string{"new"}) })
				if got := l.sent(t); !slices.Equal(got, []string{"old"}) {
					t.Errorf("the engine that was there has %q", got)
				}
			})
		}
	}
}

// TestPatienceBeginsAnew: an engine that goes away in between may come back with the key.
func TestPatienceBeginsAnew(t *testing.T) {
	now := &clock{now: time.Unix(1700000100, 0)}
	d := &deliverer{now: now.read, refused: map[string]refusals{}}
	for i, step := range []struct {
		all  bool
		want bool
	}{{true, false}, {true, false}, {false, false}, {true, false}, {true, false}, {true, true}, {true, false}} {
		if got := d.outOfPatience("x", step.all); got != step.want {
			t.Errorf("round %d: %v", i, got)
		}
		if d.outOfPatience("another", false) {
			t.Error("one end's refusals count for another")
		}
		now.add(sessionPatience)
	}
}
