package ledger

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store/ledger/record"
)

// setupTime is how long a call may ring, play and collect beyond the conversation that it was granted, before what it holds expires unless it is heard of.
const setupTime = 30 * time.Minute

// writes are what a batch of asks comes to.
type writes struct {
	Reservations []reservationRow `json:"reservations"`
	Held         []heldRow        `json:"held"`
	Places       []placeRow       `json:"places"`
	Tries        []tryRow         `json:"tries"`
	Failures     []failureRow     `json:"failures"`
	Calls        []liveRow        `json:"calls"`
	Claims       []claimRow       `json:"claims"`
	places       map[placeKey]bool
	calls        map[[2]string]bool
	cleared      []string             // cards whose PIN was right
	missing      map[charging.Key]int // reservations that were not made, for their charge was there meanwhile
}

type reservationRow struct {
	CallID  string         `json:"call_id"`
	Node    string         `json:"node"`
	Charge  int            `json:"charge"`
	Payer   int            `json:"payer"`
	Account string         `json:"account"`
	Amount  string         `json:"amount"`
	Seconds int64          `json:"seconds"`
	Final   bool           `json:"final"`
	Body    int64          `json:"body"`
	Terms   charging.Terms `json:"terms"`
	Expires float64        `json:"expires"` // seconds from now
	Claim   string         `json:"claim"`
}

// claimRow makes what another answer holds held for this one too. With Charge 0 it is a place.
type claimRow struct {
	CallID string `json:"call_id"`
	Node   string `json:"node"`
	Charge int    `json:"charge"`
	Limit  string `json:"call_limit"`
	Key    string `json:"key"`
	Claim  string `json:"claim"`
}

// heldRow changes what a pending reservation holds.
type heldRow struct {
	CallID   string  `json:"call_id"`
	Node     string  `json:"node"`
	Charge   int     `json:"charge"`
	Payer    int     `json:"payer"`
	Amount   string  `json:"amount"`
	Seconds  int64   `json:"seconds"`
	Final    bool    `json:"final"`
	Extended bool    `json:"extended"`
	Talk     *int64  `json:"talk_ms"`
	Expires  float64 `json:"expires"`
}

type placeRow struct {
	Limit   string  `json:"call_limit"`
	Key     string  `json:"key"`
	CallID  string  `json:"call_id"`
	Node    string  `json:"node"`
	Maximum int64   `json:"maximum_calls"` // 0: any number
	Expires float64 `json:"expires"`
	Claim   string  `json:"claim"`
}

type tryRow struct {
	Scope string `json:"scope"`
	Key   string `json:"key"`
}

type failureRow struct {
	CallID string `json:"call_id"`
	Node   string `json:"node"`
	Try    int    `json:"try"`
	Digest string `json:"digest"` // hexadecimal
}

type liveRow struct {
	CallID       string `json:"call_id"`
	Node         string `json:"node"`
	Channel      string `json:"channel"`
	Trunk        string `json:"trunk"`
	Caller       string `json:"caller"`
	Called       string `json:"called"`
	Dialled      string `json:"dialled"`
	Presentation string `json:"presentation"`
	Service      string `json:"service"`
	Subscriber   string `json:"subscriber"`
	Script       string `json:"script"`
	Revision     int64  `json:"revision"`
	StartedAt    string `json:"started_at"`
}

// byKeySQL begins a transaction whose statements read a few rows by their keys. The planner does not know how many keys an array will have, keeps its plan from when the tables
// were small, and would then read whole tables of accounts and reservations for each batch. By keys there is one way to go, for one call and for 256: to plan it anew for each batch took as long as to go it.
// Such statements say settled_at IS NULL of a pending reservation, and coalesce(released_at, 'infinity') = 'infinity' of a place that is held: by state = 'pending' and released_at IS NULL the planner would, where there are few of them just then, take the index
// of all those for the shortest way, and keep to it when they have become many.
//
// An engine that dies without a goodbye in mid-transaction keeps accounts from all others until Postgres ends its session: no engine that lives thinks for a second.
const byKeySQL = "BEGIN; " + keyedSQL

