package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/migrations"
)

// migrationLock is the key of the advisory lock that lets one process migrate at a time.
const migrationLock = 0x72696e676d617374 // "ringmast"

// Migration is one file of package migrations.
type Migration struct {
	Version   int
	Name      string // 0001_operator_tables.sql
	SHA256    [sha256.Size]byte
	SQL       string
	AppliedAt time.Time // zero: pending
}

// ErrHistoryChanged is in the error for a migration that was applied with another content than it has now.
var ErrHistoryChanged = errors.New("an applied migration was changed")

// ErrPending is in the error for a database that lacks migrations.
var ErrPending = errors.New("the database isn't up to date")

var migrationName = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)

// Migrate applies what is pending in the database at dsn, in order, each in its own transaction, and
// calls report (which may be nil) after each. Many processes may call it at once; it is safe to call again. An error leaves the
// database at the last migration that went through.
func Migrate(ctx context.Context, dsn string, report func(Migration)) error {
	return migrate(ctx, dsn, migrations.Files, report)
}

// Migrations lists all migrations with when each was applied to the database at dsn, changing nothing: what `ringmaster
// migrate --dry-run` shows.
func Migrations(ctx context.Context, dsn string) ([]Migration, error) {
	conn, err := connect(ctx, dsn, "ringmaster migrate")
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return history(ctx, conn, migrations.Files)
}

func migrate(ctx context.Context, dsn string, files fs.FS, report func(Migration)) error {
	conn, err := connect(ctx, dsn, "ringmaster migrate")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The lock goes with the connection.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("couldn't wait for other migrations to end: %w", err)
	}
	if _, err := conn.Exec(ctx, migrationTable); err != nil {
		return fmt.Errorf("couldn't make the table of migrations: %w", err)
	}
	list, err := history(ctx, conn, files)
	if err != nil {
		return err
	}
	for _, m := range list {
		if !m.AppliedAt.IsZero() {
			continue
		}
		if err := apply(ctx, conn, &m); err != nil {
			return fmt.Errorf("couldn't apply migration %s: %w", m.Name, err)
		}
		if report != nil {
			report(m)
		}
	}
	return nil
}

// migrationTable says everything in one statement, so that the table never stands without its comments.
const migrationTable = `DO $$ BEGIN
IF to_regclass('public.migration') IS NULL THEN
	CREATE TABLE public.migration (
		version integer PRIMARY KEY,
		name text NOT NULL,
		sha256 bytea NOT NULL CONSTRAINT sha256_has_32_bytes CHECK (length(sha256) = 32),
		applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
		applied_by text NOT NULL DEFAULT session_user
	);
	COMMENT ON TABLE public.migration IS 'The migrations that made this database. Written by ringmaster migrate only';
	COMMENT ON COLUMN public.migration.version IS 'Number of the migration';
	COMMENT ON COLUMN public.migration.name IS 'Name of its file';
	COMMENT ON COLUMN public.migration.sha256 IS 'SHA-256 of its content: a changed file is refused';
	COMMENT ON COLUMN public.migration.applied_at IS 'When it was applied';
	COMMENT ON COLUMN public.migration.applied_by IS 'By which role';
	REVOKE ALL ON public.migration FROM PUBLIC;
END IF;
END $$`

// history reads the files and what the database says of each. Migrations that the database has and this program doesn't know are
// those of a newer version, which a program of the old version has to live with while engines are replaced one by one.
func history(ctx context.Context, conn *pgx.Conn, files fs.FS) ([]Migration, error) {
	list, err := readMigrations(files)
	if err != nil {
		return nil, err
	}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('public.migration') IS NOT NULL").Scan(&there); err != nil {
		return nil, fmt.Errorf("couldn't look for the table of migrations: %w", err)
	}
	if !there {
		return list, nil
	}
	rows, err := conn.Query(ctx, "SELECT version, sha256, applied_at FROM public.migration ORDER BY version")
	if err != nil {
		return nil, fmt.Errorf("couldn't read the table of migrations: %w", err)
	}
	defer rows.Close()
	latest := 0
	for rows.Next() {
		var version int
		var sum []byte
		var at time.Time
		if err := rows.Scan(&version, &sum, &at); err != nil {
			return nil, fmt.Errorf("couldn't read the table of migrations: %w", err)
		}
		latest = version
		if version > len(list) {
			continue
		}
		m := &list[version-1]
		if string(sum) != string(m.SHA256[:]) {
			return nil, fmt.Errorf("%w: %s was applied on %s with SHA-256 %s…, and this program has it with %s…: migrations are never changed, so put the change into a new one "+
				"(a database of `ringmaster dev` that nobody needs can be removed with its folder)",
				ErrHistoryChanged, m.Name, at.UTC().Format(time.DateOnly), hex.EncodeToString(sum[:min(len(sum), 6)]), hex.EncodeToString(m.SHA256[:6]))
		}
		m.AppliedAt = at
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("couldn't read the table of migrations: %w", err)
	}
	for i := range list {
		if list[i].AppliedAt.IsZero() && list[i].Version < latest {
			return nil, fmt.Errorf("%w: the database has migration %04d and lacks %s before it", ErrHistoryChanged, latest, list[i].Name)
		}
	}
	return list, nil
}

// readMigrations reads the files. They must be numbered from 1 without a gap.
func readMigrations(files fs.FS) ([]Migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	list := make([]Migration, 0, len(names))
	for i, name := range names { // Glob sorts
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("couldn't read migration %s: %w", name, err)
		}
		parts := migrationName.FindStringSubmatch(name)
		if parts == nil {
			return nil, fmt.Errorf("migration %s: its name must be like 0001_what_it_does.sql", name)
		}
		version, _ := strconv.Atoi(parts[1])
		if version != i+1 {
			return nil, fmt.Errorf("migration %s: number %04d was expected here", name, i+1)
		}
		list = append(list, Migration{Version: version, Name: name, SHA256: sha256.Sum256(text), SQL: string(text)})
	}
	return list, nil
}

func apply(ctx context.Context, conn *pgx.Conn, m *Migration) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	// Rather fail than queue all calls' queries up behind a lock that somebody else holds.
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = 0; SET LOCAL search_path = public", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, m.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
		return position(m.SQL, err)
	}
	err = tx.QueryRow(ctx, "INSERT INTO public.migration (version, name, sha256) VALUES ($1, $2, $3) RETURNING applied_at",
		m.Version, m.Name, m.SHA256[:]).Scan(&m.AppliedAt)
	if err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// position adds the line to an error of Postgres.
func position(sql string, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Position > 0 && int(pg.Position) <= len(sql) {
		return fmt.Errorf("line %d: %w", 1+strings.Count(sql[:pg.Position-1], "\n"), err)
	}
	return err
}
