package logic_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic"
	"ringmaster/logic/transcript"
)

// pick returns the rows that keep holds for.
func pick[T any](rows []T, keep func(T) bool) []T {
	var kept []T
	for _, row := range rows {
		if keep(row) {
			kept = append(kept, row)
		}
	}
	return kept
}

// deltaOf does what a store does: it reads the rows of what was touched.
func deltaOf(all *logic.Rows, t logic.Touched) *logic.Delta {
	has := slices.Contains[[]string]
	d := &logic.Delta{Touched: t, Rows: logic.Rows{Revision: all.Revision}}
	r := &d.Rows
	if t.Small {
		r.NumberingPlans, r.Trunks = all.NumberingPlans, all.Trunks
		r.Prompts, r.AreaPrefixes = all.Prompts, all.AreaPrefixes
	}
	if t.Nodes {
		r.Nodes, r.SessionKeys = all.Nodes, all.SessionKeys
	}
	r.Calendars = pick(all.Calendars, func(x logic.CalendarRow) bool { return has(t.Calendars, x.Calendar) })
	r.CalendarWindows = pick(all.CalendarWindows, func(x logic.CalendarWindowRow) bool { return has(t.Calendars, x.Calendar) })
	r.CalendarHolidays = pick(all.CalendarHolidays, func(x logic.CalendarHolidayRow) bool { return has(t.Calendars, x.Calendar) })
	r.ScreeningLists = pick(all.ScreeningLists, func(x logic.ScreeningListRow) bool { return has(t.ScreeningLists, x.ScreeningList) })
	r.ScreeningEntries = pick(all.ScreeningEntries, func(x logic.ScreeningEntryRow) bool {
		return has(t.ScreeningLists, x.ScreeningList) || slices.Contains(t.ScreeningEntries, logic.EntryKey{Table: x.ScreeningList, Key: x.Entry})
	})
	r.TranslationTables = pick(all.TranslationTables, func(x logic.TranslationTableRow) bool { return has(t.TranslationTables, x.TranslationTable) })
	r.Translations = pick(all.Translations, func(x logic.TranslationRow) bool {
		return has(t.TranslationTables, x.TranslationTable) || slices.Contains(t.Translations, logic.EntryKey{Table: x.TranslationTable, Key: x.Key})
	})
	r.Distributions = pick(all.Distributions, func(x logic.DistributionRow) bool { return has(t.Distributions, x.Distribution) })
	r.Branches = pick(all.Branches, func(x logic.BranchRow) bool { return has(t.Distributions, x.Distribution) })
	r.Tariffs = pick(all.Tariffs, func(x logic.TariffRow) bool { return has(t.Tariffs, x.Tariff) })
	r.TariffRates = pick(all.TariffRates, func(x logic.TariffRateRow) bool { return has(t.Tariffs, x.Tariff) })
	r.CallLimits = pick(all.CallLimits, func(x logic.CallLimitRow) bool { return has(t.CallLimits, x.CallLimit) })
	r.Scripts = pick(all.Scripts, func(x logic.ScriptRow) bool { return has(t.Scripts, x.Script) })
	r.ScriptParameters = pick(all.ScriptParameters, func(x logic.ScriptParameterRow) bool { return has(t.Scripts, x.Script) })
	r.Steps = pick(all.Steps, func(x logic.StepRow) bool { return has(t.Scripts, x.Script) })
	r.StepExits = pick(all.StepExits, func(x logic.StepExitRow) bool { return has(t.Scripts, x.Script) })
	r.Services = pick(all.Services, func(x logic.ServiceRow) bool { return has(t.Services, x.Service) })
	r.ServiceParameters = pick(all.ServiceParameters, func(x logic.ServiceParameterRow) bool { return has(t.Services, x.Service) })
	r.ServiceNumbers = pick(all.ServiceNumbers, func(x logic.ServiceNumberRow) bool {
		return slices.Contains(t.Numbers, logic.NumberKey{Number: x.Number, Match: x.Match})
	})
	return d
}

