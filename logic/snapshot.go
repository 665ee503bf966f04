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

	plans         map[string]numberingPlan
	trunks        map[string]trunk
	nodes         map[string]Node
	certificates  map[string]string // certificate name → node
	keys          *Keys
	areas         *lookup.Table // E.164 prefix → index into areaNames
	areaNames     []string
	prompts       map[string]string // prompt → file
	calendars     registry[calendarTable]
	lists         registry[screeningList]
	translations  registry[translationTable]
	distributions registry[distribution]
	scripts       registry[script]
	services      registry[service]
	numbers       numberTable
	problems      problems
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

// Sizes counts what the snapshot holds, by table, for metrics and the operator's page.
func (s *Snapshot) Sizes() map[string]int {
	sizes := map[string]int{
		"node": len(s.nodes), "trunk": len(s.trunks), "prompt": len(s.prompts), "area_prefix": s.areas.Len(),
		"calendar": s.calendars.size(), "screening_list": s.lists.size(), "translation_table": s.translations.size(),
		"distribution": s.distributions.size(), "script": s.scripts.size(), "service": s.services.size(),
		"service_number": s.numbers.exact.Len() + s.numbers.ranges.Len(),
	}
	for _, list := range s.lists.items {
		if list != nil {
			sizes["screening_entry"] += list.keys.Len()
		}
	}
	for _, table := range s.translations.items {
		if table != nil {
			sizes["translation"] += table.keys.Len()
		}
	}
	for _, script := range s.scripts.items {
		if script != nil {
			sizes["step"] += len(script.steps)
		}
	}
	return sizes
}

// Scripts lists the scripts' names in order: the fixed label set of call metrics.
func (s *Snapshot) Scripts() []string {
	names := make([]string, 0, s.scripts.size())
	for _, script := range s.scripts.items {
		if script != nil {
			names = append(names, script.name)
		}
	}
	slices.Sort(names)
	return names
}

// numberTable leads a called number to the index of its service: an exact number goes before any range.
type numberTable struct {
	exact  *lookup.Table
	ranges *lookup.Table
}

// serviceOf finds the service of a called number, and how many of its digits decided.
func (s *Snapshot) serviceOf(digits string) (found *service, length int, exact bool) {
	index, length, exact := s.numbers.exact.Find(digits)
	if !exact {
		var ok bool
		if index, length, ok = s.numbers.ranges.Find(digits); !ok {
			return nil, 0, false
		}
	}
	return s.services.items[index], length, exact
}
