// Package storetest gives each test a database of its own on a real Postgres.
//
// A package's TestMain calls Main, which starts one server for the package (or uses the one that RINGMASTER_TEST_POSTGRES
// names); each test then calls Database. The databases are copies of one that has all migrations, so that a new one
// takes some tens of milliseconds. Proxy stands between a test and the server and breaks connections.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"crypto/sha256"

	"github.com/jackc/pgx/v5"

	"ringmaster/migrations"
	"ringmaster/store"
	"ringmaster/store/postgres"
)

// Variable names the environment variable that holds the address of a server whose superuser may make databases. Main sets it
// for the tests of its package when it isn't set.
const Variable = "RINGMASTER_TEST_POSTGRES"

// maxStart bounds the start of the server and the making of a database.
const maxStart = 60 * time.Second

// Main runs a package's tests with a server and ends the process with their result: call it as the whole of TestMain.
func Main(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(Variable) != "" {
		return m.Run()
	}
	dir, err := Dir()
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), maxStart)
	defer cancel()
	server, err := postgres.Start(ctx, Options(filepath.Join(dir, "pg")))
	if err != nil {
		return fail(err)
	}
	defer server.Stop()
	if err := os.Setenv(Variable, server.DSN("postgres")); err != nil {
		return fail(err)
	}
	defer os.Unsetenv(Variable)
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "storetest:", err)
	return 1
}

// Dir makes a folder for a server: with a short name, for its socket, and one that the server's user may enter. The caller removes it.
func Dir() (string, error) {
	dir, err := os.MkdirTemp("", "rmtest")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// Options are those of a server for tests in the given folder. It survives the death of processes but not that of the
// machine, and is faster for it.
func Options(dir string) postgres.Options {
	template := ""
	if cache, err := os.UserCacheDir(); err == nil {
		template = filepath.Join(cache, "ringmaster-test")
	}
	return postgres.Options{Dir: dir, Template: template, Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "max_connections": "200", "shared_buffers": "64MB", "autovacuum_naptime": "10min",
	}}
}

// Server starts a server for one test alone, which may kill and freeze it, and stops it at the test's end.
func Server(t testing.TB) *postgres.Server {
	t.Helper()
	return start(t, func(*postgres.Options) {})
}

// Durable is Server with the settings of production, where a commit waits for the disk: for benchmarks.
func Durable(t testing.TB) *postgres.Server {
	t.Helper()
	return start(t, func(o *postgres.Options) { o.Settings = nil })
}

func start(t testing.TB, change func(*postgres.Options)) *postgres.Server {
	t.Helper()
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	options := Options(filepath.Join(dir, "pg"))
	change(&options)
	server, err := postgres.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	return server
}

// Database makes a database with all migrations for the test, drops it at the test's end, and returns its address.
func Database(t testing.TB) string {
	t.Helper()
	template, err := makeTemplate(t)
	if err != nil {
		t.Fatalf("couldn't make the database to copy from: %v", err)
	}
	return newDatabase(t, " TEMPLATE "+template)
}

// Empty is Database without any migration.
func Empty(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "")
}

func newDatabase(t testing.TB, clause string) string {
	t.Helper()
	var random [6]byte
	rand.Read(random[:])
	name := "test_" + hex.EncodeToString(random[:])
	admin(t, "CREATE DATABASE "+name+clause)
	t.Cleanup(func() { admin(t, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return address(t, name)
}

// address is that of a database on the tests' server.
func address(t testing.TB, database string) string {
	t.Helper()
	u, err := url.Parse(server(t))
	if err != nil {
		t.Fatalf("couldn't read %s: %v", Variable, err)
	}
	u.Path = "/" + database
	return u.String()
}

func server(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv(Variable)
	if dsn == "" {
		t.Fatal("no server for tests: the package needs func TestMain(m *testing.M) { storetest.Main(m) }")
	}
	return dsn
}

// admin runs statements that cannot be in a transaction.
func admin(t testing.TB, statements ...string) {
	t.Helper()
	// Not the test's context: it has ended when the cleanup runs.
	ctx, cancel := context.WithTimeout(context.Background(), maxStart)
	defer cancel()
	conn, err := pgx.Connect(ctx, server(t))
	if err != nil {
		t.Fatalf("couldn't connect to the tests' server: %v", err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// makeTemplate makes, once per server, the database that the others are copied from, and returns its name. Its name depends on
// the migrations, so that a server that is there longer never serves old ones.
func makeTemplate(t testing.TB) (string, error) {
	hash := sha256.New()
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Files, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(text), text)
	}
	name := "template_" + hex.EncodeToString(hash.Sum(nil)[:6])

	ctx, cancel := context.WithTimeout(context.Background(), maxStart)
	defer cancel()
	conn, err := pgx.Connect(ctx, server(t))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	// Tests of one package run in parallel, and so may packages on one server.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return "", err
	}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
		return name, err
	}
	half := name + "_half"
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + half, "CREATE DATABASE " + half} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return "", err
		}
	}
	if err := store.Migrate(ctx, address(t, half), nil); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+half+" RENAME TO "+name)
	return name, err
}
