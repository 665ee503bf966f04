package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"ringmaster/store"
	"ringmaster/store/postgres"
	"ringmaster/testdata/demo"
)

// devCommand is a whole trial system in one process and one child.
type devCommand struct {
	StateDir string `type:"path" placeholder:"FOLDER" help:"Where its Postgres lives. Default: $$XDG_STATE_HOME/ringmaster/dev or ~/.local/state/ringmaster/dev; for root /var/lib/ringmaster/dev."`
	Fresh    bool   `help:"Throw away what the last one left, and start anew."`
	engineFlags
}

// Help explains.
func (*devCommand) Help() string {
	return `It starts a Postgres of its own (a Unix socket, no port), makes the tables, loads a demo carrier, and serves. What you change stays for the
next time. Ctrl-C ends it all.

	ringmaster dev
	ringmaster dev --fresh
	ringmaster dev --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --state-dir /tmp/trial

PostgreSQL 15 or later must be installed; on Debian, as root, it is installed when it is missing.`
}

const trialDatabase = "ringmaster"

// Run brings everything up, and down again.
func (c *devCommand) Run(ctx context.Context, t terminal) error {
	dir := c.StateDir
	if dir == "" {
		dir = defaultStateDir()
	}
	release, err := holdFolder(dir)
	if err != nil {
		return err
	}
	defer release()
	server, err := c.startPostgres(ctx, dir, t)
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(t.err, "stopping Postgres")
		if err := server.Stop(); err != nil {
			fmt.Fprintln(t.err, "ringmaster:", err)
		}
	}()
	database := server.DSN(trialDatabase)
	if err := prepareTrial(ctx, server.DSN("postgres"), database, t); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-server.Done():
			cancel(errors.New("the trial system's Postgres has ended; its log is " + filepath.Join(dir, "postgres", "postgres.log")))
		case <-ctx.Done():
		}
	}()
	file := filepath.Join(dir, trialFile)
	defer os.Remove(file)
	var failure error
	err = serveEngine(ctx, c.logger(t), database, &c.engineFlags, true, func(r running) {
		if failure = r.feed.Wait(ctx, 1); failure != nil {
			cancel(failure)
			return
		}
		system := trial{Database: database, URL: r.call, Page: r.admin, Node: trialNode, Secret: trialSecret}
		if failure = system.write(dir); failure != nil {
			cancel(failure)
			return
		}
		system.welcome(t, server.SocketDir())
	})
	if cause := context.Cause(ctx); err == nil && failure == nil && !errors.Is(cause, context.Canceled) {
		failure = cause
	}
	return errors.Join(err, failure)
}

// holdFolder makes the trial system's folder and keeps a second one out of it.
func holdFolder(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("couldn't make the folder of the trial system: %w; name another with --state-dir", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("couldn't open the folder of the trial system: %w; name another with --state-dir", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("a trial system is running in %s already; end it with Ctrl-C there, or name another folder with --state-dir", dir)
	}
	return func() { lock.Close() }, nil
}

func (c *devCommand) startPostgres(ctx context.Context, dir string, t terminal) (*postgres.Server, error) {
	options := postgres.Options{Dir: filepath.Join(dir, "postgres"), Install: true,
		Progress: func(line string) { fmt.Fprintln(t.err, line) }}
	if c.Fresh {
		if _, err := os.Stat(options.Dir); !errors.Is(err, fs.ErrNotExist) {
			// The server of a trial system that was killed may still be on its way down: starting it waits for that.
			if old, err := postgres.Start(ctx, options); err == nil {
				_ = old.Stop()
			}
			if err := os.RemoveAll(options.Dir); err != nil {
				return nil, fmt.Errorf("couldn't throw the old trial system away: %w", err)
			}
		}
	}
	fmt.Fprintln(t.err, "starting Postgres in", options.Dir)
	return postgres.Start(ctx, options)
}

// prepareTrial makes the database, its tables, the demo carrier and the node that may ask. What is there already stays.
func prepareTrial(ctx context.Context, maintenance, database string, t terminal) error {
	if err := makeDatabase(ctx, maintenance); err != nil {
		return fmt.Errorf("couldn't make the trial system's database: %w", err)
	}
	if err := store.Migrate(ctx, database, func(m store.Migration) { fmt.Fprintln(t.err, "applied", m.Name) }); err != nil {
		if errors.Is(err, store.ErrHistoryChanged) {
			return fmt.Errorf("%w; \"ringmaster dev --fresh\" starts anew", err)
		}
		return err
	}
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return fmt.Errorf("couldn't fill the trial system: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var empty bool
		if err := tx.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM service) AND NOT EXISTS (SELECT FROM numbering_plan)").Scan(&empty); err != nil {
			return err
		}
		if empty {
			fmt.Fprintln(t.err, "loading the demo carrier")
			if _, err := tx.Exec(ctx, demo.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		var known bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM node WHERE node = $1)", trialNode).Scan(&known); err != nil || known {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO node (node) VALUES ($1)", trialNode); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "SELECT set_node_secret($1, $2)", trialNode, trialSecret)
		return err
	}); err != nil {
		return fmt.Errorf("couldn't fill the trial system: %w", err)
	}
	return nil
}

func makeDatabase(ctx context.Context, maintenance string) error {
	conn, err := pgx.Connect(ctx, maintenance)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", trialDatabase).Scan(&there); err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+trialDatabase)
	return err
}

// welcome says what to try.
func (s trial) welcome(t terminal, socketDir string) {
	fmt.Fprintf(t.out, `
Ringmaster is up. Node %[1]s may ask, with the secret %[2]s.

  0800 1234567   freephone: the office of the caller's area, by opening hours
  0800 2222222   the same by day and night
  0900 5550100   security screening: asks for a code first (4711 is one)

In another terminal:

  a call           ringmaster call 08002222222 --caller +49301112222
  why it goes so   ringmaster explain 08001234567 --caller +49301112222
  a raw query      curl -u %[1]s:%[2]s %[3]s -d called=08002222222 --data-urlencode caller=+49301112222
  in Python        python3 -c 'import xmlrpc.client; print(xmlrpc.client.ServerProxy("%[4]s").number.translate({"called": "08002222222"}))'
  the rows         ringmaster sql            (psql -h %[5]s -U postgres %[6]s)
  the page         %[7]s

Ctrl-C ends it. The rows stay for the next time.
`, s.Node, s.Secret, strings.TrimSuffix(s.URL, "/RPC2")+"/dialplan/translate",
		strings.Replace(s.URL, "://", "://"+s.Node+":"+s.Secret+"@", 1), socketDir, trialDatabase, s.Page)
}
