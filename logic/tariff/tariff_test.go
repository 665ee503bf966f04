package tariff_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"ringmaster/logic/tariff"
)

// slowly is the dumb twin of Amount: it counts the increments one by one and does the money in fractions.
func slowly(r *tariff.Rate, seconds int64) int64 {
	if seconds <= r.FreeSeconds || seconds == 0 {
		return 0
	}
	billed, increment := int64(0), r.FirstIncrement
	for billed < seconds-r.FreeSeconds {
		billed += increment
		increment = r.FurtherIncrement
	}
	price := new(big.Rat).SetFrac64(r.PricePerMinute, 60)
	price.Mul(price, new(big.Rat).SetInt64(billed))
	price.Add(price, new(big.Rat).SetInt64(r.ConnectFee))
	price.Quo(price, new(big.Rat).SetInt64(r.RoundingUnit))
	units := new(big.Int).Quo(price.Num(), price.Denom())
	rest := new(big.Rat).Sub(price, new(big.Rat).SetInt(units))
	half := big.NewRat(1, 2)
	up := false
	switch r.Rounding {
	case tariff.RoundUp:
		up = rest.Sign() > 0
	case tariff.RoundHalfUp:
		up = rest.Cmp(half) >= 0
	case tariff.RoundHalfEven:
		up = rest.Cmp(half) > 0 || rest.Cmp(half) == 0 && units.Bit(0) == 1
	}
	if up {
		units.Add(units, big.NewInt(1))
	}
	amount := max(units.Int64()*r.RoundingUnit, r.MinimumCharge)
	if r.MaximumCharge > 0 {
		amount = min(amount, r.MaximumCharge)
	}
	return amount
}

// rate draws a rate that operators could have written, some of them at the limits.
func rate(t *rapid.T) *tariff.Rate {
	money := func(name string, most int64) int64 {
		return rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 500_000), rapid.Int64Range(0, most)).Draw(t, name)
	}
	r := &tariff.Rate{
		ConnectFee: money("connect fee", tariff.MaxFee), PricePerMinute: money("price", tariff.MaxPrice),
		FirstIncrement: rapid.SampledFrom([]int64{1, 6, 30, 60, 7, tariff.MaxIncrement}).Draw(t, "first"), FurtherIncrement: rapid.SampledFrom([]int64{1, 6, 60, 13, tariff.MaxIncrement}).Draw(t, "further"),
		FreeSeconds: rapid.SampledFrom([]int64{0, 0, 10, 60, tariff.MostSeconds}).Draw(t, "free"), MinimumCharge: money("minimum", 1_000_000),
		MaximumSeconds: rapid.SampledFrom([]int64{0, 0, 1, 3600}).Draw(t, "longest"), Rounding: tariff.Rounding(rapid.IntRange(0, 3).Draw(t, "rounding")),
		RoundingUnit: rapid.SampledFrom([]int64{1, 100, 10_000, 1_000_000, tariff.MaxUnit}).Draw(t, "unit"),
	}
	if highest := money("maximum", tariff.MaxFee); highest >= r.MinimumCharge {
		r.MaximumCharge = highest
	}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAmountIsWhatCountingGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rate(t)
		before := int64(0)
		from := rapid.Int64Range(0, tariff.MostSeconds).Draw(t, "from")
		for seconds := from; seconds < from+150; seconds++ {
			got := r.Amount(seconds)
			if want := slowly(r, seconds); got != want {
				t.Fatalf("%+v: %d s cost %d, counted %d", *r, seconds, got, want)
			}
			if seconds > from && got < before {
				t.Fatalf("%+v: %d s cost %d, one less %d", *r, seconds, got, before)
			}
			before = got
		}
	})
}

func TestSecondsIsTheInverseOfAmount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rate(t)
		amounts := rapid.OneOf(rapid.Int64Range(-10, 2_000_000), rapid.Int64(), rapid.Custom(func(t *rapid.T) int64 {
			return r.Amount(rapid.Int64Range(0, tariff.MostSeconds).Draw(t, "seconds")) + rapid.Int64Range(-1, 1).Draw(t, "beside")
		}))
		amount := amounts.Draw(t, "amount")
		seconds := r.Seconds(amount)
		if seconds < 0 || seconds > r.Limit() {
			t.Fatalf("%+v: %d is good for %d s of %d", *r, amount, seconds, r.Limit())
		}
		if amount >= 0 && r.Amount(seconds) > amount {
			t.Fatalf("%+v: %d is good for %d s, which cost %d", *r, amount, seconds, r.Amount(seconds))
		}
		if seconds < r.Limit() && r.Amount(seconds+1) <= amount {
			t.Fatalf("%+v: %d is good for %d s only, and one more costs %d", *r, amount, seconds, r.Amount(seconds+1))
		}
	})
}

