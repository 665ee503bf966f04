package table

import (
	"time"

	"ringmaster/logic/tariff"
)

// Tariff is prices by prefix.
type Tariff struct {
	Name, Currency string
}

func (t *Tariff) Find(digits string, at time.Time) (rate *tariff.Rate, row string, ok bool) {
	return nil, "", false
}
