package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// When engines look after the partitions of cdr.
const (
	daysEvery   = 10 * time.Minute
	daysRetry   = time.Minute      // after a failure: somebody reads cdr for long, or Postgres is away
	daysTimeout = 10 * time.Minute // for a statement: to drop a day adds up what its calls cost
	keysAtOnce  = 10_000           // keys that one statement forgets
	keysPause   = time.Second      // between two such: calls go first
)

// KeepCDRDays looks after the partitions of cdr until the context has ended: it makes those of the days to come, drops those that cdr_retention has no use for, and forgets the keys of calls that
// were dropped long ago. Any number of engines may do it at once.
func (s *Store) KeepCDRDays(ctx context.Context) {
	for pause := time.Duration(0); ; {
		select {
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		case <-ctx.Done():
			return
		}
		pause = daysEvery
		if err := s.KeepCDRDaysOnce(ctx); err != nil && ctx.Err() == nil {
			pause = daysRetry
			if isBusy(err) {
				s.log.Info("days of call records are looked after later, because somebody reads them now", "error", err)
			} else {
				s.log.Warn("couldn't look after the days of call records; what has no day of its own is kept in cdr_default", "error", err)
			}
		}
	}
}

// isBusy reports whether a lock could not be had.
func isBusy(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03" // lock_not_available
}

// KeepCDRDaysOnce is one round of KeepCDRDays. What one part of it cannot do keeps no other from its own.
func (s *Store) KeepCDRDaysOnce(ctx context.Context) error {
	var made int
	err := s.keepDays(ctx, "SELECT make_cdr_days()", func(rows pgx.Rows) error { return rows.Scan(&made) })
	if err != nil {
		err = fmt.Errorf("couldn't make days of cdr: %w", err)
	}
	if made > 0 {
		s.log.Debug("partitions of cdr were made", "days", made)
	}
	// One day at a time: cdr is locked for as long as it takes to drop it.
	for dropped := true; dropped; {
		dropped = false
		failed := s.keepDays(ctx, "SELECT day::text, records FROM drop_cdr_days(1)", func(rows pgx.Rows) error {
			var day string
			var records int64
			if err := rows.Scan(&day, &records); err != nil {
				return err
			}
			dropped = true
			s.log.Info("call records of a day were dropped, as cdr_retention says", "day", day, "records", records)
			return nil
		})
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("couldn't drop days of cdr: %w", failed))
		}
	}
	for forgotten := int64(keysAtOnce); forgotten == keysAtOnce; {
		forgotten = 0
		if failed := s.keepDays(ctx, fmt.Sprintf("SELECT forget_cdr_keys(%d)", keysAtOnce), func(rows pgx.Rows) error { return rows.Scan(&forgotten) }); failed != nil {
			err = errors.Join(err, fmt.Errorf("couldn't forget keys of call records: %w", failed))
		}
		if forgotten == keysAtOnce {
			select {
			case <-time.After(keysPause):
			case <-ctx.Done():
				return errors.Join(err, ctx.Err())
			}
		}
	}
	return err
}

// keepDays runs one statement in a transaction of its own.
func (s *Store) keepDays(ctx context.Context, sql string, row func(pgx.Rows) error) error {
	ctx, cancel := context.WithTimeout(ctx, daysTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// DroppedDay is a day whose call records retention has dropped.
type DroppedDay struct {
	Day     time.Time // its first instant, UTC
	Records int64
}

// DroppedCDRs lists the days, the oldest first, of which an export with the same arguments lacks records, because retention has dropped them. It is ErrCursor when after is no cursor.
func (s *Store) DroppedCDRs(ctx context.Context, after string, from, until time.Time) ([]DroppedDay, error) {
	transaction, _, _, err := parseCursor(after)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT day::timestamp AT TIME ZONE 'UTC', records FROM cdr_dropped_day
		WHERE records > 0 AND last_written_by > $1::text::xid8 AND (day + 1)::timestamp AT TIME ZONE 'UTC' > $2 AND day::timestamp AT TIME ZONE 'UTC' < $3 ORDER BY day`, transaction, from, until)
	if err != nil {
		return nil, fmt.Errorf("couldn't read what was dropped: %w", err)
	}
	days, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DroppedDay])
	if err != nil {
		return nil, fmt.Errorf("couldn't read what was dropped: %w", err)
	}
	return days, nil
}
