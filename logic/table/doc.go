// Package table holds what services are made of: calendars, screening lists, translation tables, distributions, tariffs, limits, numbering plans. Each is
// compiled from its own rows, knows no other, and can say in words why it answers as it does.
//
// It does not know calls or scripts. A row that cannot be used is told to a Refuse, and then the thing that it belongs to is not
// made: half a list lets in whom the other half keeps out.
package table

import (
	"runtime"

	"ringmaster/logic/call"
	"ringmaster/logic/lookup"
)

// Refuse is told of a row that cannot be used: its table, its key as an operator would name it, and why.
type Refuse func(table, key, format string, args ...any)

// Trunks reports whether a trunk exists.
type Trunks func(name string) bool

// The ways in which a table's rows are missing or wrong that Postgres refuses too are told again here: rows may come from elsewhere.

// yield gives other goroutines a chance every so many rows: calls are answered while tables are compiled.
func yield(i int) {
	if i%256 == 0 {
		runtime.Gosched()
	}
}

// targetOrText returns the text of a value that may come with a trunk: then it is a target.
func targetOrText(value, trunk string, trunks Trunks, refuse func(format string, args ...any)) (text string, ok bool) {
	switch {
	case trunk == "" && len(value) > call.MaxValueLength:
		refuse("value is longer than %d bytes", call.MaxValueLength)
	case trunk == "":
		return value, true
	case !call.ValidNumber(value):
		refuse("value %q is not a number: with a trunk it must be 1–%d of 0–9, * and #", value, call.MaxNumberLength)
	case !trunks(trunk):
		refuse("trunk %q does not exist or has a problem of its own", trunk)
	default:
		return call.FormatTarget(value, trunk), true
	}
	return "", false
}

// Usable tells of the entries that cannot be keys of a table that compares by prefix, and returns the others. Of is the thing whose table it is, "" for a
// table of the whole carrier.
func Usable(name, of, match string, entries []lookup.Entry, refuse Refuse) (kept []lookup.Entry, good bool) {
	if match != lookup.Prefix {
		return entries, true
	}
	kept = entries[:0]
	for _, entry := range entries {
		if entry.Key != "" && (!call.ValidNumber(entry.Key) || entry.Key[0] == '+') {
			key := entry.Key
			if of != "" {
				key = of + "." + key
			}
			refuse(name, key, "%q is not a prefix: at most %d of 0–9, * and #", entry.Key, call.MaxNumberLength)
			continue
		}
		kept = append(kept, entry)
	}
	return kept, len(kept) == len(entries)
}

// Edited makes a table of entries, or edits the one that was. It never returns nil: what cannot be made is told of, and stays as
// it was.
func Edited(name, key, match string, was *lookup.Table, put []lookup.Entry, out []string, refuse Refuse) (made *lookup.Table, good bool) {
	made = was
	var err error
	switch {
	case was == nil:
		made, err = lookup.New(match, put)
	case len(put) > 0 || len(out) > 0:
		made, err = was.With(put, out)
	}
	if err == nil {
		return made, true
	}
	// Keys are primary keys and were checked: a wrong match, or a bug in the loading of rows.
	refuse(name, key, "%s", err)
	if was == nil {
		was = new(lookup.Table)
	}
	return was, false
}

// Intern returns the index of value in values, where it stands once.
func Intern(values *[]string, indexes map[string]uint32, value string) uint32 {
	if index, ok := indexes[value]; ok {
		return index
	}
	index := uint32(len(*values))
	indexes[value] = index
	*values = append(*values, value)
	return index
}
