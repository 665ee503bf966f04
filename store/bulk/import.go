package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/store"
)

// Source is a file and the table that it is for.
type Source struct {
	Table string
	Name  string // of the file, for errors
	From  io.Reader
}

// Options say how files are imported.
type Options struct {
	Replace  bool                         // rows of the tables that do not stand in the files are deleted
	DryRun   bool                         // everything is done, and then rolled back
	Confirm  string                       // why many rows may be deleted or changed at once (confirm_mass_change); empty: they may not
	Comment  string                       // why, for audit_log
	Progress func(table string, rows int) // called now and then while a file is read; may be nil
}

// Counts is what an import did to one table.
type Counts struct {
	Table                                  string
	Read, Inserted, Updated, Deleted, Same int
}

// RowError is a line that cannot be imported.
type RowError struct {
	File       string
	Line       int    // counted from 1, the line of column names
	Column     string // its name; empty: the line as a whole
	Position   int    // of the column in the file, counted from 1; 0: it is not in the file
	Value      string
	Reason     string
	Constraint string // the name of Postgres' constraint
	Detail     string
	Hint       string

	ends bool // what comes behind it in the file cannot be read
}

func (e *RowError) Error() string {
	text := fmt.Sprintf("%s:%d: ", e.File, e.Line)
	if e.Column != "" {
		text += "column " + e.Column
		if e.Position > 0 {
			text += fmt.Sprintf(" (field %d): %q", e.Position, e.Value)
		}
		text += ": "
	}
	text += e.Reason
	for _, part := range []struct{ name, text string }{{"CONSTRAINT", e.Constraint}, {"DETAIL", e.Detail}, {"HINT", e.Hint}} {
		if part.text != "" {
			text += "\n" + part.name + ": " + part.text
		}
	}
	return text
}

