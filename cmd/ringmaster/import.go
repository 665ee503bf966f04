package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/store/bulk"
)

// importCommand reads CSV into tables.
type importCommand struct {
	databaseFlag
	Files   []string `arg:"" name:"table-and-file" help:"An operators' table and its CSV file (- is standard input), as often as needed: service services.csv service_parameter parameters.csv."`
	Merge   bool     `xor:"mode" help:"Insert and update; leave rows alone that are not in the file (the default)."`
	Replace bool     `xor:"mode" help:"Delete rows that are not in the file, too."`
	DryRun  bool     `help:"Do all of it, say what it came to, and undo it."`
	Confirm string   `env:"-" placeholder:"TEXT" help:"Why many rows may be deleted or changed at once, which is refused else; it stands in audit_log."`
	Comment string   `env:"-" placeholder:"TEXT" help:"Why: it stands in audit_log."`
}

// Help explains.
func (*importCommand) Help() string {
	return `All files are one edit: they go in together, or nothing does. A row whose key is there already is updated, and left alone when it says the
same. Rows that belong together, such as a service and its parameters, go into one import, parents first.

The first line of a file names its columns, in any order. A column that is left out keeps its value, or gets its default. Fields are apart by
commas, or by semicolons; the text is UTF-8. An empty field is NULL where the column may be NULL, and "" is an empty text.

Lines that cannot be used are named, up to 20, each with its column and what is wrong with it. Exit status: 0, or 1 when nothing was imported.

	ringmaster import service_number numbers.csv --dry-run
	ringmaster import service_number numbers.csv --comment "numbers of acme, ticket 4711"
	ringmaster import service services.csv service_parameter parameters.csv service_number numbers.csv
	ringmaster export translation | sed s/4930200100/4930200777/ | ringmaster import translation - --replace`
}

// Run imports.
func (c *importCommand) Run(ctx context.Context, t terminal) error {
	if len(c.Files)%2 != 0 {
		return fmt.Errorf("a table and its file belong together: ringmaster import service_number numbers.csv")
	}
	var sources []bulk.Source
	for i := 0; i < len(c.Files); i += 2 {
		source := bulk.Source{Table: c.Files[i], Name: c.Files[i+1], From: t.in}
		if source.Name == "-" {
			source.Name = "standard input"
		} else {
			file, err := os.Open(source.Name)
			if err != nil {
				return err
			}
			defer file.Close()
			source.From = file
		}
		sources = append(sources, source)
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	said := time.Now()
	counts, err := bulk.Import(ctx, conn, sources, bulk.Options{Replace: c.Replace, DryRun: c.DryRun, Confirm: c.Confirm, Comment: c.Comment,
		Progress: func(table string, rows int) {
			if time.Since(said) >= time.Second {
				said = time.Now()
				fmt.Fprintf(t.err, "%s: %d rows read\n", table, rows)
			}
		}})
	if err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.ConstraintName == "mass_changes_are_confirmed" {
			return fmt.Errorf("%w\nIn an import: --confirm REASON", err)
		}
		return err
	}
	for _, n := range counts {
		fmt.Fprintf(t.out, "%s: %d rows read, %d inserted, %d updated, %d deleted, %d as they were\n", n.Table, n.Read, n.Inserted, n.Updated, n.Deleted, n.Same)
	}
	if c.DryRun {
		fmt.Fprintln(t.out, "dry run: nothing was changed")
	}
	return nil
}
