package table

import (
	"fmt"
	"strconv"
	"time"

	"ringmaster/logic/calendar"
	"ringmaster/logic/rows"
)

// Calendar is a named calendar with its rows' names kept for explanations.
type Calendar struct {
	Name     string
	calendar *calendar.Calendar
	windows  []int64  // calendar_window_id by window index
	holidays []string // name by holiday index
}

// NewCalendar makes a calendar in a zone; nil when a row cannot be used.
func NewCalendar(name string, zone *time.Location, windows []rows.CalendarWindowRow, holidays []rows.CalendarHolidayRow, refuse Refuse) *Calendar {
	c := &Calendar{Name: name}
	var open []calendar.Window
	good := true
	for _, window := range windows {
		weekdays, ok := parseWeekdays(window.Weekdays)
		if !ok {
			refuse("calendar_window", strconv.FormatInt(window.CalendarWindowID, 10), "weekdays %q is not seven of 0 and 1, Monday first", window.Weekdays)
			good = false
			continue
		}
		c.windows = append(c.windows, window.CalendarWindowID)
		open = append(open, calendar.Window{
			Weekdays: weekdays, From: window.OpensAt, To: window.ClosesAt,
			ValidFrom: dateOf(window.ValidFrom), ValidTo: dateOf(window.ValidTo),
		})
	}
	var days []calendar.Holiday
	for _, holiday := range holidays {
		year, month, date := holiday.Holiday.Date() // not dateOf: the first day of year 1 is one too
		day := calendar.Holiday{Date: calendar.Date{Year: year, Month: month, Day: date}, Name: holiday.Name}
		if holiday.Yearly {
			day.Date.Year = 0
		}
		if holiday.OpensAt != 0 || holiday.ClosesAt != 0 {
			day.Hours = []calendar.Hours{{From: holiday.OpensAt, To: holiday.ClosesAt}}
		}
		c.holidays = append(c.holidays, holiday.Name)
		days = append(days, day)
	}
	if !good {
		return nil
	}
	compiled, err := calendar.New(zone, open, days)
	if err != nil {
		refuse("calendar", name, "%s", err)
		return nil
	}
	c.calendar = compiled
	return c
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

// At says whether the calendar is open at an instant, and whether a holiday decided that.
func (c *Calendar) At(now time.Time) (open, holiday bool) {
	state := c.calendar.At(now)
	return state.Status == calendar.Open, state.Holiday >= 0
}

// Explain says why the calendar is open or closed: the table and row that decided, and the reason in words.
func (c *Calendar) Explain(now time.Time) (table, key, reason string) {
	state := c.calendar.At(now)
	switch {
	case state.Holiday >= 0:
		is := "closed"
		if state.Status == calendar.Open {
			is = "open"
		}
		return "calendar_holiday", c.Name + "." + c.holidays[state.Holiday], fmt.Sprintf("a holiday: calendar %s is %s", c.Name, is)
	case state.Window >= 0:
		return "calendar_window", c.Name + "." + strconv.FormatInt(c.windows[state.Window], 10), fmt.Sprintf("calendar %s is open", c.Name)
	}
	return "calendar_window", c.Name, fmt.Sprintf("no window of calendar %s holds now: closed", c.Name)
}
