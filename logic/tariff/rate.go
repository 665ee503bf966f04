// Package tariff is money for a duration, and duration for an amount.
package tariff

type Rounding uint8

type Rate struct {
	ConnectFee, PricePerMinute, FirstIncrement, FurtherIncrement, FreeSeconds, MinimumCharge, MaximumCharge, MaximumSeconds int64
	Rounding                                                                                                                Rounding
	RoundingUnit                                                                                                            int64
}

func (r *Rate) Amount(seconds int64) int64 {
	if seconds <= r.FreeSeconds {
		return 0
	}
	billed := max(r.FirstIncrement, 1)
	if d := seconds - r.FreeSeconds; d > billed {
		f := max(r.FurtherIncrement, 1)
		billed += (d - billed + f - 1) / f * f
	}
	return r.ConnectFee + r.PricePerMinute*billed/60
}

func (r *Rate) Seconds(amount int64) int64 {
	low, high := int64(0), int64(86400)
	for low < high {
		m := (low + high + 1) / 2
		if r.Amount(m) <= amount {
			low = m
		} else {
			high = m - 1
		}
	}
	return low
}

func Split(amount int64, shares []int64) []int64 {
	a := amount * shares[0] / (shares[0] + shares[1])
	return []int64{a, amount - a}
}
