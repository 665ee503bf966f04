package logic

import "strings"

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

// Normalise returns the E.164 digits of a number as it was dialled on a trunk, by the trunk's numbering plan. What carries no
// prefix of the plan (short numbers, service codes) stays as it is.
func (s *Snapshot) Normalise(trunk, dialled string) string {
	plan := s.planOf(trunk)
	return plan.normalise(dialled)
}

// trunk is a way out of a node, with the numbering plan of what comes in on it.
type trunk struct {
	plan numberingPlan
}
