package logic_test

import (
	"fmt"
	"testing"
	"time"

	"ringmaster/logic"
)

// bigCarrier is a carrier at full size: 1,000,000 numbers, 100,000 services with a translation table of 50 rows each, 10,000 calendars.
func bigCarrier(t testing.TB) *logic.Rows {
	rows := demoRows(t)
	for i := range 10_000 {
		name := fmt.Sprintf("calendar_%d", i)
		rows.Calendars = append(rows.Calendars, logic.CalendarRow{Calendar: name, TimeZone: "Europe/Berlin"})
		rows.CalendarWindows = append(rows.CalendarWindows, logic.CalendarWindowRow{CalendarWindowID: int64(100 + i), Calendar: name, Weekdays: "1111111", ClosesAt: 86400})
	}
	for i := range 100_000 {
		service, table := fmt.Sprintf("service_%d", i), fmt.Sprintf("offices_%d", i)
		rows.TranslationTables = append(rows.TranslationTables, logic.TranslationTableRow{TranslationTable: table, Match: "exact"})
		for j := range 50 {
			rows.Translations = append(rows.Translations, logic.TranslationRow{TranslationTable: table, Key: fmt.Sprintf("area_%d", j), Value: fmt.Sprintf("4930%07d", i), Trunk: "office"})
		}
		rows.Services = append(rows.Services, logic.ServiceRow{Service: service, Subscriber: "acme", Script: "freephone", Language: "en", Active: true})
		for parameter, value := range map[string]string{"hours": fmt.Sprintf("calendar_%d", i/10), "offices": table, "elsewhere": "acme_share", "second_office": "4930200200@office"} {
			rows.ServiceParameters = append(rows.ServiceParameters, logic.ServiceParameterRow{Service: service, Parameter: parameter, Value: value})
		}
		for j := range 10 {
			rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Number: fmt.Sprintf("49801%07d", 10*i+j), Match: "exact", Service: service})
		}
	}
	return rows
}

// BenchmarkApply applies edits of one row at full size. Run it with -benchtime 100x or so: the carrier alone takes seconds to make.
func BenchmarkApply(b *testing.B) {
	rows := bigCarrier(b)
	began := time.Now()
	snapshot := compile(b, rows)
	b.Logf("compiled in %v", time.Since(began))
	for name, delta := range map[string]*logic.Delta{
		"translation": {Rows: logic.Rows{Translations: []logic.TranslationRow{{TranslationTable: "offices_77", Key: "area_1", Value: "4989", Trunk: "office"}}},
			Touched: logic.Touched{Translations: []logic.EntryKey{{Table: "offices_77", Key: "area_1"}}}},
		"number": {Rows: logic.Rows{ServiceNumbers: []logic.ServiceNumberRow{{Number: "498019999999", Match: "exact", Service: "service_1"}}},
			Touched: logic.Touched{Numbers: []logic.NumberKey{{Number: "498019999999", Match: "exact"}}}},
		"calendar": {Rows: logic.Rows{Calendars: []logic.CalendarRow{{Calendar: "calendar_7", TimeZone: "UTC"}}},
			Touched: logic.Touched{Calendars: []string{"calendar_7"}}},
		"service": {Rows: logic.Rows{Services: []logic.ServiceRow{{Service: "acme_hotline", Subscriber: "acme", Script: "freephone", Language: "de"}}},
			Touched: logic.Touched{Services: []string{"acme_hotline"}}},
	} {
		b.Run(name, func(b *testing.B) {
			now := snapshot
			for b.Loop() {
				now, _ = now.Apply(delta, time.LoadLocation)
			}
		})
	}
}
