package agi

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"ringmaster/rpc/api"
)

// node is a running agent.
type node struct {
	*Agent
	stop func() // waits until it has stopped
}

func startAgent(t *testing.T, spool string, engines ...string) *node {
	t.Helper()
	return startConfigured(t, Config{
		Node: "node1", Secret: "geheim", Engines: engines, HTTPListen: "127.0.0.1:0", AGIListen: "127.0.0.1:0", Spool: spool,
		Deadline: 10 * time.Second, Heartbeat: 10 * time.Second, Capacity: 110, Log: testLog(t), Registry: prometheus.NewRegistry(),
		Now: func() time.Time { return time.Unix(1700000100, 0) },
	})
}

// startConfigured starts an agent, and stops it at the test's end.
func startConfigured(t *testing.T, c Config) *node {
	t.Helper()
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	n := &node{Agent: a, stop: func() { cancel(); <-done }}
	t.Cleanup(n.stop)
	return n
}

// curl is what CURL() with hashcompat does: post a form, read a form.
func (n *node) curl(t *testing.T, path, form string) url.Values {
	t.Helper()
	resp, err := http.Post("http://"+n.HTTPAddress().String()+path, "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	v, err := url.ParseQuery(string(body))
	if err != nil {
		t.Fatalf("%s is not a form: %v", body, err)
	}
	return v
}

func expect(t *testing.T, v url.Values, want ...string) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := v.Get(want[i]); got != want[i+1] {
			t.Errorf("%s=%q, want %q, in %v", want[i], got, want[i+1], v)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (n *node) inFolder(name string) []string {
	entries, _ := os.ReadDir(filepath.Join(n.config.Spool, name))
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

const call1 = "id=node1-1.1&started=1700000000.250&channel=PJSIP%2Fs-1&trunk=softswitch&caller=%2B4930123&presentation=allowed_not_screened&called=0800123"

func connectTo(members string, targets ...string) string {
	return structValue(stringMember("op", "connect"), arrayMember("targets", targets...), members)
}

func targetAt(trunk, number string) string {
	return structValue(stringMember("trunk", trunk), stringMember("number", number), intMember("timeout", "20"))
}

// nodeReply answers what a node asks for itself, and everything else by next.
func nodeReply(next func(method, body string) string) func(method, body string) string {
	return func(method, body string) string {
		switch method {
		case api.MethodNodeRegister, api.MethodNodeHeartbeat:
			return response(stringMember("state", "in_service"))
		case api.MethodGetCapabilities:
			return response("")
		}
		return next(method, body)
	}
}

func TestConnectTriesTargetsInOrder(t *testing.T) {
	e := newScripted(t, nodeReply(func(method, _ string) string {
		switch method {
		case api.MethodCallStart:
			return told("s1", connectTo(intMember("maximum_seconds", "3600")+intMember("warning_seconds", "30")+stringMember("caller_id", "+49800"),
				targetAt("office", "4930111"), targetAt("pstn", "+4930222")))
		case api.MethodCallReport:
			return told("s2", releaseWith("17"))
		}
		return response(stringMember("call_id", "node1-1.1"))
	}))
	n := startAgent(t, t.TempDir(), e.URL)
	expect(t, n.curl(t, "/start", call1), "status", "OK", "op", "connect", "session", "s1", "trunk", "office", "number", "4930111", "timeout", "20",
		"target", "0", "max_ms", "3600000", "warn_ms", "30000", "caller_id", "+49800")
	expect(t, n.curl(t, "/next", call1+"&op=connect&target=0&dialstatus=BUSY&cause=17"), "status", "OK", "op", "connect", "trunk", "pstn", "number", "+4930222", "target", "1")
	if got := e.asked(api.MethodCallReport); len(got) != 0 {
		t.Errorf("reported before the last target: %v", got)
	}
	expect(t, n.curl(t, "/next", call1+"&op=connect&target=1&dialstatus=CONGESTION&cause=34"), "status", "OK", "op", "release", "cause", "17", "session", "s2",
		"trunk", "", "number", "")
	report := decodeCall(t, e.asked(api.MethodCallReport)[0])
	if want := "session=s1 results=[op=connect status=unreachable target=1 dial_status=CONGESTION cause=34 talk_seconds=0]"; report != want {
		t.Errorf("reported %s\n    want %s", report, want)
	}
	expect(t, n.curl(t, "/end", call1+"&op=release&cause=17&dialstatus=CONGESTION&ended=1700000010.5&session=s2&complete=1"), "status", "OK")
	eventually(t, "the end is delivered", func() bool { return len(n.inFolder(folderPending)) == 0 && len(e.asked(api.MethodCallEnd)) > 0 })
	end := decodeCall(t, e.asked(api.MethodCallEnd)[0])
	if want := "session=s2 ended_at=2023-11-14T22:13:30.500Z cause=17 talk_seconds=0 hangup_source="; end != want {
		t.Errorf("ended %s\n want %s", end, want)
	}
	if left := n.inFolder(folderLive); len(left) != 0 {
		t.Errorf("live calls left: %v", left)
	}
}

// decodeCall writes a methodCall in one line, by encoding/xml: a codec that is not the one that wrote it.
func decodeCall(t *testing.T, body string) string {
	t.Helper()
	type value struct {
		Text    string  `xml:",chardata"`
		String  *string `xml:"string"`
		Int     *string `xml:"int"`
		Double  *string `xml:"double"`
		Boolean *string `xml:"boolean"`
		Members []struct {
			Name  string `xml:"name"`
			Value struct {
				Inner string `xml:",innerxml"`
			} `xml:"value"`
		} `xml:"struct>member"`
		Items []struct {
			Inner string `xml:",innerxml"`
		} `xml:"array>data>value"`
	}
	var show func(inner string) string
	order := []string{"call_id", "session", "node", "channel", "trunk", "caller", "called", "presentation", "started_at", "answered_at", "ended_at", "op", "status", "digits", "target", "dial_status", "cause", "talk_seconds", "hangup_source", "fallback", "results"}
	show = func(inner string) string {
		var v value
		if err := xml.Unmarshal([]byte("<value>"+inner+"</value>"), &v); err != nil {
			t.Fatalf("%s: %v", inner, err)
		}
		switch {
		case v.String != nil:
			return *v.String
		case v.Int != nil:
			return *v.Int
		case v.Double != nil:
			return *v.Double
		case v.Boolean != nil:
			return *v.Boolean
		case strings.HasPrefix(inner, "<array>"):
			var items []string
			for _, i := range v.Items {
				items = append(items, show(i.Inner))
			}
			return "[" + strings.Join(items, "; ") + "]"
		}
		var parts []string
		for _, name := range order {
			for _, m := range v.Members {
				if m.Name == name {
					parts = append(parts, m.Name+"="+show(m.Value.Inner))
				}
			}
		}
		return strings.Join(parts, " ")
	}
	var call struct {
		Params []struct {
			Inner string `xml:",innerxml"`
		} `xml:"params>param>value"`
	}
	if err := xml.Unmarshal([]byte(body), &call); err != nil || len(call.Params) != 1 {
		t.Fatalf("%s: %v", body, err)
	}
	return show(call.Params[0].Inner)
}

// TestAnswerEndsWithTheCall: a conversation without follow-on is told with the end, by the true time.
func TestAnswerEndsWithTheCall(t *testing.T) {
	e := newScripted(t, nodeReply(func(method, _ string) string {
		if method == api.MethodCallStart {
			return told("s1", connectTo("", targetAt("office", "4930111")))
		}
		return response(stringMember("call_id", "x"))
	}))
	n := startAgent(t, t.TempDir(), e.URL)
	expect(t, n.curl(t, "/start", call1), "op", "connect")
	expect(t, n.curl(t, "/end", call1+"&op=connect&target=0&dialstatus=ANSWER&talk_ms=61234&cause=16&source=PJSIP%2Foffice-2&answered=1700000001&ended=1700000070.5&billsec=69.5&session=s1"), "status", "OK")
	eventually(t, "the end is delivered", func() bool { return len(e.asked(api.MethodCallEnd)) > 0 })
	want := "session=s1 answered_at=2023-11-14T22:13:29.266Z ended_at=2023-11-14T22:14:30.500Z cause=16 talk_seconds=61.234 hangup_source=PJSIP/office-2 " +
		"results=[op=connect status=answer target=0 dial_status=ANSWER cause=16 talk_seconds=61.234]"
	if got := decodeCall(t, e.asked(api.MethodCallEnd)[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestFallbackInADialogue: no engine answered any more in the middle of a call, and the dialplan went on by itself. The end says so.
func TestFallbackInADialogue(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	n := startAgent(t, t.TempDir(), e.URL)
	expect(t, n.curl(t, "/start", call1), "op", "answer")
	expect(t, n.curl(t, "/end", call1+"&op=&dialstatus=ANSWER&talk_ms=2000&cause=16&ended=1700000070.5&status=UNAVAILABLE&session=s1&complete=1"), "status", "OK")
	eventually(t, "the end is delivered", func() bool { return len(e.asked(api.MethodCallEnd)) > 0 })
	want := "session=s1 answered_at=2023-11-14T22:14:28.500Z ended_at=2023-11-14T22:14:30.500Z cause=16 talk_seconds=2 hangup_source= fallback=1"
	if got := decodeCall(t, e.asked(api.MethodCallEnd)[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func dialogue(method, body string) string {
	switch {
	case method == api.MethodCallStart:
		return told("s1", structValue(stringMember("op", "answer")), structValue(stringMember("op", "play"), arrayMember("prompts", "<value><string>hello</string></value>", "<value><string>digits/1</string></value>"), stringMember("language", "de")),
			structValue(stringMember("op", "collect"), intMember("minimum", "4"), intMember("maximum", "6"), stringMember("terminator", "#"), intMember("first_timeout", "5"), intMember("digit_timeout", "2")))
	case method == api.MethodCallReport && strings.Contains(body, "1234"):
		return told("s2", connectTo("<member><name>follow_on</name><value><boolean>1</boolean></value></member>", targetAt("office", "4930111")))
	case method == api.MethodCallReport:
		return told("s3", releaseWith("21"))
	}
	return response(stringMember("call_id", "x"))
}

// TestRestartGoesOn: the agent dies after each step of a dialogue, and another one on the same spool goes on; at last one whose spool is gone goes on by the
// session that rode on the channel.
func TestRestartGoesOn(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	spool := t.TempDir()
	step := func(path, form string) url.Values {
		n := startAgent(t, spool, e.URL)
		defer n.stop()
		return n.curl(t, path, form)
	}
	expect(t, step("/start", call1), "op", "answer")
	expect(t, step("/next", call1+"&op=answer&answered=1700000001.5"), "op", "play", "prompts", "hello&digits/1", "language", "de")
	expect(t, step("/next", call1+"&op=play&playback=FAILED"), "op", "collect", "minimum", "4", "maximum", "6", "terminator", "#", "first_timeout", "5", "digit_timeout", "2")
	expect(t, step("/next", call1+"&op=collect&read=OK&digits=1234&minimum=4"), "op", "connect", "follow_on", "1", "session", "s2")
	want := "session=s1 results=[op=answer status=done; op=play status=failed; op=collect status=digits digits=1234]"
	if got := decodeCall(t, e.asked(api.MethodCallReport)[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	spool = t.TempDir()
	expect(t, step("/next", call1+"&op=connect&target=0&dialstatus=ANSWER&talk_ms=1500&cause=16&session=s2"), "status", "OK", "op", "release", "cause", "21", "session", "s3")
	want = "session=s2 results=[op=connect status=answer target=0 dial_status=ANSWER cause=16 talk_seconds=1.5]"
	if got := decodeCall(t, e.asked(api.MethodCallReport)[1]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	expect(t, step("/next", strings.Replace(call1, "1.1", "1.2", 1)+"&op=play&playback=SUCCESS"), "status", "UNAVAILABLE", "op", "")
}

// TestNothingBecomesDialplan: whatever an engine says, no value with syntax in it gets to the dialplan.
func TestNothingBecomesDialplan(t *testing.T) {
	var reply atomic.Value
	e := newScripted(t, nodeReply(func(string, string) string { return reply.Load().(string) }))
	n := startAgent(t, t.TempDir(), e.URL)
	good := targetAt("office", "4930111")
	play := func(prompt string) string {
		return structValue(stringMember("op", "play"), arrayMember("prompts", "<value><string>"+prompt+"</string></value>"))
	}
	tested := 0
	for _, c := range []string{"&amp;", ",", "|", "(", ")", "$", "{", "}", "[", "]", "&quot;", "'", "\\", ";", "@", "&#10;", "&#13;", "\n", " ", ":", "%", "&lt;", "../", "é", "=", "~"} {
		for _, instruction := range []string{
			connectTo("", good, targetAt("office", "4930111"+c+"2")), connectTo("", targetAt("office"+c+"x", "4930111")), connectTo("", targetAt(c, "4930111")),
			connectTo(stringMember("caller_id", "49"+c+"1"), good), play("hello" + c + "x"),
			structValue(stringMember("op", "rel"+c+"ease")), structValue(stringMember("op", "collect"), intMember("maximum", "4"), stringMember("terminator", c)),
			structValue(stringMember("op", "collect"), intMember("maximum", "4"), stringMember("language", "d"+c+"e")),
		} {
			reply.Store(told("s1", instruction))
			v := n.curl(t, "/start", strings.Replace(call1, "1.1", "2."+time.Now().Format("150405.000000000"), 1))
			expect(t, v, "status", "UNAVAILABLE", "op", "", "trunk", "", "number", "", "prompts", "", "caller_id", "")
			tested++
		}
		reply.Store(told("s1"+c, connectTo("", good)))
		if c != ":" && c != "=" && c != "~" && c != "../" { // harmless in a token
			expect(t, n.curl(t, "/start", call1), "status", "UNAVAILABLE", "session", "")
			tested++
		}
	}
	if got := int(testutil.ToFloat64(n.metrics.fallbacks.WithLabelValues(fallbackInvalid))); got != tested {
		t.Errorf("%d refusals counted, want %d", got, tested)
	}
	for _, op := range []string{
		structValue(stringMember("op", "release"), intMember("cause", "128")), structValue(stringMember("op", "release"), intMember("cause", "-1")),
		connectTo(intMember("maximum_seconds", "-1"), good), connectTo(""), structValue(stringMember("op", "play")), structValue(stringMember("op", "collect")),
		structValue(stringMember("op", "collect"), intMember("maximum", "3"), intMember("minimum", "4")),
	} {
		reply.Store(told("s1", op))
		expect(t, n.curl(t, "/start", call1), "status", "UNAVAILABLE")
	}
	reply.Store(told("s1"))
	expect(t, n.curl(t, "/start", call1), "status", "UNAVAILABLE")
}

// TestCallersWriteNoXML: what a caller sends reaches the engine as text or not at all.
func TestCallersWriteNoXML(t *testing.T) {
	e := newScripted(t, nodeReply(func(string, string) string { return told("s1", releaseWith("1")) }))
	n := startAgent(t, t.TempDir(), e.URL)
	form := url.Values{"id": {"node1-<&>.1"}, "caller": {"</string><&\r\n\x00\xff"}, "called": {"0800123"}, "channel": {"PJSIP/<b>&amp;\r\n"}, "trunk": {"a&b"}, "presentation": {"prohib_not_screened"}}
	expect(t, n.curl(t, "/start", form.Encode()), "status", "OK")
	want := "call_id=node1-<&>.1 node=node1 channel=PJSIP/<b>&amp; trunk= caller= called=0800123 presentation=restricted"
	if got := decodeCall(t, e.asked(api.MethodCallStart)[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, called := range []string{"", "sales", "1:2", "1&2", "0800\n1", "0800 1", "<b>", strings.Repeat("1", 33), "1\x00"} {
		form.Set("called", called)
		expect(t, n.curl(t, "/start", form.Encode()), "status", "UNAVAILABLE")
	}
	form.Set("called", "0800123")
	for _, id := range []string{"", "a b", "a\n", strings.Repeat("x", 129), "é"} {
		form.Set("id", id)
		expect(t, n.curl(t, "/start", form.Encode()), "status", "UNAVAILABLE")
	}
	if got := len(e.asked(api.MethodCallStart)); got != 1 {
		t.Errorf("%d queries, want 1", got)
	}
	// The record of such a call has the digits.
	form.Set("id", "node1-7")
	form.Set("called", "+49:30&1\n2")
	expect(t, n.curl(t, "/end", form.Encode()+"&ended=1700000001&op="), "status", "OK")
	eventually(t, "the end is delivered", func() bool { return len(e.asked(api.MethodCallEnd)) > 0 })
	if got := decodeCall(t, e.asked(api.MethodCallEnd)[0]); !strings.Contains(got, " caller= called=+493012 ") {
		t.Errorf("got %s", got)
	}
}

func TestHTTPFaceRefusesWhatIsNoForm(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	n := startAgent(t, t.TempDir(), e.URL)
	for body, status := range map[string]int{"id=%zz": 400, "a;b": 400, strings.Repeat("x", maxForm+1): 413} {
		for _, path := range []string{"/start", "/next", "/end"} {
			resp, err := http.Post("http://"+n.HTTPAddress().String()+path, "", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("%s %.20s: %s", path, body, resp.Status)
			}
		}
	}
	for path, status := range map[string]int{"/start": 405, "/other": 404, "/": 404} {
		resp, err := http.Get("http://" + n.HTTPAddress().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
	expect(t, n.curl(t, "/next", call1+"&op=dance"), "status", "UNAVAILABLE")
}

// TestOutOfService: a node that operators took out of service sends new calls back with a cause that makes the softswitch take another node.
func TestOutOfService(t *testing.T) {
	e := newScripted(t, func(method, _ string) string {
		switch method {
		case api.MethodNodeRegister, api.MethodNodeHeartbeat:
			return response(stringMember("state", "out_of_service") + arrayMember("gaps", structValue(stringMember("prefix", "0137"), intMember("interval", "2"))) + arrayMember("engines"))
		}
		return dialogue(method, "")
	})
	n := startAgent(t, t.TempDir(), e.URL)
	eventually(t, "the node is out of service", n.outOfService.Load)
	expect(t, n.curl(t, "/start", call1), "status", "OK", "op", "release", "cause", "34")
	if got := len(e.asked(api.MethodCallStart)); got != 0 {
		t.Errorf("asked all the same: %d", got)
	}
}

// TestLateRequests: an agent that was frozen reads what Asterisk has given up; neither is a call resurrected nor its end told twice.
func TestLateRequests(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	n := startAgent(t, t.TempDir(), e.URL)
	expect(t, n.curl(t, "/start", call1), "op", "answer")
	// The dialplan had not heard that answer, so the end comes without the session, and is no engine's decision.
	expect(t, n.curl(t, "/end", call1+"&op=&ended=1700000001&cause=38"), "status", "OK")
	expect(t, n.curl(t, "/start", call1), "status", "UNAVAILABLE")
	expect(t, n.curl(t, "/next", call1+"&op=answer&session=s1"), "status", "UNAVAILABLE")
	expect(t, n.curl(t, "/end", call1+"&op=&ended=1700000001&cause=38"), "status", "OK")
	eventually(t, "the end is delivered", func() bool { return len(n.inFolder(folderPending)) == 0 })
	ends := e.asked(api.MethodCallEnd)
	if len(ends) != 1 {
		t.Fatalf("%d ends", len(ends))
	}
	want := "call_id=node1-1.1 node=node1 channel=PJSIP/s-1 trunk=softswitch caller=+4930123 called=0800123 presentation=allowed started_at=2023-11-14T22:13:20.250Z ended_at=2023-11-14T22:13:21.000Z cause=38 talk_seconds=0 hangup_source="
	if got := decodeCall(t, ends[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n.calls.count() != 0 {
		t.Error("the call is live again")
	}
}

// TestTableIsBounded: more calls than any node has push out the oldest; each is on disk as long as it is in memory.
func TestTableIsBounded(t *testing.T) {
	table, err := openTable(t.TempDir(), testLog(t), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxCalls + 10 {
		c := &call{ID: "c" + time.Unix(int64(i), 0).UTC().Format("150405"), Boot: "b", Began: time.Unix(int64(i), 0)}
		table.put(c)
		table.save(c)
	}
	if got := len(table.live("b", time.Unix(0, 0))); got != maxCalls {
		t.Errorf("%d calls", got)
	}
	again, err := openTable(table.folder, testLog(t), time.Unix(0, 0))
	if err != nil || again.count() != maxCalls || again.get("c000000") != nil || again.get("c000010") == nil {
		t.Errorf("read again: %d calls, %v", again.count(), err)
	}
	if got := again.live("another boot", time.Unix(0, 0)); len(got) != 0 {
		t.Errorf("calls of another Asterisk live on: %d", len(got))
	}
	if entries, _ := os.ReadDir(table.folder); len(entries) != 0 {
		t.Errorf("and lie on disk: %d", len(entries))
	}
}

func TestBootIsAsterisksStart(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "asterisk.pid")
	b := newBoot(pid)
	before := b.current()
	write := func(text string, at int64) string {
		if err := os.WriteFile(pid, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(pid, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
		return b.current()
	}
	first := write("17\n", 100)
	if first == before || b.current() != first {
		t.Errorf("first start: %s after %s", first, before)
	}
	if err := os.Remove(pid); err != nil {
		t.Fatal(err)
	}
	if b.current() != first {
		t.Error("a stopped Asterisk counts as a new one")
	}
	if second := write("17\n", 200); second == first {
		t.Error("a new start with the same pid does not count")
	}
	if a, b := newBoot("").current(), newBoot("").current(); a == b {
		t.Error("two agents, one boot id")
	}
}

// TestLostAnswerIsGivenAgain: the agent took a result, wrote it down and was killed before it said what follows. The dialplan tells it again, to the
// one started again, and hears what it would have heard; a step from further back is nobody's.
func TestLostAnswerIsGivenAgain(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	n := startAgent(t, t.TempDir(), e.URL)
	expect(t, n.curl(t, "/start", call1), "op", "answer", "step", "1")
	for range 3 {
		expect(t, n.curl(t, "/next", call1+"&step=1&op=answer"), "op", "play", "step", "2")
	}
	expect(t, n.curl(t, "/next", call1+"&step=2&op=play&playback=SUCCESS"), "op", "collect", "step", "3")
	expect(t, n.curl(t, "/next", call1+"&step=1&op=answer"), "status", "UNAVAILABLE")
	for range 2 {
		expect(t, n.curl(t, "/next", call1+"&step=3&op=collect&read=OK&digits=1234&minimum=4"), "op", "connect", "step", "4", "session", "s2")
	}
	if got := len(e.asked(api.MethodCallReport)); got != 1 {
		t.Errorf("reported %d times", got)
	}
}
