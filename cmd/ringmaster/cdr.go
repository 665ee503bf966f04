package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"time"

	"ringmaster/store"
)

// cdrCommand reads call detail records.
type cdrCommand struct {
	Export cdrExportCommand `cmd:"" help:"Write call detail records as CSV or JSON, for billing; --follow goes on as calls end."`
}

// cdrExportCommand writes records in the order in which they became durable.
type cdrExportCommand struct {
	databaseFlag
	From   time.Time     `placeholder:"TIME" help:"Only what was stored at this time or later: 2026-11-27T00:00:00Z."`
	To     time.Time     `placeholder:"TIME" help:"Only what was stored before this time."`
	After  string        `placeholder:"CURSOR" help:"Go on after the record that has this value in its column cursor."`
	JSON   bool          `env:"-" help:"Write an object in each line, instead of CSV."`
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

With --after there is no line of column names. --json writes the same as an object in each line, with null for NULL, numbers as numbers, and legs, charges and flags as they are.

Records that cdr_retention has dropped meanwhile cannot be written: standard error says of which days they are missing. A transaction that writes and is left open, in any psql of the server, holds back what was stored since it began: nothing is lost, it comes later.`
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
	dropped, err := s.DroppedCDRs(ctx, c.After, c.From, until)
	if err != nil {
		return err
	}
	if len(dropped) > 0 {
		fmt.Fprintln(t.err, "ringmaster: "+toldDropped(dropped))
	}
	buffer := bufio.NewWriter(t.out)
	write, err := writeCSV(buffer, c.After == "" && !c.JSON)
	if c.JSON {
		write = func(record []*string) error {
			line, err := store.AppendCDR(buffer.AvailableBuffer(), record)
			_, failed := buffer.Write(append(line, '\n'))
			return errors.Join(err, failed)
		}
	}
	if err != nil {
		return err
	}
	for cursor := c.After; ; {
		cursor, err = s.ExportCDRs(ctx, cursor, c.From, until, write)
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

// toldDropped says which records an export lacks.
func toldDropped(days []store.DroppedDay) string {
	var records int64
	for _, one := range days {
		records += one.Records
	}
	return fmt.Sprintf("%d call records are missing here that were stored on %d days from %s to %s (UTC): retention has dropped them (SELECT * FROM cdr_dropped_day)",
		records, len(days), days[0].Day.UTC().Format(time.DateOnly), days[len(days)-1].Day.UTC().Format(time.DateOnly))
}

// writeCSV returns what writes a record as a line of CSV.
func writeCSV(to io.Writer, header bool) (write func(record []*string) error, err error) {
	out := csv.NewWriter(to)
	columns := store.CDRColumns()
	line := func(fields []string) error {
		err := out.Write(fields)
		out.Flush()
		return errors.Join(err, out.Error())
	}
	if header {
		if err := line(columns); err != nil {
			return nil, err
		}
	}
	fields := make([]string, len(columns))
	return func(record []*string) error {
		for i, value := range record {
			fields[i] = ""
			if value != nil {
				fields[i] = *value
			}
		}
		return line(fields)
	}, nil
}
