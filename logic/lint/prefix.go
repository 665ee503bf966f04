package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"ringmaster/logic/rows"
)

const (
	exact  = "exact"
	prefix = "prefix"
)

// prefixEntry is a prefix with what it leads to, as text to compare and to show.
type prefixEntry struct{ key, value string }

// prefixes checks every table whose longest prefix wins.
func (l *linter) prefixes() {
	ranges := make([]prefixEntry, 0)
	for i := range l.rows.ServiceNumbers {
		if row := &l.rows.ServiceNumbers[i]; row.Match == prefix {
			ranges = append(ranges, prefixEntry{row.Number, row.Service})
		}
	}
	l.prefixTable("service_number", "", ranges)

	areas := make([]prefixEntry, len(l.rows.AreaPrefixes))
	for i, row := range l.rows.AreaPrefixes {
		areas[i] = prefixEntry{row.Prefix, row.Area}
	}
	l.prefixTable("area_prefix", "", areas)

	byPrefix := make(map[string]bool)
	for _, row := range l.rows.TranslationTables {
		if row.Match == prefix {
			byPrefix[row.TranslationTable] = true
		}
	}
	tables := make(map[string][]prefixEntry)
	for i := range l.rows.Translations {
		if row := &l.rows.Translations[i]; byPrefix[row.TranslationTable] {
			tables[row.TranslationTable] = append(tables[row.TranslationTable], prefixEntry{row.Key, targetText(row.Value, row.Trunk)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		l.prefixTable("translation", name+".", tables[name])
	}
}

func targetText(value, trunk string) string {
	if trunk == "" {
		return value
	}
	return value + "@" + trunk
}

// prefixTable finds prefixes that change nothing, and such as no longer number reaches.
func (l *linter) prefixTable(table, owner string, entries []prefixEntry) {
	slices.SortFunc(entries, func(a, b prefixEntry) int { return cmp.Compare(a.key, b.key) })
	for i, parent := range parents(len(entries), func(i int) string { return entries[i].key }) {
		if parent >= 0 && entries[parent].value == entries[i].value {
			l.tell(Note, "redundant_prefix", table, owner+entries[i].key, "delete it, if it is not there for people",
				"prefix %q leads to %s, as %q does without it", entries[i].key, entries[i].value, entries[parent].key)
		}
		if shadowed(entries, i) {
			l.tell(Warning, "shadowed_prefix", table, owner+entries[i].key, "delete it, or delete the longer one that you did not mean",
				"prefix %q decides nothing: for each next digit a longer prefix is there", entries[i].key)
		}
	}
}

// parents returns, for each of n sorted keys, the index of the longest other key that it begins with, or -1.
func parents(n int, key func(i int) string) []int {
	found := make([]int, n)
	var path []int
	for i := range n {
		for len(path) > 0 && !strings.HasPrefix(key(i), key(path[len(path)-1])) {
			path = path[:len(path)-1]
		}
		found[i] = -1
		if len(path) > 0 {
			found[i] = path[len(path)-1]
		}
		path = append(path, i)
	}
	return found
}

// shadowed reports whether longer prefixes hold every longer number that sorted entry i holds.
func shadowed(entries []prefixEntry, i int) bool {
	key := entries[i].key
	below := entries[i+1:]
	if len(below) < 10 || !strings.HasPrefix(below[9].key, key) {
		return false
	}
	return allDigits(below, key)
}

// allDigits reports whether sorted entries hold key followed by each digit.
func allDigits(entries []prefixEntry, key string) bool {
	for digit := byte('0'); digit <= '9'; digit++ {
		next := key + string(digit)
		at := sort.Search(len(entries), func(i int) bool { return entries[i].key >= next })
		if at == len(entries) || !strings.HasPrefix(entries[at].key, next) {
			return false
		}
		if entries[at].key != next && !allDigits(entries[at:], next) {
			return false
		}
	}
	return true
}

// numbers compares exact numbers with the ranges that they lie in.
func (l *linter) numbers() {
	ranges := make(map[string]string)
	longest := 0
	for i := range l.rows.ServiceNumbers {
		if row := &l.rows.ServiceNumbers[i]; row.Match == prefix {
			ranges[row.Number] = row.Service
			longest = max(longest, len(row.Number))
		}
	}
	if len(ranges) == 0 {
		return
	}
	var numbers []string
	for i := range l.rows.ServiceNumbers {
		row := &l.rows.ServiceNumbers[i]
		if row.Match == prefix {
			continue
		}
		numbers = append(numbers, row.Number)
		for length := min(len(row.Number), longest); length >= 0; length-- {
			if service, ok := ranges[row.Number[:length]]; ok {
				if service == row.Service {
					l.tell(Note, "redundant_number", "service_number", row.Number, "delete it, if it is not there for people",
						"the range %s* leads to service %s without it", row.Number[:length], service)
				}
				break
			}
		}
	}
	slices.SortFunc(numbers, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	for _, one := range slices.Sorted(maps.Keys(ranges)) {
		service := ranges[one]
		for more, all := 1, 10; more <= 5; more, all = more+1, all*10 {
			if held := countBetween(numbers, one+strings.Repeat("0", more), one+strings.Repeat("9", more)); held == all {
				l.tell(Warning, "shadowed_prefix", "service_number", one, "delete the range, if the service has no longer numbers",
					"all %d numbers of %d digits in the range %s* stand there one by one: service %s is reached by numbers of another length only",
					all, len(one)+more, one, service)
			}
		}
	}
}

// countBetween counts the numbers of one length from first to last, in numbers sorted by length and digits.
func countBetween(numbers []string, first, last string) int {
	at := func(number string, after bool) int {
		return sort.Search(len(numbers), func(i int) bool {
			c := cmp.Or(cmp.Compare(len(numbers[i]), len(number)), cmp.Compare(numbers[i], number))
			return c > 0 || c == 0 && !after
		})
	}
	return at(last, true) - at(first, false)
}

// lists finds entries that have expired, that change nothing, and that hide others.
func (l *linter) lists() {
	byPrefix := make(map[string]bool)
	for _, row := range l.rows.ScreeningLists {
		if row.Match == prefix {
			byPrefix[row.ScreeningList] = true
		}
	}
	type expiry struct {
		count int
		first string
	}
	expired := make(map[string]expiry)
	entries := make(map[string][]*rows.ScreeningEntryRow)
	for i := range l.rows.ScreeningEntries {
		row := &l.rows.ScreeningEntries[i]
		if l.past(row) {
			e := expired[row.ScreeningList]
			if e.count == 0 || row.Entry < e.first {
				e.first = row.Entry
			}
			e.count++
			expired[row.ScreeningList] = e
		}
		if byPrefix[row.ScreeningList] {
			entries[row.ScreeningList] = append(entries[row.ScreeningList], row)
		}
	}
	for _, list := range slices.Sorted(maps.Keys(expired)) {
		e := expired[list]
		l.tell(Note, "expired_entry", "screening_entry", list+"."+e.first, "delete what is over: valid_to < now()",
			"%s of list %s expired", plural(e.count, "entry", "entries"), list)
	}
	for _, list := range slices.Sorted(maps.Keys(entries)) {
		of := entries[list]
		slices.SortFunc(of, func(a, b *rows.ScreeningEntryRow) int { return cmp.Compare(a.Entry, b.Entry) })
		for i, parent := range parents(len(of), func(i int) string { return of[i].Entry }) {
			if parent < 0 || !of[parent].ValidFrom.IsZero() || !of[parent].ValidTo.IsZero() {
				continue
			}
			switch row := of[i]; {
			case l.past(row):
				l.tell(Warning, "hidden_prefix", "screening_entry", list+"."+row.Entry, "delete the expired entry, or write the exception as a list of its own",
					"it has expired, and what begins with it is not in the list although %q is: the longest prefix decides", of[parent].Entry)
			case row.ValidFrom.IsZero() && row.ValidTo.IsZero():
				l.tell(Note, "redundant_prefix", "screening_entry", list+"."+row.Entry, "delete it, if it is not there for people",
					"prefix %q is in the list already by %q", row.Entry, of[parent].Entry)
			}
		}
	}
}

func (l *linter) past(row *rows.ScreeningEntryRow) bool {
	return !row.ValidTo.IsZero() && !l.now.Before(row.ValidTo)
}

func plural(count int, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, many)
}
