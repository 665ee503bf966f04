package main

import (
	"context"
	"fmt"
	"time"

	"ringmaster/store"
)

// migrateCommand brings a database up to this program's version. Migrations only go forward.
type migrateCommand struct {
	Up     migrateUpCommand     `cmd:"" default:"withargs" help:"Apply what is pending (the default)."`
	Status migrateStatusCommand `cmd:"" help:"List the migrations and when each was applied."`
}

// Help explains.
func (*migrateCommand) Help() string {
	return `Migrations only go forward, each in its own transaction. Run it before the engines of a new version are started; engines of
the version before go on with the new tables.

	ringmaster migrate --database postgres://ringmaster@db/ringmaster --dry-run
	ringmaster migrate --database postgres://ringmaster@db/ringmaster
	ringmaster migrate status`
}

type migrateUpCommand struct {
	databaseFlag
	DryRun bool `help:"Only say what would be applied."`
}

// Run applies what is pending.
func (c *migrateUpCommand) Run(ctx context.Context, t terminal) error {
	address, err := c.address()
	if err != nil {
		return err
	}
	if c.DryRun {
		list, err := store.Migrations(ctx, address)
		if err != nil {
			return err
		}
		pending := 0
		for _, migration := range list {
			if migration.AppliedAt.IsZero() {
				fmt.Fprintf(t.out, "would apply %s\n", migration.Name)
				pending++
			}
		}
		fmt.Fprintf(t.out, "%d of %d migrations are pending; nothing was changed\n", pending, len(list))
		return nil
	}
	applied := 0
	if err := store.Migrate(ctx, address, func(m store.Migration) {
		fmt.Fprintf(t.out, "applied %s\n", m.Name)
		applied++
	}); err != nil {
		return err
	}
	if applied == 0 {
		fmt.Fprintln(t.out, "the database is up to date")
	}
	return nil
}

type migrateStatusCommand struct {
	databaseFlag
}

// Run lists the migrations.
func (c *migrateStatusCommand) Run(ctx context.Context, t terminal) error {
	address, err := c.address()
	if err != nil {
		return err
	}
	list, err := store.Migrations(ctx, address)
	if err != nil {
		return err
	}
	for _, migration := range list {
		state := "pending"
		if !migration.AppliedAt.IsZero() {
			state = "applied " + migration.AppliedAt.UTC().Format(time.DateTime) + " UTC"
		}
		fmt.Fprintf(t.out, "%-36s %s\n", migration.Name, state)
	}
	return nil
}
