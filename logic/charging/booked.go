package charging

import (
	"slices"

	"ringmaster/logic/tariff"
)

// Booked is a line of what a call did cost, as its CDR holds it.
type Booked struct {
	Charge   int    `json:"charge"`
	Account  string `json:"account"`         // empty: nobody could be charged
	Amount   string `json:"amount"`          // decimal, above 0: "0.12"
	Currency string `json:"currency"`        // ISO 4217
	Tariff   string `json:"tariff"`          // and
	Rate     string `json:"rate"`            // the row that gave the price
	Seconds  int64  `json:"seconds"`         // that were charged
	Share    bool   `json:"share,omitempty"` // the account was credited with a part of what others paid
}

// Corrected is what a call was charged after a correction: the error is that an amount is no decimal.
func Corrected(charged, correction []Booked) (all []Booked, err error) {
	all = slices.Clone(charged)
	for _, one := range correction {
		i := slices.IndexFunc(all, func(b Booked) bool {
			return b.Charge == one.Charge && b.Account == one.Account && b.Share == one.Share
		})
		if i < 0 {
			all = append(all, one)
			continue
		}
		was, err := tariff.ParseAmount(all[i].Amount)
		if err != nil {
			return nil, err
		}
		change, err := tariff.ParseAmount(one.Amount)
		if err != nil {
			return nil, err
		}
		all[i].Amount, all[i].Seconds = tariff.FormatAmount(was+change), one.Seconds
	}
	return slices.DeleteFunc(all, func(b Booked) bool { return b.Amount == tariff.FormatAmount(0) }), nil
}
