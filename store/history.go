package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Change is what became of one row between two config revisions, or of many rows of which single images are not kept.
type Change struct {
	Table     string          `json:"table"`
	Operation string          `json:"operation"` // INSERT, UPDATE, DELETE; of many rows also TRUNCATE; of a rollback also Left
	Key       string          `json:"key"`       // primary key, with . between columns; empty: many rows
	Rows      int64           `json:"rows"`      // 1, or how many; 0: all there were
	Before    json.RawMessage `json:"before,omitempty"`
	After     json.RawMessage `json:"after,omitempty"`
	Revision  int64           `json:"revision"` // the last that changed it
	At        time.Time       `json:"at"`
	By        string          `json:"by"`
	Comment   string          `json:"comment,omitempty"`
}

// Diff lists what differs between two config revisions (to 0: the newest), by table and key. From a later to an earlier one it is what a rollback would do.
// An error of Postgres says which revisions there are.
func (s *Store) Diff(ctx context.Context, from, to int64) ([]Change, error) {
	rows, err := s.pool.Query(ctx, `SELECT table_name, operation, coalesce(row_key, ''), coalesce(rows, 0), before, after, revision, at, by, coalesce(comment, '')
		FROM config_diff($1, coalesce(nullif($2, 0), (SELECT revision FROM config_revision)))`, from, to)
	if err != nil {
		return nil, fmt.Errorf("couldn't compare revisions %d and %d: %w", from, to, advised(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Change])
	if err != nil {
		return nil, fmt.Errorf("couldn't compare revisions %d and %d: %w", from, to, advised(err))
	}
	return list, nil
}

// advised adds what Postgres says besides the error's message.
func advised(err error) error {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return err
	}
	if refused.Code == insufficientPrivilege && refused.Hint == "" {
		refused.Hint = "Only those who edit may: GRANT ringmaster_operator TO your role."
	}
	return fmt.Errorf("%w%s", err, Advice(refused))
}

// Left is the operation of a customer's row that a rollback leaves as it is.
const Left = "LEFT"

// Rollback makes the operators' tables what they were at a config revision, as one new revision, and lists the rows it changed
// (table, operation and key only), with those of customers that it left. A dry run does all of it, what is checked at COMMIT included, and changes nothing. An error of Postgres
// says what cannot be undone, and what to do.
func (s *Store) Rollback(ctx context.Context, to int64, reason string, dryRun bool) ([]Change, error) {
	fail := func(err error) ([]Change, error) {
		return nil, fmt.Errorf("couldn't roll back to revision %d: %w", to, advised(err))
	}
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return fail(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	rows, err := tx.Query(ctx, "SELECT table_name, operation, coalesce(row_key, 'many rows') FROM rollback_to($1, nullif($2, ''))", to, reason)
	if err != nil {
		return fail(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Change, err error) {
		c.Rows = 1
		return c, row.Scan(&c.Table, &c.Operation, &c.Key)
	})
	if err != nil {
		return fail(err)
	}
	if dryRun {
		if err := CheckDeferred(ctx, tx); err != nil {
			return fail(err)
		}
		return list, nil
	}
	if err := tx.Commit(ctx); err != nil {
		return fail(err)
	}
	return list, nil
}

// Limits of WaitForRevision.
const (
	engineGone = 15 * time.Second      // engines that were not seen for so long don't count
	waitPoll   = 50 * time.Millisecond // between two looks
)

// ErrNoEngines is in the error for a wait while no engine runs.
var ErrNoEngines = errors.New("no engine has been seen for 15 s")

// WaitForRevision returns when every engine that was seen in the last 15 s serves a config revision of at least the given one (0: the newest
// there is), and which that is. When the context ends before, the error says which engines lag and why.
func (s *Store) WaitForRevision(ctx context.Context, revision int64) (int64, error) {
	if revision == 0 {
		if err := s.pool.QueryRow(ctx, "SELECT revision FROM config_revision").Scan(&revision); err != nil {
			return 0, fmt.Errorf("couldn't read the config revision: %w", err)
		}
	}
	behind := fmt.Errorf("Postgres didn't say")
	for {
		live, lag, err := s.lagging(ctx, revision)
		switch {
		case err != nil && ctx.Err() == nil:
			return 0, fmt.Errorf("couldn't read engine_status: %w", err)
		case err == nil && live > 0 && len(lag) == 0:
			return revision, nil
		case err == nil && live == 0:
			behind = ErrNoEngines
		case err == nil:
			behind = errors.New(strings.Join(lag, "; "))
		}
		select {
		case <-time.After(waitPoll):
		case <-ctx.Done():
			return 0, fmt.Errorf("config revision %d is not live everywhere: %w (%w)", revision, behind, ctx.Err())
		}
	}
}

// lagging counts the engines and tells of those that serve something older.
func (s *Store) lagging(ctx context.Context, revision int64) (live int, lag []string, err error) {
	rows, err := s.pool.Query(ctx, `SELECT engine, revision, coalesce(error, '') FROM engine_status
		WHERE last_seen > clock_timestamp() - make_interval(secs => $1) ORDER BY engine`, engineGone.Seconds())
	if err != nil {
		return 0, nil, err
	}
	var engine, failure string
	var serves int64
	_, err = pgx.ForEachRow(rows, []any{&engine, &serves, &failure}, func() error {
		live++
		if serves < revision {
			if failure != "" {
				failure = ": " + failure
			}
			lag = append(lag, fmt.Sprintf("%s serves %d%s", engine, serves, failure))
		}
		return nil
	})
	return live, lag, err
}
