package bulk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/store"
)

// MaxRowErrors is how many wrong lines an import tells of at most.
const MaxRowErrors = 20

// RowErrors are the lines that cannot be imported, in the order of the files.
type RowErrors struct {
	Rows []*RowError
	More bool // there may be more than MaxRowErrors
}

func (e *RowErrors) Error() string {
	texts := make([]string, len(e.Rows))
	for i, row := range e.Rows {
		texts[i] = row.Error()
	}
	if e.More {
		texts = append(texts, fmt.Sprintf("that are the first %d; there may be more", len(e.Rows)))
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives each line's error.
func (e *RowErrors) Unwrap() []error {
	all := make([]error, len(e.Rows))
	for i, row := range e.Rows {
		all[i] = row
	}
	return all
}

// asOne is the error of the lines, of which there is at least one.
func asOne(rows []*RowError) error {
	if len(rows) > MaxRowErrors {
		return &RowErrors{Rows: rows[:MaxRowErrors], More: true}
	}
	return &RowErrors{Rows: rows}
}

// wrongLine is a line of a file that Postgres refuses.
type wrongLine struct {
	part    *part
	line    int
	refused *pgconn.PgError
}

// search finds all lines that are refused, up to MaxRowErrors and one more. It has a first error, and begins from the state before the import.
type search struct {
	*importer
	wrong []wrongLine
	stays bool            // what the import would delete could not be: a line says something that is no value of its key
	out   map[*part][]int // the lines that are left out because they are wrong, or belong to what is
}

// allWrong finds the lines that Postgres refuses. A line that is refused by itself, or for what stands in the database or in lines before it, is found by taking the good ones in: a range that
// is refused is halved until single lines are left, which costs what a few imports cost. What is checked at COMMIT has no line; it is located
// and left out, one after the other.
func (i *importer) allWrong(ctx context.Context, failure error) error {
	s := &search{importer: i, out: make(map[*part][]int)}
	atCommit := s.scan(ctx)
	var rows []*RowError
	for _, w := range s.wrong {
		rows = append(rows, i.rowError(ctx, w.part, w.line, w.refused))
	}
	if len(rows) == 0 {
		if atCommit == nil {
			atCommit = failure
		}
		for atCommit != nil && len(rows) <= MaxRowErrors && len(s.wrong) == 0 && ctx.Err() == nil {
			p, row, err := i.locate(ctx, atCommit)
			if row == nil {
				if len(rows) == 0 {
					return err
				}
				break
			}
			rows = append(rows, row)
			if p == nil || !s.leaveOut(ctx, p, row.Line) {
				break
			}
			atCommit = s.scan(ctx)
		}
	}
	return asOne(rows)
}

// scan takes in whatever can be taken in, notes what cannot, and returns what is then refused at COMMIT. It leaves the state as it was.
func (s *search) scan(ctx context.Context) (atCommit error) {
	s.back(ctx)
	defer s.back(ctx)
	if s.options.Replace {
		for n := len(s.parts) - 1; n >= 0; n-- {
			if err := s.try(ctx, func() error { return s.parts[n].prune(ctx, s.tx) }); err != nil {
				s.stays = true
			}
		}
	}
	for _, p := range s.parts {
		s.halve(ctx, p, 0, p.last)
	}
	if len(s.wrong) > 0 {
		return nil // what lacks these lines may be refused for that alone
	}
	return s.try(ctx, func() error { return store.CheckDeferred(ctx, s.tx) })
}

// try does something in a savepoint, and undoes it when it is refused.
func (s *search) try(ctx context.Context, what func() error) error {
	if _, err := s.tx.Exec(ctx, "SAVEPOINT tried"); err != nil {
		return err
	}
	err := what()
	end := "RELEASE SAVEPOINT tried"
	if err != nil {
		end = "ROLLBACK TO SAVEPOINT tried; RELEASE SAVEPOINT tried"
	}
	if _, failed := s.tx.Exec(ctx, end, pgx.QueryExecModeSimpleProtocol); failed != nil && err == nil {
		err = failed
	}
	return err
}

// halve takes in the lines from … to of a file, both included, without those that are refused.
func (s *search) halve(ctx context.Context, p *part, from, to int) {
	if from > to || len(s.wrong) > MaxRowErrors || ctx.Err() != nil {
		return
	}
	err := s.try(ctx, func() error { _, _, err := p.upsert(ctx, s.tx, from, to); return err })
	var refused *pgconn.PgError
	switch {
	case err == nil || !errors.As(err, &refused):
	case from < to:
		middle := from + (to-from)/2
		s.halve(ctx, p, from, middle)
		s.halve(ctx, p, middle+1, to)
	case ofALine(refused):
		const unique = "23505"
		if !s.follows(ctx, refused) && !(s.stays && refused.Code == unique) {
			s.wrong = append(s.wrong, wrongLine{p, to, refused})
		}
		s.out[p] = append(s.out[p], to)
	}
}

// ofALine reports whether a refusal is of what a row says.
func ofALine(refused *pgconn.PgError) bool {
	return refused.Code[:2] == "22" || refused.Code[:2] == "23"
}

// follows reports whether a line is refused only because it points to one that is left out.
func (s *search) follows(ctx context.Context, refused *pgconn.PgError) bool {
	named := missing.FindStringSubmatch(refused.Detail)
	if named == nil {
		return false
	}
	for p, lines := range s.out {
		if !strings.Contains(refused.Detail, fmt.Sprintf("%q", p.table.name)) {
			continue
		}
		var there bool
		err := s.tx.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s WHERE abs("Line") = ANY ($1) AND concat_ws(', ', %s) = $2)`, p.staging, quote(p.key()...)), lines, named[2]).Scan(&there)
		if err == nil && there {
			return true
		}
	}
	return false
}

// key is what of the table's key stands in the file.
func (p *part) key() []string {
	return slices.DeleteFunc(slices.Clone(p.table.key), func(name string) bool { return !slices.Contains(p.file.header, name) })
}

// leaveOut takes a line out of its file for good, and with it what it is a part of: a service whose parameter is wrong has not by that lost it.
func (s *search) leaveOut(ctx context.Context, p *part, line int) bool {
	s.back(ctx)
	for _, owner := range s.parts {
		// A column that points to a table has its name.
		if owner == p || !slices.Contains(p.file.header, owner.table.name) || !slices.Equal(owner.key(), []string{owner.table.name}) {
			continue
		}
		name := quote(owner.table.name)
		var lines []int
		if err := s.tx.QueryRow(ctx, fmt.Sprintf(`SELECT coalesce(array_agg(o."Line"), '{}') FROM %s AS o JOIN %s AS l ON o.%s = l.%[3]s WHERE l."Line" = $1`, owner.staging, p.staging, name), line).Scan(&lines); err != nil {
			return false
		}
		s.out[owner] = append(s.out[owner], lines...)
	}
	s.out[p] = append(s.out[p], line)
	for one, lines := range s.out {
		if _, err := s.tx.Exec(ctx, fmt.Sprintf(`UPDATE %s SET "Line" = -"Line" WHERE "Line" = ANY ($1)`, one.staging), lines); err != nil {
			return false
		}
	}
	_, err := s.tx.Exec(ctx, "SAVEPOINT staged") // later than the first of that name, to which nobody goes back any more
	return err == nil
}
