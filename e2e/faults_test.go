//go:build e2e

package e2e

import (
	"syscall"
	"testing"
	"time"
)

// Limits on what a fault may do to a caller.
const (
	// keptAtStart is how long a caller may wait for something to happen when no answer comes: the dialplan's
	// hard limits on a question, and a little.
	keptAtStart = 4 * time.Second
	// keptAtEnd is how long after the called side's BYE the caller's may come when the agent is frozen.
	keptAtEnd = 2 * time.Second
	// recovered is how long after the repair the CDR may take.
	recovered = 30 * time.Second
)

// fault is something that breaks during a call, on a stack of its own.
type fault struct {
	name string
	play func(t *testing.T, s *stack, face string)
}

var faults = []fault{
	{"engine killed before the call", engineKilledBefore},
	{"engine killed before the call, another one answers", engineKilledOtherAnswers},
	{"engine killed in conversation", engineKilledInConversation},
	{"engine killed and started again while digits are collected", engineRestartedInDialogue},
	{"agent killed before the call", agentKilledBefore},
	{"agent killed in conversation and started again", agentRestartedInConversation},
	{"agent killed in conversation, started after the call", agentDeadAtEnd},
	{"agent killed and started again while it rings", agentRestartedWhileItRings},
	{"agent killed and started again while digits are collected", agentRestartedInDialogue},
	{"agent frozen at the start", agentFrozenAtStart},
	{"agent frozen at the end", agentFrozenAtEnd},
	{"Postgres killed in conversation", postgresKilledInConversation},
	{"Postgres frozen at the end", postgresFrozenAtEnd},
	{"Asterisk told to end in conversation", asteriskEnds},
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		for i, face := range faces {
			t.Run(face+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				s := newStack(t, []service{freephone(1, offices{}), freephone(2, offices{berlin: trunkShort}), vault(3, trunkAnswers)})
				f.play(t, s, faces[i])
				s.checkAllCDRs(t)
			})
		}
	}
}

// conversation dials service 1 and returns when the called phone has answered.
func (s *stack) conversation(t *testing.T, face string, ends string, wait time.Duration) (*call, string) {
	t.Helper()
	from, e164 := s.callerNumber("")
	c := s.dial(t, face, dial{From: from, To: freephone(1, offices{}).called, Ends: ends, Wait: wait})
	c.until(t, "200 INVITE")
	return c, e164
}

// wasConversation checks the end of such a call: one CDR with the true duration.
func (s *stack) wasConversation(t *testing.T, c *call, e164 string, limit time.Duration) cdr {
	t.Helper()
	tr := c.over(t)
	row := s.cdr(t, e164, limit)
	if row.Outcome != "answered" || row.Service != "freephone_1" {
		t.Errorf("want an answered call of freephone_1, got %v", row)
	}
	s.checkRings(t, []ring{{trunkAnswers, berlin(1)}}, true, tr, row)
	s.checkTimes(t, tr, row)
	return row
}

// answeredQuickly checks that the node answered the caller's BYE at once, whatever was broken.
func answeredQuickly(t *testing.T, tr trace) {
	t.Helper()
	if d := tr.between(t, "BYE", "200 BYE"); d > keptAtEnd {
		t.Errorf("the caller's BYE was answered after %v\n%v", d, tr)
	}
}

// fallsBack places a call that no engine can decide: within the limit the node goes on with its fallback, here a trunk that takes
// the number as dialled, and once everything is repaired there is one CDR that says so.
func (s *stack) fallsBack(t *testing.T, face string, repair func()) {
	t.Helper()
	from, e164 := s.callerNumber("")
	dialled := freephone(1, offices{}).called
	tr := s.dial(t, face, dial{From: from, To: dialled, Ends: endsCaller, Wait: time.Second}).over(t)
	if kept := tr.between(t, "INVITE", "200 INVITE"); kept > keptAtStart {
		t.Errorf("the caller was kept for %v\n%v", kept, tr)
	}
	if n := len(s.phones[trunkAnswers].callsTo(t, dialled)); n != 1 {
		t.Errorf("the fallback rang %d times, want once", n)
	}
	answeredQuickly(t, tr)
	repair()
	row := s.cdr(t, e164, recovered)
	if row.Outcome != "fallback" || row.Dialled != dialled {
		t.Errorf("want outcome fallback of %s: %v", dialled, row)
	}
	sameTalk(t, row, row.talk(), tr.between(t, "200 INVITE", "BYE"))
	s.checkTimes(t, tr, row)
	// And now it works again.
	call, e164 := s.conversation(t, face, endsCaller, time.Second)
	s.wasConversation(t, call, e164, 10*time.Second)
}

