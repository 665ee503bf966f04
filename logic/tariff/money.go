package tariff

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Micro is one unit of a currency, in micro-units.
const Micro = 1_000_000

// ParseAmount reads a decimal amount, such as 12.5 or -0.000001, as micro-units. It is an error when there are more than six decimals, anything but digits, a sign and one point, or
// too much to be counted.
func ParseAmount(text string) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, pointed := strings.Cut(digits, ".")
	if whole == "" || pointed && fraction == "" || len(fraction) > 6 || !isDigits(whole) || !isDigits(fraction) {
		return 0, fmt.Errorf("%q is no amount: digits, and up to six decimals behind a point", text)
	}
	units, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || units > math.MaxInt64/Micro-1 {
		return 0, fmt.Errorf("%q is more money than can be counted", text)
	}
	micro := int64(0)
	if fraction != "" {
		micro, _ = strconv.ParseInt((fraction + "00000")[:6], 10, 64) // up to six digits
	}
	amount := int64(units)*Micro + micro
	if negative {
		amount = -amount
	}
	return amount, nil
}

func isDigits(text string) bool {
	return strings.Trim(text, "0123456789") == ""
}

// FormatAmount writes micro-units as a decimal, with two decimals or as many as it needs: 12.50, -0.000001.
func FormatAmount(amount int64) string {
	sign, size := "", uint64(amount)
	if amount < 0 {
		sign, size = "-", -uint64(amount)
	}
	fraction := fmt.Sprintf("%06d", size%Micro)
	for len(fraction) > 2 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	return sign + strconv.FormatUint(size/Micro, 10) + "." + fraction
}

// Split shares an amount out by shares, which are not negative: each part is its share rounded down or up, and together they are the amount. What is left over by rounding down goes to the
// largest remainders, the first of equal ones first. Without any share the first part is all of it.
func Split(amount int64, shares ...int64) []int64 {
	parts := make([]int64, len(shares))
	if len(shares) == 0 {
		return parts
	}
	sign, size := int64(1), uint64(amount)
	if amount < 0 {
		sign, size = -1, -uint64(amount)
	}
	var sum uint64
	for _, share := range shares {
		sum += uint64(share)
	}
	if sum == 0 {
		parts[0] = amount
		return parts
	}
	left := size
	rests := make([]uint64, len(shares))
	for i, share := range shares {
		high, low := bits.Mul64(size, uint64(share))
		part, rest := bits.Div64(high, low, sum) // share ≤ sum, so the quotient fits
		parts[i], rests[i] = int64(part), rest
		left -= part
	}
	for ; left > 0; left-- {
		largest := 0
		for i := range rests {
			if rests[i] > rests[largest] {
				largest = i
			}
		}
		parts[largest]++
		rests[largest] = 0
	}
	for i := range parts {
		parts[i] *= sign
	}
	return parts
}
