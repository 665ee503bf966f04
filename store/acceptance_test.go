package store_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/rpc"
	"ringmaster/rpc/contract"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// The acceptance runs of operators' edits are TestEditsNeverHurtACall and TestNoEditIsMissedInACut at full length: make edits.
var (
	edits = flag.Int("edits", 100, "random edits that TestEditsNeverHurtACall throws at an engine, besides each kind by itself")
	cuts  = flag.Int("cuts", 2, "times that TestNoEditIsMissedInACut cuts the connection that hears of edits")
)

// goldenNumbers is how many numbers must go on being answered as they were at first, whatever is edited beside them.
const goldenNumbers = 100_000

// TestEditsNeverHurtACall throws edits of every kind at an engine that serves over HTTP: first each kind by itself at the carrier as it was at
// first, where its fate is known, then -edits random ones, some of several kinds in one transaction.
//
// The golden answers, one for each of 100,000 numbers that no edit concerns, are compared in three ways: all of them round and round while edits
// go on, a random sample on each revision as soon as it is live (and after each refusal), and all at the end.
func TestEditsNeverHurtACall(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	bystanders(t, dsn, goldenNumbers)
	engine := serve(t, dsn)
	begun := time.Now()
	golden := engine.golden(t)
	t.Logf("%d golden answers in %v", len(golden), time.Since(begun))

	ctx, stop := context.WithCancel(t.Context())
	var sweeping sync.WaitGroup
	begins := make(chan struct{}, 1)
	sweeping.Go(func() { engine.sweep(ctx, t, golden, begins) })
	defer sweeping.Wait()
	defer stop()

	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	conn := operator(t, dsn)
	done, refusals, singles := make(map[string]int), make(map[string]int), 0
	// throw runs an edit, waits until it is live, and compares a sample.
	throw := func(name string, said string, sql string) (refused bool) {
		t.Helper()
		begins <- struct{}{}
		before := engine.feed.Revision()
		refusal := try(t, conn, sql)
		if refusal != nil && said != "" && !strings.Contains(words(refusal), said) {
			t.Fatalf("%s: the refusal does not say %q:\n%s", name, said, words(refusal))
		}
		var committed int64
		if err := conn.QueryRow(t.Context(), "SELECT revision FROM config_revision").Scan(&committed); err != nil {
			t.Fatal(err)
		}
		wait, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := engine.feed.Wait(wait, committed); err != nil {
			t.Fatal(err)
		}
		if refusal != nil && engine.feed.Revision() != before {
			t.Fatalf("%s: a refused edit made revision %d of %d", name, engine.feed.Revision(), before)
		}
		engine.sample(t, fmt.Sprintf("seed %d, after %s: %.2000s", seed, name, sql), golden, r)
		return refusal != nil
	}
	note := func(kind *kindOfEdit, refused bool) {
		done[kind.name]++
		if refused {
			refusals[kind.name]++
		}
		singles++
	}
	for _, n := range r.Perm(len(kindsOfEdit)) {
		kind := &kindsOfEdit[n]
		refused := throw(kind.name, kind.says, kind.sql(r))
		if refused && kind.fate == isTaken || !refused && kind.fate == isRefused {
			t.Fatalf("%s: refused %v", kind.name, refused)
		}
		note(kind, refused)
		if !refused && throw("mend", "", "SELECT saved.mend()") {
			t.Fatalf("after %s the demo carrier could not be put back", kind.name)
		}
	}
	mixed := 0
	for n := range *edits {
		if r.IntN(5) == 0 {
			mixed++
			var parts []string
			for range 2 + r.IntN(3) {
				parts = append(parts, kindsOfEdit[r.IntN(len(kindsOfEdit))].sql(r))
			}
			throw("a mixed edit", "", strings.Join(parts, ";\n"))
		} else {
			kind := &kindsOfEdit[r.IntN(len(kindsOfEdit))]
			note(kind, throw(kind.name, "", kind.sql(r)))
		}
		if n%50 == 49 && throw("mend", "", "SELECT saved.mend()") {
			t.Fatal("the demo carrier could not be put back")
		}
	}
	stop()
	sweeping.Wait()
	for from := 1; from <= len(golden); from += contract.MaxMulticall {
		if err := engine.differ(golden, sequence(from, min(contract.MaxMulticall, len(golden)+1-from)), engine.feed.Revision()); err != nil {
			t.Fatal("at the end:", err)
		}
	}

	for i := range kindsOfEdit {
		kind := &kindsOfEdit[i]
		took, not := done[kind.name]-refusals[kind.name], refusals[kind.name]
		t.Logf("%5d taken %5d refused  %s", took, not, kind.name)
		if kind.fate != isRefused && took == 0 && done[kind.name] > 5 || kind.fate != isTaken && not == 0 && done[kind.name] > 20 {
			t.Errorf("%s: %d taken, %d refused", kind.name, took, not)
		}
	}
	t.Logf("%d kinds; %d edits of one kind, %d of several; %d rounds of all golden answers meanwhile, %d answers compared; %v", len(kindsOfEdit), singles, mixed,
		engine.asked.Load()/goldenNumbers, engine.compared.Load(), time.Since(begun))
	if engine.asked.Load() < goldenNumbers {
		t.Errorf("only %d golden answers were asked for while edits went on", engine.asked.Load())
	}
	if len(kindsOfEdit) < 60 || len(done) != len(kindsOfEdit) {
		t.Errorf("%d kinds of edit, %d of them done", len(kindsOfEdit), len(done))
	}
	for _, name := range []string{"ringmaster_rpc_panics_total", "ringmaster_rpc_over_budget_total"} {
		if n := total(t, engine.registry, name, ""); n != 0 {
			t.Errorf("%s is %v", name, n)
		}
	}
	for _, name := range []string{"ringmaster_config_deltas_total", "ringmaster_config_loads_total"} {
		if n := total(t, engine.registry, name, "failed"); n != 0 {
			t.Errorf("%s of result failed is %v", name, n)
		}
		t.Logf("%s: ok %v", name, total(t, engine.registry, name, "ok"))
	}
}

