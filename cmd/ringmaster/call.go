package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/transcript"
	"ringmaster/migrations"
	"ringmaster/testdata/demo"
)

// callCommand is a node of flesh and blood: it shows each instruction and asks the person at the keyboard what came of it.
type callCommand struct {
	databaseFlag
	Called string `arg:"" optional:"" help:"The number as it is dialled."`
	Caller string `placeholder:"NUMBER" help:"The caller's number. Default: unknown."`
	Trunk  string `placeholder:"NAME" help:"The trunk that the call comes in on."`
	URL    string `name:"url" placeholder:"URL" help:"Call listener of the engine to ask. Default: that of the running ringmaster dev."`
	Node   string `placeholder:"NAME" help:"Node to be. Default: that of the running ringmaster dev."`
	Secret string `help:"The node's secret. Better given as RINGMASTER_SECRET."`
	Script string `type:"existingfile" placeholder:"FILE" help:"Play a transcript instead (testdata/calls) and say where it differs."`
}

// Help explains.
func (*callCommand) Help() string {
	return `It asks a running engine as a node would, shows each instruction and what an Asterisk would do, and asks you what came of it. At the end
the engine has a CDR, as of any call. Answers are one line each, so a call can be piped in.

	ringmaster call 08001234567 --caller +49301112222
	printf 'busy\nanswer\n12.5\n' | ringmaster call 08001234567 --caller +49301112222
	ringmaster call 09005550100 --url http://127.0.0.1:8080/RPC2 --node dev --secret ringmaster-dev

With --database and without --url it decides by itself on the rows there, says the reasons, and stores nothing:

	ringmaster call 08001234567 --database postgres://ringmaster@db/ringmaster

With --script it plays a recorded call on the rows that the file names, without a database:

	ringmaster call --script testdata/calls/freephone.txt`
}

// turn is what the engine decided on one query.
type turn struct {
	instructions []logic.Instruction
	decisions    []logic.Decision // why, where it is known
	service      string
	revision     string
}

// decider answers a node's queries about one call.
type decider interface {
	start(ctx context.Context, call logic.Session) (turn, error)
	report(ctx context.Context, results []logic.Result) (turn, error)
	// end records the call's end and says in a line where.
	end(ctx context.Context, end logic.EndEvent) (string, error)
}

// Run makes the call.
func (c *callCommand) Run(ctx context.Context, t terminal) error {
	if c.Script != "" {
		if c.Called != "" {
			return errors.New("a transcript says by itself who is called: leave the number out, or --script")
		}
		return playTranscript(t, c.Script)
	}
	if c.Called == "" {
		return errors.New("which number? Give it as it would be dialled: ringmaster call 08001234567")
	}
	d, err := c.decider(ctx)
	if err != nil {
		return err
	}
	call := logic.Session{CallID: "call-" + rand.Text(), Node: c.Node, Channel: "terminal", Caller: c.Caller, Called: c.Called, Trunk: c.Trunk}
	desk := &desk{terminal: t, lines: bufio.NewScanner(t.in), decider: d, piped: !isTerminal(t.in)}
	return desk.run(ctx, call)
}

func (c *callCommand) decider(ctx context.Context) (decider, error) {
	if c.Database != "" && c.URL == "" {
		draft, err := loadDraft(ctx, c.databaseFlag)
		if err != nil {
			return nil, err
		}
		return &localDecider{snapshot: draft.snapshot, turns: make(map[string]uint64)}, nil
	}
	if c.URL == "" || c.Node == "" || c.Secret == "" {
		found, err := findTrial(c.StateDir)
		if err != nil {
			return nil, fmt.Errorf("which engine? %w; start one with \"ringmaster dev\", or give --url, --node and --secret", err)
		}
		c.URL, c.Node, c.Secret = orText(c.URL, found.URL), orText(c.Node, found.Node), orText(c.Secret, found.Secret)
	}
	return &engineClient{url: c.URL, node: c.Node, secret: c.Secret, http: &http.Client{Timeout: 10 * time.Second}}, nil
}