// keyedSQL are the settings of such a transaction, as one statement.
const keyedSQL = `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
	set_config('idle_in_transaction_session_timeout', '1000', true), set_config('plan_cache_mode', 'force_generic_plan', true)`

// impatientSQL besides waits for an account that another transaction has locked for 100 ms only: an engine is done in less, so it is somebody's psql.
const impatientSQL = keyedSQL + `, set_config('lock_timeout', '100', true)`

// sender takes batches: a transaction, or a connection whose first batch begins one and whose last ends it.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// do takes what a batch of asks wants, in one transaction of two round trips: one begins it and reads, one writes and commits. With skip it waits for no account that somebody else has locked: who needs it is stuck.
func (r *runner) do(ctx context.Context, batch []*asked, skip bool) error {
	patience := askTimeout
	for _, p := range batch {
		left := writeFirst
		if deadline, ok := p.ctx.Deadline(); ok {
			left = min(left, time.Until(deadline))
		}
		patience = max(patience, left)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := r.ledger.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err = r.transact(ctx, conn.Conn(), batch, skip); err != nil && !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		// Should it fail, the pool closes the connection, and Postgres ends the transaction.
		_, _ = conn.Exec(ctx, "ROLLBACK")
	}
	return err
}

func (r *runner) transact(ctx context.Context, conn *pgx.Conn, batch []*asked, skip bool) error {
	want := wanted{skip: skip, stuck: r.stuck.now(r.ledger.now())}
	for _, p := range batch {
		want.add(p.Ask)
	}
	reading := &pgx.Batch{}
	reading.Queue("BEGIN")
	reading.Queue(impatientSQL)
	s, err := want.read(ctx, conn, reading)
	if err != nil {
		return err
	}
	r.stuck.note(s, r.ledger.now())
	w := &writes{places: make(map[placeKey]bool), calls: make(map[[2]string]bool), missing: make(map[charging.Key]int)}
	for _, p := range batch {
		if p.stuck = s.needsStuck(p.Ask); !p.stuck {
			p.answer, p.took = s.decide(p, w)
		}
	}
	if err := w.commit(ctx, conn); err != nil {
		return err
	}
	for _, p := range batch {
		if p.Kind == charging.KindReserve && w.missing[p.Reserve.Key] > 0 {
			p.answer, p.took, p.partly = charging.Answer{}, false, true
		}
	}
	return nil
}

// needsStuck reports whether an ask needs an account that somebody else has locked.
func (s *state) needsStuck(ask *charging.Ask) bool {
	if len(s.stuck) == 0 || ask.Kind != charging.KindReserve {
		return false
	}
	if slices.ContainsFunc(ask.Reserve.Terms.Payers, s.isStuck) {
		return true
	}
	key := ask.Reserve.Key
	for _, finished := range ask.Reserve.Finished { // what these hold shrinks
		key.Number = finished.Number
		if slices.ContainsFunc(s.reservations[key], func(r reservation) bool { return r.state == "pending" && r.talk < 0 && s.stuck[r.account] }) {
			return true
		}
	}
	return false
}

// isStuck reports whether somebody else has locked a party's account.
func (s *state) isStuck(p charging.Party) bool {
	return s.stuck[p.Account] || p.Account == "" && s.stuck[s.numbers[p.Number]]
}

// stuckAccounts are accounts that somebody kept locked, and until when nobody waits for them.
type stuckAccounts map[string]time.Time

// now lists those that nobody waits for.
func (a stuckAccounts) now(now time.Time) (accounts []string) {
	for account, until := range a {
		if now.Before(until) {
			accounts = append(accounts, account)
		} else {
			delete(a, account)
		}
	}
	return accounts
}

