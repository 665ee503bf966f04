// Package calendar says whether an instant lies inside a set of opening windows and holidays, in a zone.
//
// A Calendar is compiled once, never changes, and may be read by any number of goroutines. It reads no clock
// and no zone files: the caller gives the instant and the *time.Location.
//
// # Rules
//
// A window lies on the wall clock of the zone: it is open when a clock on the wall there shows From or later
// and earlier than To. The rest follows from that:
//
//   - The hour that is missing when summer time begins does not happen: a window from 02:15 to 02:45 does not
//     open on that day, and one from 01:30 to 03:30 is open for one hour.
//   - The hour that is repeated when it ends happens twice: a window from 02:00 to 03:00 is open for two
//     hours, and one from 02:30 to 03:00 opens twice for half an hour, shut for half an hour in between.
//   - A zone that skips a whole date has no windows and no holiday of that date.
//
// A window belongs to the date on which it begins, also past midnight. So weekday, validity and holidays are
// those of that date: with a window on Fridays from 22:00 to 04:00, Saturday 03:00 is open when the Friday
// was no holiday, even if the Saturday is one, and shut when the Friday was one.
//
// On a holiday only the holiday's own windows open. A dated holiday goes before a yearly one on the same day.
package calendar

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Day is the seconds of a day on the wall clock, 24:00.
const Day = 24 * 60 * 60

// Weekdays is a set of days of the week: the sum of Monday … Sunday.
type Weekdays uint8

const (
	Monday Weekdays = 1 << iota
	Tuesday
	Wednesday
	Thursday
	Friday
	Saturday
	Sunday
	EveryDay Weekdays = 1<<iota - 1
)

// Date is a day of the Gregorian calendar. The zero Date stands for no limit, where a limit is optional.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// String returns the date as in ISO 8601, 2026-11-23.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// Window is open on some days of the week, from From to To.
type Window struct {
	Weekdays Weekdays
	// From and To are seconds of the local day: From included, from 00:00; To not included, up to 24:00 (Day).
	// When To is not later than From, the window ends on the next day.
	From, To int
	// ValidFrom and ValidTo are the first and the last date on which the window begins; zero: no limit.
	ValidFrom, ValidTo Date
}

// Hours are one opening on one date, as From and To of a Window.
type Hours struct{ From, To int }

// Holiday is a date on which the calendar's windows do not begin. When Date.Year is 0 it comes every year
// (29 February: every leap year).
type Holiday struct {
	Date  Date
	Name  string
	Hours []Hours // what opens on the holiday instead; mostly nothing
}

// Status is what a calendar says of an instant.
type Status uint8

const (
	Closed    Status = iota // outside all windows, on an ordinary day
	Open                    // inside a window
	OnHoliday               // outside all windows, on a holiday
)

// String returns closed, open or holiday.
func (s Status) String() string {
	switch s {
	case Open:
		return "open"
	case OnHoliday:
		return "holiday"
	}
	return "closed"
}

// State is what a calendar says of an instant, and what decided it.
type State struct {
	Status Status
	// Holiday is the index of the holiday that decided, or -1.
	Holiday int
	// Window is the index of the window that is open, or -1: an index into the windows, or into the holiday's
	// Hours when a holiday decided.
	Window int
}

// Calendar is a compiled set of windows and holidays in a zone. Make one with New.
type Calendar struct {
	zone      *time.Location
	windows   []window
	holidays  [][]window // by index of holiday
	dated     []dated    // by day
	yearly    []yearly   // by month and day
	overnight bool       // some window or holiday runs past midnight
}

// window opens at from and shuts at to, seconds after the midnight on which it begins, to being beyond Day
// when it runs over the next midnight; on days first to last, counted from 1970-01-01.
type window struct {
	from, to    int32
	first, last int32
	weekdays    Weekdays
}

type dated struct {
	day     int32 // counted from 1970-01-01
	holiday int32
}

type yearly struct {
	day     int32 // month*32 + day of the month
	holiday int32
}

const (
	always = 1<<31 - 1 // later than any day
	never  = -1 << 31  // earlier than any day
)

// New compiles windows and holidays. It is an error, which says where, when a window has no weekday, times
// outside the day, or a validity that ends before it begins; when a date does not exist; or when two holidays
// fall on the same date (a dated one and a yearly one may).
func New(zone *time.Location, windows []Window, holidays []Holiday) (*Calendar, error) {
	if zone == nil {
		return nil, errors.New("a calendar needs a time zone")
	}
	c := &Calendar{zone: zone, windows: make([]window, len(windows)), holidays: make([][]window, len(holidays))}
	for i, w := range windows {
		compiled, err := w.compile()
		if err != nil {
			return nil, fmt.Errorf("window %d: %w", i, err)
		}
		c.windows[i] = compiled
		c.overnight = c.overnight || compiled.to > Day
	}
	for i, h := range holidays {
		for j, hours := range h.Hours {
			compiled, err := Window{Weekdays: EveryDay, From: hours.From, To: hours.To}.compile()
			if err != nil {
				return nil, fmt.Errorf("holiday %d (%s), hours %d: %w", i, h.Name, j, err)
			}
			c.holidays[i] = append(c.holidays[i], compiled)
			c.overnight = c.overnight || compiled.to > Day
		}
		if err := c.addHoliday(h.Date, int32(i)); err != nil {
			return nil, fmt.Errorf("holiday %d (%s): %w", i, h.Name, err)
		}
	}
	slices.SortFunc(c.dated, func(a, b dated) int { return cmp.Compare(a.day, b.day) })
	slices.SortFunc(c.yearly, func(a, b yearly) int { return cmp.Compare(a.day, b.day) })
	for i := 1; i < len(c.dated); i++ {
		if a, b := c.dated[i-1], c.dated[i]; a.day == b.day {
			return nil, sameDate(holidays, a.holiday, b.holiday)
		}
	}
	for i := 1; i < len(c.yearly); i++ {
		if a, b := c.yearly[i-1], c.yearly[i]; a.day == b.day {
			return nil, sameDate(holidays, a.holiday, b.holiday)
		}
	}
	return c, nil
}

