package ledger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
)

// dayNode is a node of the day: it carries calls, tells of them in heartbeats, is cut off, and loses them when it dies.
type dayNode struct {
	name string

	mu    sync.Mutex
	boot  int // counts its lives
	cut   bool
	calls map[string]*dayCall
}

// dayCall is a call as its node and the oracle know it. Its node's lock guards it.
type dayCall struct {
	id       string
	terms    charging.Terms
	boot     int
	number   int // of the conversation under way; 0: there is none
	said     int64
	talk     int64           // milliseconds of the conversation that heartbeats may tell of, more each time
	granted  map[int]int64   // seconds by charge, as it was answered
	told     map[int][]int64 // what heartbeats said, by charge
	finished []charging.Finished
	spent    map[string]int64 // what it costs if its end is heard of
}

func (n *dayNode) carry(id string, terms charging.Terms) *dayCall {
	c := &dayCall{id: id, terms: terms, granted: make(map[int]int64), told: make(map[int][]int64), spent: make(map[string]int64)}
	n.mu.Lock()
	defer n.mu.Unlock()
	c.boot = n.boot
	n.calls[id] = c
	return c
}

// died reports whether the call was lost with its node's last life.
func (n *dayNode) died(c *dayCall) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return c.boot != n.boot
}

// talks notes that people talk, and for how long they will.
func (n *dayNode) talks(c *dayCall, number int, talk int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.number, c.said, c.talk = number, 0, talk
}

// over notes that they do no longer: the node tells of it until the next conversation is tried.
func (n *dayNode) over(c *dayCall, finished charging.Finished) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.finished = append(c.finished, finished)
}

// toldOf is what heartbeats have said of a conversation.
func (c *dayCall) toldOf(n *dayNode, number int) []int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return c.told[number]
}

func (n *dayNode) hangsUp(c *dayCall) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.calls[c.id] == c {
		delete(n.calls, c.id)
	}
}

// live is what the next heartbeat tells.
func (n *dayNode) live(r *rand.Rand) (boot string, calls []charging.LiveCall, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, c := range n.calls {
		live := charging.LiveCall{CallID: id}
		if c.number > 0 && c.talk > 0 {
			if over := len(c.finished) > 0 && c.finished[len(c.finished)-1].Number == c.number; over {
				c.said = c.talk
			} else {
				c.said = max(c.said+r.Int64N(c.talk-c.said+1), 1)
			}
			c.told[c.number] = append(c.told[c.number], c.said)
			live.Talk = time.Duration(c.said) * time.Millisecond
			if r.IntN(2) == 0 { // by a clock that is wrong
				live.AnsweredAt = time.Now().Add(time.Duration(r.IntN(7200)-3600) * time.Second)
			}
		}
		calls = append(calls, live)
	}
	return fmt.Sprint("boot-", n.boot), calls, n.cut
}

// beats tells an engine of the node again and again.
func (d *day) beats(ctx context.Context, n *dayNode, r *rand.Rand) {
	for ctx.Err() == nil {
		d.beat(ctx, n, r)
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(20+r.IntN(100)) * time.Millisecond):
		}
	}
}

func (d *day) beat(ctx context.Context, n *dayNode, r *rand.Rand) {
	boot, calls, cut := n.live(r)
	if cut {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := d.engine(r).Heartbeat(ctx, n.name, boot, len(calls), calls); err == nil {
		d.heard.Add(1)
	}
}

// die ends a node with all calls that it carries, and starts it again.
func (d *day) die(t *testing.T, n *dayNode, r *rand.Rand) {
	if r.IntN(4) > 0 {
		d.beat(t.Context(), n, r) // just before, so that it is known who talks
	}
	n.mu.Lock()
	n.boot++
	n.calls = make(map[string]*dayCall)
	boot := fmt.Sprint("boot-", n.boot)
	n.mu.Unlock()
	if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
	}
	registering, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = d.engine(r).Register(registering, n.name, boot, 1000, 0, nil) // or its first heartbeat tells
}

