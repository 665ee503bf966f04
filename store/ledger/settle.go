package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store/ledger/record"
)

// ended is an end of a call, and what was charged. Once the writer has it, only the writer touches it until it has answered.
type ended struct {
	call.CDR
	booked []charging.Booked
	locked bool // it was left out, for somebody else has locked an account that it charges
}

// holds reports whether the ledger may hold something for a call, so that its end must settle it. A call that fell back may have been granted something that its node never heard of.
func holds(cdr *call.CDR) bool {
	return cdr.Held || len(cdr.Blind) > 0 || cdr.Outcome == call.OutcomeFallback || cdr.Outcome == call.OutcomeNodeLost
}

// Flags of a CDR.
const (
	flagExcess = "excess"
	flagOutage = "outage"
	flagUnpaid = "unpaid"
	flagLate   = "late"
)

// settledRow is what becomes of a pending reservation.
type settledRow struct {
	CallID string `json:"call_id"`
	Node   string `json:"node"`
	Charge int    `json:"charge"`
	Payer  int    `json:"payer"`
	State  string `json:"state"`
	Posted string `json:"posted"`
	Talk   int64  `json:"talk_ms"`
}

// settlement is what a batch of ends comes to.
type settlement struct {
	given       int // ends, those that were sent twice among them
	booked      map[[2]string][]charging.Booked
	stored      map[[2]string]bool // calls whose CDR is new
	cdrs        []record.CDR
	entries     []entryRow
	settled     []settledRow
	corrections []correctionRow
	corrected   []entryRow // of the corrections
}

type correctionRow struct {
	CallID  string          `json:"call_id"`
	Node    string          `json:"node"`
	TalkMS  int64           `json:"talk_ms"`
	Cause   int             `json:"cause"`
	EndedAt string          `json:"ended_at"`
	Charges json.RawMessage `json:"charges"`
}

// settleSQL stores CDRs with their records, and with those that are new, and only them, everything that they cost. $1 CDRs, $2 ledger entries, $3 reservations. Going through a list in the order of the
// call ids keeps engines that store the same calls at once from waiting for each other in a circle. A CDR whose call has one (cdr_key) is left out by the trigger note_cdr_key.
const settleSQL = `
WITH given AS MATERIALIZED (
	SELECT DISTINCT ON (call_id, node) * FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, channel text, trunk text, caller text,
		called text, dialled text, presentation text, service text, subscriber text, script text, path text, revision bigint, outcome text,
		started_at timestamptz, answered_at timestamptz, ended_at timestamptz, talk_ms bigint, cause integer, hangup_source text,
		charges jsonb, flags text[], legs jsonb, records jsonb)
	ORDER BY call_id, node
), stored AS (
	INSERT INTO cdr (call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision,
		outcome, started_at, answered_at, ended_at, talk_ms, cause, hangup_source, charges, flags, legs)
	SELECT call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision,
		outcome, started_at, answered_at, ended_at, talk_ms, cause, hangup_source, charges, flags, legs
	FROM given
	RETURNING call_id, node
), recorded AS (
	INSERT INTO call_record (call_id, node, position, at, kind, text)
	SELECT call_id, node, r.position, r.at, r.kind, r.text
	FROM stored JOIN given USING (call_id, node), jsonb_to_recordset(given.records) AS r (position integer, at timestamptz, kind text, text text)
), posted AS (
	INSERT INTO ledger_entry (account, kind, amount, call_id, node, charge, reference)
	SELECT account, kind, sum(amount), call_id, node, charge, min(reference) -- an account that pays both parts has one row
	FROM jsonb_to_recordset($2::jsonb) AS e (call_id text, node text, charge integer, account text, kind text, amount numeric, reference text) JOIN stored USING (call_id, node)
	GROUP BY account, kind, call_id, node, charge HAVING sum(amount) <> 0
	RETURNING account, amount
), settled AS (
	UPDATE reservation r SET state = s.state, posted = s.posted, talk_ms = s.talk_ms, settled_at = clock_timestamp()
	FROM jsonb_to_recordset($3::jsonb) AS s (call_id text, node text, charge integer, payer integer, state text, posted numeric, talk_ms bigint) JOIN stored USING (call_id, node)
	WHERE r.call_id = s.call_id AND r.node = s.node AND r.charge = s.charge AND r.payer = s.payer AND r.settled_at IS NULL
	RETURNING r.account, r.amount
), changes AS (
	SELECT account, sum(balance) AS balance, sum(pending) AS pending FROM (
		SELECT account, amount AS balance, 0 AS pending FROM posted UNION ALL SELECT account, 0, amount FROM settled) AS c GROUP BY account
), booked AS (
	UPDATE account_balance b SET balance = b.balance + c.balance, pending = b.pending - c.pending FROM changes c WHERE b.account = c.account
), released AS (
	UPDATE limit_place p SET released_at = clock_timestamp() FROM stored s WHERE p.call_id = s.call_id AND p.node = s.node AND coalesce(p.released_at, 'infinity') = 'infinity'
), gone AS (
	DELETE FROM live_call l USING stored s WHERE l.call_id = s.call_id AND l.node = s.node
)
SELECT call_id, node FROM stored`

