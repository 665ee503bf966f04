package rpc

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ringmaster/logic"
	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// labelDialplanTranslate is the metrics' name for the form that answers number.translate.
const labelDialplanTranslate = "dialplan.translate"

func (s *Server) numberTranslate(q *query, _ contract.Parameters) *wire.Fault {
	a := &q.args
	at, fault := contract.Instant(api.At, a[contract.TranslateAt])
	if fault != nil {
		return fault
	}
	if fault := contract.CheckNumber(api.Caller, a[contract.TranslateCaller], false); fault != nil {
		return fault
	}
	if fault := contract.CheckNumber(api.Called, a[contract.TranslateCalled], true); fault != nil {
		return fault
	}
	if fault := contract.CheckWord(api.Trunk, a[contract.TranslateTrunk], false); fault != nil {
		return fault
	}
	q.translationOf(a[contract.TranslateCaller].Text(), a[contract.TranslateCalled].Text(), a[contract.TranslateTrunk].Text())
	q.phase(phaseDecode)

	t, fault := q.translate(at)
	if fault != nil {
		return fault
	}
	w := &q.writer
	w.BeginStruct()
	w.MemberString(api.Action, t.action)
	switch t.action {
	case api.ActionConnect:
		w.MemberString(api.Trunk, t.connect.Targets[0].Trunk)
		w.MemberString(api.Number, t.connect.Targets[0].Number)
		w.BeginMember(api.Targets)
		writeTargets(w, t.connect.Targets)
		w.EndMember()
		if t.connect.CallerID != "" {
			w.MemberString(api.CallerID, t.connect.CallerID)
		}
	case api.ActionRelease:
		w.MemberInt(api.Cause, int64(t.cause))
	}
	if q.session.Service != "" {
		w.MemberString(api.Service, q.session.Service)
	}
	writeRevision(w, q.session.Revision)
	w.EndStruct()
	return nil
}

// translationOf makes the session of a call that is only asked about.
func (q *query) translationOf(caller, called, trunk string) {
	call := &q.session
	call.Reset()
	call.Node, call.Caller, call.Called, call.Trunk = q.node.Name, caller, called, trunk
}

// translation is what a call would do, when that can be said without talking to the caller.
type translation struct {
	action  string
	connect *logic.Instruction // ActionConnect: with at least one target
	cause   int                // ActionRelease
}

// translate decides for q.session at the instant at (zero: now).
func (q *query) translate(at time.Time) (t translation, fault *wire.Fault) {
	if at.IsZero() {
		at = q.began
	}
	q.session.StartedAt = at.UTC().Truncate(time.Millisecond)
	// A percentage is drawn by the call's id. Here there is none, so the instant and the caller stand for it.
	q.session.CallID = "translate-" + strconv.FormatInt(at.UnixNano(), 36) + "-" + q.session.Caller
	q.translating = true
	fault = q.stepAt(logic.Event{Kind: logic.EventStart}, at)
	q.translating = false
	if fault != nil {
		return t, fault
	}
	t.action = api.ActionDialogue
	if q.outcome.Ask.Kind == logic.AskNothing && len(q.outcome.Instructions) == 1 {
		switch only := &q.outcome.Instructions[0]; only.Op {
		case logic.OpConnect:
			t.action, t.connect = api.ActionConnect, only
		case logic.OpRelease:
			t.action, t.cause = api.ActionRelease, only.Cause
		case logic.OpContinue:
			t.action = api.ActionContinue
		}
	}
	return t, q.decided()
}

// serveDialplanTranslate answers number.translate to Asterisk's CURL(): a form in, name=value pairs out, for
// CURLOPT(hashcompat). status is OK, INVALID (the form is wrong) or UNAVAILABLE (no answer now).
func (s *Server) serveDialplanTranslate(q *query, w http.ResponseWriter, r *http.Request) {
	if !mediaType(r.Header, "application/x-www-form-urlencoded") {
		s.refuse(w, http.StatusUnsupportedMediaType, "the body is to be a form")
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
	q.begin(s.metrics.of(labelDialplanTranslate))
	fault := q.translateForm()
	if fault != nil {
		q.writer.Reset()
		q.writer.Buf = appendFormFault(q.writer.Buf, fault)
	}
	q.finish(fault)
	q.leave()
	writeForm(w, q.writer.Buf)
}

func (q *query) translateForm() *wire.Fault {
	form, err := url.ParseQuery(string(q.body))
	if err != nil {
		return contract.Invalid("the body is not a form: %v", err)
	}
	for name, values := range form {
		if len(values) > 1 {
			return contract.Invalid("field %s: comes %d times", contract.Quoted([]byte(name)), len(values))
		}
	}
	caller, called, trunk := form.Get(api.Caller), form.Get(api.Called), form.Get(api.Trunk)
	switch {
	case !contract.IsNumber([]byte(called)):
		return contract.Invalid("field called: must be 1 to %d digits, * or #, is %s", contract.MaxNumber, contract.Quoted([]byte(called)))
	case caller != "" && !contract.IsNumber([]byte(caller)):
		caller = "" // a dialplan passes on what it got: anonymous, a name
	}
	if trunk != "" && !contract.IsWord([]byte(trunk)) {
		return contract.Invalid("field trunk: must be a trunk's name, is %s", contract.Quoted([]byte(trunk)))
	}
	q.translationOf(caller, called, trunk)
	q.phase(phaseDecode)

	t, fault := q.translate(time.Time{})
	if fault != nil {
		return fault
	}
	b := append(q.writer.Buf, "status=OK"...)
	b = appendField(b, api.Action, t.action)
	switch t.action {
	case api.ActionConnect:
		first := &t.connect.Targets[0]
		b = appendField(b, api.Trunk, first.Trunk)
		b = appendField(b, api.Number, first.Number)
		b = appendField(b, api.Timeout, strconv.Itoa(first.Timeout))
		b = appendField(b, api.CallerID, t.connect.CallerID)
	case api.ActionRelease:
		b = appendField(b, api.Cause, strconv.Itoa(t.cause))
	}
	b = appendField(b, api.Service, q.session.Service)
	q.writer.Buf = appendField(b, api.Revision, strconv.FormatInt(q.session.Revision, 10))
	return nil
}

// appendField appends &name=value with the value percent-encoded; an empty value is left out.
func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, '&')
	b = append(b, name...)
	b = append(b, '=')
	return append(b, url.QueryEscape(value)...)
}

func appendFormFault(b []byte, fault *wire.Fault) []byte {
	status := "UNAVAILABLE"
	if classOf(fault) == classInvalid {
		status = "INVALID"
	}
	b = append(b, "status="...)
	b = append(b, status...)
	return appendField(b, "reason", fault.Message)
}

func writeForm(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h["Content-Type"] = formContentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // who has gone away cannot be told
}

func writeFormFault(w http.ResponseWriter, q *query, fault *wire.Fault) {
	q.writer.Reset()
	q.writer.Buf = appendFormFault(q.writer.Buf, fault)
	writeForm(w, q.writer.Buf)
}
