package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func mustNew(t testing.TB, z *time.Location, windows []Window, holidays ...Holiday) *Calendar {
	t.Helper()
	c, err := New(z, windows, holidays)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// at makes seconds of the day of hours and minutes.
func at(hour, minute int) int { return hour*3600 + minute*60 }

// utc reads an instant such as 2026-03-29T01:00:00.
func utc(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestEdgesAndNights(t *testing.T) {
	c := mustNew(t, time.UTC, []Window{
		{Weekdays: Monday | Tuesday | Wednesday | Thursday | Friday, From: at(8, 0), To: at(18, 0)},
		{Weekdays: Friday, From: at(22, 0), To: at(4, 0)},
		{Weekdays: Sunday, From: at(9, 0), To: at(9, 0), ValidFrom: Date{2026, 6, 7}, ValidTo: Date{2026, 6, 14}},
		{Weekdays: Saturday, From: at(20, 0), To: Day},
	},
		Holiday{Date: Date{0, 12, 25}, Name: "Christmas"},
		Holiday{Date: Date{2026, 12, 26}, Name: "Boxing Day", Hours: []Hours{{at(10, 0), at(12, 0)}, {at(23, 0), at(1, 0)}}},
		Holiday{Date: Date{0, 12, 26}, Name: "Boxing Day of other years"},
		Holiday{Date: Date{2026, 6, 13}, Name: "a Saturday"},
		Holiday{Date: Date{0, 2, 29}, Name: "leap day"},
	)
	for _, x := range []struct {
		at   string
		want State
	}{
		{"2026-06-01T07:59:59", State{Closed, -1, -1}}, // Monday
		{"2026-06-01T08:00:00", State{Open, -1, 0}},
		{"2026-06-01T17:59:59", State{Open, -1, 0}},
		{"2026-06-01T18:00:00", State{Closed, -1, -1}},
		{"2026-06-05T21:59:59", State{Closed, -1, -1}}, // Friday
		{"2026-06-05T22:00:00", State{Open, -1, 1}},
		{"2026-06-06T03:59:59", State{Open, -1, 1}},
		{"2026-06-06T04:00:00", State{Closed, -1, -1}},
		{"2026-06-06T23:59:59", State{Open, -1, 3}},
		{"2026-06-07T00:00:00", State{Closed, -1, -1}},
		{"2026-06-07T09:00:00", State{Open, -1, 2}}, // 24 hours on end, validity by the day of beginning
		{"2026-06-08T07:00:00", State{Open, -1, 2}},
		{"2026-06-08T08:30:00", State{Open, -1, 0}}, // today's window goes first
		{"2026-06-15T07:00:00", State{Open, -1, 2}},
		{"2026-06-21T10:00:00", State{Closed, -1, -1}},
		{"2026-06-13T03:00:00", State{Open, -1, 1}}, // the night that began on an ordinary Friday
		{"2026-06-13T21:00:00", State{OnHoliday, 3, -1}},
		{"2026-12-25T09:00:00", State{OnHoliday, 0, -1}}, // a Friday
		{"2026-12-25T23:00:00", State{OnHoliday, 0, -1}},
		{"2026-12-26T03:00:00", State{OnHoliday, 1, -1}}, // no night began on the holiday
		{"2026-12-26T10:00:00", State{Open, 1, 0}},
		{"2026-12-26T12:00:00", State{OnHoliday, 1, -1}},
		{"2026-12-27T00:59:59", State{Open, 1, 1}},
		{"2026-12-27T01:00:00", State{Closed, -1, -1}},
		{"2025-12-26T11:00:00", State{OnHoliday, 2, -1}},
		{"2028-02-29T11:00:00", State{OnHoliday, 4, -1}},
		{"2027-03-01T11:00:00", State{Open, -1, 0}},
		{"1969-12-31T11:00:00", State{Open, -1, 0}}, // a Wednesday before 1970
		{"1899-12-31T11:00:00", State{Closed, -1, -1}},
	} {
		if got := c.At(utc(t, x.at)); got != x.want {
			t.Errorf("%s: %v, want %v", x.at, got, x.want)
		}
	}
}

// open lists when c is open between from and to, in UTC, found minute by minute.
func open(c *Calendar, from, to time.Time) string {
	var spans []string
	was := false
	for t := from; !t.After(to); t = t.Add(time.Minute) {
		is := c.At(t).Status == Open && t.Before(to)
		switch {
		case is && !was:
			spans = append(spans, t.Format("15:04"))
		case !is && was:
			spans[len(spans)-1] += "-" + t.Format("15:04")
		}
		was = is
	}
	return strings.Join(spans, " ")
}

// The days on which clocks change. Spans are in UTC, over the 24 hours from the start given.
func TestClockChanges(t *testing.T) {
	for _, x := range []struct {
		zone, from string
		begin, end int
		want       string
	}{
		// 02:00 CET becomes 03:00 CEST at 01:00 UTC.
		{"Europe/Berlin", "2026-03-28T23:00:00", at(2, 15), at(2, 45), ""},
		{"Europe/Berlin", "2026-03-28T23:00:00", at(1, 30), at(3, 30), "00:30-01:30"},
		{"Europe/Berlin", "2026-03-28T23:00:00", at(2, 30), at(5, 0), "01:00-03:00"},
		// 03:00 CEST becomes 02:00 CET at 01:00 UTC.
		{"Europe/Berlin", "2026-10-24T22:00:00", at(2, 0), at(3, 0), "00:00-02:00"},
		{"Europe/Berlin", "2026-10-24T22:00:00", at(2, 30), at(3, 0), "00:30-01:00 01:30-02:00"},
		{"Europe/Berlin", "2026-10-24T22:00:00", at(1, 0), at(2, 30), "23:00-00:30 01:00-01:30"},
		// 02:00 EST becomes 03:00 EDT at 07:00 UTC; 02:00 EDT becomes 01:00 EST at 06:00 UTC.
		{"America/New_York", "2026-03-08T05:00:00", at(2, 0), at(3, 0), ""},
		{"America/New_York", "2026-03-08T05:00:00", at(8, 0), at(18, 0), "12:00-22:00"},
		{"America/New_York", "2026-11-01T04:00:00", at(1, 0), at(1, 30), "05:00-05:30 06:00-06:30"},
		// Half an hour: 02:00 becomes 02:30 at 15:30 UTC; 02:00 becomes 01:30 at 15:00 UTC.
		{"Australia/Lord_Howe", "2026-10-03T13:30:00", at(2, 0), at(2, 30), ""},
		{"Australia/Lord_Howe", "2026-10-03T13:30:00", at(1, 45), at(2, 45), "15:15-15:45"},
		{"Australia/Lord_Howe", "2026-04-04T13:00:00", at(1, 30), at(2, 0), "14:30-15:30"},
		{"Australia/Lord_Howe", "2026-04-04T13:00:00", at(1, 45), at(2, 15), "14:45-15:00 15:15-15:45"},
		// At midnight: 2026-03-29 00:00 EET becomes 01:00 EEST, the day has no midnight.
		{"Asia/Beirut", "2026-03-28T22:00:00", at(0, 0), at(0, 30), ""},
		{"Asia/Beirut", "2026-03-28T22:00:00", at(0, 0), at(8, 0), "22:00-05:00"},
		{"Asia/Beirut", "2026-03-28T20:00:00", at(23, 0), at(2, 0), "21:00-23:00"},
		// And back: 2026-10-25 00:00 EEST becomes 23:00 EET of the day before.
		{"Asia/Beirut", "2026-10-24T18:00:00", at(23, 0), Day, "20:00-22:00"},
		{"Asia/Beirut", "2026-10-24T18:00:00", at(23, 30), at(0, 30), "20:30-21:00 21:30-22:30"},
		// Samoa had no 30 December 2011; the instant before 00:00 of the 31st is 23:59:59 of the 29th.
		{"Pacific/Apia", "2011-12-30T08:00:00", at(23, 0), at(1, 0), "09:00-11:00"},
	} {
		weekdays := EveryDay
		c := mustNew(t, zone(t, x.zone), []Window{{Weekdays: weekdays, From: x.begin, To: x.end}})
		from := utc(t, x.from)
		hours := 23 * time.Hour // a local day may have no more; the next day's windows stay outside
		if x.begin > at(20, 0) {
			hours = 12 * time.Hour
		}
		if got := open(c, from, from.Add(hours)); got != x.want {
			t.Errorf("%s from %s, %02d:%02d to %02d:%02d: open %q, want %q", x.zone, x.from,
				x.begin/3600, x.begin/60%60, x.end/3600, x.end/60%60, got, x.want)
		}
	}
}

func TestSkippedDate(t *testing.T) {
	// 30 December 2011, a Friday, did not happen in Samoa: nor do its window and its holiday. The night that
	// would have begun on it is not there on the 31st.
	c := mustNew(t, zone(t, "Pacific/Apia"), []Window{{Weekdays: Friday, From: at(22, 0), To: at(12, 0)}},
		Holiday{Date: Date{2011, 12, 30}, Name: "gone"})
	if got := c.At(utc(t, "2011-12-30T09:59:59")); got != (State{Closed, -1, -1}) { // the 29th, 23:59:59
		t.Errorf("before: %v", got)
	}
	if got := c.At(utc(t, "2011-12-30T10:00:00")); got != (State{Closed, -1, -1}) { // the 31st, 00:00
		t.Errorf("after: %v", got)
	}
}

func TestNewRefuses(t *testing.T) {
	day := Window{Weekdays: EveryDay, From: 0, To: Day}
	for _, x := range []struct {
		want     string
		windows  []Window
		holidays []Holiday
	}{
		{"window 1: has no day of the week", []Window{day, {From: 0, To: Day}}, nil},
		{"window 0: weekdays 0x80 are beyond Sunday", []Window{{Weekdays: 128, To: Day}}, nil},
		{"window 0: begins at -1 seconds, which is not from 0 to 86399", []Window{{Weekdays: Monday, From: -1}}, nil},
		{"window 0: begins at 86400 seconds, which is not from 0 to 86399", []Window{{Weekdays: Monday, From: Day}}, nil},
		{"window 0: ends at 86401 seconds, which is not from 0 to 86400", []Window{{Weekdays: Monday, To: Day + 1}}, nil},
		{"window 0: 2026-02-30 is no date", []Window{{Weekdays: Monday, To: Day, ValidFrom: Date{2026, 2, 30}}}, nil},
		{"window 0: 2026-13-01 is no date", []Window{{Weekdays: Monday, To: Day, ValidTo: Date{2026, 13, 1}}}, nil},
		{"window 0: is valid from 2026-02-02, later than to 2026-02-01",
			[]Window{{Weekdays: Monday, To: Day, ValidFrom: Date{2026, 2, 2}, ValidTo: Date{2026, 2, 1}}}, nil},
		{"holiday 0 (x): 2027-02-29 is no date", nil, []Holiday{{Date: Date{2027, 2, 29}, Name: "x"}}},
		{"holiday 0 (x): 02-30 is in no year", nil, []Holiday{{Date: Date{0, 2, 30}, Name: "x"}}},
		{"holiday 0 (x): 00-00 is in no year", nil, []Holiday{{Name: "x"}}},
		{"holiday 0 (x), hours 1: ends at -5 seconds, which is not from 0 to 86400",
			nil, []Holiday{{Date: Date{2026, 1, 1}, Name: "x", Hours: []Hours{{0, Day}, {0, -5}}}}},
		{"holidays 0 (a) and 2 (c) are on the same date, 2026-01-01",
			nil, []Holiday{{Date: Date{2026, 1, 1}, Name: "a"}, {Date: Date{0, 1, 1}, Name: "b"}, {Date: Date{2026, 1, 1}, Name: "c"}}},
		{"holidays 0 (a) and 1 (b) are on the same date, 0000-05-01",
			nil, []Holiday{{Date: Date{0, 5, 1}, Name: "a"}, {Date: Date{0, 5, 1}, Name: "b"}}},
	} {
		if _, err := New(time.UTC, x.windows, x.holidays); err == nil || err.Error() != x.want {
			t.Errorf("got %v, want %s", err, x.want)
		}
	}
	if _, err := New(nil, nil, nil); err == nil {
		t.Error("no zone was accepted")
	}
}

// twin says the same as At by reading a formatted local time and counting dates with the time package.
func twin(z *time.Location, windows []Window, holidays []Holiday, t time.Time) State {
	local := t.In(z)
	clock := local.Format("15:04:05")
	on := func(date time.Time) int {
		for _, format := range []string{"2006-01-02", "0000-01-02"} {
			for i, h := range holidays {
				want := date.Format(format)
				if format == "0000-01-02" {
					want = "0000-" + date.Format("01-02")
				}
				if h.Date.String() == want {
					return i
				}
			}
		}
		return -1
	}
	text := func(seconds int) string {
		return fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	}
	// begun tells whether hours that begin on the day before (or today) are open now.
	begun := func(h Hours, yesterday bool) bool {
		over := text(h.To) <= text(h.From)
		if yesterday {
			return over && clock < text(h.To)
		}
		return text(h.From) <= clock && (over || clock < text(h.To))
	}
	// Noon UTC of the local date: dates are counted without the zone's own oddities.
	today := time.Date(local.Year(), local.Month(), local.Day(), 12, 0, 0, 0, time.UTC)
	for _, yesterday := range []bool{false, true} {
		date := today
		if yesterday {
			date = today.AddDate(0, 0, -1)
		}
		holiday := on(date)
		if holiday >= 0 {
			for i, h := range holidays[holiday].Hours {
				if begun(h, yesterday) {
					return State{Open, holiday, i}
				}
			}
			continue
		}
		for i, w := range windows {
			weekday := map[string]Weekdays{"Mon": Monday, "Tue": Tuesday, "Wed": Wednesday, "Thu": Thursday,
				"Fri": Friday, "Sat": Saturday, "Sun": Sunday}[date.Format("Mon")]
			iso := date.Format("2006-01-02")
			if w.Weekdays&weekday != 0 && begun(Hours{w.From, w.To}, yesterday) &&
				(w.ValidFrom == Date{} || w.ValidFrom.String() <= iso) && (w.ValidTo == Date{} || iso <= w.ValidTo.String()) {
				return State{Open, -1, i}
			}
		}
	}
	if holiday := on(today); holiday >= 0 {
		return State{OnHoliday, holiday, -1}
	}
	return State{Closed, -1, -1}
}

func TestAgainstTwin(t *testing.T) {
	zones := []*time.Location{time.UTC}
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut",
		"Pacific/Apia", "America/Sao_Paulo", "Asia/Kathmandu", "Africa/Casablanca", "America/Havana"} {
		zones = append(zones, zone(t, name))
	}
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.SampledFrom(zones).Draw(t, "zone")
		year := rapid.SampledFrom([]int{1969, 2000, 2011, 2018, 2026, 2028, 2050}).Draw(t, "year")
		date := rapid.Custom(func(t *rapid.T) Date {
			d := time.Date(year, 1, 1+rapid.IntRange(0, 364).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
			return Date{d.Year(), d.Month(), d.Day()}
		})
		// Edges of windows lie where clocks change, and anywhere.
		edge := rapid.OneOf(rapid.SampledFrom([]int{0, at(0, 30), at(1, 0), at(1, 30), at(2, 0), at(2, 30), at(3, 0), at(23, 0), Day - 1}), rapid.IntRange(0, Day-1))
		last := rapid.OneOf(edge, rapid.Just(Day))
		windows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Window {
			w := Window{Weekdays: Weekdays(rapid.IntRange(1, int(EveryDay)).Draw(t, "weekdays")), From: edge.Draw(t, "from"), To: last.Draw(t, "to")}
			if rapid.Bool().Draw(t, "limited") {
				a, b := date.Draw(t, "first"), date.Draw(t, "last")
				if a.String() > b.String() {
					a, b = b, a
				}
				w.ValidFrom, w.ValidTo = a, b
			}
			return w
		}), 0, 5).Draw(t, "windows")
		holidays := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Holiday {
			h := Holiday{Date: date.Draw(t, "date")}
			if rapid.Bool().Draw(t, "yearly") {
				h.Date.Year = 0
			}
			h.Hours = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Hours {
				return Hours{edge.Draw(t, "from"), last.Draw(t, "to")}
			}), 0, 2).Draw(t, "hours")
			return h
		}), 0, 8, func(h Holiday) Date { return h.Date }).Draw(t, "holidays")
		c, err := New(z, windows, holidays)
		if err != nil {
			t.Fatal(err)
		}
		check := func(at time.Time) {
			if got, want := c.At(at), twin(z, windows, holidays, at); got != want {
				t.Fatalf("%s: %v, want %v", at.In(z).Format(time.RFC3339), got, want)
			}
		}
		start := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		for range 20 {
			check(start.Add(time.Duration(rapid.IntRange(0, 366*Day).Draw(t, "second")) * time.Second))
		}
		// Around a change of the clocks of that year, and around a holiday.
		if _, change := start.In(z).ZoneBounds(); !change.IsZero() {
			for range 20 {
				check(change.Add(time.Duration(rapid.IntRange(-Day, Day).Draw(t, "from change")) * time.Second))
			}
		}
		for _, h := range holidays {
			d := time.Date(year, h.Date.Month, h.Date.Day, 0, 0, 0, 0, z)
			check(d.Add(time.Duration(rapid.IntRange(-Day, 2*Day).Draw(t, "from holiday")) * time.Second))
		}
	})
}

