package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"

	"ringmaster/rpc/api"
)

// loadRequest is a whole HTTP request with a call.start, of which only the digits change: so asking costs the
// generator little more than the two system calls.
type loadRequest struct {
	bytes          []byte
	id, channel    span // of the call's counter
	called, caller span
}

// span is a part of a request.
type span struct{ from, to int }

const counterWidth = 12

// newLoadRequest builds the request that all queries are made of. Call ids begin with prefix.
func newLoadRequest(c *Command, u *url.URL, prefix string) loadRequest {
	var r loadRequest
	var body []byte
	member := func(name, before string, width int) span {
		body = append(body, "<member><name>"+name+"</name><value><string>"+before...)
		at := span{len(body), len(body) + width}
		for range width {
			body = append(body, '0')
		}
		body = append(body, "</string></value></member>\n"...)
		return at
	}
	body = append(body, `<?xml version="1.0"?>`+"\n<methodCall><methodName>"+api.MethodCallStart+"</methodName><params><param><value><struct>\n"...)
	r.id = member(api.CallID, prefix, counterWidth)
	member(api.Node, escapeXML(c.Node), 0)
	r.channel = member(api.Channel, "PJSIP/softswitch-", counterWidth)
	r.caller = member(api.Caller, "", c.Caller.width)
	r.called = member(api.Called, "", c.Called.width)
	member(api.Presentation, api.PresentationAllowed, 0)
	if c.Trunk != "" {
		member(api.Trunk, escapeXML(c.Trunk), 0)
	}
	body = append(body, "</struct></value></param></params></methodCall>\n"...)

	path := u.RequestURI()
	authorization := base64.StdEncoding.EncodeToString([]byte(c.Node + ":" + c.Secret))
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n",
		path, u.Host, authorization, len(body))
	r.bytes = append([]byte(head), body...)
	for _, s := range []*span{&r.id, &r.channel, &r.caller, &r.called} {
		s.from += len(head)
		s.to += len(head)
	}
	return r
}

func escapeXML(s string) string {
	var b bytes.Buffer
	for _, r := range s {
		switch r {
		case '<':
			b.WriteString("&lt;")
		case '&':
			b.WriteString("&amp;")
		case '>':
			b.WriteString("&gt;")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (r loadRequest) clone() loadRequest {
	r.bytes = bytes.Clone(r.bytes)
	return r
}

// set makes it the request of another call.
func (r *loadRequest) set(call, called, caller uint64) {
	r.put(r.id, call)
	r.put(r.channel, call)
	r.put(r.called, called)
	r.put(r.caller, caller)
}

func (r *loadRequest) put(s span, n uint64) {
	for i := s.to - 1; i >= s.from; i-- {
		r.bytes[i] = byte('0' + n%10)
		n /= 10
	}
}

// loadConnection is one connection with the least HTTP/1.1 that asks on it again and again.
type loadConnection struct {
	net.Conn
	reader *bufio.Reader
	big    []byte // a body that the reader's buffer cannot hold
}

// loadAnswer is one HTTP answer. The body is valid until the next query.
type loadAnswer struct {
	status int
	body   []byte
	last   bool // the server closes the connection
}

func dialLoad(ctx context.Context, target *loadTarget) (*loadConnection, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target.address)
	if err != nil {
		return nil, fmt.Errorf("couldn't connect: %w", err)
	}
	if target.tls != nil {
		secure := tls.Client(conn, target.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("couldn't agree on TLS with %s: %w", target.address, err)
		}
		conn = secure
	}
	return &loadConnection{Conn: conn, reader: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (c *loadConnection) close() { _ = c.Conn.Close() }

// What a server may send that this client does not read.
var (
	errNotHTTP  = errors.New("the answer is not HTTP/1.1")
	errNoLength = errors.New("the answer has no Content-Length")
)

const maxLoadBody = 1 << 20

// ask sends a request and reads its answer.
func (c *loadConnection) ask(request []byte) (a loadAnswer, err error) {
	if _, err = c.Write(request); err != nil {
		return a, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	if len(line) < len("HTTP/1.1 200\r\n") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return a, errNotHTTP
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, errNotHTTP
	}
	length := -1
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return a, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if value, is := header(line, "content-length"); is {
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > maxLoadBody {
				return a, errNoLength
			}
		} else if value, is := header(line, "connection"); is && bytes.EqualFold(value, []byte("close")) {
			a.last = true
		}
	}
	if length < 0 {
		return a, errNoLength
	}
	if a.body, err = c.reader.Peek(length); err == nil {
		_, err = c.reader.Discard(length)
		return a, err
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return a, err
	}
	if cap(c.big) < length {
		c.big = make([]byte, length)
	}
	a.body = c.big[:length]
	_, err = io.ReadFull(c.reader, a.body)
	return a, err
}

// header gives the value of a header line if it has that name, in small letters.
func header(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' {
		return nil, false
	}
	for i := range len(name) {
		if line[i]|0x20 != name[i] && line[i] != name[i] {
			return nil, false
		}
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

var (
	faultTag   = []byte("<fault>")
	connectOp  = []byte("<name>" + api.Op + "</name><value><string>" + api.OpConnect + "</string>")
	faultCode  = []byte("faultCode</name><value><int>")
	faultI4    = []byte("faultCode</name><value><i4>")
	faultWords = []byte("faultString</name><value><string>")
)

// faultOf reads the fault in an answer.
func faultOf(body []byte) (code int, message string, is bool) {
	if !bytes.Contains(body[:min(len(body), 200)], faultTag) {
		return 0, "", false
	}
	for _, tag := range [][]byte{faultCode, faultI4} {
		if _, rest, found := bytes.Cut(body, tag); found {
			digits, _, _ := bytes.Cut(rest, []byte("<"))
			code, _ = strconv.Atoi(string(digits))
		}
	}
	if _, rest, found := bytes.Cut(body, faultWords); found {
		words, _, _ := bytes.Cut(rest, []byte("<"))
		message = string(words)
	}
	return code, message, true
}
