package contract_test

import (
	"strings"
	"testing"
	"time"

	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// text gives a string as a value; absent is the zero Value.
func text(t *testing.T, s string) wire.Value {
	t.Helper()
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s)
	return parameters(t, "<string>"+s+"</string>").At(0)
}

var absent = wire.Value{}

// Each grammar at its limits.
func TestGrammars(t *testing.T) {
	number := func(name string, v wire.Value) *wire.Fault { return contract.CheckNumber(name, v, false) }
	word := func(name string, v wire.Value) *wire.Fault { return contract.CheckWord(name, v, false) }
	for _, c := range []struct {
		what        string
		check       func(string, wire.Value) *wire.Fault
		good, wrong []string
	}{
		{"call id", contract.CheckCallID, []string{"a", "node-a-1700000000.42", "!~", strings.Repeat("x", 128)}, []string{"", " ", "a b", "a\tb", "ü", strings.Repeat("x", 129)}},
		{"word", word, []string{"", "office", strings.Repeat("x", 64)}, []string{" ", "a b", "ü", "a\x7f", strings.Repeat("x", 65)}},
		{"number", number, []string{"", "1", "+49301112222", "*21#", strings.Repeat("1", 32), "+" + strings.Repeat("1", 32)},
			[]string{"+", "++1", "1+", "A", "1 2", strings.Repeat("1", 33), "+" + strings.Repeat("1", 33)}},
		{"channel", contract.CheckChannel, []string{"", "PJSIP/softswitch-00000001", "a b ü", strings.Repeat("x", 128)}, []string{"a\tb", "a\nb", "\x7f", strings.Repeat("x", 129)}},
		{"digits", contract.CheckDigits, []string{"", "0123456789*#ABCD", strings.Repeat("1", 64)}, []string{"E", "a", "+1", " ", strings.Repeat("1", 65)}},
		{"dial status", contract.CheckDialStatus, []string{"", "ANSWER", strings.Repeat("x", 32)}, []string{"NO ANSWER", "ü", strings.Repeat("x", 33)}},
	} {
		for _, s := range c.good {
			refused(t, c.what+" "+s, c.check("m", text(t, s)))
		}
		for _, s := range c.wrong {
			refused(t, c.what+" "+s, c.check("m", text(t, s)), "member m: must be")
		}
	}
	refused(t, "no number", contract.CheckNumber("m", absent, false))
	refused(t, "no number where one is needed", contract.CheckNumber("m", absent, true), "member m: must be 1 to 32 digits")
	refused(t, "no word", contract.CheckWord("m", absent, false))
	refused(t, "no word where one is needed", contract.CheckWord("m", absent, true), "member m: must be 1 to 64 printable")
	// What the caller dialled may be a secret.
	if fault := contract.CheckDigits("m", text(t, "4711x")); strings.Contains(fault.Message, "4711") {
		t.Errorf("digits are repeated: %s", fault.Message)
	}
}

func TestInts(t *testing.T) {
	integer := func(n string) wire.Value { return parameters(t, "<int>"+n+"</int>").At(0) }
	for _, n := range []string{"0", "127"} {
		refused(t, n, contract.CheckInt("m", integer(n), contract.MaxCause))
	}
	for _, n := range []string{"-1", "128"} {
		refused(t, n, contract.CheckInt("m", integer(n), contract.MaxCause), "member m: must be 0 to 127, is "+n)
	}
	refused(t, "absent", contract.CheckInt("m", absent, 0))
}

func TestInstants(t *testing.T) {
	noon := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"<dateTime.iso8601>20260401T12:00:00</dateTime.iso8601>": noon,
		"<string>2026-04-01T12:00:00Z</string>":                  noon,
		"<string>2026-04-01T14:00:00.25+02:00</string>":          noon.Add(250 * time.Millisecond),
		"<string>1970-01-01T00:00:00Z</string>":                  time.Unix(0, 0).UTC(),
	} {
		got, fault := contract.Instant("m", parameters(t, s).At(0))
		if refused(t, s, fault); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	if got, fault := contract.Instant("m", absent); fault != nil || !got.IsZero() {
		t.Errorf("absent: %v, %v", got, fault)
	}
	for s, words := range map[string]string{
		"": "must be RFC 3339", "yesterday": "must be RFC 3339", "2026-04-01": "must be RFC 3339", "2026-02-30T00:00:00Z": "must be RFC 3339",
		"1969-12-31T23:59:59Z": "in the years 1970 to 2199", "2200-01-01T00:00:00Z": "in the years 1970 to 2199",
	} {
		_, fault := contract.Instant("m", text(t, s))
		refused(t, s, fault, "member m: ", words)
	}
}

func TestDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"<int>0</int>": 0, "<int>3</int>": 3 * time.Second, "<double>12.5</double>": 12500 * time.Millisecond,
		"<double>0.0004</double>": 0, "<double>0.0006</double>": time.Millisecond, "<int>31622400</int>": 366 * 24 * time.Hour,
	} {
		got, fault := contract.Duration("m", parameters(t, s).At(0))
		if refused(t, s, fault); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	if got, fault := contract.Duration("m", absent); fault != nil || got != 0 {
		t.Errorf("absent: %v, %v", got, fault)
	}
	for _, s := range []string{"<int>-1</int>", "<double>-0.001</double>", "<int>31622401</int>", "<double>1000000000.5</double>"} {
		_, fault := contract.Duration("m", parameters(t, s).At(0))
		refused(t, s, fault, "member m: must be 0 to 31622400 seconds")
	}
}

// What a client sent comes back in ASCII, and not more of it than fits a line.
func TestQuoted(t *testing.T) {
	for s, want := range map[string]string{
		"": `""`, "a\nü": `"a\n\u00fc"`, strings.Repeat("x", 48): `"` + strings.Repeat("x", 48) + `"`, strings.Repeat("x", 49): `"` + strings.Repeat("x", 48) + `"…`,
	} {
		if got := contract.Quoted([]byte(s)); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
