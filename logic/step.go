package logic

import (
	"fmt"
	"time"

	"ringmaster/logic/call"
	"ringmaster/logic/script"
	"ringmaster/logic/table"
)

// Step advances one call by one event at the instant now. It changes session and out in place and depends on
// nothing but its arguments. When out.Ask is not AskNothing, the caller answers it and steps again.
func (s *Snapshot) Step(session *Session, event Event, now time.Time, out *Outcome) {
	session.Revision = s.revision
	walk := out.Begin((*config)(s), session, event.Kind, now)
	switch event.Kind {
	case EventStart:
		s.start(walk, session)
	case EventReport:
		walk.Report(event.Results)
	case EventAnswer:
		walk.Answer(event)
	}
}

// start finds the service of a new call and walks from its first step.
func (s *Snapshot) start(w *script.Walk, session *Session) {
	plan := s.planOf(session.Trunk)
	session.Dialled = session.Called
	session.Called = plan.Normalise(session.Called)
	session.Caller = plan.Normalise(session.Caller)
	if w.Tracing() && session.Called != session.Dialled {
		w.Decide(Decision{Table: "numbering_plan", Key: s.planName(session.Trunk),
			Reason: fmt.Sprintf("%s was dialled, that is %s in E.164", session.Dialled, session.Called)})
	}
	found, length, exact := s.serviceOf(session.Called)
	if found == nil {
		if w.Tracing() {
			w.Decide(Decision{Table: "service_number", Reason: session.Called + " belongs to no service, and no range holds it"})
		}
		w.Release(call.CauseUnallocated)
		return
	}
	if w.Tracing() {
		w.Decide(s.explainNumber(session.Called, found, length, exact))
	}
	if found.Script == nil {
		// Another service's range may hold the number too, but it is not that service's call.
		if w.Tracing() {
			w.Decide(Decision{Table: "service", Key: found.Name, Reason: "the service has a problem and no good version yet: see config_problem"})
		}
		session.Service, session.Subscriber = found.Name, found.Subscriber
		w.Release(call.CauseTemporaryFailure)
		return
	}
	w.Start(found)
}

// explainNumber says why a called number is a service's.
func (s *Snapshot) explainNumber(called string, found *script.Service, length int, exact bool) Decision {
	d := Decision{Table: "service_number", Key: called[:length]}
	if exact {
		d.Reason = fmt.Sprintf("%s belongs to service %s", called, found.Name)
	} else {
		d.Reason = fmt.Sprintf("the range %s* holds %s and belongs to service %s", called[:length], called, found.Name)
	}
	for _, match := range s.numbers.ranges.AppendMatches(nil, called) {
		if !exact && match.Length == length {
			continue
		}
		why := "shorter"
		if exact {
			why = "the exact number goes first"
		}
		d.Beaten = append(d.Beaten, fmt.Sprintf("range %s* of service %s: %s", called[:match.Length], s.services.At(match.Value).Name, why))
	}
	return d
}

func (s *Snapshot) planName(trunk string) string {
	if _, ok := s.trunks[trunk]; ok && trunk != "" {
		return "of trunk " + trunk
	}
	return defaultPlan
}

func (s *Snapshot) planOf(trunk string) table.NumberingPlan {
	if known, ok := s.trunks[trunk]; ok {
		return known.Plan
	}
	return s.plans[defaultPlan]
}

// Normalise returns the E.164 digits of a number as it was dialled on a trunk, by the trunk's numbering plan. What carries no
// prefix of the plan (short numbers, service codes) stays as it is.
func (s *Snapshot) Normalise(trunk, dialled string) string {
	plan := s.planOf(trunk)
	return plan.Normalise(dialled)
}

// config is a snapshot as scripts see it.
type config Snapshot

func (c *config) Service(name string) *script.Service { return c.services.Get(name) }

func (c *config) Normalise(trunk, dialled string) string {
	return (*Snapshot)(c).Normalise(trunk, dialled)
}

func (c *config) Origin(caller string) string {
	area, _ := (*Snapshot)(c).area(caller)
	return area
}

func (c *config) ExplainOrigin(caller string) (row, reason string, beaten []string) {
	area, length := (*Snapshot)(c).area(caller)
	switch {
	case caller == "":
		return "", "the caller's number is unknown: no origin", nil
	case area == "":
		return "", fmt.Sprintf("no area holds caller %s: no origin", caller), nil
	}
	return caller[:length], fmt.Sprintf("caller %s is in area %s", caller, area), table.Beaten(c.areas, caller, c.areaNames)
}
