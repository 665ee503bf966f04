package lint

import (
	"encoding/json"
	"time"

	"ringmaster/logic/rows"
)

// tariffs finds price lists without prices, prices that are over, and numbers of services that charge by a tariff that has no price for them.
func (l *linter) tariffs() {
	prices := make(map[string]map[string]bool) // by tariff: the prefixes that have a rate now or later
	for i := range l.rows.TariffRates {
		row := &l.rows.TariffRates[i]
		if row.Calendar != "" {
			l.use("calendar", row.Calendar)
		}
		if !row.ValidTo.IsZero() && !row.ValidTo.After(l.now) {
			l.tell(Note, "expired_rate", "tariff_rate", rateKey(row), "delete it when nobody asks for it any more", "it held until %s", row.ValidTo.UTC().Format(time.DateTime))
			continue
		}
		if prices[row.Tariff] == nil {
			prices[row.Tariff] = make(map[string]bool)
		}
		prices[row.Tariff][row.Prefix] = true
	}
	for _, row := range l.rows.Tariffs {
		if len(prices[row.Tariff]) == 0 {
			l.tell(Warning, "no_rates", "tariff", row.Tariff, "insert some into tariff_rate", "it has no rates: whoever is charged by it is refused")
		}
		if !l.used["tariff"][row.Tariff] {
			l.tell(Note, "unused", "tariff", row.Tariff, "delete it, if nothing will", "no service names it")
		}
	}
	for _, row := range l.rows.CallLimits {
		if !l.used["call_limit"][row.CallLimit] {
			l.tell(Note, "unused", "call_limit", row.CallLimit, "delete it, if nothing will", "no service names it")
		}
	}
	l.unpriced(prices)
}

func rateKey(row *rows.TariffRateRow) string { return row.Tariff + "." + row.Prefix }

// unpriced finds numbers of services that charge for the called number, by a tariff that has no price for it.
func (l *linter) unpriced(prices map[string]map[string]bool) {
	charges := make(map[string][]string) // by script: the parameters that name the tariff of a step that rates the called number
	for i := range l.rows.Steps {
		row := &l.rows.Steps[i]
		var parameters struct{ Tariff, Number string }
		if row.SIB != "charge" || json.Unmarshal(row.Parameters, &parameters) != nil || parameters.Number != "" && parameters.Number != "${called}" {
			continue
		}
		if name := parameters.Tariff; len(name) > 3 {
			charges[row.Script] = append(charges[row.Script], name[2:len(name)-1])
		}
	}
	tariffs := make(map[string][]string) // by service
	for i := range l.rows.Services {
		service := &l.rows.Services[i]
		if len(charges[service.Script]) == 0 {
			continue
		}
		l.eachParameter(service, func(parameter *rows.ScriptParameterRow, value string) {
			for _, name := range charges[service.Script] {
				if parameter.Parameter == name {
					tariffs[service.Service] = append(tariffs[service.Service], value)
				}
			}
		})
	}
	for i := range l.rows.ServiceNumbers {
		row := &l.rows.ServiceNumbers[i]
		for _, tariff := range tariffs[row.Service] {
			if known := prices[tariff]; len(known) > 0 && !priced(known, row.Number) {
				l.tell(Warning, "no_price", "service_number", row.Number, "insert a rate for it, or one with an empty prefix", "tariff %s has no rate for it: its callers are refused", tariff)
			}
		}
	}
}

// priced reports whether a number begins with one of the prefixes.
func priced(prefixes map[string]bool, number string) bool {
	for n := range len(number) + 1 {
		if prefixes[number[:n]] {
			return true
		}
	}
	return false
}
