package logic

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"ringmaster/logic/calendar"
	"ringmaster/logic/call"
	"ringmaster/logic/lookup"
)

// defaultPlan is the numbering plan of trunks that name none.
const defaultPlan = "default"

func (c *compiler) compilePlans() {
	for _, row := range c.rows.NumberingPlans {
		c.snapshot.plans[row.NumberingPlan] = numberingPlan{row.CountryCode, row.InternationalPrefix, row.NationalPrefix}
	}
	for _, row := range c.rows.Trunks {
		name := row.NumberingPlan
		if name == "" {
			name = defaultPlan
		}
		plan, ok := c.snapshot.plans[name]
		if !ok && row.NumberingPlan != "" {
			c.problem("trunk", row.Trunk, "numbering_plan %q does not exist", row.NumberingPlan)
		}
		if !ValidName(row.Trunk, false) {
			c.problem("trunk", row.Trunk, "a trunk's name has 1–40 of a–z, A–Z, 0–9, - and _")
			continue
		}
		c.snapshot.trunks[row.Trunk] = trunk{plan}
	}
}

func (c *compiler) compileNodes() {
	for _, row := range c.rows.Nodes {
		node := Node{Name: row.Node, CertificateName: row.CertificateName, Capacity: row.Capacity, InService: row.InService}
		switch len(row.SecretSHA256) {
		case 0:
		case len(node.SecretSHA256):
			node.HasSecret = true
			copy(node.SecretSHA256[:], row.SecretSHA256)
		default:
			c.problem("node", row.Node, "secret_sha256 has %d bytes instead of 32; set it by set_node_secret", len(row.SecretSHA256))
		}
		c.snapshot.nodes[row.Node] = node
		if row.CertificateName == "" {
			continue
		}
		if other, ok := c.snapshot.certificates[row.CertificateName]; ok {
			c.problem("node", row.Node, "certificate_name %q belongs to node %q already", row.CertificateName, other)
			continue
		}
		c.snapshot.certificates[row.CertificateName] = row.Node
	}
	c.compileKeys()
}

// compileKeys takes the session keys. Without one no call could go on, so the keys in force stay until there is another.
func (c *compiler) compileKeys() {
	keys := make([]call.Key, 0, len(c.rows.SessionKeys))
	for _, row := range c.rows.SessionKeys {
		if len(row.Secret) < call.MinimumSecret {
			c.problem("session_key", strconv.FormatInt(row.SessionKeyID, 10), "the secret has %d bytes, fewer than %d; make keys with rotate_session_key",
				len(row.Secret), call.MinimumSecret)
			continue
		}
		keys = append(keys, call.Key{ID: row.SessionKeyID, Secret: row.Secret, CreatedAt: row.CreatedAt})
	}
	c.snapshot.keys = call.NewKeys(keys)
	if len(keys) > 0 {
		return
	}
	c.problem("session_key", "", "there is no session key, so no dialogue can be kept: call rotate_session_key")
	if c.previous != nil && c.previous.keys.Usable() {
		c.snapshot.keys = c.previous.keys
	}
}

func (c *compiler) compilePrompts() {
	for _, row := range c.rows.Prompts {
		if !ValidName(row.File, true) {
			c.problem("prompt", row.Prompt, "file %q is not the name of a sound: 1–64 of a–z, A–Z, 0–9, - and _, with / between folders", row.File)
			continue
		}
		c.snapshot.prompts[row.Prompt] = row.File
	}
}

func (c *compiler) compileAreas() {
	indexes := make(map[string]uint32)
	entries := make([]lookup.Entry, 0, len(c.rows.AreaPrefixes))
	for _, row := range c.rows.AreaPrefixes {
		entries = append(entries, lookup.Entry{Key: row.Prefix, Value: intern(&c.snapshot.areaNames, indexes, row.Area)})
	}
	var good bool
	c.snapshot.areas, good = c.table("area_prefix", lookup.Prefix, entries)
	if !good && c.previous != nil {
		c.snapshot.areas, c.snapshot.areaNames = c.previous.areas, c.previous.areaNames
	}
}

// intern returns the index of value in values, where it stands once.
func intern(values *[]string, indexes map[string]uint32, value string) uint32 {
	if index, ok := indexes[value]; ok {
		return index
	}
	index := uint32(len(*values))
	indexes[value] = index
	*values = append(*values, value)
	return index
}

