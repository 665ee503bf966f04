package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/store"
	"ringmaster/store/storetest"
	"ringmaster/testdata/demo"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// patience bounds what a test waits for; nothing is measured by it.
const patience = 30 * time.Second

func open(t testing.TB, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func dial(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := store.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// exec runs statements as an operator's psql does.
func exec(t *testing.T, dsn, sql string) error {
	t.Helper()
	conn := dial(t, dsn)
	defer conn.Close(context.Background())
	_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

func mustExec(t *testing.T, dsn, sql string) {
	t.Helper()
	if err := exec(t, dsn, sql); err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
}

// ask returns the only value of a query.
func ask[T any](t *testing.T, dsn, sql string, args ...any) T {
	t.Helper()
	conn := dial(t, dsn)
	defer conn.Close(context.Background())
	var v T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// within is a context that a failing test doesn't hang in.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func loadDemo(t *testing.T, dsn string) {
	t.Helper()
	mustExec(t, dsn, demo.SQL)
}
