package script

import "strings"

// operand is a text that is put together at run time. Nearly always it has one part, and costs nothing.
type operand struct {
	parts []part
}

type part struct {
	kind uint8
	text string // the literal, or the name
	slot int
}

const (
	partLiteral  = iota
	partSlot     // a parameter of the service
	partCall     // a variable that every call has
	partVariable // a variable that a step set
)

func (o *operand) value(w *Walk) string {
	if len(o.parts) == 1 {
		return o.parts[0].value(w)
	}
	var joined strings.Builder
	for i := range o.parts {
		joined.WriteString(o.parts[i].value(w))
	}
	return joined.String()
}

func (p *part) value(w *Walk) string {
	switch p.kind {
	case partSlot:
		return w.service.Slots[p.slot].Text
	case partCall:
		return w.callText(p.text)
	case partVariable:
		return w.call.Value(p.text)
	}
	return p.text
}

// integerOperand is a number given in the step, or by the service.
type integerOperand struct {
	constant    int
	slot        int // -1: constant
	least, most int
}

func (o *integerOperand) value(w *Walk) int {
	if o.slot < 0 {
		return o.constant
	}
	number, _ := w.service.Slots[o.slot].Object.(int64)
	return min(max(int(number), o.least), o.most)
}

// isZero reports whether the operand is 0 for every service.
func (o *integerOperand) isZero() bool { return o.slot < 0 && o.constant == 0 }