// isTerminal reports whether somebody types there.
func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func orText(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// localDecider decides on a snapshot of its own, with the reasons.
type localDecider struct {
	snapshot *logic.Snapshot
	call     logic.Session
	outcome  logic.Outcome
	turns    map[string]uint64
}

func (d *localDecider) start(_ context.Context, call logic.Session) (turn, error) {
	d.call = call
	d.call.StartedAt = time.Now().UTC().Truncate(time.Millisecond)
	return d.step(logic.Event{Kind: logic.EventStart})
}

func (d *localDecider) report(_ context.Context, results []logic.Result) (turn, error) {
	return d.step(logic.Event{Kind: logic.EventReport, Results: results})
}

func (d *localDecider) step(event logic.Event) (turn, error) {
	d.outcome.Trace = &logic.Trace{}
	decide(d.snapshot, &d.call, event, time.Now(), &d.outcome, func(name string) uint64 {
		d.turns[name]++
		return d.turns[name] - 1
	})
	return turn{d.outcome.Instructions, d.outcome.Trace.Decisions, d.call.Service, strconv.FormatInt(d.snapshot.Revision(), 10)}, nil
}

func (d *localDecider) end(_ context.Context, end logic.EndEvent) (string, error) {
	cdr := logic.EndCall(&d.call, end, time.Now())
	return "The record would be: " + transcript.FormatCDR(&cdr), nil
}

// desk is the person's side of one call.
type desk struct {
	terminal
	lines   *bufio.Scanner
	decider decider
	piped   bool // what is read does not show by itself

	answered   bool // the caller's line
	answeredAt time.Time
	talk       time.Duration
	hungUp     bool
	cause      int
}

// errHungUp ends the asking when the caller has hung up, or the input is over.
var errHungUp = errors.New("the caller has hung up")

func (d *desk) say(format string, arguments ...any) { fmt.Fprintf(d.out, format+"\n", arguments...) }

// question shows a text and reads a line; the end of the input is the caller hanging up.
func (d *desk) question(format string, arguments ...any) (string, error) {
	fmt.Fprintf(d.out, format+" ", arguments...)
	if !d.lines.Scan() {
		d.say("")
		return "", errHungUp
	}
	if d.piped {
		d.say("%s", d.lines.Text())
	}
	line := strings.ToLower(strings.TrimSpace(d.lines.Text()))
	if line == "h" || line == "hangup" {
		return "", errHungUp
	}
	return line, nil
}

func (d *desk) run(ctx context.Context, call logic.Session) error {
	t, err := d.decider.start(ctx, call)
	for {
		if err != nil {
			return err
		}
		d.show(t)
		results, over := d.obey(t.instructions)
		if over {
			return d.finish(ctx, results)
		}
		t, err = d.decider.report(ctx, results)
	}
}

// show prints the engine's decision.
func (d *desk) show(t turn) {
	if t.service != "" {
		d.say("service %s, revision %s", t.service, t.revision)
	} else {
		d.say("no service, revision %s", t.revision)
	}
	for _, decision := range t.decisions {
		d.say("  because %s", transcript.FormatDecision(decision))
	}
}

// obey runs instructions and returns what they came to. Over: the call has ended, or has left the engine.
func (d *desk) obey(instructions []logic.Instruction) (results []logic.Result, over bool) {
	for i := range instructions {
		in := &instructions[i]
		d.say("> %s", instructionWords(in))
		result := logic.Result{Op: in.Op, Status: logic.StatusDone}
		switch in.Op {
		case logic.OpAnswer:
			d.say("    Asterisk: Answer()")
			d.pickUp()
		case logic.OpPlay:
			d.say("    Asterisk: Playback(%s)", strings.Join(in.Prompts, "&"))
		case logic.OpCollect:
			d.say("    Asterisk: Read(digits,%s,%d,,,%d)", strings.Join(in.Prompts, "&"), in.Maximum, in.FirstTimeout)
			d.collect(in, &result)
		case logic.OpConnect:
			d.connect(in, &result)
			over = result.Status == logic.StatusAnswer && !in.FollowOn
		case logic.OpContinue:
			d.say("    Asterisk: goes on in the dialplan, the engine is done with the call")
			return results, true
		case logic.OpRelease:
			d.say("    Asterisk: Hangup(%d)", in.Cause)
			d.cause = in.Cause
			return results, true
		}
		results = append(results, result)
		if d.hungUp {
			return results, true
		}
	}
	return results, over
}

func (d *desk) pickUp() {
	if !d.answered {
		d.answered, d.answeredAt = true, time.Now()
	}
}

func (d *desk) hangUp(result *logic.Result, cause int) {
	d.say("    the caller hangs up")
	result.Status, d.hungUp, d.cause = logic.StatusHangup, true, cause
}

// collect asks for digits as the caller would dial them.
func (d *desk) collect(in *logic.Instruction, result *logic.Result) {
	for {
		line, err := d.question("  digits? (empty: says nothing; h: hangs up)")
		if err != nil {
			d.hangUp(result, 0)
			return
		}
		if in.Terminator != "" {
			line, _, _ = strings.Cut(line, in.Terminator)
		}
		switch {
		case strings.Trim(line, "0123456789*#") != "":
			d.say("    a telephone has 0 to 9, * and #")
			continue
		case len(line) > in.Maximum:
			d.say("    no more than %d digits are taken", in.Maximum)
			line = line[:in.Maximum]
		}
		result.Digits, result.Status = line, logic.StatusDigits
		if len(line) < in.Minimum {
			result.Status = logic.StatusTimeout
		}
		return
	}
}

// connect tries the targets in order; each may be answered, busy, silent or not there.
func (d *desk) connect(in *logic.Instruction, result *logic.Result) {
	for i, target := range in.Targets {
		d.say("    Asterisk: Dial(PJSIP/%s@%s,%d)", target.Number, target.Trunk, target.Timeout)
		result.Target = i
		for asking := true; asking; {
			line, err := d.question("  %s rings. answer, busy, no answer, unreachable? (a, b, n, u; h: the caller hangs up)", target.Number)
			if err != nil {
				d.hangUp(result, 127)
				return
			}
			asking = false
			switch line {
			case "a", "answer":
				d.converse(in, result)
				return
			case "b", "busy":
				result.Status, result.Cause = logic.StatusBusy, 17
			case "n", "no answer", "no_answer":
				result.Status, result.Cause = logic.StatusNoAnswer, 19
			case "u", "unreachable":
				result.Status, result.Cause = logic.StatusUnreachable, 20
			default:
				d.say("    please say one of a, b, n, u, h")
				asking = true
			}
		}
	}
}

// converse asks how long the two talk.
func (d *desk) converse(in *logic.Instruction, result *logic.Result) {
	d.pickUp()
	result.Status, result.Cause, d.cause = logic.StatusAnswer, 16, 16
	for {
		line, err := d.question("  answered. How many seconds do they talk? (empty: 10)")
		if line == "" || err != nil {
			line = "10"
		}
		talk, err := strconv.ParseFloat(line, 64)
		if err != nil || talk < 0 || talk > 86400 {
			d.say("    a number of seconds, please, up to 86400")
			continue
		}
		if maximum := float64(in.MaximumSeconds); maximum > 0 && talk > maximum {
			d.say("    cut after %v s, the maximum", maximum)
			talk = maximum
		}
		result.Talk = time.Duration(talk * float64(time.Second)).Round(time.Millisecond)
		d.talk = result.Talk
		return
	}
}

// finish tells the engine of the end.
func (d *desk) finish(ctx context.Context, results []logic.Result) error {
	end := logic.EndEvent{Results: results, Cause: d.cause, Talk: d.talk, EndedAt: time.Now().Add(d.talk)}
	if d.answered {
		end.AnsweredAt = d.answeredAt
	}
	where, err := d.decider.end(ctx, end)
	if err != nil {
		return err
	}
	d.say("The call is over, cause %d (%s), %g s of conversation.", d.cause, causeName(d.cause), d.talk.Seconds())
	d.say("%s", where)
	return nil
}

// playTranscript plays a recorded call and says where the engine differs from it.
func playTranscript(t terminal, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("couldn't read the transcript: %w", err)
	}
	recorded, err := transcript.Read(file, string(text), func(name string) (string, error) {
		switch name {
		case "scripts":
			return migrations.Scripts()
		case "demo":
			return demo.SQL, nil
		}
		return "", fmt.Errorf("there is no %q to include: scripts and demo are", name)
	})
	if err != nil {
		return err
	}
	differences, err := recorded.Play(zones, func(line string) { _, _ = io.WriteString(t.out, line+"\n") })
	for _, difference := range differences {
		fmt.Fprintf(t.out, "%s, %s\n", file, difference)
	}
	if err != nil {
		return err
	}
	if len(differences) > 0 {
		fmt.Fprintf(t.err, "ringmaster: the engine differs from the transcript in %d places\n", len(differences))
		return exitError(1)
	}
	fmt.Fprintln(t.out, "as recorded")
	return nil
}
