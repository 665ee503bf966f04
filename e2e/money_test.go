//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// moneyRows are a price of a cent a second, a premium number and a card number. Prompts are beeps, so that dialogues are quick.
const moneyRows = `
INSERT INTO prompt (prompt, file) VALUES ('enter_card', 'beep'), ('balance_is', 'beep'), ('enter_number', 'beep'), ('not_allowed', 'beep'), ('not_enough', 'beep'), ('try_later', 'beep'), ('price', 'beep');
UPDATE prompt SET file = 'beep' WHERE prompt IN ('enter_code', 'goodbye');
INSERT INTO calendar (calendar, time_zone) VALUES ('always', 'UTC');
INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('always', '1111111', '00:00', '24:00');
INSERT INTO tariff (tariff, currency, rounding, rounding_unit) VALUES ('cent', 'EUR', 'up', 0.000001);
INSERT INTO tariff_rate (tariff, prefix, price_per_minute) VALUES ('cent', '', 0.6);
INSERT INTO tariff (tariff, currency, rounding, rounding_unit) VALUES ('dear', 'EUR', 'up', 0.000001);
INSERT INTO tariff_rate (tariff, prefix, price_per_minute) VALUES ('dear', '', 30);
INSERT INTO account (account, currency) VALUES ('provider', 'EUR');
INSERT INTO service (service, subscriber, script) VALUES ('premium', 'acme', 'premium_rate'), ('premium_busy', 'acme', 'premium_rate'), ('card', 'acme', 'account_card'), ('card_dear', 'acme', 'account_card');
INSERT INTO service_parameter (service, parameter, value)
    SELECT s, p, v FROM (VALUES ('premium', '4930000001@answers'), ('premium_busy', '4930000002@busy')) AS n (s, destination),
        LATERAL (VALUES ('hours', 'always'), ('tariff', 'cent'), ('provider', 'provider'), ('destination', destination), ('price_prompt', 'price')) AS w (p, v);
INSERT INTO screening_list (screening_list, match) VALUES ('barred', 'prefix');
INSERT INTO service_parameter (service, parameter, value) VALUES ('card', 'tariff', 'cent'), ('card', 'way_out', 'answers'), ('card', 'barred', 'barred'), ('card', 'warning_seconds', '1');
INSERT INTO service_parameter (service, parameter, value) SELECT 'card_dear', parameter, CASE parameter WHEN 'tariff' THEN 'dear' ELSE value END FROM service_parameter WHERE service = 'card';
INSERT INTO service_number (number, service) VALUES ('499001000001', 'premium'), ('499001000002', 'premium_busy'), ('491801000000', 'card'), ('491801000001', 'card_dear');
`

// Numbers of the services as dialled.
const (
	premiumNumber = "09001000001"
	premiumBusy   = "09001000002"
	cardNumber    = "01801000000"
	cardDear      = "01801000001"
)

// balanceSaid is longer than it takes to say a balance, and shorter than anybody waits for digits.
const balanceSaid = 3500 * time.Millisecond

// payer gives the caller's number an account with so much money.
func (s *stack) payer(t testing.TB, e164, money string) (account string) {
	t.Helper()
	account = "line_" + e164
	s.edit(t, fmt.Sprintf(`INSERT INTO account (account, currency) VALUES ('%s', 'EUR'); INSERT INTO adjustment (account, amount, reason) VALUES ('%[1]s', %s, 'test');
		INSERT INTO account_number (number, account) VALUES ('%s', '%[1]s')`, account, money, e164))
	return account
}

// card makes a calling card with so much money.
func (s *stack) card(t testing.TB, number, money string) (account string) {
	t.Helper()
	account = "card_" + number
	s.edit(t, fmt.Sprintf(`INSERT INTO account (account, currency) VALUES ('%s', 'EUR'); INSERT INTO adjustment (account, amount, reason) VALUES ('%[1]s', %s, 'test');
		INSERT INTO card (card, account) VALUES ('%s', '%[1]s'); SELECT set_card_pin('%[3]s', '2580')`, account, money, number))
	return account
}

