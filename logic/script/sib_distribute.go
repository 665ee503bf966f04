package script

import (
	"fmt"

	"ringmaster/logic/call"
	"ringmaster/logic/table"
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
func (d *distributeBlock) check(at *step, service *Service) (reason string) {
	if _, ok := at.follow("done"); ok {
		return ""
	}
	from := service.Slots[d.distribution].Object.(*table.Distribution)
	for i := range from.Branches {
		if _, ok := at.follow(from.Branches[i].Name); ok && from.Method != table.Hierarchical {
			continue
		}
		return fmt.Sprintf("branch %q of distribution %q leads nowhere: step %q has neither an exit of that name nor the exit done", from.Branches[i].Name, from.Name, at.name)
	}
	return ""
}

func (d *distributeBlock) run(w *Walk) string {
	from := w.service.Slots[d.distribution].Object.(*table.Distribution)
	var picked *table.Branch
	switch from.Method {
	case table.Percentage:
		picked = from.ByWeight(w.call.Seed(from.Name) % from.Total)
	case table.Hash:
		point := call.Hash(w.call.Caller, from.Name)
		if w.call.Caller == "" {
			point = w.call.Seed(from.Name) // callers without a number are not one caller
		}
		picked = from.ByWeight(point % from.Total)
	case table.Circular:
		if !w.answered {
			w.out.Ask = Ask{Kind: AskTurn, Name: from.Name}
			return waiting
		}
		w.answered = false
		picked = &from.Branches[w.turn%uint64(len(from.Branches))]
	case table.Hierarchical:
		// Every branch, in order: a connect tries one after the other.
		if w.Tracing() {
			w.Decide(Decision{Table: "distribution", Key: from.Name, Reason: "all branches in order: " + from.All})
		}
		w.set(d.into, from.All)
		return "done"
	}
	if w.Tracing() {
		w.tracePick(from, picked)
	}
	w.set(d.into, picked.Value)
	if _, ok := w.step.follow(picked.Name); ok {
		return picked.Name
	}
	return "done"
}
