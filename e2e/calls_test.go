//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// shortTalk is how long a phone of trunkShort talks.
const shortTalk = 1200 * time.Millisecond

// How far a CDR's conversation may be from what the phones saw. On an idle machine they differ by a few milliseconds. CI has two cores
// for everything, and an Asterisk that has to wait for one notices an answer late; it never makes a conversation longer.
const (
	talkTooLong  = 300 * time.Millisecond
	talkTooShort = 700 * time.Millisecond
)

// ring is a phone that is expected to ring: trunk and number.
type ring struct{ trunk, number string }

// scenario is one call, and what must come of it.
type scenario struct {
	name    string
	service func(n int) service // nil: nobody has the number dialled
	from    string              // area code the caller is in, default 030 (berlin)
	dial    dial                // To and From are filled in

	final   string             // the final response to the caller's INVITE, default 200
	rings   func(n int) []ring // the phones that ring, in order; the last one is who answers, if anybody does
	outcome string             // of the CDR
	talks   bool               // the last ringing phone answered: the conversation is compared
	cause   int                // of the CDR, if not 0
	check   func(t *testing.T, s *stack, n int, tr trace, c cdr)
}

func talking(d time.Duration) dial { return dial{Ends: endsCaller, Wait: d} }

func only(trunk string, number func(int) string) func(int) []ring {
	return func(n int) []ring { return []ring{{trunk, number(n)}} }
}

func then(firstTrunk string, first func(int) string, thenTrunk string, next func(int) string) func(int) []ring {
	return func(n int) []ring { return []ring{{firstTrunk, first(n)}, {thenTrunk, next(n)}} }
}

func at(o offices) func(int) service { return func(n int) service { return freephone(n, o) } }

func behind(trunk string) func(int) service { return func(n int) service { return vault(n, trunk) } }

// scenarios are played through both faces of the agent.
var scenarios = []scenario{
	{name: "freephone from Berlin rings in Berlin", service: at(offices{}), dial: talking(1500 * time.Millisecond),
		rings: only(trunkAnswers, berlin), outcome: "answered", talks: true, cause: 16},
	{name: "freephone from Munich rings in Munich", service: at(offices{}), from: "089", dial: talking(1200 * time.Millisecond),
		rings: only(trunkAnswers, munich), outcome: "answered", talks: true},
	{name: "freephone from anywhere else goes by percentage", service: at(offices{}), from: "0221", dial: talking(1200 * time.Millisecond),
		rings: only(trunkAnswers, elsewhere), outcome: "answered", talks: true},
	{name: "out of hours an announcement", service: at(offices{hours: closedNow}), dial: dial{Ends: endsNode},
		outcome: "released", check: heardSomething(4 * time.Second)},
	{name: "busy, then the second office", service: at(offices{berlin: trunkBusy}), dial: talking(1200 * time.Millisecond),
		rings: then(trunkBusy, berlin, trunkAnswers, second), outcome: "answered", talks: true},
	{name: "no answer, then the second office", service: at(offices{berlin: trunkSilent, ring: 2}), dial: talking(1200 * time.Millisecond),
		rings: then(trunkSilent, berlin, trunkAnswers, second), outcome: "answered", talks: true},
	{name: "unreachable, then the second office", service: at(offices{berlin: trunkGone}), dial: talking(1200 * time.Millisecond),
		rings: then(trunkGone, berlin, trunkAnswers, second), outcome: "answered", talks: true},
	{name: "both offices busy", service: at(offices{berlin: trunkBusy, second: trunkBusy}), dial: dial{Ends: endsRefused},
		final: "486", rings: then(trunkBusy, berlin, trunkBusy, second), outcome: "busy", cause: 17},
	{name: "nobody answers in either office", service: at(offices{berlin: trunkSilent, second: trunkSilent, ring: 1}), dial: dial{Ends: endsRefused},
		final: "480", rings: then(trunkSilent, berlin, trunkSilent, second), outcome: "no_answer"},
	{name: "a number that nobody has", dial: dial{Ends: endsRefused}, final: "404", outcome: "released", cause: 1},
	{name: "a service that is not active", service: at(offices{inactive: true}), dial: dial{Ends: endsRefused}, final: "480", outcome: "released", cause: 31},

	{name: "the right code", service: behind(trunkAnswers), dial: dial{Ends: endsCaller, Wait: 2500 * time.Millisecond, Digits: []string{"4711#"}, Pause: time.Second},
		rings: only(trunkAnswers, second), outcome: "answered", talks: true},
	{name: "a wrong code, then the right one", service: behind(trunkAnswers),
		dial:  dial{Ends: endsCaller, Wait: 2500 * time.Millisecond, Digits: []string{"1234#", "081512#"}, Pause: 2 * time.Second},
		rings: only(trunkAnswers, second), outcome: "answered", talks: true},
	{name: "three wrong codes", service: behind(trunkAnswers),
		dial:    dial{Ends: endsNode, Digits: []string{"1234#", "4712#", "0000#"}, Pause: 2 * time.Second},
		outcome: "released", cause: 21, check: recorded("security")},

	{name: "the caller hangs up before anything rings", service: at(offices{berlin: trunkGone, second: trunkGone}), dial: dial{Ends: endsEarly, Wait: 500 * time.Millisecond},
		final: "487", rings: only(trunkGone, berlin), outcome: "abandoned"},
	{name: "the caller hangs up while it rings", service: at(offices{berlin: trunkSilent}), dial: dial{Ends: endsCancel, Wait: 700 * time.Millisecond},
		final: "487", rings: only(trunkSilent, berlin), outcome: "abandoned"},
	{name: "the caller hangs up during an announcement", service: at(offices{hours: closedNow}), dial: talking(time.Second), outcome: "abandoned"},
	{name: "the caller hangs up while digits are collected", service: behind(trunkAnswers), dial: talking(time.Second), outcome: "abandoned"},
	{name: "the called side hangs up", service: at(offices{berlin: trunkShort}), dial: dial{Ends: endsNode},
		rings: only(trunkShort, berlin), outcome: "answered", talks: true, cause: 16},
	{name: "the called side behind a code hangs up", service: behind(trunkShort), dial: dial{Ends: endsNode, Digits: []string{"4711#"}, Pause: time.Second},
		rings: only(trunkShort, second), outcome: "answered", talks: true},
}

