package script

import (
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"ringmaster/logic/call"
)

// Script is named steps with named exits, compiled once for all services that use it. What differs between services is
// reached through their slots.
type Script struct {
	Name       string
	Parameters []Parameter
	Broken     bool // a newer version has a problem; this is the last good one

	first     int
	steps     []step
	byName    map[string]int
	variables map[string]*cel.Type // what the steps assign
}

// Parameter is what a service says of itself to a script.
type Parameter struct {
	Name        string
	Kind        string  // one of parameterTypes
	Default     *string // nil: a service must say it
	Least, Most int64   // of an integer: what every step that uses it can take
}

// Parameter returns the index of a parameter, or -1.
func (s *Script) Parameter(name string) int {
	return slices.IndexFunc(s.Parameters, func(p Parameter) bool { return p.Name == name })
}

// ParameterNames lists the parameters for messages.
func (s *Script) ParameterNames() string {
	names := make([]string, len(s.Parameters))
	for i, parameter := range s.Parameters {
		names[i] = parameter.Name
	}
	return strings.Join(names, ", ")
}

// Steps is how many steps the script has.
func (s *Script) Steps() int { return len(s.steps) }

// step is a SIB with its place in the script.
type step struct {
	name  string
	sib   string
	block block
	exits []stepExit
}

type stepExit struct {
	name string
	next int
}

// follow returns the step behind an exit.
func (s *step) follow(exit string) (next int, ok bool) {
	for i := range s.exits {
		if s.exits[i].name == exit {
			return s.exits[i].next, true
		}
	}
	return 0, false
}

// block is a SIB compiled with its parameters. run returns the exit to leave by, or one of waiting and finished.
type block interface {
	run(w *Walk) (exit string)
}

// reporter is a block whose instructions end a reply: the node reports, and it goes on from there.
type reporter interface {
	block
	resume(w *Walk, results []call.Result) (exit string)
}

// What a block returns instead of an exit. No exit can be called so.
const (
	waiting  = "\x00waiting"  // the reply is complete, or something was asked
	finished = "\x00finished" // the engine is done with the call
)

// sib is what a kind of building block is made by.
type sib struct {
	exits    []string // every exit it may leave by
	required []string // those that must lead somewhere
	branches bool     // exits of other names are allowed too
	waits    bool     // the call waits for a report there: a loop through it is no endless loop
	into     string   // the variable that it sets unless told otherwise
	compile  func(b *blockCompiler) block
}

// sibs are the building blocks of scripts (ITU-T Q.1213).
var sibs = map[string]sib{
	"translate":  {exits: []string{"found", "not_found"}, required: []string{"found", "not_found"}, into: "target", compile: compileTranslate},
	"screen":     {exits: []string{"in", "out"}, required: []string{"in", "out"}, compile: compileScreen},
	"compare":    {exits: []string{"true", "false"}, required: []string{"true", "false"}, compile: compileCompare},
	"algorithm":  {exits: []string{"done"}, required: []string{"done"}, compile: compileAlgorithm},
	"distribute": {exits: []string{"done"}, branches: true, into: "target", compile: compileDistribute},
	"interact":   {exits: []string{"done", "digits", "timeout"}, branches: true, waits: true, into: "digits", compile: compileInteract},
	"verify":     {exits: []string{"ok", "wrong", "locked", "unavailable"}, required: []string{"ok", "wrong"}, compile: compileVerify},
	"charge":     {exits: []string{"granted", "refused", "unavailable"}, required: []string{"granted", "refused"}, compile: compileCharge},
	"limit":      {exits: []string{"admitted", "refused"}, required: []string{"admitted", "refused"}, compile: compileLimit},
	"log":        {exits: []string{"done"}, required: []string{"done"}, compile: compileLog},
	"bcp":        {exits: []string{"answer", "busy", "no_answer", "unreachable"}, waits: true, compile: compileBasicCall},
}

// sibNames lists the building blocks for messages.
func sibNames() string { return strings.Join(slices.Sorted(maps.Keys(sibs)), ", ") }
