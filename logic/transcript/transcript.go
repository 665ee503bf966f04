// Package transcript reads and plays recorded calls: rows, events, and the instructions, reasons and CDRs that must come
// of them. They are the specification of services, written so that a telecom engineer can read and write them; the form
// stands in testdata/calls/README.md.
//
// It touches no files and no clock: texts come in, differences go out. It is no part of answering calls.
package transcript

import (
	"fmt"
	"strings"
	"time"

	"ringmaster/logic"
)

// Transcript is a read transcript: the rows it runs on and its lines.
type Transcript struct {
	Name  string
	Rows  logic.Rows
	SQL   []string // the rows as SQL: the texts of includes and INSERTs in order, for a Postgres
	lines []line
	books books
}

type line struct {
	number int
	verb   string // at, start, report, end, >, because, = or ledger
	rest   string
}

// Read reads a transcript. Include gives the text behind an include line ("scripts", "demo").
func Read(name, text string, include func(name string) (string, error)) (*Transcript, error) {
	t := &Transcript{Name: name}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		trimmed := strings.TrimSpace(lines[i])
		verb, rest, _ := strings.Cut(trimmed, " ")
		switch verb {
		case "", "#":
		case "include":
			sql, err := include(rest)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: couldn't include %s: %w", name, i+1, rest, err)
			}
			if err := t.rows(rest, sql); err != nil {
				return nil, err
			}
		case "INSERT":
			first := i
			for !strings.HasSuffix(strings.TrimSpace(lines[i]), ";") {
				if i++; i == len(lines) {
					return nil, fmt.Errorf("%s:%d: the INSERT is never closed by ;", name, first+1)
				}
			}
			// The empty lines before keep the line numbers of messages right.
			sql := strings.Join(lines[first:i+1], "\n")
			if err := t.rows(name, strings.Repeat("\n", first)+sql); err != nil {
				return nil, err
			}
		case "at", "start", "report", "end", ">", "because", "=", "ledger":
			t.lines = append(t.lines, line{i + 1, verb, strings.TrimSpace(rest)})
		default:
			if strings.HasPrefix(verb, "#") {
				continue
			}
			return nil, fmt.Errorf("%s:%d: %q begins no line of a transcript: include, INSERT, at, start, report, end, >, because, =, ledger or #", name, i+1, verb)
		}
	}
	return t, nil
}

func (t *Transcript) rows(name, sql string) error {
	t.SQL = append(t.SQL, strings.TrimLeft(sql, "\n"))
	return readRows(name, sql, &t.Rows, &t.books)
}

// Difference is a line whose expectation was not met.
type Difference struct {
	Line int
	Want string
	Got  string
}

func (d Difference) String() string {
	return fmt.Sprintf("line %d\n  want %s\n  got  %s", d.Line, d.Want, d.Got)
}

// Play runs the transcript against the step function and returns where it differs. Said, if not nil, is told each line as it is
// run: what was sent and what came of it. An error is a transcript that cannot be played, or rows that do not compile.
func (t *Transcript) Play(zones logic.Zones, said func(text string)) ([]Difference, error) {
	if said == nil {
		said = func(string) {}
	}
	rows := t.Rows
	rows.SessionKeys = append(rows.SessionKeys, logic.SessionKeyRow{SessionKeyID: 1, Secret: []byte("the session key of transcripts: 32")})
	snapshot, problems := logic.Compile(&rows, nil, zones)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: the rows do not compile: %s %s: %s", t.Name, problems[0].Table, problems[0].Key, problems[0].Reason)
	}
	p := &player{transcript: t, snapshot: snapshot, said: said, turns: make(map[string]uint64), ledger: newLedger(&t.books)}
	for _, line := range t.lines {
		if err := p.play(line); err != nil {
			return p.differences, fmt.Errorf("%s:%d: %w", t.Name, line.number, err)
		}
	}
	p.leftOver()
	return p.differences, nil
}

type player struct {
	transcript  *Transcript
	snapshot    *logic.Snapshot
	said        func(string)
	now         time.Time
	calls       int
	call        logic.Session
	outcome     logic.Outcome
	turns       map[string]uint64
	ledger      *ledger
	paid        string   // by the last call, as ledger.end says it
	pending     []string // instructions not yet compared
	last        int      // line of the event that they came from
	cdr         *logic.CDR
	differences []Difference
}

func (p *player) differ(number int, want, got string) {
	p.differences = append(p.differences, Difference{number, want, got})
}

// leftOver tells of instructions that no > line has asked for.
func (p *player) leftOver() {
	for _, instruction := range p.pending {
		p.differ(p.last, "no further instruction", "> "+instruction)
	}
	p.pending = nil
}

