package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"time"

	"ringmaster/store"
)

// cdrCommand reads call detail records.
type cdrCommand struct {
	Export cdrExportCommand `cmd:"" help:"Write call detail records as CSV, for billing; --follow goes on as calls end."`
}

// cdrExportCommand writes records in the order in which they became durable.
type cdrExportCommand struct {
	databaseFlag
	From   time.Time     `placeholder:"TIME" help:"Only what was stored at this time or later: 2026-11-27T00:00:00Z."`
	To     time.Time     `placeholder:"TIME" help:"Only what was stored before this time."`
	After  string        `placeholder:"CURSOR" help:"Go on after the record that has this value in its column cursor."`
	Follow bool          `help:"Go on, and write records as they are stored, until Ctrl-C."`
	Every  time.Duration `default:"1s" help:"How often --follow looks. (${default})"`
}

// Help explains.
func (*cdrExportCommand) Help() string {
	return `It writes CSV to standard output: UTF-8, commas, column names in the first line, an empty field for NULL, times in UTC; legs, charges and flags are
JSON. A row of kind "correction" is the real end of a call that had been closed as node_lost; its charges are the differences.

Every record comes once. To go on another time, give the cursor of the last row that you have kept:

	ringmaster cdr export > all.csv
	ringmaster cdr export --follow --after 75310/node1/1764240000.17 >> all.csv

With --after there is no line of column names. A transaction that writes and is left open, in any psql of the server, holds back what was stored since it began: nothing is lost, it comes later.`
}

// Run exports.
func (c *cdrExportCommand) Run(ctx context.Context, t terminal) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	until := c.To
	if until.IsZero() {
		until = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	buffer := bufio.NewWriter(t.out)
	out := csv.NewWriter(buffer)
	if c.After == "" {
		if err := out.Write(store.CDRColumns()); err != nil {
			return err
		}
	}
	fields := make([]string, len(store.CDRColumns()))
	write := func(record []*string) error {
		for i, value := range record {
			fields[i] = ""
			if value != nil {
				fields[i] = *value
			}
		}
		return out.Write(fields)
	}
	for cursor := c.After; ; {
		cursor, err = s.ExportCDRs(ctx, cursor, c.From, until, write)
		out.Flush()
		if flushed := buffer.Flush(); flushed != nil {
			return flushed
		}
		if c.Follow && ctx.Err() != nil {
			return nil
		}
		if err != nil || !c.Follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.Every):
		}
	}
}
