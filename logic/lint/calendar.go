package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringmaster/logic/rows"
)

const (
	day      = 24 * 3600 // seconds
	week     = 7 * day
	shortGap = 60 // seconds: a calendar that closes for so short a time was hardly meant to
)

var weekdayNames = [...]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

// calendars checks the windows and holidays of each calendar.
func (l *linter) calendars() {
	windows := make(map[string][]*rows.CalendarWindowRow)
	for i := range l.rows.CalendarWindows {
		row := &l.rows.CalendarWindows[i]
		windows[row.Calendar] = append(windows[row.Calendar], row)
	}
	opens := make(map[string]bool) // calendars that a holiday opens
	for i := range l.rows.CalendarHolidays {
		l.holiday(&l.rows.CalendarHolidays[i])
		if row := &l.rows.CalendarHolidays[i]; row.OpensAt != row.ClosesAt {
			opens[row.Calendar] = true
		}
	}
	for i := range l.rows.Calendars {
		name := l.rows.Calendars[i].Calendar
		l.zones[name] = l.rows.Calendars[i].TimeZone
		l.windows(name, windows[name])
		if len(windows[name]) == 0 && !opens[name] {
			l.tell(Warning, "never_open", "calendar", name, "insert windows into calendar_window", "it has no window: it is never open")
		}
	}
}

func (l *linter) holiday(row *rows.CalendarHolidayRow) {
	key := row.Calendar + "." + row.Name
	// Two days of grace: the calendar's zone may be behind.
	if !row.Yearly && !row.Holiday.IsZero() && row.Holiday.AddDate(0, 0, 2).Before(l.now) {
		l.tell(Note, "past_holiday", "calendar_holiday", key, "delete it, or set yearly", "%s is over", row.Holiday.Format(time.DateOnly))
	}
	if row.Yearly && row.Holiday.Month() == time.February && row.Holiday.Day() == 29 {
		l.tell(Warning, "leap_day", "calendar_holiday", key, "write the 28th, or the 1st of March", "29 February comes in leap years only, and it is to hold yearly")
	}
}

// span is one opening of a window, in seconds since the week began; it may run into the week after.
type span struct {
	from, to int
	row      *rows.CalendarWindowRow
}

// isPast reports whether a window's last day is over, with two days of grace: the calendar's zone may be behind.
func (l *linter) isPast(row *rows.CalendarWindowRow) bool {
	return !row.ValidTo.IsZero() && row.ValidTo.AddDate(0, 0, 2).Before(l.now)
}

// opening is when a window that begins on a weekday is open.
func opening(row *rows.CalendarWindowRow, weekday int) span {
	from, length := weekday*day+row.OpensAt, row.ClosesAt-row.OpensAt
	if length <= 0 {
		length += day
	}
	return span{from, from + length, row}
}

func (l *linter) windows(calendar string, all []*rows.CalendarWindowRow) {
	var spans []span
	days := [7]bool{}
	current := 0
	for _, row := range all {
		if l.isPast(row) {
			l.tell(Note, "past_window", "calendar_window", windowKey(row), "delete it", "its last day, %s, is over", row.ValidTo.Format(time.DateOnly))
			continue
		}
		current++
		if closes := row.ClosesAt; closes > day-2*shortGap && closes < day {
			l.tell(Warning, "short_gap", "calendar_window", windowKey(row), "write 24:00 for the end of the day",
				"it closes at %s, just before midnight: closes_at is the first instant that is closed", clock(closes))
		}
		for weekday := range min(len(row.Weekdays), 7) {
			if row.Weekdays[weekday] != '1' {
				continue
			}
			if row.ClosesAt <= row.OpensAt {
				days[(weekday+1)%7] = days[(weekday+1)%7] || row.ClosesAt > 0
			}
			spans = append(spans, opening(row, weekday))
			days[weekday] = true
		}
	}
	var closed []string
	for weekday, open := range days {
		if !open {
			closed = append(closed, weekdayNames[weekday])
		}
	}
	if current > 0 && len(closed) > 0 {
		l.tell(Note, "closed_weekday", "calendar", calendar, "", "it has no window on %s", strings.Join(closed, ", "))
	}
	l.weeks[calendar] = spans
	l.compareSpans(slices.Clone(spans))
}

// compareSpans finds windows that hold at the same time, and pairs with less than a minute between them. Each pair is told once.
func (l *linter) compareSpans(spans []span) {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.row.CalendarWindowID, b.row.CalendarWindowID))
	})
	// What runs over the end of the week meets the windows at its beginning.
	for i, n := 0, len(spans); i < n && spans[i].from < day; i++ {
		spans = append(spans, span{spans[i].from + week, spans[i].to + week, spans[i].row})
	}
	told := make(map[[2]int64]bool)
	var open []span // those that began before and have not ended a minute before; bounded, for the sake of calendars with very many
	for _, s := range spans {
		open = slices.DeleteFunc(open, func(o span) bool { return o.to+shortGap < s.from })
		joined := slices.ContainsFunc(open, func(o span) bool { return o.to >= s.from && sameDays(o.row, s.row) })
		for _, o := range open {
			pair := [2]int64{o.row.CalendarWindowID, s.row.CalendarWindowID}
			if o.row == s.row || !sameDays(o.row, s.row) || told[pair] || told[[2]int64{pair[1], pair[0]}] {
				continue
			}
			switch {
			case o.to > s.from:
				told[pair] = true
				l.tell(Warning, "overlapping_windows", "calendar_window", windowKey(s.row), "one window for both, or other hours",
					"on %s it overlaps window %d (%s to %s)", weekdayNames[s.from/day%7], o.row.CalendarWindowID, clock(o.row.OpensAt), clock(o.row.ClosesAt))
			case o.to < s.from && !joined:
				told[pair] = true
				l.tell(Warning, "short_gap", "calendar_window", windowKey(s.row), "closes_at is the first instant that is closed: let one begin where the other ends",
					"on %s it opens %d seconds after window %d closes", weekdayNames[s.from/day%7], s.from-o.to, o.row.CalendarWindowID)
			}
		}
		if len(open) < 100 {
			open = append(open, s)
		}
	}
}

// sameDays reports whether two windows are ever valid on the same day.
func sameDays(a, b *rows.CalendarWindowRow) bool {
	return (a.ValidTo.IsZero() || b.ValidFrom.IsZero() || !b.ValidFrom.After(a.ValidTo)) &&
		(b.ValidTo.IsZero() || a.ValidFrom.IsZero() || !a.ValidFrom.After(b.ValidTo))
}

func windowKey(row *rows.CalendarWindowRow) string {
	return row.Calendar + "." + strconv.FormatInt(row.CalendarWindowID, 10)
}

func clock(seconds int) string {
	text := fmt.Sprintf("%02d:%02d", seconds/3600, seconds/60%60)
	if seconds%60 != 0 {
		text += fmt.Sprintf(":%02d", seconds%60)
	}
	return text
}