// usable leaves out the entries that cannot be keys, each with a problem of its own; false when there are any.
func (c *compiler) usable(table, owner, how string, entries []lookup.Entry) (kept []lookup.Entry, good bool) {
	if how != lookup.Prefix {
		return entries, true
	}
	kept = entries[:0]
	for _, entry := range entries {
		if entry.Key != "" && (!ValidNumber(entry.Key) || entry.Key[0] == '+') {
			c.problem(table, strings.TrimPrefix(owner+"."+entry.Key, "."), "%q is not a prefix: at most %d of 0–9, * and #", entry.Key, MaxNumberLength)
			continue
		}
		kept = append(kept, entry)
	}
	return kept, len(kept) == len(entries)
}

func (c *compiler) compileCalendars() {
	windows := make(map[string][]CalendarWindowRow)
	for _, row := range c.rows.CalendarWindows {
		windows[row.Calendar] = append(windows[row.Calendar], row)
	}
	holidays := make(map[string][]CalendarHolidayRow)
	for _, row := range c.rows.CalendarHolidays {
		holidays[row.Calendar] = append(holidays[row.Calendar], row)
	}
	for _, row := range c.rows.Calendars {
		zone, err := c.zones(row.TimeZone)
		if err != nil {
			c.problem("calendar", row.Calendar, "time_zone %q is unknown to the engine: %s", row.TimeZone, err)
			continue
		}
		table := &calendarTable{name: row.Calendar}
		var open []calendar.Window
		bad := false
		for _, window := range windows[row.Calendar] {
			weekdays, ok := parseWeekdays(window.Weekdays)
			if !ok {
				c.problem("calendar_window", strconv.FormatInt(window.CalendarWindowID, 10), "weekdays %q is not seven of 0 and 1, Monday first", window.Weekdays)
				bad = true
				continue
			}
			table.windows = append(table.windows, window.CalendarWindowID)
			open = append(open, calendar.Window{
				Weekdays: weekdays, From: window.OpensAt, To: window.ClosesAt,
				ValidFrom: dateOf(window.ValidFrom), ValidTo: dateOf(window.ValidTo),
			})
		}
		var days []calendar.Holiday
		for _, holiday := range holidays[row.Calendar] {
			day := calendar.Holiday{Date: dateOf(holiday.Holiday), Name: holiday.Name}
			if holiday.Yearly {
				day.Date.Year = 0
			}
			if holiday.OpensAt != 0 || holiday.ClosesAt != 0 {
				day.Hours = []calendar.Hours{{From: holiday.OpensAt, To: holiday.ClosesAt}}
			}
			table.holidays = append(table.holidays, holiday.Name)
			days = append(days, day)
		}
		if bad {
			continue
		}
		table.calendar, err = calendar.New(zone, open, days)
		if err != nil {
			c.problem("calendar", row.Calendar, "%s", err)
			continue
		}
		c.snapshot.calendars[row.Calendar] = table
	}
}

func dateOf(t time.Time) calendar.Date {
	if t.IsZero() {
		return calendar.Date{}
	}
	year, month, day := t.Date()
	return calendar.Date{Year: year, Month: month, Day: day}
}

func parseWeekdays(bits string) (calendar.Weekdays, bool) {
	if len(bits) != 7 {
		return 0, false
	}
	var days calendar.Weekdays
	for i := range 7 {
		switch bits[i] {
		case '1':
			days |= calendar.Monday << i
		case '0':
		default:
			return 0, false
		}
	}
	return days, true
}

func (c *compiler) compileLists() {
	entries := make(map[string][]lookup.Entry)
	validities := make(map[string][]validity)
	for i := range c.rows.ScreeningEntries {
		row := &c.rows.ScreeningEntries[i]
		index := uint32(0)
		if !row.ValidFrom.IsZero() || !row.ValidTo.IsZero() {
			bounded := validities[row.ScreeningList]
			if bounded == nil {
				bounded = []validity{{}}
			}
			index = uint32(len(bounded))
			validities[row.ScreeningList] = append(bounded, validity{row.ValidFrom, row.ValidTo})
		}
		entries[row.ScreeningList] = append(entries[row.ScreeningList], lookup.Entry{Key: row.Entry, Value: index})
	}
	for _, row := range c.rows.ScreeningLists {
		usable, good := c.usable("screening_entry", row.ScreeningList, row.Match, entries[row.ScreeningList])
		if !good {
			continue // half a list lets in whom the other half keeps out
		}
		keys, err := lookup.New(row.Match, usable)
		if err != nil {
			c.problem("screening_list", row.ScreeningList, "%s", err)
			continue
		}
		bounded := validities[row.ScreeningList]
		if bounded == nil {
			bounded = []validity{{}}
		}
		c.snapshot.lists[row.ScreeningList] = &screeningList{row.ScreeningList, keys, bounded}
	}
}