// announces places a call that no engine can decide, from a softswitch whose endpoint has no fallback trunk: an announcement before the
// answer, then a refusal that lets the softswitch try another node.
func (s *stack) announces(t *testing.T) {
	t.Helper()
	from, _ := s.callerNumber("")
	tr := s.dial(t, faceNoFallback, dial{From: from, To: freephone(1, offices{}).called, Ends: endsRefused}).over(t)
	if !tr.has("183 INVITE") || !tr.has("5") || tr.has("200 INVITE") {
		t.Errorf("want 183 and a 5xx\n%v", tr)
	}
}

func engineKilledBefore(t *testing.T, s *stack, face string) {
	s.engine.kill(t)
	s.announces(t)
	s.fallsBack(t, face, func() { s.startEngine(t) })
}

func engineKilledOtherAnswers(t *testing.T, s *stack, face string) {
	s.startOtherEngine(t)
	s.engine.kill(t)
	c, e164 := s.conversation(t, face, endsCaller, 1200*time.Millisecond)
	s.wasConversation(t, c, e164, 10*time.Second)
}

func engineKilledInConversation(t *testing.T, s *stack, face string) {
	c, e164 := s.conversation(t, face, endsCaller, 1500*time.Millisecond)
	s.engine.kill(t)
	answeredQuickly(t, c.over(t))
	s.startEngine(t)
	s.wasConversation(t, c, e164, recovered)
}

func engineRestartedInDialogue(t *testing.T, s *stack, face string) {
	s.brokenInDialogue(t, face, func() {
		s.engine.kill(t)
		s.startEngine(t)
	})
}

func agentRestartedInDialogue(t *testing.T, s *stack, face string) {
	s.brokenInDialogue(t, face, func() {
		s.agent.kill(t)
		s.startAgent(t)
	})
}

// brokenInDialogue breaks something, and mends it, between the prompt and the caller's digits: the dialogue goes on.
func (s *stack) brokenInDialogue(t *testing.T, face string, breakAndMend func()) {
	t.Helper()
	from, e164 := s.callerNumber("")
	c := s.dial(t, face, dial{From: from, To: vault(3, trunkAnswers).called, Ends: endsCaller, Wait: 3 * time.Second,
		Digits: []string{"4711#"}, Pause: 2500 * time.Millisecond})
	c.until(t, "200 INVITE")
	time.Sleep(500 * time.Millisecond) // the prompt plays
	breakAndMend()
	tr := c.over(t)
	row := s.cdr(t, e164, recovered)
	if row.Outcome != "answered" || row.Service != "vault_3" {
		t.Errorf("CDR %v\n%v", row, tr)
	}
	s.checkRings(t, []ring{{trunkAnswers, second(3)}}, true, tr, row)
	s.checkTimes(t, tr, row)
}

func agentKilledBefore(t *testing.T, s *stack, face string) {
	s.agent.kill(t)
	s.fallsBack(t, face, func() { s.startAgent(t) })
}

func agentRestartedInConversation(t *testing.T, s *stack, face string) {
	c, e164 := s.conversation(t, face, endsCaller, 2500*time.Millisecond)
	s.agent.kill(t)
	s.startAgent(t)
	if !c.running() {
		t.Error("the conversation did not survive the agent")
	}
	answeredQuickly(t, c.over(t))
	s.wasConversation(t, c, e164, recovered)
}

func agentDeadAtEnd(t *testing.T, s *stack, face string) {
	c, e164 := s.conversation(t, face, endsCaller, 1500*time.Millisecond)
	s.agent.kill(t)
	answeredQuickly(t, c.over(t))
	s.startAgent(t)
	s.wasConversation(t, c, e164, recovered)
}

