package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/charging"
)

// state is what a transaction has read, and locked, to decide on.
type state struct {
	numbers      map[string]string // E.164 number → account
	accounts     map[string]*charging.Account
	locked       map[string]bool     // accounts that may pay: the others are only looked at
	countries    map[string][]string // of accounts that may call no others
	credit       map[string]int64    // credit limits that are in Available, micro-units
	reservations map[charging.Key][]reservation
	ended        map[[2]string]bool // calls that have a CDR: by call id and node
	limits       map[limitKey]*charging.LimitState
	places       map[placeKey]bool   // calls that have a place already, or (false) had one
	stuck        map[string]bool     // accounts that somebody else has locked
	failed       map[failureKey]bool // wrong tries that are counted already
	cards        map[string]card
	tries        map[tryKey]int // failures in windows that have not passed
	budgets      map[string]int
}

type reservation struct {
	account string
	payer   int
	state   string
	amount  int64 // micro-units
	posted  int64
	seconds int64
	final   bool
	talk    int64 // milliseconds; -1: not over
	body    int64
	hour    bool // it is of the last hour,
	day     bool // and of the last day
	terms   charging.Terms
}

type limitKey struct{ name, key string }

type placeKey struct {
	limitKey
	callID, node string
}

type card struct {
	account, language string
	pin               []byte
	active            bool
}

type tryKey struct{ scope, key string }

// failureKey names a try: the same PIN for the same card, sent again under its number, is the same try.
type failureKey struct {
	callID, node string
	try          int
	digest       [sha256.Size]byte
}

func failureOf(s *charging.Secret) failureKey {
	return failureKey{s.CallID, s.Node, s.Try, sha256.Sum256([]byte(s.CallID + "\x00" + s.Card + "\x00" + s.PIN))}
}

// account finds a party's account; nil where there is none.
func (s *state) account(p charging.Party) *charging.Account {
	name := p.Account
	if name == "" {
		name = s.numbers[p.Number]
	}
	return s.accounts[name]
}

// What scanBalance, scanLooked and scanAccount read: what an account has, and what an operator says of it. Only where it has a cap is looked up what it has spent lately, or for how many calls it pays.
const (
	balanceColumns = `b.account, (b.balance * 1000000)::bigint, (b.pending * 1000000)::bigint FROM account_balance b`
	accountColumns = `a.account, a.currency, a.state = 'active' AND (a.valid_to IS NULL OR a.valid_to > now()), (a.credit_limit * 1000000)::bigint`
	spentColumn    = `(SELECT coalesce((sum(CASE r.state WHEN 'pending' THEN r.amount ELSE r.posted END) * 1000000)::bigint, 0) FROM reservation r WHERE r.account = a.account AND r.created_at > now() - interval `
	capColumns     = `a.maximum_calls::bigint, (a.spend_per_hour * 1000000)::bigint, (a.spend_per_day * 1000000)::bigint,
			CASE WHEN a.maximum_calls IS NOT NULL THEN (SELECT count(*) FROM (SELECT DISTINCT r.call_id, r.node FROM reservation r WHERE r.account = a.account AND r.state = 'pending') AS calls) ELSE 0 END,
			CASE WHEN a.spend_per_hour IS NOT NULL THEN ` + spentColumn + `'1 hour') ELSE 0 END,
			CASE WHEN a.spend_per_day IS NOT NULL THEN ` + spentColumn + `'1 day') ELSE 0 END,
			CASE WHEN NOT a.new_countries THEN ARRAY (SELECT c.country_code FROM account_country c WHERE c.account = a.account) END`
)