func TestAtAllocatesNothing(t *testing.T) {
	c := officeHours(t)
	now := utc(t, "2026-12-26T02:00:00")
	if n := testing.AllocsPerRun(100, func() { c.At(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// officeHours has what a company has: five windows, one of them by night, and the holidays of three years.
func officeHours(t testing.TB) *Calendar {
	windows := []Window{
		{Weekdays: Monday | Tuesday | Wednesday | Thursday, From: at(8, 0), To: at(12, 0)},
		{Weekdays: Monday | Tuesday | Wednesday | Thursday, From: at(13, 0), To: at(18, 0)},
		{Weekdays: Friday, From: at(8, 0), To: at(16, 0)},
		{Weekdays: Saturday, From: at(9, 0), To: at(13, 0), ValidFrom: Date{2026, 4, 1}, ValidTo: Date{2026, 9, 30}},
		{Weekdays: Saturday | Sunday, From: at(22, 0), To: at(6, 0)},
	}
	var holidays []Holiday
	for month := time.January; month <= time.December; month++ {
		holidays = append(holidays, Holiday{Date: Date{0, month, 6}, Name: "yearly"})
		for year := 2025; year <= 2027; year++ {
			holidays = append(holidays, Holiday{Date: Date{year, month, 20}, Name: "dated"})
		}
	}
	return mustNew(t, zone(t, "Europe/Berlin"), windows, holidays...)
}

func BenchmarkAt(b *testing.B) {
	c := officeHours(b)
	for _, x := range []struct {
		name string
		at   time.Time
	}{{"this year", utc(b, "2026-06-10T14:00:00")}, {"night", utc(b, "2026-06-14T02:00:00")}, {"2050", utc(b, "2050-06-10T14:00:00")}} {
		b.Run(x.name, func(b *testing.B) {
			for b.Loop() {
				c.At(x.at)
			}
		})
	}
}
