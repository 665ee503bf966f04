package lint

import (
	"encoding/json"
	"fmt"
	"strings"

	"ringmaster/logic/rows"
)

// charged is a step that charges, as its script has it: names may stand for parameters of the service.
type charged struct {
	step          string
	Tariff        string
	Account       string
	SecondAccount string `json:"second_account"`
	SecondShare   any    `json:"second_per_mille"`
	CreditAccount string `json:"credit_account"`
	CreditShare   any    `json:"credit_per_mille"`
}

// currencies finds accounts that a service names and that cannot take part in its charges, because their currency is not its tariff's. Accounts of callers and cards are known
// with the call only. Of rows without accounts, such as an engine's, nothing is told.
func (l *linter) currencies() {
	accounts := make(map[string]string, len(l.rows.Accounts))
	for i := range l.rows.Accounts {
		accounts[l.rows.Accounts[i].Account] = l.rows.Accounts[i].Currency
	}
	tariffs := make(map[string]string, len(l.rows.Tariffs))
	for i := range l.rows.Tariffs {
		tariffs[l.rows.Tariffs[i].Tariff] = l.rows.Tariffs[i].Currency
	}
	steps := make(map[string][]charged) // by script
	for i := range l.rows.Steps {
		row := &l.rows.Steps[i]
		one := charged{step: row.Step}
		if row.SIB == "charge" && json.Unmarshal(row.Parameters, &one) == nil {
			steps[row.Script] = append(steps[row.Script], one)
		}
	}
	for i := range l.rows.Services {
		service := &l.rows.Services[i]
		if len(steps[service.Script]) == 0 {
			continue
		}
		var replace []string
		l.eachParameter(service, func(parameter *rows.ScriptParameterRow, value string) {
			replace = append(replace, "${"+parameter.Parameter+"}", value)
		})
		value := strings.NewReplacer(replace...).Replace
		for _, one := range steps[service.Script] {
			tariff := value(one.Tariff)
			currency, known := tariffs[tariff]
			if !known {
				continue
			}
			differs := func(severity Severity, account string, share any, what string) {
				name := value(account)
				if of, known := accounts[name]; known && of != currency && value(fmt.Sprint(share)) != "0" {
					l.tell(severity, "other_currency", "service", service.Service, fmt.Sprintf("name an account in %s, or a tariff in %s", currency, of),
						"account %s is in %s and tariff %s in %s: %s (step %s)", name, of, tariff, currency, what, one.step)
				}
			}
			differs(Error, one.Account, nil, "its calls are refused")
			differs(Error, one.SecondAccount, one.SecondShare, "its calls are refused")
			differs(Warning, one.CreditAccount, one.CreditShare, "the account is credited with nothing, and each call record is flagged unpaid")
		}
	}
}
