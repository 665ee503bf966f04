package rpc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"ringmaster/logic"
	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// query is everything one request needs, pooled as a whole: a query allocates next to nothing of its own.
type query struct {
	server   *Server
	snapshot *logic.Snapshot // the one version this query is answered from
	node     logic.Node      // who asks
	ctx      context.Context

	began       time.Time // when the request, or the element of a multicall, had been read
	mark        time.Time // end of the last phase
	meter       *methodMetrics
	nested      bool // inside a multicall
	ending      bool // counted among the ends in flight, not the queries
	translating bool // nothing may be taken: a number is only asked about

	patience context.Context // how long writes of the ledger may take; made for the first one
	cancel   context.CancelFunc

	body     []byte
	document wire.Document
	writer   wire.Writer
	args     contract.Values // the members of the struct that was bound last
	scratch  []byte          // canonical members, then keys
	session  logic.Session
	outcome  logic.Outcome
	results  []logic.Result
}

// Capacities over which a query is left to the collector instead of the pool.
const (
	maxPooledBody  = wire.MaxBody + 1
	maxPooledReply = 256 << 10
)

func (q *query) reusable() bool {
	q.snapshot, q.ctx, q.meter = nil, nil, nil
	return cap(q.body) <= 2*maxPooledBody && cap(q.writer.Buf) <= maxPooledReply
}

// begin starts the clock: the request has been read, and is counted among those in flight.
func (q *query) begin(meter *methodMetrics) {
	q.began = q.server.now()
	q.mark, q.meter = q.began, meter
	q.nested, q.ending = false, false
	q.writer.Reset()
}

// phase ends a phase of the query: the time since the last one is its.
func (q *query) phase(p phase) {
	now := q.server.now()
	q.meter.observe(p, now.Sub(q.mark))
	q.mark = now
}

// decided ends the decision, and refuses to go on when the budget is used up.
func (q *query) decided() *wire.Fault {
	q.phase(phaseDecide)
	if q.mark.Sub(q.began) > q.server.budget {
		q.meter.refused.Inc()
		return &wire.Fault{Code: api.FaultOverBudget, Message: "no answer inside the budget; nothing was decided"}
	}
	return nil
}

// readBody reads the request's body, or says with which status and why not.
func (q *query) readBody(r *http.Request) (status int, message string) {
	switch n := r.ContentLength; {
	case n > wire.MaxBody:
		return http.StatusRequestEntityTooLarge, tooLarge
	case n == 0 && len(r.Header["Content-Length"]) == 0:
		return http.StatusLengthRequired, "a Content-Length is needed"
	case n >= 0:
		if int64(cap(q.body)) < n {
			q.body = make([]byte, n, max(n, 4<<10))
		}
		q.body = q.body[:n]
		if _, err := io.ReadFull(r.Body, q.body); err != nil {
			return bodyError(err)
		}
		return 0, ""
	}
	// Chunked, of unknown length.
	q.body = q.body[:0]
	for {
		if len(q.body) == cap(q.body) {
			q.body = append(q.body, 0)[:len(q.body)]
		}
		n, err := r.Body.Read(q.body[len(q.body):min(cap(q.body), wire.MaxBody+1)])
		q.body = q.body[:len(q.body)+n]
		switch {
		case len(q.body) > wire.MaxBody:
			return http.StatusRequestEntityTooLarge, tooLarge
		case err == io.EOF:
			return 0, ""
		case err != nil:
			return bodyError(err)
		}
	}
}

const tooLarge = "a body has at most 65536 bytes"

func bodyError(err error) (int, string) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusRequestTimeout, "the body came too slowly"
	}
	return http.StatusBadRequest, "the body is not what its length or its chunks said"
}

// mediaType reports whether the request's Content-Type is one of the given types, its parameters aside, and its
// content is not encoded.
func mediaType(h http.Header, types ...string) bool {
	for _, coding := range h["Content-Encoding"] {
		if coding != "identity" {
			return false
		}
	}
	values := h["Content-Type"]
	if len(values) != 1 {
		return false
	}
	value := values[0]
	for i := range len(value) {
		if c := value[i]; c == ';' || c == ' ' || c == '\t' {
			value = value[:i]
			break
		}
	}
	for _, t := range types {
		if len(value) == len(t) && equalFold(value, t) {
			return true
		}
	}
	return false
}