// join puts what was touched by two edits together.
func join(a, b logic.Touched) logic.Touched {
	return logic.Touched{
		Small: a.Small || b.Small, Nodes: a.Nodes || b.Nodes, Calendars: slices.Concat(a.Calendars, b.Calendars),
		ScreeningLists: slices.Concat(a.ScreeningLists, b.ScreeningLists), TranslationTables: slices.Concat(a.TranslationTables, b.TranslationTables),
		Distributions: slices.Concat(a.Distributions, b.Distributions), Tariffs: slices.Concat(a.Tariffs, b.Tariffs), CallLimits: slices.Concat(a.CallLimits, b.CallLimits), Scripts: slices.Concat(a.Scripts, b.Scripts),
		Services: slices.Concat(a.Services, b.Services), ScreeningEntries: slices.Concat(a.ScreeningEntries, b.ScreeningEntries),
		Translations: slices.Concat(a.Translations, b.Translations), Numbers: slices.Concat(a.Numbers, b.Numbers),
	}
}

// put replaces the first row that is the same as the new one, or adds it; without keeps the others.
func put[T any](rows *[]T, row T, same func(T) bool) {
	*rows = append(without(*rows, same), row)
}

func without[T any](rows []T, gone func(T) bool) []T {
	return pick(rows, func(x T) bool { return !gone(x) })
}

