package table_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ringmaster/logic/rows"
	"ringmaster/logic/table"
)

// refused collects what is told of rows that cannot be used.
type refused []string

func (r *refused) refuse(table, key, format string, args ...any) {
	*r = append(*r, table+" "+key+": "+fmt.Sprintf(format, args...))
}

func anyTrunk(name string) bool { return name == "office" }

// TestHalfAThingIsNotMade: one row that cannot be used, and the whole thing is not made; the row is told.
func TestHalfAThingIsNotMade(t *testing.T) {
	for name, test := range map[string]struct {
		make func(table.Refuse) bool
		want string
	}{
		"calendar": {func(refuse table.Refuse) bool {
			return table.NewCalendar("hours", time.UTC, []rows.CalendarWindowRow{
				{CalendarWindowID: 1, Weekdays: "1111111", ClosesAt: 3600}, {CalendarWindowID: 2, Weekdays: "mo-fr", ClosesAt: 3600}}, nil, refuse) != nil
		}, `calendar_window 2: weekdays "mo-fr" is not seven of 0 and 1, Monday first`},
		"list": {func(refuse table.Refuse) bool {
			return table.NewList(rows.ScreeningListRow{ScreeningList: "black", Match: "prefix"}, []*rows.ScreeningEntryRow{{Entry: "49"}, {Entry: "+33"}}, refuse) != nil
		}, `screening_entry black.+33: "+33" is not a prefix: at most 32 of 0–9, * and #`},
		"translation": {func(refuse table.Refuse) bool {
			return table.NewTranslation(rows.TranslationTableRow{TranslationTable: "offices", Match: "exact"},
				[]*rows.TranslationRow{{Key: "a", Value: "1", Trunk: "office"}, {Key: "b", Value: "1", Trunk: "gone"}}, anyTrunk, refuse) != nil
		}, `translation offices.b: trunk "gone" does not exist or has a problem of its own`},
		"distribution": {func(refuse table.Refuse) bool {
			return table.NewDistribution(rows.DistributionRow{Distribution: "share", Method: "percentage"},
				[]rows.BranchRow{{Branch: "a", Weight: 0}}, anyTrunk, refuse) != nil
		}, `distribution share: the weights of its branches sum to 0: nothing can be picked`},
	} {
		var told refused
		if test.make(told.refuse) {
			t.Errorf("%s: made of half its rows", name)
		}
		if !slices.Equal(told, refused{test.want}) {
			t.Errorf("%s: told %q, want %q", name, told, test.want)
		}
	}
}

// TestEdit: an edited list or table answers by its new rows, and the one before by the old.
func TestEdit(t *testing.T) {
	var told refused
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	list := table.NewList(rows.ScreeningListRow{ScreeningList: "codes", Match: "exact"}, []*rows.ScreeningEntryRow{{Entry: "1"}, {Entry: "2"}}, told.refuse)
	edited := list.With([]*rows.ScreeningEntryRow{{Entry: "2", ValidTo: now}, {Entry: "3"}}, []string{"1", "2", "3"}, told.refuse)
	for _, test := range []struct {
		value       string
		was, is     bool
		explanation string
	}{
		{"1", true, false, `"1" is not in the list`},
		{"2", true, false, `"2" is in the list, but not valid now`},
		{"3", false, true, `"3" is in the list`},
	} {
		if list.Has(test.value, now) != test.was || edited.Has(test.value, now) != test.is {
			t.Errorf("%s: was %t, is %t", test.value, list.Has(test.value, now), edited.Has(test.value, now))
		}
		if _, reason := edited.Explain(test.value, now); reason != test.explanation {
			t.Errorf("%s: %s", test.value, reason)
		}
	}
	offices := table.NewTranslation(rows.TranslationTableRow{TranslationTable: "offices", Match: "prefix"},
		[]*rows.TranslationRow{{Key: "", Value: "rest"}, {Key: "49", Value: "4930", Trunk: "office"}}, anyTrunk, told.refuse)
	moved := offices.With([]*rows.TranslationRow{{Key: "4989", Value: "4989", Trunk: "office"}}, []string{"4989", "49"}, anyTrunk, told.refuse)
	for key, want := range map[string][2]string{"49891": {"4930@office", "4989@office"}, "4930": {"4930@office", "rest"}} {
		was, _ := offices.Find(key)
		is, _ := moved.Find(key)
		if was != want[0] || is != want[1] {
			t.Errorf("%s: was %s, is %s; want %v", key, was, is, want)
		}
	}
	if row, reason, beaten := moved.Explain("49891"); row != "offices.4989" || reason != `"49891" is 4989@office` || !slices.Equal(beaten, []string{"* (rest): shorter"}) {
		t.Errorf("explained as %s: %s, beaten %q", row, reason, beaten)
	}
	if len(told) > 0 || list.Len() != 2 || edited.Len() != 2 || moved.Len() != 2 {
		t.Errorf("told %q, sizes %d %d %d", told, list.Len(), edited.Len(), moved.Len())
	}
}