// charged reads what a call did cost, by account, in cents; and its flags.
func (s *stack) charged(t testing.TB, c cdr, account string) (cents float64, flags string) {
	t.Helper()
	if err := s.db.QueryRow(t.Context(), `SELECT coalesce((SELECT -100 * sum(amount) FROM ledger_entry e WHERE e.call_id = c.call_id AND e.account = $2), 0)::float8, c.flags::text FROM cdr c WHERE c.call_id = $1`,
		c.CallID, account).Scan(&cents, &flags); err != nil {
		t.Fatal(err)
	}
	return cents, flags
}

// paidForTalk checks that a call did cost a cent for each begun second of its CDR, and no more than was granted.
func (s *stack) paidForTalk(t testing.TB, c cdr, account string, granted int64) {
	t.Helper()
	var talk int64
	for _, l := range c.Legs {
		talk += l.TalkMS
	}
	want := min((talk+999)/1000, granted)
	if cents, flags := s.charged(t, c, account); cents != float64(want) || flags != "{}" {
		t.Errorf("%d ms cost %v cents, flags %s; want %d: %v", talk, cents, flags, want, c)
	}
}

// theBooksAreRight checks every invariant, and that nothing is held any more.
func (s *stack) theBooksAreRight(t testing.TB) {
	t.Helper()
	var wrong string
	if err := s.db.QueryRow(t.Context(), "SELECT coalesce(string_agg(invariant || ' ' || subject || ': ' || detail, E'\n'), '') FROM ledger_check").Scan(&wrong); err != nil || wrong != "" {
		t.Errorf("ledger_check: %s (%v)", wrong, err)
	}
	var held int
	if err := s.db.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM reservation WHERE state = 'pending') + (SELECT count(*) FROM live_call) + (SELECT count(*) FROM account_balance WHERE pending <> 0)").Scan(&held); err != nil || held > 0 {
		t.Errorf("%d things are still held (%v)", held, err)
	}
}

// TestMoney places calls that are paid for: by real phones, through a real Asterisk, to the micro-unit.
func TestMoney(t *testing.T) {
	s := newStack(t, nil)
	s.edit(t, moneyRows)
	t.Run("all", func(t *testing.T) {
		for f, face := range faces {
			t.Run(face+"/a premium call that runs out of money is cut at the second", func(t *testing.T) {
				t.Parallel()
				from, e164 := s.callerNumber("")
				account := s.payer(t, e164, "0.03")
				tr := s.dial(t, face, dial{From: from, To: premiumNumber, Ends: endsNode}).over(t)
				c := s.cdr(t, e164, 10*time.Second)
				near(t, "the conversation", tr.between(t, "200 INVITE", "BYE"), 3*time.Second, talkTooShort)
				near(t, "the conversation in the CDR", c.talk(), 3*time.Second, talkTooLong)
				s.paidForTalk(t, c, account, 3)
				if cents, _ := s.charged(t, c, "provider"); cents != -1.8 {
					t.Errorf("the provider is credited with %v cents", -cents)
				}
			})
			t.Run(face+"/a premium call that the caller ends", func(t *testing.T) {
				t.Parallel()
				from, e164 := s.callerNumber("")
				account := s.payer(t, e164, "5")
				s.dial(t, face, dial{From: from, To: premiumNumber, Ends: endsCaller, Wait: 1700 * time.Millisecond}).over(t)
				s.paidForTalk(t, s.cdr(t, e164, 10*time.Second), account, 500)
			})
			t.Run(face+"/nobody pays for a busy number", func(t *testing.T) {
				t.Parallel()
				from, e164 := s.callerNumber("")
				account := s.payer(t, e164, "5")
				s.dial(t, face, dial{From: from, To: premiumBusy, Ends: endsRefused}).over(t)
				c := s.cdr(t, e164, 10*time.Second)
				if cents, _ := s.charged(t, c, account); cents != 0 || c.Outcome != "busy" {
					t.Errorf("%v cents: %v", cents, c)
				}
			})
			t.Run(face+"/a caller without money", func(t *testing.T) {
				t.Parallel()
				from, e164 := s.callerNumber("")
				s.payer(t, e164, "0.009")
				s.dial(t, face, dial{From: from, To: premiumNumber, Ends: endsRefused}).over(t)
				if c := s.cdr(t, e164, 10*time.Second); c.Outcome != "released" {
					t.Errorf("%v", c)
				}
			})
			t.Run(face+"/a card call that runs out of money is cut at the second", func(t *testing.T) {
				t.Parallel()
				from, e164 := s.callerNumber("")
				number := fmt.Sprintf("77000%d", f)
				account := s.card(t, number, "1")
				ear, called := s.newEar(t, face), fmt.Sprintf("3012399%d", f)
				// After the cut the caller is asked for another number, and has no money for it.
				s.dial(t, face, dial{From: from, To: cardDear, Ends: endsCaller, Wait: 9 * time.Second, Digits: []string{number + "#", "2580#", "0" + called + "#"}, Pause: balanceSaid, Ear: ear}).over(t)
				c := s.cdr(t, e164, 10*time.Second)
				rang := s.phones[trunkAnswers].callsTo(t, "49"+called)
				if len(c.Legs) != 1 || c.Legs[0].Number != "49"+called || len(rang) != 1 {
					t.Fatalf("%v, and %d calls at the called phone", c, len(rang))
				}
				answered, _ := rang[0].find("200 INVITE")
				cut, _ := rang[0].find("BYE")
				ear.warned(t, answered.at, cut.at, time.Second)
				near(t, "the conversation", time.Duration(c.Legs[0].TalkMS)*time.Millisecond, 2*time.Second, talkTooLong)
				if cents, flags := s.charged(t, c, account); cents != 100 || flags != "{}" { // half a euro a second
					t.Errorf("%v cents, flags %s: %v", cents, flags, c)
				}
			})
			for point := range 10 {
				t.Run(fmt.Sprintf("%s/the caller hangs up at point %d of the dialogue", face, point), func(t *testing.T) {
					t.Parallel()
					from, e164 := s.callerNumber("")
					number := fmt.Sprintf("88%d00%d", f, point)
					account := s.card(t, number, "1")
					d := dial{From: from, To: cardNumber, Ends: endsCaller, Wait: time.Duration(300+rand.IntN(900)) * time.Millisecond, Pause: 2 * time.Second}
					all := []string{number + "#", "2580#", "030123456#"}
					d.Digits = all[:min(point/2, 3)]
					if len(d.Digits) == 3 {
						d.Pause = balanceSaid
					}
					if point >= 7 {
						d.Wait += time.Duration(point-6) * time.Second // in conversation
					}
					s.dial(t, face, d).over(t)
					c := s.cdr(t, e164, 10*time.Second)
					s.paidForTalk(t, c, account, 100)
				})
			}
		}
	})
	s.checkAllCDRs(t)
	s.theBooksAreRight(t)
}

