package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ringmaster/cmd/ringmaster/carrier"
)

// makeCarrierCommand fills a database with a made-up carrier.
type makeCarrierCommand struct {
	databaseFlag
	carrier.Size `embed:""`
	JSON         bool `env:"-" help:"Print what was made as JSON."`
}

// Help explains.
func (*makeCarrierCommand) Help() string {
	return `A made-up carrier to measure on, and to get a feeling for size: freephone services with offices, hours and numbers, ported numbers, routes abroad, blocked callers and closed
groups. The same size and seed make the same rows. It goes in as one edit, beside what is there; the demo carrier must be (its trunks are used). To be rid of it, use a database of its own.

As a superuser of Postgres the rows are written without looking at each by itself, and a full-size carrier (6.5 million rows) takes about a minute; as another role it takes several.

	ringmaster make-carrier --numbers 10000 --services 1000 --entries 50000 --calendars 100
	ringmaster load --called 498000000000-498000009999

A database that has one already is left as it is, with status 0.`
}

// Run makes it.
func (c *makeCarrierCommand) Run(ctx context.Context, t terminal) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	made, err := carrier.Make(ctx, conn, c.Size, func(what string, rows int64, took time.Duration) {
		fmt.Fprintf(t.err, "%s: %d rows in %.1f s\n", what, rows, took.Seconds())
	})
	switch {
	case errors.Is(err, carrier.ErrThere):
		fmt.Fprintln(t.err, "the database has a made-up carrier already; nothing was changed")
		return nil
	case err != nil:
		return err
	case c.JSON:
		return json.NewEncoder(t.out).Encode(made)
	}
	fmt.Fprintf(t.out, "%d rows in %.1f s, revision %d: numbers %d to %d\n", made.Rows, made.Seconds, made.Revision, carrier.FirstNumber, carrier.FirstNumber+made.Numbers-1)
	return nil
}
