package charging

import "strings"

// twoDigitCountries are the country codes of ITU-T E.164 (list of 2016-11-01) that have two digits. 1 and 7 have one, all others three.
const twoDigitCountries = " 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 "

// CountryCode is the country code that an E.164 number begins with; all of a number that is too short to tell.
func CountryCode(number string) string {
	switch {
	case number == "":
		return ""
	case number[0] == '1' || number[0] == '7':
		return number[:1]
	case len(number) >= 2 && strings.Contains(twoDigitCountries, " "+number[:2]+" "):
		return number[:2]
	}
	return number[:min(3, len(number))]
}
