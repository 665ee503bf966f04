package call

import "strings"

// MaxNumberLength is the most digits a number may have, E.164 numbers (15) and service codes alike.
const MaxNumberLength = 32

// ValidNumber reports whether s is a number that may travel to a node and into a dial string: an optional plus
// sign, then 1–32 of 0–9, * and #.
func ValidNumber(s string) bool {
	s = strings.TrimPrefix(s, "+")
	if s == "" || len(s) > MaxNumberLength {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '*' && c != '#' {
			return false
		}
	}
	return true
}

// The most bytes that a name may have: of a trunk, and of a sound file with its folders.
const (
	MaxNameLength = 40
	MaxFileLength = 64
)

// ValidName reports whether s may name a trunk (1–40 of a–z, A–Z, 0–9, - and _) or, as a path, a sound file (up to 64,
// with / between folders).
func ValidName(s string, path bool) bool {
	most := MaxNameLength
	if path {
		most = MaxFileLength
	}
	if s == "" || len(s) > most || s[0] == '/' || s[len(s)-1] == '/' || strings.Contains(s, "//") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		case c == '/' && path:
		default:
			return false
		}
	}
	return true
}

// FormatTarget is the text form of a target in variables and parameters: number@trunk.
func FormatTarget(number, trunk string) string { return number + "@" + trunk }

// ParseTarget is the opposite of FormatTarget.
func ParseTarget(s string) (Target, bool) {
	number, trunk, ok := strings.Cut(s, "@")
	if !ok || !ValidNumber(number) || !ValidName(trunk, false) {
		return Target{}, false
	}
	return Target{Number: number, Trunk: trunk}, true
}
