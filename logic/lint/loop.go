package lint

import (
	"encoding/json"
	"slices"
	"strings"

	"ringmaster/logic/call"
	"ringmaster/logic/rows"
)

// graph says what leads to what: a service to the tables and distributions that it is made of, and each of these to the services whose
// numbers stand in it. So it has no more edges than there are rows, however many services share a table.
type graph struct {
	names []string // of nodes: service x, translation_table y, distribution z
	edges [][]edge
}

type edge struct {
	to   int
	via  string // the row
	soft bool   // the number belongs to a range, which may be there to carry calls on
}

func (g *graph) node(name string) int {
	g.names = append(g.names, name)
	g.edges = append(g.edges, nil)
	return len(g.names) - 1
}

// loops finds services that lead to each other's numbers, directly or by way of others. Each such call is a new one to the engine,
// so no budget of one call ends them.
func (l *linter) loops() {
	g := new(graph)
	services := make(map[string]int, len(l.rows.Services))
	for i := range l.rows.Services {
		services[l.rows.Services[i].Service] = g.node("service " + l.rows.Services[i].Service)
	}
	isService := len(g.names)
	find := l.numberFinder(services)
	link := func(from int, targets, via string) {
		for one := range strings.SplitSeq(targets, ",") {
			target, ok := call.ParseTarget(one)
			if !ok {
				continue
			}
			if to, soft, ok := find(target); ok {
				g.edges[from] = append(g.edges[from], edge{to, via + " (" + one + ")", soft})
			}
		}
	}
	objects := map[string]map[string]int{"translation_table": {}, "distribution": {}}
	for _, row := range l.rows.TranslationTables {
		if l.used["translation_table"][row.TranslationTable] {
			objects["translation_table"][row.TranslationTable] = g.node("translation_table " + row.TranslationTable)
		}
	}
	for _, row := range l.rows.Distributions {
		if l.used["distribution"][row.Distribution] {
			objects["distribution"][row.Distribution] = g.node("distribution " + row.Distribution)
		}
	}
	for i := range l.rows.Translations {
		row := &l.rows.Translations[i]
		if from, ok := objects["translation_table"][row.TranslationTable]; ok && (row.Trunk != "" || strings.Contains(row.Value, "@")) {
			link(from, targetText(row.Value, row.Trunk), "translation "+row.TranslationTable+"."+row.Key)
		}
	}
	for _, row := range l.rows.Branches {
		if from, ok := objects["distribution"][row.Distribution]; ok {
			link(from, targetText(row.Value, row.Trunk), "distribution_branch "+row.Distribution+"."+row.Branch)
		}
	}
	literal := l.stepTargets()
	for i := range l.rows.Services {
		row := &l.rows.Services[i]
		if !row.Active {
			continue // its calls end
		}
		from := services[row.Service]
		var replace []string
		l.eachParameter(row, func(parameter *rows.ScriptParameterRow, value string) {
			if to, ok := objects[parameter.Type][value]; ok {
				g.edges[from] = append(g.edges[from], edge{to: to, via: "parameter " + parameter.Parameter})
			}
			if parameter.Type == "target" {
				link(from, value, "service_parameter "+row.Service+"."+parameter.Parameter)
			}
			replace = append(replace, "${"+parameter.Parameter+"}", value)
		})
		for _, step := range literal[row.Script] {
			if text := strings.NewReplacer(replace...).Replace(step.target); !strings.Contains(text, "${") {
				link(from, text, "step "+row.Script+"."+step.name)
			}
		}
	}
	for _, members := range g.circles() {
		first := slices.Min(members)
		if first >= isService {
			continue // a circle always passes a service; this one is of no use to anybody
		}
		names, soft := g.way(first, members)
		severity := Warning
		if soft {
			severity = Note
		}
		l.tell(severity, "forwarding_loop", "service", strings.TrimPrefix(g.names[first], "service "), "send one of them to a number that is no service's",
			"calls may go in circles, if the trunk brings them back: %s", names)
	}
}

