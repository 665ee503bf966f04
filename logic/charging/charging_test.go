package charging_test

import (
	"bytes"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
)

func terms(t *rapid.T, payers int) *charging.Terms {
	terms := &charging.Terms{Tariff: "t", Currency: "EUR", Maximum: rapid.Int64Range(1, 86_400).Draw(t, "maximum"), Price: tariff.Rate{
		ConnectFee: rapid.Int64Range(0, 500_000).Draw(t, "fee"), PricePerMinute: rapid.Int64Range(0, 5_000_000).Draw(t, "price"), FirstIncrement: rapid.Int64Range(1, 60).Draw(t, "first"),
		FurtherIncrement: rapid.Int64Range(1, 60).Draw(t, "further"), RoundingUnit: rapid.SampledFrom([]int64{1, 100, 10_000}).Draw(t, "unit")}}
	left := int64(charging.Whole)
	for i := range payers {
		parts := left
		if i < payers-1 {
			parts = rapid.Int64Range(1, left-1).Draw(t, "parts")
		}
		left -= parts
		terms.Payers = append(terms.Payers, charging.Party{Account: string(rune('a' + i)), Parts: parts})
	}
	if rapid.Bool().Draw(t, "credited") {
		terms.Credit = charging.Party{Account: "provider", Parts: rapid.Int64Range(1, charging.Whole).Draw(t, "credit")}
	}
	return terms
}

// TestGrantsNeverOverspend: whatever is asked of accounts, and in whatever order it is extended and settled, no account holds more than it has, and a grant is the most that can be had.
func TestGrantsNeverOverspend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tm := terms(t, rapid.IntRange(1, 2).Draw(t, "payers"))
		var payers []*charging.Account
		var funds []int64
		for range tm.Payers {
			has := rapid.Int64Range(0, 20_000_000).Draw(t, "funds")
			funds = append(funds, has)
			payers = append(payers, &charging.Account{Currency: "EUR", Active: true, Available: has, MaximumCalls: 5, SpendPerHour: rapid.SampledFrom([]int64{charging.Unlimited, 3_000_000}).Draw(t, "hour"),
				SpendPerDay: charging.Unlimited})
		}
		var held [charging.MaxPayers]int64
		calls := 0
		for range rapid.IntRange(1, 8).Draw(t, "asks") {
			wanted, minimum := rapid.Int64Range(1, 7200).Draw(t, "wanted"), rapid.Int64Range(1, 120).Draw(t, "minimum")
			before := make([]charging.Account, len(payers))
			for i := range payers {
				before[i] = *payers[i]
			}
			g := tm.Grant(wanted, minimum, nil, payers)
			if g.Seconds == 0 {
				if g.Reason == charging.ReasonNone {
					t.Fatal("refused without a reason")
				}
				for i := range payers {
					if *payers[i] != before[i] {
						t.Fatalf("a refusal changed %+v to %+v", before[i], *payers[i])
					}
				}
				continue
			}
			calls++
			sum := int64(0)
			for i := range payers {
				sum += g.Parts[i]
				held[i] += g.Parts[i]
				if payers[i].Available < 0 || payers[i].Available != before[i].Available-g.Parts[i] || held[i] > funds[i] || payers[i].SpentHour > payers[i].SpendPerHour {
					t.Fatalf("after %+v: %+v, holding %v of %v", g, *payers[i], held, funds)
				}
			}
			if sum != g.Amount || g.Amount != tm.Price.Amount(g.Seconds) || g.Seconds < min(minimum, tm.Maximum) || g.Seconds > min(max(wanted, minimum), tm.Maximum) || calls > 5 {
				t.Fatalf("%+v of %d wanted", g, wanted)
			}
			if g.Seconds < min(max(wanted, minimum), tm.Maximum) { // one second more could not be paid
				parts := tm.Split(tm.Price.Amount(g.Seconds + 1))
				for i := range payers {
					if most := min(before[i].Available, before[i].SpendPerHour-before[i].SpentHour); parts[i] > most {
						return
					}
				}
				t.Fatalf("%+v, though %d s could be paid", g, g.Seconds+1)
			}
		}
	})
}