// Import writes files into their tables, all in one transaction: rows whose key is there are updated, others are inserted. Errors that
// concern lines are *RowErrors, and leave everything as it was.
func Import(ctx context.Context, conn *pgx.Conn, sources []Source, o Options) ([]Counts, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("couldn't begin the import: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, "SELECT set_config('ringmaster.comment', $1, true)", o.Comment); err != nil {
		return nil, fmt.Errorf("couldn't begin the import: %w", err)
	}
	if o.Confirm != "" {
		if _, err := tx.Exec(ctx, "SELECT confirm_mass_change($1)", o.Confirm); err != nil {
			return nil, fmt.Errorf("couldn't confirm a mass change: %w", withAdvice(err))
		}
	}
	i := &importer{tx: tx, options: o}
	var unread []*RowError
	for n, source := range sources {
		if slices.ContainsFunc(i.parts, func(p *part) bool { return p.table.name == source.Table }) {
			return nil, fmt.Errorf("couldn't import: table %s stands twice", source.Table)
		}
		wrong, err := i.stage(ctx, n, source)
		if err != nil {
			return nil, err
		}
		unread = append(unread, wrong...)
	}
	if len(unread) > 0 {
		return nil, asOne(unread)
	}
	if _, err := tx.Exec(ctx, "SAVEPOINT staged"); err != nil {
		return nil, fmt.Errorf("couldn't import: %w", err)
	}
	if err := i.write(ctx); err != nil {
		var told *RowErrors
		if errors.As(err, &told) {
			return nil, told
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || !ofALine(refused) {
			return nil, fmt.Errorf("couldn't import: %w", withAdvice(err))
		}
		return nil, i.allWrong(ctx, err)
	}
	counts := make([]Counts, len(i.parts))
	for n, p := range i.parts {
		counts[n] = p.counts
	}
	if o.DryRun {
		return counts, nil
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, fmt.Errorf("couldn't commit the import: %w", withAdvice(err))
	}
	return counts, nil
}

type importer struct {
	tx      pgx.Tx
	options Options
	parts   []*part
}

// part is one file on its way into its table.
type part struct {
	table   *table
	file    *file
	staging string // the temporary table that holds its lines as texts
	last    int    // line of the last record
	counts  Counts
}

// stage copies a file into a temporary table of texts, in which line says where each row stands. It returns the lines that are no CSV of these columns.
func (i *importer) stage(ctx context.Context, n int, source Source) (unread []*RowError, err error) {
	t, err := describe(ctx, i.tx, source.Table)
	if err != nil {
		return nil, err
	}
	f, err := openFile(source.Name, source.From)
	if err != nil {
		return nil, err
	}
	if err := f.check(t); err != nil {
		return nil, err
	}
	p := &part{table: t, file: f, staging: fmt.Sprintf("import_%d", n), counts: Counts{Table: t.name}}
	// Names of the operators' columns never begin with a capital.
	definition := []string{`"Line" bigint`}
	names := []string{"Line"}
	for _, name := range f.header {
		definition = append(definition, quote(name)+" text")
		names = append(names, name)
	}
	if _, err := i.tx.Exec(ctx, fmt.Sprintf("CREATE TEMPORARY TABLE %s (%s) ON COMMIT DROP", p.staging, strings.Join(definition, ", "))); err != nil {
		return nil, fmt.Errorf("couldn't make a temporary table: %w", err)
	}
	values := make([]any, len(names))
	_, err = i.tx.CopyFrom(ctx, pgx.Identifier{p.staging}, names, pgx.CopyFromFunc(func() ([]any, error) {
		record, err := f.next()
		for wrong := (*RowError)(nil); errors.As(err, &wrong) && len(unread) <= MaxRowErrors; wrong = nil {
			unread = append(unread, wrong)
			if wrong.ends {
				return nil, nil
			}
			record, err = f.next()
		}
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		p.counts.Read++
		p.last = f.line
		values[0] = int64(f.line)
		for c, one := range record {
			column, _ := t.column(f.header[c])
			if values[c+1] = one.text; one.null && (column.optional || !isText(column.kind)) {
				values[c+1] = nil
			}
		}
		if i.options.Progress != nil && p.counts.Read%10_000 == 0 {
			i.options.Progress(t.name, p.counts.Read)
		}
		return values, nil
	}))
	if err != nil && len(unread) <= MaxRowErrors {
		return nil, fmt.Errorf("couldn't read %s: %w", f.name, err)
	}
	if len(unread) > 0 {
		return unread, nil
	}
	if _, err := i.tx.Exec(ctx, fmt.Sprintf(`CREATE INDEX ON %s ("Line"); ANALYZE %[1]s`, p.staging), pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, fmt.Errorf("couldn't read %s: %w", f.name, err)
	}
	i.parts = append(i.parts, p)
	return nil, nil
}

// isText reports whether an empty field of a column that must be given is an empty text: spreadsheets do not write "".
func isText(kind string) bool {
	switch kind {
	case "integer", "bigint", "boolean", "date", "jsonb", "numeric", "bytea":
		return false
	}
	return !strings.HasPrefix(kind, "time")
}

// write does all that the import does.
func (i *importer) write(ctx context.Context) error {
	for _, p := range i.parts {
		if err := p.duplicates(ctx, i.tx); err != nil {
			return err
		}
	}
	if i.options.Replace {
		for _, p := range i.parts {
			if p.counts.Read == 0 {
				return asOne([]*RowError{{File: p.file.name, Line: 1, Reason: "there is no row behind the column names: replacing " + p.table.name + " by nothing would delete all of it; use DELETE if that is meant"}})
			}
		}
		// What points to others goes first.
		for n := len(i.parts) - 1; n >= 0; n-- {
			if err := i.parts[n].prune(ctx, i.tx); err != nil {
				return err
			}
		}
	}
	for _, p := range i.parts {
		inserted, updated, err := p.upsert(ctx, i.tx, 0, p.last)
		if err != nil {
			return err
		}
		p.counts.Inserted, p.counts.Updated = inserted, updated
		p.counts.Same = p.counts.Read - inserted - updated
	}
	if i.options.DryRun {
		return store.CheckDeferred(ctx, i.tx)
	}
	// All, and not only what CheckDeferred names: so nobody else commits an edit from this check to the COMMIT that follows.
	_, err := i.tx.Exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE", pgx.QueryExecModeSimpleProtocol)
	return err
}

// duplicates refuses a file in which a key stands twice.
func (p *part) duplicates(ctx context.Context, tx pgx.Tx) error {
	keys := quote(p.key()...)
	var some bool
	if err := tx.QueryRow(ctx, fmt.Sprintf("SELECT EXISTS (SELECT FROM %s GROUP BY %s HAVING count(*) > 1)", p.staging, keys)).Scan(&some); err != nil || !some {
		return err
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT "Line", first, key FROM (
			SELECT "Line", first_value("Line") OVER same AS first, concat_ws(', ', %s) AS key FROM %s WINDOW same AS (PARTITION BY %[1]s ORDER BY "Line")) AS lines
		WHERE "Line" > first ORDER BY "Line" LIMIT %[3]d`, keys, p.staging, MaxRowErrors+1))
	if err != nil {
		return err
	}
	var wrong []*RowError
	var line, first int
	var key string
	if _, err := pgx.ForEachRow(rows, []any{&line, &first, &key}, func() error {
		wrong = append(wrong, &RowError{File: p.file.name, Line: line, Reason: fmt.Sprintf("%s %q stands in line %d already", strings.Join(p.key(), ", "), key, first)})
		return nil
	}); err != nil {
		return err
	}
	return asOne(wrong)
}

// prune deletes the rows whose key is not in the file.
func (p *part) prune(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, fmt.Sprintf("DELETE FROM public.%s AS t WHERE NOT EXISTS (SELECT FROM %s AS i WHERE %s)", quote(p.table.name), p.staging, p.sameKey()))
	p.counts.Deleted = int(tag.RowsAffected())
	return err
}

// sameKey is the condition that a row t of the table and a row i of the file have the same key.
func (p *part) sameKey() string {
	var same []string
	for _, name := range p.table.key {
		c, _ := p.table.column(name)
		operator := "="
		if c.optional {
			operator = "IS NOT DISTINCT FROM"
		}
		given := "NULL"
		if slices.Contains(p.file.header, name) {
			given = "i." + quote(name)
		}
		same = append(same, fmt.Sprintf("t.%s %s %s::%s", quote(name), operator, given, c.kind))
	}
	return strings.Join(same, " AND ")
}

// upsert inserts or updates the rows of the lines from … to, both included. Rows that are as in the file are left alone.
func (p *part) upsert(ctx context.Context, tx pgx.Tx, from, to int) (inserted, updated int, err error) {
	var casts, sets, differ []string
	for _, name := range p.file.header {
		c, _ := p.table.column(name)
		casts = append(casts, quote(name)+"::"+c.kind)
		if !slices.Contains(p.table.key, name) {
			sets = append(sets, fmt.Sprintf("%s = excluded.%[1]s", quote(name)))
			differ = append(differ, fmt.Sprintf("t.%s IS DISTINCT FROM excluded.%[1]s", quote(name)))
		}
	}
	conflict := "NOTHING"
	if len(sets) > 0 {
		conflict = "UPDATE SET " + strings.Join(sets, ", ") + " WHERE " + strings.Join(differ, " OR ")
	}
	// Counted beforehand, for what tells an insert from an update (xmax) only those may read who may read all columns, secrets too.
	if err = tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM %s AS i WHERE "Line" BETWEEN $1 AND $2 AND NOT EXISTS (SELECT FROM public.%s AS t WHERE %s)`,
		p.staging, quote(p.table.name), p.sameKey()), from, to).Scan(&inserted); err != nil {
		return 0, 0, err
	}
	tag, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO public.%s AS t (%s) SELECT %s FROM %s WHERE "Line" BETWEEN $1 AND $2 ORDER BY "Line" ON CONFLICT ON CONSTRAINT %s DO %s`,
		quote(p.table.name), quote(p.file.header...), strings.Join(casts, ", "), p.staging, quote(p.table.unique), conflict), from, to)
	return inserted, int(tag.RowsAffected()) - inserted, err
}

// withAdvice adds Postgres' DETAIL and HINT to an error's text.
func withAdvice(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return fmt.Errorf("%w%s", err, store.Advice(refused))
	}
	return err
}