// edits are the kinds of edits that the property below throws: each changes rows, and says what it touched.
var edits = map[string]func(t *rapid.T, r *logic.Rows) logic.Touched{
	"calendar hours": func(t *rapid.T, r *logic.Rows) logic.Touched {
		w := &r.CalendarWindows[rapid.IntRange(0, len(r.CalendarWindows)-1).Draw(t, "window")]
		w.OpensAt, w.ClosesAt = rapid.IntRange(0, 86399).Draw(t, "opens"), rapid.IntRange(0, 86400).Draw(t, "closes")
		return logic.Touched{Calendars: []string{w.Calendar}}
	},
	"calendar in no zone": func(t *rapid.T, r *logic.Rows) logic.Touched {
		c := &r.Calendars[rapid.IntRange(0, len(r.Calendars)-1).Draw(t, "calendar")]
		c.TimeZone = rapid.SampledFrom([]string{"Europe/Berlin", "UTC", "Mars/Olympus"}).Draw(t, "zone")
		return logic.Touched{Calendars: []string{c.Calendar}}
	},
	"holiday": func(t *rapid.T, r *logic.Rows) logic.Touched {
		r.CalendarHolidays = append(r.CalendarHolidays, logic.CalendarHolidayRow{Calendar: "office_hours", Name: "new",
			Holiday: monday.AddDate(0, 0, rapid.IntRange(0, 400).Draw(t, "day")).Truncate(24 * time.Hour)})
		return logic.Touched{Calendars: []string{"office_hours"}}
	},
	"translation": func(t *rapid.T, r *logic.Rows) logic.Touched {
		key := rapid.SampledFrom([]string{"berlin", "munich", "hamburg", "", "x"}).Draw(t, "key")
		same := func(x logic.TranslationRow) bool { return x.TranslationTable == "acme_offices" && x.Key == key }
		if rapid.Bool().Draw(t, "delete") {
			r.Translations = without(r.Translations, same)
		} else {
			put(&r.Translations, logic.TranslationRow{TranslationTable: "acme_offices", Key: key,
				Value: rapid.SampledFrom([]string{"4930", "4989", "not a number"}).Draw(t, "value"), Trunk: rapid.SampledFrom([]string{"office", "pstn", "gone"}).Draw(t, "trunk")}, same)
		}
		return logic.Touched{Translations: []logic.EntryKey{{Table: "acme_offices", Key: key}}}
	},
	"translation table": func(t *rapid.T, r *logic.Rows) logic.Touched {
		same := func(x logic.TranslationTableRow) bool { return x.TranslationTable == "acme_offices" }
		put(&r.TranslationTables, logic.TranslationTableRow{TranslationTable: "acme_offices", Match: rapid.SampledFrom([]string{"exact", "prefix"}).Draw(t, "match")}, same)
		return logic.Touched{TranslationTables: []string{"acme_offices"}}
	},
	"screening entry": func(t *rapid.T, r *logic.Rows) logic.Touched {
		entry := rapid.SampledFrom([]string{"4711", "081512", "1", "x"}).Draw(t, "entry")
		same := func(x logic.ScreeningEntryRow) bool { return x.Entry == entry }
		if rapid.Bool().Draw(t, "delete") {
			r.ScreeningEntries = without(r.ScreeningEntries, same)
		} else {
			put(&r.ScreeningEntries, logic.ScreeningEntryRow{ScreeningList: "citybank_codes", Entry: entry,
				ValidTo: monday.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "hours")) * time.Hour)}, same)
		}
		return logic.Touched{ScreeningEntries: []logic.EntryKey{{Table: "citybank_codes", Key: entry}}}
	},
	"screening list": func(t *rapid.T, r *logic.Rows) logic.Touched {
		r.ScreeningLists[0].Match = rapid.SampledFrom([]string{"exact", "prefix"}).Draw(t, "match")
		return logic.Touched{ScreeningLists: []string{r.ScreeningLists[0].ScreeningList}}
	},
	"distribution": func(t *rapid.T, r *logic.Rows) logic.Touched {
		r.Distributions[0].Method = rapid.SampledFrom([]string{"percentage", "circular", "hierarchical", "hash", "luck"}).Draw(t, "method")
		r.Branches[0].Weight = rapid.IntRange(0, 100).Draw(t, "weight")
		return logic.Touched{Distributions: []string{r.Distributions[0].Distribution}}
	},
	"step": func(t *rapid.T, r *logic.Rows) logic.Touched {
		at := slices.IndexFunc(r.Steps, func(x logic.StepRow) bool { return x.Script == "freephone" && x.Step == "hours" })
		r.Steps[at].Parameters = []byte(rapid.SampledFrom([]string{`{"condition": "open(hours)"}`, `{"condition": "!open(hours)"}`, `{"condition": "open("}`}).Draw(t, "condition"))
		return logic.Touched{Scripts: []string{"freephone"}}
	},
	"script parameter": func(t *rapid.T, r *logic.Rows) logic.Touched {
		seconds := rapid.SampledFrom([]string{"10", "20", "soon"}).Draw(t, "seconds")
		put(&r.ScriptParameters, logic.ScriptParameterRow{Script: "freephone", Parameter: "ring_seconds", Type: "integer", DefaultValue: &seconds},
			func(x logic.ScriptParameterRow) bool { return x.Script == "freephone" && x.Parameter == "ring_seconds" })
		return logic.Touched{Scripts: []string{"freephone"}}
	},
	"service parameter": func(t *rapid.T, r *logic.Rows) logic.Touched {
		name := rapid.SampledFrom([]string{"acme_hotline", "acme_freephone"}).Draw(t, "service")
		put(&r.ServiceParameters, logic.ServiceParameterRow{Service: name, Parameter: "hours", Value: rapid.SampledFrom([]string{"always", "office_hours", "never"}).Draw(t, "hours")},
			func(x logic.ServiceParameterRow) bool { return x.Service == name && x.Parameter == "hours" })
		return logic.Touched{Services: []string{name}}
	},
	"service": func(t *rapid.T, r *logic.Rows) logic.Touched {
		s := &r.Services[rapid.IntRange(0, len(r.Services)-1).Draw(t, "service")]
		s.Active = rapid.Bool().Draw(t, "active")
		s.Language = rapid.SampledFrom([]string{"en", "de"}).Draw(t, "language")
		return logic.Touched{Services: []string{s.Service}}
	},
	"new service with its number": func(t *rapid.T, r *logic.Rows) logic.Touched {
		name := fmt.Sprintf("new_%d", rapid.IntRange(0, 2).Draw(t, "new"))
		number := rapid.SampledFrom([]string{"498003333333", "498001234567", "4980"}).Draw(t, "number")
		match := rapid.SampledFrom([]string{"exact", "prefix"}).Draw(t, "match")
		put(&r.Services, logic.ServiceRow{Service: name, Subscriber: "acme", Script: rapid.SampledFrom([]string{"freephone", "security_screening", "none"}).Draw(t, "script"), Language: "en", Active: true},
			func(x logic.ServiceRow) bool { return x.Service == name })
		r.ServiceParameters = without(r.ServiceParameters, func(x logic.ServiceParameterRow) bool { return x.Service == name })
		for parameter, value := range map[string]string{"hours": "always", "offices": "acme_offices", "elsewhere": "acme_share", "second_office": "4930200200@office"} {
			if rapid.IntRange(0, 9).Draw(t, "given") > 0 {
				r.ServiceParameters = append(r.ServiceParameters, logic.ServiceParameterRow{Service: name, Parameter: parameter, Value: value})
			}
		}
		put(&r.ServiceNumbers, logic.ServiceNumberRow{Number: number, Match: match, Service: name},
			func(x logic.ServiceNumberRow) bool { return x.Number == number && x.Match == match })
		return logic.Touched{Services: []string{name}, Numbers: []logic.NumberKey{{Number: number, Match: match}}}
	},
	"service and its numbers gone": func(t *rapid.T, r *logic.Rows) logic.Touched {
		name := rapid.SampledFrom([]string{"new_0", "new_1", "acme_hotline"}).Draw(t, "service")
		touched := logic.Touched{Services: []string{name}}
		for _, x := range r.ServiceNumbers {
			if x.Service == name {
				touched.Numbers = append(touched.Numbers, logic.NumberKey{Number: x.Number, Match: x.Match})
			}
		}
		r.Services = without(r.Services, func(x logic.ServiceRow) bool { return x.Service == name })
		r.ServiceParameters = without(r.ServiceParameters, func(x logic.ServiceParameterRow) bool { return x.Service == name })
		r.ServiceNumbers = without(r.ServiceNumbers, func(x logic.ServiceNumberRow) bool { return x.Service == name })
		return touched
	},
	"trunk": func(t *rapid.T, r *logic.Rows) logic.Touched {
		put(&r.Trunks, logic.TrunkRow{Trunk: rapid.SampledFrom([]string{"gone", "x"}).Draw(t, "trunk")}, func(logic.TrunkRow) bool { return false })
		r.Trunks = slices.Compact(r.Trunks)
		return logic.Touched{Small: true}
	},
	"tariff": func(t *rapid.T, r *logic.Rows) logic.Touched {
		r.Tariffs, r.TariffRates = slices.Clone(r.Tariffs), slices.Clone(r.TariffRates)
		i := rapid.IntRange(0, len(r.TariffRates)-1).Draw(t, "rate")
		r.TariffRates[i].PricePerMinute = rapid.Int64Range(-1, 1_000_000).Draw(t, "price")
		r.TariffRates[i].Calendar = rapid.SampledFrom([]string{"", "night", "office_hours", "nowhere"}).Draw(t, "calendar")
		return logic.Touched{Tariffs: []string{r.TariffRates[i].Tariff}}
	},
	"limit": func(t *rapid.T, r *logic.Rows) logic.Touched {
		r.CallLimits = []logic.CallLimitRow{{CallLimit: "two_calls", MaximumCalls: rapid.Int64Range(1, 5).Draw(t, "calls")}}
		return logic.Touched{CallLimits: []string{"two_calls"}}
	},
	"node": func(t *rapid.T, r *logic.Rows) logic.Touched {
		name := rapid.SampledFrom([]string{"node-1", "node-2"}).Draw(t, "node")
		put(&r.Nodes, logic.NodeRow{Node: name, CertificateName: rapid.SampledFrom([]string{"", "one"}).Draw(t, "certificate"), Capacity: rapid.IntRange(1, 9).Draw(t, "capacity")},
			func(x logic.NodeRow) bool { return x.Node == name })
		return logic.Touched{Nodes: true}
	},
	"area": func(t *rapid.T, r *logic.Rows) logic.Touched {
		prefix := rapid.SampledFrom([]string{"4930", "49", "4989", "bad"}).Draw(t, "prefix")
		put(&r.AreaPrefixes, logic.AreaPrefixRow{Prefix: prefix, Area: rapid.SampledFrom([]string{"berlin", "hamburg"}).Draw(t, "area")},
			func(x logic.AreaPrefixRow) bool { return x.Prefix == prefix })
		return logic.Touched{Small: true}
	},
	"prompt": func(t *rapid.T, r *logic.Rows) logic.Touched {
		r.Prompts[0].File = rapid.SampledFrom([]string{"ss-noservice", "closed", "not a file"}).Draw(t, "file")
		return logic.Touched{Small: true}
	},
}

