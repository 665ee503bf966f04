package main

import (
	"bufio"
	"context"

	"github.com/jackc/pgx/v5"

	"ringmaster/store/bulk"
)

// exportCommand writes a table as CSV.
type exportCommand struct {
	databaseFlag
	Table string `arg:"" help:"The operators' table: service_number, translation, …"`
}

// Help explains.
func (*exportCommand) Help() string {
	return `It writes CSV to standard output: UTF-8, commas, column names in the first line, an empty field for NULL. Secrets, and numbers that Postgres
gives by itself, are left out. What it writes, "ringmaster import" reads.

	ringmaster export service_number > numbers.csv`
}

// Run exports.
func (c *exportCommand) Run(ctx context.Context, t terminal) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	out := bufio.NewWriter(t.out)
	if _, err := bulk.Export(ctx, conn, c.Table, out); err != nil {
		return err
	}
	return out.Flush()
}

// connect opens one connection to the database, after what open checks.
func (f databaseFlag) connect(ctx context.Context) (*pgx.Conn, error) {
	s, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	s.Close()
	address, err := f.address()
	if err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, address)
}
