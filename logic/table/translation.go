package table

import (
	"fmt"

	"ringmaster/logic/lookup"
	"ringmaster/logic/rows"
)

// Translation maps keys to values, exact or by longest prefix.
type Translation struct {
	Name   string
	match  string
	keys   *lookup.Table
	values []string // targets as number@trunk
}

// NewTranslation makes a translation table of its rows; nil when one cannot be used.
func NewTranslation(row rows.TranslationTableRow, of []*rows.TranslationRow, trunks Trunks, refuse Refuse) *Translation {
	empty := &Translation{Name: row.TranslationTable, match: row.Match}
	return empty.With(of, nil, trunks, refuse)
}

// With makes a table of this one: rows put in, keys taken out; nil when a row cannot be used. This one stays as it is.
func (t *Translation) With(of []*rows.TranslationRow, out []string, trunks Trunks, refuse Refuse) *Translation {
	table := *t
	indexes := make(map[string]uint32)
	put := make([]lookup.Entry, 0, len(of))
	good := true
	for i, row := range of {
		yield(i)
		value, ok := targetOrText(row.Value, row.Trunk, trunks, func(format string, args ...any) {
			refuse("translation", table.Name+"."+row.Key, format, args...)
		})
		if !ok {
			good = false
			continue
		}
		put = append(put, lookup.Entry{Key: row.Key, Value: Intern(&table.values, indexes, value)})
	}
	put, usable := Usable("translation", table.Name, table.match, put, refuse)
	if !good || !usable {
		return nil
	}
	if table.keys, good = Edited("translation_table", table.Name, table.match, table.keys, put, out, refuse); !good {
		return nil
	}
	return &table
}

// Len returns how many rows the table has.
func (t *Translation) Len() int { return t.keys.Len() }

// Find returns the value of a key.
func (t *Translation) Find(key string) (value string, ok bool) {
	index, _, ok := t.keys.Find(key)
	if !ok {
		return "", false
	}
	return t.values[index], true
}

// Explain says what a key becomes: the row that decided, the reason in words, and the rows that it beat.
func (t *Translation) Explain(key string) (row, reason string, beaten []string) {
	index, length, ok := t.keys.Find(key)
	if !ok {
		return t.Name, fmt.Sprintf("%s has no row for %q", t.Name, key), nil
	}
	return t.Name + "." + key[:length], fmt.Sprintf("%q is %s", key, t.values[index]), Beaten(t.keys, key, t.values)
}

// Beaten tells of the shorter prefixes that matched a key too.
func Beaten(table *lookup.Table, key string, values []string) []string {
	var lost []string
	for i, match := range table.AppendMatches(nil, key) {
		if i > 0 {
			lost = append(lost, fmt.Sprintf("%s* (%s): shorter", key[:match.Length], values[match.Value]))
		}
	}
	return lost
}
