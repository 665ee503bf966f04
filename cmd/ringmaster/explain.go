package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/logic/transcript"
)

// explainCommand asks the very code that decides calls, with its trace on.
type explainCommand struct {
	databaseFlag
	draftFlag
	Called string  `arg:"" help:"The number as it is dialled: 08001234567, +49…"`
	Caller string  `placeholder:"NUMBER" help:"The caller's number. Default: unknown."`
	Trunk  string  `placeholder:"NAME" help:"The trunk that the call comes in on."`
	At     instant `placeholder:"TIME" help:"When, as 2026-11-24T03:15:00+01:00. Default: now."`
	CallID string  `placeholder:"ID" help:"The call's id, which decides draws by percentage. Default: a new one."`
	JSON   bool    `name:"json" help:"Print JSON."`
}

// Help explains.
func (*explainCommand) Help() string {
	return `It decides the call on the committed rows as they are now, as they would be after a draft, or as they were at an older revision. No call is made, and nothing is counted.

	ringmaster explain 08001234567 --caller +49301112222
	ringmaster explain 08001234567 --caller +49301112222 --at 2026-12-24T19:00:00+01:00
	ringmaster explain 08001234567 --draft new-office.sql
	ringmaster explain 08001234567 --json | jq '.decisions[] | {table, key}'

What comes after the first instructions depends on who answers and what the caller dials: "ringmaster call" goes all the way.`
}

// Validate refuses what no node could ask about: its call would be fault -32602, not a call to nowhere.
func (c *explainCommand) Validate() error {
	const advice = "write up to 32 digits, * or #, with or without a leading +"
	if !logic.ValidNumber(c.Called) {
		return fmt.Errorf("<called>: %q is no number: %s", c.Called, advice)
	}
	if c.Caller != "" && !logic.ValidNumber(c.Caller) {
		return fmt.Errorf("--caller: %q is no number: %s", c.Caller, advice)
	}
	return nil
}

// explanation is what explain prints as JSON.
type explanation struct {
	Called       string           `json:"called"`
	Caller       string           `json:"caller"`
	At           time.Time        `json:"at"`
	Revision     int64            `json:"revision"`
	Draft        string           `json:"draft,omitempty"` // the edit that the revision was read with
	Service      string           `json:"service,omitempty"`
	Script       string           `json:"script,omitempty"`
	Decisions    []logic.Decision `json:"decisions"`
	Instructions []string         `json:"instructions"`
}

// Run explains.
func (c *explainCommand) Run(ctx context.Context, t terminal) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	draft, err := c.load(ctx, s)
	if err != nil {
		return err
	}
	result := explain(draft.snapshot, logic.Session{CallID: c.CallID, Caller: c.Caller, Called: c.Called, Trunk: c.Trunk}, c.At.or(time.Now()))
	if result.Draft = c.Draft; c.AtRevision != nil {
		result.Revision = *c.AtRevision
	}
	if c.JSON {
		encoder := json.NewEncoder(t.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(result)
	}
	result.print(t.out)
	for _, problem := range draft.problems {
		fmt.Fprintf(t.err, "note: %s %s: %s\n", problem.Table, problem.Key, problem.Reason)
	}
	return nil
}

// explain decides the first query of a call and says why. The snapshot does not change by it.
func explain(snapshot *logic.Snapshot, call logic.Session, at time.Time) explanation {
	if call.CallID == "" {
		call.CallID = "explain-" + rand.Text()
	}
	call.StartedAt = at.UTC()
	outcome := logic.Outcome{Trace: &logic.Trace{}}
	decide(snapshot, &call, logic.Event{Kind: logic.EventStart}, at, &outcome, func(string) uint64 { return 0 })
	result := explanation{Called: call.Called, Caller: call.Caller, At: at, Revision: snapshot.Revision(), Service: call.Service,
		Script: call.Script, Decisions: outcome.Trace.Decisions}
	for i := range outcome.Instructions {
		result.Instructions = append(result.Instructions, instructionWords(&outcome.Instructions[i]))
	}
	return result
}

