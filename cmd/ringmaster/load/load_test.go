package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/alecthomas/kong"

	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// connectReply is an answer with an instruction to connect, as engines write it.
func connectReply() string {
	var w wire.Writer
	w.BeginResponse()
	w.BeginStruct()
	w.MemberString(api.Session, strings.Repeat("s", 300))
	w.BeginMember(api.Instructions)
	w.BeginArray()
	w.BeginStruct()
	w.MemberString(api.Op, api.OpConnect)
	w.EndStruct()
	w.EndArray()
	w.EndMember()
	w.EndStruct()
	w.EndResponse()
	return string(w.Buf)
}

func faultReply(code int, message string) string {
	var w wire.Writer
	w.Fault(code, message)
	return string(w.Buf)
}

// generate runs the generator and gives its result; arguments are those of ringmaster load.
func generate(t *testing.T, url string, arguments ...string) (result loadResult, err error) {
	t.Helper()
	var out, progress strings.Builder
	err = load(t, &out, &progress, append([]string{"--url", url, "--json"}, arguments...)...)
	if out.Len() > 0 {
		if err := json.Unmarshal([]byte(out.String()), &result); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
	}
	return result, err
}

func load(t *testing.T, out, progress io.Writer, arguments ...string) error {
	t.Helper()
	var command Command
	parser, err := kong.New(&command, kong.Exit(func(int) { t.Error("kong ended the program") }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"--node", "n1", "--secret", "a secret"}, arguments...)); err != nil {
		return err
	}
	return command.Run(t.Context(), out, progress)
}

// engine answers call.start and checks what it is asked.
type engine struct {
	t     *testing.T
	mu    sync.Mutex
	ids   map[string]bool
	calls []string // called numbers
	reply func(n int) (status int, body string)
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if node, secret, _ := r.BasicAuth(); node != "n1" || secret != "a secret" {
		e.t.Errorf("asked by %q with secret %q", node, secret)
	}
	body, _ := io.ReadAll(r.Body)
	var document wire.Document
	if err := document.ParseCall(body); err != nil || string(document.Method()) != api.MethodCallStart {
		e.t.Errorf("not a call.start: %v\n%s", err, body)
		return
	}
	members := make(map[string]string)
	for name, v := range document.Param(0).Members() {
		members[string(name)] = v.Text()
	}
	e.mu.Lock()
	if members[api.Node] != "n1" || members[api.CallID] == "" || e.ids[members[api.CallID]] {
		e.t.Errorf("a call with members %v", members)
	}
	e.ids[members[api.CallID]] = true
	e.calls = append(e.calls, members[api.Called])
	n := len(e.calls)
	e.mu.Unlock()
	status, reply := e.reply(n)
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", fmt.Sprint(len(reply)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, reply)
}

func startFake(t *testing.T, reply func(n int) (int, string)) (*engine, string) {
	e := &engine{t: t, ids: make(map[string]bool), reply: reply}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return e, server.URL + api.PathRPC
}

func TestLoadAsksForDistinctCallsInTheRange(t *testing.T) {
	for _, loop := range [][]string{{}, {"--rate", "5000"}} {
		e, url := startFake(t, func(int) (int, string) { return 200, connectReply() })
		result, err := generate(t, url, append(loop, "--count", "500", "--connections", "7", "--called", "498000000010-498000000013")...)
		if err != nil {
			t.Fatal(err)
		}
		if result.Answers != 500 || result.Connects != 500 || result.bad() != 0 || result.Latency.Max <= 0 {
			t.Errorf("%v: %+v", loop, result)
		}
		seen := make(map[string]int)
		for _, called := range e.calls {
			seen[called]++
		}
		// The probe asks for the first number; the others are drawn.
		if len(e.calls) != 501 || len(seen) != 4 || seen["498000000010"] == 0 || seen["498000000013"] == 0 {
			t.Errorf("%v: %d calls, to %v", loop, len(e.calls), seen)
		}
	}
}

// TestLoadTellsIntervals: all latencies are in one of them, by when their query was due, and a slow time is in its own.
func TestLoadTellsIntervals(t *testing.T) {
	const pause = 60 * time.Millisecond
	began := time.Now()
	var slow atomic.Int64
	_, url := startFake(t, func(int) (int, string) {
		if at := time.Since(began); at > 500*time.Millisecond && at < 600*time.Millisecond {
			time.Sleep(pause)
			slow.Add(1)
		}
		return 200, connectReply()
	})
	result, err := generate(t, url, "--rate", "400", "--duration", "1s", "--interval", "100ms", "--connections", "16")
	if err != nil {
		t.Fatal(err)
	}
	answers, slowest := int64(0), 0
	for i, one := range result.Intervals {
		h, err := hdrhistogram.Decode([]byte(one.Histogram))
		if err != nil {
			t.Fatal(err)
		}
		answers += h.TotalCount()
		if i > 0 && one.At.Sub(result.Intervals[i-1].At) != 100*time.Millisecond {
			t.Errorf("interval %d begins at %v", i, one.At)
		}
		if h.ValueAtPercentile(90) >= pause.Microseconds()*9/10 {
			slowest++
		}
	}
	if len(result.Intervals) != 10 || answers != result.Answers || slow.Load() == 0 || slowest < 1 || slowest > 3 {
		t.Errorf("%d intervals with %d of %d answers, %d of them slow; %d queries were slow", len(result.Intervals), answers, result.Answers, slowest, slow.Load())
	}
}

