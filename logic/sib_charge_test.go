package logic_test

import (
	"slices"
	"testing"

	"ringmaster/logic"
	"ringmaster/logic/charging"
)

// followOnRows is a script that charges and connects, and again for each number that is dialled afterwards: 4980… costs nothing.
func followOnRows(t *testing.T) *logic.Rows {
	return readRows(t, `
INSERT INTO numbering_plan (numbering_plan, country_code, international_prefix, national_prefix) VALUES ('default', '49', '00', '0');
INSERT INTO trunk (trunk) VALUES ('pstn');
INSERT INTO prompt (prompt, file) VALUES ('number', 'vm-enter-num-to-call');
INSERT INTO tariff (tariff, currency, rounding, rounding_unit) VALUES ('card', 'EUR', 'up', 0.0001);
INSERT INTO tariff_rate (tariff, prefix, price_per_minute) VALUES ('card', '49', 0.06), ('card', '4980', 0);
INSERT INTO script (script, first_step) VALUES ('s', 'ask');
INSERT INTO script_parameter (script, parameter, type, default_value) VALUES ('s', 'tariff', 'tariff', 'card'), ('s', 'prompt', 'prompt', 'number');
INSERT INTO step (script, step, sib, parameters) VALUES
    ('s', 'ask', 'interact', '{"prompts": ["${prompt}"], "minimum": 3, "maximum": 20, "into": "wanted"}'),
    ('s', 'pay', 'charge', '{"tariff": "${tariff}", "number": "${wanted}", "account": "anna"}'),
    ('s', 'ring', 'bcp', '{"action": "connect", "target": "${wanted}@pstn"}'),
    ('s', 'end', 'bcp', '{"action": "release"}');
INSERT INTO step_exit (script, step, exit, next_step) VALUES ('s', 'ask', 'digits', 'pay'), ('s', 'ask', 'timeout', 'end'), ('s', 'pay', 'granted', 'ring'), ('s', 'pay', 'refused', 'end'), ('s', 'ring', 'answer', 'ask');
INSERT INTO subscriber (subscriber) VALUES ('acme');
INSERT INTO service (service, subscriber, script, on_outage) VALUES ('acme_card', 'acme', 's', 'allow');
INSERT INTO service_number (number, match, service) VALUES ('', 'prefix', 'acme_card');
`)
}

// TestTheLedgerIsToldOfAFreeConversationAfterAPaidOne: it would take it for the one before when the node is lost. Where
// nothing was paid, nobody is asked; and no answer of the ledger stops a conversation that costs nothing.
func TestTheLedgerIsToldOfAFreeConversationAfterAPaidOne(t *testing.T) {
	const paid, free = "49301234567", "49801234567"
	for _, kase := range []struct {
		name    string
		numbers []string
		free    charging.Answer // to what is asked of a free number
		asked   []int           // the charges that the ledger is asked for
	}{
		{"paid, free", []string{paid, free}, charging.Answer{State: charging.StateGranted, Seconds: 60}, []int{1, 2}},
		{"paid, free, free", []string{paid, free, free}, charging.Answer{State: charging.StateGranted, Seconds: 60}, []int{1, 2, 3}},
		{"free, paid, free", []string{free, paid, free}, charging.Answer{State: charging.StateGranted, Seconds: 60}, []int{2, 3}},
		{"free, free", []string{free, free}, charging.Answer{}, nil},
		{"the ledger refuses", []string{paid, free}, charging.Answer{State: charging.StateRefused, Reason: charging.ReasonNoMoney}, []int{1, 2}},
		{"the ledger does not answer", []string{paid, free}, charging.Answer{}, []int{1, 2}},
	} {
		t.Run(kase.name, func(t *testing.T) {
			snapshot := compile(t, followOnRows(t))
			call := logic.Session{CallID: "call-1", Node: "node", Caller: "4930111", Called: "110", StartedAt: monday}
			var out logic.Outcome
			snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
			var asked []int
			for i, number := range kase.numbers {
				if i > 0 {
					snapshot.Step(&call, results(t, "connect answer talk=7 cause=16"), monday, &out)
				}
				snapshot.Step(&call, results(t, "collect digits digits="+number), monday, &out)
				for out.Ask.Kind != logic.AskNothing {
					if out.Ask.Kind != logic.AskLedger || out.Ask.Ledger.Kind != charging.KindReserve {
						t.Fatalf("asks for %+v", out.Ask)
					}
					reserve := out.Ask.Ledger.Reserve
					asked = append(asked, reserve.Key.Number)
					answer := charging.Answer{State: charging.StateGranted, Seconds: 3600}
					if number == free {
						answer = kase.free
						if !reserve.Terms.IsFree() || reserve.Blind {
							t.Errorf("charge %d: free %v, blind %v", reserve.Key.Number, reserve.Terms.IsFree(), reserve.Blind)
						}
					}
					for _, finished := range reserve.Finished {
						if finished.Talk != 7000 && slices.Contains(asked, finished.Number) {
							t.Errorf("charge %d is said to have had %d ms of talk", finished.Number, finished.Talk)
						}
					}
					if len(reserve.Finished) != i {
						t.Errorf("%d conversations are said to be over, of %d", len(reserve.Finished), i)
					}
					snapshot.Step(&call, logic.Event{Kind: logic.EventAnswer, Answer: answer}, monday, &out)
				}
				if len(out.Instructions) != 1 || out.Instructions[0].Op != logic.OpConnect {
					t.Fatalf("number %d: %+v", i+1, out.Instructions)
				}
			}
			if !slices.Equal(asked, kase.asked) {
				t.Errorf("asked for charges %v, want %v", asked, kase.asked)
			}
		})
	}
}