// TestAMinimumAboveWhatIsWanted: a script may need a longer conversation than it reserves at first, or than a rate sells. Who can pay it is refused by nobody, and who can't is.
func TestAMinimumAboveWhatIsWanted(t *testing.T) {
	for _, c := range []struct {
		name                     string
		wanted, minimum, maximum int64
		least                    int64 // seconds that are granted, or none
	}{
		{"a minimum above what is wanted", 60, 120, 3600, 120},
		{"a minimum above the maximum of the rate", 3600, 120, 90, 90},
		{"a minimum above both", 60, 120, 90, 90},
	} {
		terms := charging.Terms{Currency: "EUR", Maximum: c.maximum, Price: tariff.Rate{PricePerMinute: 600_000, FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1}, Payers: []charging.Party{{Account: "anna", Parts: charging.Whole}}}
		reserve := charging.Reserve{Terms: terms, Wanted: c.wanted, Minimum: c.minimum, Blind: true}
		for _, has := range []int64{1_000_000_000, 10_000 * c.least, 10_000*c.least - 1} {
			want := charging.Grant{Reason: charging.ReasonNoMoney}
			if has >= 10_000*c.least {
				want = charging.Grant{Seconds: c.least, Amount: 10_000 * c.least, Parts: [charging.MaxPayers]int64{10_000 * c.least}, Final: c.least == c.maximum}
			}
			anna := &charging.Account{Name: "anna", Currency: "EUR", Active: true, Available: has, MaximumCalls: 1, SpendPerHour: charging.Unlimited, SpendPerDay: charging.Unlimited}
			if g := terms.Grant(c.wanted, c.minimum, nil, []*charging.Account{anna}); g != want {
				t.Errorf("%s, with %d: %+v, want %+v", c.name, has, g, want)
			}
			reserve.BlindCap = has
			if answer := charging.GrantBlind(&reserve, make(map[string]int64)); answer.Seconds != want.Seconds {
				t.Errorf("%s, with a cap of %d: %+v", c.name, has, answer)
			}
		}
		if answer := charging.Suppose(&charging.Ask{Kind: charging.KindReserve, Reserve: reserve}); answer.Seconds != c.least {
			t.Errorf("%s, supposed to have the money: %+v", c.name, answer)
		}
	}
}

// TestAnExtensionIsNoCallOfItsOwn: an account that may pay for one call goes on paying for it, also where its first seconds were free, so that it holds nothing yet.
func TestAnExtensionIsNoCallOfItsOwn(t *testing.T) {
	terms := charging.Terms{Currency: "EUR", Maximum: 7200, Payers: []charging.Party{{Account: "anna", Parts: charging.Whole}},
		Price: tariff.Rate{PricePerMinute: 60_000, FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1, FreeSeconds: 600}}
	account := &charging.Account{Name: "anna", Currency: "EUR", Active: true, Available: 1_000_000, MaximumCalls: 1, SpendPerHour: charging.Unlimited, SpendPerDay: charging.Unlimited}
	payers := []*charging.Account{account}
	g := terms.Grant(600, 1, nil, payers)
	if g.Seconds != 600 || g.Amount != 0 || account.Calls != 1 {
		t.Fatalf("%+v leaves %+v", g, account)
	}
	if g = terms.Grant(1200, 1, &g.Parts, payers); g.Seconds != 1200 || g.Amount != 600_000 || account.Calls != 1 || account.Available != 400_000 {
		t.Errorf("extended: %+v leaves %+v", g, account)
	}
	if g = terms.Grant(600, 1, nil, payers); g.Reason != charging.ReasonTooManyCalls {
		t.Errorf("another call: %+v", g)
	}
}

// TestSettleNeverExceedsTheGrant unless the node let the call go on, and what it says adds up.
func TestSettleNeverExceedsTheGrant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tm := terms(t, rapid.IntRange(1, 2).Draw(t, "payers"))
		granted := rapid.Int64Range(1, tm.Maximum).Draw(t, "granted")
		talk := time.Duration(rapid.Int64Range(-10, 2*granted*1000).Draw(t, "talk")) * time.Millisecond
		cost := tm.Settle(talk, granted)
		if cost.Amount != cost.Parts[0]+cost.Parts[1] || cost.Credit > cost.Amount || cost.Credit < 0 || cost.Amount != tm.Price.Amount(cost.Seconds) {
			t.Fatalf("%+v", cost)
		}
		late := talk > time.Duration(granted)*time.Second+charging.Overrun
		if cost.Excess != late || !late && cost.Seconds > granted || talk <= 0 && cost.Seconds != 0 || talk > 0 && cost.Seconds < min(int64(talk/time.Second), granted) {
			t.Fatalf("%v of %d s: %+v", talk, granted, cost)
		}
	})
}

