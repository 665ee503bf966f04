package table

import "strings"

// NumberingPlan makes E.164 digits of what was dialled (ITU-T E.164, dialling prefixes as in E.123).
type NumberingPlan struct {
	CountryCode, InternationalPrefix, NationalPrefix string
}

// Normalise returns the E.164 digits of dialled. What carries no prefix of the plan (short numbers, service codes) stays as it is.
func (p *NumberingPlan) Normalise(dialled string) string {
	switch {
	case strings.HasPrefix(dialled, "+"):
		return dialled[1:]
	case p.InternationalPrefix != "" && strings.HasPrefix(dialled, p.InternationalPrefix):
		return dialled[len(p.InternationalPrefix):]
	case p.NationalPrefix != "" && strings.HasPrefix(dialled, p.NationalPrefix):
		return p.CountryCode + dialled[len(p.NationalPrefix):]
	}
	return dialled
}

// Trunk is a way out of a node, with the numbering plan of what comes in on it.
type Trunk struct {
	Plan NumberingPlan
}