// note remembers those that a transaction has found locked.
func (a stuckAccounts) note(s *state, now time.Time) {
	for account := range s.stuck {
		if _, known := a[account]; !known && len(a) < MaxBatch {
			a[account] = now.Add(stuckFor)
		}
	}
}

// decide answers one ask, and keeps the state true for the next.
func (s *state) decide(ask *asked, w *writes) (answer charging.Answer, took bool) {
	switch ask.Kind {
	case charging.KindReserve:
		return s.reserve(&ask.Reserve, ask.claim, w)
	case charging.KindLimit:
		return s.admit(&ask.Limit, ask.claim, w)
	case charging.KindSecret:
		return s.verify(&ask.Secret, w), false
	case charging.KindBalance:
		if account := s.account(ask.Account); account != nil {
			return charging.Answer{State: charging.StateGranted, Account: account.Name, Balance: account.Available, Currency: account.Currency}, false
		}
	}
	return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonNoAccount}, false
}

func (s *state) reserve(r *charging.Reserve, claim string, w *writes) (charging.Answer, bool) {
	refused := func(reason charging.Reason) (charging.Answer, bool) {
		return charging.Answer{State: charging.StateRefused, Reason: reason}, false
	}
	if s.ended[[2]string{r.Key.CallID, r.Key.Node}] {
		return charging.Answer{}, false // asked before its end, and read after it
	}
	if r.Key.Number > charging.MaxCharges {
		return refused(charging.ReasonCharges)
	}
	if known := s.reservations[r.Key]; len(known) > 0 {
		switch first := &known[0]; {
		case first.account == "":
			return charging.Answer{}, false // a tombstone, which knows no body: whoever asks again was told that nothing is held
		case first.body != int64(r.Body):
			return charging.Answer{State: charging.StateConflict}, false
		case first.state == "pending":
			w.Claims = append(w.Claims, claimRow{CallID: r.Key.CallID, Node: r.Key.Node, Charge: r.Key.Number, Claim: claim})
			return charging.Answer{State: charging.StateGranted, Seconds: first.seconds, Final: first.final, Account: first.account}, true
		}
		return charging.Answer{}, false // given back meanwhile, as a tombstone says
	}
	for _, finished := range r.Finished {
		s.shrink(r.Key, finished, w)
	}
	payers := make([]*charging.Account, len(r.Terms.Payers))
	for i, party := range r.Terms.Payers {
		payers[i] = s.account(party)
		if payers[i] != nil && !s.locked[payers[i].Name] {
			payers[i] = nil // its number was another's when the accounts were locked
		}
		if payers[i] != nil {
			countries, bound := s.countries[payers[i].Name]
			payers[i].NewCountry = bound && !slices.Contains(countries, charging.CountryCode(r.Terms.Number))
		}
	}
	counted := s.countedFor(r.Key, payers)
	for _, account := range counted {
		account.Calls-- // a call that goes on after a conversation is one call still
	}
	g := r.Terms.Grant(r.Wanted, r.Minimum, nil, payers)
	if g.Seconds == 0 {
		for _, account := range counted {
			account.Calls++
		}
		return refused(g.Reason)
	}
	rows := make([]reservation, len(payers))
	for i, payer := range payers {
		rows[i] = reservation{account: payer.Name, payer: i + 1, state: "pending", hour: true, day: true, amount: g.Parts[i], seconds: g.Seconds, final: g.Final, talk: -1, body: int64(r.Body), terms: r.Terms}
		w.Reservations = append(w.Reservations, reservationRow{CallID: r.Key.CallID, Node: r.Key.Node, Charge: r.Key.Number, Payer: i + 1, Account: payer.Name,
			Amount: tariff.FormatAmount(g.Parts[i]), Seconds: g.Seconds, Final: g.Final, Body: int64(r.Body), Terms: r.Terms, Expires: float64(g.Seconds) + setupTime.Seconds(), Claim: claim})
	}
	s.reservations[r.Key] = rows
	w.call(r.Key.CallID, r.Key.Node, &r.Call)
	return charging.Answer{State: charging.StateGranted, Seconds: g.Seconds, Final: g.Final, Account: payers[0].Name}, true
}

