package table

import (
	"fmt"
	"slices"
	"time"

	"ringmaster/logic/lookup"
	"ringmaster/logic/rows"
	"ringmaster/logic/tariff"
)

// Tariff is prices by the longest prefix of a number, each with the time in which it holds.
type Tariff struct {
	Name     string
	Currency string // ISO 4217
	prefixes *lookup.Table
	rates    [][]rate // by the prefix's value: those with a calendar first, then by row
}

type rate struct {
	tariff.Rate
	row      string // as an operator would name it
	validity validity
	calendar *Calendar // nil: at all times at which no other rate holds
}

func (r *rate) open(at time.Time) bool {
	open, _ := r.calendar.At(at)
	return open
}

// NewTariff makes a tariff of its rows; nil when one cannot be used.
func NewTariff(row rows.TariffRow, of []rows.TariffRateRow, calendars func(string) *Calendar, refuse Refuse) *Tariff {
	t := &Tariff{Name: row.Tariff, Currency: row.Currency}
	rounding, known := tariff.ParseRounding(row.Rounding)
	if !known {
		refuse("tariff", row.Tariff, "rounding %q is unknown: up, down, half_up or half_even", row.Rounding)
		return nil
	}
	indexes := make(map[string]uint32)
	var entries []lookup.Entry
	good := true
	for i := range of {
		one := &of[i]
		made := rate{row: fmt.Sprintf("%s.%s (%d)", row.Tariff, one.Prefix, one.TariffRateID), validity: validity{one.ValidFrom, one.ValidTo}, Rate: tariff.Rate{
			ConnectFee: one.ConnectFee, PricePerMinute: one.PricePerMinute, FirstIncrement: one.FirstIncrement, FurtherIncrement: one.FurtherIncrement, FreeSeconds: one.FreeSeconds,
			MinimumCharge: one.MinimumCharge, MaximumCharge: one.MaximumCharge, MaximumSeconds: one.MaximumSeconds, Rounding: rounding, RoundingUnit: row.RoundingUnit}}
		if err := made.Validate(); err != nil {
			refuse("tariff_rate", made.row, "%s", err)
			good = false
			continue
		}
		if one.Calendar != "" {
			if made.calendar = calendars(one.Calendar); made.calendar == nil {
				refuse("tariff_rate", made.row, "calendar %q does not exist or has a problem of its own", one.Calendar)
				good = false
				continue
			}
		}
		index, ok := indexes[one.Prefix]
		if !ok {
			index = uint32(len(t.rates))
			indexes[one.Prefix] = index
			t.rates = append(t.rates, nil)
			entries = append(entries, lookup.Entry{Key: one.Prefix, Value: index})
		}
		list := t.rates[index]
		at := len(list)
		for at > 0 && made.calendar != nil && list[at-1].calendar == nil {
			at--
		}
		t.rates[index] = append(list[:at:at], append([]rate{made}, list[at:]...)...)
	}
	entries, usable := Usable("tariff_rate", row.Tariff, lookup.Prefix, entries, refuse)
	if !good || !usable {
		return nil
	}
	if t.prefixes, good = Edited("tariff", row.Tariff, lookup.Prefix, nil, entries, nil, refuse); !good {
		return nil
	}
	return t
}

// Uses reports whether a rate holds while one of these calendars is open.
func (t *Tariff) Uses(calendars map[string]bool) bool {
	for _, list := range t.rates {
		for i := range list {
			if list[i].calendar != nil && calendars[list[i].calendar.Name] {
				return true
			}
		}
	}
	return false
}

// WithCalendars makes a tariff of this one with the calendars as they are now; nil when one cannot be used any more.
func (t *Tariff) WithCalendars(calendars func(string) *Calendar, refuse Refuse) *Tariff {
	changed := *t
	changed.rates = make([][]rate, len(t.rates))
	good := true
	for i, list := range t.rates {
		changed.rates[i] = slices.Clone(list)
		for j := range changed.rates[i] {
			one := &changed.rates[i][j]
			if one.calendar == nil {
				continue
			}
			name := one.calendar.Name
			if one.calendar = calendars(name); one.calendar == nil {
				refuse("tariff_rate", one.row, "calendar %q does not exist or has a problem of its own", name)
				good = false
			}
		}
	}
	if !good {
		return nil
	}
	return &changed
}

// Len returns how many prefixes have a price.
func (t *Tariff) Len() int { return t.prefixes.Len() }

// Find returns the rate of a number at an instant, and the row that it stands in: that of the longest prefix that has a rate then, and of its rates one whose calendar is open before the one
// without. The rate must not be changed. It does not allocate.
func (t *Tariff) Find(digits string, at time.Time) (found *tariff.Rate, row string, ok bool) {
	for {
		index, length, ok := t.prefixes.Find(digits)
		if !ok {
			return nil, "", false
		}
		list := t.rates[index]
		for i := range list {
			if list[i].validity.holds(at) && (list[i].calendar == nil || list[i].open(at)) {
				return &list[i].Rate, list[i].row, true
			}
		}
		if length == 0 {
			return nil, "", false
		}
		digits = digits[:length-1] // a shorter prefix may have one
	}
}