// The statements that read and lock. $1 account names, $2 numbers.
const (
	numbersSQL = `SELECT number, account FROM account_number WHERE number = ANY ($1::text[])`
	// Accounts that are only looked at: $3 cards.
	lookedSQL      = `IN (SELECT unnest($1::text[]) UNION SELECT account FROM account_number WHERE number = ANY ($2::text[]) UNION SELECT account FROM card WHERE card = ANY ($3::text[]))`
	lookBalanceSQL = `SELECT ` + balanceColumns + ` WHERE b.account ` + lookedSQL
	lookSQL        = `SELECT ` + accountColumns + ` FROM account a WHERE a.account ` + lookedSQL
	// In the order of names, so that no two transactions wait for each other in a circle. $3 and $4 calls whose earlier charges shrink, $5 accounts that nobody waits for.
	givenSQL = `SELECT unnest($1::text[]) AS account UNION SELECT account FROM account_number WHERE number = ANY ($2::text[])
			UNION SELECT h.account FROM unnest($3::text[], $4::text[]) AS c (call_id, node),
				LATERAL (SELECT r.account FROM reservation r WHERE r.call_id = c.call_id AND r.node = c.node AND r.settled_at IS NULL OFFSET 0) AS h` // by the call, never by all that is pending
	lockSQL = `SELECT ` + balanceColumns + ` WHERE b.account IN (` + givenSQL + `) AND b.account <> ALL ($5::text[]) ORDER BY b.account FOR UPDATE OF b`
	// Accounts that somebody keeps locked, or that are not known not to be: $6 all that are given.
	freeSQL  = `SELECT ` + balanceColumns + ` WHERE b.account IN (` + givenSQL + `) AND ($6 OR b.account = ANY ($5::text[])) ORDER BY b.account FOR UPDATE OF b SKIP LOCKED`
	wantsSQL = `SELECT b.account FROM account_balance b WHERE b.account IN (` + givenSQL + `) AND ($6 OR b.account = ANY ($5::text[]))`
	// A statement of its own, after the lock: who held it may have been an operator, whose edit of the account a statement that waited does not see.
	accountsSQL     = `SELECT ` + accountColumns + `, ` + capColumns + ` FROM account a WHERE a.account IN (` + givenSQL + `)`
	reservationsSQL = `SELECT r.call_id, r.node, r.charge, r.payer, coalesce(r.account, ''), r.state, (r.amount * 1000000)::bigint, (r.posted * 1000000)::bigint, r.seconds, r.final, coalesce(r.talk_ms, -1), r.body,
			r.created_at > now() - interval '1 hour', r.created_at > now() - interval '1 day', r.terms
		FROM reservation r JOIN unnest($1::text[], $2::text[]) AS c (call_id, node) USING (call_id, node) ORDER BY r.call_id, r.node, r.charge, r.payer`
	lockLimitsSQL = `SELECT pg_advisory_xact_lock(h) FROM (SELECT DISTINCT hashtextextended(name || ' ' || key, 7) AS h FROM unnest($1::text[], $2::text[]) AS l (name, key) ORDER BY 1) AS locks`
	limitsSQL     = `SELECT l.name, l.key,
			(SELECT count(*) FROM limit_place p WHERE p.call_limit = l.name AND p.key = l.key AND p.released_at IS NULL),
			(SELECT count(*) FROM limit_place p WHERE p.call_limit = l.name AND p.key = l.key AND p.taken_at > statement_timestamp() - make_interval(secs => l.seconds)),
			coalesce((SELECT (extract(epoch FROM clock_timestamp() - max(p.taken_at)) * 1000)::bigint FROM limit_place p WHERE p.call_limit = l.name AND p.key = l.key), -1)
		FROM (SELECT DISTINCT name, key, seconds FROM unnest($1::text[], $2::text[], $3::bigint[]) AS l (name, key, seconds)) AS l`
	placesSQL = `SELECT p.call_limit, p.key, p.call_id, p.node, p.released_at IS NULL FROM limit_place p JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS l (call_limit, key, call_id, node) USING (call_limit, key, call_id, node)`
	cardsSQL  = `SELECT card, account, pin, coalesce(language, ''), state = 'active' FROM card WHERE card = ANY ($1::text[])`
	// The row of all is locked first: tries of secrets are one after the other.
	lockTriesSQL = `SELECT pg_advisory_xact_lock(4711)`
	triesSQL     = `SELECT t.scope, t.key, t.failures FROM secret_try t JOIN secret_budget b USING (scope)
		WHERE (t.scope, t.key) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND t.began_at > now() - make_interval(secs => b.window_seconds)`
	failuresSQL = `SELECT f.call_id, f.node, f.try, f.digest FROM secret_failure f JOIN unnest($1::text[], $2::text[], $3::int[]) AS g (call_id, node, try) USING (call_id, node, try)`
	budgetsSQL  = `SELECT scope, failures FROM secret_budget`
)

// wanted collects what a batch needs to read.
type wanted struct {
	accounts, numbers        []string // to lock
	looked, lookedNumbers    []string // to look at
	cards                    []string
	callIDs, nodes           []string // with reservations to look at
	shrinkIDs, shrinkNodes   []string // with earlier charges that shrink
	secretIDs, secretNodes   []string
	secretTries              []int
	stuck                    []string // accounts that nobody waits for
	skip                     bool     // nobody waits for any
	limitNames, limitKeys    []string
	limitSeconds             []int64
	limitCallIDs, limitNodes []string
	scopes, tries            []string
}

func (w *wanted) party(p charging.Party) {
	if p.Account != "" {
		w.accounts = append(w.accounts, p.Account)
	} else if p.Number != "" {
		w.numbers = append(w.numbers, p.Number)
	}
}

