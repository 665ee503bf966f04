// Package say puts numbers and amounts together of Asterisk's core sounds. It plays nothing.
package say

import (
	"strconv"
	"strings"
)

// maxSpoken is the largest number that is said as one; larger ones are said digit by digit.
const maxSpoken = 999_999

// Amount is the sound files that say a decimal amount (12.50, -0.05), with Asterisk's core sounds: the whole units, then "dot" and the cents. The numbers are put together as English does it.
func Amount(amount string) []string {
	amount, negative := strings.CutPrefix(amount, "-")
	whole, fraction, _ := strings.Cut(amount, ".")
	var prompts []string
	if negative {
		prompts = append(prompts, "letters/dash")
	}
	prompts = append(prompts, number(whole)...)
	if cents := (fraction + "00")[:2]; cents != "00" {
		prompts = append(prompts, "letters/dot")
		if cents[0] == '0' {
			prompts = append(prompts, "digits/0")
		}
		prompts = append(prompts, number(cents)...)
	}
	return prompts
}

// number is the sound files that say a whole number: as one, or, if it is large, digit by digit.
func number(digits string) (prompts []string) {
	n, err := strconv.Atoi(digits)
	if err != nil || n > maxSpoken {
		for i := range len(digits) {
			if digits[i] >= '0' && digits[i] <= '9' {
				prompts = append(prompts, "digits/"+digits[i:i+1])
			}
		}
		return prompts
	}
	return appendNumber(nil, n)
}

func appendNumber(prompts []string, n int) []string {
	file := func(n int) string { return "digits/" + strconv.Itoa(n) }
	switch {
	case n <= 20:
		return append(prompts, file(n))
	case n < 100:
		prompts = append(prompts, file(n/10*10))
		if n%10 == 0 {
			return prompts
		}
		return append(prompts, file(n%10))
	case n < 1000:
		prompts = append(prompts, file(n/100), "digits/hundred")
		if n%100 == 0 {
			return prompts
		}
		return appendNumber(prompts, n%100)
	}
	prompts = append(appendNumber(prompts, n/1000), "digits/thousand")
	if n%1000 == 0 {
		return prompts
	}
	return appendNumber(prompts, n%1000)
}
