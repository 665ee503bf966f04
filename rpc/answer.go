package rpc

import (
	"encoding/binary"
	"strconv"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/recent"
	"ringmaster/rpc/wire"
)

// canonical collects the texts of a query: what makes two bodies the same query, and, as one string, the memory of
// the session's texts.
type canonical struct{ buf []byte }

func (c *canonical) text(b []byte) (from, to int) {
	c.buf = binary.AppendUvarint(c.buf, uint64(len(b)))
	from = len(c.buf)
	c.buf = append(c.buf, b...)
	return from, len(c.buf)
}

func (c *canonical) integer(n int64) { c.buf = binary.AppendVarint(c.buf, n) }

// keyOf is the key of a query among the recent answers: what it is, who asks, and the name it goes by.
func (q *query) keyOf(what byte, name []byte) recent.Digest {
	q.scratch = append(append(append(append(q.scratch[:0], what), q.node.Name...), 0), name...)
	return q.server.recent.Digest(q.scratch)
}

// replay answers from the recent answers: done when there is one, or when the key came with another body.
func (q *query) replay(key, body recent.Digest, whenReused string) (done bool, fault *wire.Fault) {
	var found recent.Match
	q.writer.Buf, found = q.server.recent.Find(key, body, q.writer.Buf)
	switch found {
	case recent.Same:
		q.meter.replays.Inc()
		return true, nil
	case recent.Other:
		return true, reused(whenReused)
	}
	return false, nil
}

func reused(message string) *wire.Fault {
	return &wire.Fault{Code: api.FaultCallIDReused, Message: message}
}

// step asks logic what the call shall do now.
func (q *query) step(event logic.Event) *wire.Fault { return q.stepAt(event, q.began) }

// stepAt asks logic what the call shall do at an instant, and gives it what it cannot know by itself.
func (q *query) stepAt(event logic.Event, at time.Time) *wire.Fault {
	for range logic.StepBudget {
		q.snapshot.Step(&q.session, event, at, &q.outcome)
		switch ask := q.outcome.Ask; ask.Kind {
		case logic.AskNothing:
			if q.outcome.Failed > 0 {
				q.server.metrics.failed(q.snapshot, q.session.Script, q.outcome.Failed)
			}
			return nil
		case logic.AskTurn:
			event = logic.Event{Kind: logic.EventAnswer, Turn: q.server.turns.next(ask.Name)}
		case logic.AskLedger:
			if q.translating {
				return nil
			}
			answer := q.askLedger(ask.Ledger)
			if answer.State == charging.StateConflict {
				return reused(callIDReused)
			}
			event = logic.Event{Kind: logic.EventAnswer, Answer: answer}
		default:
			panic("logic asks what this shell cannot answer: " + strconv.Itoa(int(ask.Kind)))
		}
	}
	panic("logic asks without end")
}

// answer renders the outcome of a step, and keeps it for those who ask again.
func (q *query) answer(key, body recent.Digest, whenReused string) *wire.Fault {
	keys := q.snapshot.Keys()
	if !keys.Usable() {
		return &wire.Fault{Code: api.FaultNotReady, Message: "there is no session key to sign with"}
	}
	w := &q.writer
	start := len(w.Buf)
	w.BeginStruct()
	q.scratch = keys.Seal(q.scratch[:0], &q.session, q.began.Add(q.server.sessionLifetime))
	if len(q.scratch) > wire.MaxString {
		// The node could not send it back. Better its fallback now than a call that cannot go on.
		return &wire.Fault{Code: api.FaultApplication, Message: "the call's state is too long for a session token: its script keeps too much in variables"}
	}
	w.MemberStringBytes(api.Session, q.scratch)
	w.BeginMember(api.Instructions)
	w.BeginArray()
	for i := range q.outcome.Instructions {
		writeInstruction(w, &q.outcome.Instructions[i])
	}
	w.EndArray()
	w.EndMember()
	writeRevision(w, q.session.Revision)
	if q.session.Service != "" {
		w.MemberString(api.Service, q.session.Service)
	}
	w.EndStruct()

	// Another connection may have answered the same query meanwhile: then that answer holds. It is appended and
	// moved over this one.
	own := len(w.Buf)
	var found recent.Match
	w.Buf, found = q.server.recent.Keep(key, body, w.Buf[start:own], w.Buf)
	switch found {
	case recent.Other:
		return reused(whenReused)
	case recent.Same:
		q.meter.replays.Inc()
		w.Buf = append(w.Buf[:start], w.Buf[own:]...)
	}
	return nil
}

// writeRevision writes the config revision as a string: it may outgrow an i4.
func writeRevision(w *wire.Writer, revision int64) {
	var digits [20]byte
	w.MemberStringBytes(api.Revision, strconv.AppendInt(digits[:0], revision, 10))
}

// writeInstruction writes the members that the instruction's op names.
func writeInstruction(w *wire.Writer, in *logic.Instruction) {
	w.BeginStruct()
	w.MemberString(api.Op, in.Op.String())
	switch in.Op {
	case logic.OpPlay:
		writePrompts(w, in)
	case logic.OpCollect:
		writePrompts(w, in)
		w.MemberInt(api.Minimum, int64(in.Minimum))
		w.MemberInt(api.Maximum, int64(in.Maximum))
		w.MemberString(api.Terminator, in.Terminator)
		w.MemberInt(api.FirstTimeout, int64(in.FirstTimeout))
		w.MemberInt(api.DigitTimeout, int64(in.DigitTimeout))
	case logic.OpConnect:
		w.BeginMember(api.Targets)
		writeTargets(w, in.Targets)
		w.EndMember()
		if in.CallerID != "" {
			w.MemberString(api.CallerID, in.CallerID)
		}
		if in.MaximumSeconds > 0 {
			w.MemberInt(api.MaximumSeconds, int64(in.MaximumSeconds))
		}
		if in.WarningSeconds > 0 {
			w.MemberInt(api.WarningSeconds, int64(in.WarningSeconds))
		}
		if in.Extendable {
			w.MemberBoolean(api.Extendable, true)
		}
		if in.FollowOn {
			w.MemberBoolean(api.FollowOn, true)
		}
	case logic.OpRelease:
		w.MemberInt(api.Cause, int64(in.Cause))
	}
	w.EndStruct()
}

func writePrompts(w *wire.Writer, in *logic.Instruction) {
	w.BeginMember(api.Prompts)
	w.BeginArray()
	for _, file := range in.Prompts {
		w.String(file)
	}
	w.EndArray()
	w.EndMember()
	w.MemberString(api.Language, in.Language)
}

func writeTargets(w *wire.Writer, targets []logic.Target) {
	w.BeginArray()
	for i := range targets {
		w.BeginStruct()
		w.MemberString(api.Trunk, targets[i].Trunk)
		w.MemberString(api.Number, targets[i].Number)
		w.MemberInt(api.Timeout, int64(targets[i].Timeout))
		w.EndStruct()
	}
	w.EndArray()
}
