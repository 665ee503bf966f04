package logic

import (
	"strconv"
	"time"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
	"ringmaster/logic/lookup"
	"ringmaster/logic/table"
)

// defaultPlan is the numbering plan of trunks that name none.
const defaultPlan = "default"

func (c *compiler) compilePlans() {
	c.owner = owner{kind: ownerSmall}
	c.snapshot.plans, c.snapshot.trunks = make(map[string]table.NumberingPlan), make(map[string]table.Trunk)
	for _, row := range c.rows.NumberingPlans {
		c.snapshot.plans[row.NumberingPlan] = table.NumberingPlan{CountryCode: row.CountryCode, InternationalPrefix: row.InternationalPrefix, NationalPrefix: row.NationalPrefix}
	}
	if _, ok := c.snapshot.plans[defaultPlan]; !ok && len(c.rows.Trunks) > 0 {
		c.problem("numbering_plan", defaultPlan, "it does not exist, and holds for trunks that name no plan: what is dialled there with a leading 0 is nobody's number. Insert it")
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
		c.snapshot.trunks[row.Trunk] = table.Trunk{Plan: plan}
	}
}

func (c *compiler) compileNodes() {
	c.owner = owner{kind: ownerNode}
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
		entries = append(entries, lookup.Entry{Key: row.Prefix, Value: table.Intern(&names, indexes, row.Area)})
	}
	entries, good := table.Usable("area_prefix", "", lookup.Prefix, entries, c.problem)
	if !good && c.previous.areas != nil {
		c.snapshot.areas, c.snapshot.areaNames = c.previous.areas, c.previous.areaNames
		return
	}
	c.snapshot.areas, _ = table.Edited("area_prefix", "", lookup.Prefix, nil, entries, nil, c.problem)
	c.snapshot.areaNames = names
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
	zones := make(map[string]*time.Location) // thousands of calendars share few
	for i, row := range c.rows.Calendars {
		yield(i)
		c.owner = owner{kind: ownerCalendar, name: row.Calendar}
		zone := zones[row.TimeZone]
		if zone == nil {
			var err error
			if zone, err = c.zones(row.TimeZone); err != nil {
				c.problem("calendar", row.Calendar, "time_zone %q is unknown to the engine: %s", row.TimeZone, err)
				continue
			}
			zones[row.TimeZone] = zone
		}
		if calendar := table.NewCalendar(row.Calendar, zone, windows[row.Calendar], holidays[row.Calendar], c.problem); calendar != nil {
			edit.Set(row.Calendar, calendar)
		}
	}
	finish(c, "calendar", edit, &c.snapshot.calendars)
}

// compileLists makes lists of their entries, and edits those of which single entries were touched.
func (c *compiler) compileLists() {
	edit := change(c, "screening_list", &c.snapshot.lists, c.touched.ScreeningLists)
	entries := make(map[string][]*ScreeningEntryRow)
	for i := range c.rows.ScreeningEntries {
		row := &c.rows.ScreeningEntries[i]
		entries[row.ScreeningList] = append(entries[row.ScreeningList], row)
	}
	for i, row := range c.rows.ScreeningLists {
		yield(i)
		c.owner = owner{kind: ownerList, name: row.ScreeningList}
		keep(edit, row.ScreeningList, table.NewList(row, entries[row.ScreeningList], c.problem))
	}
	for name, out := range keysByTable(c.touched.ScreeningEntries) {
		if was := c.previous.lists.Get(name); was != nil && c.changedOnly("screening_list", name) {
			c.owner = owner{kind: ownerList, name: name}
			keep(edit, name, was.With(entries[name], out, c.problem))
		}
	}
	finish(c, "screening_list", edit, &c.snapshot.lists)
}

// keep takes over a thing that was made, or takes out what it can no longer be made of.
func keep[T any](edit *lookup.RegistryEdit[T], name string, made *T) {
	if made != nil {
		edit.Set(name, made)
	} else {
		edit.Drop(name)
	}
}