// heardSomething checks that the node kept the caller for as long as an announcement takes.
func heardSomething(least time.Duration) func(*testing.T, *stack, int, trace, cdr) {
	return func(t *testing.T, _ *stack, _ int, tr trace, _ cdr) {
		if d := tr.between(t, "200 INVITE", "BYE"); d < least {
			t.Errorf("the announcement was cut after %v, it takes more than %v\n%v", d, least, tr)
		}
	}
}

// recorded checks that the call left a record of that kind (SIB log).
func recorded(kind string) func(*testing.T, *stack, int, trace, cdr) {
	return func(t *testing.T, s *stack, _ int, _ trace, c cdr) {
		var n int
		if err := s.db.QueryRow(t.Context(), "SELECT count(*) FROM call_record WHERE call_id = $1 AND kind = $2", c.CallID, kind).Scan(&n); err != nil || n != 1 {
			t.Errorf("%d records of kind %s, want 1 (%v)", n, kind, err)
		}
	}
}

func TestCalls(t *testing.T) {
	var services []service
	for i, sc := range scenarios {
		for f := range faces {
			if sc.service != nil {
				services = append(services, sc.service(2*i+f))
			}
		}
	}
	s := newStack(t, services)
	t.Run("all", func(t *testing.T) { // returns when all parallel tests have
		for f, face := range faces {
			for i, sc := range scenarios {
				t.Run(face+"/"+sc.name, func(t *testing.T) {
					t.Parallel()
					s.play(t, face, 2*i+f, sc)
				})
			}
			t.Run(face+"/the node is told to hang up", func(t *testing.T) {
				t.Parallel()
				s.nodeHangsUp(t, face, 2*len(scenarios)+f)
			})
			t.Run(face+"/an SQL edit between two calls", func(t *testing.T) {
				t.Parallel()
				s.editBetween(t, face, 2*len(scenarios)+2+f)
			})
		}
	})
	s.checkAllCDRs(t)
}

// callerNumber returns an own number for each call, as dialled and in E.164.
func (s *stack) callerNumber(area string) (dialled, e164 string) {
	dialled = fmt.Sprintf("%s7%06d", or(area, "030"), s.callers.Add(1))
	return dialled, "49" + dialled[1:]
}

// play places the call of one scenario and checks the messages at both phones and the CDR.
func (s *stack) play(t *testing.T, face string, n int, sc scenario) {
	d := sc.dial
	var e164 string
	d.From, e164 = s.callerNumber(sc.from)
	var service service
	if sc.service != nil {
		service = sc.service(n)
		d.To = service.called
	} else {
		d.To = fmt.Sprintf("0700%07d", n)
	}
	tr := s.dial(t, face, d).over(t)
	if final := or(sc.final, "200"); !tr.has(final + " INVITE") {
		t.Errorf("the caller got no %s\n%v", final, tr)
	}
	c := s.cdr(t, e164, 10*time.Second)
	if c.Outcome != sc.outcome || c.Service != service.name || c.Called != "49"+d.To[1:] || c.Dialled != d.To || c.Node != s.node || c.Trunk != softswitches[face] {
		t.Errorf("want outcome %s of service %q, got %v", sc.outcome, service.name, c)
	}
	if sc.cause != 0 && c.Cause != sc.cause {
		t.Errorf("cause %d, want %d: %v", c.Cause, sc.cause, c)
	}
	var rings []ring
	if sc.rings != nil {
		rings = sc.rings(n)
	}
	s.checkRings(t, rings, sc.talks, tr, c)
	s.checkTimes(t, tr, c)
	if sc.check != nil {
		sc.check(t, s, n, tr, c)
	}
	if t.Failed() {
		t.Logf("the caller's phone:\n%v\nCDR %v", tr, c)
	}
}

