package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store/ledger/heartbeat"
)

// What a conversation under way is extended by, and when: a node asks every 5 seconds, so there is time for many tries.
const (
	extendBy     = 1800 // seconds
	extendBefore = 120  // seconds before what was granted is used up
)

// runningOutSQL finds the talking calls of a node whose payment will be used up soon and can be extended, and those for which it was: $1 node, $2 call ids, $3 answered at, $4 seconds before the end, $5 milliseconds talked.
const runningOutSQL = `SELECT t.call_id, r.charge, r.seconds, r.final, NOT r.final AND t.answered_at + make_interval(secs => r.seconds - $4::bigint) < clock_timestamp() AS soon
	FROM (SELECT call_id, talk_ms, CASE WHEN talk_ms > 0 THEN clock_timestamp() - talk_ms * interval '1 millisecond' ELSE answered_at END AS answered_at
		FROM unnest($2::text[], $3::timestamptz[], $5::bigint[]) AS u (call_id, answered_at, talk_ms)) AS t,
		LATERAL (SELECT n.* FROM reservation n WHERE n.call_id = t.call_id AND n.node = $1 AND n.payer = 1 ORDER BY n.charge DESC LIMIT 1) AS r -- call by call: a join of a thousand would compare each with each
	WHERE r.state = 'pending' AND r.talk_ms IS NULL
		AND (r.extended OR NOT r.final AND t.answered_at + make_interval(secs => r.seconds - $4::bigint) < clock_timestamp())
		AND (r.charge = 1 OR t.talk_ms = 0 OR t.answered_at >= r.created_at)` // or it is the conversation before, for which another charge pays

// spentSQL says of charges what the calls cost that their accounts with caps admitted within an hour (a day) of which each is one: of all such hours the one that cost most. $1 call ids, $2 charges, $3 node.
const spentSQL = `SELECT r.call_id, r.charge, r.payer,
		CASE WHEN a.spend_per_hour IS NOT NULL THEN (SELECT (max(w.spent) * 1000000)::bigint FROM (SELECT o.created_at, sum(CASE o.state WHEN 'pending' THEN o.amount ELSE o.posted END)
				OVER (ORDER BY o.created_at RANGE BETWEEN interval '1 hour' PRECEDING AND CURRENT ROW) AS spent
			FROM reservation o WHERE o.account = r.account AND o.created_at BETWEEN r.created_at - interval '1 hour' AND r.created_at + interval '1 hour') AS w WHERE w.created_at >= r.created_at) ELSE 0 END,
		CASE WHEN a.spend_per_day IS NOT NULL THEN (SELECT (max(w.spent) * 1000000)::bigint FROM (SELECT o.created_at, sum(CASE o.state WHEN 'pending' THEN o.amount ELSE o.posted END)
				OVER (ORDER BY o.created_at RANGE BETWEEN interval '1 day' PRECEDING AND CURRENT ROW) AS spent
			FROM reservation o WHERE o.account = r.account AND o.created_at BETWEEN r.created_at - interval '1 day' AND r.created_at + interval '1 day') AS w WHERE w.created_at >= r.created_at) ELSE 0 END
	FROM unnest($1::text[], $2::int[]) AS g (call_id, charge) JOIN reservation r ON r.call_id = g.call_id AND r.charge = g.charge AND r.node = $3 JOIN account a ON a.account = r.account
	WHERE a.spend_per_hour IS NOT NULL OR a.spend_per_day IS NOT NULL`

// spent is what the calls of an hour, and of a day, cost: micro-units.
type spent struct{ hour, day int64 }

// spentBy is it of a charge, by payer.
type spentBy map[charging.Key]*[charging.MaxPayers]spent

// readSpent reads what caps are compared with when charges of a node's calls are extended. Their accounts are locked.
func readSpent(ctx context.Context, tx pgx.Tx, node string, running []charging.Key) (spentBy, error) {
	var ids []string
	var numbers []int
	for _, one := range running {
		ids, numbers = append(ids, one.CallID), append(numbers, one.Number)
	}
	rows, err := tx.Query(ctx, spentSQL, ids, numbers, node)
	if err != nil {
		return nil, err
	}
	all := make(spentBy)
	key, payer, of := charging.Key{Node: node}, 0, spent{}
	_, err = pgx.ForEachRow(rows, []any{&key.CallID, &key.Number, &payer, &of.hour, &of.day}, func() error {
		if all[key] == nil {
			all[key] = new([charging.MaxPayers]spent)
		}
		if payer >= 1 && payer <= charging.MaxPayers {
			all[key][payer-1] = of
		}
		return nil
	})
	return all, err
}

// extendTime is how long that may take. It is more than a heartbeat's caller waits, who is then told with the next one.
const extendTime = 2 * time.Second

// extended is what came of it.
type extended struct {
	extensions []charging.Extension
	err        error
}

