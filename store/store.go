// Package store is all of Ringmaster's Postgres: migrations, the operators' tables as rows (Load), their changes as they are
// committed (Feed), and what calls leave behind (Ledger).
//
// It decides nothing about calls: rows go to logic.Compile, and what it stores comes from there. A query never
// touches a database connection by itself: the Feed hands out a finished snapshot, and the Ledger has one
// writer per kind of write, which callers wait for on a channel until their deadline. Package postgres, below, runs a
// server as a child process; this package only needs an address.
package store

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Limits on the connections to Postgres.
const (
	connectTimeout    = 2 * time.Second        // to open one, and for each of several hosts in the address
	keepAlive         = 5 * time.Second        // TCP keep-alive probes
	healthCheckPeriod = 10 * time.Second       // between looks at idle connections
	pingTimeout       = 500 * time.Millisecond // for a connection that was idle to show that it lives
	closeTimeout      = 2 * time.Second        // for connections to end properly
	poolConnections   = 8                      // the writers need two; one that died in silence takes up its place for 15 s more
)

// Config says which database, and who asks.
type Config struct {
	// DSN is the address of the database: a URL or key=value text as libpq has them.
	DSN string
	// Engine is the name of this engine in engine_status and pg_stat_activity, unique among the engines.
	Engine string
	// SnapshotFile is where the Feed saves the config that it serves, so that an engine can start while Postgres is away: a file of this engine
	// alone, which holds secrets (mode 0600). Empty: nowhere.
	SnapshotFile string
	// Registry gets the metrics; nil: nobody does.
	Registry prometheus.Registerer
	// Log gets what an operator has to know; nil: nobody does.
	Log *slog.Logger
}

// Store is a database with its pool of connections. Safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	engine  string
	file    string
	log     *slog.Logger
	metrics *metrics
}

// Open prepares a store. It connects to nothing yet, so that an engine can start while Postgres is away; Check does.
func Open(ctx context.Context, c Config) (*Store, error) {
	pc, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the address of Postgres: %w", err)
	}
	if c.Engine == "" {
		return nil, fmt.Errorf("couldn't open the store: the engine has no name")
	}
	settings(pc.ConnConfig, "ringmaster "+c.Engine)
	pc.ConnConfig.RuntimeParams["ringmaster.booking"] = "on" // balances change by what is booked, not by hand (migration 0015)
	pc.MaxConns = poolConnections
	pc.HealthCheckPeriod = healthCheckPeriod
	pc.PingTimeout = pingTimeout
	pc.MaxConnLifetimeJitter = time.Minute
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("couldn't open the store: %w", err)
	}
	s := &Store{pool: pool, engine: c.Engine, file: c.SnapshotFile, log: c.Log, metrics: newMetrics(c.Registry)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// settings are those of every connection.
func settings(c *pgx.ConnConfig, application string) {
	c.ConnectTimeout = connectTimeout
	dialer := net.Dialer{KeepAlive: keepAlive}
	c.DialFunc = dialer.DialContext
	// Values travel apart from the SQL, whatever the address asks for.
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	if c.RuntimeParams == nil {
		c.RuntimeParams = make(map[string]string)
	}
	c.RuntimeParams["application_name"] = application
	c.RuntimeParams["timezone"] = "UTC"
	// An acknowledged end of a call is on disk, whatever the server's default.
	c.RuntimeParams["synchronous_commit"] = "on"
	c.RuntimeParams["lock_timeout"] = "5s"
	c.RuntimeParams["jit"] = "off" // it compiles for each partition of cdr, which takes a hundred times as long as to read it
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "10s"
}

// connect opens one connection outside of the pool.
func connect(ctx context.Context, dsn, application string) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the address of Postgres: %w", err)
	}
	settings(c, application)
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("couldn't connect to Postgres: %w", err)
	}
	return conn, nil
}

// Check reports whether the database can be reached and has every migration that this program knows
// (ErrPending in the error if it lacks some). A database that is ahead is fine.
func (s *Store) Check(ctx context.Context) error {
	list, err := Migrations(ctx, s.pool.Config().ConnString())
	if err != nil {
		return err
	}
	pending := 0
	for _, m := range list {
		if m.AppliedAt.IsZero() {
			pending++
		}
	}
	if pending > 0 {
		return fmt.Errorf("%w: %d of %d migrations are pending: run `ringmaster migrate`", ErrPending, pending, len(list))
	}
	return nil
}

// Close closes the pool. Stop the Feed and the Ledger first. A Postgres that doesn't answer delays it by two seconds at most.
func (s *Store) Close() {
	closed := make(chan struct{})
	go func() {
		s.pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
		s.log.Warn("connections to Postgres were left without a goodbye")
	}
}