// agentRestartedWhileItRings kills the agent when it has said what to do and the first phone rings: the node asks the new one what to
// do when nobody answers.
func agentRestartedWhileItRings(t *testing.T, s *stack, face string) {
	service := freephone(4, offices{berlin: trunkSilent, ring: 3})
	s.insert(t, service)
	from, e164 := s.callerNumber("")
	c := s.dial(t, face, dial{From: from, To: service.called, Ends: endsCaller, Wait: time.Second})
	c.until(t, "180 INVITE")
	s.agent.kill(t)
	s.startAgent(t)
	tr := c.over(t)
	row := s.cdr(t, e164, recovered)
	if row.Outcome != "answered" || row.Service != service.name {
		t.Errorf("CDR %v\n%v", row, tr)
	}
	s.checkRings(t, []ring{{trunkSilent, berlin(4)}, {trunkAnswers, second(4)}}, true, tr, row)
	s.checkTimes(t, tr, row)
}

func agentFrozenAtStart(t *testing.T, s *stack, face string) {
	s.agent.signal(t, syscall.SIGSTOP)
	s.fallsBack(t, face, func() { s.agent.signal(t, syscall.SIGCONT) })
}

func agentFrozenAtEnd(t *testing.T, s *stack, face string) {
	from, e164 := s.callerNumber("")
	c := s.dial(t, face, dial{From: from, To: freephone(2, offices{}).called, Ends: endsNode})
	c.until(t, "200 INVITE")
	s.agent.signal(t, syscall.SIGSTOP)
	tr := c.over(t)
	if calls := s.phones[trunkShort].callsTo(t, berlin(2)); len(calls) == 1 {
		hungUp, _ := calls[0].find("BYE")
		bye, _ := tr.find("BYE")
		if kept := bye.at.Sub(hungUp.at); kept > keptAtEnd {
			t.Errorf("the caller got the BYE %v after the called side's\n%v", kept, tr)
		}
	}
	s.agent.signal(t, syscall.SIGCONT)
	row := s.cdr(t, e164, recovered)
	if row.Outcome != "answered" || row.Service != "freephone_2" {
		t.Errorf("CDR %v", row)
	}
	s.checkRings(t, []ring{{trunkShort, berlin(2)}}, true, tr, row)
	near(t, "the start in the CDR, after the INVITE,", row.StartedAt.Sub(tr[0].at), 0, time.Second)
}

// postgresKilledInConversation is a power cut of the database: the call under way, and one that begins and ends meanwhile, are not
// touched by it, and both get their one CDR.
func postgresKilledInConversation(t *testing.T, s *stack, face string) {
	first, firstCaller := s.conversation(t, face, endsCaller, time.Second)
	if err := s.postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	answeredQuickly(t, first.over(t))
	next, nextCaller := s.conversation(t, face, endsCaller, time.Second)
	answeredQuickly(t, next.over(t))
	s.startPostgres(t)
	row := s.cdr(t, firstCaller, recovered)
	if row.Outcome != "answered" {
		t.Errorf("CDR %v", row)
	}
	sameTalk(t, row, row.talk(), first.seen().between(t, "200 INVITE", "BYE"))
	row = s.cdr(t, nextCaller, recovered)
	sameTalk(t, row, row.talk(), next.seen().between(t, "200 INVITE", "BYE"))
}

func postgresFrozenAtEnd(t *testing.T, s *stack, face string) {
	c, e164 := s.conversation(t, face, endsCaller, time.Second)
	s.postgres.Freeze()
	tr := c.over(t)
	time.Sleep(time.Second) // the end of the call is being told to an engine that cannot write it down
	s.postgres.Thaw()
	answeredQuickly(t, tr)
	s.wasConversation(t, c, e164, recovered)
}

// asteriskEnds ends the node's Asterisk in the middle of a conversation: it says BYE, and the hangup handlers still run.
func asteriskEnds(t *testing.T, s *stack, face string) {
	c, e164 := s.conversation(t, face, endsNode, 0)
	time.Sleep(700 * time.Millisecond) // the conversation
	s.asterisk.signal(t, syscall.SIGTERM)
	s.wasConversation(t, c, e164, recovered)
}
