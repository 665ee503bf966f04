// Package books reads what the ledger wrote, for people: balances, statements, what is held, and what is wrong. It writes nothing, and no call waits for it.
package books

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Books are read by a pool. Amounts are decimals, as Postgres writes them.
type Books struct{ pool *pgxpool.Pool }

// New reads by a pool.
func New(pool *pgxpool.Pool) *Books { return &Books{pool} }

// Balance is what an account has, holds for calls, and may spend.
type Balance struct {
	Account     string `json:"account"`
	Currency    string `json:"currency"`
	State       string `json:"state"`
	Balance     string `json:"balance"`
	Pending     string `json:"pending"`
	CreditLimit string `json:"credit_limit"`
	Available   string `json:"available"`
	Calls       int    `json:"calls"` // that go on
}

// Balances lists accounts by name: those that are named, or all. An account that does not exist is left out.
func (b *Books) Balances(ctx context.Context, names []string) ([]Balance, error) {
	rows, err := b.pool.Query(ctx, `SELECT a.account::text, a.currency, a.state, trim_scale(b.balance)::text, trim_scale(b.pending)::text, trim_scale(a.credit_limit)::text, trim_scale(b.balance + a.credit_limit - b.pending)::text,
			(SELECT count(DISTINCT (r.call_id, r.node)) FROM reservation r WHERE r.account = a.account AND r.state = 'pending')::int
		FROM account a JOIN account_balance b USING (account) WHERE cardinality($1::text[]) = 0 OR a.account = ANY ($1::text[]) ORDER BY a.account`, append([]string{}, names...)) // never NULL
	if err != nil {
		return nil, fmt.Errorf("couldn't read balances: %w", err)
	}
	balances, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Balance])
	if err != nil {
		return nil, fmt.Errorf("couldn't read balances: %w", err)
	}
	return balances, nil
}

// NoAccount is an error that names those of the accounts that are not there; nil when all are.
func NoAccount(names []string, there []Balance) error {
	var missing []string
	for _, name := range names {
		if !slices.ContainsFunc(there, func(b Balance) bool { return b.Account == name }) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("there is no account %s", strings.Join(missing, ", "))
}

// Entry is one row of an account's statement.
type Entry struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Amount    string    `json:"amount"`
	Balance   string    `json:"balance"` // after it
	CallID    string    `json:"call_id,omitempty"`
	Called    string    `json:"called,omitempty"`
	Reference string    `json:"reference,omitempty"`
	By        string    `json:"by"`
}

// Statement lists an account's entries from an instant on, the oldest first, with the balance after each. It is an error when there is no such account.
func (b *Books) Statement(ctx context.Context, account string, since time.Time) ([]Entry, error) {
	rows, err := b.pool.Query(ctx, `SELECT s.at, s.kind, trim_scale(s.amount)::text, trim_scale(s.balance)::text, coalesce(s.call_id, ''),
			coalesce((SELECT c.called FROM cdr c WHERE c.call_id = s.call_id AND c.node = s.node AND c.recorded_at = k.recorded_at), ''), coalesce(s.reference, ''), s.by
		FROM (SELECT e.*, sum(e.amount) OVER (ORDER BY e.ledger_entry_id) AS balance FROM ledger_entry e WHERE e.account = $1) AS s
		LEFT JOIN cdr_key k USING (call_id, node) WHERE s.at >= $2 ORDER BY s.ledger_entry_id`, account, since)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the statement of account %q: %w", account, err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Entry])
	if err != nil {
		return nil, fmt.Errorf("couldn't read the statement of account %q: %w", account, err)
	}
	if len(entries) > 0 {
		return entries, nil
	}
	there, err := b.Balances(ctx, []string{account})
	if err != nil {
		return nil, err
	}
	return nil, NoAccount([]string{account}, there)
}

// Violation is an invariant of the books that does not hold.
type Violation struct {
	Invariant string `json:"invariant"`
	Subject   string `json:"subject"`
	Detail    string `json:"detail"`
}

// Check lists what is wrong with the books (view ledger_check): nothing when all is well.
func (b *Books) Check(ctx context.Context) ([]Violation, error) {
	rows, err := b.pool.Query(ctx, "SELECT invariant, coalesce(subject, ''), coalesce(detail, '') FROM ledger_check ORDER BY 1, 2")
	if err != nil {
		return nil, fmt.Errorf("couldn't check the books: %w", err)
	}
	violations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Violation])
	if err != nil {
		return nil, fmt.Errorf("couldn't check the books: %w", err)
	}
	return violations, nil
}

// Held is a reservation that is pending, and why.
type Held struct {
	CallID    string    `json:"call_id"`
	Node      string    `json:"node"`
	Account   string    `json:"account"`
	Amount    string    `json:"amount"`
	Seconds   int64     `json:"seconds"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Why       string    `json:"why"`
}

// Pending lists what is held for calls, the oldest first, and why it is.
func (b *Books) Pending(ctx context.Context) ([]Held, error) {
	rows, err := b.pool.Query(ctx, `SELECT r.call_id, r.node, r.account::text, trim_scale(r.amount)::text, r.seconds, r.created_at, r.expires_at,
			CASE WHEN r.talk_ms IS NOT NULL THEN 'an earlier conversation of a call that goes on'
				WHEN l.call_id IS NULL THEN 'the call is not known any more: it expires'
				WHEN l.answered_at IS NOT NULL AND l.seen_at > now() - interval '20 seconds' THEN 'they talk since ' || l.answered_at::timestamptz(0)
				WHEN n.last_seen IS NULL THEN 'its node has never sent a heartbeat'
				WHEN n.last_seen < now() - interval '15 seconds' THEN 'its node was not heard of since ' || n.last_seen::timestamptz(0) || ': closed a minute after that'
				WHEN NOT r.call_id = ANY (n.calls) AND r.created_at < now() - interval '20 seconds' THEN 'its node lives and does not name the call: closed two minutes after it did last'
				ELSE 'the call is being set up, or nobody talks yet' END
		FROM reservation r LEFT JOIN live_call l USING (call_id, node) LEFT JOIN node_status n USING (node) WHERE r.state = 'pending' ORDER BY r.created_at`)
	if err != nil {
		return nil, fmt.Errorf("couldn't read what is held for calls: %w", err)
	}
	held, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Held])
	if err != nil {
		return nil, fmt.Errorf("couldn't read what is held for calls: %w", err)
	}
	return held, nil
}