// isolate cuts a node off for so long that its calls are closed. They go on, and their ends come late.
func (d *day) isolate(t *testing.T, n *dayNode, r *rand.Rand, conn *pgxpool.Pool) {
	cut := func(is bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.cut = is
	}
	cut(true)
	defer cut(false)
	if _, err := conn.Exec(t.Context(), "UPDATE node_status SET last_seen = last_seen - interval '70 seconds' WHERE node = $1", n.name); err != nil {
		t.Error(err)
	}
	d.age(t, conn, n.name, "70 seconds")
	d.reap(t, r)
}

// age makes what is known of a node's calls older, as if Postgres's clock had gone on.
func (d *day) age(t *testing.T, conn *pgxpool.Pool, node, by string) {
	if _, err := conn.Exec(t.Context(), `UPDATE live_call SET seen_at = seen_at - $1::interval, answered_at = answered_at - $1::interval, started_at = started_at - $1::interval WHERE node = $2`, by, node); err != nil {
		t.Error(err)
	}
}

func (d *day) reap(t *testing.T, r *rand.Rand) {
	reaping, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_ = d.engine(r).Reap(reaping, true) // faults happen to it, too
}

// lose notes a call that was lost with its node.
func (d *day) lose(c *dayCall, node string) {
	d.truth.Lock()
	defer d.truth.Unlock()
	d.lost[[2]string{c.id, node}] = c
}