// extendSoon is extend on its own time, for a node at most once at a time: money that is hard to come by must not end a call that has some. nil: another one is under way.
func (l *Ledger) extendSoon(node string, calls []heartbeat.Live) <-chan extended {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.extending[node] || l.life.Err() != nil {
		return nil
	}
	l.extending[node] = true
	done := make(chan extended, 1)
	l.ended.Go(func() {
		ctx, cancel := context.WithTimeout(l.life, extendTime)
		defer cancel()
		extensions, err := l.extend(ctx, node, calls)
		l.mu.Lock()
		delete(l.extending, node)
		l.mu.Unlock()
		done <- extended{extensions, err}
	})
	return done
}

// extend holds more money for conversations that go on, and says for how long they may.
func (l *Ledger) extend(ctx context.Context, node string, calls []heartbeat.Live) (extensions []charging.Extension, err error) {
	var ids []string
	var since []*string
	var talked []int64
	for _, one := range calls {
		ids, since, talked = append(ids, one.CallID), append(since, one.AnsweredAt), append(talked, one.TalkMS)
	}
	rows, err := l.pool.Query(ctx, runningOutSQL, node, ids, since, extendBefore, talked)
	if err != nil {
		return nil, fmt.Errorf("couldn't look for calls whose money runs out: %w", err)
	}
	var running []charging.Key
	var known []charging.Extension // told again with each heartbeat, for the reply to the one before may be lost
	var one charging.Extension
	var soon bool
	_, err = pgx.ForEachRow(rows, []any{&one.CallID, &one.Charge, &one.Seconds, &one.Final, &soon}, func() error {
		if soon {
			running = append(running, charging.Key{CallID: one.CallID, Node: node, Number: one.Charge})
		} else {
			known = append(known, one)
		}
		return nil
	})
	if err != nil || len(running) == 0 {
		return known, err
	}
	err = pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{BeginQuery: byKeySQL}, func(tx pgx.Tx) error {
		extensions = slices.Clip(known)
		var want wanted
		for _, one := range running {
			want.callIDs, want.nodes = append(want.callIDs, one.CallID), append(want.nodes, node)
		}
		s, err := want.read(ctx, tx, &pgx.Batch{})
		if err != nil {
			return err
		}
		for _, one := range running {
			for i := range s.reservations[one] {
				want.accounts = append(want.accounts, s.reservations[one][i].account)
			}
		}
		// An account that somebody else has locked keeps no other call from being extended; the next heartbeat comes soon.
		want.skip = true
		if s, err = want.read(ctx, tx, &pgx.Batch{}); err != nil { // with the accounts locked
			return err
		}
		was, err := readSpent(ctx, tx, node, running)
		if err != nil {
			return err
		}
		more := make(map[*charging.Account]int64) // what this transaction extends accounts by
		var held []heldRow
		for _, one := range running {
			if slices.ContainsFunc(s.reservations[one], func(r reservation) bool { return s.stuck[r.account] }) {
				continue
			}
			if extension, ok := s.extend(one, was[one], more, &held); ok {
				extensions = append(extensions, extension)
			}
		}
		text, err := json.Marshal(held)
		if err != nil || len(held) == 0 {
			return err
		}
		_, err = tx.Exec(ctx, changeHeldSQL, string(text))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("couldn't extend what calls hold: %w", err)
	}
	return extensions, nil
}

// extend holds more for one charge. The caps of its payers are those of the hour and the day in which its call was admitted, however long ago: was says what is spent of them, more what is extended besides.
func (s *state) extend(key charging.Key, was *[charging.MaxPayers]spent, more map[*charging.Account]int64, held *[]heldRow) (e charging.Extension, ok bool) {
	rows := s.reservations[key]
	if len(rows) == 0 || slices.ContainsFunc(rows, func(r reservation) bool { return r.state != "pending" || r.final || r.talk >= 0 }) {
		return e, false
	}
	payers := make([]*charging.Account, len(rows))
	var has [charging.MaxPayers]int64
	for i := range rows {
		payers[i], has[i] = s.accounts[rows[i].account], rows[i].amount
	}
	terms := &rows[0].terms
	if len(rows) != len(terms.Payers) {
		return e, false
	}
	for i, account := range payers {
		if account != nil && was != nil {
			account.SpentHour, account.SpentDay = was[i].hour+more[account], was[i].day+more[account]
		}
	}
	g := terms.Grant(rows[0].seconds+extendBy, 1, &has, payers)
	if g.Seconds <= rows[0].seconds {
		// There is no more to be had. What was granted stays, and is all.
		g = charging.Grant{Seconds: rows[0].seconds, Parts: has, Final: true}
	}
	for i := range rows {
		more[payers[i]] += g.Parts[i] - has[i]
		*held = append(*held, heldRow{CallID: key.CallID, Node: key.Node, Charge: key.Number, Payer: rows[i].payer, Amount: tariff.FormatAmount(g.Parts[i]), Seconds: g.Seconds, Final: g.Final, Extended: true,
			Expires: float64(g.Seconds) + setupTime.Seconds()})
	}
	return charging.Extension{CallID: key.CallID, Charge: key.Number, Seconds: g.Seconds, Final: g.Final}, true
}
