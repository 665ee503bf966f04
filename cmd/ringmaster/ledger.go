package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"ringmaster/store"
	"ringmaster/store/books"
)

// ledgerCommand reads the books.
type ledgerCommand struct {
	Balance   ledgerBalanceCommand   `cmd:"" help:"Say what accounts have, hold for calls, and may spend."`
	Statement ledgerStatementCommand `cmd:"" help:"List what was booked on an account."`
	Pending   ledgerPendingCommand   `cmd:"" help:"List what is held for calls, and why."`
	Check     ledgerCheckCommand     `cmd:"" help:"Check that the books are right: balances, charges, call records, limits."`
}

// booksFlag is a database whose books are read.
type booksFlag struct {
	databaseFlag
	JSON bool `env:"-" help:"Print as JSON."`
}

// with opens the database for as long as read takes.
func (f booksFlag) with(ctx context.Context, read func(s *store.Store) error) error {
	s, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return read(s)
}

// show prints rows as JSON, or as columns.
func show[T any](out io.Writer, asJSON bool, rows []T, header string, line func(T) string) error {
	if asJSON {
		if rows == nil {
			rows = []T{}
		}
		return json.NewEncoder(out).Encode(rows)
	}
	if len(rows) == 0 {
		return nil
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, header)
	for _, row := range rows {
		fmt.Fprintln(columns, line(row))
	}
	return columns.Flush()
}

// ledgerBalanceCommand shows balances.
type ledgerBalanceCommand struct {
	booksFlag
	Accounts []string `arg:"" optional:"" help:"Accounts; none: all."`
}

// Run shows them.
func (c *ledgerBalanceCommand) Run(ctx context.Context, t terminal) error {
	return c.with(ctx, func(s *store.Store) error {
		balances, err := s.Books().Balances(ctx, c.Accounts)
		if err != nil {
			return err
		}
		if err := show(t.out, c.JSON, balances, "account\tbalance\theld\tcredit\tmay spend\t\tcalls\tstate", func(b books.Balance) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s", b.Account, b.Balance, b.Pending, b.CreditLimit, b.Available, b.Currency, b.Calls, b.State)
		}); err != nil {
			return err
		}
		return books.NoAccount(c.Accounts, balances)
	})
}

// ledgerStatementCommand shows a statement.
type ledgerStatementCommand struct {
	booksFlag
	Account string    `arg:"" help:"The account."`
	Since   time.Time `placeholder:"TIME" help:"From this instant on, as 2026-11-01T00:00:00Z. Default: all."`
}

// Run shows it.
func (c *ledgerStatementCommand) Run(ctx context.Context, t terminal) error {
	return c.with(ctx, func(s *store.Store) error {
		entries, err := s.Books().Statement(ctx, c.Account, c.Since)
		if err != nil {
			return err
		}
		return show(t.out, c.JSON, entries, "at\tkind\tamount\tbalance\tcall\tcalled\tfor\tby", func(e books.Entry) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", e.At.UTC().Format(time.DateTime), e.Kind, e.Amount, e.Balance, e.CallID, e.Called, e.Reference, e.By)
		})
	})
}

// ledgerPendingCommand shows what is held.
type ledgerPendingCommand struct{ booksFlag }

// Run shows it.
func (c *ledgerPendingCommand) Run(ctx context.Context, t terminal) error {
	return c.with(ctx, func(s *store.Store) error {
		held, err := s.Books().Pending(ctx)
		if err != nil {
			return err
		}
		return show(t.out, c.JSON, held, "since\tcall\tnode\taccount\tamount\tgood for\twhy", func(h books.Held) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%d s\t%s", h.CreatedAt.UTC().Format(time.DateTime), h.CallID, h.Node, h.Account, h.Amount, h.Seconds, h.Why)
		})
	})
}

// ledgerCheckCommand checks the books.
type ledgerCheckCommand struct{ booksFlag }

// Help explains.
func (*ledgerCheckCommand) Help() string {
	return `Each balance is the sum of its ledger, what is held is the sum of the pending reservations, no account has spent what it had not, what call records say was charged stands in the ledger and the other way round, and calls that
have ended hold nothing. The view ledger_check has the same for SQL. Exit status: 0 when all of it holds, 1 when not.`
}

// Run checks them.
func (c *ledgerCheckCommand) Run(ctx context.Context, t terminal) error {
	return c.with(ctx, func(s *store.Store) error {
		violations, err := s.Books().Check(ctx)
		if err != nil {
			return err
		}
		if err := show(t.out, c.JSON, violations, "what does not hold\tof\tfigures", func(v books.Violation) string {
			return fmt.Sprintf("%s\t%s\t%s", v.Invariant, v.Subject, v.Detail)
		}); err != nil {
			return err
		}
		if len(violations) > 0 {
			return exitError(1)
		}
		if !c.JSON {
			fmt.Fprintln(t.out, "the books are right")
		}
		return nil
	})
}