// insertSQL stores CDRs of calls for which nothing is held.
const insertSQL = `
WITH given AS MATERIALIZED (
	SELECT DISTINCT ON (call_id, node) * FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, channel text, trunk text, caller text,
		called text, dialled text, presentation text, service text, subscriber text, script text, path text, revision bigint, outcome text,
		started_at timestamptz, answered_at timestamptz, ended_at timestamptz, talk_ms bigint, cause integer, hangup_source text,
		flags text[], legs jsonb, records jsonb)
	ORDER BY call_id, node
), stored AS (
	INSERT INTO cdr (call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision,
		outcome, started_at, answered_at, ended_at, talk_ms, cause, hangup_source, flags, legs)
	SELECT call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision,
		outcome, started_at, answered_at, ended_at, talk_ms, cause, hangup_source, flags, legs
	FROM given
	RETURNING call_id, node
), recorded AS (
	INSERT INTO call_record (call_id, node, position, at, kind, text)
	SELECT call_id, node, r.position, r.at, r.kind, r.text
	FROM stored JOIN given USING (call_id, node), jsonb_to_recordset(given.records) AS r (position integer, at timestamptz, kind text, text text)
)
SELECT count(*) FROM stored`

// correctSQL books the real end of calls that had been closed as node_lost: $1 corrections, $2 ledger entries.
const correctSQL = `
WITH stored AS (
	INSERT INTO cdr_correction (call_id, node, talk_ms, cause, ended_at, charges)
	SELECT call_id, node, talk_ms, cause, ended_at, charges
	FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, talk_ms bigint, cause integer, ended_at timestamptz, charges jsonb) ORDER BY call_id, node
	ON CONFLICT DO NOTHING
	RETURNING call_id, node
), posted AS (
	INSERT INTO ledger_entry (account, kind, amount, call_id, node, charge, reference)
	SELECT account, kind, sum(amount), call_id, node, charge, min(reference) -- an account that pays both parts has one row
	FROM jsonb_to_recordset($2::jsonb) AS e (call_id text, node text, charge integer, account text, kind text, amount numeric, reference text) JOIN stored USING (call_id, node)
	GROUP BY account, kind, call_id, node, charge HAVING sum(amount) <> 0
	RETURNING account, amount
)
UPDATE account_balance b SET balance = b.balance + c.amount FROM (SELECT account, sum(amount) AS amount FROM posted GROUP BY account) AS c WHERE b.account = c.account`

// lateSQL notes the real ends of calls that had been closed and for which nothing is held: $1 CDRs.
const lateSQL = `
INSERT INTO cdr_correction (call_id, node, talk_ms, cause, ended_at)
SELECT g.call_id, g.node, g.talk_ms, g.cause, g.ended_at
FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, talk_ms bigint, cause integer, ended_at timestamptz, outcome text) JOIN cdr_key c USING (call_id, node)
WHERE c.lost AND g.outcome <> 'node_lost' ORDER BY g.call_id, g.node
ON CONFLICT DO NOTHING`

// firstEnds keeps one end of each call. A node may send several, and they may differ: the first counts, with all that it says. But what a node says counts for more than that the reaper heard nothing.
func firstEnds(batch []*ended) (first []call.CDR) {
	at := make(map[[2]string]int, len(batch))
	first = make([]call.CDR, 0, len(batch))
	for _, end := range batch {
		key := keyOf(&end.CDR)
		i, known := at[key]
		switch {
		case !known:
			at[key] = len(first)
			first = append(first, end.CDR)
		case first[i].Outcome == call.OutcomeNodeLost && end.Outcome != call.OutcomeNodeLost:
			first[i] = end.CDR
		}
	}
	return first
}

// keyOf names a call as it is stored.
func keyOf(cdr *call.CDR) [2]string {
	return [2]string{record.Cut(cdr.CallID, record.MaxText), record.Cut(cdr.Node, record.MaxText)}
}

