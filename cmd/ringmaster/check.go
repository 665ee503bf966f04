package main

import (
	"context"
	"encoding/json"
	"fmt"

	"ringmaster/logic"
)

// checkCommand compiles the database as an engine would that had nothing to fall back on.
type checkCommand struct {
	databaseFlag
	JSON bool `name:"json" help:"Print JSON."`
}

// Help explains.
func (*checkCommand) Help() string {
	return `It reads the committed rows and compiles them as an engine does, publishing nothing. What a running engine makes of the same rows
stands in the table config_problem.

Exit status: 0 when every row can be used, 1 when some cannot, 2 when the database could not be read.

	ringmaster check
	ringmaster check --json | jq .problems`
}

// Run checks.
func (c *checkCommand) Run(ctx context.Context, t terminal) error {
	draft, err := loadDraft(ctx, c.databaseFlag)
	if err != nil {
		fmt.Fprintln(t.err, "ringmaster:", err)
		return exitError(2)
	}
	if c.JSON {
		problems := draft.problems
		if problems == nil {
			problems = []logic.Problem{}
		}
		encoder := json.NewEncoder(t.out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(struct {
			Revision int64           `json:"revision"`
			Problems []logic.Problem `json:"problems"`
		}{draft.rows.Revision, problems}); err != nil {
			return err
		}
	} else {
		for _, problem := range draft.problems {
			fmt.Fprintf(t.out, "%s %s: %s\n", problem.Table, problem.Key, problem.Reason)
		}
		sizes := draft.snapshot.Sizes()
		fmt.Fprintf(t.out, "revision %d: %d services, %d numbers, %d problems\n",
			draft.rows.Revision, sizes["service"], sizes["service_number"], len(draft.problems))
	}
	if len(draft.problems) > 0 {
		return exitError(1)
	}
	return nil
}