// TestACallHasNoMoreChargesThanAreSettled: a caller dials numbers without a price for as long as he likes, and then one that has one.
func TestACallHasNoMoreChargesThanAreSettled(t *testing.T) {
	rows := followOnRows(t)
	for i := range rows.StepExits {
		if e := &rows.StepExits[i]; e.Step == "pay" && e.Exit == "refused" {
			e.NextStep = "ask"
		}
	}
	snapshot := compile(t, rows)
	call := logic.Session{CallID: "call-1", Node: "node", Caller: "4930111", Called: "110", StartedAt: monday}
	var out logic.Outcome
	snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
	for range charging.MaxCharges {
		snapshot.Step(&call, results(t, "collect digits digits=00331234567"), monday, &out)
		if out.Ask.Kind != logic.AskNothing {
			t.Fatal("it has a price")
		}
	}
	snapshot.Step(&call, results(t, "collect digits digits=49301234567"), monday, &out)
	if out.Ask.Kind != logic.AskNothing || len(out.Instructions) != 1 || out.Instructions[0].Op != logic.OpCollect || call.Charge != charging.MaxCharges {
		t.Errorf("asks %+v, instructs %+v, charge %d", out.Ask, out.Instructions, call.Charge)
	}
}

// TestASecondConversationOfOneCharge gets what is left of it, and no more: the ledger, which does not know how long the first one was, would say how long this one may be.
func TestASecondConversationOfOneCharge(t *testing.T) {
	rows := followOnRows(t)
	for i := range rows.StepExits {
		if e := &rows.StepExits[i]; e.Step == "ring" && e.Exit == "answer" {
			e.NextStep = "ring"
		}
	}
	snapshot := compile(t, rows)
	call := logic.Session{CallID: "call-1", Node: "node", Caller: "4930111", Called: "110", StartedAt: monday}
	var out logic.Outcome
	snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
	snapshot.Step(&call, results(t, "collect digits digits=49301234567"), monday, &out)
	snapshot.Step(&call, logic.Event{Kind: logic.EventAnswer, Answer: charging.Answer{State: charging.StateGranted, Seconds: 600}}, monday, &out)
	if in := out.Instructions[0]; in.MaximumSeconds != 600 || !in.Extendable {
		t.Errorf("the first: %+v", in)
	}
	snapshot.Step(&call, results(t, "connect answer talk=550 cause=16"), monday, &out)
	if in := out.Instructions[0]; in.Op != logic.OpConnect || in.MaximumSeconds != 50 || in.Extendable {
		t.Errorf("the second: %+v", in)
	}
}

// TestNumbersWithAPlusSign: a parameter of type number may have one. Rates and accounts have none.
func TestNumbersWithAPlusSign(t *testing.T) {
	rows := followOnRows(t)
	rows.ScriptParameters = append(rows.ScriptParameters, logic.ScriptParameterRow{Script: "s", Parameter: "there", Type: "number"}, logic.ScriptParameterRow{Script: "s", Parameter: "line", Type: "number"})
	rows.ServiceParameters = append(rows.ServiceParameters, logic.ServiceParameterRow{Service: "acme_card", Parameter: "there", Value: "+49301234567"}, logic.ServiceParameterRow{Service: "acme_card", Parameter: "line", Value: "+4940111"})
	rows.TariffRates = append(rows.TariffRates, logic.TariffRateRow{TariffRateID: 9, Tariff: "card", PricePerMinute: 5_000_000, FirstIncrement: 1, FurtherIncrement: 1}) // of all other numbers
	for i := range rows.Steps {
		if s := &rows.Steps[i]; s.Step == "pay" {
			s.Parameters = []byte(`{"tariff": "${tariff}", "number": "${there}", "account_number": "${line}", "credit_account_number": "${line}", "credit_per_mille": 10}`)
		}
	}
	snapshot := compile(t, rows)
	call := logic.Session{CallID: "call-1", Node: "node", Caller: "4930111", Called: "110", StartedAt: monday}
	var out logic.Outcome
	snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
	snapshot.Step(&call, results(t, "collect digits digits=110"), monday, &out)
	if out.Ask.Kind != logic.AskLedger {
		t.Fatalf("asks for nothing: %+v", out)
	}
	terms := out.Ask.Ledger.Reserve.Terms
	if terms.Number != "49301234567" || terms.Price.PricePerMinute != 60_000 || terms.Payers[0].Number != "4940111" || terms.Credit.Number != "4940111" {
		t.Errorf("%+v", terms)
	}
}
