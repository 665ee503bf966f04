// Package replay walks recorded calls through two configurations and says which of them would go elsewhere, or cost otherwise.
//
// A call is stepped by the code that decides calls, with the caller, number, trunk, time and id of its CDR. What its legs came to is taken
// from the CDR as long as the same targets are tried; where a target was not tried then, nobody knows what would become of the call, and the walk
// ends there. It is pure: CDRs come in, a report goes out.
package replay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/logic/transcript"
)

// Side is a configuration to replay calls on.
type Side struct {
	Snapshot *logic.Snapshot
	At       time.Time // when every call begins; zero: when it did
}

// Route is the way of a call as far as it is known.
type Route struct {
	Service      string           `json:"service"`
	Targets      []string         `json:"targets"`           // number@trunk, those of all connects in order
	Instructions []string         `json:"instructions"`      // what the node is told
	Outcome      string           `json:"outcome,omitempty"` // as in a CDR; empty: not known
	Cost         []string         `json:"cost,omitempty"`    // by charge: what it would cost, and by which tariff
	Unknown      string           `json:"unknown,omitempty"` // why it is not known how the call goes on
	Decisions    []logic.Decision `json:"decisions,omitempty"`
}

// maxQueries bounds the queries of one call, as its redirects and interactions do in life.
const maxQueries = 64

// maxTurns is how many turns of a circular distribution are tried to find the one that the call got.
const maxTurns = 64

// Walk follows a recorded call on one side; with trace, the decisions are noted.
func (s Side) Walk(cdr *logic.CDR, trace bool) Route {
	w := walk{cdr: cdr, snapshot: s.Snapshot, now: s.At, used: make([]bool, len(cdr.Legs)), visits: make(map[string]int)}
	if w.now.IsZero() {
		w.now = cdr.StartedAt
	}
	if trace {
		w.outcome.Trace = new(logic.Trace)
	}
	w.call = logic.Session{CallID: cdr.CallID, Node: cdr.Node, Channel: cdr.Channel, Trunk: cdr.Trunk, Called: cdr.Dialled,
		Presentation: cdr.Presentation, StartedAt: w.now.UTC()}
	if w.call.Called == "" {
		w.call.Called = cdr.Called
	}
	if cdr.Caller != "" {
		w.call.Caller = "+" + strings.TrimPrefix(cdr.Caller, "+") // the CDR's is E.164 already
	}
	w.run()
	w.route.Service = w.call.Service
	if trace {
		w.route.Decisions = w.outcome.Trace.Decisions
	}
	return w.route
}

type walk struct {
	cdr      *logic.CDR
	snapshot *logic.Snapshot
	now      time.Time
	call     logic.Session
	outcome  logic.Outcome
	used     []bool           // legs of the CDR that were met on the way
	visits   map[string]int   // by step that collects
	charges  []charging.Blind // what the call is charged by, as far as it came
	route    Route
}

func (w *walk) run() {
	event := logic.Event{Kind: logic.EventStart}
	for range maxQueries {
		if !w.step(event) {
			return
		}
		for i := range w.outcome.Instructions {
			instruction := &w.outcome.Instructions[i]
			w.route.Instructions = append(w.route.Instructions, transcript.FormatInstruction(instruction))
			for _, target := range instruction.Targets {
				w.route.Targets = append(w.route.Targets, target.Number+"@"+target.Trunk)
			}
		}
		if w.call.Step == "" {
			cdr := logic.EndCall(&w.call, logic.EndEvent{Cause: w.cdr.Cause, EndedAt: w.now}, w.now)
			w.route.Outcome = string(cdr.Outcome)
			w.cost()
			return
		}
		results, unknown := w.results()
		if unknown != "" {
			w.route.Unknown = unknown
			return
		}
		event = logic.Event{Kind: logic.EventReport, Results: results}
	}
	w.route.Unknown = fmt.Sprintf("more than %d queries", maxQueries)
}

// step runs one query; false when it asks for what a replay cannot know.
func (w *walk) step(event logic.Event) bool {
	w.snapshot.Step(&w.call, event, w.now, &w.outcome)
	for range logic.StepBudget {
		switch w.outcome.Ask.Kind {
		case logic.AskNothing:
			return true
		case logic.AskTurn:
			w.turn()
		case logic.AskLedger:
			w.ledger(w.outcome.Ask.Ledger)
		default:
			w.route.Unknown = fmt.Sprintf("step %s asks for what a replay cannot know", w.call.Step)
			return false
		}
	}
	return true
}

// ledger answers as the ledger did then, as far as the path of the CDR tells; otherwise as if all had money and there were room.
func (w *walk) ledger(ask *charging.Ask) {
	answer := charging.Suppose(ask)
	if exit := w.exit(w.call.Step); exit == "refused" || exit == "wrong" || exit == "locked" {
		answer = charging.Answer{State: charging.StateRefused, Reason: charging.ReasonNoMoney}
	}
	if ask.Kind == charging.KindReserve && answer.State == charging.StateGranted {
		w.charges = append(w.charges, charging.Blind{Number: ask.Reserve.Key.Number, Granted: answer.Seconds, Terms: ask.Reserve.Terms})
	}
	w.snapshot.Step(&w.call, logic.Event{Kind: logic.EventAnswer, Answer: answer}, w.now, &w.outcome)
}

