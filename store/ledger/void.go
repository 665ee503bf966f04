package ledger

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/charging"
)

// void names what is given back: a reservation, or with Number 0 a place.
type void struct {
	charging.Key
	limit, place string
	claim        string
}

// give notes that what an ask may have taken is to be given back: its own claim only, for the same may be held for another answer to the same call.
func (a *asker) give(p *asked) {
	v := void{claim: p.claim}
	switch p.Kind {
	case charging.KindReserve:
		v.Key = p.Reserve.Key
	case charging.KindLimit:
		v.Key = charging.Key{CallID: p.Limit.CallID, Node: p.Limit.Node}
		v.limit, v.place = p.Limit.Name, p.Limit.Key
	default:
		return
	}
	a.mu.Lock()
	if len(a.voids) < maxVoids {
		a.voids = append(a.voids, v)
	} else {
		a.ledger.metrics.forgotten.Inc()
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// giveBack gives back until the context has ended, again and again until it is done.
func (a *asker) giveBack(ctx context.Context) {
	pause, most := retryFirst, MaxBatch
	for {
		a.mu.Lock()
		n := min(len(a.voids), most)
		batch := a.voids[:n:n]
		a.mu.Unlock()
		if n == 0 {
			most = MaxBatch
			select {
			case <-a.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		writing, cancel := context.WithTimeout(ctx, writeFirst)
		left, err := a.ledger.writeVoids(writing, batch, false)
		if isLocked(err) {
			left, err = a.ledger.writeVoids(writing, batch, true)
		}
		cancel()
		if err == nil {
			a.mu.Lock()
			a.voids = append(a.voids[n:], left...)
			a.mu.Unlock()
			a.ledger.metrics.voided.Add(float64(n - len(left)))
			if len(left) < n {
				pause = retryFirst
				continue
			}
		}
		if err != nil {
			a.ledger.metrics.retries.WithLabelValues(a.name).Inc()
		}
		if isInvalid(err) && n > 1 {
			most = 1 // one of them is bad: the others must not wait for it
			continue
		}
		if isInvalid(err) {
			a.ledger.log.Error("Postgres refuses to give something back", "call_id", batch[0].CallID, "error", err)
			a.ledger.metrics.forgotten.Inc()
			a.mu.Lock()
			a.voids = a.voids[1:]
			a.mu.Unlock()
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, retryLast)
	}
}

// The statements that give back what nobody was told of. What is not there gets a tombstone, so that a transaction that Postgres commits late finds it and changes nothing.
const (
	// Locks the accounts, and tells what is left because somebody else has locked its account.
	lockVoidsSQL = voidAccountsSQL + ` FOR UPDATE` + leftVoidsSQL
	freeVoidsSQL = voidAccountsSQL + ` FOR UPDATE SKIP LOCKED` + leftVoidsSQL

	voidAccountsSQL = `WITH given AS MATERIALIZED (SELECT r.call_id, r.node, r.charge, r.account FROM reservation r JOIN jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, charge integer)
			USING (call_id, node, charge) WHERE r.settled_at IS NULL),
		locked AS MATERIALIZED (SELECT b.account FROM account_balance b WHERE b.account IN (SELECT account FROM given) ORDER BY b.account`
	leftVoidsSQL = `) SELECT DISTINCT call_id, node, charge FROM given WHERE account NOT IN (SELECT account FROM locked)`

	voidSQL = `WITH given AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, charge integer, claim text)),
		tombs AS (
			INSERT INTO reservation (call_id, node, charge, payer, state, amount, seconds, body, terms, expires_at, settled_at)
			SELECT DISTINCT call_id, node, charge, payer, 'voided', 0, 0, 0, '{}'::jsonb, now(), now() FROM given, generate_series(1, 2) AS payer
			WHERE NOT EXISTS (SELECT FROM reservation r WHERE r.call_id = given.call_id AND r.node = given.node AND r.charge = given.charge)
			ON CONFLICT DO NOTHING),
		voided AS (
			UPDATE reservation r SET claims = g.others, state = CASE g.others WHEN '{}' THEN 'voided' ELSE 'pending' END, settled_at = CASE g.others WHEN '{}' THEN now() END
			FROM (SELECT r.call_id, r.node, r.charge, r.payer, ARRAY(SELECT unnest(r.claims) EXCEPT SELECT unnest(array_agg(g.claim))) AS others
				FROM given g JOIN reservation r USING (call_id, node, charge) WHERE r.settled_at IS NULL AND g.claim = ANY (r.claims) GROUP BY r.call_id, r.node, r.charge, r.payer, r.claims) AS g
			WHERE r.call_id = g.call_id AND r.node = g.node AND r.charge = g.charge AND r.payer = g.payer AND r.settled_at IS NULL RETURNING r.account, r.amount, r.state)
		UPDATE account_balance b SET pending = b.pending - v.amount FROM (SELECT account, sum(amount) AS amount FROM voided WHERE state = 'voided' GROUP BY account) AS v WHERE b.account = v.account`
	tombPlacesSQL = `INSERT INTO limit_place (call_limit, key, call_id, node, taken_at, expires_at, released_at)
		SELECT DISTINCT call_limit, key, call_id, node, 'epoch'::timestamptz, now(), now() FROM jsonb_to_recordset($1::jsonb) AS g (call_limit text, key text, call_id text, node text) ON CONFLICT DO NOTHING`
	releaseSQL = `UPDATE limit_place p SET claims = g.others, released_at = CASE g.others WHEN '{}' THEN clock_timestamp() END
		FROM (SELECT p.call_limit, p.key, p.call_id, p.node, ARRAY(SELECT unnest(p.claims) EXCEPT SELECT unnest(array_agg(g.claim))) AS others
			FROM jsonb_to_recordset($1::jsonb) AS g (call_limit text, key text, call_id text, node text, claim text) JOIN limit_place p USING (call_limit, key, call_id, node)
			WHERE coalesce(p.released_at, 'infinity') = 'infinity' AND g.claim = ANY (p.claims) GROUP BY p.call_limit, p.key, p.call_id, p.node, p.claims) AS g
		WHERE p.call_limit = g.call_limit AND p.key = g.key AND p.call_id = g.call_id AND p.node = g.node AND coalesce(p.released_at, 'infinity') = 'infinity'`
)

// writeVoids gives back. With skip it waits for no account that somebody else has locked, and returns what it left for that.
func (l *Ledger) writeVoids(ctx context.Context, batch []void, skip bool) (left []void, err error) {
	lockSQL := lockVoidsSQL
	if skip {
		lockSQL = freeVoidsSQL
	}
	err = pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{BeginQuery: "BEGIN; " + impatientSQL}, func(tx pgx.Tx) error {
		money, _, err := voidRows(batch, nil)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, lockSQL, money)
		if err != nil {
			return err
		}
		stuck := make(map[charging.Key]bool)
		var key charging.Key
		if _, err := pgx.ForEachRow(rows, []any{&key.CallID, &key.Node, &key.Number}, func() error {
			stuck[key] = true
			return nil
		}); err != nil {
			return err
		}
		left = slices.DeleteFunc(slices.Clone(batch), func(v void) bool { return !stuck[v.Key] })
		money, places, err := voidRows(batch, stuck)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		if names, keys := placesOf(batch); len(names) > 0 {
			b.Queue(lockLimitsSQL, names, keys) // as who reads a place for another answer, which is not to be given back before that is written
		}
		b.Queue(voidSQL, money)
		b.Queue(releaseSQL, places)
		b.Queue(tombPlacesSQL, places)
		return tx.SendBatch(ctx, b).Close()
	})
	return left, err
}

// placesOf are the limits, by name and key, of which places are given back.
func placesOf(batch []void) (names, keys []string) {
	for _, v := range batch {
		if v.Number == 0 {
			names, keys = append(names, v.limit), append(keys, v.place)
		}
	}
	return names, keys
}

// voidRows are the reservations and places of a batch as JSON, but for those that are stuck.
func voidRows(batch []void, stuck map[charging.Key]bool) (money, places string, err error) {
	reservations, limits := []claimRow{}, []claimRow{}
	for _, v := range batch {
		row := claimRow{CallID: v.CallID, Node: v.Node, Charge: v.Number, Limit: v.limit, Key: v.place, Claim: v.claim}
		switch {
		case v.Number == 0:
			limits = append(limits, row)
		case !stuck[v.Key]:
			reservations = append(reservations, row)
		}
	}
	first, err := json.Marshal(reservations)
	if err != nil {
		return "", "", err
	}
	second, err := json.Marshal(limits)
	return string(first), string(second), err
}
