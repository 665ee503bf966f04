package rpc

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/rpc/endpoint"
)

// discard is a ResponseWriter without a network behind it.
type discard struct {
	header http.Header
	status int
	length int
}

func (d *discard) Header() http.Header { return d.header }

func (d *discard) Write(b []byte) (int, error) {
	d.length += len(b)
	return len(b), nil
}

func (d *discard) WriteHeader(status int) { d.status = status }

// body is a request body that can be rewound.
type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

// replayer sends the same request over and over to a handler, without a network, each time with another call id.
type replayer struct {
	request *http.Request
	writer  discard
	content []byte
	body    body
	id      []byte // the digits of the call id, inside content
	n       int
}

func newReplayer(t testing.TB) *replayer {
	const placeholder = "0000000000"
	content := []byte(encodeOrdered("call.start", [][2]string{
		{"call_id", "node-a-" + placeholder}, {"node", nodeA}, {"channel", "PJSIP/softswitch-00000001"}, {"caller", "+49301112222"},
		{"called", "08001"}, {"presentation", "allowed"}, {"trunk", "softswitch"},
	}))
	at := bytes.Index(content, []byte(placeholder))
	r := &replayer{content: content, id: content[at : at+len(placeholder)], writer: discard{header: http.Header{}}}
	request, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/RPC2", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(nodeA, secretA)
	request.Header.Set("Content-Type", "text/xml")
	request.Body = &r.body
	request.ContentLength = int64(len(content))
	r.request = request
	return r
}

// encodeOrdered makes a call.start as agents send it.
func encodeOrdered(method string, list [][2]string) string {
	b := []byte(`<?xml version="1.0"?><methodCall><methodName>` + method + `</methodName><params><param><value><struct>`)
	for _, m := range list {
		b = append(b, "<member><name>"+m[0]+"</name><value><string>"+m[1]+"</string></value></member>"...)
	}
	return string(append(b, "</struct></value></param></params></methodCall>"...))
}

func (r *replayer) send(h http.Handler) {
	r.n++
	for i, n := len(r.id)-1, r.n; i >= 0; i-- {
		r.id[i] = byte('0' + n%10)
		n /= 10
	}
	r.body.Reset(r.content)
	clear(r.writer.header)
	r.writer.status, r.writer.length = 0, 0
	h.ServeHTTP(&r.writer, r.request)
}

func benchmarkEngine(b testing.TB) *Server {
	e := startEngine(b, func(c *Config) {
		c.Now = time.Now
		c.Registry = prometheus.NewRegistry()
	})
	return e.Server
}

// BenchmarkCallStart is a whole call.start without the network: route, authenticate, decode, decide, encode, count.
func BenchmarkCallStart(b *testing.B) {
	h := benchmarkEngine(b).Handler()
	r := newReplayer(b)
	b.ReportAllocs()
	for b.Loop() {
		r.send(h)
		if r.writer.status != 0 && r.writer.status != http.StatusOK || r.writer.length < 200 { // shorter than an answer: fault 104, on a machine that others keep busy
			b.Fatal(r.writer)
		}
	}
}

// BenchmarkCallStartReplayed is the same query again and again: the answer is remembered.
func BenchmarkCallStartReplayed(b *testing.B) {
	h := benchmarkEngine(b).Handler()
	r := newReplayer(b)
	b.ReportAllocs()
	for b.Loop() {
		r.n = 0
		r.send(h)
	}
}

// BenchmarkFloor is a handler on the same router that reads the body and returns as many bytes without looking.
func BenchmarkFloor(b *testing.B) {
	r := newReplayer(b)
	r.send(benchmarkEngine(b).Handler())
	router := chi.NewRouter()
	router.Method(http.MethodPost, "/RPC2", floor(make([]byte, r.writer.length)))
	b.ReportAllocs()
	for b.Loop() {
		r.send(router)
	}
}

func floor(answer []byte) http.Handler {
	length := []string{strconv.Itoa(len(answer))}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var buffer [4096]byte
		_, _ = io.ReadFull(r.Body, buffer[:r.ContentLength])
		w.Header()["Content-Type"] = xmlContentType
		w.Header()["Content-Length"] = length
		_, _ = w.Write(answer)
	})
}

// BenchmarkCallStartHTTP and BenchmarkFloorHTTP are the same over 64 real connections; client and server share the processor.
func BenchmarkCallStartHTTP(b *testing.B) {
	benchmarkHTTP(b, benchmarkEngine(b), nil)
}

func BenchmarkFloorHTTP(b *testing.B) {
	s := benchmarkEngine(b)
	r := newReplayer(b)
	r.send(s.Handler())
	router := chi.NewRouter()
	router.Method(http.MethodPost, "/RPC2", floor(make([]byte, r.writer.length)))
	benchmarkHTTP(b, s, router)
}

func benchmarkHTTP(b *testing.B, s *Server, handler http.Handler) {
	if handler == nil {
		handler = s.Handler()
	}
	service, err := s.Listen(endpoint.Endpoint{Address: "127.0.0.1:0", Handler: handler})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = service.Serve() }()
	b.Cleanup(func() { _ = service.Close() })
	const connections = 64
	var next atomic.Int64
	b.SetParallelism(connections / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", service.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		r := newReplayer(b)
		request := []byte("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nAuthorization: " + r.request.Header.Get("Authorization") +
			"\r\nContent-Length: " + strconv.Itoa(len(r.content)) + "\r\n\r\n")
		head := len(request)
		request = append(request, r.content...)
		id := request[head+bytes.Index(r.content, r.id):][:len(r.id)]
		in := bufio.NewReaderSize(conn, 8<<10)
		for pb.Next() {
			n := next.Add(1)
			for i := len(id) - 1; i >= 0; i-- {
				id[i] = byte('0' + n%10)
				n /= 10
			}
			if _, err := conn.Write(request); err != nil {
				b.Error(err)
				return
			}
			length := 0
			for {
				line, err := in.ReadSlice('\n')
				if err != nil {
					b.Error(err)
					return
				}
				if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
					length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
				}
				if len(line) == 2 {
					break
				}
			}
			if n, err := in.Discard(length); err != nil || n < 200 { // shorter than an answer: fault 104, on a machine that others keep busy
				b.Error(n, err)
				return
			}
		}
	})
}
