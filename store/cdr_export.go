package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// CDRColumns names the columns of what ExportCDRs gives. cursor says where to go on after a record. kind is cdr, or correction: the real end of a call that was closed as node_lost, whose
// charges are the differences. Times are UTC (RFC 3339), talk_ms milliseconds; legs, charges and flags are JSON.
func CDRColumns() []string {
	return strings.Fields(`cursor kind call_id node channel trunk caller called dialled presentation service subscriber script path revision outcome
		started_at answered_at ended_at talk_ms cause hangup_source legs charges flags recorded_at`)
}

// ErrCursor is a cursor that ExportCDRs did not give.
var ErrCursor = errors.New("this is no cursor: it must be a value of the column cursor of an earlier export")

// exportSQL reads what is older than every transaction that runs: what is written by now cannot come before it any more.
const exportSQL = `SELECT concat_ws('/', written_by, node, call_id), kind, call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision, outcome,
		to_char(started_at` + inUTC + `), to_char(answered_at` + inUTC + `), to_char(ended_at` + inUTC + `), talk_ms::text, cause::text, hangup_source, legs, charges, flags, to_char(recorded_at` + inUTC + `)
	FROM (SELECT 'cdr' AS kind, written_by, call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision::text, outcome, started_at, answered_at, ended_at,
			talk_ms, cause, hangup_source, legs::text, charges::text, to_json(flags)::text AS flags, recorded_at FROM cdr
		UNION ALL
		SELECT 'correction', written_by, call_id, node, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, ended_at,
			talk_ms, cause, NULL, NULL, charges::text, NULL, recorded_at FROM cdr_correction) AS record
	WHERE written_by < pg_snapshot_xmin(pg_current_snapshot()) AND (written_by, node, call_id) > ($1::text::xid8, $2, $3) AND recorded_at >= $4 AND recorded_at < $5
	ORDER BY written_by, node, call_id LIMIT $6`

// inUTC completes to_char of a timestamptz.
const inUTC = ` AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`

// exportPage is how many records are read at once.
const exportPage = 5000

// ExportCDRs calls visit with each record that was stored in [from, until) and stands after a cursor (empty: from the first), in the order of their transactions, and returns the cursor of
// the last. A record is NULL where a pointer is nil; what is visited is visit's own. A record whose transaction is older than another that still writes comes with a later call, so
// whoever goes on with the cursor misses none and reads none twice. It is ErrCursor when after is none.
func (s *Store) ExportCDRs(ctx context.Context, after string, from, until time.Time, visit func(record []*string) error) (cursor string, err error) {
	cursor = after
	columns := len(CDRColumns())
	for {
		transaction, node, callID, err := parseCursor(cursor)
		if err != nil {
			return cursor, err
		}
		rows, err := s.pool.Query(ctx, exportSQL, transaction, node, callID, from, until, exportPage)
		if err != nil {
			return cursor, fmt.Errorf("couldn't read call records: %w", err)
		}
		read := 0
		for rows.Next() {
			record := make([]*string, columns)
			into := make([]any, len(record))
			for i := range record {
				into[i] = &record[i]
			}
			if err = rows.Scan(into...); err == nil {
				err = visit(record)
			}
			if err != nil {
				rows.Close()
				return cursor, err
			}
			cursor = *record[0]
			read++
		}
		if err := rows.Err(); err != nil {
			return cursor, fmt.Errorf("couldn't read call records: %w", err)
		}
		if read < exportPage {
			return cursor, nil
		}
	}
}

// parseCursor takes a cursor apart. The empty one stands before all records.
func parseCursor(cursor string) (transaction, node, callID string, err error) {
	if cursor == "" {
		return "0", "", "", nil
	}
	parts := strings.SplitN(cursor, "/", 3)
	if len(parts) < 3 || strings.Trim(parts[0], "0123456789") != "" || parts[0] == "" || len(parts[0]) > 19 {
		return "", "", "", fmt.Errorf("%q: %w", cursor, ErrCursor)
	}
	return parts[0], parts[1], parts[2], nil
}

// AppendCDR appends a record that ExportCDRs gave as a JSON object, its members in the order of CDRColumns: null for NULL, numbers as numbers, legs, charges and flags as they are.
func AppendCDR(line []byte, record []*string) ([]byte, error) {
	for i, column := range CDRColumns() {
		text := []byte("null")
		if value := record[i]; value != nil {
			switch column {
			case "revision", "talk_ms", "cause", "legs", "charges", "flags": // as Postgres writes them, they are JSON
				text = []byte(*value)
			default:
				var err error
				if text, err = json.Marshal(*value); err != nil {
					return line, fmt.Errorf("couldn't write column %s as JSON: %w", column, err)
				}
			}
		}
		line = append(line, "{,"[min(i, 1)])
		line = append(fmt.Appendf(line, "%q:", column), text...)
	}
	return append(line, '}'), nil
}
