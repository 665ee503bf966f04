package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store"
	"ringmaster/store/ledger"
	"ringmaster/store/postgres"
	"ringmaster/store/storetest"
)

// The soak is this test at full length: make soak.
var (
	calls   = flag.Int("calls", 1000, "calls of TestADayOfCalls")
	faults  = flag.Int("faults", 10, "faults that happen to them")
	seed    = flag.Uint64("seed", 0, "of the calls; 0: drawn")
	callers = flag.Int("callers", 24, "calls of TestADayOfCalls at once")
)

func TestMain(m *testing.M) { storetest.Main(m) }

// day is a day of calls on a few engines and one Postgres, and what must come of it, kept in a ledger of its own: each call adds what it knows it did cost.
type day struct {
	dsn     string
	server  *postgres.Server
	options postgres.Options
	proxies []*storetest.Proxy
	mu      sync.RWMutex // held for writing while an engine is replaced
	engines []*ledger.Ledger
	stores  []*store.Store
	dayOfNodes

	truth   sync.Mutex
	spent   map[string]int64 // by account, micro-units; negative: credited
	funds   map[string]int64
	blind   map[string]int64
	granted atomic.Int64
	refused atomic.Int64
	unsure  atomic.Int64 // asks that nobody answered
	blinded atomic.Int64
	over    atomic.Int64
}

// few accounts pay for one call in eight, so that there is a crowd at them; the others are shared by many. A carrier has more calls because it has more customers.
const few = 40

// payers is how many accounts pay.
func payers() int { return max(few, *calls/100) }

// payer draws one.
func payer(r *rand.Rand) string {
	if r.IntN(8) == 0 {
		return fmt.Sprint("a", r.IntN(few))
	}
	return fmt.Sprint("a", r.IntN(payers()))
}

// provider is the account that is credited with shares.
const provider = "provider"

