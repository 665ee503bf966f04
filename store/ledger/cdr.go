package ledger

import (
	"encoding/json"

	"ringmaster/logic/call"
)

// Limits of a CDR's texts, in bytes. They are far above what the protocol lets in; they are here so that no CDR is ever refused
// for its size.
const (
	maxCDRText = 1024
	maxCDRPath = 4096
)

// cdrRow is a CDR as insertCDRs takes it.
type cdrRow struct {
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
	Records      []recordRow     `json:"records"`
}

// recordRow is a record of a call as insertCDRs takes it.
type recordRow struct {
	Position int    `json:"position"`
	At       string `json:"at"`
	Kind     string `json:"kind"`
	Text     string `json:"text"`
}

// newCDRRow makes a row that Postgres takes in any case: an odd byte in what a node said is no reason to lose a CDR.
func newCDRRow(c *call.CDR) cdrRow {
	text := func(s string) string { return Cut(s, maxCDRText) }
	row := cdrRow{
		CallID: text(c.CallID), Node: text(c.Node), Channel: text(c.Channel), Trunk: text(c.Trunk), Caller: text(c.Caller),
		Called: text(c.Called), Dialled: text(c.Dialled), Presentation: c.Presentation.String(), Service: text(c.Service),
		Subscriber: text(c.Subscriber), Script: text(c.Script), Path: Cut(c.Path, maxCDRPath), Revision: c.Revision,
		Outcome: string(c.Outcome), StartedAt: instant(c.StartedAt), EndedAt: instant(c.EndedAt),
		TalkMS: max(0, c.Talk.Milliseconds()), Cause: c.Cause, HangupSource: text(c.HangupSource),
		Charges: json.RawMessage("[]"), Flags: []string{},
		Legs: make([]call.Leg, 0, len(c.Legs)), Records: make([]recordRow, 0, len(c.Records)),
	}
	if row.Cause < 0 || row.Cause > 127 {
		row.Cause = 0 // not a cause of Q.850: unknown
	}
	if !c.AnsweredAt.IsZero() {
		at := instant(c.AnsweredAt)
		row.AnsweredAt = &at
	}
	if c.TimesCorrected {
		row.Flags = append(row.Flags, flagTimes)
	}
	for _, leg := range c.Legs {
		leg.Trunk, leg.Number, leg.DialStatus = text(leg.Trunk), text(leg.Number), text(leg.DialStatus)
		row.Legs = append(row.Legs, leg)
	}
	for i, r := range c.Records {
		row.Records = append(row.Records, recordRow{i, instant(r.At), text(r.Kind), Cut(r.Text, maxCDRPath)})
	}
	return row
}
