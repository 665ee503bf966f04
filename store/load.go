package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic"
)

// Limits of a load.
const (
	loadStall     = 5 * time.Second // without a row from Postgres, a load is given up
	stallInterval = 4096            // rows between two notes of progress
)

// Load reads all operators' tables as they are in one instant: one transaction, repeatable read.
func (s *Store) Load(ctx context.Context) (*logic.Rows, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("couldn't load the operators' tables: %w", err)
	}
	defer conn.Release()
	rows, _, err := load(ctx, conn.Conn())
	return rows, err
}

var errStalled = fmt.Errorf("Postgres sent nothing for %v", loadStall)

// watchdog ends a load that doesn't go on.
type watchdog struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// watch makes the context of a load. It ends when note isn't called for loadStall.
func watch(ctx context.Context) (*watchdog, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &watchdog{time.AfterFunc(loadStall, func() { cancel(errStalled) }), cancel}, ctx
}

func (w *watchdog) note() { w.timer.Reset(loadStall) }

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

func load(ctx context.Context, conn *pgx.Conn) (*logic.Rows, version, error) {
	w, ctx := watch(ctx)
	defer w.stop()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, version{}, fmt.Errorf("couldn't load the operators' tables: %w", explain(ctx, err))
	}
	// Should the rollback fail, the connection is closed by it, and no harm is done.
	defer tx.Rollback(context.WithoutCancel(ctx))
	rows, now, err := loadVersion(ctx, tx, w)
	if err != nil {
		return nil, version{}, err
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, version{}, fmt.Errorf("couldn't load the operators' tables: %w", explain(ctx, err))
	}
	return rows, now, nil
}

// loadVersion reads the tables as a transaction sees them, which should be repeatable read.
func loadVersion(ctx context.Context, tx pgx.Tx, w *watchdog) (*logic.Rows, version, error) {
	var now version
	if err := tx.QueryRow(ctx, versionSQL).Scan(&now.revision, &now.commit); err != nil {
		return nil, version{}, fmt.Errorf("couldn't load table config_history: %w", explain(ctx, err))
	}
	rows := &logic.Rows{Revision: now.revision}
	r := reader{seen: make(map[string]string)}
	for _, t := range tables {
		if err := r.readAll(ctx, tx, t, t.sql, rows, w); err != nil {
			return nil, version{}, fmt.Errorf("couldn't load table %s: %w", t.name, explain(ctx, err))
		}
	}
	return rows, now, nil
}

// explain says why a context ended, which the driver doesn't.
func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

// table is one operators' table: how all of it is asked for, how the rows of what was touched are (nil: a delta has none of it), and how
// a row is read, column by column in the query's order.
type table struct {
	name  string
	sql   string // up to the name of the table
	order string
	picks []pick
	row   func(r *reader, rows *logic.Rows)
}

// reader reads the columns of a row: text as text, all else in Postgres's binary format, which the driver asks for of itself in a batch. Scanning by reflection would cost more than all the rest of a load of a million rows.
type reader struct {
	values [][]byte
	column int
	err    error
	seen   map[string]string // names that stand in many rows, once each
}

// readAll adds all rows of a table.
func (r *reader) readAll(ctx context.Context, tx pgx.Tx, t table, sql string, rows *logic.Rows, w *watchdog, arguments ...any) error {
	result, err := tx.Query(ctx, sql+" "+t.order, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, arguments...)...)
	if err != nil {
		return err
	}
	return r.read(result, t, rows, w)
}

// read adds a query's rows.
func (r *reader) read(result pgx.Rows, t table, rows *logic.Rows, w *watchdog) error {
	defer result.Close()
	for n := 0; result.Next(); n++ {
		if n%stallInterval == 0 {
			w.note()
		}
		r.values, r.column = result.RawValues(), 0
		t.row(r, rows)
		if r.err == nil && r.column != len(r.values) {
			r.err = fmt.Errorf("%d columns were read of %d", r.column, len(r.values))
		}
		if r.err != nil {
			return r.err
		}
	}
	w.note()
	return result.Err()
}

func (r *reader) next(size int) []byte {
	if r.column >= len(r.values) {
		r.err = fmt.Errorf("column %d isn't there", r.column+1)
		return nil
	}
	v := r.values[r.column]
	r.column++
	if size >= 0 && v != nil && len(v) != size {
		r.err = fmt.Errorf("column %d has %d bytes instead of %d", r.column, len(v), size)
		return nil
	}
	return v
}

// text reads a text; NULL is empty.
func (r *reader) text() string { return string(r.next(-1)) }

// name reads a text that stands in many rows.
func (r *reader) name() string {
	v := r.next(-1)
	if known, ok := r.seen[string(v)]; ok {
		return known
	}
	name := string(v)
	r.seen[name] = name
	return name
}

func (r *reader) optional() *string {
	v := r.next(-1)
	if v == nil {
		return nil
	}
	s := string(v)
	return &s
}

func (r *reader) bytes() []byte {
	v := r.next(-1)
	if v == nil {
		return nil
	}
	return append([]byte(nil), v...)
}

func (r *reader) bool() bool {
	v := r.next(1)
	return v != nil && v[0] != 0
}

func (r *reader) int() int {
	v := r.next(4)
	if v == nil {
		return 0
	}
	return int(int32(binary.BigEndian.Uint32(v)))
}

func (r *reader) int64() int64 {
	v := r.next(8)
	if v == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(v))
}

// epoch is the zero of Postgres's dates and timestamps.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// time reads a timestamptz (microseconds); NULL and both infinities are zero, that is unbounded.
func (r *reader) time() time.Time {
	v := r.next(8)
	if v == nil {
		return time.Time{}
	}
	us := int64(binary.BigEndian.Uint64(v))
	if us == math.MaxInt64 || us == math.MinInt64 {
		return time.Time{}
	}
	// Not by a Duration, which ends after 292 years.
	return time.UnixMicro(epoch.UnixMicro() + us).UTC()
}

// date reads a date (days); NULL and both infinities are zero.
func (r *reader) date() time.Time {
	v := r.next(4)
	if v == nil {
		return time.Time{}
	}
	days := int32(binary.BigEndian.Uint32(v))
	if days == math.MaxInt32 || days == math.MinInt32 {
		return time.Time{}
	}
	return epoch.AddDate(0, 0, int(days))
}
