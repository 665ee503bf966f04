package script

import (
	"fmt"
	"strings"

	"ringmaster/logic/call"
	"ringmaster/logic/say"
)

// interactBlock plays prompts to the caller, and collects digits when maximum is not 0.
type interactBlock struct {
	prompts                    []promptOperand
	answer                     bool
	minimum, maximum           integerOperand
	terminator                 string
	firstTimeout, digitTimeout integerOperand
	into                       string
	say                        operand // an amount, said after the prompts
	e164                       bool    // the digits are a number: made E.164 by the plan of the call's trunk
}

// promptOperand is a prompt named by a parameter of type prompt.
type promptOperand struct{ slot int }

func compileInteract(b *blockCompiler) block {
	i := &interactBlock{
		answer:       b.boolean("answer", true),
		minimum:      b.integer("minimum", 1, 0, call.MaxNumberLength),
		maximum:      b.integer("maximum", 0, 0, call.MaxNumberLength),
		terminator:   b.text("terminator", "#"),
		firstTimeout: b.integer("first_timeout", 5, 1, 60),
		digitTimeout: b.integer("digit_timeout", 3, 1, 60),
	}
	if text := b.text("say", ""); text != "" {
		i.say = b.template("say", text)
	}
	i.e164 = b.boolean("e164", false)
	collects := !i.maximum.isZero()
	if collects {
		i.into = b.into("digits")
	}
	if slot := i.maximum.slot; slot >= 0 {
		// Whether a step collects is the script's affair: a service may say how many digits, but not none.
		i.maximum.least = 1
		b.script.Parameters[slot].Least = max(b.script.Parameters[slot].Least, 1)
	}
	for _, prompt := range b.texts("prompts") {
		inner, ok := placeholder(prompt)
		slot := b.script.Parameter(inner)
		if !ok || slot < 0 || b.script.Parameters[slot].Kind != "prompt" {
			b.refuse("prompts: %q is not ${a prompt parameter of the script}", prompt)
			continue
		}
		i.prompts = append(i.prompts, promptOperand{slot})
	}
	if len(i.terminator) > 1 || strings.Trim(i.terminator, "0123456789*#") != "" {
		b.refuse("terminator %q is not one key of 0–9, * and #", i.terminator)
	}
	if !collects && len(i.prompts) == 0 {
		b.refuse("it plays nothing and collects nothing: give prompts, or maximum digits")
	}
	if collects && i.maximum.slot < 0 && i.minimum.slot < 0 && i.minimum.constant > i.maximum.constant {
		b.refuse("minimum %d is more than maximum %d", i.minimum.constant, i.maximum.constant)
	}
	wanted := []string{"done"}
	if collects {
		wanted = []string{"digits", "timeout"}
	}
	for _, exit := range wanted {
		if _, ok := b.step.follow(exit); !ok {
			b.refuse("exit %q leads nowhere: insert it into step_exit", exit)
		}
	}
	for _, exit := range b.step.exits {
		switch {
		case exit.name == "done" || exit.name == "digits" || exit.name == "timeout":
			if exit.name == "done" == collects {
				b.refuse("exit %q is never taken: a step that %s", exit.name, map[bool]string{true: "collects leaves by digits or timeout", false: "only plays leaves by done"}[collects])
			}
		case strings.Trim(exit.name, "0123456789*#") != "" || !collects:
			b.refuse("interact has no exit %q; it has: done, digits, timeout, or the digits of a menu", exit.name)
		}
	}
	return i
}

func (i *interactBlock) run(w *Walk) string {
	if i.answer && !w.call.Answered {
		w.call.Answered = true
		w.out.Instructions = append(w.out.Instructions, call.Instruction{Op: call.OpAnswer})
	}
	prompts := make([]string, len(i.prompts))
	for n, prompt := range i.prompts {
		prompts[n], _ = w.service.Slots[prompt.slot].Object.(string)
	}
	if len(i.say.parts) > 0 {
		prompts = append(prompts, say.Amount(i.say.value(w))...)
	}
	maximum := i.maximum.value(w)
	if maximum == 0 {
		if w.Tracing() {
			w.Decide(Decision{Table: "prompt", Key: strings.Join(prompts, ", "), Reason: "plays it"})
		}
		w.out.Instructions = append(w.out.Instructions, call.Instruction{Op: call.OpPlay, Prompts: prompts, Language: w.call.Language})
		return "done"
	}
	minimum := min(i.minimum.value(w), maximum)
	if w.Tracing() {
		w.Decide(Decision{Table: "prompt", Key: strings.Join(prompts, ", "), Reason: fmt.Sprintf("asks for %d–%d digits", minimum, maximum)})
	}
	w.out.Instructions = append(w.out.Instructions, call.Instruction{
		Op: call.OpCollect, Prompts: prompts, Language: w.call.Language,
		Minimum: minimum, Maximum: maximum, Terminator: i.terminator,
		FirstTimeout: i.firstTimeout.value(w), DigitTimeout: i.digitTimeout.value(w),
	})
	return waiting
}

// resume takes the digits that the caller dialled. What no node can have collected counts as nothing dialled.
func (i *interactBlock) resume(w *Walk, results []call.Result) string {
	for n := len(results) - 1; n >= 0; n-- {
		result := &results[n]
		if result.Op != call.OpCollect {
			continue
		}
		maximum := i.maximum.value(w)
		if result.Status != call.StatusDigits || len(result.Digits) > maximum || len(result.Digits) < min(i.minimum.value(w), maximum) {
			break
		}
		if w.Tracing() {
			w.Decide(Decision{Reason: fmt.Sprintf("the caller dialled %d digits", len(result.Digits))})
		}
		digits := result.Digits
		if i.e164 {
			digits = w.config.Normalise(w.call.Trunk, digits)
		}
		w.set(i.into, digits)
		if _, ok := w.step.follow(result.Digits); ok {
			return result.Digits
		}
		return "digits"
	}
	if w.Tracing() {
		w.Decide(Decision{Reason: "the caller dialled too little in time"})
	}
	return "timeout"
}
