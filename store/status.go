package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic"
	"ringmaster/store/ledger/record"
)

// Limits of what is noted.
const (
	maxProblems   = 10_000         // rows of config_problem; a mistake in a big table makes one for each of its rows
	maxProblemKey = 256            // bytes of a key
	maxReason     = 1024           // bytes of a reason; the three together must fit an index entry
	noteLock      = "300ms"        // to wait for a lock
	forgetEngines = 24 * time.Hour // engine_status forgets engines that were not seen for so long
)

// note writes down what this engine serves and what is wrong with the config. It is for people, so a
// failure is tried again with a later beat and otherwise leaves the feed alone.
func (f *Feed) note(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	if err := f.noteIn(ctx, conn); err != nil {
		f.noted = false
		f.store.log.Warn("couldn't note the engine's state in engine_status and config_problem", "error", err)
		return
	}
	f.noted = true
}

// noteIn writes it in one transaction and one round trip: all goes as one batch.
func (f *Feed) noteIn(ctx context.Context, conn *pgx.Conn) error {
	var since *time.Time
	if !f.since.IsZero() {
		since = &f.since
	}
	batch := &pgx.Batch{}
	// A predecessor whose connection died in silence may hold the rows until Postgres finds out. Waiting for it until the deadline would
	// cost the connection, and with it the feed.
	batch.Queue("SELECT set_config('lock_timeout', $1, true)", noteLock)
	// The engine's own clock says how long ago; Postgres's says when.
	batch.Queue(`INSERT INTO engine_status AS s (engine, revision, revision_since, error, started_at, last_seen)
		VALUES ($1, $2, clock_timestamp() - make_interval(secs => $3), nullif($4, ''), clock_timestamp() - make_interval(secs => $5), clock_timestamp())
		ON CONFLICT (engine) DO UPDATE SET revision = excluded.revision, error = excluded.error, last_seen = excluded.last_seen,
			revision_since = CASE WHEN s.revision = excluded.revision AND abs(extract(epoch FROM s.started_at - excluded.started_at)) < 1
				THEN s.revision_since ELSE excluded.revision_since END,
			started_at = CASE WHEN abs(extract(epoch FROM s.started_at - excluded.started_at)) < 1 THEN s.started_at ELSE excluded.started_at END`,
		f.store.engine, f.Revision(), ago(since), f.failure, time.Since(f.started).Seconds())
	if f.noted {
		batch.Queue(`DELETE FROM engine_status WHERE last_seen < clock_timestamp() - make_interval(secs => $1)`, forgetEngines.Seconds())
	} else if f.Ready() {
		f.noteProblems(batch)
	}
	return conn.SendBatch(ctx, batch).Close()
}

func ago(t *time.Time) *float64 {
	if t == nil {
		return nil
	}
	seconds := time.Since(*t).Seconds()
	return &seconds
}

// noteProblems makes config_problem tell of this engine's revision, unless it tells of a newer one already. Problems that were there
// keep their since.
func (f *Feed) noteProblems(batch *pgx.Batch) {
	// The row is locked by this, so what follows sees what other engines told. A check of a revision that was never committed is from before the
	// database was restored.
	batch.Queue(`UPDATE config_check SET revision = $1
		WHERE revision <= $1 OR revision > (SELECT revision FROM config_revision)`, f.Revision())
	var names, keys, reasons []string
	for _, p := range f.problems[:min(len(f.problems), maxProblems)] {
		names = append(names, record.Cut(p.Table, maxProblemKey))
		keys = append(keys, record.Cut(p.Key, maxProblemKey))
		reasons = append(reasons, record.Cut(p.Reason, maxReason))
	}
	batch.Queue(`DELETE FROM config_problem WHERE EXISTS (SELECT FROM config_check WHERE revision = $4)
		AND (table_name, row_key, reason) NOT IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))`, names, keys, reasons, f.Revision())
	if len(names) == 0 {
		return
	}
	batch.Queue(`INSERT INTO config_problem (table_name, row_key, reason)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) WHERE EXISTS (SELECT FROM config_check WHERE revision = $4) ON CONFLICT DO NOTHING`,
		names, keys, reasons, f.Revision())
}

// Problems lists what config_problem tells, for tools.
func (s *Store) Problems(ctx context.Context) ([]logic.Problem, error) {
	rows, err := s.pool.Query(ctx, "SELECT table_name, row_key, reason FROM config_problem ORDER BY table_name, row_key, reason")
	if err != nil {
		return nil, fmt.Errorf("couldn't read config_problem: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[logic.Problem])
	if err != nil {
		return nil, fmt.Errorf("couldn't read config_problem: %w", err)
	}
	return list, nil
}
