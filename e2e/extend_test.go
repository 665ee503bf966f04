//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// shortGrants are premium numbers whose calls are granted a few seconds first: three, and six. A card call is granted four.
const shortGrants = `
INSERT INTO script (script, first_step) SELECT s, 'hours' FROM unnest(ARRAY['three_first', 'six_first']) AS s;
INSERT INTO script_parameter (script, parameter, type, default_value)
    SELECT s, parameter, type, default_value FROM script_parameter, unnest(ARRAY['three_first', 'six_first']) AS s WHERE script = 'premium_rate';
INSERT INTO step (script, step, sib, parameters)
    SELECT s, step, sib, CASE step WHEN 'rate' THEN parameters || jsonb_build_object('reserve_seconds', n) WHEN 'ring' THEN parameters || '{"warning_seconds": 2}' ELSE parameters END
    FROM step, (VALUES ('three_first', 3), ('six_first', 6)) AS v (s, n) WHERE script = 'premium_rate';
INSERT INTO step_exit (script, step, exit, next_step)
    SELECT s, step, exit, next_step FROM step_exit, unnest(ARRAY['three_first', 'six_first']) AS s WHERE script = 'premium_rate';
INSERT INTO service (service, subscriber, script) SELECT s, 'acme', s FROM unnest(ARRAY['three_first', 'six_first']) AS s;
INSERT INTO service_parameter (service, parameter, value)
    SELECT s, p, v FROM unnest(ARRAY['three_first', 'six_first']) AS s,
        (VALUES ('hours', 'always'), ('tariff', 'cent'), ('provider', 'provider'), ('destination', '4930000003@answers'), ('price_prompt', 'price')) AS w (p, v);
INSERT INTO service_number (number, service) VALUES ('499001000003', 'three_first'), ('499001000006', 'six_first');
UPDATE step SET parameters = parameters || '{"reserve_seconds": 4}' WHERE script = 'account_card' AND step = 'rate';
`

const (
	threeFirst = "09001000003"
	sixFirst   = "09001000006"
	// shortGranted is whom they connect to.
	shortGranted = "4930000003"
)

// newShortGrants starts a stack with those numbers, whose agent sends heartbeats that often.
func newShortGrants(t *testing.T, heartbeat string) *stack {
	t.Helper()
	s := newEngineWith(t, []string{carrierRows, moneyRows, shortGrants})
	s.agentFlags = []string{"--heartbeat", heartbeat}
	s.startNode(t)
	return s
}

// extended waits until the ledger has extended what a caller's call holds to so many seconds.
func (s *stack) extended(t testing.TB, account string, seconds int) {
	t.Helper()
	eventually(t, 10*time.Second, "the call is extended", func() error {
		var got int
		err := s.db.QueryRow(t.Context(), "SELECT coalesce(max(seconds), 0) FROM reservation WHERE account = $1 AND extended", account).Scan(&got)
		if err == nil && got != seconds {
			err = fmt.Errorf("%d s, want %d", got, seconds)
		}
		return err
	})
}

// paidInFull is paidForTalk of a call that somebody has answered and an engine has decided.
func (s *stack) paidInFull(t testing.TB, c cdr, account string, granted int64) {
	t.Helper()
	if c.Outcome != "answered" || len(c.Legs) != 1 {
		t.Errorf("%v", c)
	}
	s.paidForTalk(t, c, account, granted)
}