// writeEnds stores a batch of CDRs, each with what it costs, in one transaction.
func (l *Ledger) writeEnds(ctx context.Context, ends []*ended) error {
	batch := firstEnds(ends)
	if !slices.ContainsFunc(batch, func(cdr call.CDR) bool { return holds(&cdr) }) {
		rows := make([]record.CDR, len(batch))
		for i := range batch {
			rows[i] = record.New(&batch[i])
		}
		list, err := json.Marshal(rows)
		if err != nil {
			return fmt.Errorf("couldn't write CDRs as JSON: %w", err)
		}
		n, err := l.stored(l.pool.QueryRow(ctx, insertSQL, string(list)), len(ends))
		if err == nil && n < len(batch) {
			_, err = l.pool.Exec(ctx, lateSQL, string(list))
		}
		return err
	}
	for try, skip := 0, false; ; try++ {
		err := l.settleEnds(ctx, ends, batch, skip, try >= 2)
		switch {
		case isLocked(err) && !skip:
			skip = true
		case err == nil && skip && try < 2 && slices.ContainsFunc(ends, func(end *ended) bool { return end.locked }):
			// Another engine may have had the account for a moment. The others are stored by now.
			time.Sleep(stuckPause)
			ends = slices.DeleteFunc(slices.Clone(ends), func(end *ended) bool { return !end.locked })
			batch = firstEnds(ends)
		case errors.Is(err, errMeanwhile) && try < 5:
		default:
			return err
		}
	}
}

// errMeanwhile is in the error of ends of which another engine has stored one since they were looked for. Accounts that both lock prevent that, but a lost call without reservations locks none.
var errMeanwhile = errors.New("another engine has stored the end of a call meanwhile")

// settleEnds settles calls that may hold something. With skip it waits for no account that somebody else has locked, and leaves out the ends that need it: others must not wait for it. With note it remembers such accounts for a while.
func (l *Ledger) settleEnds(ctx context.Context, ends []*ended, batch []call.CDR, skip, note bool) error {
	return pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{BeginQuery: "BEGIN; " + impatientSQL}, func(tx pgx.Tx) error {
		s, lost, err := l.readEnds(ctx, tx, batch, skip)
		if err != nil {
			return err
		}
		if note {
			l.locked.note(s, l.now())
		}
		leftOut := make(map[[2]string]bool) // ends that are left out
		left := slices.DeleteFunc(slices.Clone(batch), func(cdr call.CDR) bool {
			leftOut[keyOf(&cdr)] = s.endNeedsStuck(&cdr)
			return leftOut[keyOf(&cdr)]
		})
		ends = slices.DeleteFunc(slices.Clone(ends), func(end *ended) bool {
			end.locked = leftOut[keyOf(&end.CDR)]
			return end.locked
		})
		out := settlement{given: len(ends), booked: make(map[[2]string][]charging.Booked), stored: make(map[[2]string]bool)}
		late := func(cdr *call.CDR) bool {
			return cdr.Outcome != call.OutcomeNodeLost && lost[keyOf(cdr)]
		}
		was, err := readBooked(ctx, tx, slices.DeleteFunc(slices.Clone(left), func(cdr call.CDR) bool { return !late(&cdr) }))
		if err != nil {
			return err
		}
		for i := range left {
			if cdr := &left[i]; late(cdr) {
				l.correct(&out, s, was, cdr)
			} else {
				l.settle(&out, s, cdr)
			}
		}
		if err := l.write(ctx, tx, &out); err != nil {
			return err
		}
		for i := range left {
			key := keyOf(&left[i])
			if _, there := lost[key]; !there && !out.stored[key] {
				return errMeanwhile
			}
		}
		l.metrics.cdrs.Add(float64(len(out.stored)))
		l.metrics.duplicates.Add(float64(out.given - len(out.stored)))
		return tell(ctx, tx, ends, &out)
	})
}

// endNeedsStuck reports whether the end of a call charges an account that somebody else has locked.
func (s *state) endNeedsStuck(cdr *call.CDR) bool {
	if len(s.stuck) == 0 {
		return false
	}
	var parties []charging.Party
	for i := range cdr.Blind {
		parties = append(append(parties, cdr.Blind[i].Terms.Payers...), cdr.Blind[i].Terms.Credit)
	}
	key := keyOf(cdr)
	for number := 1; number <= charging.MaxCharges; number++ {
		for _, row := range s.reservations[charging.Key{CallID: key[0], Node: key[1], Number: number}] {
			parties = append(parties, charging.Party{Account: row.account}, row.terms.Credit)
		}
	}
	return slices.ContainsFunc(parties, s.isStuck)
}

