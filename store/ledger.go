package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"ringmaster/logic"
)

// Ledger writes down what calls and nodes leave behind. Everything that it acknowledges is durable, and writing it again does
// nothing. Callers never touch a connection: they wait on a channel, with their own deadline. Safe for concurrent use.
type Ledger struct {
	ends  *batcher[logic.CDR]
	nodes *batcher[nodeReport]
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// NewLedger starts the writers of a store. Close them before the store.
func (s *Store) NewLedger() *Ledger {
	l := &Ledger{
		ends:  newBatcher(queueCDR, s, s.writeCDRs),
		nodes: newBatcher(queueNode, s, s.writeNodes),
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.ended.Go(func() { l.ends.run(ctx) })
	l.ended.Go(func() { l.nodes.run(ctx) })
	return l
}

// Close ends the writers. Whoever still waits gets an error, and may not know whether the write is durable: doing it again,
// with any engine, is safe. Stop what calls the ledger first.
func (l *Ledger) Close() {
	l.stop()
	l.ended.Wait()
}

// End stores the CDR of a call that has ended, with its records, and returns when they are durable. There is one CDR per call
// id: storing another does nothing and is no error. An error leaves it open whether it was stored, so
// the caller does it again: ErrInvalid in it says that this would be in vain, ErrQueueFull that Postgres is behind, and that of
// the context that the deadline came first.
func (l *Ledger) End(ctx context.Context, cdr logic.CDR) error {
	if err := l.ends.do(ctx, cdr); err != nil {
		return fmt.Errorf("couldn't store the CDR of call %q: %w", cdr.CallID, err)
	}
	return nil
}

// Limits of a CDR's texts, in bytes. They are far above what the protocol lets in; they are here so that no CDR is ever refused
// for its size.
const (
	maxCDRText = 1024
	maxCDRPath = 4096
)

// cdrRow is a CDR as insertCDRs takes it.
type cdrRow struct {
	CallID       string      `json:"call_id"`
	Node         string      `json:"node"`
	Channel      string      `json:"channel"`
	Trunk        string      `json:"trunk"`
	Caller       string      `json:"caller"`
	Called       string      `json:"called"`
	Dialled      string      `json:"dialled"`
	Presentation string      `json:"presentation"`
	Service      string      `json:"service"`
	Subscriber   string      `json:"subscriber"`
	Script       string      `json:"script"`
	Path         string      `json:"path"`
	Revision     int64       `json:"revision"`
	Outcome      string      `json:"outcome"`
	StartedAt    string      `json:"started_at"`
	AnsweredAt   *string     `json:"answered_at"`
	EndedAt      string      `json:"ended_at"`
	TalkMS       int64       `json:"talk_ms"`
	Cause        int         `json:"cause"`
	HangupSource string      `json:"hangup_source"`
	Legs         []logic.Leg `json:"legs"`
	Records      []recordRow `json:"records"`
}

// recordRow is a record of a call as insertCDRs takes it.
type recordRow struct {
	Position int    `json:"position"`
	At       string `json:"at"`
	Kind     string `json:"kind"`
	Text     string `json:"text"`
}

// insertCDRs stores a batch of CDRs, given as a JSON list, and returns how many were new. It is one statement and so one
// transaction. Going through a list in the order of the call ids keeps engines that store the same calls at once from waiting
// for each other in a circle.
const insertCDRs = `
WITH given AS MATERIALIZED (
	SELECT DISTINCT ON (call_id, node) * FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, channel text, trunk text, caller text,
		called text, dialled text, presentation text, service text, subscriber text, script text, path text, revision bigint, outcome text,
		started_at timestamptz, answered_at timestamptz, ended_at timestamptz, talk_ms bigint, cause integer, hangup_source text,
		legs jsonb, records jsonb)
	ORDER BY call_id, node
), stored AS (
	INSERT INTO cdr (call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision,
		outcome, started_at, answered_at, ended_at, talk_ms, cause, hangup_source, legs)
	SELECT call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision,
		outcome, started_at, answered_at, ended_at, talk_ms, cause, hangup_source, legs
	FROM given
	ON CONFLICT (call_id, node) DO NOTHING
	RETURNING call_id, node
), recorded AS (
	INSERT INTO call_record (call_id, node, position, at, kind, text)
	SELECT call_id, node, r.position, r.at, r.kind, r.text
	FROM stored JOIN given USING (call_id, node), jsonb_to_recordset(given.records) AS r (position integer, at timestamptz, kind text, text text)
)
SELECT count(*) FROM stored`

func (s *Store) writeCDRs(ctx context.Context, batch []logic.CDR) error {
	rows := make([]cdrRow, len(batch))
	for i := range batch {
		rows[i] = newCDRRow(&batch[i])
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("couldn't write CDRs as JSON: %w", err)
	}
	var stored int
	if err := s.pool.QueryRow(ctx, insertCDRs, string(list)).Scan(&stored); err != nil {
		return err
	}
	s.metrics.cdrs.Add(float64(stored))
	s.metrics.duplicates.Add(float64(len(batch) - stored))
	return nil
}

// newCDRRow makes a row that Postgres takes in any case: an odd byte in what a node said is no reason to lose a CDR.
func newCDRRow(c *logic.CDR) cdrRow {
	text := func(s string) string { return cut(s, maxCDRText) }
	row := cdrRow{
		CallID: text(c.CallID), Node: text(c.Node), Channel: text(c.Channel), Trunk: text(c.Trunk), Caller: text(c.Caller),
		Called: text(c.Called), Dialled: text(c.Dialled), Presentation: c.Presentation.String(), Service: text(c.Service),
		Subscriber: text(c.Subscriber), Script: text(c.Script), Path: cut(c.Path, maxCDRPath), Revision: c.Revision,
		Outcome: string(c.Outcome), StartedAt: instant(c.StartedAt), EndedAt: instant(c.EndedAt),
		TalkMS: max(0, c.Talk.Milliseconds()), Cause: c.Cause, HangupSource: text(c.HangupSource),
		Legs: make([]logic.Leg, 0, len(c.Legs)), Records: make([]recordRow, 0, len(c.Records)),
	}
	if row.Cause < 0 || row.Cause > 127 {
		row.Cause = 0 // not a cause of Q.850: unknown
	}
	if !c.AnsweredAt.IsZero() {
		at := instant(c.AnsweredAt)
		row.AnsweredAt = &at
	}
	for _, leg := range c.Legs {
		leg.Trunk, leg.Number, leg.DialStatus = text(leg.Trunk), text(leg.Number), text(leg.DialStatus)
		row.Legs = append(row.Legs, leg)
	}
	for i, r := range c.Records {
		row.Records = append(row.Records, recordRow{i, instant(r.At), text(r.Kind), cut(r.Text, maxCDRPath)})
	}
	return row
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