// countedFor lists those of the payers among whose calls this one is already, by an earlier charge.
func (s *state) countedFor(key charging.Key, payers []*charging.Account) (counted []*charging.Account) {
	for number := 1; number <= charging.MaxCharges; number++ {
		for _, r := range s.reservations[charging.Key{CallID: key.CallID, Node: key.Node, Number: number}] {
			if account := s.accounts[r.account]; r.state == "pending" && account != nil && slices.Contains(payers, account) && !slices.Contains(counted, account) {
				counted = append(counted, account)
			}
		}
	}
	return counted
}

// shrink makes an earlier charge of the call hold no more than its conversation did cost.
func (s *state) shrink(key charging.Key, finished charging.Finished, w *writes) {
	key.Number = finished.Number
	rows := s.reservations[key]
	for i := range rows {
		r := &rows[i]
		if r.state != "pending" || r.talk >= 0 {
			continue
		}
		cost := r.terms.Settle(time.Duration(finished.Talk)*time.Millisecond, r.seconds)
		part := cost.Parts[r.payer-1]
		if account := s.accounts[r.account]; account != nil {
			account.Available += r.amount - part
			if r.hour {
				account.SpentHour -= r.amount - part
			}
			if r.day {
				account.SpentDay -= r.amount - part
			}
		}
		r.amount, r.talk = part, finished.Talk
		w.Held = append(w.Held, heldRow{CallID: key.CallID, Node: key.Node, Charge: key.Number, Payer: r.payer, Amount: tariff.FormatAmount(part), Seconds: r.seconds, Final: true,
			Talk: &finished.Talk, Expires: setupTime.Seconds()})
	}
}

func (w *writes) call(callID, node string, f *charging.Facts) {
	if w.calls[[2]string{callID, node}] {
		return
	}
	w.calls[[2]string{callID, node}] = true
	text := func(s string) string { return record.Cut(s, record.MaxText) }
	w.Calls = append(w.Calls, liveRow{callID, node, text(f.Channel), text(f.Trunk), text(f.Caller), text(f.Called), text(f.Dialled), f.Presentation, text(f.Service), text(f.Subscriber),
		text(f.Script), f.Revision, record.Instant(time.UnixMilli(f.StartedAt))})
}

func (s *state) admit(l *charging.Limit, claim string, w *writes) (charging.Answer, bool) {
	key := placeKey{limitKey{l.Name, l.Key}, l.CallID, l.Node}
	if s.ended[[2]string{l.CallID, l.Node}] {
		return charging.Answer{}, false // asked before its end, and read after it
	}
	if has, had := s.places[key]; had && !has {
		return charging.Answer{}, false // given back meanwhile: whoever asks again was told that nothing is held
	}
	if s.places[key] || w.places[key] {
		w.Claims = append(w.Claims, claimRow{CallID: l.CallID, Node: l.Node, Limit: l.Name, Key: l.Key, Claim: claim})
		return charging.Answer{State: charging.StateGranted}, true
	}
	if reason := l.Rule.Admit(s.limits[key.limitKey]); reason != charging.ReasonNone {
		return charging.Answer{State: charging.StateRefused, Reason: reason}, false
	}
	w.places[key] = true
	w.Places = append(w.Places, placeRow{l.Name, l.Key, l.CallID, l.Node, l.Rule.MaximumCalls, setupTime.Seconds(), claim})
	w.call(l.CallID, l.Node, &l.Call)
	return charging.Answer{State: charging.StateGranted}, true
}