// The worked example of docs/OPERATORS.md, and the corners.
func TestAmount(t *testing.T) {
	national := tariff.Rate{ConnectFee: 50_000, PricePerMinute: 90_000, FirstIncrement: 60, FurtherIncrement: 10, Rounding: tariff.RoundUp, RoundingUnit: 10_000}
	premium := tariff.Rate{ConnectFee: 200_000, PricePerMinute: 1_990_000, FirstIncrement: 1, FurtherIncrement: 1, FreeSeconds: 10, MaximumCharge: 30_000_000, RoundingUnit: 1, Rounding: tariff.RoundHalfUp}
	endless := tariff.Rate{ConnectFee: tariff.MaxFee, PricePerMinute: tariff.MaxPrice, FirstIncrement: tariff.MaxIncrement, FurtherIncrement: tariff.MaxIncrement, RoundingUnit: 1}
	for _, c := range []struct {
		name    string
		rate    tariff.Rate
		seconds int64
		want    int64
	}{
		{"not answered", national, 0, 0},
		{"less than nothing", national, -5, 0},
		{"a second costs the first minute", national, 1, 140_000},
		{"just the first minute", national, 60, 140_000},
		{"a begun increment, rounded up to a cent", national, 61, 160_000},
		{"free seconds", premium, 10, 0},
		{"the first that is charged", premium, 11, 233_167},
		{"highest charge", premium, 3600, 30_000_000},
		{"no overflow", endless, math.MaxInt64, 14_401_000_000_000_000},
	} {
		if got := c.rate.Amount(c.seconds); got != c.want {
			t.Errorf("%s: %d s cost %d, want %d", c.name, c.seconds, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	good := tariff.Rate{FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1}
	for name, change := range map[string]func(*tariff.Rate){
		"price below zero": func(r *tariff.Rate) { r.PricePerMinute = -1 }, "no first increment": func(r *tariff.Rate) { r.FirstIncrement = 0 },
		"maximum below minimum": func(r *tariff.Rate) { r.MinimumCharge, r.MaximumCharge = 2, 1 }, "rounding": func(r *tariff.Rate) { r.Rounding = 9 },
		"no unit": func(r *tariff.Rate) { r.RoundingUnit = 0 }, "too dear": func(r *tariff.Rate) { r.PricePerMinute = tariff.MaxPrice + 1 },
	} {
		bad := good
		if change(&bad); bad.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestSplitAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(-1<<60, 1<<60).Draw(t, "amount")
		shares := rapid.SliceOfN(rapid.Int64Range(0, 1_000_000), 1, 6).Draw(t, "shares")
		parts := tariff.Split(amount, shares...)
		sum, all := int64(0), int64(0)
		for _, share := range shares {
			all += share
		}
		for i, part := range parts {
			sum += part
			if all == 0 {
				continue
			}
			exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(amount), big.NewInt(shares[i])), big.NewInt(all))
			off := new(big.Rat).Sub(exact, new(big.Rat).SetInt64(part))
			if off.Abs(off).Cmp(big.NewRat(1, 1)) >= 0 {
				t.Fatalf("%d by %v: part %d is %d, exactly %s", amount, shares, i, part, exact.FloatString(3))
			}
		}
		if sum != amount {
			t.Fatalf("%d by %v is %v, which is %d", amount, shares, parts, sum)
		}
	})
}

func TestAmountsAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "12": 12_000_000, "12.5": 12_500_000, "-0.000001": -1, "9223372036853.999999": 9223372036853_999999} {
		if got, err := tariff.ParseAmount(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "1,5", "+1", "1.0000001", "1e3", "--1", " 1", "9223372036855", "99999999999999999999", "1.-5"} {
		if got, err := tariff.ParseAmount(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
	for amount, want := range map[int64]string{0: "0.00", 12_500_000: "12.50", -1: "-0.000001", 100: "0.0001", math.MinInt64: "-9223372036854.775808"} {
		if got := tariff.FormatAmount(amount); got != want {
			t.Errorf("%d is written %s, want %s", amount, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(-9e18, 9e18).Draw(t, "amount")
		if got, err := tariff.ParseAmount(tariff.FormatAmount(amount)); err != nil || got != amount {
			t.Fatalf("%d became %d, %v", amount, got, err)
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	r := tariff.Rate{ConnectFee: 50_000, PricePerMinute: 90_000, FirstIncrement: 60, FurtherIncrement: 10, RoundingUnit: 10_000}
	if n := testing.AllocsPerRun(100, func() { r.Seconds(r.Amount(1234)) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSeconds(b *testing.B) {
	r := tariff.Rate{ConnectFee: 50_000, PricePerMinute: 90_000, FirstIncrement: 60, FurtherIncrement: 10, RoundingUnit: 10_000}
	for b.Loop() {
		r.Seconds(3_140_000)
	}
}
