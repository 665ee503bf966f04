package bulk

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/store"
)

// locate finds the line and the column that Postgres has refused at COMMIT, or else returns the error. It finds the row by trying: half of the lines, then
// half of those, each time from the state before the import. That costs
// what two or three imports of the file cost.
func (i *importer) locate(ctx context.Context, failure error) (*part, *RowError, error) {
	var refused *pgconn.PgError
	if !errors.As(failure, &refused) || !ofALine(refused) {
		return nil, nil, fmt.Errorf("couldn't import: %w", withAdvice(failure))
	}
	// The file of the table that the error names first.
	order := slices.Clone(i.parts)
	slices.SortStableFunc(order, func(a, b *part) int { return named(b, refused) - named(a, refused) })
	finders := []func(context.Context, *part, *pgconn.PgError) (int, bool){i.pointing, i.alone, i.mentioned, i.afterOthers}
	for n := range len(finders) * len(order) {
		p := order[n%len(order)]
		line, found := finders[n/len(order)](ctx, p, refused)
		if !found {
			continue
		}
		return p, i.rowError(ctx, p, line, refused), nil
	}
	return nil, nil, fmt.Errorf("couldn't import: %w", withAdvice(failure))
}

// rowError says what is wrong with a line, from the state before the import.
func (i *importer) rowError(ctx context.Context, p *part, line int, refused *pgconn.PgError) *RowError {
	i.back(ctx)
	e := &RowError{File: p.file.name, Line: line, Reason: refused.Message, Constraint: refused.ConstraintName, Detail: refused.Detail, Hint: refused.Hint}
	e.Column = i.columnOf(ctx, p, line, refused)
	if e.Position = 1 + slices.Index(p.file.header, e.Column); e.Position > 0 {
		var value *string
		if err := i.tx.QueryRow(ctx, fmt.Sprintf(`SELECT %s FROM %s WHERE "Line" = $1`, quote(e.Column), p.staging), line).Scan(&value); err == nil && value != nil {
			e.Value = *value
		}
	}
	return e
}

func named(p *part, refused *pgconn.PgError) int {
	if p.table.name == refused.TableName {
		return 1
	}
	return 0
}

// missing is the DETAIL of a foreign key that leads nowhere.
var missing = regexp.MustCompile(`^Key \((.+)\)=\((.*)\) is not present`)

// pointing returns the first line whose foreign key leads to the missing row that Postgres names: no need to search a million lines.
func (i *importer) pointing(ctx context.Context, p *part, refused *pgconn.PgError) (line int, found bool) {
	named := missing.FindStringSubmatch(refused.Detail)
	if named == nil {
		return 0, false
	}
	columns := strings.Split(named[1], ", ")
	for _, name := range columns {
		if !slices.Contains(p.file.header, name) {
			return 0, false
		}
	}
	i.back(ctx)
	if err := i.tx.QueryRow(ctx, fmt.Sprintf(`SELECT min("Line") FROM %s WHERE "Line" > 0 AND concat_ws(', ', %s) = $1 HAVING count(*) > 0`, p.staging, quote(columns...)), named[2]).Scan(&line); err != nil {
		i.back(ctx)
		return 0, false
	}
	return line, i.refuses(ctx, p, line, line, refused)
}

// alone returns the first line whose row alone, with all of the other files, is refused for the same reason.
func (i *importer) alone(ctx context.Context, p *part, refused *pgconn.PgError) (line int, found bool) {
	from, to := 0, p.last
	if len(i.parts) > 1 && !i.refuses(ctx, p, from, to, refused) {
		return 0, false
	}
	for from < to {
		if ctx.Err() != nil {
			return 0, false
		}
		if middle := from + (to-from)/2; i.refuses(ctx, p, from, middle, refused) {
			to = middle
		} else {
			from = middle + 1
		}
	}
	return to, to > 0 && i.refuses(ctx, p, to, to, refused)
}

