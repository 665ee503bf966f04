package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ringmaster/store"
)

// diffCommand says what operators changed between two config revisions.
type diffCommand struct {
	databaseFlag
	Revisions revisionRange `arg:"" help:"Two config revisions, as 41..44. 41.. is from 41 to now."`
	JSON      bool          `help:"Print the changes as JSON."`
}

// Help explains.
func (*diffCommand) Help() string {
	return `Each row that differs is told once, with what it was and what it became, who changed it last, and why (SET LOCAL ringmaster.comment).
Revisions are counted by commits: SELECT * FROM config_revision, and audit_log has all of them.

	ringmaster diff 41..44
	ringmaster diff 41.. --json`
}

// Run prints the changes.
func (c *diffCommand) Run(ctx context.Context, t terminal) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	changes, err := s.Diff(ctx, c.Revisions.from, c.Revisions.to)
	if err != nil {
		return err
	}
	return printChanges(t.out, changes, c.JSON)
}

// revisionRange is two revisions; to is 0 for now.
type revisionRange struct{ from, to int64 }

// UnmarshalText reads 41..44 or 41...
func (r *revisionRange) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "..")
	var err error
	if r.from, err = strconv.ParseInt(from, 10, 64); ok && err == nil && to != "" {
		r.to, err = strconv.ParseInt(to, 10, 64)
	}
	if !ok || err != nil || to != "" && r.to == 0 { // there is no revision 0, which means now elsewhere
		return fmt.Errorf("%q is not two revisions; write 41..44, or 41.. for all since 41", text)
	}
	return nil
}

// rollbackCommand undoes what operators changed since a config revision.
type rollbackCommand struct {
	databaseFlag
	Revision int64  `arg:"" help:"The config revision to go back to."`
	Comment  string `required:"" placeholder:"TEXT" help:"Why; it stands in audit_log."`
	DryRun   bool   `help:"Only say what would be undone."`
	JSON     bool   `help:"Print the changes as JSON."`
}

// Help explains.
func (*rollbackCommand) Help() string {
	return `Makes operators' rows what they were at a config revision. That is a new revision, made in one transaction and checked as every edit is; history
is never rewritten, and the rollback can be rolled back. Records of calls and what nodes and engines said are not touched.
What is a customer's (accounts, their numbers and countries, cards, secret budgets) stays as it is, and is listed with =.

	ringmaster rollback 41 --comment "the new offices were wrong" --dry-run
	ringmaster rollback 41 --comment "the new offices were wrong"`
}

// Run rolls back.
func (c *rollbackCommand) Run(ctx context.Context, t terminal) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	changes, err := s.Rollback(ctx, c.Revision, c.Comment, c.DryRun)
	if err != nil {
		return err
	}
	if err := printChanges(t.out, changes, c.JSON); err != nil || c.JSON {
		return err
	}
	all := len(changes)
	changes = slices.DeleteFunc(changes, func(one store.Change) bool { return one.Operation == store.Left })
	if left := all - len(changes); left > 0 {
		fmt.Fprintf(t.out, "%d rows of customers stay as they are (=): ringmaster diff %d.. says what changed; change by hand what was a mistake too\n", left, c.Revision)
	}
	switch {
	case all == 0:
		fmt.Fprintf(t.out, "nothing differs from revision %d\n", c.Revision)
	case c.DryRun:
		fmt.Fprintf(t.out, "%d rows would be changed; nothing was\n", len(changes))
	default:
		fmt.Fprintf(t.out, "%d rows are as they were at revision %d\n", len(changes), c.Revision)
	}
	return nil
}

// waitCommand waits until an edit is live everywhere.
type waitCommand struct {
	databaseFlag
	Revision *int64        `arg:"" optional:"" help:"The config revision to wait for. Default: the newest there is."`
	Timeout  time.Duration `default:"10s" help:"How long to wait (${default})."`
}

// Help explains.
func (*waitCommand) Help() string {
	return `Ends when every engine that was seen in the last 15 s serves the revision; with status 1, and the engines that lag, when they do not in time.

	ringmaster sql -f edit.sql && ringmaster wait`
}

// Run waits.
func (c *waitCommand) Run(ctx context.Context, t terminal) error {
	revision := int64(0) // the newest
	if c.Revision != nil {
		if revision = *c.Revision; revision < 1 {
			return fmt.Errorf("there is no config revision %d; \"ringmaster wait\" alone waits for the newest", revision)
		}
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	revision, err = s.WaitForRevision(ctx, revision)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "revision %d is live everywhere\n", revision)
	return nil
}

// printChanges prints one line for each row, and under it the columns that differ.
func printChanges(out io.Writer, changes []store.Change, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(changes)
	}
	for _, c := range changes {
		sign := map[string]string{"INSERT": "+", "DELETE": "-", "TRUNCATE": "-", store.Left: "="}[c.Operation]
		if sign == "" {
			sign = "~"
		}
		what := c.Table + " " + c.Key
		if c.Key == "" {
			what = fmt.Sprintf("%s: %d rows, of which no images are kept", c.Table, c.Rows)
		}
		by := ""
		if c.Revision > 0 {
			by = fmt.Sprintf("   (revision %d, %s, %s)", c.Revision, c.At.UTC().Format(time.RFC3339), strings.TrimSuffix(c.By+": "+c.Comment, ": "))
		}
		if _, err := fmt.Fprintf(out, "%s %s\n", sign, plain(what+by)); err != nil {
			return err
		}
		printColumns(out, c)
	}
	return nil
}

// printColumns prints the columns of a row that differ.
func printColumns(out io.Writer, c store.Change) {
	var before, after map[string]json.RawMessage
	_ = json.Unmarshal(c.Before, &before) // a row that is not there has no columns
	_ = json.Unmarshal(c.After, &after)
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		was, is := before[name], after[name]
		switch {
		case bytes.Equal(was, is):
		case before == nil:
			if string(is) != "null" {
				fmt.Fprintf(out, "    %s: %s\n", name, plain(string(is)))
			}
		case after == nil:
			if string(was) != "null" {
				fmt.Fprintf(out, "    %s: %s\n", name, plain(string(was)))
			}
		default:
			fmt.Fprintf(out, "    %s: %s → %s\n", name, plain(string(was)), plain(string(is)))
		}
	}
}

// plain shows control characters, which a terminal would obey, as escapes: operators' texts may hold any.
func plain(text string) string {
	var out strings.Builder
	for _, r := range text {
		if !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}
