package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic"
)

// LoadRevision reads the operators' tables as they were at an older config revision, without secrets, as LoadPublic does. The revision of the rows is the newest one, and
// accounts, which no snapshot holds, are as they are now.
//
// It is no rollback that is taken back: that would be refused for what no engine decides by (an account that was topped up since, a card or a node whose secret is not
// kept), would hold up those who edit, and would need their rights. Here the history is undone in the queries, and nothing is written.
func (s *Store) LoadRevision(ctx context.Context, revision int64) (*logic.Rows, error) {
	fail := func(err error) (*logic.Rows, error) {
		return nil, fmt.Errorf("couldn't read the rows of revision %d: %w", revision, advised(err))
	}
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fail(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	since, err := changedSince(ctx, tx, revision)
	if err != nil {
		return fail(err)
	}
	rows, err := loadPublic(ctx, tx, since)
	if err != nil {
		return fail(err)
	}
	return rows, nil
}

// changedRows are the rows of a table that differ between a revision and now, as the history keeps them.
type changedRows struct{ are, were []json.RawMessage }

// changedSince lists what differs from a revision, by table.
func changedSince(ctx context.Context, tx pgx.Tx, revision int64) (map[string]*changedRows, error) {
	// Old session keys never come back, and tools do not see any.
	var undone []string
	for _, t := range tables {
		if t.name != "session_key" {
			undone = append(undone, t.name)
		}
	}
	rows, err := tx.Query(ctx, `SELECT table_name, row_key IS NOT NULL, operation, coalesce(rows, 0), coalesce(revision, 0), before, after
		FROM config_diff((SELECT revision FROM config_revision), $1) WHERE table_name = ANY ($2)`, revision, undone)
	if err != nil {
		return nil, err
	}
	since := make(map[string]*changedRows)
	var name, operation string
	var single bool
	var count, at int64
	var is, was []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &single, &operation, &count, &at, &is, &was}, func() error {
		if !single {
			which := "all rows"
			if count > 0 {
				which = fmt.Sprintf("%d rows", count)
			}
			return fmt.Errorf("what was before revision %d is not kept: %s of %s changed %s in one statement, and single rows are kept up to 10000; ask for revision %[1]d or a later one",
				at, operation, name, which)
		}
		changed := since[name]
		if changed == nil {
			changed = new(changedRows)
			since[name] = changed
		}
		if is != nil {
			changed.are = append(changed.are, slices.Clone(is))
		}
		if was != nil {
			changed.were = append(changed.were, slices.Clone(was))
		}
		return nil
	})
	return since, err
}

// undone makes the query of a table one of the table as it was: without the rows that differ now ($1), and with what they were ($2).
func (c *changedRows) undone(ctx context.Context, tx pgx.Tx, table, sql string) (string, error) {
	var columns, same string
	// What the role may not read, a secret, is in no query that this is for.
	err := tx.QueryRow(ctx, `SELECT string_agg(format('x.%I', attname), ', ' ORDER BY attnum) FILTER (WHERE has_column_privilege(attrelid, attnum, 'SELECT')),
			string_agg(format('x.%1$I = r.%1$I', attname), ' AND ') FILTER (WHERE attnum = ANY (conkey))
		FROM pg_attribute JOIN pg_constraint ON conrelid = attrelid AND contype = 'p'
		WHERE attrelid = ('public.' || quote_ident($1))::regclass AND attnum > 0 AND NOT attisdropped`, table).Scan(&columns, &same)
	if err != nil {
		return "", err
	}
	images := func(parameter string) string {
		return fmt.Sprintf("unnest(%s::jsonb[]) AS image, jsonb_populate_record(NULL::public.%s, image)", parameter, table)
	}
	from := fmt.Sprintf("(SELECT %[1]s FROM public.%[2]s AS x WHERE NOT EXISTS (SELECT FROM %[3]s AS r WHERE %[4]s) UNION ALL SELECT %[1]s FROM %[5]s AS x) AS %[2]s",
		columns, table, images("$1"), same, images("$2"))
	return strings.TrimSuffix(sql, table) + from, nil
}
