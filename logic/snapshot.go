package logic

import (
	"slices"
	"time"

	"ringmaster/logic/lookup"
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
//
// What belongs to a service (script, tables, lists, calendars) hangs on the service by pointers, so that a service that
// kept its last good version keeps all of what it was compiled with.
type Snapshot struct {
	revision int64
	sizes    map[string]int

	plans         map[string]numberingPlan
	trunks        map[string]trunk
	nodes         map[string]Node
	certificates  map[string]string // certificate name → node
	keys          *Keys
	areas         *lookup.Table // E.164 prefix → index into areaNames
	areaNames     []string
	calendars     map[string]*calendarTable
	lists         map[string]*screeningList
	translations  map[string]*translationTable
	distributions map[string]*distribution
	prompts       map[string]string // prompt → file
	scripts       map[string]*script
	services      map[string]*service
	numbers       numberTable
}

// Revision is the config version that the snapshot was made of.
func (s *Snapshot) Revision() int64 { return s.revision }

// Node finds a node by name.
func (s *Snapshot) Node(name string) (Node, bool) {
	node, ok := s.nodes[name]
	return node, ok
}

// NodeByCertificate finds a node by the name its client certificate shows (subject common name or DNS name).
func (s *Snapshot) NodeByCertificate(name string) (Node, bool) {
	node, ok := s.certificates[name]
	if !ok {
		return Node{}, false
	}
	return s.Node(node)
}

// Keys are the session keys in force.
func (s *Snapshot) Keys() *Keys { return s.keys }

// Sizes counts what the snapshot holds, by table, for metrics and the operator's page. Not to be changed.
func (s *Snapshot) Sizes() map[string]int { return s.sizes }

// Scripts lists the scripts' names in order: the fixed label set of call metrics.
func (s *Snapshot) Scripts() []string {
	names := make([]string, 0, len(s.scripts))
	for name := range s.scripts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// service is an instance of a script, with its parameters looked up.
type service struct {
	name       string
	subscriber string
	language   string
	active     bool
	script     *script // nil: it has never compiled; it only keeps its numbers
	slots      []slot  // by index of script.parameters
}

// slot is a parameter's value: as text, and as the thing it names.
type slot struct {
	text   string
	object any // *translationTable, *screeningList, *calendarTable, *distribution; string (sound file) for a prompt; int64 for an integer
}

// numberTable finds the service of a called number: an exact number goes before any range.
type numberTable struct {
	exact    *lookup.Table
	ranges   *lookup.Table
	services []*service
}

func (t *numberTable) find(digits string) (found *service, length int, exact bool) {
	if index, length, ok := t.exact.Find(digits); ok {
		return t.services[index], length, true
	}
	if index, length, ok := t.ranges.Find(digits); ok {
		return t.services[index], length, false
	}
	return nil, 0, false
}