func (c *compiler) compileTranslations() {
	type building struct {
		entries []lookup.Entry
		values  []string
		indexes map[string]uint32
		bad     bool
	}
	tables := make(map[string]*building, len(c.rows.TranslationTables))
	for _, row := range c.rows.TranslationTables {
		tables[row.TranslationTable] = &building{indexes: make(map[string]uint32)}
	}
	for i := range c.rows.Translations {
		row := &c.rows.Translations[i]
		table := tables[row.TranslationTable]
		if table == nil {
			c.problem("translation", row.TranslationTable+"."+row.Key, "translation_table %q does not exist", row.TranslationTable)
			continue
		}
		value, reason := c.targetOrText(row.Value, row.Trunk)
		if reason != "" {
			c.problem("translation", row.TranslationTable+"."+row.Key, "%s", reason)
			table.bad = true
			continue
		}
		table.entries = append(table.entries, lookup.Entry{Key: row.Key, Value: intern(&table.values, table.indexes, value)})
	}
	for _, row := range c.rows.TranslationTables {
		table := tables[row.TranslationTable]
		usable, good := c.usable("translation", row.TranslationTable, row.Match, table.entries)
		if !good || table.bad {
			continue
		}
		keys, err := lookup.New(row.Match, usable)
		if err != nil {
			c.problem("translation_table", row.TranslationTable, "%s", err)
			continue
		}
		c.snapshot.translations[row.TranslationTable] = &translationTable{row.TranslationTable, keys, table.values}
	}
}

// targetOrText returns the text of a value that may come with a trunk.
func (c *compiler) targetOrText(value, trunk string) (text, reason string) {
	if trunk == "" {
		if len(value) > MaxValueLength {
			return "", fmt.Sprintf("value is longer than %d bytes", MaxValueLength)
		}
		return value, ""
	}
	if !ValidNumber(value) {
		return "", fmt.Sprintf("value %q is not a number: with a trunk it must be 1–%d of 0–9, * and #", value, MaxNumberLength)
	}
	if _, ok := c.snapshot.trunks[trunk]; !ok {
		return "", fmt.Sprintf("trunk %q does not exist or has a problem of its own", trunk)
	}
	return call.FormatTarget(value, trunk), ""
}

func (c *compiler) compileDistributions() {
	branches := make(map[string][]BranchRow)
	for _, row := range c.rows.Branches {
		branches[row.Distribution] = append(branches[row.Distribution], row)
	}
	for _, row := range c.rows.Distributions {
		compiled := &distribution{name: row.Distribution, method: row.Method}
		good := true
		refuse := func(key, format string, args ...any) {
			good = false
			c.problem("distribution_branch", row.Distribution+"."+key, format, args...)
		}
		for _, one := range branches[row.Distribution] {
			value, reason := c.targetOrText(one.Value, one.Trunk)
			if reason != "" {
				refuse(one.Branch, "%s", reason)
			}
			if one.Weight < 0 || one.Weight > math.MaxInt32 {
				refuse(one.Branch, "weight is %d; it must be 0–%d", one.Weight, math.MaxInt32)
				continue
			}
			compiled.branches = append(compiled.branches, branch{one.Branch, uint64(one.Weight), value})
			compiled.total += uint64(one.Weight)
		}
		switch row.Method {
		case methodPercentage, methodHash:
			if compiled.total == 0 {
				c.problem("distribution", row.Distribution, "the weights of its branches sum to 0: nothing can be picked")
				good = false
			}
		case methodCircular, methodHierarchical:
			if len(compiled.branches) == 0 {
				c.problem("distribution", row.Distribution, "it has no branches: insert some into distribution_branch")
				good = false
			}
			if row.Method == methodHierarchical {
				if reason := compiled.join(); reason != "" {
					c.problem("distribution", row.Distribution, "%s", reason)
					good = false
				}
			}
		default:
			c.problem("distribution", row.Distribution, "method %q is unknown: percentage, circular, hierarchical or hash", row.Method)
			good = false
		}
		if good {
			c.snapshot.distributions[row.Distribution] = compiled
		}
	}
}

// join puts all branches' values together, as a connect takes them.
func (d *distribution) join() (reason string) {
	values := make([]string, len(d.branches))
	for i := range d.branches {
		values[i] = d.branches[i].value
	}
	d.all = strings.Join(values, ",")
	switch {
	case len(values) > MaxTargets:
		return fmt.Sprintf("it has %d branches; a connect tries at most %d one after the other", len(values), MaxTargets)
	case len(d.all) > MaxValueLength:
		return fmt.Sprintf("its targets are %d characters together, more than the %d that a call can carry: use fewer branches or shorter trunk names", len(d.all), MaxValueLength)
	}
	return ""
}

// The methods of a distribution.
const (
	methodPercentage   = "percentage"
	methodCircular     = "circular"
	methodHierarchical = "hierarchical"
	methodHash         = "hash"
)