func (s *state) verify(secret *charging.Secret, w *writes) charging.Answer {
	failure := failureOf(secret)
	if s.failed[failure] {
		return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonWrong} // it was told so, and counts once
	}
	for _, key := range triesOf(secret) {
		if budget, ok := s.budgets[key.scope]; ok && s.tries[key] >= budget {
			return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonLocked}
		}
	}
	found := s.cards[secret.Card]
	right := charging.MatchPIN(found.pin, secret.PIN) && found.active
	account := s.accounts[found.account]
	if !right || account == nil {
		s.failed[failure] = true
		w.Failures = append(w.Failures, failureRow{record.Cut(secret.CallID, record.MaxText), record.Cut(secret.Node, record.MaxText), secret.Try, hex.EncodeToString(failure.digest[:])})
		for _, key := range triesOf(secret) {
			s.tries[key]++
			w.Tries = append(w.Tries, tryRow{key.scope, record.Cut(key.key, record.MaxText)})
		}
		return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonWrong}
	}
	if s.tries[tryKey{"card", secret.Card}] > 0 {
		w.cleared = append(w.cleared, secret.Card)
	}
	return charging.Answer{State: charging.StateGranted, Account: account.Name, Balance: account.Available, Currency: account.Currency, Language: found.language}
}

// The statements that write. Balances change by what is really written, in the same statement.
const (
	holdSQL = `WITH given AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, charge integer, payer integer, account text, amount numeric, seconds bigint,
			final boolean, body bigint, terms jsonb, expires double precision, claim text)),
		made AS (
			INSERT INTO reservation (call_id, node, charge, payer, account, amount, seconds, final, body, terms, expires_at, claims)
			SELECT call_id, node, charge, payer, account, amount, seconds, final, body, terms, clock_timestamp() + make_interval(secs => expires), ARRAY[claim] FROM given
			ON CONFLICT DO NOTHING RETURNING call_id, node, charge, account, amount),
		held AS (UPDATE account_balance b SET pending = b.pending + m.amount FROM (SELECT account, sum(amount) AS amount FROM made GROUP BY account) AS m WHERE b.account = m.account)
		SELECT call_id, node, charge, count(*) FROM made GROUP BY call_id, node, charge`
	changeHeldSQL = `WITH given AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, charge integer, payer integer, amount numeric, seconds bigint, final boolean,
			talk_ms bigint, expires double precision, extended boolean)),
		was AS MATERIALIZED (SELECT r.call_id, r.node, r.charge, r.payer, r.amount FROM reservation r JOIN given USING (call_id, node, charge, payer) WHERE r.settled_at IS NULL FOR UPDATE OF r),
		changed AS (
			UPDATE reservation r SET amount = g.amount, seconds = g.seconds, final = g.final, extended = r.extended OR g.extended, talk_ms = coalesce(g.talk_ms, r.talk_ms), expires_at = clock_timestamp() + make_interval(secs => g.expires)
			FROM given g JOIN was w USING (call_id, node, charge, payer)
			WHERE r.call_id = g.call_id AND r.node = g.node AND r.charge = g.charge AND r.payer = g.payer
			RETURNING r.account, g.amount - w.amount AS change)
		UPDATE account_balance b SET pending = b.pending + c.change FROM (SELECT account, sum(change) AS change FROM changed GROUP BY account) AS c WHERE b.account = c.account AND c.change <> 0`
	liveSQL = `INSERT INTO live_call (call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, revision, started_at)
		SELECT call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, revision, started_at
		FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, channel text, trunk text, caller text, called text, dialled text, presentation text, service text, subscriber text,
			script text, revision bigint, started_at timestamptz)
		WHERE NOT EXISTS (SELECT FROM cdr_key c WHERE c.call_id = g.call_id AND c.node = g.node) ON CONFLICT DO NOTHING`
	placeSQL = `INSERT INTO limit_place (call_limit, key, call_id, node, maximum_calls, expires_at, claims)
		SELECT call_limit, key, call_id, node, nullif(maximum_calls, 0), clock_timestamp() + make_interval(secs => expires), ARRAY[claim]
		FROM jsonb_to_recordset($1::jsonb) AS g (call_limit text, key text, call_id text, node text, maximum_calls bigint, expires double precision, claim text) ON CONFLICT DO NOTHING`
	claimSQL = `WITH given AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, charge integer, call_limit text, key text, claim text)),
		each AS MATERIALIZED (SELECT call_id, node, charge, call_limit, key, array_agg(claim) AS claims FROM given GROUP BY 1, 2, 3, 4, 5), -- an UPDATE takes one of several rows that match
		money AS (UPDATE reservation r SET claims = r.claims || g.claims FROM each g WHERE g.charge > 0 AND r.call_id = g.call_id AND r.node = g.node AND r.charge = g.charge AND r.settled_at IS NULL)
		UPDATE limit_place p SET claims = p.claims || g.claims FROM each g
		WHERE g.charge = 0 AND p.call_limit = g.call_limit AND p.key = g.key AND p.call_id = g.call_id AND p.node = g.node AND coalesce(p.released_at, 'infinity') = 'infinity'`
	trySQL = `INSERT INTO secret_try AS t (scope, key, began_at, failures)
		SELECT g.scope, g.key, now(), count(*) FROM jsonb_to_recordset($1::jsonb) AS g (scope text, key text) GROUP BY 1, 2 ORDER BY 1, 2
		ON CONFLICT (scope, key) DO UPDATE SET
			began_at = CASE WHEN t.began_at > now() - (SELECT make_interval(secs => b.window_seconds) FROM secret_budget b WHERE b.scope = t.scope) THEN t.began_at ELSE now() END,
			failures = CASE WHEN t.began_at > now() - (SELECT make_interval(secs => b.window_seconds) FROM secret_budget b WHERE b.scope = t.scope) THEN t.failures ELSE 0 END + excluded.failures`
	failureSQL = `INSERT INTO secret_failure (call_id, node, try, digest)
		SELECT call_id, node, try, decode(digest, 'hex') FROM jsonb_to_recordset($1::jsonb) AS g (call_id text, node text, try integer, digest text) ON CONFLICT DO NOTHING`
	clearSQL = `DELETE FROM secret_try WHERE scope = 'card' AND key = ANY ($1::text[])`
)