func TestLoadCountsFaultsAndStatuses(t *testing.T) {
	_, url := startFake(t, func(n int) (int, string) {
		switch {
		case n > 1 && n%10 == 0:
			return 200, faultReply(api.FaultOverBudget, "too late")
		case n > 1 && n%10 == 5:
			return 503, "overloaded\n"
		}
		return 200, connectReply()
	})
	result, err := generate(t, url, "--count", "100", "--connections", "3")
	if !errors.Is(err, ErrBad) {
		t.Errorf("ended with %v", err)
	}
	if result.Faults["104"] != 10 || result.Statuses["503"] != 10 || result.Answers != 100 || result.Connects != 80 || result.bad() != 20 {
		t.Errorf("%+v", result)
	}
}

func TestLoadSaysAtOnceWhatIsWrong(t *testing.T) {
	_, refuses := startFake(t, func(int) (int, string) { return 401, "a node's name and secret is needed\n" })
	_, faults := startFake(t, func(int) (int, string) { return 200, faultReply(api.FaultNotReady, "no snapshot yet") })
	for _, x := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"--url", refuses}, `HTTP status 401: "a node's name and secret is needed"`},
		{[]string{"--url", faults}, "fault 106: no snapshot yet"},
		{[]string{"--url", "http://127.0.0.1:1/RPC2"}, "couldn't connect"},
		{[]string{"--url", "http://192.0.2.1/RPC2"}, "say --allow-remote"},
		{[]string{"--url", "ftp://127.0.0.1/"}, "is no http or https URL"},
		{[]string{"--url", refuses, "--called", "49800-498001"}, "is no range of numbers"},
		{[]string{"--url", refuses, "--called", "+49800"}, "is no range of numbers"},
		{[]string{"--url", refuses, "--called", "49801-49800"}, "ends before it begins"},
		{[]string{"--url", refuses, "--connections", "0"}, "--connections is 1 to 10000"},
		{[]string{"--url", refuses, "--interval", "1us"}, "--interval makes at most 10000 intervals"},
		{[]string{"--url", refuses, "--duration", "0s"}, "--duration is more than 0"},
	} {
		err := load(t, io.Discard, io.Discard, x.arguments...)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v: %v, want %q", x.arguments, err, x.want)
		}
	}
}

// An engine that stalls once must show in the open loop's latencies of all queries that were due meanwhile, not
// of the one alone that it kept waiting.
func TestLoadOpenLoopIsFreeOfCoordinatedOmission(t *testing.T) {
	const stall = 400 * time.Millisecond
	_, url := startFake(t, func(n int) (int, string) {
		if n == 2 { // the first after the probe
			time.Sleep(stall)
		}
		return 200, connectReply()
	})
	result, err := generate(t, url, "--rate", "500", "--count", "200", "--connections", "1")
	if err != nil {
		t.Fatal(err)
	}
	// All 200 are due within 400 ms, one every 2 ms, so they wait 200 ms in the mean at least.
	if result.Latency.P50 < 150 || result.Latency.Max < 400 || result.Delay.P50 < 150 {
		t.Errorf("latencies %+v, delays %+v", result.Latency, *result.Delay)
	}
	closed, err := generate(t, url, "--count", "50", "--connections", "1")
	if err != nil || closed.Delay != nil {
		t.Errorf("closed loop: %v, %+v", err, closed)
	}
}

func TestLoadCountsWhatWasNotSent(t *testing.T) {
	release := make(chan struct{})
	_, url := startFake(t, func(n int) (int, string) {
		if n > 1 {
			<-release
		}
		return 200, connectReply()
	})
	t.Cleanup(func() { close(release) }) // before the server closes
	result, err := generate(t, url, "--rate", "100", "--duration", "200ms", "--timeout", "200ms", "--connections", "2")
	if err == nil || result.Answers != 0 || result.Errors["timed out"] != 2 || result.Unsent != 18 {
		t.Errorf("%v: %+v", err, result)
	}
}

func TestLoadConnectsAgain(t *testing.T) {
	var asked atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				// Every connection answers twice and says so the second time; every third answer never comes.
				for _, header := range []string{"", "Connection: Close\r\n"} {
					request, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, request.Body)
					if asked.Add(1)%3 == 0 {
						return
					}
					reply := connectReply()
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%s\r\n%s", len(reply), header, reply)
				}
			}()
		}
	}()
	result, err := generate(t, "http://"+listener.Addr().String()+"/RPC2", "--count", "30", "--connections", "1")
	if err == nil || result.Answers != 20 || result.Errors["connection closed"] != 10 {
		t.Errorf("%v: %+v", err, result)
	}
}

func TestLoadReadsHTTPStrictly(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":      "",
		"HTTP/1.1 204 No Content\r\nCONTENT-LENGTH:0\r\n\r\n": "",
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok":      errNotHTTP.Error(),
		"ssh\r\n":                 errNotHTTP.Error(),
		"HTTP/1.1 abc OK\r\n\r\n": errNotHTTP.Error(),
		"HTTP/1.1 200 OK\r\n\r\n": errNoLength.Error(),
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n":                                  errNoLength.Error(),
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n":                            errNoLength.Error(),
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort":                              "EOF",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20_000) + "\r":                    "bufio: buffer full",
		"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20_000): "",
	} {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			_, _ = io.ReadFull(far, make([]byte, 3))
			_, _ = io.WriteString(far, answer)
		}()
		c := &loadConnection{Conn: near, reader: bufio.NewReaderSize(near, 16<<10)}
		got, err := c.ask([]byte("ask"))
		if want == "" && (err != nil || got.status/100 != 2) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%.60q: status %d, %v, want %q", answer, got.status, err, want)
		}
		c.close()
	}
}
