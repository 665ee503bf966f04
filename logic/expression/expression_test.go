package expression

import (
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
)

// What may be dear is stopped when it is, also where only the length of a text decides; what cannot be dear runs uncounted.
func TestCostLimit(t *testing.T) {
	environment, err := Environment(map[string]*cel.Type{"text": cel.StringType, "n": cel.IntType})
	if err != nil {
		t.Fatal(err)
	}
	list := "[" + strings.Repeat("n,", 19) + "n]"
	for _, x := range []struct {
		condition string
		length    int // of text
		stopped   bool
	}{
		{"n + 1 > 0 && n < 5", 0, false},
		{list + ".all(x, x == n)", 0, false},
		{list + ".all(x, " + list + ".all(y, " + list + ".all(z, x + y == z + n)))", 0, true},
		{"text.contains('needle in a haystack')", 100, false},
		{"text.contains('needle in a haystack')", 1_000_000, true},
		{"(text + text + text).size() > 1000", 1_000_000, true},
	} {
		e, err := Compile(environment, x.condition, cel.BoolType)
		if err != nil {
			t.Fatal(err)
		}
		names, err := cel.NewActivation(map[string]any{"text": strings.Repeat("x", x.length), "n": 0})
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Evaluate(names)
		if stopped := err != nil && strings.Contains(err.Error(), "cost"); stopped != x.stopped {
			t.Errorf("%.40s with %d characters: %v, stopped should be %v", x.condition, x.length, err, x.stopped)
		}
	}
}

type asker struct{ open, holiday bool }

func (a asker) AskCalendar(any) (open, holiday bool) { return a.open, a.holiday }

// A question to a calendar is answered without the interpreter when it stands alone, and by it otherwise: alike.
func TestCalendarQuestions(t *testing.T) {
	environment, err := Environment(map[string]*cel.Type{"hours": CalendarType})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []asker{{false, false}, {true, false}, {false, true}, {true, true}} {
		names, err := cel.NewActivation(map[string]any{"hours": &Calendar{Asker: a}})
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]bool{
			"open(hours)": a.open, "holiday(hours)": a.holiday, "!open(hours)": !a.open, "!holiday(hours)": !a.holiday,
			"open(hours) && holiday(hours)": a.open && a.holiday,
		} {
			e, err := Compile(environment, text, cel.BoolType)
			if err != nil {
				t.Fatal(err)
			}
			if alone := text[len(text)-7:] == "(hours)" && text[0] != '!' && len(text) < 16; alone != (e.calendar == "hours") {
				t.Errorf("%s: asks calendar %q by itself", text, e.calendar)
			}
			if got, err := e.Evaluate(names); err != nil || got.Value() != want {
				t.Errorf("%s of %+v: %v, %v", text, a, got, err)
			}
		}
	}
	e, err := Compile(environment, "open(hours)", cel.BoolType)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Evaluate(cel.NoVars()); err == nil {
		t.Error("a calendar that is not there was asked")
	}
}