// TestAShareIsRoundedDown, however small or large the amount is: nobody is credited with more than his part of what others paid.
func TestAShareIsRoundedDown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount, parts := rapid.Int64Min(0).Draw(t, "amount"), rapid.Int64Range(1, charging.Whole).Draw(t, "parts")
		terms := charging.Terms{Credit: charging.Party{Account: "provider", Parts: parts}}
		want := new(big.Int).Mul(big.NewInt(amount), big.NewInt(parts))
		if got := terms.Share(amount); got != want.Div(want, big.NewInt(charging.Whole)).Int64() {
			t.Fatalf("%d of %d: %d, want %d", parts, amount, got, want)
		}
	})
}

func TestLimitRule(t *testing.T) {
	rule := charging.LimitRule{MaximumCalls: 2, CallsPerWindow: 3, WindowSeconds: 60, GapMillis: 100}
	for _, c := range []struct {
		state charging.LimitState
		want  charging.Reason
	}{
		{charging.LimitState{SinceLast: -1}, ""}, {charging.LimitState{Calls: 1, InWindow: 2, SinceLast: 100}, ""}, {charging.LimitState{Calls: 2, SinceLast: -1}, "too_many_calls"},
		{charging.LimitState{InWindow: 3, SinceLast: 5000}, "too_many_in_window"}, {charging.LimitState{SinceLast: 99}, "gap"}, {charging.LimitState{SinceLast: 0}, "gap"},
	} {
		before := c.state
		if got := rule.Admit(&c.state); got != c.want {
			t.Errorf("%+v: %q, want %q", before, got, c.want)
		} else if admitted := c.state.Calls == before.Calls+1 && c.state.InWindow == before.InWindow+1 && c.state.SinceLast == 0; admitted != (got == "") {
			t.Errorf("%+v became %+v", before, c.state)
		}
	}
}

func TestPINs(t *testing.T) {
	salt := bytes.Repeat([]byte{7}, charging.PINSaltLength)
	sum := charging.HashPIN(salt, "4711")
	stored := append(salt, sum[:]...)
	if !charging.MatchPIN(stored, "4711") || charging.MatchPIN(stored, "4712") || charging.MatchPIN(nil, "4711") || charging.MatchPIN(stored[:47], "4711") {
		t.Error("PINs match that should not, or the other way round")
	}
}

func TestCountryCode(t *testing.T) {
	for number, want := range map[string]string{"49301112222": "49", "12125551234": "1", "74951234567": "7", "35312345678": "353", "8613912345678": "86", "870123": "870", "4": "4", "": "", "21612345": "216"} {
		if got := charging.CountryCode(number); got != want {
			t.Errorf("%s is in %s, want %s", number, got, want)
		}
	}
}

// TestBlindGrantsKeepTheCap: whatever is asked while the ledger is away, no payer is granted more than the cap.
func TestBlindGrantsKeepTheCap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tm := terms(t, rapid.IntRange(1, 2).Draw(t, "payers"))
		limit := rapid.Int64Range(0, 5_000_000).Draw(t, "cap")
		spent := make(map[string]int64)
		for range rapid.IntRange(1, 10).Draw(t, "asks") {
			r := &charging.Reserve{Terms: *tm, Wanted: rapid.Int64Range(1, 3600).Draw(t, "wanted"), Minimum: 1, Blind: true, BlindCap: limit}
			answer := charging.GrantBlind(r, spent)
			if answer.State == charging.StateBlind && (answer.Seconds < 1 || answer.Seconds > r.Wanted) || answer.State == charging.StateUnavailable {
				t.Fatalf("%+v", answer)
			}
			for payer, amount := range spent {
				if amount > limit {
					t.Fatalf("%s was granted %d of %d", payer, amount, limit)
				}
			}
		}
		if answer := charging.GrantBlind(&charging.Reserve{Terms: *tm, Wanted: 1}, spent); answer.State != charging.StateUnavailable {
			t.Fatalf("on_outage deny: %+v", answer)
		}
	})
}