// checkRings checks that these phones rang, once each and no other, and that the CDR says so. With talks the conversation
// is what the last of them saw; else, if the node itself answered the caller (an announcement, digits), what the caller saw of that.
func (s *stack) checkRings(t testing.TB, rings []ring, talks bool, caller trace, c cdr) {
	t.Helper()
	var numbers []string
	talk := time.Duration(0)
	if caller.has("200 INVITE") {
		talk = caller.between(t, "200 INVITE", "BYE")
	}
	for i, r := range rings {
		numbers = append(numbers, r.number)
		p, isPhone := s.phones[r.trunk]
		if !isPhone {
			continue // nobody listens at trunkGone
		}
		calls := p.callsTo(t, r.number)
		if len(calls) != 1 {
			t.Errorf("%s at %s rang %d times, want once", r.number, r.trunk, len(calls))
			continue
		}
		if i == len(rings)-1 && talks {
			talk = calls[0].between(t, "200 INVITE", "BYE")
		}
	}
	if got := c.numbers(); got != strings.Join(numbers, " ") {
		t.Errorf("the CDR says that %q rang, want %q: %v", got, numbers, c)
	}
	if (c.AnsweredAt != nil) != (talk > 0) {
		t.Errorf("answered_at and the phones do not agree: %v", c)
	}
	sameTalk(t, c, c.talk(), talk)
	if talks && len(c.Legs) > 0 {
		sameTalk(t, c, time.Duration(c.Legs[len(c.Legs)-1].TalkMS)*time.Millisecond, talk)
	}
}

// checkTimes checks the CDR's start and end against the caller's phone.
func (s *stack) checkTimes(t testing.TB, tr trace, c cdr) {
	t.Helper()
	if len(tr) == 0 {
		return
	}
	near(t, "the start in the CDR, after the INVITE,", c.StartedAt.Sub(tr[0].at), 0, time.Second)
	end := tr[len(tr)-1].at
	for _, what := range []string{"BYE", "CANCEL"} {
		if m, ok := tr.find(what); ok {
			end = m.at
		}
	}
	near(t, "the end in the CDR, after the caller's last message,", c.EndedAt.Sub(end), 0, 1500*time.Millisecond)
}

// nodeHangsUp ends a conversation by Asterisk's command line.
func (s *stack) nodeHangsUp(t *testing.T, face string, n int) {
	service := freephone(n, offices{})
	s.insert(t, service)
	from, e164 := s.callerNumber("")
	call := s.dial(t, face, dial{From: from, To: service.called, Ends: endsNode})
	answered := call.until(t, "200 INVITE")
	time.Sleep(time.Second) // the conversation
	channel := s.channelOf(t, from)
	s.cli(t, "channel request hangup "+channel)
	tr := call.over(t)
	c := s.cdr(t, e164, 10*time.Second)
	if c.Outcome != "answered" || c.Service != service.name {
		t.Errorf("CDR %v", c)
	}
	s.checkRings(t, []ring{{trunkAnswers, berlin(n)}}, true, tr, c)
	s.checkTimes(t, tr, c)
	if bye, _ := tr.find("BYE"); bye.at.Sub(answered.at) > 5*time.Second {
		t.Errorf("the node did not hang up when it was told to\n%v", tr)
	}
}

// editBetween changes a row by SQL between two calls: the second call obeys.
func (s *stack) editBetween(t *testing.T, face string, n int) {
	service := freephone(n, offices{})
	s.insert(t, service)
	place := func(want ring) {
		t.Helper()
		from, e164 := s.callerNumber("")
		tr := s.dial(t, face, dial{From: from, To: service.called, Ends: endsCaller, Wait: 400 * time.Millisecond}).over(t)
		c := s.cdr(t, e164, 10*time.Second)
		s.checkRings(t, []ring{want}, true, tr, c)
		s.checkTimes(t, tr, c)
	}
	place(ring{trunkAnswers, berlin(n)})
	moved := second(n)
	s.edit(t, "UPDATE translation SET value = $2 WHERE translation_table = $1 AND key = 'berlin'", service.name, moved)
	place(ring{trunkAnswers, moved})
}
