package rpc

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/rpc/api"
)

// moneyRows are the fixture's, and services that charge: one that is refused while the ledger is away, one that may be called all the same, and one that costs nothing.
func moneyRows() *logic.Rows {
	rows := fixtureRows(41)
	rows.Tariffs = append(rows.Tariffs, logic.TariffRow{Tariff: "minutes", Currency: "EUR", Rounding: "up", RoundingUnit: 1}, logic.TariffRow{Tariff: "nothing", Currency: "EUR", Rounding: "up", RoundingUnit: 1})
	rows.TariffRates = append(rows.TariffRates, logic.TariffRateRow{TariffRateID: 1, Tariff: "minutes", PricePerMinute: 600_000, FirstIncrement: 1, FurtherIncrement: 1},
		logic.TariffRateRow{TariffRateID: 2, Tariff: "nothing", FirstIncrement: 1, FurtherIncrement: 1})
	rows.Scripts = append(rows.Scripts, logic.ScriptRow{Script: "paid", FirstStep: "rate"})
	rows.ScriptParameters = append(rows.ScriptParameters, logic.ScriptParameterRow{Script: "paid", Parameter: "tariff", Type: "tariff"})
	rows.Steps = append(rows.Steps,
		logic.StepRow{Script: "paid", Step: "rate", SIB: "charge", Parameters: []byte(`{"tariff": "${tariff}", "account_number": "${caller}", "reserve_seconds": 600}`)},
		logic.StepRow{Script: "paid", Step: "ring", SIB: "bcp", Parameters: []byte(`{"action": "connect", "target": "4930200100@office"}`)},
		logic.StepRow{Script: "paid", Step: "no", SIB: "bcp", Parameters: []byte(`{"action": "release", "cause": 21}`)})
	rows.StepExits = append(rows.StepExits, logic.StepExitRow{Script: "paid", Step: "rate", Exit: "granted", NextStep: "ring"}, logic.StepExitRow{Script: "paid", Step: "rate", Exit: "refused", NextStep: "no"})
	for name, service := range map[string]logic.ServiceRow{"4980071": {Service: "strict"}, "4980072": {Service: "brave", OnOutage: "allow", OutageCap: 100_000}, "4980073": {Service: "free"}} {
		service.Subscriber, service.Script, service.Language, service.Active = "acme", "paid", "en", true
		tariff := "minutes"
		if service.Service == "free" {
			tariff = "nothing"
		}
		rows.Services = append(rows.Services, service)
		rows.ServiceParameters = append(rows.ServiceParameters, logic.ServiceParameterRow{Service: service.Service, Parameter: "tariff", Value: tariff})
		rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Number: name, Match: "exact", Service: service.Service})
	}
	return rows
}

func moneyEngine(t *testing.T, configure func(*Config)) *engine {
	t.Helper()
	e := startEngine(t, configure)
	e.source.Store(compileRows(t, moneyRows()))
	e.ledger.answers = make(map[charging.Kind]charging.Answer)
	return e
}

func instructionOf(t *testing.T, reply members) members {
	t.Helper()
	list := reply["instructions"].([]any)
	if len(list) != 1 {
		t.Fatalf("%v", list)
	}
	return list[0].(members)
}

