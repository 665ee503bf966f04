package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ringmaster/logic/lint"
)

// checkCommand compiles the database as an engine would that had nothing to fall back on, and looks for mistakes in what can be used.
type checkCommand struct {
	databaseFlag
	draftFlag
	Severity string `enum:"note,warning,error" default:"warning" help:"Print and count findings of this severity and above: note, warning or error."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Help explains.
func (*checkCommand) Help() string {
	return `It reads the committed rows, or those of a draft, and compiles them as an engine does, publishing nothing. What a running engine makes of the
same rows stands in the table config_problem.

	error    cannot be used: what it belongs to keeps its last good version in a running engine. Or a service whose payer is in another
	         currency than its tariff: all its calls are refused
	warning  can be used and is probably a mistake: services that may call each other in circles, prefixes that decide nothing, overlapping or
	         nearly touching opening hours, rates of one prefix whose calendars are open together, services without a number, rows that a
	         service connects to and that are no target, ways that are too long
	note     worth knowing: things that nothing uses, what is over, what changes nothing, weekdays without opening hours

Exit status: 0 when nothing of the asked severity was found, 1 when something was, 2 when the rows could not be read.

	ringmaster check
	ringmaster check --severity note
	ringmaster check --draft new-service.sql && ringmaster sql -f new-service.sql
	ringmaster check --json | jq '.findings[] | {severity, table, key}'`
}

// Run checks.
func (c *checkCommand) Run(ctx context.Context, t terminal) error {
	revision, services, numbers, findings, err := c.check(ctx)
	if err != nil {
		fmt.Fprintln(t.err, "ringmaster:", err)
		return exitError(2)
	}
	if c.JSON {
		encoder := json.NewEncoder(t.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(struct {
			Revision int64          `json:"revision"`
			Draft    string         `json:"draft,omitempty"`
			Findings []lint.Finding `json:"findings"`
		}{revision, c.Draft, findings}); err != nil {
			return err
		}
	} else {
		for _, finding := range findings {
			fmt.Fprintln(t.out, plain(finding.String()))
		}
		fmt.Fprintf(t.out, "%s: %d services, %d numbers, %d problems\n", c.words(revision), services, numbers, len(findings))
	}
	if len(findings) > 0 {
		return exitError(1)
	}
	return nil
}

// check returns the findings that are asked for, those of the compiler first.
func (c *checkCommand) check(ctx context.Context) (revision int64, services, numbers int, findings []lint.Finding, err error) {
	s, err := c.open(ctx)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	defer s.Close()
	draft, err := c.load(ctx, s)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	findings = []lint.Finding{}
	for _, problem := range draft.problems {
		findings = append(findings, lint.Finding{Severity: lint.Error, Check: "cannot_be_used", Table: problem.Table, Key: problem.Key, Reason: problem.Reason})
	}
	findings = append(findings, lint.Check(draft.rows, draft.snapshot.Normalise, zones, time.Now())...)
	var least lint.Severity
	if err := least.UnmarshalText([]byte(c.Severity)); err != nil {
		return 0, 0, 0, nil, err
	}
	findings = slices.DeleteFunc(findings, func(f lint.Finding) bool { return f.Severity < least })
	sizes := draft.snapshot.Sizes()
	return draft.rows.Revision, sizes["service"], sizes["service_number"], findings, nil
}