func (w *wanted) add(ask *charging.Ask) {
	switch ask.Kind {
	case charging.KindReserve:
		for _, payer := range ask.Reserve.Terms.Payers {
			w.party(payer)
		}
		w.callIDs, w.nodes = append(w.callIDs, ask.Reserve.Key.CallID), append(w.nodes, ask.Reserve.Key.Node)
		if len(ask.Reserve.Finished) > 0 {
			w.shrinkIDs, w.shrinkNodes = append(w.shrinkIDs, ask.Reserve.Key.CallID), append(w.shrinkNodes, ask.Reserve.Key.Node)
		}
	case charging.KindLimit:
		limit := &ask.Limit
		w.limitNames, w.limitKeys, w.limitSeconds = append(w.limitNames, limit.Name), append(w.limitKeys, limit.Key), append(w.limitSeconds, limit.Rule.WindowSeconds)
		w.limitCallIDs, w.limitNodes = append(w.limitCallIDs, limit.CallID), append(w.limitNodes, limit.Node)
		w.callIDs, w.nodes = append(w.callIDs, limit.CallID), append(w.nodes, limit.Node)
	case charging.KindSecret:
		w.cards = append(w.cards, ask.Secret.Card)
		w.secretIDs, w.secretNodes, w.secretTries = append(w.secretIDs, ask.Secret.CallID), append(w.secretNodes, ask.Secret.Node), append(w.secretTries, ask.Secret.Try)
		for _, key := range triesOf(&ask.Secret) {
			w.scopes, w.tries = append(w.scopes, key.scope), append(w.tries, key.key)
		}
	case charging.KindBalance:
		if ask.Account.Account != "" {
			w.looked = append(w.looked, ask.Account.Account)
		} else if ask.Account.Number != "" {
			w.lookedNumbers = append(w.lookedNumbers, ask.Account.Number)
		}
	}
}

// triesOf are the budgets that a try of a secret counts against.
func triesOf(s *charging.Secret) []tryKey {
	return []tryKey{{"card", s.Card}, {"caller", s.Caller}, {"all", ""}}
}

// read locks and reads what is wanted, in one round trip, after what the batch holds already.
func (w *wanted) read(ctx context.Context, tx sender, b *pgx.Batch) (*state, error) {
	s := &state{numbers: make(map[string]string), accounts: make(map[string]*charging.Account), locked: make(map[string]bool), countries: make(map[string][]string), credit: make(map[string]int64),
		reservations: make(map[charging.Key][]reservation), ended: make(map[[2]string]bool), limits: make(map[limitKey]*charging.LimitState), places: make(map[placeKey]bool), cards: make(map[string]card),
		stuck: make(map[string]bool), failed: make(map[failureKey]bool), tries: make(map[tryKey]int), budgets: make(map[string]int)}
	none := func(pgx.Rows) error { return nil }
	each := func(sql string, row func(pgx.Rows) error, arguments ...any) {
		b.Queue(sql, arguments...).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := row(rows); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
	if len(w.numbers)+len(w.lookedNumbers) > 0 {
		each(numbersSQL, func(rows pgx.Rows) error {
			var number, account string
			err := rows.Scan(&number, &account)
			s.numbers[number] = account
			return err
		}, append(slices.Clone(w.numbers), w.lookedNumbers...))
	}
	if len(w.looked)+len(w.lookedNumbers)+len(w.cards) > 0 {
		looked := []any{list(w.looked), list(w.lookedNumbers), list(w.cards)}
		each(lookBalanceSQL, s.scanBalance(false), looked...)
		each(lookSQL, s.scanLooked, looked...)
	}
	if len(w.accounts)+len(w.numbers) > 0 {
		given := []any{list(w.accounts), list(w.numbers), list(w.shrinkIDs), list(w.shrinkNodes), list(w.stuck)}
		if !w.skip {
			each(lockSQL, s.scanBalance(true), given...)
		}
		if given := append(slices.Clone(given), w.skip); w.skip || len(w.stuck) > 0 {
			each(wantsSQL, func(rows pgx.Rows) error {
				var account string
				err := rows.Scan(&account)
				s.stuck[account] = true
				return err
			}, given...)
			each(freeSQL, s.scanBalance(true), given...)
		}
		each(accountsSQL, s.scanAccount, given[:4]...)
	}
	if len(w.callIDs) > 0 {
		each(reservationsSQL, s.scanReservation, w.callIDs, w.nodes)
		each(thereSQL, func(rows pgx.Rows) error {
			var k [2]string
			err := rows.Scan(&k[0], &k[1], nil)
			s.ended[k] = true
			return err
		}, w.callIDs, w.nodes)
	}
	if len(w.limitNames) > 0 {
		each(lockLimitsSQL, none, w.limitNames, w.limitKeys)
		each(limitsSQL, func(rows pgx.Rows) error {
			var k limitKey
			var l charging.LimitState
			err := rows.Scan(&k.name, &k.key, &l.Calls, &l.InWindow, &l.SinceLast)
			s.limits[k] = &l
			return err
		}, w.limitNames, w.limitKeys, w.limitSeconds)
		each(placesSQL, func(rows pgx.Rows) error {
			var k placeKey
			var has bool
			err := rows.Scan(&k.name, &k.key, &k.callID, &k.node, &has)
			s.places[k] = has
			return err
		}, w.limitNames, w.limitKeys, w.limitCallIDs, w.limitNodes)
	}
	if len(w.cards) > 0 {
		each(lockTriesSQL, none)
		each(cardsSQL, func(rows pgx.Rows) error {
			var number string
			var c card
			err := rows.Scan(&number, &c.account, &c.pin, &c.language, &c.active)
			s.cards[number] = c
			return err
		}, w.cards)
		each(triesSQL, func(rows pgx.Rows) error {
			var k tryKey
			var n int
			err := rows.Scan(&k.scope, &k.key, &n)
			s.tries[k] = n
			return err
		}, w.scopes, w.tries)
		each(failuresSQL, func(rows pgx.Rows) error {
			var k failureKey
			var digest []byte
			err := rows.Scan(&k.callID, &k.node, &k.try, &digest)
			copy(k.digest[:], digest)
			s.failed[k] = true
			return err
		}, w.secretIDs, w.secretNodes, w.secretTries)
		each(budgetsSQL, func(rows pgx.Rows) error {
			var scope string
			var n int
			err := rows.Scan(&scope, &n)
			s.budgets[scope] = n
			return err
		})
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, err
	}
	return s, nil
}

// list is never nil: Postgres tells an empty list from none.
func list(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// scanBalance reads the balance of an account, which may pay if it is locked.
func (s *state) scanBalance(locked bool) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		a := &charging.Account{MaximumCalls: charging.Unlimited, SpendPerHour: charging.Unlimited, SpendPerDay: charging.Unlimited}
		var balance, pending int64
		if err := rows.Scan(&a.Name, &balance, &pending); err != nil {
			return err
		}
		a.Available = balance - pending
		delete(s.stuck, a.Name)
		s.accounts[a.Name], s.credit[a.Name], s.locked[a.Name] = a, 0, locked
		return nil
	}
}