// numberFinder returns what finds the service that a target's number would come back to. The range of all numbers does not count.
func (l *linter) numberFinder(services map[string]int) func(call.Target) (service int, soft, ok bool) {
	numbers, ranges := make(map[string]int, len(l.rows.ServiceNumbers)), make(map[string]int)
	longest := 0
	for i := range l.rows.ServiceNumbers {
		row := &l.rows.ServiceNumbers[i]
		service, ok := services[row.Service]
		switch {
		case !ok:
		case row.Match == exact:
			numbers[row.Number] = service
		case row.Number != "":
			ranges[row.Number] = service
			longest = max(longest, len(row.Number))
		}
	}
	return func(target call.Target) (int, bool, bool) {
		number := strings.TrimPrefix(target.Number, "+")
		if l.normalise != nil {
			number = l.normalise(target.Trunk, target.Number)
		}
		if service, ok := numbers[number]; ok {
			return service, false, true
		}
		for length := min(len(number), longest); length > 0; length-- {
			if service, ok := ranges[number[:length]]; ok {
				return service, true, true
			}
		}
		return 0, false, false
	}
}

// stepTarget is a target that stands in a step and not in a parameter alone.
type stepTarget struct{ name, target string }

func (l *linter) stepTargets() map[string][]stepTarget {
	found := make(map[string][]stepTarget)
	for i := range l.rows.Steps {
		row := &l.rows.Steps[i]
		var parameters struct{ Target string }
		if row.SIB == "bcp" && json.Unmarshal(row.Parameters, &parameters) == nil && strings.Contains(parameters.Target, "@") {
			found[row.Script] = append(found[row.Script], stepTarget{row.Step, parameters.Target})
		}
	}
	return found
}

// circles returns the sets of nodes that lead to each other, and nodes that lead to themselves (R. E. Tarjan, "Depth-first search and linear graph
// algorithms", 1972). It does not recurse: a chain of services may be long.
func (g *graph) circles() [][]int {
	var found [][]int
	index := make([]int, len(g.names)) // 0: not seen
	low := make([]int, len(g.names))
	onStack := make([]bool, len(g.names))
	var stack []int
	type frame struct{ node, edge int }
	var frames []frame
	next := 1
	enter := func(node int) {
		index[node], low[node] = next, next
		next++
		stack = append(stack, node)
		onStack[node] = true
		frames = append(frames, frame{node, 0})
	}
	for start := range g.names {
		if index[start] != 0 {
			continue
		}
		enter(start)
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			if f.edge < len(g.edges[f.node]) {
				to := g.edges[f.node][f.edge].to
				f.edge++
				if index[to] == 0 {
					enter(to)
				} else if onStack[to] {
					low[f.node] = min(low[f.node], index[to])
				}
				continue
			}
			node := f.node
			frames = frames[:len(frames)-1]
			if len(frames) > 0 {
				above := frames[len(frames)-1].node
				low[above] = min(low[above], low[node])
			}
			if low[node] != index[node] {
				continue
			}
			at := len(stack) - 1
			for stack[at] != node { // its circle is on top
				at--
			}
			members := slices.Clone(stack[at:])
			stack = stack[:at]
			for _, member := range members {
				onStack[member] = false
			}
			if len(members) > 1 || slices.ContainsFunc(g.edges[node], func(e edge) bool { return e.to == node }) {
				found = append(found, members)
			}
		}
	}
	return found
}

// way is the shortest way from a node back to itself within a circle, in words, and whether any step of it is soft.
func (g *graph) way(first int, members []int) (text string, soft bool) {
	inside := make(map[int]bool, len(members))
	for _, member := range members {
		inside[member] = true
	}
	type step struct {
		from int
		by   edge
	}
	came := make(map[int]step)
	queue := []int{first}
	for len(queue) > 0 {
		node := queue[0]
		queue = queue[1:]
		for _, e := range g.edges[node] {
			if _, seen := came[e.to]; seen || !inside[e.to] {
				continue
			}
			came[e.to] = step{node, e}
			queue = append(queue, e.to)
		}
		if _, back := came[first]; back {
			break
		}
	}
	var words []string
	for node := first; ; {
		s := came[node]
		soft = soft || s.by.soft
		words = append(words, g.names[node], s.by.via)
		if node = s.from; node == first {
			break
		}
	}
	words = append(words, g.names[first])
	slices.Reverse(words)
	const most = 13 // words of a way that is still readable
	if len(words) > most {
		words = append(append(words[:most-2:most-2], "…"), words[len(words)-2:]...)
	}
	return strings.Join(words, " → "), soft
}
