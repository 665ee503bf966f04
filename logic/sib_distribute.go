package logic

import (
	"fmt"

	"ringmaster/logic/call"
)

// distributeBlock picks a branch of a distribution and keeps its value.
type distributeBlock struct {
	distribution int // slot
	into         string
}

func compileDistribute(b *blockCompiler) block {
	d := &distributeBlock{distribution: b.object("distribution", "distribution"), into: b.into("target")}
	if len(b.step.exits) == 0 {
		b.refuse("no exit leads anywhere: wire %q in step_exit, or an exit named like each branch", "done")
	}
	return d
}

// check says what is wrong with the distribution of a service: a branch that leads nowhere.
func (d *distributeBlock) check(at *step, service *service) (reason string) {
	if _, ok := at.follow("done"); ok {
		return ""
	}
	from := service.slots[d.distribution].object.(*distribution)
	for i := range from.branches {
		if _, ok := at.follow(from.branches[i].name); ok && from.method != methodHierarchical {
			continue
		}
		return fmt.Sprintf("branch %q of distribution %q leads nowhere: step %q has neither an exit of that name nor the exit done", from.branches[i].name, from.name, at.name)
	}
	return ""
}

func (d *distributeBlock) run(w *walk) string {
	from := w.service.slots[d.distribution].object.(*distribution)
	var picked *branch
	switch from.method {
	case methodPercentage:
		picked = from.byWeight(w.call.Seed(from.name) % from.total)
	case methodHash:
		point := call.Hash(w.call.Caller, from.name)
		if w.call.Caller == "" {
			point = w.call.Seed(from.name) // callers without a number are not one caller
		}
		picked = from.byWeight(point % from.total)
	case methodCircular:
		if !w.answered {
			w.out.Ask = Ask{Kind: AskTurn, Name: from.name}
			return waiting
		}
		w.answered = false
		picked = &from.branches[w.turn%uint64(len(from.branches))]
	case methodHierarchical:
		// Every branch, in order: a connect tries one after the other.
		if w.tracing() {
			w.decide(Decision{Table: "distribution", Key: from.name, Reason: "all branches in order: " + from.all})
		}
		w.set(d.into, from.all)
		return "done"
	}
	if w.tracing() {
		w.tracePick(from, picked)
	}
	w.set(d.into, picked.value)
	if _, ok := w.step.follow(picked.name); ok {
		return picked.name
	}
	return "done"
}
