// Package record makes the rows of call records: what Postgres takes in any case, whatever a node or a caller sent. It is not what charges calls (store/ledger), and reads nothing.
package record

import (
	"encoding/json"
	"strings"
	"time"

	"ringmaster/logic/call"
)

// Limits of a CDR's texts, in bytes. They are far above what the protocol lets in; they are here so that no CDR is ever refused
// for its size.
const (
	MaxText = 1024
	MaxPath = 4096
)

// FlagTimes marks a call record whose times were corrected, for the node's clock was wrong.
const FlagTimes = "times"

// CDR is a call record as store/ledger takes it.
type CDR struct {
	CallID       string          `json:"call_id"`
	Node         string          `json:"node"`
	Channel      string          `json:"channel"`
	Trunk        string          `json:"trunk"`
	Caller       string          `json:"caller"`
	Called       string          `json:"called"`
	Dialled      string          `json:"dialled"`
	Presentation string          `json:"presentation"`
	Service      string          `json:"service"`
	Subscriber   string          `json:"subscriber"`
	Script       string          `json:"script"`
	Path         string          `json:"path"`
	Revision     int64           `json:"revision"`
	Outcome      string          `json:"outcome"`
	StartedAt    string          `json:"started_at"`
	AnsweredAt   *string         `json:"answered_at"`
	EndedAt      string          `json:"ended_at"`
	TalkMS       int64           `json:"talk_ms"`
	Cause        int             `json:"cause"`
	HangupSource string          `json:"hangup_source"`
	Charges      json.RawMessage `json:"charges"`
	Flags        []string        `json:"flags"`
	Legs         []call.Leg      `json:"legs"`
	Records      []entry         `json:"records"`
}

// entry is a record that a script made of a call (SIB log).
type entry struct {
	Position int    `json:"position"`
	At       string `json:"at"`
	Kind     string `json:"kind"`
	Text     string `json:"text"`
}

// New makes the row of a call record, one that Postgres takes in any case: an odd byte in what a node said is no reason to lose a CDR.
func New(c *call.CDR) CDR {
	text := func(s string) string { return Cut(s, MaxText) }
	row := CDR{
		CallID: text(c.CallID), Node: text(c.Node), Channel: text(c.Channel), Trunk: text(c.Trunk), Caller: text(c.Caller),
		Called: text(c.Called), Dialled: text(c.Dialled), Presentation: c.Presentation.String(), Service: text(c.Service),
		Subscriber: text(c.Subscriber), Script: text(c.Script), Path: Cut(c.Path, MaxPath), Revision: c.Revision,
		Outcome: string(c.Outcome), StartedAt: Instant(c.StartedAt), EndedAt: Instant(c.EndedAt),
		TalkMS: max(0, c.Talk.Milliseconds()), Cause: c.Cause, HangupSource: text(c.HangupSource),
		Charges: json.RawMessage("[]"), Flags: []string{},
		Legs: make([]call.Leg, 0, len(c.Legs)), Records: make([]entry, 0, len(c.Records)),
	}
	if row.Cause < 0 || row.Cause > 127 {
		row.Cause = 0 // not a cause of Q.850: unknown
	}
	if !c.AnsweredAt.IsZero() {
		at := Instant(c.AnsweredAt)
		row.AnsweredAt = &at
	}
	if c.TimesCorrected {
		row.Flags = append(row.Flags, FlagTimes)
	}
	for _, leg := range c.Legs {
		leg.Trunk, leg.Number, leg.DialStatus = text(leg.Trunk), text(leg.Number), text(leg.DialStatus)
		row.Legs = append(row.Legs, leg)
	}
	for i, r := range c.Records {
		row.Records = append(row.Records, entry{i, Instant(r.At), text(r.Kind), Cut(r.Text, MaxPath)})
	}
	return row
}

// Cut makes a text one that Postgres takes: at most so many bytes, UTF-8, and no NUL.
func Cut(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	s = strings.ToValidUTF8(s, "")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return s
}

// Instant is a time as Postgres reads it, in UTC.
func Instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
