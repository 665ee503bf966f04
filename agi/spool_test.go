package agi

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"ringmaster/rpc/api"
)

// TestSpoolSurvivesAKill: what add acknowledged is found by whoever opens the spool next, whole; what was being written is not.
func TestSpoolSurvivesAKill(t *testing.T) {
	folder := t.TempDir()
	s, err := openSpool(folder)
	if err != nil {
		t.Fatal(err)
	}
	record := &endRecord{CallID: "node1-1.1", Session: "s1", Called: "0800", EndedAt: time.Unix(1700000000, 0).UTC(), Talk: 61234 * time.Millisecond, Cause: 16,
		Results: []result{{Op: "connect", Status: "answer", DialStatus: "ANSWER", Talk: 61234 * time.Millisecond}}}
	if err := s.add(record); err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(folder, folderPending, "123"+temporarySuffix)
	if err := os.WriteFile(torn, []byte(`{"call_id":"no`), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := openSpool(folder)
	if err != nil {
		t.Fatal(err)
	}
	names, err := again.pending()
	if err != nil || len(names) != 1 || names[0] != "node1-1.1.json" {
		t.Fatalf("pending %v, %v", names, err)
	}
	got, err := again.load(names[0])
	if err != nil || got.CallID != record.CallID || got.Talk != record.Talk || len(got.Results) != 1 || got.Results[0] != record.Results[0] || !got.EndedAt.Equal(record.EndedAt) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := os.Stat(torn); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the torn file is still there: %v", err)
	}
	if err := again.done(names[0]); err != nil {
		t.Fatal(err)
	}
	if err := again.done(names[0]); err != nil {
		t.Errorf("done twice: %v", err)
	}
	if _, err := again.load(names[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("delivered and still there: %v", err)
	}
}

func TestFileNames(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"node1-1.1", "../../etc/passwd", "..", ".", "a/b", "a%2Fb", "a\\b", "-rf", strings.Repeat("x", 128), strings.Repeat("/", 128), strings.Repeat("/", 127), "A", "a"} {
		name := fileName(id)
		if len(name) > 255 || name != filepath.Base(name) || name == "." || name == ".." || strings.HasSuffix(name, temporarySuffix) {
			t.Errorf("%q: file name %q", id, name)
		}
		if other, twice := seen[name]; twice {
			t.Errorf("%q and %q: the same file name %q", id, other, name)
		}
		seen[name] = id
	}
}

// ledger is an engine that keeps ends by call, as the real one does.
type ledger struct {
	mu   sync.Mutex
	ends []string
}

func (l *ledger) end(body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, body)
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.ends...)
}

// TestEndHappenedButNotTold: the engine stores the end and dies before it says so. It is sent again, the very same, until somebody says so; then never again.
func TestEndHappenedButNotTold(t *testing.T) {
	var l ledger
	e := newScripted(t, nodeReply(func(method, body string) string {
		if method != api.MethodCallEnd {
			return dialogue(method, body)
		}
		l.end(body)
		if len(l.all()) < 4 {
			return "" // stored, not told
		}
		return response(stringMember("call_id", "x"))
	}))
	n := startAgent(t, t.TempDir(), e.URL)
	n.curl(t, "/start", call1)
	expect(t, n.curl(t, "/end", call1+"&op=answer&ended=1700000001&session=s1"), "status", "OK")
	eventually(t, "the spool is empty", func() bool { return len(n.inFolder(folderPending)) == 0 })
	first := decodeCall(t, l.all()[0])
	for _, body := range l.all() {
		if got := decodeCall(t, body); got != first {
			t.Errorf("sent %s\nand  %s", first, got)
		}
	}
	if got := len(l.all()); got != 4 {
		t.Errorf("sent %d times", got)
	}
	if got := testutil.ToFloat64(n.metrics.ends.WithLabelValues(endDelivered)); got != 1 {
		t.Errorf("counted as delivered: %v", got)
	}
}

// TestEndsOutliveEverything: no engine is there; the agent is restarted with ends in its spool; an engine comes; each end arrives once.
func TestEndsOutliveEverything(t *testing.T) {
	var l ledger
	var up atomic.Bool
	e := newScripted(t, nodeReply(func(method, body string) string {
		if !up.Load() {
			return faultResponse("106", "no snapshot yet")
		}
		if method == api.MethodCallEnd {
			l.end(body)
		}
		return response(stringMember("call_id", "x"))
	}))
	spool := t.TempDir()
	n := startAgent(t, spool, e.URL)
	const calls = 30
	for i := range calls {
		id := strings.Replace(call1, "1.1", "1."+string(rune('A'+i)), 1)
		expect(t, n.curl(t, "/start", id), "status", "UNAVAILABLE")
		expect(t, n.curl(t, "/end", id+"&op=&ended=1700000001"), "status", "OK")
	}
	n.stop()
	if got := len(n.inFolder(folderPending)); got != calls {
		t.Fatalf("%d ends spooled", got)
	}
	n = startAgent(t, spool, e.URL)
	up.Store(true)
	eventually(t, "the spool is empty", func() bool { return len(n.inFolder(folderPending)) == 0 })
	seen := map[string]bool{}
	for _, body := range l.all() {
		seen[decodeCall(t, body)] = true
	}
	if len(seen) != calls || len(l.all()) != calls {
		t.Errorf("%d ends, %d different", len(l.all()), len(seen))
	}
}