// total sums a counter up, over all labels or those with a value.
func total(t *testing.T, registry *prometheus.Registry, name, value string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if value == "" || m.GetLabel()[0].GetValue() == value {
				sum += m.GetCounter().GetValue()
			}
		}
		return sum
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// serving is an engine: a feed, and a server of its snapshots over HTTP.
type serving struct {
	*httptest.Server
	feed     *store.Feed
	registry *prometheus.Registry
	asked    atomic.Int64 // by sweep
	compared atomic.Int64
	calls    int
}

// serve starts an engine on the database. Its budget is long: that speed holds while edits go on is a benchmark's business.
func serve(t *testing.T, dsn string) *serving {
	t.Helper()
	s, registry := counted(t, dsn)
	engine := &serving{feed: feed(t, s), registry: registry}
	ledger := s.NewLedger()
	t.Cleanup(ledger.Close)
	server, err := rpc.New(rpc.Config{Source: engine.feed, Ledger: ledger, Registry: registry, Budget: patience, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	engine.Server = httptest.NewServer(server.Handler())
	t.Cleanup(engine.Close)
	return engine
}

// post sends a request as the node named standing.
func (e *serving) post(request string) ([]byte, error) {
	query, err := http.NewRequest(http.MethodPost, e.URL+"/RPC2", strings.NewReader(request))
	if err != nil {
		return nil, err
	}
	query.SetBasicAuth("standing", bystanderSecret)
	query.Header.Set("Content-Type", "text/xml")
	response, err := e.Client().Do(query)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, err
}

func member(name, value string) string {
	return "<member><name>" + name + "</name><value>" + value + "</value></member>"
}

// ask asks where calls to some of the bystanders go, in one request. Each answer is what the reply says, without the revision.
func (e *serving) ask(numbers []int) (answers []string, revisions []int64, err error) {
	var request strings.Builder
	request.WriteString("<methodCall><methodName>system.multicall</methodName><params><param><value><array><data>")
	for _, i := range numbers {
		request.WriteString("<value><struct>" + member("methodName", "number.translate") + member("params", "<array><data><value><struct>"+
			member("called", bystanderNumber(i))+member("caller", bystanderCaller(i))+member("at", "<dateTime.iso8601>20260302T12:00:00</dateTime.iso8601>")+"</struct></value></data></array>") + "</struct></value>")
	}
	request.WriteString("</data></array></value></param></params></methodCall>")
	body, err := e.post(request.String())
	if err != nil {
		return nil, nil, err
	}
	parts := bytes.Split(body, []byte("<name>action</name>"))[1:]
	if len(parts) != len(numbers) {
		return nil, nil, fmt.Errorf("%d answers to %d questions: %.1000s", len(parts), len(numbers), body)
	}
	for _, part := range parts {
		answer, revision, err := withoutRevision(part)
		if err != nil {
			return nil, nil, err
		}
		answers, revisions = append(answers, answer), append(revisions, revision)
	}
	return answers, revisions, nil
}

// bystanderCaller is who calls number i: one of some hundred callers.
func bystanderCaller(i int) string { return fmt.Sprintf("+3310%03d", i%499) }

// withoutRevision takes a reply's revision, its last member but service, out of it.
func withoutRevision(reply []byte) (rest string, revision int64, err error) {
	const name = "<name>revision</name><value>"
	before, after, found := bytes.Cut(reply, []byte(name))
	text, _, _ := bytes.Cut(bytes.TrimPrefix(after, []byte("<string>")), []byte("<"))
	if revision, err = strconv.ParseInt(string(text), 10, 64); !found || err != nil {
		return "", 0, fmt.Errorf("no revision in %.500s", reply)
	}
	return string(before), revision, nil
}

// golden asks for all bystanders, and checks that the answers are what the rows say.
func (e *serving) golden(t *testing.T) []string {
	t.Helper()
	all := make([]string, 0, goldenNumbers)
	for from := 1; from <= goldenNumbers; from += contract.MaxMulticall {
		numbers := sequence(from, min(contract.MaxMulticall, goldenNumbers+1-from))
		answers, _, err := e.ask(numbers)
		if err != nil {
			t.Fatal(err)
		}
		for n, i := range numbers {
			number, timeout := bystanderTarget(i)
			if !strings.Contains(answers[n], "connect") || !strings.Contains(answers[n], number) || !strings.Contains(answers[n], strconv.Itoa(timeout)) || !strings.Contains(answers[n], fmt.Sprintf("bystander_%d<", i%100)) {
				t.Fatalf("the answer for %s is %s", bystanderNumber(i), answers[n])
			}
		}
		all = append(all, answers...)
	}
	return all
}

// sequence is n numbers from the first on.
func sequence(first, n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = first + i
	}
	return all
}

// differ asks for some bystanders and says which answer is not the golden one, or is of a revision before the given one.
func (e *serving) differ(golden []string, numbers []int, least int64) error {
	answers, revisions, err := e.ask(numbers)
	if err != nil {
		return err
	}
	for n, i := range numbers {
		if answers[n] != golden[i-1] {
			return fmt.Errorf("number %s: revision %d answers\n%s\ninstead of\n%s", bystanderNumber(i), revisions[n], answers[n], golden[i-1])
		}
		if revisions[n] < least {
			return fmt.Errorf("number %s: revision %d answers, and %d is live", bystanderNumber(i), revisions[n], least)
		}
	}
	e.compared.Add(int64(len(numbers)))
	return nil
}

// sweep compares all golden answers, round and round: some hundred while each of the edits is committed and taken over.
func (e *serving) sweep(ctx context.Context, t *testing.T, golden []string, begins <-chan struct{}) {
	from, failed := 1, false
	for {
		select {
		case <-begins:
		case <-ctx.Done():
			return
		}
		for range 6 {
			if failed {
				break // once is enough
			}
			n := min(contract.MaxMulticall, len(golden)+1-from)
			if err := e.differ(golden, sequence(from, n), e.feed.Revision()); err != nil {
				t.Error("while edits go on:", err)
				failed = true
			}
			e.asked.Add(int64(n))
			if from += n; from > len(golden) {
				from = 1
			}
		}
	}
}

// sample compares some golden answers on the revision that is live, and places one call.
func (e *serving) sample(t *testing.T, what string, golden []string, r *rand.Rand) {
	t.Helper()
	numbers := make([]int, contract.MaxMulticall)
	for n := range numbers {
		numbers[n] = 1 + r.IntN(len(golden))
	}
	if err := e.differ(golden, numbers, e.feed.Revision()); err != nil {
		t.Fatalf("%s\n%v", what, err)
	}
	e.calls++
	body, err := e.post("<methodCall><methodName>call.start</methodName><params><param><value><struct>" + member("call_id", fmt.Sprint("golden-", e.calls)) + member("node", "standing") +
		member("caller", bystanderCaller(numbers[0])) + member("called", bystanderNumber(numbers[0])) + "</struct></value></param></params></methodCall>")
	if err != nil {
		t.Fatalf("%s\n%v", what, err)
	}
	// The clock of a call is the real one: at night the script releases.
	reply, revision, err := withoutRevision(body)
	if err != nil || revision != e.feed.Revision() || !strings.Contains(reply, "connect") && !strings.Contains(reply, "<i4>31<") {
		t.Fatalf("%s\na call to %s is answered %s, %v", what, bystanderNumber(numbers[0]), body, err)
	}
}