// TestMoneyIsAskedFor: the charge asks for what it needs, what is granted bounds the conversation, and the end says what it did cost.
func TestMoneyIsAskedFor(t *testing.T) {
	t.Parallel()
	e := moneyEngine(t, nil)
	e.ledger.answers[charging.KindReserve] = charging.Answer{State: charging.StateGranted, Seconds: 77, Account: "anna"}
	got := e.must("call.start", startOf("m-1", "080071"))
	if in := instructionOf(t, got); in["op"] != "connect" || in["maximum_seconds"] != 77 || in["extendable"] != true {
		t.Fatalf("%v", in)
	}
	ask := e.ledger.asked[0].Reserve
	if ask.Key != (charging.Key{CallID: "m-1", Node: nodeA, Number: 1}) || ask.Wanted != 600 || ask.Minimum != 1 || ask.Terms.Tariff != "minutes" || ask.Terms.Payers[0].Number != "49301112222" ||
		ask.Call.Called != "4980071" || ask.Call.Service != "strict" || ask.Body == 0 {
		t.Errorf("asked %+v", ask)
	}
	if again := e.must("call.start", startOf("m-1", "080071")); !reflect.DeepEqual(again, got) || len(e.ledger.asked) != 1 {
		t.Errorf("asked again: %v, %d asks", again, len(e.ledger.asked))
	}
	e.clock.advance(time.Minute)
	ended := e.must("call.end", members{"session": got["session"], "cause": 16, "talk_seconds": 50.5,
		"results": []any{members{"op": "connect", "status": "answer", "target": 0, "talk_seconds": 50.5}}})
	want := []any{members{"charge": 1, "account": "anna", "amount": "0.50", "currency": "EUR", "tariff": "minutes", "seconds": 51}}
	if !reflect.DeepEqual(ended["charges"], want) {
		t.Errorf("charges %v, want %v", ended["charges"], want)
	}
	if cdr := e.ledger.cdr(t, "m-1"); !cdr.Held || len(cdr.Finished) != 1 || cdr.Finished[0] != (charging.Finished{Number: 1, Talk: 50_500}) {
		t.Errorf("%+v", cdr)
	}
}

// TestNoMoreIsChargedThanTheEngineSaw: a node that says that people talked for longer than the call has been there.
func TestNoMoreIsChargedThanTheEngineSaw(t *testing.T) {
	t.Parallel()
	e := moneyEngine(t, nil)
	e.ledger.answers[charging.KindReserve] = charging.Answer{State: charging.StateGranted, Seconds: 600}
	got := e.must("call.start", startOf("m-1", "080071"))
	e.clock.advance(10 * time.Second)
	e.must("call.end", members{"session": got["session"], "talk_seconds": 500.0, "results": []any{members{"op": "connect", "status": "answer", "target": 0, "talk_seconds": 500.0}}})
	if cdr := e.ledger.cdr(t, "m-1"); len(cdr.Finished) != 1 || cdr.Finished[0].Talk > 12_100 || cdr.Finished[0].Talk < 12_000 || cdr.Talk > 10_100*time.Millisecond || !cdr.TimesCorrected {
		t.Errorf("%+v", cdr)
	}
}

// TestRefusedAndUnavailableMoney: a refusal is a value; what the ledger does not answer, on_outage decides, and free calls never ask.
func TestRefusedAndUnavailableMoney(t *testing.T) {
	t.Parallel()
	e := moneyEngine(t, func(c *Config) { c.Budget = time.Second })
	e.ledger.answers[charging.KindReserve] = charging.Answer{State: charging.StateRefused, Reason: charging.ReasonNoMoney}
	if in := instructionOf(t, e.must("call.start", startOf("r-1", "080071"))); in["op"] != "release" || in["cause"] != 21 {
		t.Errorf("refused: %v", in)
	}
	e.ledger.answers[charging.KindReserve] = charging.Answer{State: charging.StateConflict}
	_, err := e.call("call.start", startOf("r-2", "080071"))
	wantFault(t, err, api.FaultCallIDReused)

	e.ledger.fail = errors.New("Postgres is away")
	if in := instructionOf(t, e.must("call.start", startOf("r-3", "080071"))); in["op"] != "release" {
		t.Errorf("deny: %v", in)
	}
	// A tenth of a euro is good for ten seconds a caller and hour; the session brings the terms to the end of the call.
	brave := e.must("call.start", startOf("r-4", "080072"))
	if in := instructionOf(t, brave); in["maximum_seconds"] != 10 || in["extendable"] != nil {
		t.Errorf("allow: %v", in)
	}
	if in := instructionOf(t, e.must("call.start", startOf("r-5", "080072"))); in["op"] != "release" {
		t.Errorf("beyond the cap: %v", in)
	}
	if in := instructionOf(t, e.must("call.start", startOf("r-6", "080072").with(members{"caller": "+49309"}))); in["maximum_seconds"] != 10 {
		t.Errorf("another payer: %v", in)
	}
	e.clock.advance(time.Hour)
	if in := instructionOf(t, e.must("call.start", startOf("r-7", "080072"))); in["maximum_seconds"] != 10 {
		t.Errorf("an hour later: %v", in)
	}
	asked := len(e.ledger.asked)
	if in := instructionOf(t, e.must("call.start", startOf("r-8", "080073"))); in["op"] != "connect" || len(e.ledger.asked) != asked {
		t.Errorf("free: %v", in)
	}
	e.ledger.fail = nil
	e.must("call.end", members{"session": brave["session"], "talk_seconds": 9.0, "results": []any{members{"op": "connect", "status": "answer", "target": 0, "talk_seconds": 9.0}}})
	if cdr := e.ledger.cdr(t, "r-4"); len(cdr.Blind) != 1 || cdr.Blind[0].Granted != 10 || cdr.Blind[0].Terms.Price.PricePerMinute != 600_000 || cdr.Finished[0].Talk != 9000 {
		t.Errorf("%+v", cdr)
	}
}