// answers asks a snapshot for every kind of call, with the reasons.
func answers(s *logic.Snapshot) string {
	var all strings.Builder
	for _, name := range []string{"node-1", "node-2"} {
		node, known := s.Node(name)
		fmt.Fprintln(&all, node, known)
	}
	for _, called := range []string{"08001234567", "08002222222", "08003333333", "08009", "09005550100", "+33", "09001555000", "08005550800", "01802555000"} {
		for _, caller := range []string{"+49301", "+49891", "+331", ""} {
			call := &logic.Session{CallID: "c" + caller, Node: "node", Caller: caller, Called: called, StartedAt: monday}
			out := logic.Outcome{Trace: &logic.Trace{}}
			event := logic.Event{Kind: logic.EventStart}
			for range 8 {
				s.Step(call, event, monday, &out)
				if event = (logic.Event{Kind: logic.EventAnswer}); out.Ask.Kind == logic.AskNothing {
					break
				}
			}
			fmt.Fprintf(&all, "%s → %s\n", caller, called)
			for i := range out.Instructions {
				fmt.Fprintf(&all, "  > %s\n", transcript.FormatInstruction(&out.Instructions[i]))
			}
			for _, d := range out.Trace.Decisions {
				fmt.Fprintf(&all, "  %s %s\n", transcript.FormatDecision(d), d.Beaten)
			}
		}
	}
	return all.String()
}