// afterOthers returns the first line that is refused behind those before it, such as a second rate for the same time.
func (i *importer) afterOthers(ctx context.Context, p *part, refused *pgconn.PgError) (line int, found bool) {
	if !i.refuses(ctx, p, 0, p.last, refused) || i.refuses(ctx, p, 0, 0, refused) {
		return 0, false // it is not of this file
	}
	from, to := 1, p.last
	for from < to && ctx.Err() == nil {
		if middle := from + (to-from)/2; i.refuses(ctx, p, 0, middle, refused) {
			to = middle
		} else {
			from = middle + 1
		}
	}
	return to, ctx.Err() == nil
}

// mentioned returns the line whose key the error names. What Postgres checks at COMMIT may need rows of several files, so that no line is
// wrong alone.
func (i *importer) mentioned(ctx context.Context, p *part, refused *pgconn.PgError) (line int, found bool) {
	i.back(ctx)
	var length, named []string
	for _, name := range p.table.key {
		if !slices.Contains(p.file.header, name) {
			return 0, false
		}
		length = append(length, "length("+quote(name)+")")
		// As a whole word, where names have letters, digits, - and _.
		named = append(named, fmt.Sprintf(`position(%s IN $1) > 0 AND $1 ~ ('(^|[^A-Za-z0-9_-])' || regexp_replace(%[1]s, '([^A-Za-z0-9])', '\\\1', 'g') || '($|[^A-Za-z0-9_-])')`, quote(name)))
	}
	err := i.tx.QueryRow(ctx, fmt.Sprintf(`SELECT "Line" FROM %s WHERE "Line" > 0 AND %s ORDER BY %s DESC, "Line" LIMIT 1`, p.staging, strings.Join(named, " AND "), strings.Join(length, " + ")),
		refused.Message+" "+refused.Detail).Scan(&line)
	if err != nil {
		i.back(ctx)
	}
	return line, err == nil
}

// refuses tries some lines of one file, with all of the others.
func (i *importer) refuses(ctx context.Context, p *part, from, to int, refused *pgconn.PgError) bool {
	defer i.back(ctx)
	i.back(ctx)
	err := func() error {
		for _, other := range i.parts {
			first, last := 0, other.last
			if other == p {
				first, last = from, to
			}
			if _, _, err := other.upsert(ctx, i.tx, first, last); err != nil {
				return err
			}
		}
		return store.CheckDeferred(ctx, i.tx)
	}()
	var again *pgconn.PgError
	return errors.As(err, &again) && again.Code == refused.Code && again.ConstraintName == refused.ConstraintName && again.TableName == refused.TableName
}

// back undoes what was tried.
func (i *importer) back(ctx context.Context) {
	_, _ = i.tx.Exec(ctx, "ROLLBACK TO SAVEPOINT staged") // what fails now fails in the next statement too
}

// columnOf finds the column of a refused row: the one that Postgres names, the one whose value is of no use by itself, or the only one of the
// constraint. Empty: it is the row as a whole.
func (i *importer) columnOf(ctx context.Context, p *part, line int, refused *pgconn.PgError) string {
	if _, ok := p.table.column(refused.ColumnName); ok {
		return refused.ColumnName
	}
	for _, name := range p.file.header {
		c, _ := p.table.column(name)
		var fits bool
		err := i.tx.QueryRow(ctx, fmt.Sprintf(`SELECT %s::%s IS NOT NULL FROM %s WHERE "Line" = $1`, quote(name), c.kind, p.staging), line).Scan(&fits)
		if err != nil {
			i.back(ctx)
			return name
		}
	}
	var columns []string
	if err := i.tx.QueryRow(ctx, `SELECT array_agg(attname::text) FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
		WHERE c.conname = $1 AND c.conrelid = ('public.' || quote_ident($2))::regclass`, refused.ConstraintName, p.table.name).Scan(&columns); err != nil {
		i.back(ctx)
		return ""
	}
	if len(columns) == 1 {
		return columns[0]
	}
	return ""
}