// TestNoHourHasMoreThanTheOutageCap, wherever it begins: one or two payers ask for what they like, at any instants.
func TestNoHourHasMoreThanTheOutageCap(t *testing.T) {
	t.Parallel()
	ask := charging.Reserve{Minimum: 1, Blind: true, BlindCap: 1_000_000, Terms: charging.Terms{Maximum: 1000, Price: tariff.Rate{PricePerMinute: 600_000, FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1}}}
	payers := []charging.Party{{Account: "anna", Parts: charging.Whole / 2}, {Number: "4930", Parts: charging.Whole / 2}, {Account: "bert", Parts: charging.Whole / 2}}
	rapid.Check(t, func(t *rapid.T) {
		var a allowances
		at := time.Date(2026, 3, 2, 12, 59, 59, 0, time.UTC)
		type granted struct {
			at     time.Time
			amount [3]int64
		}
		var all []granted
		for range rapid.IntRange(1, 40).Draw(t, "asks") {
			at = at.Add(time.Duration(rapid.SampledFrom([]int64{0, 1, 2, 599, 600, 601, 1800, 3598, 3599, 3600, 9000}).Draw(t, "seconds")) * time.Second)
			first, second := rapid.IntRange(0, 2).Draw(t, "first"), rapid.IntRange(0, 2).Draw(t, "second")
			r := ask
			r.Wanted, r.Terms.Payers = rapid.Int64Range(1, 300).Draw(t, "wanted"), []charging.Party{payers[first], payers[second]}
			one := granted{at: at}
			if answer := a.grant(&r, at); answer.State == charging.StateBlind {
				parts := r.Terms.Split(r.Terms.Price.Amount(answer.Seconds))
				one.amount[first] += parts[0]
				one.amount[second] += parts[1]
			}
			all = append(all, one)
			for payer := range payers {
				hour := int64(0)
				for _, earlier := range all {
					if at.Sub(earlier.at) < time.Hour {
						hour += earlier.amount[payer]
					}
				}
				if hour > ask.BlindCap {
					t.Fatalf("payer %d was granted %d within an hour, of %d", payer, hour, ask.BlindCap)
				}
			}
		}
	})
}