// TestMoneySurvivesKills kills the engine, the agent and Postgres while people talk: each call is charged once, for what it was.
func TestMoneySurvivesKills(t *testing.T) {
	s := newStack(t, nil)
	s.edit(t, moneyRows)
	for name, blow := range map[string]func(){
		"engine": func() {
			s.engine.kill(t)
			s.engine = s.spawnEngine(t, "engine", s.engineHost)
		},
		"agent": func() {
			s.agent.kill(t)
			s.agent = s.spawnAgent(t)
		},
		"Postgres": func() {
			if err := s.postgres.Kill(); err != nil {
				t.Error(err)
			}
			s.startPostgres(t)
		},
	} {
		for _, face := range faces {
			from, e164 := s.callerNumber("")
			account := s.payer(t, e164, "5")
			call := s.dial(t, face, dial{From: from, To: premiumNumber, Ends: endsCaller, Wait: 2500 * time.Millisecond})
			call.until(t, "200 INVITE")
			blow()
			call.over(t)
			c := s.cdr(t, e164, recovered)
			if c.Outcome != "answered" {
				t.Errorf("%s killed, %s: %v", name, face, c)
			}
			var cents float64
			if err := s.db.QueryRow(t.Context(), "SELECT -100 * sum(amount)::float8 FROM ledger_entry WHERE call_id = $1 AND account = $2", c.CallID, account).Scan(&cents); err != nil {
				t.Errorf("%s killed, %s: nothing was charged: %v (%v)", name, face, c, err)
			} else if want := float64((c.TalkMS + 999) / 1000); cents != want {
				t.Errorf("%s killed, %s: %v cents for %d ms", name, face, cents, c.TalkMS)
			}
		}
	}
	s.checkAllCDRs(t)
	s.theBooksAreRight(t)
}