// decide steps a call, answering what Step asks for: circular distributions as turn says, and the ledger as if all had money and there were room.
func decide(snapshot *logic.Snapshot, call *logic.Session, event logic.Event, now time.Time, outcome *logic.Outcome, turn func(name string) uint64) {
	snapshot.Step(call, event, now, outcome)
	for range logic.StepBudget {
		if outcome.Ask.Kind == logic.AskNothing {
			return
		}
		answer := logic.Event{Kind: logic.EventAnswer}
		if outcome.Ask.Kind == logic.AskLedger {
			answer.Answer = charging.Suppose(outcome.Ask.Ledger)
		} else {
			answer.Turn = turn(outcome.Ask.Name)
		}
		snapshot.Step(call, answer, now, outcome)
	}
}

func (e *explanation) print(w io.Writer) {
	caller := e.Caller
	if caller == "" {
		caller = "an unknown caller"
	}
	fmt.Fprintf(w, "%s calls %s at %s, %s\n\n", caller, e.Called, e.At.Format(time.RFC3339), draftFlag{Draft: e.Draft}.words(e.Revision))
	for _, decision := range e.Decisions {
		fmt.Fprintln(w, "  "+plain(transcript.FormatDecision(decision)))
		for _, beaten := range decision.Beaten {
			fmt.Fprintln(w, "      also matched:", plain(beaten))
		}
	}
	fmt.Fprintln(w, "\nThe node is told:")
	for _, instruction := range e.Instructions {
		fmt.Fprintln(w, "  "+instruction)
	}
}

// instructionWords says an instruction in words.
func instructionWords(i *logic.Instruction) string {
	switch i.Op {
	case logic.OpAnswer:
		return "answer the caller's line"
	case logic.OpPlay:
		return "play " + strings.Join(i.Prompts, ", ") + language(i)
	case logic.OpCollect:
		text := fmt.Sprintf("collect %d to %d digits", i.Minimum, i.Maximum)
		if i.Terminator != "" {
			text += ", ended by " + i.Terminator
		}
		if len(i.Prompts) > 0 {
			text += ", after playing " + strings.Join(i.Prompts, ", ") + language(i)
		}
		return text
	case logic.OpConnect:
		var targets []string
		for _, target := range i.Targets {
			targets = append(targets, fmt.Sprintf("%s on trunk %s (rings up to %d s)", target.Number, target.Trunk, target.Timeout))
		}
		text := "connect to " + strings.Join(targets, ", then ")
		if i.MaximumSeconds > 0 {
			text += fmt.Sprintf(", for at most %d s", i.MaximumSeconds)
		}
		return text
	case logic.OpContinue:
		return "go on in the node's own dialplan"
	case logic.OpRelease:
		return fmt.Sprintf("release the call with cause %d (%s)", i.Cause, causeName(i.Cause))
	}
	return i.Op.String()
}

func language(i *logic.Instruction) string {
	if i.Language == "" {
		return ""
	}
	return " (" + i.Language + ")"
}

// causeName names the ITU-T Q.850 causes that are seen most.
func causeName(cause int) string {
	switch cause {
	case 1:
		return "unallocated number"
	case 3:
		return "no route to destination"
	case 16:
		return "normal call clearing"
	case 17:
		return "user busy"
	case 18:
		return "no user responding"
	case 19:
		return "no answer from user"
	case 20:
		return "subscriber absent"
	case 21:
		return "call rejected"
	case 25:
		return "exchange routing error"
	case 27:
		return "destination out of order"
	case 28:
		return "invalid number format"
	case 31:
		return "normal, unspecified"
	case 34:
		return "no circuit available"
	case 41:
		return "temporary failure"
	case 127:
		return "interworking, unspecified"
	}
	return "ITU-T Q.850"
}
