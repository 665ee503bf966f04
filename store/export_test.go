package store

import (
	"context"
	"io/fs"

	"github.com/jackc/pgx/v5"

	"ringmaster/store/ledger"
)

// What the tests, which stand outside because storetest imports this package, see of the inside.

const (
	MaxQueue = ledger.MaxQueue
	MaxBatch = ledger.MaxBatch

	// FeedBound is how stale a snapshot can be while Postgres answers: a connection that died is found out after a beat and the time for one, and
	// another one made, and the edits read through it.
	FeedBound = feedBeat + feedTimeout + feedBackoff + feedTimeout
)

// MigrateFiles is Migrate with other files.
func MigrateFiles(ctx context.Context, dsn string, files fs.FS) error {
	return migrate(ctx, dsn, files, nil)
}

// ReadMigrations reads and checks files.
func ReadMigrations(files fs.FS) ([]Migration, error) { return readMigrations(files) }

// Connect is what every connection outside of the pool is made by.
func Connect(ctx context.Context, dsn string) (*pgx.Conn, error) { return connect(ctx, dsn, "test") }

// AccountTables are the operators' tables that Load does not read.
func AccountTables() []string { return accountTables() }

// LoadedTables are the tables that Load reads.
func LoadedTables() []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}