func (p *player) play(l line) error {
	switch l.verb {
	case "at":
		now, err := time.Parse(time.RFC3339, l.rest)
		p.now = now
		return err
	case ">":
		got := "nothing"
		if len(p.pending) > 0 {
			got = p.pending[0]
			p.pending = p.pending[1:]
		}
		if got != l.rest {
			p.differ(l.number, "> "+l.rest, "> "+got)
		}
		return nil
	case "because":
		var reasons []string
		for _, d := range p.outcome.Trace.Decisions {
			reason := FormatDecision(d)
			if strings.Contains(reason, l.rest) {
				return nil
			}
			reasons = append(reasons, reason)
		}
		p.differ(l.number, "because "+l.rest, strings.Join(reasons, "\n       "))
		return nil
	case "=":
		return p.compareCDR(l)
	case "ledger":
		switch l.rest {
		case "away", "back":
			p.ledger.away = l.rest == "away"
			return nil
		}
		return fmt.Errorf("the ledger is away or back, not %q", l.rest)
	}
	p.leftOver()
	p.last = l.number
	if p.now.IsZero() {
		return fmt.Errorf("the time is not set: begin with at 2026-11-23T10:00:00+01:00")
	}
	p.said(l.verb + " " + l.rest)
	switch l.verb {
	case "start":
		return p.start(l.rest)
	case "report":
		results, err := ParseResults(l.rest)
		if err != nil {
			return err
		}
		for _, result := range results {
			p.now = p.now.Add(result.Talk)
		}
		p.step(logic.Event{Kind: logic.EventReport, Results: results})
	case "end":
		end, err := parseEnd(l.rest, p.now)
		if err != nil {
			return err
		}
		var talked time.Duration
		for _, result := range end.Results {
			talked += result.Talk
		}
		p.now = p.now.Add(max(end.Talk, talked)) // it may be said by either
		cdr := logic.EndCall(&p.call, end, p.now)
		p.cdr, p.paid = &cdr, p.ledger.end(&cdr)
		p.said("= " + p.formatCDR())
	}
	return nil
}

func (p *player) start(text string) error {
	p.calls++
	p.cdr = nil
	p.call.Reset()
	p.call.StartedAt = p.now.UTC()
	p.call.CallID, p.call.Node = fmt.Sprintf("transcript-%d", p.calls), "transcript"
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "call_id":
			p.call.CallID = value
		case "caller":
			p.call.Caller = value
		case "called":
			p.call.Called = value
		case "trunk":
			p.call.Trunk = value
		case "presentation":
			presentation, ok := logic.ParsePresentation(value)
			if !ok {
				return fmt.Errorf("presentation %q is unknown", value)
			}
			p.call.Presentation = presentation
		default:
			return fmt.Errorf("%q is no member of start: call_id, caller, called, trunk, presentation", name)
		}
	}
	p.step(logic.Event{Kind: logic.EventStart})
	return nil
}

// step runs one event; between two events the session goes through a token, as in life.
func (p *player) step(event logic.Event) {
	if event.Kind != logic.EventStart {
		token := p.snapshot.Keys().Seal(nil, &p.call, p.now.Add(time.Hour))
		if state := p.snapshot.Keys().Open(token, p.call.Node, p.now, &p.call); state != logic.TokenGood {
			p.differ(p.last, "a session token that can be opened", fmt.Sprint(state))
		}
	}
	p.outcome.Trace = &logic.Trace{}
	for range logic.StepBudget {
		p.snapshot.Step(&p.call, event, p.now, &p.outcome)
		if p.outcome.Ask.Kind == logic.AskNothing {
			break
		}
		event = logic.Event{Kind: logic.EventAnswer}
		if ask := &p.outcome.Ask; ask.Kind == logic.AskLedger {
			event.Answer = p.ledger.ask(ask.Ledger, p.now)
		} else {
			event.Turn = p.turns[ask.Name]
			p.turns[ask.Name]++
		}
	}
	for i := range p.outcome.Instructions {
		text := FormatInstruction(&p.outcome.Instructions[i])
		p.pending = append(p.pending, text)
		p.said("> " + text)
	}
}

// formatCDR writes the CDR with what was paid.
func (p *player) formatCDR() string {
	if p.paid == "" {
		return FormatCDR(p.cdr)
	}
	return FormatCDR(p.cdr) + " paid=" + p.paid
}

// compareCDR compares the outcome and those fields of the CDR that the line names.
func (p *player) compareCDR(l line) error {
	if p.cdr == nil {
		return fmt.Errorf("there is no CDR: an end line comes first")
	}
	got := fields(p.formatCDR())
	for name, want := range fields(l.rest) {
		if got[name] != want {
			p.differ(l.number, "= "+l.rest, "= "+p.formatCDR())
			break
		}
	}
	return nil
}