// commit writes what was decided and commits, in one round trip. Where a statement fails, Postgres leaves out what comes after it, the COMMIT too.
func (w *writes) commit(ctx context.Context, conn sender) error {
	b := &pgx.Batch{}
	var failed error
	queue := func(sql string, rows any) *pgx.QueuedQuery {
		text, err := json.Marshal(rows)
		if err != nil {
			failed = fmt.Errorf("couldn't write rows as JSON: %w", err)
		}
		return b.Queue(sql, string(text))
	}
	if len(w.Held) > 0 {
		queue(changeHeldSQL, w.Held)
	}
	if len(w.Reservations) > 0 {
		for _, r := range w.Reservations {
			w.missing[charging.Key{CallID: r.CallID, Node: r.Node, Number: r.Charge}]++
		}
		queue(holdSQL, w.Reservations).Query(func(rows pgx.Rows) error {
			var key charging.Key
			var made int
			_, err := pgx.ForEachRow(rows, []any{&key.CallID, &key.Node, &key.Number, &made}, func() error {
				w.missing[key] -= made
				return nil
			})
			return err
		})
	}
	if len(w.Places) > 0 {
		queue(placeSQL, w.Places)
	}
	if len(w.Claims) > 0 {
		queue(claimSQL, w.Claims)
	}
	if len(w.Calls) > 0 {
		queue(liveSQL, w.Calls)
	}
	if len(w.Tries) > 0 {
		queue(trySQL, w.Tries)
		queue(failureSQL, w.Failures)
	}
	if len(w.cleared) > 0 {
		b.Queue(clearSQL, w.cleared)
	}
	if failed != nil {
		return failed
	}
	b.Queue("COMMIT")
	return conn.SendBatch(ctx, b).Close()
}