// TestExtensions places calls that are granted a few seconds first: they go on as long as there is money, and no longer.
func TestExtensions(t *testing.T) {
	t.Parallel()
	s := newShortGrants(t, "500ms")
	t.Run("all", func(t *testing.T) {
		for f, face := range faces {
			t.Run(face+"/a call that is extended is not cut", func(t *testing.T) {
				t.Parallel()
				from, e164 := s.callerNumber("")
				account := s.payer(t, e164, "5")
				ear := s.newEar(t, face)
				tr := s.dial(t, face, dial{From: from, To: sixFirst, Ends: endsCaller, Wait: 9 * time.Second, Ear: ear}).over(t)
				c := s.cdr(t, e164, 10*time.Second)
				near(t, "the conversation in the CDR", c.talk(), 9*time.Second, talkTooLong)
				s.paidInFull(t, c, account, 500)
				answered, _ := tr.find("200 INVITE")
				if heard := ear.heard(answered.at.Add(100*time.Millisecond), answered.at.Add(8*time.Second)); len(heard) > 0 {
					t.Errorf("the caller is warned of a cut that does not come: %v after the answer", heard[0].Sub(answered.at))
				}
			})
			t.Run(face+"/a call that is extended is cut when there is no more money", func(t *testing.T) {
				t.Parallel()
				from, e164 := s.callerNumber("")
				account := s.payer(t, e164, "0.09")
				ear := s.newEar(t, face)
				tr := s.dial(t, face, dial{From: from, To: sixFirst, Ends: endsNode, Ear: ear}).over(t)
				c := s.cdr(t, e164, 10*time.Second)
				near(t, "the conversation", tr.between(t, "200 INVITE", "BYE"), 9*time.Second, talkTooShort)
				near(t, "the conversation in the CDR", c.talk(), 9*time.Second, talkTooLong)
				s.paidInFull(t, c, account, 9)
				answered, _ := tr.find("200 INVITE")
				cut, _ := tr.find("BYE")
				ear.warned(t, answered.at, cut.at, 2*time.Second)
			})
			t.Run(face+"/a card call that is extended is cut, and the caller goes on", func(t *testing.T) {
				t.Parallel()
				from, e164 := s.callerNumber("")
				number, called := fmt.Sprintf("7700%d", f), fmt.Sprintf("3012388%d", f)
				account, ear := s.card(t, number, "3"), s.newEar(t, face)
				tr := s.dial(t, face, dial{From: from, To: cardDear, Ends: endsCaller, Wait: 11 * time.Second, Digits: []string{number + "#", "2580#", "0" + called + "#"}, Pause: balanceSaid, Ear: ear}).over(t)
				c := s.cdr(t, e164, 10*time.Second)
				rang := s.phones[trunkAnswers].callsTo(t, "49"+called)
				if len(c.Legs) != 1 || len(rang) != 1 {
					t.Fatalf("%v, and %d calls at the called phone", c, len(rang))
				}
				near(t, "the conversation", time.Duration(c.Legs[0].TalkMS)*time.Millisecond, 6*time.Second, talkTooLong)
				if cents, flags := s.charged(t, c, account); cents != 300 || flags != "{}" { // half a euro a second
					t.Errorf("%v cents, flags %s: %v", cents, flags, c)
				}
				answered, _ := rang[0].find("200 INVITE")
				cut, _ := rang[0].find("BYE")
				ear.warned(t, answered.at, cut.at, time.Second)
				if bye, _ := tr.find("BYE"); bye.at.Sub(cut.at) < 2*time.Second {
					t.Errorf("the caller was cut too\n%v", tr)
				}
			})
		}
	})
	outer := t // agents that are started in a subtest outlive it
	for _, face := range faces {
		t.Run(face+"/the agent is killed in conversation and started again", func(t *testing.T) {
			from, e164 := s.callerNumber("")
			account := s.payer(t, e164, "5")
			call := s.dial(t, face, dial{From: from, To: sixFirst, Ends: endsCaller, Wait: 9 * time.Second})
			call.until(t, "200 INVITE")
			s.agent.kill(t)
			s.startAgent(outer)
			call.over(t)
			c := s.cdr(t, e164, recovered)
			near(t, "the conversation in the CDR", c.talk(), 9*time.Second, talkTooLong)
			s.paidInFull(t, c, account, 500)
		})
		t.Run(face+"/the agent is killed while it rings, and started again after the answer", func(t *testing.T) {
			from, e164 := s.callerNumber("")
			account := s.payer(t, e164, "5")
			phone := s.phones[trunkAnswers]
			before := len(phone.callsTo(t, shortGranted))
			call := s.dial(t, face, dial{From: from, To: sixFirst, Ends: endsCaller, Wait: 9 * time.Second})
			eventually(t, 10*time.Second, "the phone rings", func() error {
				if n := len(phone.callsTo(t, shortGranted)); n == before {
					return fmt.Errorf("%d calls there", n)
				}
				return nil
			})
			s.agent.kill(t)
			call.until(t, "200 INVITE")
			s.startAgent(outer)
			call.over(t)
			c := s.cdr(t, e164, recovered)
			near(t, "the conversation in the CDR", c.talk(), 9*time.Second, talkTooLong)
			s.paidInFull(t, c, account, 500)
		})
		t.Run(face+"/the agent is killed when the call is extended", func(t *testing.T) {
			from, e164 := s.callerNumber("")
			account := s.payer(t, e164, "0.07")
			call := s.dial(t, face, dial{From: from, To: threeFirst, Ends: endsNode})
			call.until(t, "200 INVITE")
			s.extended(t, account, 7)
			eventually(t, 3*time.Second, "Asterisk has the extension", func() error {
				if n := s.agentMetric(t, `ringmaster_agent_extensions_total{outcome="done"}`); n < 1 {
					return fmt.Errorf("%v extensions", n)
				}
				return nil
			})
			s.agent.kill(t)
			tr := call.over(t)
			s.startAgent(outer)
			near(t, "the conversation", tr.between(t, "200 INVITE", "BYE"), 7*time.Second, talkTooShort)
			s.paidInFull(t, s.cdr(t, e164, recovered), account, 7)
		})
		t.Run(face+"/Asterisk's manager is lost and comes back", func(t *testing.T) {
			from, e164 := s.callerNumber("")
			account := s.payer(t, e164, "0.09")
			call := s.dial(t, face, dial{From: from, To: sixFirst, Ends: endsNode})
			call.until(t, "200 INVITE")
			// Asterisk closes the connections of the manager interface when it is told to be off.
			file := s.folder + "/etc/manager.conf"
			s.replaceIn(t, file, "enabled = yes", "enabled = no")
			s.cli(t, "manager reload")
			s.replaceIn(t, file, "enabled = no", "enabled = yes")
			s.cli(t, "manager reload")
			call.over(t)
			c := s.cdr(t, e164, 10*time.Second)
			near(t, "the conversation in the CDR", c.talk(), 9*time.Second, talkTooLong)
			s.paidInFull(t, c, account, 9)
		})
	}
	s.checkAllCDRs(t)
	s.theBooksAreRight(t)
}