// stored counts the CDRs that were new.
func (l *Ledger) stored(row pgx.Row, of int) (n int, err error) {
	if err := row.Scan(&n); err != nil {
		return 0, err
	}
	l.metrics.cdrs.Add(float64(n))
	l.metrics.duplicates.Add(float64(of - n))
	return n, nil
}

const thereSQL = `SELECT c.call_id, c.node, c.lost FROM cdr_key c JOIN unnest($1::text[], $2::text[]) AS g (call_id, node) USING (call_id, node)`

// readEnds reads what the ends of a batch settle, and locks the accounts. It looks twice: which accounts are concerned, and, with those locked, how things are.
func (l *Ledger) readEnds(ctx context.Context, tx pgx.Tx, batch []call.CDR, skip bool) (s *state, lost map[[2]string]bool, err error) {
	var calls wanted
	for i := range batch {
		calls.callIDs, calls.nodes = append(calls.callIDs, record.Cut(batch[i].CallID, record.MaxText)), append(calls.nodes, record.Cut(batch[i].Node, record.MaxText))
	}
	if s, err = calls.read(ctx, tx, &pgx.Batch{}); err != nil {
		return nil, nil, err
	}
	parties := wanted{skip: skip, stuck: l.locked.now(l.now())}
	for _, rows := range s.reservations {
		for i := range rows {
			parties.party(charging.Party{Account: rows[i].account})
			parties.party(rows[i].terms.Credit)
		}
	}
	for i := range batch {
		for j := range batch[i].Blind {
			for _, payer := range batch[i].Blind[j].Terms.Payers {
				parties.party(payer)
			}
			parties.party(batch[i].Blind[j].Terms.Credit)
		}
	}
	parties.callIDs, parties.nodes = calls.callIDs, calls.nodes
	if s, err = parties.read(ctx, tx, &pgx.Batch{}); err != nil {
		return nil, nil, err
	}
	lost = make(map[[2]string]bool)
	rows, err := tx.Query(ctx, thereSQL, calls.callIDs, calls.nodes)
	if err != nil {
		return nil, nil, err
	}
	var callID, node string
	var closed bool
	_, err = pgx.ForEachRow(rows, []any{&callID, &node, &closed}, func() error {
		lost[[2]string{callID, node}] = closed
		return nil
	})
	return s, lost, err
}

// charges are a call's charges by number, with what the ledger or the session knows of each.
type charge struct {
	number  int
	terms   *charging.Terms
	granted int64
	talk    int64
	rows    []reservation
	blind   bool // it was granted while the ledger was away
}

// chargesOf lists the charges of a call. With recorded, conversations that its end does not tell of are as long as the ledger noted when they were over.
func chargesOf(s *state, cdr *call.CDR, recorded bool) (all []charge) {
	talk := make(map[int]int64)
	for _, finished := range cdr.Finished {
		talk[finished.Number] += finished.Talk
	}
	for number := 1; number <= charging.MaxCharges; number++ {
		key := charging.Key{CallID: record.Cut(cdr.CallID, record.MaxText), Node: record.Cut(cdr.Node, record.MaxText), Number: number}
		one := charge{number: number, talk: talk[number]}
		for i := range cdr.Blind {
			if cdr.Blind[i].Number == number {
				one.terms, one.granted, one.blind = &cdr.Blind[i].Terms, cdr.Blind[i].Granted, true
			}
		}
		if rows := s.reservations[key]; one.terms == nil && len(rows) > 0 && rows[0].account != "" {
			one.terms, one.granted, one.rows = &rows[0].terms, rows[0].seconds, rows
		} else if len(rows) > 0 {
			one.rows = rows // a tombstone, or what was granted after the engine had given up on it
		}
		if one.terms != nil || len(one.rows) > 0 {
			all = append(all, one)
		}
	}
	if last, lost := talk[lastCharge]; lost && len(all) > 0 {
		// Unless that conversation is over, and they talk without charge, or its money was given back, for the node was never told of it. The node cut it at what was granted, if it was that long.
		if newest := &all[len(all)-1]; !slices.ContainsFunc(newest.rows, func(r reservation) bool { return r.state == "voided" }) {
			newest.talk = min(last, 1000*newest.granted)
		}
	}
	for i := range all {
		if _, said := talk[all[i].number]; recorded && !said && len(all[i].rows) > 0 && all[i].rows[0].talk >= 0 {
			all[i].talk = all[i].rows[0].talk
		}
	}
	return all
}

