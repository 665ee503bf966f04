// Command mutations plants bugs in the ledger, one at a time, and says which test catches each: `make mutations`. With an argument, only those whose
// description has it.
//
// A bug is planted by an overlay of the build (go test -overlay): no file of the tree is changed. It fails when a bug is not caught, or cannot be planted because the code that it
// changes has changed.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// mutation is a bug: in file, old becomes new, and tests must fail.
type mutation struct {
	bug      string
	file     string
	old, new string
	tests    string // of package store, as go test -run takes them
}

var mutations = []mutation{
	{"the same charge asked for again is reserved again", "store/ledger/decide.go", "known := s.reservations[r.Key]; len(known) > 0", "known := s.reservations[r.Key]; false && len(known) > 0", "TestACallIsReserved"},
	{"what calls hold is not counted as spent", "store/ledger/state.go", "a.Available = balance - pending", "a.Available = balance", "TestNothingIsSpentTwice"},
	{"accounts are not locked", "store/ledger/state.go", "ORDER BY b.account FOR UPDATE OF b`", "ORDER BY b.account`", "TestNothingIsSpentTwice"},
	{"what a call has held is not given back at its end", "store/ledger/settle.go", "pending = b.pending - c.pending", "pending = b.pending - 0 * c.pending", "TestACallIsReserved"},
	{"an end that is told twice is debited twice", "store/ledger/settle.go", "reference text) JOIN stored USING (call_id, node)\n\tGROUP BY account, kind, call_id, node, charge HAVING sum(amount) <> 0\n\tRETURNING account, amount\n), settled", "reference text)\n\tGROUP BY account, kind, call_id, node, charge HAVING sum(amount) <> 0\n\tRETURNING account, amount\n), settled", "TestACallIsReserved"},
	{"a dead engine keeps its accounts", "store/ledger/decide.go", "'idle_in_transaction_session_timeout', '1000'", "'idle_in_transaction_session_timeout', '10000'", "TestADeadEngineKeepsNoAccount"},
	{"the end of a call leaks its place in a limit", "store/ledger/settle.go", "SET released_at = clock_timestamp() FROM stored s WHERE", "SET released_at = clock_timestamp() FROM stored s WHERE false AND", "TestLimits"},
	{"what is given back stays pending", "store/ledger/void.go", "SET pending = b.pending - v.amount", "SET pending = b.pending - 0 * v.amount", "TestReplyLostAfterCommit|TestFrozenServerAndMoney"},
	{"what nobody was told of is not given back", "store/ledger/ask.go", "if err != nil && !isRefused(err) || err == nil && (!told && p.took || p.partly) {", "if false && told {", "TestWhatIsGrantedTooLate"},
	{"an earlier conversation goes on holding all that was granted", "store/ledger/decide.go", "account.Available += r.amount - part", "account.Available += 0 * (r.amount - part)", "TestAFollowOnCall"},
	{"each payer of a split pays the whole", "store/ledger/book.go", "add(of, cost.Parts[i])", "add(of, cost.Amount)", "TestASplit"},
	{"a cut that is some milliseconds late costs another second", "logic/charging/terms.go", "if talk <= time.Duration(granted)*time.Second+Overrun {", "if talk <= time.Duration(granted)*time.Second {", "TestNothingIsSpentTwice"},
	{"a late real end is corrected each time it is told", "store/ledger/settle.go", "reference text) JOIN stored USING (call_id, node)\n\tGROUP BY account, kind, call_id, node, charge HAVING sum(amount) <> 0\n\tRETURNING account, amount\n)\nUPDATE", "reference text)\n\tGROUP BY account, kind, call_id, node, charge HAVING sum(amount) <> 0\n\tRETURNING account, amount\n)\nUPDATE", "TestALostNode"},
	{"wrong PINs are not counted", "store/ledger/decide.go", "s.tries[key] >= budget", "false && s.tries[key] >= budget", "TestPINs"},
	{"a lost node's calls are closed just after an outage", "store/ledger/reap.go", "\tif !steady {\n\t\treturn nil\n\t}\n", "", "TestALostNode"},
	{"a lost node's conversation costs more than was granted", "store/ledger/settle.go", "talk = min(last, 1000*newest.granted)", "talk = last", "TestALostNodes"},
	{"a call that has just asked for money is lost with its node", "store/ledger/reap.go", "WHERE (n.last_seen < now() - $1::interval AND l.seen_at < now() - $1::interval\n", "WHERE (n.last_seen < now() - $1::interval\n", "TestACallIsASignOfLife"},
	{"a lost call pays for what was given back", "store/ledger/settle.go", "return r.state == \"voided\" }", "return false }", "TestALostNodesConversationsAreCharged"},
	{"the clock of a lost node says what its conversations cost", "store/ledger/heartbeat/heartbeat.go", "WHEN g.talk_ms = 0 THEN g.answered_at", "WHEN true THEN g.answered_at", "TestALostNodes"},
	{"a call has a CDR on each day on which its end comes", "migrations/0022_cdr_days.sql", "RETURN NULL; -- the call has its record", "RETURN NEW;", "TestOneRecordPerCallAcrossDays"},
	{"a CDR without a day is refused", "migrations/0022_cdr_days.sql", "CREATE TABLE cdr_default PARTITION OF cdr DEFAULT;", "CREATE TABLE cdr_default PARTITION OF cdr FOR VALUES FROM ('1900-01-01') TO ('1900-01-02');", "TestNoRecordIsLostWithoutADay"},
	{"what a CDR had charged that retention drops is forgotten", "migrations/0022_cdr_days.sql", "SELECT x.account, sum(x.amount), ", "SELECT x.account, 0 * sum(x.amount), ", "TestRetention"},
	{"retention forgets the key with its CDR", "migrations/0022_cdr_days.sql", "r.keep_days - 30)", "r.keep_days)", "TestRetention"},
	{"retention drops a CDR of whose call money is held", "migrations/0022_cdr_days.sql", "CONTINUE WHEN EXISTS (SELECT FROM reservation r", "CONTINUE WHEN false AND EXISTS (SELECT FROM reservation r", "TestRetention"},
	{"the reaper reads all keys", "store/ledger/reap.go", "+joinsSQL, reaperLock, \"off\")", "+joinsSQL, reaperLock, \"on\")", "TestTheReaperLooksCallsUp"},
	{"an account that somebody's psql keeps locked holds up the ends of others", "store/ledger/settle.go", "\"BEGIN; \" + impatientSQL", "byKeySQL", "TestAnAccountThatIsLockedStopsNoOtherEnd"},
	{"a conversation is paid for by the charge after it", "store/ledger/reap.go", "AND (r.charge > 1 OR l.talk_ms IS NOT NULL))) IS NOT FALSE", "AND r.charge > 99)) IS NOT FALSE", "TestALostNodesConversationsAreCharged"},
	{"a lost call ends with the last heartbeat of its node", "store/ledger/reap.go", "	l.seen_at,\n", "	n.last_seen,\n", "TestALostCallEndsWhenItWasLastNamed"},
	{"who says that he books may change a balance", "migrations/0024_books_and_rollback.sql", " OR NOT has_table_privilege('ledger_entry'::regclass, 'INSERT')", "", "TestNobodyBooksByHand"},
	{"a redeemed voucher can be deleted, and made again", "migrations/0024_books_and_rollback.sql", "BEFORE UPDATE OR DELETE ON voucher", "BEFORE UPDATE ON voucher", "TestARedeemedVoucherStays"},
	{"places do not say by which limit they were given", "store/ledger/decide.go", "nullif(maximum_calls, 0)", "NULL", "TestALimitMayBeLowered"},
	{"a conversation that is over goes on", "store/ledger/heartbeat/heartbeat.go", "WHEN NOT g.over THEN now()", "WHEN true THEN now()", "TestTheConversationBeforeIsPaidOnce|TestAFreeConversationBeforeTheFirstCharge"},
	{"a charge that nothing settles is granted", "store/ledger/decide.go", "if r.Key.Number > charging.MaxCharges {", "if false {", "TestACallHasNoMoreChargesThanAreSettled"},
	{"somebody is credited with what nobody pays", "store/ledger/book.go", "share := c.terms.Share(paid)", "share := cost.Credit", "TestNobodyIsCreditedWithWhatNobodyPaid"},
	{"a cap forgets calls that have gone on for an hour", "store/ledger/extend.go", "if account != nil && was != nil {", "if false {", "TestSpendPerHourOfLongCalls"},
	{"one of several claims is kept", "store/ledger/decide.go", "claims = r.claims || g.claims FROM each g", "claims = r.claims || g.claims[1:1] FROM each g", "TestWhatOneAnswerHoldsTwoOthersGiveBack"},
	{"a late end without its session takes all back", "store/ledger/settle.go", "charges = nil // it comes", "_ = charges // it comes", "TestALateEndWithoutSession"},
	{"ends read all that is pending", "store/ledger/settle.go", "AND r.settled_at IS NULL", "AND r.state = 'pending'", "TestCallsAreLookedUp"},
	{"the reaper looks into every day", "store/ledger/reap.go", "DELETE FROM live_call l USING cdr_key c", "DELETE FROM live_call l USING cdr c", "TestACallLooksAtNoOtherDay"},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutations:", err)
		os.Exit(1)
	}
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

