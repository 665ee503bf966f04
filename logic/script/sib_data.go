package script

import (
	"fmt"
	"regexp"

	"cel.dev/cel-go/cel"

	"ringmaster/logic/call"
	"ringmaster/logic/expression"
	"ringmaster/logic/table"
)

// translateBlock looks a key up in a translation table and keeps what it finds.
type translateBlock struct {
	table int // slot
	key   operand
	into  string
}

func compileTranslate(b *blockCompiler) block {
	return &translateBlock{
		table: b.object("table", "translation_table"),
		key:   b.template("key", b.text("key", "${called}")),
		into:  b.into("target"),
	}
}

func (t *translateBlock) run(w *Walk) string {
	from := w.service.Slots[t.table].Object.(*table.Translation)
	key := t.key.value(w)
	value, ok := from.Find(key)
	if w.Tracing() {
		row, reason, beaten := from.Explain(key)
		w.Decide(Decision{Table: "translation", Key: row, Reason: reason, Beaten: beaten})
	}
	if !ok {
		return "not_found"
	}
	w.set(t.into, value)
	return "found"
}

// screenBlock asks whether a value is in a list now.
type screenBlock struct {
	list  int // slot
	value operand
}

func compileScreen(b *blockCompiler) block {
	return &screenBlock{
		list:  b.object("list", "screening_list"),
		value: b.template("value", b.text("value", "${caller}")),
	}
}

func (s *screenBlock) run(w *Walk) string {
	list := w.service.Slots[s.list].Object.(*table.List)
	value := s.value.value(w)
	if w.Tracing() {
		row, reason := list.Explain(value, w.now)
		w.Decide(Decision{Table: "screening_entry", Key: row, Reason: reason})
	}
	if list.Has(value, w.now) {
		return "in"
	}
	return "out"
}

// compareBlock branches on a CEL condition. A condition that fails at run time counts as false.
type compareBlock struct {
	condition expression.Expression
}

func compileCompare(b *blockCompiler) block {
	return &compareBlock{b.expression("condition", cel.BoolType)}
}

func (c *compareBlock) run(w *Walk) string {
	value, err := c.condition.Evaluate(w)
	holds := err == nil && value.Value() == true
	w.failed(err)
	if w.Tracing() {
		w.traceExpression(&c.condition, value, err)
	}
	if holds {
		return "true"
	}
	return "false"
}

// algorithmBlock sets a variable to what a CEL expression gives. One that fails at run time leaves the variable as it is.
type algorithmBlock struct {
	expression expression.Expression
	into       string
}

func compileAlgorithm(b *blockCompiler) block {
	into := b.into("")
	if into == "" {
		b.refuse("parameter %q is missing", "into")
	}
	name := b.text("type", "string")
	kind, ok := variableTypes[name]
	if !ok {
		b.refuse("type %q is unknown: string, integer or boolean", name)
		kind = cel.StringType
	}
	return &algorithmBlock{b.expression("expression", kind), into}
}

func (a *algorithmBlock) run(w *Walk) string {
	value, err := a.expression.Evaluate(w)
	w.failed(err)
	if w.Tracing() {
		w.traceExpression(&a.expression, value, err)
	}
	if err == nil {
		w.set(a.into, textOf(value))
	}
	return "done"
}

// verifyBlock checks the form of what a caller dialled; secretBlock looks a secret up.
type verifyBlock struct {
	value            operand
	pattern          *regexp.Regexp // nil: any
	minimum, maximum integerOperand
	luhn             bool
}

func compileVerify(b *blockCompiler) block {
	if _, secret := b.parameters["pin"]; secret {
		return compileSecret(b)
	}
	for _, exit := range []string{"locked", "unavailable"} {
		if _, wired := b.step.follow(exit); wired {
			b.refuse("exit %q is never taken: only a step that verifies a pin has it", exit)
		}
	}
	v := &verifyBlock{
		value:   b.template("value", b.required("value")),
		minimum: b.integer("minimum", 1, 0, call.MaxValueLength),
		maximum: b.integer("maximum", call.MaxValueLength, 1, call.MaxValueLength),
		luhn:    b.boolean("luhn", false),
	}
	if pattern := b.text("pattern", ""); pattern != "" {
		// By itself first: a pattern with a bracket too many might fit into the outer one, and no longer match as a whole.
		if _, err := regexp.Compile(pattern); err != nil {
			b.refuse("parameter %q: %s", "pattern", err)
			return v
		}
		v.pattern = regexp.MustCompile(`^(?:` + pattern + `)$`)
	}
	return v
}

func (v *verifyBlock) run(w *Walk) string {
	value := v.value.value(w)
	reason := ""
	switch {
	case len(value) < v.minimum.value(w):
		reason = fmt.Sprintf("it has %d characters, fewer than %d", len(value), v.minimum.value(w))
	case len(value) > v.maximum.value(w):
		reason = fmt.Sprintf("it has %d characters, more than %d", len(value), v.maximum.value(w))
	case v.pattern != nil && !v.pattern.MatchString(value):
		reason = "it does not match the pattern"
	case v.luhn && !luhn(value):
		reason = "its check digit is wrong"
	}
	if w.Tracing() {
		w.traceVerify(reason)
	}
	if reason != "" {
		return "wrong"
	}
	return "ok"
}

// luhn checks the check digit of ISO/IEC 7812-1 annex B, as card numbers have.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		digit := int(digits[len(digits)-1-i] - '0')
		if digit < 0 || digit > 9 {
			return false
		}
		if i%2 == 1 {
			digit *= 2
			if digit > 9 {
				digit -= 9
			}
		}
		sum += digit
	}
	return sum%10 == 0 && digits != ""
}

// logBlock writes a record that is stored with the call's CDR.
type logBlock struct {
	kind string
	text operand
}

func compileLog(b *blockCompiler) block {
	kind := b.required("kind")
	if kind != "" && !call.ValidName(kind, false) {
		b.refuse("kind %q is not a name: 1–%d of a–z, A–Z, 0–9, - and _", kind, call.MaxNameLength)
	}
	return &logBlock{kind: kind, text: b.template("text", b.text("text", ""))}
}

func (l *logBlock) run(w *Walk) string {
	text := l.text.value(w)
	kept := w.call.AddRecord(call.Record{At: w.now.UTC(), Kind: l.kind, Text: text})
	if w.Tracing() {
		if kept {
			w.Decide(Decision{Reason: fmt.Sprintf("records %s: %s", l.kind, text)})
		} else {
			w.Decide(Decision{Reason: fmt.Sprintf("records nothing: a call carries at most %d records", call.MaxRecords)})
		}
	}
	return "done"
}