// A mistake that concerns more services than are listed as problems costs later edits those services, and never everything; mended, all of them serve again.
func TestManyProblemsAreAllTriedAgain(t *testing.T) {
	rows := demoRows(t)
	const many = 250
	for i := range many {
		name := fmt.Sprint("bulk_", i)
		rows.Services = append(rows.Services, logic.ServiceRow{Service: name, Subscriber: "acme", Script: "freephone", Language: "en", Active: true})
		for _, parameter := range []logic.ServiceParameterRow{{Parameter: "hours", Value: "always"}, {Parameter: "offices", Value: "later"}, {Parameter: "elsewhere", Value: "acme_share"},
			{Parameter: "second_office", Value: "4930@office"}} {
			parameter.Service = name
			rows.ServiceParameters = append(rows.ServiceParameters, parameter)
		}
		rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Number: fmt.Sprint(4980050000 + i), Match: "exact", Service: name})
	}
	snapshot, problems := logic.Compile(rows, nil, time.LoadLocation)
	if len(problems) > 250 {
		t.Fatalf("%d problems are told", len(problems))
	}
	edited := func(touched logic.Touched) {
		t.Helper()
		rows.Revision++
		retry, ok := snapshot.Retry()
		if !ok || len(retry.Services) != many {
			t.Fatalf("%d services would be tried again, %v", len(retry.Services), ok)
		}
		snapshot, problems = snapshot.Apply(deltaOf(rows, join(touched, retry)), time.LoadLocation)
	}
	edited(logic.Touched{Small: true}) // of no use
	if len(problems) < 100 {
		t.Fatalf("problems %v", problems)
	}
	rows.TranslationTables = append(rows.TranslationTables, logic.TranslationTableRow{TranslationTable: "later", Match: "exact"})
	edited(logic.Touched{TranslationTables: []string{"later"}})
	if len(problems) > 0 {
		t.Fatalf("after it was mended: %v", problems)
	}
	for i := range many {
		call, out := logic.Session{CallID: "c", Called: fmt.Sprint("+", 4980050000+i)}, logic.Outcome{}
		snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
		if len(out.Instructions) != 1 || out.Instructions[0].Op != logic.OpConnect {
			t.Fatalf("number %d: %v", i, out.Instructions)
		}
	}
}

