package logic

import "strings"

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

func (d *distributeBlock) run(w *walk) string {
	from := w.service.slots[d.distribution].object.(*distribution)
	var picked *branch
	switch from.method {
	case methodPercentage:
		picked = from.byWeight(w.call.seed(from.name) % from.total)
	case methodHash:
		picked = from.byWeight(mix(fnv1a(fnvOffset, w.call.Caller)) % from.total)
	case methodCircular:
		if !w.answered {
			w.out.Ask = Ask{Kind: AskTurn, Name: from.name}
			return waiting
		}
		w.answered = false
		picked = &from.branches[w.turn%uint64(len(from.branches))]
	case methodHierarchical:
		return d.all(w, from)
	}
	if w.tracing() {
		w.tracePick(from, picked)
	}
	w.call.set(d.into, picked.value)
	if _, ok := w.step.follow(picked.name); ok {
		return picked.name
	}
	return "done"
}

// all keeps every branch's value, in order: a connect tries one after the other.
func (d *distributeBlock) all(w *walk, from *distribution) string {
	values := make([]string, 0, MaxTargets)
	for i := range from.branches {
		if len(values) == MaxTargets {
			break
		}
		values = append(values, from.branches[i].value)
	}
	if w.tracing() {
		w.decide(Decision{Table: "distribution", Key: from.name, Reason: "all branches in order: " + strings.Join(values, ", ")})
	}
	w.call.set(d.into, strings.Join(values, ","))
	return "done"
}