// TestEndNobodyTakes: a session that is no engine's is left out in the end; what is refused even then is kept aside, with the reason, and does not hold up others.
func TestEndNobodyTakes(t *testing.T) {
	var l ledger
	e := newScripted(t, nodeReply(func(method, body string) string {
		switch {
		case method != api.MethodCallEnd:
			return dialogue(method, body)
		case strings.Contains(body, "<name>session</name>"):
			return faultResponse("101", "not made by us")
		case strings.Contains(body, "poison"):
			return faultResponse("-32602", "member called: bad")
		case strings.Contains(body, "stuck"):
			return faultResponse("-32603", "a bug")
		case strings.Contains(body, "locked"):
			return faultResponse("111", "another session keeps an account of the call locked")
		}
		l.end(body)
		return response(stringMember("call_id", "x"))
	}))
	now := &clock{now: time.Unix(1700000100, 0)}
	n := startClocked(t, t.TempDir(), now, e.URL)
	for _, id := range []string{"locked-1", "stuck-1", "poison-1", "good-1", "good-2"} {
		expect(t, n.curl(t, "/end", strings.Replace(call1, "node1-1.1", id, 1)+"&op=&ended=1700000001&session=s1"), "status", "OK")
	}
	eventually(t, "the good ones are there", func() bool {
		now.add(sessionPatience)
		n.deliverer.wake()
		return len(l.all()) == 2
	})
	eventually(t, "the poison is aside", func() bool {
		now.add(sessionPatience)
		n.deliverer.wake()
		return slices.Equal(n.inFolder(folderRejected), []string{"poison-1.json"})
	})
	data, err := os.ReadFile(filepath.Join(n.config.Spool, folderRejected, "poison-1.json"))
	if err != nil || !strings.Contains(string(data), "member called: bad") || !strings.Contains(string(data), `"session": "s1"`) {
		t.Errorf("kept aside: %s, %v", data, err)
	}
	eventually(t, "only those wait that are refused for now", func() bool {
		p := n.inFolder(folderPending)
		slices.Sort(p)
		return slices.Equal(p, []string{"locked-1.json", "stuck-1.json"})
	})
	for _, body := range l.all() {
		if got := decodeCall(t, body); !strings.HasPrefix(got, "call_id=good-") {
			t.Errorf("sent without session: %s", got)
		}
	}
}

// TestEndThatCannotBeSpooled is told as such, so that the dialplan writes it to the inbox.
func TestEndThatCannotBeSpooled(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	n := startAgent(t, t.TempDir(), e.URL)
	if err := os.RemoveAll(filepath.Join(n.config.Spool, folderPending)); err != nil {
		t.Fatal(err)
	}
	if got := n.curl(t, "/end", call1+"&op=&ended=1700000001"); got.Get("status") == "OK" {
		t.Error("acknowledged")
	}
	if err := os.Mkdir(filepath.Join(n.config.Spool, folderPending), 0o750); err != nil {
		t.Fatal(err)
	}
	expect(t, n.curl(t, "/end", call1+"&op=&ended=1700000001"), "status", "OK")
}

// TestInbox: what the dialplan wrote while the agent was away is taken over, with what the agent knows of the call.
func TestInbox(t *testing.T) {
	var l ledger
	e := newScripted(t, nodeReply(func(method, body string) string {
		if method == api.MethodCallEnd {
			l.end(body)
		}
		return dialogue(method, body)
	}))
	spool := t.TempDir()
	n := startAgent(t, spool, e.URL)
	expect(t, n.curl(t, "/start", call1), "op", "answer")
	expect(t, n.curl(t, "/next", call1+"&op=answer&answered=1700000001.5"), "op", "play")
	n.stop()
	inbox := filepath.Join(spool, folderInbox)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(inbox, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("node1-1.1", call1+"&op=play&target=0&dialstatus=&talk_ms=&cause=16&source=x&answered=1700000001.500&ended=1700000009.000&billsec=7.5&session=s1&complete=1\n")
	write("garbage", "hello")
	write("big", strings.Repeat("a", maxForm+1))
	n = startAgent(t, spool, e.URL)
	eventually(t, "the end is delivered", func() bool { return len(l.all()) == 1 })
	want := "session=s1 answered_at=2023-11-14T22:13:21.500Z ended_at=2023-11-14T22:13:29.000Z cause=16 talk_seconds=7.5 hangup_source=x results=[op=answer status=done; op=play status=hangup]"
	if got := decodeCall(t, l.all()[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	eventually(t, "the big one is aside", func() bool { return len(n.inFolder(folderRejected)) == 1 })
	if got := n.inFolder(folderInbox); len(got) != 1 || got[0] != "garbage" {
		t.Errorf("inbox: %v", got) // it has no last member yet, so it may still be being written
	}
}

func TestInboxTornFile(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	e.status = 503
	n := startAgent(t, t.TempDir(), e.URL)
	path := filepath.Join(t.TempDir(), "x")
	whole := call1 + "&op=&target=&dialstatus=&talk_ms=&cause=38&source=&answered=0.000000&ended=1700000009.000&billsec=0.0&session=&complete=1"
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(path, []byte(whole[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		err := n.collectFile(path, 0)
		if complete := cut == len(whole); complete != (err == nil) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	// After a while a torn file is taken for what it says.
	n = startAgent(t, t.TempDir(), e.URL)
	if err := os.WriteFile(path, []byte(whole[:strings.Index(whole, "&ended")+12]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.collectFile(path, inboxPatience); err != nil {
		t.Fatal(err)
	}
	r, err := n.spool.load("node1-1.1.json")
	if err != nil || r.Called != "0800123" || r.Cause != 38 || !r.EndedAt.Equal(time.Unix(1700000100, 0)) {
		t.Errorf("got %+v, %v", r, err)
	}
	if err := os.WriteFile(path, []byte("id"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.collectFile(path, inboxPatience); !errors.Is(err, errGrammar) {
		t.Errorf("a torn file without a call id: %v", err)
	}
}
