package call_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
)

var (
	now     = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	expires = now.Add(time.Hour)
)

func secret(id int64) []byte { return []byte(fmt.Sprintf("the secret of session key %6d", id)) }

func keys(ids ...int64) *call.Keys {
	var all []call.Key
	for _, id := range ids {
		all = append(all, call.Key{ID: id, Secret: secret(id), CreatedAt: time.Unix(id, 0)})
	}
	return call.NewKeys(all)
}

// text draws a text of at most so many bytes, often of exactly so many.
func text(t *rapid.T, most int, name string) string {
	if rapid.IntRange(0, 3).Draw(t, name+" full") == 0 {
		return strings.Repeat("x", most)
	}
	return rapid.StringN(0, most, most).Draw(t, name)
}

// session draws any session that a call can have: everything up to its limit, which rpc and the compiler hold.
func session(t *rapid.T) *call.Session {
	integer := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
	number := func(name string) string { return text(t, 1+call.MaxNumberLength, name) }
	c := &call.Session{
		CallID: text(t, 128, "call id"), Node: text(t, 63, "node"), Channel: text(t, 128, "channel"), Trunk: text(t, 63, "trunk"),
		Caller: number("caller"), Called: number("called"), Dialled: number("dialled"),
		Presentation: call.Presentation(integer("presentation", 2)),
		StartedAt:    time.UnixMilli(1 + int64(integer("started", 1<<42))).UTC(),
		Revision:     rapid.Int64Min(0).Draw(t, "revision"),
		Service:      text(t, 63, "service"), Subscriber: text(t, 63, "subscriber"), Script: text(t, 63, "script"), Step: text(t, 63, "step"),
		Language: text(t, 6, "language"), Attempt: integer("attempt", call.RedirectBudget), Release: integer("release", 127),
		Answered: rapid.Bool().Draw(t, "answered"), Continued: rapid.Bool().Draw(t, "continued"), HungUp: rapid.Bool().Draw(t, "hung up"),
		Path:   []byte(text(t, call.MaxPathLength, "path")),
		Charge: integer("charge", 9), Payment: integer("payment", 9), Granted: rapid.Int64Range(0, 86_400).Draw(t, "granted"), Final: rapid.Bool().Draw(t, "final"),
		Tries: integer("tries", 99), Held: rapid.Bool().Draw(t, "held"),
	}
	for range integer("blind", call.MaxBlind) {
		c.Blind = append(c.Blind, blind(func(most int) string { return text(t, most, "blind") }, rapid.Int64Range(0, 1_000_000_000_000).Draw(t, "amount")))
	}
	for i := range integer("variables", call.MaxVariables) {
		c.Set(fmt.Sprintf("v%d%s", i, strings.Repeat("_", integer("name", 20))), text(t, call.MaxValueLength, "value"))
	}
	for range integer("targets", call.MaxTargets) {
		c.Targets = append(c.Targets, call.Target{Trunk: text(t, call.MaxNameLength, "target's trunk"), Number: number("target"), Timeout: integer("timeout", 300)})
	}
	if len(c.Targets) > 0 {
		for range integer("legs", 2*call.MaxLegs) {
			c.AddLegs([]call.Result{{Op: call.OpConnect, Status: call.Status(integer("status", 8)), DialStatus: text(t, 40, "dial status"),
				Target: integer("target", len(c.Targets)-1), Cause: integer("cause", 127), Talk: time.Duration(integer("talk", 1<<30)) * time.Millisecond}})
		}
	}
	for range integer("records", call.MaxRecords) {
		c.AddRecord(call.Record{At: time.UnixMilli(1 + int64(integer("at", 1<<42))).UTC(), Kind: text(t, call.MaxNameLength, "kind"), Text: text(t, 200, "record")})
	}
	return c
}

// blind is a charge with all there can be of it.
func blind(text func(most int) string, amount int64) charging.Blind {
	party := charging.Party{Account: "a" + text(call.MaxNameLength-1), Parts: charging.Whole}
	name := text(call.MaxNameLength)
	return charging.Blind{Number: 9, Granted: 86_400, Terms: charging.Terms{Tariff: name, Rate: name, Number: text(33), Currency: "EUR", Maximum: 86_400,
		Price: tariff.Rate{ConnectFee: amount, PricePerMinute: amount, FirstIncrement: 86_400, FurtherIncrement: 86_400, FreeSeconds: 86_400, MinimumCharge: amount, MaximumCharge: amount, MaximumSeconds: 86_400,
			Rounding: tariff.RoundHalfEven, RoundingUnit: 1_000_000_000},
		Payers: []charging.Party{party, party}, Credit: party}}
}