// TestTheOutageCapIsWholeAgain an hour after the last that counted with it, and none of it before; what is forgotten takes no room.
func TestTheOutageCapIsWholeAgain(t *testing.T) {
	t.Parallel()
	var a allowances
	began := time.Date(2026, 3, 2, 12, 59, 59, 0, time.UTC)
	for _, c := range []struct{ after, wanted, want int64 }{ // seconds
		{0, 40, 40}, {2, 1000, 60}, {599, 1, 0}, {3601, 1, 0}, {3602, 1000, 100}, {600, 1, 0}, {3602 + 3599, 1, 0}, {3602 + 3600, 70, 70}, {3602 + 3600 + 1200, 1000, 30}, {3602 + 7200, 1000, 70},
	} {
		r := charging.Reserve{Wanted: c.wanted, Minimum: 1, Blind: true, BlindCap: 1_000_000, Terms: charging.Terms{Maximum: 1000, Payers: []charging.Party{{Account: "anna", Parts: charging.Whole}},
			Price: tariff.Rate{PricePerMinute: 600_000, FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1}}}
		if answer := a.grant(&r, began.Add(time.Duration(c.after)*time.Second)); answer.Seconds != c.want {
			t.Errorf("after %d s: %+v, want %d s", c.after, answer, c.want)
		}
	}
	a.moveTo(began.Add(24 * time.Hour))
	for _, of := range a.slices {
		if len(of) > 0 {
			t.Errorf("a day later: %v", of)
		}
	}
}

// TestMuteLedgerKeepsNobodyBeyondTheBudget: the answer comes inside the budget, by on_outage.
func TestMuteLedgerKeepsNobodyBeyondTheBudget(t *testing.T) {
	t.Parallel()
	e := moneyEngine(t, func(c *Config) { c.Budget = 50 * time.Millisecond })
	e.ledger.hold = make(chan struct{})
	defer close(e.ledger.hold)
	if in := instructionOf(t, e.must("call.start", startOf("q-1", "080072"))); in["maximum_seconds"] != 10 {
		t.Errorf("%v", in)
	}
}

// TestTranslateTakesNothing: asking about a number reserves no money.
func TestTranslateTakesNothing(t *testing.T) {
	t.Parallel()
	e := moneyEngine(t, nil)
	got := e.must("number.translate", members{"called": "080071", "caller": "+49301112222"})
	if got["action"] != "dialogue" || len(e.ledger.asked) > 0 {
		t.Errorf("%v, %d asks", got, len(e.ledger.asked))
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	e := moneyEngine(t, func(c *Config) { c.Budget, c.EndTimeout = time.Second, 50*time.Millisecond })
	e.ledger.answers[charging.KindBalance] = charging.Answer{State: charging.StateGranted, Account: "anna", Balance: -500_000, Currency: "EUR"}
	if got, want := e.must("account.balance", members{"account": "anna"}), (members{"account": "anna", "balance": "-0.50", "currency": "EUR"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	e.ledger.answers[charging.KindBalance] = charging.Answer{State: charging.StateRefused, Reason: charging.ReasonNoAccount}
	_, err := e.call("account.balance", members{"account": "nobody"})
	wantFault(t, err, api.FaultNoAccount)
	if got, want := e.must("account.recharge", members{"account": "anna", "voucher": "V-1"}), (members{"account": "anna", "balance": "12.50", "currency": "EUR"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	for _, c := range []struct {
		sent members
		code int
	}{
		{members{"account": "anna", "voucher": "V-2"}, api.FaultVoucher}, {members{"account": "bert", "voucher": "V-1"}, api.FaultNoAccount}, {members{"account": "anna"}, api.FaultInvalidParameters},
		{members{"account": "an na", "voucher": "V-1"}, api.FaultInvalidParameters}, {members{"account": "anna", "voucher": ""}, api.FaultInvalidParameters},
	} {
		_, err := e.call("account.recharge", c.sent)
		wantFault(t, err, c.code)
	}
	e.ledger.fail = errors.New("Postgres is away")
	_, err = e.call("account.balance", members{"account": "anna"})
	wantFault(t, err, api.FaultOverBudget)
	_, err = e.call("account.recharge", members{"account": "anna", "voucher": "V-1"})
	wantFault(t, err, api.FaultNotDurable)
}