// TestWithoutExtension places the same calls where no extension comes: they are cut at what was granted first, whoever is alive.
func TestWithoutExtension(t *testing.T) {
	t.Parallel()
	for _, face := range faces {
		t.Run(face, func(t *testing.T) {
			t.Parallel()
			withoutExtension(t, face)
		})
	}
}

func withoutExtension(t *testing.T, face string) {
	outer := t
	s := newShortGrants(t, "10m") // and over long before the engine misses the node
	for name, kill := range map[string]func(t *testing.T) (repair func()){
		"nobody is killed": nil,
		"the agent is killed in conversation": func(t *testing.T) func() {
			s.agent.kill(t)
			return func() { s.startAgent(outer) }
		},
		"the engine is killed in conversation": func(t *testing.T) func() {
			s.engine.kill(t)
			return func() { s.startEngine(outer) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			from, e164 := s.callerNumber("")
			account := s.payer(t, e164, "5")
			ear := s.newEar(t, face)
			call := s.dial(t, face, dial{From: from, To: threeFirst, Ends: endsNode, Ear: ear})
			answered := call.until(t, "200 INVITE")
			repair := func() {}
			if kill != nil {
				repair = kill(t)
			}
			tr := call.over(t)
			repair()
			near(t, "the conversation", tr.between(t, "200 INVITE", "BYE"), 3*time.Second, talkTooShort)
			s.paidInFull(t, s.cdr(t, e164, recovered), account, 3)
			if cut, _ := tr.find("BYE"); kill == nil {
				ear.warned(t, answered.at, cut.at, 2*time.Second)
			}
		})
	}
	s.checkAllCDRs(t)
	s.theBooksAreRight(t)
}