// exit is the exit by which the call left a step for the first time, as far as the path of the CDR tells.
func (w *walk) exit(step string) string {
	for word := range strings.FieldsSeq(w.cdr.Path) {
		if exit, ok := strings.CutPrefix(word, step+":"); ok {
			return exit
		}
	}
	return ""
}

// cost works out what the call costs here, conversation by conversation.
func (w *walk) cost() {
	for i := range w.charges {
		c := &w.charges[i]
		for _, talked := range w.call.Talk {
			if talked.Number != c.Number {
				continue
			}
			cost := c.Terms.Settle(time.Duration(talked.Talk)*time.Millisecond, c.Granted)
			w.route.Cost = append(w.route.Cost, fmt.Sprintf("%s %s for %d s by %s", tariff.FormatAmount(cost.Amount), c.Terms.Currency, cost.Seconds, c.Terms.Rate))
		}
	}
}

// turn answers for a circular distribution: with the turn that leads to the next target that was really tried, if one does.
func (w *walk) turn() {
	call, outcome := clone(&w.call), w.outcome
	outcome.Instructions = slices.Clone(outcome.Instructions)
	decisions := 0
	if outcome.Trace != nil {
		decisions = len(outcome.Trace.Decisions)
	}
	answer := func(turn uint64) {
		w.call, w.outcome = clone(&call), outcome
		w.outcome.Instructions = slices.Clone(outcome.Instructions)
		if outcome.Trace != nil {
			outcome.Trace.Decisions = outcome.Trace.Decisions[:decisions]
		}
		w.snapshot.Step(&w.call, logic.Event{Kind: logic.EventAnswer, Turn: turn}, w.now, &w.outcome)
	}
	if next := slices.Index(w.used, false); next >= 0 {
		for turn := range uint64(maxTurns) {
			answer(turn)
			if slices.ContainsFunc(w.call.Targets, func(target logic.Target) bool { return w.leg(target) == next }) {
				return
			}
		}
	}
	answer(0)
}

func clone(c *logic.Session) logic.Session {
	copied := *c
	copied.Variables, copied.Path, copied.Legs = slices.Clone(c.Variables), slices.Clone(c.Path), slices.Clone(c.Legs)
	copied.Records, copied.Targets = slices.Clone(c.Records), slices.Clone(c.Targets)
	return copied
}

// leg is the index of the first leg of the CDR to a target that was not met yet, or -1.
func (w *walk) leg(target logic.Target) int {
	for i := range w.cdr.Legs {
		if leg := &w.cdr.Legs[i]; !w.used[i] && leg.Number == target.Number && leg.Trunk == target.Trunk {
			return i
		}
	}
	return -1
}

// results is what the node would report, as far as the CDR tells.
func (w *walk) results() (results []logic.Result, unknown string) {
	last := &w.outcome.Instructions[len(w.outcome.Instructions)-1]
	switch last.Op {
	case logic.OpConnect:
		return w.connected(last.Targets)
	case logic.OpCollect:
		return w.collected()
	}
	return nil, fmt.Sprintf("step %s waits for what a replay cannot know", w.call.Step)
}

// connected is what became of the targets of a connect.
func (w *walk) connected(targets []logic.Target) (results []logic.Result, unknown string) {
	for i, target := range targets {
		n := w.leg(target)
		if n < 0 {
			unknown = fmt.Sprintf("%s@%s was not tried then", target.Number, target.Trunk)
			continue
		}
		w.used[n] = true
		leg := &w.cdr.Legs[n]
		results = append(results, logic.Result{Op: logic.OpConnect, Status: leg.Status, DialStatus: leg.DialStatus, Target: i, Cause: leg.Cause,
			Talk: time.Duration(leg.TalkMilliseconds) * time.Millisecond})
		unknown = "" // a node may tell of the last target only
		if leg.Status == logic.StatusAnswer || leg.Status == logic.StatusHangup {
			return results, ""
		}
	}
	if unknown != "" && w.hungUp() {
		return append(results, logic.Result{Op: logic.OpConnect, Status: logic.StatusHangup, Target: -1}), ""
	}
	return results, unknown
}

// collected is what the caller dialled, as far as the path of the CDR tells: menus and timeouts. Codes are not kept.
func (w *walk) collected() (results []logic.Result, unknown string) {
	step := w.call.Step
	visit := w.visits[step]
	w.visits[step]++
	for word := range strings.FieldsSeq(w.cdr.Path) {
		exit, ok := strings.CutPrefix(word, step+":")
		if !ok {
			continue
		}
		if visit > 0 {
			visit--
			continue
		}
		switch {
		case exit == "timeout":
			return []logic.Result{{Op: logic.OpCollect, Status: logic.StatusTimeout}}, ""
		case strings.Trim(exit, "0123456789*#") == "":
			return []logic.Result{{Op: logic.OpCollect, Status: logic.StatusDigits, Digits: exit}}, ""
		}
		return nil, fmt.Sprintf("what the caller dialled at step %s is not kept", step)
	}
	if w.hungUp() {
		return []logic.Result{{Op: logic.OpCollect, Status: logic.StatusHangup}}, ""
	}
	return nil, fmt.Sprintf("the call did not come to step %s then", step)
}

// hungUp reports whether the caller hung up once all that the CDR tells of had happened.
func (w *walk) hungUp() bool {
	return w.cdr.Outcome == logic.CallAbandoned && !slices.Contains(w.used, false)
}
