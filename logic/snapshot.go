package logic

import (
	"slices"
	"time"

	"ringmaster/logic/lookup"
	"ringmaster/logic/script"
	"ringmaster/logic/table"
)

// Zones finds a time zone by its IANA name. Reading zone files is I/O, so the shell gives it (time.LoadLocation).
type Zones func(name string) (*time.Location, error)

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

	plans         map[string]table.NumberingPlan
	trunks        map[string]table.Trunk
	nodes         map[string]Node
	certificates  map[string]string // certificate name → node
	keys          *Keys
	areas         *lookup.Table // E.164 prefix → index into areaNames
	areaNames     []string
	prompts       map[string]string // prompt → file
	calendars     lookup.Registry[table.Calendar]
	lists         lookup.Registry[table.List]
	translations  lookup.Registry[table.Translation]
	distributions lookup.Registry[table.Distribution]
	tariffs       lookup.Registry[table.Tariff]
	callLimits    lookup.Registry[table.CallLimit]
	scripts       lookup.Registry[script.Script]
	services      lookup.Registry[script.Service]
	numbers       numberTable
	problems      problems
	uses          *uses    // which services are made of what
	stale         []string // services that keep a last good version made of other rows than there are now
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
		"calendar": s.calendars.Len(), "screening_list": s.lists.Len(), "translation_table": s.translations.Len(),
		"distribution": s.distributions.Len(), "call_limit": s.callLimits.Len(), "tariff": s.tariffs.Len(), "script": s.scripts.Len(), "service": s.services.Len(),
		"service_number": s.numbers.exact.Len() + s.numbers.ranges.Len(),
	}
	for list := range s.lists.All() {
		sizes["screening_entry"] += list.Len()
	}
	for table := range s.translations.All() {
		sizes["translation"] += table.Len()
	}
	for one := range s.scripts.All() {
		sizes["step"] += one.Steps()
	}
	return sizes
}

// Scripts lists the scripts' names in order: the fixed label set of call metrics.
func (s *Snapshot) Scripts() []string {
	names := make([]string, 0, s.scripts.Len())
	for one := range s.scripts.All() {
		names = append(names, one.Name)
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
func (s *Snapshot) serviceOf(digits string) (found *script.Service, length int, exact bool) {
	index, length, exact := s.numbers.exact.Find(digits)
	if !exact {
		var ok bool
		if index, length, ok = s.numbers.ranges.Find(digits); !ok {
			return nil, 0, false
		}
	}
	return s.services.At(index), length, exact
}

// area returns the origin area of a caller's number, and how many digits of it decided.
func (s *Snapshot) area(caller string) (area string, length int) {
	if caller == "" {
		return "", 0
	}
	index, length, ok := s.areas.Find(caller)
	if !ok {
		return "", 0
	}
	return s.areaNames[index], length
}
