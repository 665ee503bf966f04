// Package bulk brings operators' tables out of Postgres and into it as CSV (RFC 4180): Export, and Import of one or more tables in one
// transaction.
//
// It knows no table by itself: columns, keys and constraints are what Postgres' catalog says. Secrets neither leave nor enter. An error
// names the line and the column of the file.
package bulk

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"ringmaster/store"
)

// secretColumns never leave the database, and secretTables hold nothing else. They are changed by set_node_secret, set_card_pin and rotate_session_key.
var (
	secretColumns = []string{"node.secret_sha256", "card.pin"}
	secretTables  = []string{"session_key"}
)

// Tables lists the tables that can be exported and imported.
func Tables() []string {
	return slices.DeleteFunc(store.OperatorTables(), func(name string) bool { return slices.Contains(secretTables, name) })
}

// table is an operators' table as the catalog describes it.
type table struct {
	name    string
	columns []column // without secrets, and without what Postgres numbers by itself
	key     []string // the columns by which a row of a file is one of the table
	unique  string   // the name of that key's constraint
}

type column struct {
	name     string
	kind     string // SQL type
	optional bool   // may be NULL
}

func (t *table) column(name string) (column, bool) {
	index := slices.IndexFunc(t.columns, func(c column) bool { return c.name == name })
	if index < 0 {
		return column{}, false
	}
	return t.columns[index], true
}

func (t *table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// describe reads the catalog.
func describe(ctx context.Context, tx pgx.Tx, name string) (*table, error) {
	if !slices.Contains(Tables(), name) {
		return nil, fmt.Errorf("%q is no table that can be exported and imported; there are: %s", name, strings.Join(Tables(), ", "))
	}
	t := &table{name: name}
	rows, err := tx.Query(ctx, `SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, attidentity <> '' FROM pg_attribute
		WHERE attrelid = ('public.' || quote_ident($1))::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, name)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the columns of %s: %w", name, err)
	}
	numbered := []string{}
	var c column
	var identity bool
	if _, err := pgx.ForEachRow(rows, []any{&c.name, &c.kind, &c.optional, &identity}, func() error {
		switch {
		case identity:
			numbered = append(numbered, c.name)
		case !slices.Contains(secretColumns, name+"."+c.name):
			t.columns = append(t.columns, c)
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("couldn't read the columns of %s: %w", name, err)
	}
	// The primary key, or where Postgres numbers the rows, what else tells them apart.
	err = tx.QueryRow(ctx, `SELECT conname, (SELECT array_agg(attname::text ORDER BY position) FROM unnest(conkey) WITH ORDINALITY AS k (attnum, position)
			JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.attnum) AS columns
		FROM pg_constraint WHERE conrelid = ('public.' || quote_ident($1))::regclass AND contype IN ('p', 'u') AND NOT condeferrable
			AND NOT EXISTS (SELECT FROM unnest(conkey) AS k (attnum) JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.attnum WHERE a.attname = ANY ($2))
		ORDER BY contype, conname LIMIT 1`, name, numbered).Scan(&t.unique, &t.key)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the key of %s: %w", name, err)
	}
	return t, nil
}

func quote(names ...string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}

// Export writes a table, its rows in the order of their keys, with a line of column names first. NULL is an empty field, and an empty text
// is "".
func Export(ctx context.Context, conn *pgx.Conn, name string, w io.Writer) (rows int64, err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return 0, fmt.Errorf("couldn't export %s: %w", name, err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	t, err := describe(ctx, tx, name)
	if err != nil {
		return 0, err
	}
	tag, err := conn.PgConn().CopyTo(ctx, w, fmt.Sprintf("COPY (SELECT %s FROM public.%s ORDER BY %s) TO STDOUT WITH (FORMAT csv, HEADER)",
		quote(t.names()...), quote(t.name), quote(t.key...)))
	if err != nil {
		return 0, fmt.Errorf("couldn't export %s: %w", name, err)
	}
	return tag.RowsAffected(), nil
}
