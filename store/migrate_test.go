package store_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"ringmaster/migrations"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

func TestMigrateMakesEverythingOnceFromZero(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	list, err := store.Migrations(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 || slices.ContainsFunc(list, func(m store.Migration) bool { return !m.AppliedAt.IsZero() }) {
		t.Fatalf("an empty database has %d migrations, some applied", len(list))
	}
	if err := open(t, dsn).Check(t.Context()); !errors.Is(err, store.ErrPending) {
		t.Fatalf("Check says %v of an empty database", err)
	}
	// Several engines may come up at once on one new database.
	var mu sync.Mutex
	var applied []string
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := store.Migrate(t.Context(), dsn, func(m store.Migration) {
				mu.Lock()
				defer mu.Unlock()
				applied = append(applied, m.Name)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(applied) != len(list) || !slices.IsSorted(applied) {
		t.Fatalf("applied %v", applied)
	}
	if err := open(t, dsn).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestChangedHistoryIsRefusedWithAdvice(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	files := fstest.MapFS{"0001_one.sql": {Data: []byte("CREATE TABLE one ();")}, "0002_two.sql": {Data: []byte("CREATE TABLE two ();")}}
	if err := store.MigrateFiles(t.Context(), dsn, files); err != nil {
		t.Fatal(err)
	}
	changed := fstest.MapFS{"0001_one.sql": {Data: []byte("CREATE TABLE one (); -- changed")}, "0002_two.sql": files["0002_two.sql"],
		"0003_three.sql": {Data: []byte("CREATE TABLE three ();")}}
	err := store.MigrateFiles(t.Context(), dsn, changed)
	if !errors.Is(err, store.ErrHistoryChanged) || !strings.Contains(err.Error(), "0001_one.sql") || !strings.Contains(err.Error(), "new one") {
		t.Fatalf("got %v", err)
	}
	if ask[bool](t, dsn, "SELECT to_regclass('three') IS NOT NULL") {
		t.Fatal("a migration was applied on top of a changed history")
	}
	// A program of the version before lives with a database that is ahead.
	if err := store.MigrateFiles(t.Context(), dsn, fstest.MapFS{"0001_one.sql": files["0001_one.sql"]}); err != nil {
		t.Fatal(err)
	}
}

func TestFailedMigrationLeavesNothingAndNamesItsLine(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	files := fstest.MapFS{"0001_one.sql": {Data: []byte("CREATE TABLE one ();")},
		"0002_two.sql": {Data: []byte("CREATE TABLE two ();\n\nSELECT nonsense;")}}
	err := store.MigrateFiles(t.Context(), dsn, files)
	if err == nil || !strings.Contains(err.Error(), "0002_two.sql") || !strings.Contains(err.Error(), "line 3") {
		t.Fatalf("got %v", err)
	}
	if ask[bool](t, dsn, "SELECT to_regclass('two') IS NOT NULL") || !ask[bool](t, dsn, "SELECT to_regclass('one') IS NOT NULL") {
		t.Fatal("the database isn't at the last migration that went through")
	}
	for name, files := range map[string]fstest.MapFS{
		"gap":  {"0001_a.sql": {}, "0003_b.sql": {}},
		"name": {"first.sql": {}},
	} {
		if err := store.MigrateFiles(t.Context(), dsn, files); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The same SQL files that psql would run.
func TestMigrationsAreWellNamed(t *testing.T) {
	if _, err := store.ReadMigrations(migrations.Files); err != nil {
		t.Fatal(err)
	}
	names, _ := fs.Glob(migrations.Files, "*")
	for _, name := range names {
		if !strings.HasSuffix(name, ".sql") {
			t.Errorf("%s is in the way", name)
		}
	}
}

func TestEveryTableAndColumnHasAComment(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	missing := ask[[]string](t, dsn, `
		SELECT coalesce(array_agg(what ORDER BY what), '{}') FROM (
			SELECT c.relname || coalesce('.' || a.attname, '') AS what
			FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND coalesce(col_description(c.oid, a.attnum), '') = ''
			UNION ALL
			SELECT c.relname FROM pg_class c
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND coalesce(obj_description(c.oid, 'pg_class'), '') = ''
			UNION ALL
			SELECT p.oid::regprocedure::text FROM pg_proc p
			WHERE p.pronamespace = 'public'::regnamespace AND coalesce(obj_description(p.oid, 'pg_proc'), '') = ''
			UNION ALL
			SELECT 'domain ' || t.typname FROM pg_type t
			WHERE t.typnamespace = 'public'::regnamespace AND t.typtype = 'd' AND coalesce(obj_description(t.oid, 'pg_type'), '') = ''
		) AS w`)
	if len(missing) > 0 {
		t.Errorf("without a comment: %v", missing)
	}
	// A CHECK that Postgres named by itself doesn't read as an error.
	unnamed := ask[[]string](t, dsn, `
		SELECT coalesce(array_agg(conname), '{}') FROM pg_constraint
		WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f') AND conname ~ '_(check|fkey)[0-9]*$'`)
	if len(unnamed) > 0 {
		t.Errorf("constraints without a name of their own: %v", unnamed)
	}
	writable := ask[[]string](t, dsn, `
		SELECT coalesce(array_agg(c.relname), '{}') FROM pg_class c, aclexplode(c.relacl) a
		WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0 AND a.privilege_type <> 'SELECT'`)
	if len(writable) > 0 {
		t.Errorf("everybody may write: %v", writable)
	}
}

// Each operators' table tells of its edits, and Load reads each of them.
func TestEveryOperatorTableIsLoadedAndTellsOfEdits(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	var loaded []string
	for _, table := range store.LoadedTables() {
		if table != "config_revision" {
			loaded = append(loaded, table)
		}
	}
	slices.Sort(loaded)
	telling := ask[[]string](t, dsn, `SELECT array_agg(tgrelid::regclass::text ORDER BY tgrelid::regclass::text) FROM pg_trigger WHERE tgname = 'note_config_edit'`)
	slices.Sort(telling)
	// Engines ask for these when a call needs them (package ledger).
	telling = slices.DeleteFunc(telling, func(name string) bool {
		return slices.Contains(store.AccountTables(), name)
	})
	if !slices.Equal(loaded, telling) {
		t.Errorf("loaded: %v\ntelling of edits: %v", loaded, telling)
	}
}

func TestRevisionCountsTransactionsInTheOrderOfTheirCommits(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	revision := func() int64 { return ask[int64](t, dsn, "SELECT revision FROM config_revision") }
	before := revision()
	mustExec(t, dsn, `BEGIN; INSERT INTO trunk VALUES ('a'); INSERT INTO trunk VALUES ('b'); INSERT INTO subscriber VALUES ('s'); COMMIT`)
	if got := revision(); got != before+1 {
		t.Fatalf("one transaction made %d revisions", got-before)
	}
	mustExec(t, dsn, `BEGIN; INSERT INTO trunk VALUES ('c'); ROLLBACK`)
	mustExec(t, dsn, `BEGIN; SAVEPOINT s; INSERT INTO trunk VALUES ('c'); ROLLBACK TO s; COMMIT`)
	if got := revision(); got != before+1 {
		t.Fatalf("what was rolled back made %d revisions", got-before-1)
	}
	// Whoever leaves a transaction open keeps nobody waiting.
	idle := dial(t, dsn)
	tx, err := idle.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "INSERT INTO trunk VALUES ('idle')"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "SET statement_timeout = '10s'; INSERT INTO trunk VALUES ('d')")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := revision(); got != before+3 {
		t.Fatalf("revision %d, want %d", got, before+3)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM config_edit"); n != 0 {
		t.Fatalf("%d rows were left in config_edit", n)
	}
	if got := ask[string](t, dsn, "SELECT changed_by FROM config_revision"); got != "postgres" {
		t.Fatalf("changed by %q", got)
	}
}