// TestApply is the dumb twin of incremental compilation: after any edits, a snapshot that was made by applying each of them answers
// as one that was compiled of all rows each time, and tells the same problems.
func TestApply(t *testing.T) {
	base := demoRows(t)
	kinds := slices.Sorted(maps.Keys(edits))
	rapid.Check(t, func(t *rapid.T) {
		rows := *base
		for _, own := range []func(){
			func() {
				rows.CalendarWindows, rows.Calendars = slices.Clone(rows.CalendarWindows), slices.Clone(rows.Calendars)
			},
			func() {
				rows.ScreeningLists, rows.Distributions = slices.Clone(rows.ScreeningLists), slices.Clone(rows.Distributions)
			},
			func() { rows.Branches, rows.Steps = slices.Clone(rows.Branches), slices.Clone(rows.Steps) },
			func() { rows.Services, rows.Prompts = slices.Clone(rows.Services), slices.Clone(rows.Prompts) },
			func() { rows.CalendarHolidays = slices.Clone(rows.CalendarHolidays) },
		} {
			own()
		}
		whole, _ := logic.Compile(&rows, nil, time.LoadLocation)
		applied := whole
		for range rapid.IntRange(1, 12).Draw(t, "edits") {
			kind := rapid.SampledFrom(kinds).Draw(t, "edit")
			touched := edits[kind](t, &rows)
			rows.Revision++
			before := answers(applied)
			retry, ok := applied.Retry()
			if !ok {
				t.Fatal("so few problems are too many to name")
			}
			next, problems := applied.Apply(deltaOf(&rows, join(touched, retry)), time.LoadLocation)
			if answers(applied) != before {
				t.Fatalf("edit %q changed the snapshot it was applied to", kind)
			}
			applied = next
			var wanted []logic.Problem
			whole, wanted = logic.Compile(&rows, whole, time.LoadLocation)
			if !slices.Equal(problems, wanted) {
				t.Fatalf("after %q, problems\n%v\nwant\n%v", kind, problems, wanted)
			}
			got, want := strings.Split(answers(applied), "\n"), strings.Split(answers(whole), "\n")
			for i := range want {
				if i >= len(got) || got[i] != want[i] {
					t.Fatalf("after %q, line %d of the answers: applied\n%s\ncompiled\n%s", kind, i, strings.Join(got[max(0, i-3):min(i+2, len(got))], "\n"), strings.Join(want[max(0, i-3):i+1], "\n"))
				}
			}
			if applied.Revision() != rows.Revision || !maps.Equal(applied.Sizes(), whole.Sizes()) {
				t.Fatalf("after %q, revision %d, sizes %v; want %d, %v", kind, applied.Revision(), applied.Sizes(), rows.Revision, whole.Sizes())
			}
		}
	})
}
