package lint

import (
	"time"

	"ringmaster/logic/rows"
)

// What is compared at most, for the sake of rows with very many: all of it would take the square.
const (
	mostBands = 50   // of one prefix
	mostSpans = 1000 // of one calendar's week
)

// bands finds rates of one prefix whose calendars are open at the same time: the older row decides, which is hardly what was meant. Calendars are compared by their
// weekly windows; what holidays open and close is left out.
func (l *linter) bands() {
	type prefix struct{ tariff, prefix string }
	all := make(map[prefix][]*rows.TariffRateRow)
	for i := range l.rows.TariffRates {
		row := &l.rows.TariffRates[i]
		if row.Calendar == "" || !row.ValidTo.IsZero() && !row.ValidTo.After(l.now) {
			continue
		}
		of := prefix{row.Tariff, row.Prefix}
		for _, other := range all[of] {
			if !validTogether(row, other) {
				continue
			}
			older, newer := other, row
			if older.TariffRateID > newer.TariffRateID {
				older, newer = newer, older
			}
			if at, both := l.openTogether(newer.Calendar, older.Calendar); both {
				l.tell(Warning, "overlapping_bands", "tariff_rate", rateKey(newer), "let one calendar close when the other opens",
					"on %s at %s its calendar %s is open as well as %s of rate %d: that one, the older, decides then", weekdayNames[at/day%7], clock(at%day), newer.Calendar, older.Calendar, older.TariffRateID)
			}
		}
		if len(all[of]) < mostBands {
			all[of] = append(all[of], row)
		}
	}
}

// validTogether reports whether there is an instant at which both rates are valid.
func validTogether(a, b *rows.TariffRateRow) bool {
	return (a.ValidTo.IsZero() || b.ValidFrom.IsZero() || b.ValidFrom.Before(a.ValidTo)) &&
		(b.ValidTo.IsZero() || a.ValidFrom.IsZero() || a.ValidFrom.Before(b.ValidTo))
}

// meeting is when two calendars are open together first, in seconds of the week by the clock of the one.
type meeting struct {
	at   int
	both bool
}

// openTogether says when in the week two calendars are open together, by the clock of a. Each pair is compared once, however many rates name it.
func (l *linter) openTogether(a, b string) (at int, both bool) {
	pair := [2]string{a, b}
	found, known := l.meetings[pair]
	if !known {
		first := func(spans []span) []span { return spans[:min(len(spans), mostSpans)] }
		for _, ahead := range l.ahead(a, b) {
			if found = meet(first(l.weeks[a]), first(l.weeks[b]), ahead); found.both {
				break
			}
		}
		l.meetings[pair] = found
	}
	return found.at, found.both
}

// ahead lists how many seconds the clock of calendar a is ahead of that of b: now and in half a year, for one of them may have summer time. Empty: a zone is not known.
func (l *linter) ahead(a, b string) (seconds []int) {
	if l.zones[a] == l.zones[b] {
		return []int{0}
	}
	if l.location == nil {
		return nil
	}
	here, err := l.location(l.zones[a])
	if err != nil {
		return nil
	}
	there, err := l.location(l.zones[b])
	if err != nil {
		return nil
	}
	for _, at := range [...]time.Time{l.now, l.now.AddDate(0, 6, 0)} {
		_, one := at.In(here).Zone()
		_, other := at.In(there).Zone()
		seconds = append(seconds, one-other)
	}
	return seconds
}

func meet(a, b []span, ahead int) (found meeting) {
	for _, one := range a {
		for _, other := range b {
			if !sameDays(one.row, other.row) {
				continue
			}
			for _, shift := range [...]int{ahead - week, ahead, ahead + week} { // a window of Sunday may end on Monday
				if from := max(one.from, other.from+shift); from < min(one.to, other.to+shift) && (!found.both || from < found.at) {
					found = meeting{from, true}
				}
			}
		}
	}
	return found
}
