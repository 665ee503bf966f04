package logic

import (
	"time"
)

// Zones finds a time zone by its IANA name. Reading zone files is I/O, so the shell gives it (time.LoadLocation).
type Zones func(name string) (*time.Location, error)

// Problem is a row that Postgres accepted and Compile cannot use. What it belongs to keeps its last good version.
type Problem struct {
	Table  string `json:"table"`
	Key    string `json:"key"` // as an operator would name the row: freephone.hours
	Reason string `json:"reason"`
}

// Node is a node that may ask.
type Node struct {
	Name            string
	SecretSHA256    [32]byte
	HasSecret       bool
	CertificateName string
	Capacity        int
	InService       bool
}

// Snapshot is all operators' rows compiled into one immutable value. Safe for concurrent use.
type Snapshot struct {
	revision int64
}

// Compile makes the snapshot of rows. A service that cannot be compiled keeps the version it had in previous
// (nil: none) and is told as a Problem, as is every other row that cannot be used.
func Compile(rows *Rows, previous *Snapshot, zones Zones) (*Snapshot, []Problem) {
	return &Snapshot{revision: rows.Revision}, nil
}

// Revision is the config version that the snapshot was made of.
func (s *Snapshot) Revision() int64 { return s.revision }

// Node finds a node by name.
func (s *Snapshot) Node(name string) (Node, bool) { return Node{}, false }

// NodeByCertificate finds a node by the name its client certificate shows (subject common name or DNS name).
func (s *Snapshot) NodeByCertificate(name string) (Node, bool) { return Node{}, false }

// Keys are the session keys in force.
func (s *Snapshot) Keys() *Keys { return nil }

// Sizes counts what the snapshot holds, by table, for metrics and the operator's page.
func (s *Snapshot) Sizes() map[string]int { return nil }

// Scripts lists the scripts' names in order: the fixed label set of call metrics.
func (s *Snapshot) Scripts() []string { return nil }

// Step advances one call by one event at the instant now. It changes call and out in place and depends on
// nothing but its arguments. When out.Ask is not AskNothing, the caller answers it and steps again.
func (s *Snapshot) Step(call *Session, event Event, now time.Time, out *Outcome) {}

// EndCall says what a call came to. The same session and event give the same CDR.
func EndCall(call *Session, end EndEvent, now time.Time) CDR { return CDR{} }