// settle works out what a call costs.
func (l *Ledger) settle(out *settlement, s *state, cdr *call.CDR) {
	row := record.New(cdr)
	var booked []charging.Booked
	flags, held := make(map[string]bool), false
	for _, c := range chargesOf(s, cdr, true) {
		var cost charging.Cost
		if c.terms != nil {
			cost = c.terms.Settle(time.Duration(c.talk)*time.Millisecond, c.granted)
		}
		for i := range c.rows {
			r := &c.rows[i]
			if r.state != "pending" {
				if cost.Amount > 0 && !c.blind {
					flags[flagLate] = true // its money had gone back: it may be elsewhere now
				}
				continue
			}
			held = held || r.amount > 0
			state, part := "voided", int64(0)
			if r.payer <= len(cost.Parts) && c.terms != nil && len(c.terms.Payers) >= r.payer {
				part = cost.Parts[r.payer-1]
			}
			if part > 0 && s.account(charging.Party{Account: r.account}) != nil {
				state = "posted"
			} else {
				part = 0
			}
			out.settled = append(out.settled, settledRow{row.CallID, row.Node, c.number, r.payer, state, tariff.FormatAmount(part), c.talk})
		}
		if c.terms == nil || cost.Amount == 0 {
			continue
		}
		if cost.Excess {
			flags[flagExcess] = true
			l.metrics.excess.Inc()
		}
		if c.blind {
			flags[flagOutage] = true
		}
		booked = append(booked, l.book(&out.entries, s, row.CallID, row.Node, &c, "charge", cost, nil, flags)...)
	}
	if cdr.Outcome == call.OutcomeFallback && row.TalkMS > 0 && len(booked) == 0 && held {
		flags[flagUnpaid] = true // its node has lost the session, or let the call go another way: nobody can tell
		l.metrics.unpaid.Inc()
	}
	for flag := range flags {
		row.Flags = append(row.Flags, flag)
	}
	slices.Sort(row.Flags)
	if len(booked) > 0 {
		row.Charges, _ = json.Marshal(booked) // strings and numbers
	}
	out.booked[[2]string{row.CallID, row.Node}] = booked
	out.cdrs = append(out.cdrs, row)
}

// correct works out what the real end of a call that had been closed changes.
func (l *Ledger) correct(out *settlement, s *state, was map[line]int64, cdr *call.CDR) {
	row := record.New(cdr)
	correction := correctionRow{row.CallID, row.Node, row.TalkMS, row.Cause, row.EndedAt, json.RawMessage("[]")}
	var booked []charging.Booked
	charges := chargesOf(s, cdr, false)
	if cdr.Outcome == call.OutcomeFallback && row.TalkMS > 0 {
		charges = nil // it comes without its session, and knows of no charge: what heartbeats said was talked stays charged
	}
	for _, c := range charges {
		if c.terms == nil {
			continue
		}
		cost := c.terms.Settle(time.Duration(c.talk)*time.Millisecond, c.granted)
		booked = append(booked, l.book(&out.corrected, s, row.CallID, row.Node, &c, "correction", cost, was, make(map[string]bool))...)
	}
	if len(booked) > 0 {
		correction.Charges, _ = json.Marshal(booked)
	}
	out.corrections = append(out.corrections, correction)
}

func (l *Ledger) write(ctx context.Context, tx pgx.Tx, out *settlement) error {
	text := func(rows any) (string, error) {
		list, err := json.Marshal(rows)
		if err != nil {
			return "", fmt.Errorf("couldn't write the end of calls as JSON: %w", err)
		}
		if string(list) == "null" {
			return "[]", nil
		}
		return string(list), nil
	}
	var texts [5]string
	var failed error
	for i, rows := range []any{out.cdrs, out.entries, out.settled, out.corrections, out.corrected} {
		var err error
		texts[i], err = text(rows)
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return failed
	}
	if len(out.corrections) > 0 {
		if _, err := tx.Exec(ctx, correctSQL, texts[3], texts[4]); err != nil {
			return err
		}
	}
	rows, err := tx.Query(ctx, settleSQL, texts[0], texts[1], texts[2])
	if err != nil {
		return err
	}
	var callID, node string
	_, err = pgx.ForEachRow(rows, []any{&callID, &node}, func() error {
		out.stored[[2]string{callID, node}] = true
		return nil
	})
	if err != nil {
		return err
	}
	return nil
}