// serveXMLRPC answers one methodCall.
func (s *Server) serveXMLRPC(q *query, w http.ResponseWriter, r *http.Request) {
	if !mediaType(r.Header, "text/xml", "application/xml") {
		s.refuse(w, http.StatusUnsupportedMediaType, "the body is to be text/xml, without a Content-Encoding")
		return
	}
	if status, message := q.readBody(r); status != 0 {
		s.refuse(w, status, message)
		return
	}
	if s.queries.Add(1) > s.maxQueries {
		s.queries.Add(-1)
		s.refuse(w, http.StatusServiceUnavailable, "too many queries at once; try another engine")
		return
	}
	q.begin(s.unparsed)
	fault := s.answerDocument(q)
	if fault != nil {
		q.writer.Reset()
		q.writer.Fault(fault.Code, fault.Message)
	}
	q.finish(fault)
	q.leave()
	if fault != nil && fault.Code == api.FaultOverloaded {
		s.refuse(w, http.StatusServiceUnavailable, fault.Message)
		return
	}
	if r.ContentLength < 0 {
		// RFC 9112, section 6.3: a message with both Transfer-Encoding and Content-Length may be an attempt at
		// smuggling. net/http has dropped the length by now, so every chunked request ends its connection.
		w.Header()["Connection"] = closeConnection
	}
	writeXML(w, q.writer.Buf)
}

// answerDocument parses the body and answers it into q.writer.
func (s *Server) answerDocument(q *query) *wire.Fault {
	if err := q.document.ParseCall(q.body); err != nil {
		var fault *wire.Fault
		if errors.As(err, &fault) {
			return fault
		}
		return &wire.Fault{Code: api.FaultNotWellFormed, Message: err.Error()}
	}
	m := s.byName[string(q.document.Method())]
	if m == nil {
		return noSuchMethod(q.document.Method())
	}
	q.meter = s.metrics.methods[m.Name]
	q.writer.BeginResponse()
	fault := s.call(q, m, contract.Parameters{Document: &q.document})
	q.writer.EndResponse()
	return fault
}

func noSuchMethod(name []byte) *wire.Fault {
	return &wire.Fault{Code: api.FaultNoSuchMethod, Message: "no such method: " + strconv.Quote(string(name)) + "; system.listMethods has them"}
}

// call binds the parameters of one method and serves it, under the caps. Ends of calls have a cap of their own, so that new calls are shed before
// them and a slow ledger holds up nothing else.
func (s *Server) call(q *query, m *method, p contract.Parameters) *wire.Fault {
	if m.durable && !q.ending {
		if s.ends.Add(1) > s.maxEnds {
			s.ends.Add(-1)
			return &wire.Fault{Code: api.FaultOverloaded, Message: "too many ends of calls wait to become durable; send it again later"}
		}
		q.ending = true
		s.queries.Add(-1)
	}
	if m.sheddable && s.queries.Load() > s.maxQueries*3/4 {
		return &wire.Fault{Code: api.FaultOverloaded, Message: "too many queries at once; try another engine"}
	}
	if m.Request != nil {
		if fault := m.Bind(p, &q.args); fault != nil {
			return fault
		}
	}
	return m.serve(s, q, p)
}

// leave takes the query out of the counts of those in flight.
func (q *query) leave() {
	if q.ending {
		q.server.ends.Add(-1)
	} else {
		q.server.queries.Add(-1)
	}
	q.ending = false
	if q.cancel != nil {
		q.cancel()
		q.patience, q.cancel = nil, nil
	}
}

// finish ends the encoding and counts the answer.
func (q *query) finish(fault *wire.Fault) {
	q.phase(phaseEncode)
	taken := q.mark.Sub(q.began)
	q.meter.total.Observe(taken.Seconds())
	q.meter.classes[classOf(fault)].Inc()
	if taken > q.server.budget && !q.ending && (fault == nil || fault.Code != api.FaultOverBudget) {
		q.meter.late.Inc()
	}
}

// panicked logs and counts a bug. It is the only place where one is recovered.
func (s *Server) panicked(q *query, v any) {
	s.metrics.panics.Inc()
	if q.meter != nil {
		q.meter.classes[classInternal].Inc()
		q.leave()
	}
	s.logger.Error("a query ran into a bug", "panic", v, "node", q.node.Name,
		"method", string(q.document.Method()), "stack", string(debug.Stack()))
}

// Headers are written from shared slices, which net/http only reads.
var (
	xmlContentType  = []string{"text/xml"}
	formContentType = []string{"text/plain; charset=utf-8"}
	closeConnection = []string{"close"}
)

func writeXML(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h["Content-Type"] = xmlContentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // who has gone away cannot be told
}

func writeXMLFault(w http.ResponseWriter, q *query, fault *wire.Fault) {
	q.writer.Reset()
	q.writer.Fault(fault.Code, fault.Message)
	writeXML(w, q.writer.Buf)
}
