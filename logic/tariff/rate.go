package tariff

import "fmt"

// Rounding says how an amount that falls between two rounding units becomes one of them.
type Rounding uint8

// The ways to round.
const (
	RoundUp       Rounding = iota // to the next unit above
	RoundDown                     // to the next unit below
	RoundHalfUp                   // to the nearer one, from the middle upwards
	RoundHalfEven                 // to the nearer one, from the middle to the even one
)

var roundingWords = [...]string{"up", "down", "half_up", "half_even"}

// String returns the word that operators write.
func (r Rounding) String() string {
	if int(r) < len(roundingWords) {
		return roundingWords[r]
	}
	return "unknown"
}

// ParseRounding is the opposite of String.
func ParseRounding(text string) (Rounding, bool) {
	for i, word := range roundingWords {
		if word == text {
			return Rounding(i), true
		}
	}
	return 0, false
}

// Limits of a rate. Within them no amount overflows.
const (
	MaxPrice      = 1_000_000_000_000 // micro-units a minute: a million euros
	MaxFee        = 1_000_000_000_000 // micro-units of a connect fee, a least or a highest charge
	MaxIncrement  = 86_400            // seconds
	MaxUnit       = 1_000_000_000     // micro-units of a rounding unit
	MostSeconds   = 86_400            // that any amount is good for
	chargeSeconds = 10 * MostSeconds  // longer conversations cost as much as these
)

// Rate is the price of conversations with one destination.
type Rate struct {
	ConnectFee       int64    `json:"connect_fee"`       // micro-units for being answered at all
	PricePerMinute   int64    `json:"price_per_minute"`  // micro-units
	FirstIncrement   int64    `json:"first_increment"`   // seconds that are charged at least
	FurtherIncrement int64    `json:"further_increment"` // and then in steps of so many seconds, a begun one whole
	FreeSeconds      int64    `json:"free_seconds"`      // at the beginning; who hangs up within them pays nothing
	MinimumCharge    int64    `json:"minimum_charge"`    // micro-units
	MaximumCharge    int64    `json:"maximum_charge"`    // micro-units; 0: none
	MaximumSeconds   int64    `json:"maximum_seconds"`   // of one conversation; 0: none but MostSeconds
	Rounding         Rounding `json:"rounding"`
	RoundingUnit     int64    `json:"rounding_unit"` // micro-units
}

// Validate says what is wrong with a rate.
func (r *Rate) Validate() error {
	for _, c := range []struct {
		what           string
		value          int64
		least, highest int64
	}{
		{"connect_fee", r.ConnectFee, 0, MaxFee}, {"price_per_minute", r.PricePerMinute, 0, MaxPrice}, {"first_increment", r.FirstIncrement, 1, MaxIncrement},
		{"further_increment", r.FurtherIncrement, 1, MaxIncrement}, {"free_seconds", r.FreeSeconds, 0, MostSeconds}, {"minimum_charge", r.MinimumCharge, 0, MaxFee},
		{"maximum_charge", r.MaximumCharge, 0, MaxFee}, {"maximum_seconds", r.MaximumSeconds, 0, MostSeconds}, {"rounding_unit", r.RoundingUnit, 1, MaxUnit},
	} {
		if c.value < c.least || c.value > c.highest {
			return fmt.Errorf("%s is %d; it must be %d to %d", c.what, c.value, c.least, c.highest)
		}
	}
	switch {
	case int(r.Rounding) >= len(roundingWords):
		return fmt.Errorf("rounding %d is unknown", r.Rounding)
	case r.MaximumCharge > 0 && r.MaximumCharge < r.MinimumCharge:
		return fmt.Errorf("maximum_charge is less than minimum_charge")
	}
	return nil
}

// Amount is what a conversation of so many seconds costs, in micro-units: nothing when nobody answered (0 seconds) or within the free seconds; else the connect fee and the price of
// the increments begun after the free seconds, rounded, at least the minimum and at most the maximum charge. It never falls when seconds rise.
func (r *Rate) Amount(seconds int64) int64 {
	if seconds <= 0 || seconds <= r.FreeSeconds {
		return 0
	}
	billed := r.FirstIncrement
	if after := min(seconds, chargeSeconds) - r.FreeSeconds - r.FirstIncrement; after > 0 {
		billed += (after + r.FurtherIncrement - 1) / r.FurtherIncrement * r.FurtherIncrement
	}
	// In sixtieths of a micro-unit, so that a price per minute is exact for each second.
	amount := r.round(r.ConnectFee*60 + r.PricePerMinute*billed)
	amount = max(amount, r.MinimumCharge)
	if r.MaximumCharge > 0 {
		amount = min(amount, r.MaximumCharge)
	}
	return amount
}

// round makes whole rounding units of sixtieths of micro-units.
func (r *Rate) round(sixtieths int64) int64 {
	unit := 60 * r.RoundingUnit
	units, rest := sixtieths/unit, sixtieths%unit
	up := false
	switch r.Rounding {
	case RoundUp:
		up = rest > 0
	case RoundHalfUp:
		up = 2*rest >= unit
	case RoundHalfEven:
		up = 2*rest > unit || 2*rest == unit && units%2 == 1
	}
	if up {
		units++
	}
	return units * r.RoundingUnit
}

// Limit is the longest conversation of the rate, in seconds.
func (r *Rate) Limit() int64 {
	if r.MaximumSeconds > 0 {
		return r.MaximumSeconds
	}
	return MostSeconds
}

// Seconds is what an amount is good for, the exact inverse of Amount: the most whole seconds, up to Limit, that cost no more.
func (r *Rate) Seconds(amount int64) int64 {
	if amount < 0 {
		return 0
	}
	low, high := int64(0), r.Limit()
	for low < high {
		if middle := low + (high-low+1)/2; r.Amount(middle) <= amount {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}
