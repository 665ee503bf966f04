package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"ringmaster/store/postgres"
)

// sqlCommand becomes psql on the right database: operators type SQL, so that should not begin with an address.
type sqlCommand struct {
	databaseFlag
	Command string   `short:"c" env:"-" placeholder:"SQL" help:"Run this and end."`
	File    string   `short:"f" env:"-" placeholder:"FILE" help:"Run this file, in one transaction, and end."`
	Rest    []string `arg:"" optional:"" help:"After --, whatever else psql is to be told."`
}

// Help explains.
func (*sqlCommand) Help() string {
	return `	ringmaster sql
	ringmaster sql -c "SELECT * FROM config_problem"
	ringmaster sql -f new-service.sql
	ringmaster sql --database postgres://operator@db/ringmaster
	ringmaster sql -c "SELECT * FROM cdr" -- --csv

In psql, \dt+ lists the tables, \d+ service_number says what each column means.`
}

// Run becomes psql.
func (c *sqlCommand) Run() error {
	address, err := c.address()
	if err != nil {
		return err
	}
	program, err := exec.LookPath("psql")
	if err != nil {
		if folder, missing := postgres.FindBinaries(); missing == nil {
			program, err = exec.LookPath(filepath.Join(folder, "psql"))
		}
	}
	if err != nil {
		return errors.New("psql isn't installed: on Debian it is in the package postgresql-client")
	}
	arguments := []string{"psql", "--dbname", address, "--set", "ON_ERROR_STOP=1"}
	if c.Command != "" {
		arguments = append(arguments, "--command", c.Command)
	}
	if c.File != "" {
		arguments = append(arguments, "--single-transaction", "--file", c.File)
	}
	arguments = append(arguments, c.Rest...)
	if err := syscall.Exec(program, arguments, os.Environ()); err != nil {
		return fmt.Errorf("couldn't run %s: %w", program, err)
	}
	return nil
}
