package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/logic"
)

// OperatorTables lists the tables that operators write, those with secrets included: what others refer to comes first.
func OperatorTables() []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
		if t.name == "subscriber" {
			names = append(names, accountTables()...)
		}
	}
	return names
}

// accountTables are the operators' tables that no snapshot holds: engines ask Postgres for them when they need them (package ledger; of call records, cdr_retention).
func accountTables() []string {
	return []string{"account", "account_number", "account_country", "card", "secret_budget", "cdr_retention"}
}

// draftGuard is the constraint that no draft can be committed by.
const draftGuard = "a_draft_is_never_committed"

// LoadPublic reads the operators' tables as Load does, but for secrets: tools need none, and operators may not read them. Nodes have no secret, and
// session keys have all the same one. Besides, it reads what accounts there are, which no snapshot holds.
func (s *Store) LoadPublic(ctx context.Context) (*logic.Rows, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("couldn't load the operators' tables: %w", err)
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("couldn't load the operators' tables: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	return loadPublic(ctx, tx, nil)
}

// loadPublic reads the tables without their secrets, as a transaction sees them or, with what changed since, as they were.
func loadPublic(ctx context.Context, tx pgx.Tx, since map[string]*changedRows) (*logic.Rows, error) {
	w, ctx := watch(ctx)
	defer w.stop()
	rows := new(logic.Rows)
	if err := tx.QueryRow(ctx, "SELECT revision FROM config_revision").Scan(&rows.Revision); err != nil {
		return nil, fmt.Errorf("couldn't load table config_revision: %w", explain(ctx, err))
	}
	r := reader{seen: make(map[string]string)}
	for _, t := range tables {
		sql := t.sql
		switch t.name {
		case "node":
			sql = "SELECT node, NULL::bytea, certificate_name, capacity, in_service FROM node"
		case "session_key":
			sql = "SELECT session_key_id, sha256(''), created_at FROM session_key"
		}
		var arguments []any
		if changed := since[t.name]; changed != nil {
			var err error
			if sql, err = changed.undone(ctx, tx, t.name, sql); err != nil {
				return nil, fmt.Errorf("couldn't load table %s: %w", t.name, explain(ctx, err))
			}
			arguments = []any{changed.are, changed.were}
		}
		if err := r.readAll(ctx, tx, t, sql, rows, w, arguments...); err != nil {
			return nil, fmt.Errorf("couldn't load table %s: %w", t.name, explain(ctx, err))
		}
	}
	accounts := table{row: func(r *reader, rows *logic.Rows) {
		rows.Accounts = append(rows.Accounts, logic.AccountRow{Account: r.text(), Currency: r.name()})
	}}
	if err := r.readAll(ctx, tx, accounts, "SELECT account, currency FROM account", rows, w); err != nil {
		return nil, fmt.Errorf("couldn't load table account: %w", explain(ctx, err))
	}
	return rows, nil
}

// LoadDraft reads the operators' tables as they would be after sql, which is run in a transaction that is rolled back. What Postgres would
// refuse at COMMIT is refused here. Secrets are left
// out, as by LoadPublic. The revision is the one that the draft builds on.
//
// Statements of sql that end its transaction are refused too, and change nothing.
func (s *Store) LoadDraft(ctx context.Context, sql string) (*logic.Rows, error) {
	conn, err := connect(ctx, s.pool.Config().ConnString(), "ringmaster "+s.engine+" draft")
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// What comes after a ROLLBACK in the draft would be a transaction of its own, committed at once: let it be one that cannot write.
	if _, err := conn.Exec(ctx, "SET default_transaction_read_only = on"); err != nil {
		return nil, fmt.Errorf("couldn't begin a draft: %w", err)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadWrite})
	if err != nil {
		return nil, fmt.Errorf("couldn't begin a draft: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE draft_guard (one integer PRIMARY KEY, other integer CONSTRAINT `+draftGuard+`
			REFERENCES draft_guard DEFERRABLE INITIALLY DEFERRED);
		INSERT INTO draft_guard VALUES (1, 2)`, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, fmt.Errorf("couldn't begin a draft: %w", err)
	}
	if _, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, draftError(sql, err)
	}
	if conn.PgConn().TxStatus() != 'T' {
		return nil, draftError(sql, errDraftEnded)
	}
	if err := CheckDeferred(ctx, tx); err != nil {
		return nil, draftError(sql, err)
	}
	return loadPublic(ctx, tx, nil)
}

// CheckDeferred makes Postgres check now what it would check at COMMIT of edits to operators' tables. Afterwards such constraints are checked
// at once in this transaction.
func CheckDeferred(ctx context.Context, tx pgx.Tx) error {
	// By name, and not ALL: the trigger that counts the revision takes a lock that every editor needs.
	var names string
	if err := tx.QueryRow(ctx, `SELECT coalesce(string_agg(DISTINCT format('public.%I', conname), ', '), '') FROM pg_constraint
		WHERE condeferrable AND connamespace = 'public'::regnamespace AND conrelid IN (SELECT ('public.' || t)::regclass FROM unnest($1::text[]) AS t)`,
		OperatorTables()).Scan(&names); err != nil {
		return fmt.Errorf("couldn't list the deferred constraints: %w", err)
	}
	if names == "" {
		return nil
	}
	_, err := tx.Exec(ctx, "SET CONSTRAINTS "+names+" IMMEDIATE", pgx.QueryExecModeSimpleProtocol)
	return err
}

// insufficientPrivilege is the SQLSTATE of what a role may not do.
const insufficientPrivilege = "42501"

var errDraftEnded = errors.New("it ends its own transaction: leave out BEGIN, COMMIT and ROLLBACK")

// draftError says what is wrong with a draft, and in which line.
func draftError(sql string, err error) error {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return fmt.Errorf("the draft cannot be used: %w", err)
	}
	// 25006 is a write after the draft has ended its transaction.
	if refused.ConstraintName == draftGuard || refused.Code == "25006" {
		return fmt.Errorf("the draft cannot be used: %w", errDraftEnded)
	}
	if refused.Code == insufficientPrivilege && refused.Hint == "" {
		refused.Hint = "A draft is run as the edit would be, so it needs ringmaster_operator: GRANT ringmaster_operator TO your role."
	}
	where := ""
	if position := int(refused.Position); position > 0 {
		before := []rune(sql)
		where = fmt.Sprintf("line %d: ", 1+strings.Count(string(before[:min(position-1, len(before))]), "\n"))
	}
	return fmt.Errorf("the draft cannot be used: %s%w%s", where, err, Advice(refused))
}

// Advice is Postgres' DETAIL and HINT on lines of their own, which the text of an error lacks.
func Advice(refused *pgconn.PgError) string {
	var text strings.Builder
	for _, part := range []struct{ name, text string }{{"DETAIL", refused.Detail}, {"HINT", refused.Hint}} {
		if part.text != "" {
			text.WriteString("\n" + part.name + ": " + part.text)
		}
	}
	return text.String()
}
