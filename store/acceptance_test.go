package store_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/logic"
	"ringmaster/rpc"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// The acceptance runs of operators' edits are these tests at full length: make edits.
var (
	edits = flag.Int("edits", 150, "edits that TestEditsNeverHurtACall throws at an engine")
	cuts  = flag.Int("cuts", 2, "times that TestNoEditIsMissedInACut cuts the connection that hears of edits")
)

// golden is what the engine answers for a number that no edit concerns, but for the config revision.
type golden struct {
	number string
	answer string
}

const sweepEvery = 10 // edits between two looks at all golden answers

// TestEditsNeverHurtACall throws edits of every kind at a serving engine, good, bad and absurd, several in a transaction, while it is asked over HTTP all the time: it does not panic, no answer changes that
// an edit does not concern, and Postgres says readably what it refuses.
func TestEditsNeverHurtACall(t *testing.T) {
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	numbers := min(max(10**edits, 2000), 100_000)
	bystander(t, dsn, numbers)
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('asker'); SELECT set_node_secret('asker', 'correct-horse-battery')")
	s, registry := counted(t, dsn)
	f := feed(t, s)
	ledger := s.NewLedger()
	t.Cleanup(ledger.Close)
	server, err := rpc.New(rpc.Config{Source: f, Ledger: ledger, Registry: registry, Budget: time.Minute, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	engine := httptest.NewServer(server.Handler())
	t.Cleanup(engine.Close)

	all := make([]golden, numbers)
	for i := range all {
		all[i].number = fmt.Sprint(4970000000000 + 1 + i)
		if all[i].answer, err = ask1(t.Context(), engine.URL, all[i].number); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("number=4930%d&", (i+1)%10); !strings.Contains(all[i].answer, want) {
			t.Fatalf("number %s is answered by %s", all[i].number, all[i].answer)
		}
	}

	// Askers over HTTP, for as long as edits are made.
	asking, stop := context.WithCancel(t.Context())
	var asked atomic.Int64
	var askers sync.WaitGroup
	for i := range runtime.GOMAXPROCS(0) {
		askers.Go(func() {
			for n := i * 7919; asking.Err() == nil; n += 104729 {
				one := &all[n%len(all)]
				answer, err := ask1(asking, engine.URL, one.number)
				if asking.Err() != nil {
					return
				}
				if err != nil || answer != one.answer {
					t.Errorf("number %s is answered by %s, %v; it was %s", one.number, answer, err, one.answer)
					return
				}
				asked.Add(1)
			}
		})
	}
	defer askers.Wait()
	defer stop()

	seed := rand.Uint64()
	t.Logf("seed %d, %d golden answers", seed, len(all))
	r := rand.New(rand.NewPCG(seed, 0))
	conn := dial(t, dsn)
	kinds := slices.Concat(randomEdits, absurdEdits)
	tried, taken := make([]int, len(kinds)), make([]int, len(kinds))
	transactions, committed := 0, 0
	for done := 0; done < max(*edits, len(kinds)); transactions++ {
		var of []int
		switch {
		case transactions < len(kinds):
			of = []int{transactions} // each kind by itself, however short the run
		case r.IntN(8) == 0:
			of = []int{len(randomEdits) + r.IntN(len(absurdEdits))}
		default:
			for range 1 + r.IntN(4) {
				of = append(of, r.IntN(len(randomEdits)))
			}
		}
		var statements []string
		for _, kind := range of {
			statements = append(statements, kinds[kind](r))
		}
		sql := strings.Join(statements, ";\n")
		_, err := conn.Exec(t.Context(), "BEGIN;\n"+sql+";\nCOMMIT", pgx.QueryExecModeSimpleProtocol)
		done += len(of)
		for _, kind := range of {
			tried[kind]++
		}
		if err != nil {
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || !readable(refused) {
				t.Fatalf("seed %d: %s\nis refused by %v", seed, sql, err)
			}
			if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		committed++
		for _, kind := range of {
			taken[kind]++
		}
		live(t, f, dsn)
		if committed%sweepEvery == 0 {
			sweep(t, fmt.Sprintf("seed %d, after %s", seed, sql), f.Snapshot(), len(all))
		}
		if t.Failed() {
			t.Fatalf("seed %d, after %s", seed, sql)
		}
	}
	sweep(t, fmt.Sprintf("seed %d, at the end", seed), f.Snapshot(), len(all))
	stop()
	askers.Wait()
	for i := range all {
		if answer, err := ask1(t.Context(), engine.URL, all[i].number); err != nil || answer != all[i].answer {
			t.Fatalf("seed %d: at the end number %s is answered by %s, %v; it was %s", seed, all[i].number, answer, err, all[i].answer)
		}
	}
	never := 0
	for kind := range kinds {
		if tried[kind] == 0 {
			t.Errorf("kind %d was never tried", kind)
		}
		if taken[kind] == 0 {
			never++
		}
	}
	if committed == 0 || asked.Load() == 0 || never == 0 || never == len(kinds) {
		t.Errorf("%d of %d transactions were committed, %d queries asked, %d of %d kinds never taken", committed, transactions, asked.Load(), never, len(kinds))
	}
	t.Logf("%d edits of %d kinds in %d transactions, %d of them committed, the others refused readably; %d kinds were never taken; %d queries over HTTP meanwhile; %v deltas, %v loads of everything",
		sum(tried), len(kinds), transactions, committed, never, asked.Load(), deltas(t, registry, "ok"), deltas(t, registry, "impossible"))
	if n := deltas(t, registry, "failed"); n > 0 {
		t.Errorf("%v edits could not be taken over by themselves", n)
	}
}

func sum(of []int) (n int) {
	for _, one := range of {
		n += one
	}
	return n
}

// sweep looks at all golden numbers in a snapshot.
func sweep(t *testing.T, what string, s *logic.Snapshot, numbers int) {
	t.Helper()
	for i := range numbers {
		undisturbed(t, what, s, 1+i)
	}
}

var revisionMember = regexp.MustCompile(`&revision=\d+`)

// ask1 asks the engine what becomes of a call to a number. The answer is without the config revision.
func ask1(ctx context.Context, engine, number string) (string, error) {
	form := url.Values{"called": {"+" + number}, "caller": {"+33140000000"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, engine+"/dialplan/translate", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.SetBasicAuth("asker", "correct-horse-battery")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = errors.New(reply.Status)
	}
	return revisionMember.ReplaceAllString(string(text), ""), err
}

// TestNoEditIsMissedInACut cuts the connection that hears of edits half-open, with an edit in each gap: none is missed, and what is served is never older than the feed promises.
func TestNoEditIsMissedInACut(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	proxy := storetest.NewProxy(t, dsn)
	s, err := store.Open(t.Context(), store.Config{DSN: proxy.DSN(), Engine: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	f := feed(t, s)
	var oldest time.Duration
	for i := range *cuts {
		proxy.Silence()
		mustExec(t, dsn, fmt.Sprintf("INSERT INTO node (node) VALUES ('gap-%d')", i))
		want := revision(t, dsn)
		for f.Revision() < want {
			oldest = max(oldest, f.Age())
			wait, cancel := context.WithTimeout(within(t), 10*time.Millisecond)
			_ = f.Wait(wait, want)
			cancel()
		}
		if _, ok := f.Snapshot().Node(fmt.Sprint("gap-", i)); !ok {
			t.Fatalf("edit %d isn't live", i)
		}
	}
	const promised = 5 * time.Second // notes of failures: staleness while Postgres can be reached
	t.Logf("%d cuts, none missed; what was served was at most %v old", *cuts, oldest.Round(time.Millisecond))
	if oldest > promised {
		t.Errorf("what was served was %v old, more than %v", oldest, promised)
	}
}
