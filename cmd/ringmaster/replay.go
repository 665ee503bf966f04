package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/replay"
	"ringmaster/logic/transcript"
	"ringmaster/store"
)

// replayCommand asks of recorded calls which of them would go elsewhere.
type replayCommand struct {
	databaseFlag
	draftFlag
	At          instant `placeholder:"TIME" help:"Let every call begin then, as 2026-12-24T19:00:00+01:00."`
	Since       instant `placeholder:"TIME" help:"Calls that began then or later. Default: a day before --until."`
	Until       instant `placeholder:"TIME" help:"Calls that began earlier. Default: now."`
	Service     string  `placeholder:"NAME" help:"Calls of this service only, as their records have it."`
	Limit       int     `default:"1000000" help:"At most so many calls."`
	Differences int     `default:"10" help:"Print so many of the calls that differ, with the reasons."`
	JSON        bool    `name:"json" help:"Print JSON."`
}

// Help explains.
func (*replayCommand) Help() string {
	return `It takes recorded calls (table cdr) and decides each of them twice: on the committed rows at the time it was made, and on those of a draft, of an older
revision, or at another time. What became of each attempt to reach somebody is taken from the record, as long as the same targets are tried.
What callers dial in a dialogue is not kept, except in menus, so such calls are compared up to there; they are counted as unknown.

	elsewhere  another service answers, or other targets are tried
	otherwise  the same targets, and another end, another announcement, a longer ring, or another price

Exit status: 0 when no call goes elsewhere or otherwise, 1 when some do, 2 when the calls could not be replayed.

	ringmaster replay --draft new-office.sql
	ringmaster replay --revision 41 --since 2026-11-23T00:00 --until 2026-11-24T00:00
	ringmaster replay --at 2026-12-24T19:00:00+01:00 --service acme_freephone
	ringmaster replay --draft new-office.sql --json | jq .total`
}

// Run replays.
func (c *replayCommand) Run(ctx context.Context, t terminal) error {
	report, from, err := c.replay(ctx, t.err)
	if err != nil {
		fmt.Fprintln(t.err, "ringmaster:", err)
		return exitError(2)
	}
	if c.JSON {
		encoder := json.NewEncoder(t.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(struct {
			Revision int64 `json:"revision"`
			replay.Report
		}{from, report}); err != nil {
			return err
		}
	} else {
		c.print(t.out, from, &report)
	}
	if report.Total.Elsewhere+report.Total.Otherwise > 0 {
		return exitError(1)
	}
	return nil
}

func (c *replayCommand) replay(ctx context.Context, progress io.Writer) (report replay.Report, revision int64, err error) {
	if !c.given() && time.Time(c.At).IsZero() {
		return report, 0, fmt.Errorf("compare with what? Give --draft, --revision or --at")
	}
	until := c.Until.or(time.Now())
	filter := store.CDRFilter{Since: c.Since.or(until.AddDate(0, 0, -1)), Until: until, Service: c.Service, Limit: c.Limit}
	s, err := c.open(ctx)
	if err != nil {
		return report, 0, err
	}
	defer s.Close()
	before, err := draftFlag{}.load(ctx, s)
	if err != nil {
		return report, 0, err
	}
	after := before
	if c.given() {
		if after, err = c.load(ctx, s); err != nil {
			return report, 0, err
		}
	}
	revision = before.rows.Revision
	if after.rows.Revision != revision {
		return report, 0, fmt.Errorf("revision %d was committed just now, so it isn't known what the draft changes: try again", after.rows.Revision)
	}
	before.rows, after.rows = nil, nil // a big carrier's rows are as big as its snapshots
	r := replay.New(replay.Side{Snapshot: before.snapshot}, replay.Side{Snapshot: after.snapshot, At: time.Time(c.At)}, c.Differences)
	calls, said := 0, time.Now()
	err = s.EachCDR(ctx, filter, func(cdr *logic.CDR) error {
		r.Add(cdr)
		calls++
		if calls%1000 == 0 && time.Since(said) >= time.Second {
			said = time.Now()
			fmt.Fprintf(progress, "%d calls, up to %s\n", calls, cdr.StartedAt.Format(time.DateTime))
		}
		return nil
	})
	return r.Report(), revision, err
}

func (c *replayCommand) print(w io.Writer, revision int64, report *replay.Report) {
	after := c.words(revision)
	if at := time.Time(c.At); !at.IsZero() {
		after += " at " + at.Format(time.RFC3339)
	}
	for _, d := range report.Differences {
		fmt.Fprintf(w, "%s %s calls %s, call %s: %s\n", d.StartedAt.Local().Format(time.DateTime), callerWords(d.Caller), d.Called, d.CallID, kindWords(d.Kind))
		printRoute(w, fmt.Sprintf("revision %d", revision), &d.Before)
		printRoute(w, after, &d.After)
		fmt.Fprintln(w)
	}
	if rest := report.Total.Elsewhere + report.Total.Otherwise - len(report.Differences); rest > 0 && len(report.Differences) > 0 {
		fmt.Fprintf(w, "… and %d more calls that differ\n\n", rest)
	}
	fmt.Fprintf(w, "%-40s %9s %9s %9s %9s %9s\n", "service", "calls", "same", "elsewhere", "otherwise", "unknown")
	for i, tally := range append(report.Services, report.Total) {
		name := tally.Service
		switch {
		case i == len(report.Services):
			name = "all"
		case name == "":
			name = "(no service)"
		}
		fmt.Fprintf(w, "%-40s %9d %9d %9d %9d %9d\n", name, tally.Calls, tally.Same, tally.Elsewhere, tally.Otherwise, tally.Unknown)
	}
}

func callerWords(caller string) string {
	if caller == "" {
		return "an unknown caller"
	}
	return caller
}

func kindWords(kind replay.Kind) string {
	switch kind {
	case replay.Service:
		return "another service"
	case replay.Target:
		return "goes elsewhere"
	case replay.Outcome:
		return "ends otherwise"
	case replay.Cost:
		return "costs otherwise"
	}
	return "is treated otherwise"
}

func printRoute(w io.Writer, side string, route *replay.Route) {
	end := route.Outcome
	if route.Unknown != "" {
		end = "then unknown: " + route.Unknown
	}
	for _, cost := range route.Cost {
		end += ", " + cost
	}
	fmt.Fprintf(w, "  %s: %s → %s\n", side, strings.Join(route.Instructions, " → "), end)
	for _, decision := range route.Decisions {
		fmt.Fprintln(w, "      "+plain(transcript.FormatDecision(decision)))
	}
}