func run() error {
	folder, err := os.MkdirTemp("", "rm-mutations-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	missed := 0
	for i, m := range mutations {
		if len(os.Args) > 1 && !strings.Contains(m.bug, os.Args[1]) {
			continue
		}
		caught, err := m.catch(folder)
		if err != nil {
			return fmt.Errorf("%s: %w", m.bug, err)
		}
		if caught == "" {
			missed++
			caught = "NOBODY"
		}
		fmt.Printf("%2d %-70s caught by %s\n", i+1, m.bug, caught)
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d bugs are not caught", missed, len(mutations))
	}
	return nil
}

// catch plants the bug and returns the tests that fail; none when it is not caught.
func (m *mutation) catch(folder string) (caught string, err error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("%s has the code %d times that the bug changes: mend the mutation", m.file, n)
	}
	source, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(folder, "changed.go"), filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-timeout", "3m", "./store", "-run", m.tests).CombinedOutput()
	if err == nil {
		return "", nil
	}
	if strings.Contains(string(out), "[build failed]") {
		return "", fmt.Errorf("it does not build: %s", out)
	}
	var names []string
	for _, found := range failedTest.FindAllStringSubmatch(string(out), -1) {
		names = append(names, found[1])
	}
	if len(names) == 0 {
		return "", fmt.Errorf("the tests did not run: %s", out)
	}
	return strings.Join(names, ", "), nil
}
