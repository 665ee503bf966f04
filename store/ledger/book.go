package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store/ledger/record"
)

// entryRow is a row of the ledger as settleSQL takes it.
type entryRow struct {
	CallID    string `json:"call_id"`
	Node      string `json:"node"`
	Charge    int    `json:"charge"`
	Account   string `json:"account"`
	Kind      string `json:"kind"`
	Amount    string `json:"amount"`
	Reference string `json:"reference"`
}

// line is what one account pays for one charge, or is credited with.
type line struct {
	callID, node string
	charge       int
	account      string
	share        bool
}

const bookedSQL = `SELECT e.call_id, e.node, e.charge, e.account, e.kind = 'share', (abs(sum(e.amount)) * 1000000)::bigint
	FROM ledger_entry e JOIN unnest($1::text[], $2::text[]) AS g (call_id, node) USING (call_id, node) WHERE e.kind IN ('charge', 'share') GROUP BY 1, 2, 3, 4, 5`

// readBooked reads what calls that had been closed were charged then.
func readBooked(ctx context.Context, tx pgx.Tx, late []call.CDR) (was map[line]int64, err error) {
	if len(late) == 0 {
		return nil, nil
	}
	var ids, nodes []string
	for i := range late {
		ids, nodes = append(ids, record.Cut(late[i].CallID, record.MaxText)), append(nodes, record.Cut(late[i].Node, record.MaxText))
	}
	rows, err := tx.Query(ctx, bookedSQL, ids, nodes)
	if err != nil {
		return nil, err
	}
	was = make(map[line]int64)
	var of line
	var amount int64
	_, err = pgx.ForEachRow(rows, []any{&of.callID, &of.node, &of.charge, &of.account, &of.share, &amount}, func() error {
		was[of] = amount
		return nil
	})
	return was, err
}

// book makes the ledger's rows of a charge, and the CDR's: what it costs, without what was booked of it before.
func (l *Ledger) book(entries *[]entryRow, s *state, callID, node string, c *charge, kind string, cost charging.Cost, was map[line]int64, flags map[string]bool) (booked []charging.Booked) {
	var order []line
	amounts := make(map[line]int64)
	add := func(of line, amount int64) {
		if _, listed := amounts[of]; !listed {
			order = append(order, of)
		}
		amounts[of] += amount
	}
	// lineOf is a party's line; without an account where nobody can be charged, or credited.
	lineOf := func(party charging.Party, amount int64, share bool) (of line, known bool) {
		of = line{callID, node, c.number, "", share}
		account := s.account(party)
		if known = account != nil && account.Currency == c.terms.Currency; known {
			of.account = account.Name
		} else if amount != 0 {
			flags[flagUnpaid] = true
			l.metrics.unpaid.Inc()
		}
		return of, known
	}
	paid := int64(0)
	for i, payer := range c.terms.Payers {
		if len(c.rows) > i && c.rows[i].account != "" {
			payer = charging.Party{Account: c.rows[i].account} // whose number it was when the call was admitted
		}
		of, known := lineOf(payer, cost.Parts[i], false)
		if known {
			paid += cost.Parts[i]
		}
		add(of, cost.Parts[i])
	}
	if !c.terms.Credit.IsZero() {
		share := c.terms.Share(paid) // nobody is credited with what nobody pays
		credited, had := creditedBefore(was, line{callID, node, c.number, "", true})
		if !had {
			credited, _ = lineOf(c.terms.Credit, share, true)
		}
		add(credited, share)
	}
	for _, of := range order {
		amount := amounts[of] - was[of]
		if amount == 0 {
			continue
		}
		booked = append(booked, charging.Booked{Charge: c.number, Account: of.account, Amount: tariff.FormatAmount(amount), Currency: c.terms.Currency, Tariff: c.terms.Tariff, Rate: c.terms.Rate,
			Seconds: cost.Seconds, Share: of.share})
		if of.account == "" {
			continue
		}
		entry := entryRow{callID, node, c.number, of.account, kind, tariff.FormatAmount(-amount), c.terms.Rate}
		if of.share {
			entry.Amount = tariff.FormatAmount(amount)
			if kind == "charge" {
				entry.Kind = "share"
			}
		}
		*entries = append(*entries, entry)
	}
	return booked
}

// creditedBefore finds the line of whoever was credited with a share of a charge: the number may be another account's by now.
func creditedBefore(was map[line]int64, charge line) (of line, had bool) {
	for of = range was {
		charge.account = of.account
		if of == charge {
			return of, true
		}
	}
	return line{}, false
}

// What calls were charged that have their CDRs: keysSQL says of which day those are, so that chargesSQL looks at no other. Its plan is made for those days, and not kept: one for any days would open, and lock, each partition.
const (
	keysSQL = `SELECT array_agg(k.call_id), array_agg(k.node), array_agg(k.recorded_at), set_config('plan_cache_mode', 'force_custom_plan', true)
		FROM cdr_key k JOIN unnest($1::text[], $2::text[]) AS g (call_id, node) USING (call_id, node)`
	chargesSQL = `SELECT c.call_id, c.node, c.charges FROM cdr c JOIN unnest($1::text[], $2::text[], $3::timestamptz[]) AS g (call_id, node, recorded_at) USING (call_id, node, recorded_at)
		WHERE c.recorded_at = ANY ($3)`
	correctionsSQL = `SELECT c.call_id, c.node, c.charges FROM cdr_correction c JOIN unnest($1::text[], $2::text[]) AS g (call_id, node) USING (call_id, node)`
)

// tell gives each end what its call was charged: by this transaction, or before.
func tell(ctx context.Context, tx pgx.Tx, ends []*ended, out *settlement) error {
	var ids, nodes []string
	before := make(map[[2]string][]charging.Booked)
	for _, end := range ends {
		key := keyOf(&end.CDR)
		if _, asked := before[key]; !asked && !out.stored[key] && holds(&end.CDR) {
			ids, nodes, before[key] = append(ids, key[0]), append(nodes, key[1]), nil
		}
	}
	if len(ids) > 0 {
		var days []time.Time
		if err := tx.QueryRow(ctx, keysSQL, ids, nodes).Scan(&ids, &nodes, &days, nil); err != nil {
			return err
		}
		if err := readCharges(ctx, tx, before, chargesSQL, ids, nodes, days); err != nil {
			return err
		}
		if err := readCharges(ctx, tx, before, correctionsSQL, ids, nodes); err != nil {
			return err
		}
	}
	for _, end := range ends {
		key := keyOf(&end.CDR)
		if end.booked = before[key]; out.stored[key] {
			end.booked = out.booked[key]
		}
	}
	return nil
}

// readCharges reads what calls were charged, and adds it to what is known of them.
func readCharges(ctx context.Context, tx pgx.Tx, known map[[2]string][]charging.Booked, sql string, arguments ...any) error {
	rows, err := tx.Query(ctx, sql, arguments...)
	if err != nil {
		return err
	}
	var key [2]string
	var text []byte
	_, err = pgx.ForEachRow(rows, []any{&key[0], &key[1], &text}, func() error {
		var booked []charging.Booked
		if err := json.Unmarshal(text, &booked); err != nil {
			return fmt.Errorf("what call %q was charged: %w", key[0], err)
		}
		known[key], err = charging.Corrected(known[key], booked)
		return err
	})
	return err
}