func newDay(t *testing.T, r *rand.Rand) *day {
	dir, err := storetest.Dir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &day{options: storetest.Options(filepath.Join(dir, "pg")), spent: make(map[string]int64), funds: make(map[string]int64), blind: make(map[string]int64)}
	d.options.Settings["checkpoint_timeout"] = "30s" // it crashes often, and should be back soon
	d.options.Settings["autovacuum_naptime"] = "15s" // a day is long
	if d.server, err = postgres.Start(t.Context(), d.options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.server.Stop() })
	d.dsn = d.server.DSN("postgres")
	if err := store.Migrate(t.Context(), d.dsn, nil); err != nil {
		t.Fatal(err)
	}
	d.lost, d.calls = make(map[[2]string]*dayCall), make(map[[2]string]map[string]int64)
	for i := range 3 {
		d.nodes = append(d.nodes, &dayNode{name: fmt.Sprint("node", i), calls: make(map[string]*dayCall)})
	}
	conn := d.connect(t)
	names := []string{provider}
	for i := range payers() {
		names = append(names, fmt.Sprint("a", i))
	}
	for i, name := range names {
		d.funds[name] = r.Int64N(40) * r.Int64N(10_000_000) * int64(max(1, *calls*few/1000/payers())) // from nothing to four hundred euros for a thousand calls of forty customers
		if i <= few {
			d.funds[name] *= int64(max(1, payers()/few/8))
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO account (account, currency) VALUES ($1, 'EUR')", name); err != nil {
			t.Fatal(err)
		}
		if d.funds[name] > 0 {
			if _, err := conn.Exec(t.Context(), "INSERT INTO adjustment (account, amount, reason) VALUES ($1, $2::numeric, 'a day')", name, tariff.FormatAmount(d.funds[name])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('few', 3)"); err != nil {
		t.Fatal(err)
	}
	for _, n := range d.nodes {
		if _, err := conn.Exec(t.Context(), "INSERT INTO node (node) VALUES ($1)", n.name); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		proxy := storetest.NewProxy(t, d.dsn)
		d.proxies = append(d.proxies, proxy)
		d.engines, d.stores = append(d.engines, nil), append(d.stores, nil)
		d.start(t, len(d.proxies)-1)
	}
	t.Cleanup(func() {
		for i := range d.engines {
			d.engines[i].Close()
			d.stores[i].Close()
		}
	})
	return d
}

// connect makes the connection of whoever looks on. It is a pool, which can be used again after Postgres has crashed.
func (d *day) connect(t *testing.T) *pgxpool.Pool {
	config, err := pgxpool.ParseConfig(d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (d *day) start(t *testing.T, i int) {
	s, err := store.Open(context.Background(), store.Config{DSN: d.proxies[i].DSN(), Engine: fmt.Sprint("engine-", i)})
	if err != nil {
		t.Error(err)
		return
	}
	d.stores[i], d.engines[i] = s, s.NewLedger()
}

func (d *day) engine(r *rand.Rand) *ledger.Ledger {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.engines[r.IntN(len(d.engines))]
}

// fault does something bad and mends it again.
func (d *day) fault(t *testing.T, r *rand.Rand, conn *pgxpool.Pool) string {
	i := r.IntN(len(d.proxies))
	pause := func() { time.Sleep(time.Duration(r.IntN(700)) * time.Millisecond) }
	n := d.nodes[r.IntN(len(d.nodes))]
	switch r.IntN(33) / 4 {
	case 0:
		d.proxies[i].Cut()
		return "an engine's connections to Postgres are reset"
	case 1:
		d.proxies[i].Silence()
		return "an engine's connections are half-open"
	case 2:
		d.proxies[i].Mute()
		pause()
		d.proxies[i].Heal()
		d.proxies[i].Cut()
		return "Postgres hears an engine, and is not heard"
	case 3:
		d.mu.Lock()
		d.engines[i].Close()
		d.stores[i].Close()
		d.start(t, i)
		d.mu.Unlock()
		return "an engine ends and starts again"
	case 4:
		d.die(t, n, r)
		return "a node dies, and starts again"
	case 5:
		d.isolate(t, n, r, conn)
		return "a node is cut off for a minute"
	case 6:
		d.server.Freeze()
		pause()
		d.server.Thaw()
		return "Postgres is frozen"
	case 7:
	default: // less often, for each takes a second or more
		d.crash(t)
		conn.Reset()
		return "Postgres crashes, and recovers"
	}
	if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ringmaster engine-%' AND random() < 0.5"); err != nil {
		t.Error(err)
	}
	return "backends are killed"
}

// crash kills Postgres, with all that it does, and starts it again.
func (d *day) crash(t *testing.T) {
	if err := d.server.Kill(); err != nil {
		t.Error(err)
	}
	var err error
	if d.server, err = postgres.Start(context.Background(), d.options); err != nil {
		t.Fatal(err)
	}
}

// call lives one call, and adds to the truth what it did cost.
func (d *day) call(t *testing.T, id string, r *rand.Rand) {
	n := d.nodes[r.IntN(len(d.nodes))]
	node := n.name
	terms := charging.Terms{Tariff: "day", Rate: "day. (1)", Number: "4930", Currency: "EUR", Maximum: 3600, Price: tariff.Rate{ConnectFee: r.Int64N(2) * 50_000, PricePerMinute: r.Int64N(3_000_000),
		FirstIncrement: 1 + r.Int64N(60), FurtherIncrement: 1 + r.Int64N(10), Rounding: tariff.Rounding(r.IntN(4)), RoundingUnit: 1 + r.Int64N(10_000)}}
	terms.Payers = []charging.Party{{Account: payer(r), Parts: charging.Whole}}
	if r.IntN(4) == 0 {
		if other := payer(r); other != terms.Payers[0].Account {
			terms.Payers[0].Parts = 1 + r.Int64N(charging.Whole-1)
			terms.Payers = append(terms.Payers, charging.Party{Account: other, Parts: charging.Whole - terms.Payers[0].Parts})
		}
	}
	if r.IntN(3) == 0 {
		terms.Credit = charging.Party{Account: provider, Parts: 1 + r.Int64N(charging.Whole)}
	}
	// An engine's clock says when it was asked. People talk for longer here than a call lasts, so it was asked an hour ago.
	facts := charging.Facts{Called: "4930", Presentation: "allowed", StartedAt: time.Now().Add(-time.Hour).UnixMilli()}
	began := time.Now()
	if r.IntN(4) == 0 { // the node's clock is wrong, by hours
		began = began.Add(time.Duration(r.IntN(14_400)-7200) * time.Second)
	}
	cdr := call.CDR{CallID: id, Node: node, Called: "4930", Outcome: call.OutcomeAnswered, StartedAt: began, EndedAt: began, Held: true}
	if r.IntN(8) == 0 { // and jumps while the call goes on
		cdr.EndedAt = began.Add(time.Duration(r.IntN(7200)) * time.Second)
	}
	c := n.carry(id, terms)
	defer n.hangsUp(c)
	defer d.over.Add(1)
	if r.IntN(5) == 0 {
		_, _ = d.ask(r, &charging.Ask{Kind: charging.KindLimit, Limit: charging.Limit{CallID: id, Node: node, Name: "few", Key: fmt.Sprint(r.IntN(4)), Rule: charging.LimitRule{MaximumCalls: 3}, Call: facts}})
	}
	for number := 1; number <= 1+r.IntN(5)/4; number++ {
		if n.died(c) {
			d.lose(c, node)
			return
		}
		ask := &charging.Ask{Kind: charging.KindReserve, Reserve: charging.Reserve{Key: charging.Key{CallID: id, Node: node, Number: number}, Body: 1, Terms: terms, Wanted: 1 + r.Int64N(600), Minimum: 1 + r.Int64N(10),
			Call: facts, Finished: cdr.Finished}}
		n.talks(c, 0, 0)
		answer, err := d.ask(r, ask)
		seconds := int64(0)
		switch {
		case err != nil && r.IntN(3) == 0: // the service allows it all the same
			ask.Reserve.Blind, ask.Reserve.BlindCap = true, 500_000
			d.truth.Lock()
			answer = charging.GrantBlind(&ask.Reserve, d.blind)
			d.truth.Unlock()
			if answer.State == charging.StateBlind {
				d.blinded.Add(1)
				cdr.Blind = append(cdr.Blind, charging.Blind{Number: number, Granted: answer.Seconds, Terms: terms})
				seconds = answer.Seconds
			}
		case err != nil:
			d.unsure.Add(1)
		case answer.State == charging.StateGranted:
			d.granted.Add(1)
			seconds = answer.Seconds
			c.granted[number] = seconds
		default:
			d.refused.Add(1)
		}
		talk := int64(0)
		if seconds > 0 && r.IntN(4) > 0 {
			talk = 1 + r.Int64N(seconds*1000)
			if r.IntN(3) == 0 {
				talk = seconds * 1000 // cut by the node
			}
			if answer.State == charging.StateGranted {
				n.talks(c, number, talk)
				time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
			}
			if len(c.toldOf(n, number)) == 0 && talk == seconds*1000 {
				n.talks(c, 0, 0)
				talk += r.Int64N(900) // a little late. Had it been told of, it would have been extended.
			}
		}
		for account, amount := range costOf(&terms, talk, seconds) {
			c.spent[account] += amount
		}
		finished := charging.Finished{Number: number, Talk: talk}
		cdr.Finished = append(cdr.Finished, finished)
		n.over(c, finished)
		if seconds == 0 {
			break
		}
	}
	time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
	// The node sends the end until an engine has it, and sometimes again.
	for told := 0; told < 1+r.IntN(2); {
		if told == 0 && n.died(c) {
			d.lose(c, node)
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := d.engine(r).End(ctx, cdr); err == nil {
			told++
		}
		cancel()
		if t.Context().Err() != nil {
			return
		}
	}
	d.truth.Lock()
	d.pay([2]string{id, node}, c.spent)
	d.truth.Unlock()
}

// ask asks an engine within the budget; when nobody answers sometimes another one too, and sometimes both at once.
func (d *day) ask(r *rand.Rand, ask *charging.Ask) (answer charging.Answer, err error) {
	for try := range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(5+r.IntN(300))*time.Millisecond)
		again := *ask
		answer, err = d.engine(r).Ask(ctx, &again)
		cancel()
		if err == nil && answer.State != charging.StateUnavailable && (try == 1 || r.IntN(5) > 0) {
			return answer, nil
		}
		if err == nil && answer.State == charging.StateUnavailable {
			err = ledger.ErrAway
		}
		if r.IntN(2) == 0 {
			return answer, err
		}
	}
	return answer, err
}

// TestADayOfCalls lives many calls on three engines while bad things happen, and compares the books with the truth: every balance to the micro-unit, one CDR for each call, nothing held at the end, and no
// invariant hurt.
func TestADayOfCalls(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	d := newDay(t, r)
	conn := d.connect(t)
	var living sync.WaitGroup
	var next atomic.Int64
	for worker := range *callers {
		living.Go(func() {
			r := rand.New(rand.NewPCG(*seed, uint64(worker+1)))
			for n := next.Add(1); n <= int64(*calls); n = next.Add(1) {
				d.call(t, fmt.Sprint("day-", n), r)
			}
		})
	}
	ctx, endOfDay := context.WithCancel(t.Context())
	var beating sync.WaitGroup
	for i, n := range d.nodes {
		beating.Go(func() { d.beats(ctx, n, rand.New(rand.NewPCG(*seed, uint64(1_000_000+i)))) })
	}
	happened := make(map[string]int)
	told, began := time.Now(), time.Now()
	every := int64(*calls / (*faults + 1))
	for i := range *faults {
		for d.over.Load() < every*int64(i+1) && next.Load() <= int64(*calls) {
			time.Sleep(time.Millisecond)
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			t.Logf("%d of %d calls, %d of %d faults, %.0f calls/s", d.over.Load(), *calls, i, *faults, float64(d.over.Load())/time.Since(began).Seconds())
		}
		happened[d.fault(t, r, conn)]++
	}
	living.Wait()
	endOfDay()
	beating.Wait()
	d.closeLost(t, conn)
	d.settle(t, conn)
	t.Logf("%d calls: %d charges granted, %d refused, %d unanswered, %d granted blind; faults %v", d.over.Load(), d.granted.Load(), d.refused.Load(), d.unsure.Load(), d.blinded.Load(), happened)
	if d.granted.Load() == 0 || d.refused.Load() == 0 {
		t.Error("nothing was tried")
	}
}

// settle compares the books with the truth.
func (d *day) settle(t *testing.T, conn *pgxpool.Pool) {
	t.Helper()
	ask := func(sql string, into any) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), sql).Scan(into); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var n int
	for ask("SELECT count(*) FROM reservation WHERE state = 'pending'", &n); n > 0; ask("SELECT count(*) FROM reservation WHERE state = 'pending'", &n) {
		var why string
		ask("SELECT string_agg(call_id, ', ') FROM (SELECT call_id FROM reservation r JOIN cdr USING (call_id, node) WHERE r.state = 'pending' LIMIT 5) AS x", &why)
		t.Fatalf("%d reservations are pending though every call has ended: %s", n, why)
	}
	var wrong *string
	if ask("SELECT string_agg(invariant || ' ' || subject || ': ' || detail, E'\n') FROM ledger_check", &wrong); wrong != nil {
		t.Errorf("ledger_check: %s", *wrong)
	}
	if ask("SELECT count(*) FROM cdr", &n); n != *calls-d.unknown {
		t.Errorf("%d CDRs of %d calls, of which %d were lost before anybody heard of them", n, *calls, d.unknown)
	}
	if ask("SELECT count(*) FROM limit_place WHERE released_at IS NULL", &n); n > 0 {
		t.Errorf("%d places are taken", n)
	}
	if ask("SELECT count(*) FROM live_call", &n); n > 0 {
		t.Errorf("%d calls are live", n)
	}
	rows, err := conn.Query(t.Context(), "SELECT account::text, (balance * 1000000)::bigint, (pending * 1000000)::bigint FROM account_balance")
	if err != nil {
		t.Fatal(err)
	}
	var account string
	var balance, pending int64
	if _, err := pgx.ForEachRow(rows, []any{&account, &balance, &pending}, func() error {
		if want := d.funds[account] - d.spent[account]; balance != want || pending != 0 {
			t.Errorf("account %s has %s, and %s held; its calls leave %s of %s", account, tariff.FormatAmount(balance), tariff.FormatAmount(pending), tariff.FormatAmount(want), tariff.FormatAmount(d.funds[account]))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		for _, text := range d.wrongCalls(t, conn) {
			t.Error(text)
		}
	}
}
