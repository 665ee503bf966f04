package rpc

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ringmaster/rpc/api"
	"ringmaster/rpc/endpoint"
	"ringmaster/rpc/wire"
)

func (e *engine) dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// raw writes bytes to a new connection and reads one response.
func (e *engine) raw(t testing.TB, request string) (status int, response *http.Response) {
	t.Helper()
	conn := e.dial(t)
	defer conn.Close()
	// The server may answer and close before it has read everything.
	_, _ = io.WriteString(conn, request)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, &http.Response{Close: true}
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response
}

func (e *engine) authorization() string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(nodeA+":"+secretA)) + "\r\n"
}

func lengthOf(body string) string {
	return "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func chunked(body string) string {
	return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
}

const xmlPost = "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"

// Requests whose length is missing, wrong, doubled or too big get their status, and never another request's body.
func TestLengths(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	list := encodeCall("system.listMethods")
	n := strconv.Itoa(len(list))
	for name, c := range map[string]struct {
		rest string
		want []int // 0: closed without a word
	}{
		"right":                  {lengthOf(list), []int{200}},
		"chunked":                {chunked(list), []int{200}},
		"none":                   {"\r\n", []int{411}},
		"zero":                   {"Content-Length: 0\r\n\r\n", []int{200}}, // a fault: no root element
		"negative":               {"Content-Length: -1\r\n\r\n" + list, []int{400}},
		"not a number":           {"Content-Length: abc\r\n\r\n" + list, []int{400}},
		"plus sign":              {"Content-Length: +" + n + "\r\n\r\n" + list, []int{400}},
		"huge":                   {"Content-Length: 1000000000\r\n\r\n", []int{413}},
		"overflow":               {"Content-Length: 99999999999999999999\r\n\r\n", []int{400}},
		"one over":               {"Content-Length: 65537\r\n\r\n" + strings.Repeat(" ", 65537), []int{413}},
		"two that differ":        {"Content-Length: " + n + "\r\nContent-Length: 5\r\n\r\n" + list, []int{400}},
		"list that differs":      {"Content-Length: " + n + ", 5\r\n\r\n" + list, []int{400}},
		"a long way over":        {"Content-Length: 4194304\r\n\r\n" + strings.Repeat(" ", 4<<20), []int{413}},
		"chunks over":            {chunked(strings.Repeat(" ", 65537)), []int{413}},
		"bad chunk length":       {"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + list, []int{400}},
		"huge chunk":             {"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + list, []int{400}},
		"gzip, chunked":          {"Transfer-Encoding: gzip, chunked\r\n\r\n", []int{400, 501}},
		"transfer gzip":          {"Transfer-Encoding: gzip\r\n\r\n" + list, []int{400, 501}},
		"unknown transfer":       {"Transfer-Encoding: xchunked\r\n" + lengthOf(list), []int{400, 501}},
		"space before the colon": {"Content-Length : " + n + "\r\n\r\n" + list, []int{400}},
		"folded header":          {"X: a\r\n b\r\n" + lengthOf(list), []int{200, 400}},
		"NUL in a header":        {"X: a\x00b\r\n" + lengthOf(list), []int{400}},
		"huge headers":           {"X: " + strings.Repeat("x", 1<<20) + "\r\n" + lengthOf(list), []int{431, 0}},
		"many headers":           {strings.Repeat("X: y\r\n", 1<<16) + lengthOf(list), []int{431, 0}},
	} {
		status, response := e.raw(t, xmlPost+e.authorization()+c.rest)
		if !contains(c.want, status) {
			t.Errorf("%s: %d, want %v", name, status, c.want)
		}
		if status != 200 && !response.Close {
			t.Errorf("%s: the connection stays open after %d", name, status)
		}
	}
	for _, request := range []string{"", "\r\n\r\n", "GARBAGE\r\n\r\n", "POST /RPC2\r\n\r\n", "POST /RPC2 HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "POST http://other/RPC2 HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"} {
		if request == "" {
			continue
		}
		if status, _ := e.raw(t, request+"\r\n"); status == 200 {
			t.Errorf("%q was let in", request)
		}
	}
	e.must("call.start", startOf("c-1", "08001"))
}

func contains(list []int, n int) bool {
	for _, m := range list {
		if m == n {
			return true
		}
	}
	return false
}

// Both lengths at once are an attempt at smuggling: the chunks hold, and the connection ends, so that the rest is nobody's request.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	hidden := xmlPost + e.authorization() + lengthOf(encodeCall("call.start", startOf("smuggled", "08001")))
	for _, request := range []string{
		xmlPost + e.authorization() + "Content-Length: 4\r\n" + chunked(encodeCall("system.listMethods")) + hidden,
		xmlPost + e.authorization() + "Transfer-Encoding: chunked\r\n" + lengthOf("0\r\n\r\n"+hidden),
	} {
		conn := e.dial(t)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		answers, _ := io.ReadAll(conn)
		if n := strings.Count(string(answers), "HTTP/1.1 "); n != 1 || strings.Contains(string(answers), "<name>session</name>") {
			t.Errorf("%d answers: %q", n, answers)
		}
	}
}

// Pipelined requests are answered in order.
func TestPipelining(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	conn := e.dial(t)
	const n = 20
	var requests strings.Builder
	for i := range n {
		requests.WriteString(xmlPost + e.authorization() + lengthOf(encodeCall("validator1.easyStructTest", members{"moe": i, "larry": 0, "curly": 0})))
	}
	go func() { _, _ = io.WriteString(conn, requests.String()) }()
	in := bufio.NewReader(conn)
	for i := range n {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := reply(string(body)); err != nil || got != i {
			t.Fatalf("answer %d is %v, %v", i, got, err)
		}
	}
}

// HTTP/1.0 without keep-alive is what Tcl speaks.
func TestHTTP10(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	conn := e.dial(t)
	if _, err := io.WriteString(conn, "POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\n"+e.authorization()+lengthOf(encodeCall("system.listMethods"))); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // ends, so the server closes
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200 OK\r\n") || !strings.Contains(string(answer), "Content-Length: ") {
		t.Fatalf("%v: %q", err, answer)
	}
}

