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
	c.owner = owner{kind: ownerSmall}
	c.snapshot.plans, c.snapshot.trunks = make(map[string]numberingPlan), make(map[string]trunk)
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
	c.snapshot.nodes, c.snapshot.certificates = make(map[string]Node), make(map[string]string)
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
	if c.previous.keys.Usable() {
		c.snapshot.keys = c.previous.keys
	}
}

func (c *compiler) compilePrompts() {
	c.snapshot.prompts = make(map[string]string)
	for _, row := range c.rows.Prompts {
		if !ValidName(row.File, true) {
			c.problem("prompt", row.Prompt, "file %q is not the name of a sound: 1–64 of a–z, A–Z, 0–9, - and _, with / between folders", row.File)
			continue
		}
		c.snapshot.prompts[row.Prompt] = row.File
	}
}

func (c *compiler) compileAreas() {
	var names []string
	indexes := make(map[string]uint32)
	entries := make([]lookup.Entry, 0, len(c.rows.AreaPrefixes))
	for _, row := range c.rows.AreaPrefixes {
		entries = append(entries, lookup.Entry{Key: row.Prefix, Value: intern(&names, indexes, row.Area)})
	}
	entries, good := c.usable("area_prefix", "", lookup.Prefix, entries)
	if !good && c.previous.areas != nil {
		c.snapshot.areas, c.snapshot.areaNames = c.previous.areas, c.previous.areaNames
		return
	}
	c.snapshot.areas, _ = c.edited("area_prefix", "", lookup.Prefix, nil, entries, nil)
	c.snapshot.areaNames = names
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
func (c *compiler) usable(table, of, how string, entries []lookup.Entry) (kept []lookup.Entry, good bool) {
	if how != lookup.Prefix {
		return entries, true
	}
	kept = entries[:0]
	for _, entry := range entries {
		if entry.Key != "" && (!ValidNumber(entry.Key) || entry.Key[0] == '+') {
			c.problem(table, strings.TrimPrefix(of+"."+entry.Key, "."), "%q is not a prefix: at most %d of 0–9, * and #", entry.Key, MaxNumberLength)
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
	edit := change(c, "calendar", &c.snapshot.calendars, c.touched.Calendars)
	for i, row := range c.rows.Calendars {
		yield(i)
		c.owner = owner{kind: ownerCalendar, name: row.Calendar}
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
		edit.set(row.Calendar, table)
	}
	finish(c, "calendar", edit, &c.snapshot.calendars)
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

// compileLists makes lists of their entries, and edits those of which single entries were touched.
func (c *compiler) compileLists() {
	edit := change(c, "screening_list", &c.snapshot.lists, c.touched.ScreeningLists)
	entries := make(map[string][]*ScreeningEntryRow)
	for i := range c.rows.ScreeningEntries {
		row := &c.rows.ScreeningEntries[i]
		entries[row.ScreeningList] = append(entries[row.ScreeningList], row)
	}
	compile := func(was *screeningList, out []string) {
		if list := c.listWith(was, entries[was.name], out); list != nil {
			edit.set(was.name, list)
		} else {
			edit.drop(was.name)
		}
	}
	for i, row := range c.rows.ScreeningLists {
		yield(i)
		compile(&screeningList{name: row.ScreeningList, match: row.Match, validity: []validity{{}}}, nil)
	}
	for name, out := range keysByTable(c.touched.ScreeningEntries) {
		if was := c.previous.lists.get(name); was != nil && c.changedOnly("screening_list", name) {
			compile(was, out)
		}
	}
	finish(c, "screening_list", edit, &c.snapshot.lists)
}

// keysByTable sorts keys by the table that they are of.
func keysByTable(keys []EntryKey) map[string][]string {
	byTable := make(map[string][]string)
	for _, key := range keys {
		byTable[key.Table] = append(byTable[key.Table], key.Key)
	}
	return byTable
}

// listWith makes a list of another: rows put in, keys taken out. It returns nil when a row cannot be used, for half a list lets in
// whom the other half keeps out.
func (c *compiler) listWith(was *screeningList, rows []*ScreeningEntryRow, out []string) *screeningList {
	c.owner = owner{kind: ownerList, name: was.name}
	list := *was
	put := make([]lookup.Entry, 0, len(rows))
	for i, row := range rows {
		yield(i)
		index := uint32(0)
		if !row.ValidFrom.IsZero() || !row.ValidTo.IsZero() {
			index = uint32(len(list.validity))
			list.validity = append(list.validity, validity{row.ValidFrom, row.ValidTo})
		}
		put = append(put, lookup.Entry{Key: row.Entry, Value: index})
	}
	put, good := c.usable("screening_entry", list.name, list.match, put)
	if !good {
		return nil
	}
	if list.keys, good = c.edited("screening_list", list.name, list.match, list.keys, put, out); !good {
		return nil
	}
	return &list
}

// compileTranslations makes tables of their rows, and edits those of which single rows were touched.
func (c *compiler) compileTranslations() {
	edit := change(c, "translation_table", &c.snapshot.translations, c.touched.TranslationTables)
	rows := make(map[string][]*TranslationRow, len(c.rows.TranslationTables))
	for i := range c.rows.Translations {
		row := &c.rows.Translations[i]
		rows[row.TranslationTable] = append(rows[row.TranslationTable], row)
	}
	compile := func(was *translationTable, out []string) {
		if table := c.tableWith(was, rows[was.name], out); table != nil {
			edit.set(was.name, table)
		} else {
			edit.drop(was.name)
		}
		delete(rows, was.name)
	}
	for i, row := range c.rows.TranslationTables {
		yield(i)
		compile(&translationTable{name: row.TranslationTable, match: row.Match}, nil)
	}
	if c.whole {
		for name, of := range rows {
			c.owner = owner{kind: ownerTranslationTable, name: name}
			c.problem("translation", name+"."+of[0].Key, "translation_table %q does not exist", name)
		}
	}
	for name, out := range keysByTable(c.touched.Translations) {
		if was := c.previous.translations.get(name); was != nil && c.changedOnly("translation_table", name) {
			compile(was, out)
		}
	}
	finish(c, "translation_table", edit, &c.snapshot.translations)
}

// tableWith makes a translation table of another: rows put in, keys taken out. It returns nil when a row cannot be used.
func (c *compiler) tableWith(was *translationTable, rows []*TranslationRow, out []string) *translationTable {
	c.owner = owner{kind: ownerTranslationTable, name: was.name}
	table := *was
	indexes := make(map[string]uint32)
	put := make([]lookup.Entry, 0, len(rows))
	good := true
	for i, row := range rows {
		yield(i)
		value, reason := c.targetOrText(row.Value, row.Trunk)
		if reason != "" {
			c.problem("translation", table.name+"."+row.Key, "%s", reason)
			good = false
			continue
		}
		put = append(put, lookup.Entry{Key: row.Key, Value: intern(&table.values, indexes, value)})
	}
	put, usable := c.usable("translation", table.name, table.match, put)
	if !good || !usable {
		return nil
	}
	if table.keys, good = c.edited("translation_table", table.name, table.match, table.keys, put, out); !good {
		return nil
	}
	return &table
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
	edit := change(c, "distribution", &c.snapshot.distributions, c.touched.Distributions)
	for i, row := range c.rows.Distributions {
		yield(i)
		c.owner = owner{kind: ownerDistribution, name: row.Distribution}
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
			edit.set(row.Distribution, compiled)
		}
	}
	finish(c, "distribution", edit, &c.snapshot.distributions)
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
