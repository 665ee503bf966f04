package script

import "ringmaster/logic/table"

// Service is an instance of a script, with its parameters looked up.
type Service struct {
	Name       string
	Subscriber string
	Language   string
	Active     bool
	OnOutage   string                 // what a charge does while the ledger does not answer: deny or allow
	OutageCap  int64                  // micro-units that an account may spend meanwhile, in an hour
	Script     *Script                // nil: it has never compiled; it only keeps its numbers
	Slots      []Slot                 // by index of Script.Parameters
	Trunks     map[string]table.Trunk // those there were when it compiled: a last good version goes on connecting by them
}

// Slot is a parameter's value: as text, and as the thing it names.
type Slot struct {
	Text   string
	Given  bool // by the service; else it is the script's default
	Object any  // *table.Translation, *table.List, *table.Calendar, *table.Distribution, *table.CallLimit, *table.Tariff; string (sound file) for a prompt; int64 for an integer
}

// Check says what is wrong with a service whose slots are filled: what its script cannot do with what they name.
func (s *Service) Check() (reasons []string) {
	for i := range s.Script.steps {
		if block, ok := s.Script.steps[i].block.(*distributeBlock); ok {
			if reason := block.check(&s.Script.steps[i], s); reason != "" {
				reasons = append(reasons, reason)
			}
		}
	}
	return reasons
}