// closeLost waits until all calls that their nodes lost are closed, and adds what they did cost to the truth: it must be what some heartbeat said, or nothing.
func (d *day) closeLost(t *testing.T, conn *pgxpool.Pool) {
	t.Helper()
	for _, n := range d.nodes {
		n.mu.Lock()
		boot := fmt.Sprint("boot-", n.boot)
		n.mu.Unlock()
		if _, err := d.engines[0].Heartbeat(t.Context(), n.name, boot, 0, nil); err != nil {
			t.Error(err)
		}
	}
	for live, tries := 1, 0; live > 0 && tries < 200; tries++ {
		for _, n := range d.nodes {
			d.age(t, conn, n.name, "130 seconds")
		}
		if err := d.engines[0].Reap(t.Context(), true); err != nil {
			t.Error(err)
		}
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM live_call").Scan(&live); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := conn.Query(t.Context(), `SELECT c.call_id, c.node, c.outcome = 'node_lost' AND x.call_id IS NULL, c.charges FROM cdr c LEFT JOIN cdr_correction x USING (call_id, node) WHERE c.call_id LIKE 'day-%'`)
	if err != nil {
		t.Fatal(err)
	}
	var key [2]string
	var closed bool
	var charges []byte
	found, paid := 0, 0
	if _, err := pgx.ForEachRow(rows, []any{&key[0], &key[1], &closed, &charges}, func() error {
		c := d.lost[key]
		if c == nil {
			return nil
		}
		found++
		delete(d.lost, key)
		if !closed { // its end was on its way when the node died
			d.pay(key, c.spent)
			return nil
		}
		var booked []charging.Booked
		if err := json.Unmarshal(charges, &booked); err != nil {
			return err
		}
		spent, err := c.admit(booked)
		if err != nil {
			t.Errorf("call %s of %s was closed: %v", key[0], key[1], err)
		}
		if len(booked) > 0 {
			paid++
		}
		d.pay(key, spent)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for key, c := range d.lost {
		if len(c.granted) > 0 {
			t.Errorf("call %s of %s was granted %v, was lost, and has no record", key[0], key[1], c.granted)
		}
		d.unknown++ // nobody ever heard of it
	}
	t.Logf("%d heartbeats; of the calls that were lost with their nodes %d have records, %d of them with charges; %d were never heard of", d.heard.Load(), found, paid, d.unknown)
	if found > 50 && paid == 0 {
		t.Error("no lost conversation was charged")
	}
}

// pay adds to the truth.
func (d *day) pay(key [2]string, spent map[string]int64) {
	for account, amount := range spent {
		d.spent[account] += amount
	}
	d.calls[key] = spent
}

// wrongCalls lists the first calls that were charged otherwise than they should have been, and what is known of them.
func (d *day) wrongCalls(t *testing.T, conn *pgxpool.Pool) (list []string) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT k.call_id, k.node, coalesce((SELECT jsonb_object_agg(account, amount) FROM (SELECT account, (-sum(amount) * 1000000)::bigint AS amount FROM ledger_entry e
		WHERE e.call_id = k.call_id AND e.node = k.node GROUP BY 1) AS x), '{}') FROM cdr_key k`)
	if err != nil {
		t.Fatal(err)
	}
	var key [2]string
	var booked map[string]int64
	var wrong [][2]string
	if _, err := pgx.ForEachRow(rows, []any{&key[0], &key[1], &booked}, func() error {
		if !same(booked, d.calls[key]) && len(wrong) < 5 {
			list, wrong = append(list, fmt.Sprintf("call %s of %s was charged %v, not %v", key[0], key[1], booked, d.calls[key])), append(wrong, key)
		}
		booked = nil
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, key := range wrong {
		for _, table := range []string{"cdr", "cdr_correction", "reservation", "ledger_entry"} {
			var text string
			if err := conn.QueryRow(t.Context(), "SELECT coalesce(string_agg(jsonb_strip_nulls(to_jsonb(x))::text, ' '), 'none') FROM "+table+" x WHERE call_id = $1 AND node = $2", key[0], key[1]).Scan(&text); err != nil {
				t.Fatal(err)
			}
			list[i] += "\n" + table + ": " + text
		}
	}
	return list
}

// admit compares what a lost call was charged with what it may have been: for each charge nothing, or what a conversation cost that some heartbeat told of, or that was over.
func (c *dayCall) admit(booked []charging.Booked) (spent map[string]int64, err error) {
	spent = make(map[string]int64)
	for number := 1; number <= 2; number++ {
		is := make(map[string]int64)
		for _, b := range booked {
			if b.Charge != number {
				continue
			}
			amount, err := tariff.ParseAmount(b.Amount)
			if err != nil {
				return spent, err
			}
			if b.Share {
				amount = -amount
			}
			is[b.Account] += amount
			spent[b.Account] += amount
		}
		may := append([]int64{0}, c.told[number]...)
		for _, f := range c.finished {
			if f.Number == number {
				may = append(may, f.Talk)
			}
		}
		if !slices.ContainsFunc(may, func(talk int64) bool { return same(costOf(&c.terms, talk, c.granted[number]), is) }) {
			return spent, fmt.Errorf("its charge %d is %v, which is no conversation of %v ms that its node told of (granted %d s)", number, is, may, c.granted[number])
		}
	}
	return spent, nil
}

// costOf is what each account pays for a conversation.
func costOf(terms *charging.Terms, talk, granted int64) map[string]int64 {
	cost := terms.Settle(time.Duration(talk)*time.Millisecond, granted)
	all := make(map[string]int64)
	for i, payer := range terms.Payers {
		all[payer.Account] += cost.Parts[i]
	}
	all[terms.Credit.Account] -= cost.Credit
	return all
}

// same compares what accounts pay; nothing is as good as 0.
func same(a, b map[string]int64) bool {
	for _, pair := range [][2]map[string]int64{{a, b}, {b, a}} {
		for account, amount := range pair[0] {
			if pair[1][account] != amount {
				return false
			}
		}
	}
	return true
}

// dayOfNodes is what a day knows of its nodes, and of the calls that they lost.
type dayOfNodes struct {
	nodes   []*dayNode
	lost    map[[2]string]*dayCall // by call id and node; with the truth's lock
	heard   atomic.Int64
	unknown int
	calls   map[[2]string]map[string]int64 // what each call cost
}