func sameDate(holidays []Holiday, a, b int32) error {
	return fmt.Errorf("holidays %d (%s) and %d (%s) are on the same date, %s",
		min(a, b), holidays[min(a, b)].Name, max(a, b), holidays[max(a, b)].Name, holidays[a].Date)
}

func (c *Calendar) addHoliday(date Date, index int32) error {
	if date.Year == 0 {
		leap := date
		leap.Year = 2000 // has a 29 February
		if _, err := leap.day(); err != nil {
			return fmt.Errorf("%02d-%02d is in no year", int(date.Month), date.Day)
		}
		c.yearly = append(c.yearly, yearly{int32(date.Month)*32 + int32(date.Day), index})
		return nil
	}
	day, err := date.day()
	if err != nil {
		return err
	}
	c.dated = append(c.dated, dated{day, index})
	return nil
}

func (w Window) compile() (window, error) {
	switch {
	case w.Weekdays == 0:
		return window{}, errors.New("has no day of the week")
	case w.Weekdays > EveryDay:
		return window{}, fmt.Errorf("weekdays %#x are beyond Sunday", uint8(w.Weekdays))
	case w.From < 0 || w.From >= Day:
		return window{}, fmt.Errorf("begins at %d seconds, which is not from 0 to %d", w.From, Day-1)
	case w.To < 0 || w.To > Day:
		return window{}, fmt.Errorf("ends at %d seconds, which is not from 0 to %d", w.To, Day)
	}
	compiled := window{from: int32(w.From), to: int32(w.To), first: never, last: always, weekdays: w.Weekdays}
	if w.To <= w.From {
		compiled.to += Day
	}
	var err error
	if w.ValidFrom != (Date{}) {
		if compiled.first, err = w.ValidFrom.day(); err != nil {
			return window{}, err
		}
	}
	if w.ValidTo != (Date{}) {
		if compiled.last, err = w.ValidTo.day(); err != nil {
			return window{}, err
		}
	}
	if compiled.first > compiled.last {
		return window{}, fmt.Errorf("is valid from %s, later than to %s", w.ValidFrom, w.ValidTo)
	}
	return compiled, nil
}

// day counts days from 1970-01-01.
func (d Date) day() (int32, error) {
	t := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
	if year, month, day := t.Date(); year != d.Year || month != d.Month || day != d.Day || year < 1 || year > 9999 {
		return 0, fmt.Errorf("%s is no date", d)
	}
	return int32(floorDiv(t.Unix(), Day)), nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// At says whether t is inside a window. When several are open, windows that began today go before those that
// began yesterday, and the first in order decides. It does not allocate.
func (c *Calendar) At(t time.Time) State {
	_, offset := t.In(c.zone).Zone()
	local := t.Unix() + int64(offset)
	day := int32(floorDiv(local, Day))
	second := int32(local - int64(day)*Day)
	holiday := c.holidayOn(day)
	if i := c.begunOn(day, holiday, second); i >= 0 {
		return State{Open, holiday, i}
	}
	if c.overnight {
		before := c.holidayOn(day - 1)
		if i := c.begunOn(day-1, before, second+Day); i >= 0 {
			return State{Open, before, i}
		}
	}
	if holiday >= 0 {
		return State{OnHoliday, holiday, -1}
	}
	return State{Closed, -1, -1}
}

// begunOn returns which window that begins on day is open at second, counted from that day's midnight, or -1.
func (c *Calendar) begunOn(day int32, holiday int, second int32) int {
	windows := c.windows
	if holiday >= 0 {
		windows = c.holidays[holiday]
	}
	// 1970-01-01 was a Thursday. The sum keeps days before it positive.
	weekday := Weekdays(1) << (uint32(day+7*(1<<27)+3) % 7)
	for i := range windows {
		w := &windows[i]
		if second >= w.from && second < w.to && w.weekdays&weekday != 0 && day >= w.first && day <= w.last {
			return i
		}
	}
	return -1
}

// holidayOn returns which holiday is on day, or -1.
func (c *Calendar) holidayOn(day int32) int {
	if len(c.dated) > 0 {
		if i, ok := slices.BinarySearchFunc(c.dated, day, func(h dated, day int32) int { return cmp.Compare(h.day, day) }); ok {
			return int(c.dated[i].holiday)
		}
	}
	if len(c.yearly) > 0 {
		_, month, date := time.Unix(int64(day)*Day, 0).UTC().Date()
		if i, ok := slices.BinarySearchFunc(c.yearly, int32(month)*32+int32(date), func(h yearly, day int32) int { return cmp.Compare(h.day, day) }); ok {
			return int(c.yearly[i].holiday)
		}
	}
	return -1
}