// scanLooked reads what operators say of an account that is only looked at.
func (s *state) scanLooked(rows pgx.Rows) error {
	var name, currency string
	var active bool
	var credit int64
	if err := rows.Scan(&name, &currency, &active, &credit); err != nil {
		return err
	}
	s.describe(name, currency, active, credit)
	return nil
}

// scanAccount reads what operators say of an account that may pay.
func (s *state) scanAccount(rows pgx.Rows) error {
	var name, currency string
	var active bool
	var credit, calls, spentHour, spentDay int64
	var maximumCalls, spendPerHour, spendPerDay *int64
	var countries []string
	if err := rows.Scan(&name, &currency, &active, &credit, &maximumCalls, &spendPerHour, &spendPerDay, &calls, &spentHour, &spentDay, &countries); err != nil {
		return err
	}
	a := s.describe(name, currency, active, credit)
	if a == nil {
		return nil
	}
	for _, limit := range []struct {
		given *int64
		into  *int64
	}{{maximumCalls, &a.MaximumCalls}, {spendPerHour, &a.SpendPerHour}, {spendPerDay, &a.SpendPerDay}} {
		if limit.given != nil {
			*limit.into = *limit.given
		}
	}
	a.Calls, a.SpentHour, a.SpentDay = calls, spentHour, spentDay
	if countries != nil {
		s.countries[name] = countries
	}
	return nil
}

// describe adds what operators say of an account to its balance; nil where no balance was read: somebody else has locked it, or its number has moved to it since, and it is not locked.
func (s *state) describe(name, currency string, active bool, credit int64) *charging.Account {
	a := s.accounts[name]
	if a == nil {
		return nil
	}
	a.Currency, a.Active, a.Available = currency, active, a.Available+credit-s.credit[name]
	s.credit[name] = credit
	return a
}

func (s *state) scanReservation(rows pgx.Rows) error {
	var k charging.Key
	var r reservation
	var terms []byte
	if err := rows.Scan(&k.CallID, &k.Node, &k.Number, &r.payer, &r.account, &r.state, &r.amount, &r.posted, &r.seconds, &r.final, &r.talk, &r.body, &r.hour, &r.day, &terms); err != nil {
		return err
	}
	if err := json.Unmarshal(terms, &r.terms); err != nil {
		return fmt.Errorf("terms of charge %d of call %q: %w", k.Number, k.CallID, err)
	}
	s.reservations[k] = append(s.reservations[k], r)
	return nil
}