// hostileBodies are documents that cost a careless parser its memory or its stack.
func hostileBodies() map[string]string {
	call := func(value string) string {
		return "<methodCall><methodName>validator1.echoStructTest</methodName><params><param><value>" + value + "</value></param></params></methodCall>"
	}
	return map[string]string{
		"entity bomb": `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>` +
			call("<string>&b;</string>"),
		"external entity": `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + call("<string>&a;</string>"),
		"deep arrays":     call(strings.Repeat("<array><data><value>", 1500)),
		"deep elements":   strings.Repeat("<a>", 20_000),
		"long string":     call("<string>" + strings.Repeat("x", 60_000) + "</string>"),
		"long name":       "<" + strings.Repeat("x", 60_000) + ">",
		"many members":    call("<struct>" + strings.Repeat("<member><name>a</name><value>1</value></member>", 1200) + "</struct>"),
		"doubled members": call("<struct><member><name>a</name><value>1</value></member><member><name>a</name><value>2</value></member></struct>"),
		"bad UTF-8":       call("<string>\xff\xfe</string>"),
		"lone surrogate":  call("<string>\xed\xa0\x80</string>"),
		"NUL":             call("<string>a\x00b</string>"),
		"NUL reference":   call("<string>&#0;</string>"),
		"unescaped":       call("<string><&</string>"),
		"not closed":      call("<string>x")[:60],
		"int overflow":    call("<int>99999999999999999999</int>"),
		"NaN":             call("<double>NaN</double>"),
		"infinity":        call("<double>1e999</double>"),
		"bad base64":      call("<base64>!!!</base64>"),
		"bad date":        call("<dateTime.iso8601>20261399T99:99:99</dateTime.iso8601>"),
		"attributes":      `<methodCall a="b"><methodName>system.listMethods</methodName></methodCall>`,
		"instruction":     `<?php system("x") ?><methodCall><methodName>system.listMethods</methodName></methodCall>`,
		"UTF-16":          "\xff\xfe<\x00m\x00",
		"empty":           "",
		"comment bomb":    strings.Repeat("<!-- x -->", 6000) + call("<int>1</int>"),
		"wrong root":      "<methodResponse/>",
		"method injected": "<methodCall><methodName>../../etc</methodName></methodCall>",
	}
}

// Hostile documents get a fault, and the server's memory stays flat.
func TestHostileBodies(t *testing.T) {
	e := startEngine(t, nil) // not parallel: it measures memory
	bodies := hostileBodies()
	for name, body := range bodies {
		response, answer := e.post(nodeA, secretA, "/RPC2", "text/xml", body)
		if response.StatusCode == http.StatusBadRequest {
			continue
		}
		_, err := reply(answer)
		fault, ok := err.(*wire.Fault)
		if response.StatusCode != http.StatusOK || !ok || fault.Code < -32702 || fault.Code > -32600 {
			t.Errorf("%s: %s, %v", name, response.Status, err)
		}
	}
	h := e.Handler()
	rounds := func(n int) uint64 {
		for range n {
			for _, body := range bodies {
				r, err := http.NewRequest(http.MethodPost, "/RPC2", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Length", strconv.Itoa(len(body)))
				r.Header.Set("Content-Type", "text/xml")
				r.SetBasicAuth(nodeA, secretA)
				h.ServeHTTP(&discard{header: http.Header{}}, r)
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := rounds(1)
	after := rounds(100)
	if grown := int64(after) - int64(before); grown > 4<<20 {
		t.Errorf("%d hostile bodies left %d KiB behind", 100*len(bodies), grown>>10)
	}
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	rounds(1)
	runtime.ReadMemStats(&m1)
	if each := (m1.TotalAlloc - m0.TotalAlloc) / uint64(len(bodies)); each > 1<<20 {
		t.Errorf("a hostile body costs %d KiB", each>>10)
	}
	e.must("call.start", startOf("d-1", "08001"))
}

// Those who send slowly are cut off, and cost others nothing.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	e := startEndpoint(t, nil, func(p *endpoint.Endpoint) {
		p.HeaderTimeout, p.ReadTimeout, p.IdleTimeout = time.Second, 2*time.Second, time.Second
	})
	body := encodeCall("system.listMethods")
	for name, c := range map[string]struct {
		sent string
		want int // 0: closed, and whatever net/http says
	}{
		"nothing at all": {"", 0},
		"half a header":  {"POST /RPC2 HT", 0},
		"no empty line":  {xmlPost, 0},
		"half a body":    {strings.TrimSuffix(xmlPost+e.authorization()+lengthOf(body), body[20:]), 408},
		"half a chunk":   {xmlPost + e.authorization() + "Transfer-Encoding: chunked\r\n\r\n100\r\n<?xml", 408},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := e.dial(t)
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn) // ends when the server closes; the connection's own deadline is 30 s away
			if err != nil {
				t.Fatalf("not cut off: %v", err)
			}
			if c.want == 0 && strings.Contains(string(answer), " 200 ") || c.want != 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 "+strconv.Itoa(c.want)) {
				t.Fatalf("answered %q, want %d", answer, c.want)
			}
		})
	}
	e.must("call.start", startOf("e-1", "08001"))
}

// Idle connections are capped per address and in all; calls on connections within the caps go on.
func TestConnectionCaps(t *testing.T) {
	t.Parallel()
	const each = 20
	e := startEndpoint(t, nil, func(p *endpoint.Endpoint) { p.MaxConnectionsAddress = each })
	idle := make([]net.Conn, 0, 500)
	for range 500 {
		idle = append(idle, e.dial(t))
	}
	// A connection over the cap ends at once; those within it stay.
	closed := make(chan int, len(idle))
	var wait sync.WaitGroup
	for i, conn := range idle {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if i < each {
				return
			}
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				closed <- i
			}
		}()
	}
	wait.Wait()
	if got := len(closed); got != len(idle)-each {
		t.Fatalf("%d of %d connections over the cap were closed", got, len(idle)-each)
	}
	// One that leaves makes room: for the same address, on one that is open already, calls are served.
	if _, err := io.WriteString(idle[0], xmlPost+e.authorization()+lengthOf(encodeCall("system.listMethods"))); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(idle[0]), nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("within the cap: %v, %v", response, err)
	}
	// From another address calls are served as if nothing was.
	other := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext}}
	defer other.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodPost, e.url+"/RPC2", strings.NewReader(encodeCall("call.start", startOf("f-1", "08001"))))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(nodeA, secretA)
	request.Header.Set("Content-Type", "text/xml")
	response, err = other.Do(request)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("from another address: %v, %v", response, err)
	}
	response.Body.Close()
}

func TestConnectionCapInAll(t *testing.T) {
	t.Parallel()
	e := startEndpoint(t, nil, func(p *endpoint.Endpoint) { p.MaxConnections = 2 })
	first, second := e.dial(t), e.dial(t)
	third := e.dial(t)
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Fatal("the third of two connections was served")
	}
	for _, conn := range []net.Conn{first, second} {
		if _, err := io.WriteString(conn, xmlPost+e.authorization()+lengthOf(encodeCall("system.listMethods"))); err != nil {
			t.Fatal(err)
		}
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != 200 {
			t.Fatalf("%v, %v", response, err)
		}
	}
}

// Too many queries at once are shed with a status, new calls before others, and ends of calls have a cap of their own.
func TestShedding(t *testing.T) {
	t.Parallel()
	e := startEngine(t, func(c *Config) { c.MaxQueries, c.MaxEnds, c.EndTimeout = 4, 2, time.Minute })
	session := e.must("call.start", startOf("g-1", "08001"))["session"]
	status := func(method string, p any) (int, string) {
		response, _ := e.post(nodeA, secretA, "/RPC2", "text/xml", encodeCall(method, p))
		return response.StatusCode, response.Header.Get("Retry-After")
	}

	e.queries.Add(3)
	if got, after := status("call.start", startOf("g-2", "08001")); got != 503 || after != "1" {
		t.Errorf("a new call at the cap: %d, Retry-After %q", got, after)
	}
	if got, _ := status("call.report", members{"session": session, "results": []any{}}); got != 200 {
		t.Errorf("a report at the cap for new calls: %d", got)
	}
	e.queries.Add(1)
	if got, _ := status("call.report", members{"session": session, "results": []any{}}); got != 503 {
		t.Errorf("a report over the cap: %d", got)
	}
	e.queries.Add(-4)

	// Two ends wait for a ledger that stands still; the third is sent away, and calls start as ever.
	hold := make(chan struct{})
	e.ledger.mu.Lock()
	e.ledger.hold = hold
	e.ledger.mu.Unlock()
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			if got, _ := status("call.end", members{"session": session}); got != 200 {
				t.Errorf("an end within the cap: %d", got)
			}
		}()
	}
	for e.ends.Load() < 2 {
		runtime.Gosched()
	}
	if got, after := status("call.end", members{"session": session}); got != 503 || after == "" {
		t.Errorf("an end over the cap: %d, Retry-After %q", got, after)
	}
	e.must("call.start", startOf("g-3", "08001"))
	close(hold)
	waiting.Wait()
	if q, n := e.queries.Load(), e.ends.Load(); q != 0 || n != 0 {
		t.Errorf("in flight at rest: %d queries, %d ends", q, n)
	}
	_, err := e.call("no.such")
	wantFault(t, err, api.FaultNoSuchMethod)
	if q, n := e.queries.Load(), e.ends.Load(); q != 0 || n != 0 {
		t.Errorf("in flight at rest: %d queries, %d ends", q, n)
	}
}
