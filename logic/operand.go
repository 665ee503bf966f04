package logic

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

func (o *operand) value(w *walk) string {
	if len(o.parts) == 1 {
		return o.parts[0].value(w)
	}
	var joined strings.Builder
	for i := range o.parts {
		joined.WriteString(o.parts[i].value(w))
	}
	return joined.String()
}

func (p *part) value(w *walk) string {
	switch p.kind {
	case partSlot:
		return w.service.slots[p.slot].text
	case partCall:
		return w.callText(p.text)
	case partVariable:
		return w.call.variable(p.text)
	}
	return p.text
}

// integerOperand is a number given in the step, or by the service.
type integerOperand struct {
	constant    int
	slot        int // -1: constant
	least, most int
}

func (o *integerOperand) value(w *walk) int {
	if o.slot < 0 {
		return o.constant
	}
	number, _ := w.service.slots[o.slot].object.(int64)
	return min(max(int(number), o.least), o.most)
}

// isZero reports whether the operand is 0 for every service.
func (o *integerOperand) isZero() bool { return o.slot < 0 && o.constant == 0 }

// isCallVariable reports whether every call has the variable name.
func isCallVariable(name string) bool {
	switch name {
	case "call_id", "node", "channel", "caller", "called", "dialled", "presentation", "trunk", "origin", "language", "service",
		"attempt", "cause", "now":
		return true
	}
	return false
}

func (c *Session) variable(name string) string {
	for i := range c.Variables {
		if c.Variables[i].Name == name {
			return c.Variables[i].Value
		}
	}
	return ""
}

// set gives a variable its value. What is too long for a session is left out: the variable is then empty.
func (c *Session) set(name, value string) {
	bytes := len(name) + len(value)
	index := -1
	for i := range c.Variables {
		if c.Variables[i].Name == name {
			index = i
			continue
		}
		bytes += len(c.Variables[i].Name) + len(c.Variables[i].Value)
	}
	if len(value) > MaxValueLength || bytes > MaxVariableBytes {
		value = ""
	}
	switch {
	case index >= 0:
		c.Variables[index].Value = value
	case len(c.Variables) < MaxVariables:
		c.Variables = append(c.Variables, Variable{name, value})
	}
}