// TestTokenRoundTrip: whatever a session holds comes back, within the length that a dialplan and XML-RPC can carry. Only the history of a very
// long one may be cut.
func TestTokenRoundTrip(t *testing.T) {
	k := keys(1)
	rapid.Check(t, func(t *rapid.T) {
		sent := session(t)
		token := k.Seal([]byte("before"), sent, expires)[len("before"):]
		if len(token) > call.MaxTokenLength {
			t.Fatalf("%d bytes", len(token))
		}
		if strings.Trim(string(token), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("not base64url: %s", token)
		}
		got := call.Session{Variables: []call.Variable{{"left", "over"}}, HungUp: true}
		if state := k.Open(token, sent.Node, now, &got); state != call.TokenGood {
			t.Fatalf("state %v", state)
		}
		if !bytes.Equal(got.Path, sent.Path) {
			if len(got.Path) > 0 || len(token) < call.MaxTokenLength/4 {
				t.Fatalf("path %q of %q", got.Path, sent.Path)
			}
			got.Path = sent.Path
			if len(got.Legs) < len(sent.Legs) && len(got.Legs) == 1 && got.Legs[0] == sent.Legs[len(sent.Legs)-1] {
				got.Legs = sent.Legs
			}
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", *sent) {
			t.Fatalf("got  %+v\nsent %+v", got, *sent)
		}
	})
}

// TestTokenLengthAtAllLimits fills everything at once.
func TestTokenLengthAtAllLimits(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	c := &call.Session{CallID: x(128), Node: x(63), Channel: x(128), Trunk: x(63), Caller: x(35), Called: x(35), Dialled: x(33),
		Service: x(63), Subscriber: x(63), Script: x(63), Step: x(63), Language: "xxx_XX", StartedAt: now, Revision: 1 << 62, Attempt: 5, Release: 127,
		Path: []byte(x(call.MaxPathLength))}
	for i := range call.MaxVariables {
		c.Set(fmt.Sprint("v", i), x(call.MaxVariableBytes/call.MaxVariables-3))
	}
	for range call.MaxTargets {
		c.Targets = append(c.Targets, call.Target{Trunk: x(call.MaxNameLength), Number: x(33), Timeout: 300})
	}
	for range call.MaxLegs {
		c.AddLegs([]call.Result{{Op: call.OpConnect, Status: call.StatusBusy, DialStatus: x(99), Cause: 127, Talk: 1 << 60}})
	}
	for range call.MaxRecords {
		c.AddRecord(call.Record{At: now, Kind: x(call.MaxNameLength), Text: x(999)})
	}
	for range call.MaxBlind {
		c.Blind = append(c.Blind, blind(x, 1_000_000_000_000))
	}
	k := keys(1 << 62)
	if n := len(k.Seal(nil, c, expires)); n > call.MaxTokenLength {
		t.Errorf("a token of %d bytes, more than %d", n, call.MaxTokenLength)
	}
}

func TestTokenStates(t *testing.T) {
	c := call.Session{CallID: "call-1", Node: "one", Step: "ask", Variables: []call.Variable{{"tries", "2"}}}
	token := keys(1, 2).Seal(nil, &c, expires)
	for name, test := range map[string]struct {
		keys *call.Keys
		node string
		now  time.Time
		want call.TokenState
	}{
		"good":                      {keys(1, 2), "one", now, call.TokenGood},
		"the last second":           {keys(1, 2), "one", expires, call.TokenGood},
		"expired":                   {keys(1, 2), "one", expires.Add(time.Second), call.TokenExpired},
		"other node":                {keys(1, 2), "two", now, call.TokenOtherNode},
		"other node, expired":       {keys(1, 2), "two", expires.Add(time.Hour), call.TokenOtherNode},
		"key rotated":               {keys(2, 3), "one", now, call.TokenGood},
		"key deleted":               {keys(3, 4), "one", now, call.TokenInvalid},
		"no keys":                   {keys(), "one", now, call.TokenInvalid},
		"nil keys":                  {nil, "one", now, call.TokenInvalid},
		"another carrier's secrets": {call.NewKeys([]call.Key{{ID: 2, Secret: secret(7)}}), "one", now, call.TokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			var got call.Session
			if state := test.keys.Open(token, test.node, test.now, &got); state != test.want {
				t.Fatalf("state %v, want %v", state, test.want)
			}
			if test.want != call.TokenInvalid && (got.CallID != "call-1" || got.Node != "one" || got.Value("tries") != "2") {
				t.Errorf("%+v", got)
			}
		})
	}
	if keys().Usable() || (*call.Keys)(nil).Usable() || call.NewKeys([]call.Key{{ID: 1, Secret: secret(1)[:31]}}).Usable() {
		t.Error("keys without a good secret are usable")
	}
}

