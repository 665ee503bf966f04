package logic

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

// The most bytes that a name may have: of a trunk, service, script or step, and of a sound file with its folders.
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

// numberingPlan makes E.164 digits of what was dialled.
type numberingPlan struct {
	countryCode, internationalPrefix, nationalPrefix string
}

// normalise returns the E.164 digits of dialled. What carries no prefix of the plan (short numbers, service codes) stays as it is.
func (p *numberingPlan) normalise(dialled string) string {
	switch {
	case strings.HasPrefix(dialled, "+"):
		return dialled[1:]
	case p.internationalPrefix != "" && strings.HasPrefix(dialled, p.internationalPrefix):
		return dialled[len(p.internationalPrefix):]
	case p.nationalPrefix != "" && strings.HasPrefix(dialled, p.nationalPrefix):
		return p.countryCode + dialled[len(p.nationalPrefix):]
	}
	return dialled
}

// trunk is a way out of a node, with the numbering plan of what comes in on it.
type trunk struct {
	plan numberingPlan
}

// formatTarget is the text form of a target in variables and parameters: number@trunk.
func formatTarget(number, trunk string) string { return number + "@" + trunk }

// parseTarget is the opposite of formatTarget.
func parseTarget(s string) (Target, bool) {
	number, trunk, ok := strings.Cut(s, "@")
	if !ok || !ValidNumber(number) || !ValidName(trunk, false) {
		return Target{}, false
	}
	return Target{Number: number, Trunk: trunk}, true
}