// keysByTable sorts keys by the table that they are of.
func keysByTable(keys []EntryKey) map[string][]string {
	byTable := make(map[string][]string)
	for _, key := range keys {
		byTable[key.Table] = append(byTable[key.Table], key.Key)
	}
	return byTable
}

// compileTranslations makes tables of their rows, and edits those of which single rows were touched.
func (c *compiler) compileTranslations() {
	edit := change(c, "translation_table", &c.snapshot.translations, c.touched.TranslationTables)
	rows := make(map[string][]*TranslationRow, len(c.rows.TranslationTables))
	for i := range c.rows.Translations {
		row := &c.rows.Translations[i]
		rows[row.TranslationTable] = append(rows[row.TranslationTable], row)
	}
	for i, row := range c.rows.TranslationTables {
		yield(i)
		c.owner = owner{kind: ownerTranslationTable, name: row.TranslationTable}
		keep(edit, row.TranslationTable, table.NewTranslation(row, rows[row.TranslationTable], c.hasTrunk, c.problem))
		delete(rows, row.TranslationTable)
	}
	for name, out := range keysByTable(c.touched.Translations) {
		if was := c.previous.translations.Get(name); was != nil && c.changedOnly("translation_table", name) {
			c.owner = owner{kind: ownerTranslationTable, name: name}
			keep(edit, name, was.With(rows[name], out, c.hasTrunk, c.problem))
		}
	}
	if c.whole {
		for name, of := range rows {
			c.owner = owner{kind: ownerTranslationTable, name: name}
			c.problem("translation", name+"."+of[0].Key, "translation_table %q does not exist", name)
		}
	}
	finish(c, "translation_table", edit, &c.snapshot.translations)
}

func (c *compiler) hasTrunk(name string) bool {
	_, ok := c.snapshot.trunks[name]
	return ok
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
		keep(edit, row.Distribution, table.NewDistribution(row, branches[row.Distribution], c.hasTrunk, c.problem))
	}
	finish(c, "distribution", edit, &c.snapshot.distributions)
}

// compileTariffs makes tariffs of their rates, and of those that use a calendar that changed anew.
func (c *compiler) compileTariffs() {
	rates := make(map[string][]TariffRateRow)
	for _, row := range c.rows.TariffRates {
		rates[row.Tariff] = append(rates[row.Tariff], row)
	}
	edit := change(c, "tariff", &c.snapshot.tariffs, c.touched.Tariffs)
	for i, row := range c.rows.Tariffs {
		yield(i)
		c.owner = owner{kind: ownerTariff, name: row.Tariff}
		keep(edit, row.Tariff, table.NewTariff(row, rates[row.Tariff], c.snapshot.calendars.Get, c.problem))
	}
	if calendars := c.changed["calendar"]; len(calendars) > 0 && !c.whole {
		for was := range c.previous.tariffs.All() {
			if was.Uses(calendars) && c.changedOnly("tariff", was.Name) {
				c.owner = owner{kind: ownerTariff, name: was.Name}
				keep(edit, was.Name, was.WithCalendars(c.snapshot.calendars.Get, c.problem))
			}
		}
	}
	finish(c, "tariff", edit, &c.snapshot.tariffs)
}

func (c *compiler) compileCallLimits() {
	edit := change(c, "call_limit", &c.snapshot.callLimits, c.touched.CallLimits)
	for _, row := range c.rows.CallLimits {
		edit.Set(row.CallLimit, &table.CallLimit{Name: row.CallLimit, Rule: charging.LimitRule{
			MaximumCalls: row.MaximumCalls, CallsPerWindow: row.CallsPerWindow, WindowSeconds: row.WindowSeconds, GapMillis: row.GapMillis}})
	}
	finish(c, "call_limit", edit, &c.snapshot.callLimits)
}