// TestTokenTampered: no bit of a token can be changed, nothing be cut off or added, and it has one spelling only.
func TestTokenTampered(t *testing.T) {
	k := keys(1)
	c := call.Session{CallID: "call-1", Node: "one", Caller: "4930", Step: "ask"}
	token := k.Seal(nil, &c, expires)
	var got call.Session
	for i := range token {
		for bit := range 8 {
			changed := bytes.Clone(token)
			changed[i] ^= 1 << bit
			if state := k.Open(changed, "one", now, &got); state != call.TokenInvalid {
				t.Fatalf("byte %d, bit %d: state %v", i, bit, state)
			}
		}
		if state := k.Open(token[:i], "one", now, &got); state != call.TokenInvalid {
			t.Fatalf("%d bytes: state %v", i, state)
		}
	}
	for _, changed := range []string{string(token) + "A", string(token) + "=", string(token) + "\n", " " + string(token), string(token) + string(token),
		string(token[:9]) + "\n" + string(token[9:]), string(token) + "\r", strings.Repeat("A", call.MaxTokenLength), strings.Repeat("A", call.MaxTokenLength+1)} {
		if state := k.Open([]byte(changed), "one", now, &got); state != call.TokenInvalid {
			t.Errorf("%q: state %v", changed, state)
		}
	}
}

// sealRaw signs any payload, as only one who has the key can.
func sealRaw(payload []byte) []byte {
	message := append([]byte{1}, binary.AppendVarint(nil, 1)...)
	message = append(message, payload...)
	mac := hmac.New(sha256.New, secret(1))
	mac.Write(message)
	return base64.RawURLEncoding.AppendEncode(nil, mac.Sum(message))
}

// FuzzOpen opens tokens as they are, and any payload with a good signature, so that the decoder itself is reached. What opens seals to what opens
// to the same.
func FuzzOpen(f *testing.F) {
	k := keys(1)
	c := call.Session{CallID: "call-1", Node: "one", Variables: []call.Variable{{"a", "b"}}, Path: []byte("a:b"),
		Targets: []call.Target{{"office", "4930", 20}}, Legs: []call.Leg{{Trunk: "office", Number: "4930"}}, Records: []call.Record{{now, "k", "t"}}}
	token := k.Seal(nil, &c, expires)
	f.Add(token)
	raw, _ := base64.RawURLEncoding.DecodeString(string(token))
	f.Add(raw[2 : len(raw)-sha256.Size])
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got call.Session
		if state := k.Open(data, "one", now, &got); state == call.TokenGood && got.CallID == "" && got.Node != "one" {
			t.Errorf("%+v", got)
		}
		token := sealRaw(data)
		state := k.Open(token, "one", now, &got)
		if state == call.TokenInvalid || len(token) > call.MaxTokenLength*3/4 {
			return
		}
		again := k.Seal(nil, &got, expires)
		if len(again) > call.MaxTokenLength {
			return // a session beyond all limits, which only we could have signed
		}
		var second call.Session
		if state := k.Open(again, got.Node, now, &second); state != call.TokenGood {
			t.Fatalf("state %v of %+v", state, got)
		}
		if len(second.Path) == len(got.Path) && len(second.Legs) == len(got.Legs) && !reflect.DeepEqual(fmt.Sprintf("%+v", second), fmt.Sprintf("%+v", got)) {
			t.Errorf("got  %+v\nthen %+v", got, second)
		}
	})
}

func sample() *call.Session {
	return &call.Session{
		CallID: "node-7-1763888400.12345", Node: "node-7", Channel: "PJSIP/softswitch-00000abc", Trunk: "softswitch", Caller: "49301112222", Called: "498001234567",
		Dialled: "08001234567", StartedAt: now, Revision: 1234, Service: "acme_freephone", Subscriber: "acme", Script: "freephone", Step: "ring", Language: "en",
		Attempt: 1, Variables: []call.Variable{{"office", "4930200100@office"}}, Path: []byte("hours:true office:found"),
		Targets: []call.Target{{"office", "4930200100", 20}},
	}
}

// TestTokenAllocations: sealing is free of allocations, opening makes one for all the texts.
func TestTokenAllocations(t *testing.T) {
	k, c, dst := keys(1), sample(), make([]byte, 0, call.MaxTokenLength)
	if n := testing.AllocsPerRun(1000, func() { dst = k.Seal(dst[:0], c, expires) }); n > 0 {
		t.Errorf("Seal: %v allocations", n)
	}
	var got call.Session
	if n := testing.AllocsPerRun(1000, func() { k.Open(dst, "node-7", now, &got) }); n > 1 {
		t.Errorf("Open: %v allocations", n)
	}
}

func BenchmarkSeal(b *testing.B) {
	k, c, dst := keys(1), sample(), make([]byte, 0, call.MaxTokenLength)
	b.ReportAllocs()
	for b.Loop() {
		dst = k.Seal(dst[:0], c, expires)
	}
	b.ReportMetric(float64(len(dst)), "bytes")
}

func BenchmarkOpen(b *testing.B) {
	k := keys(1)
	token := k.Seal(nil, sample(), expires)
	var got call.Session
	b.ReportAllocs()
	for b.Loop() {
		if k.Open(token, "node-7", now, &got) != call.TokenGood {
			b.Fatal("not good")
		}
	}
}
