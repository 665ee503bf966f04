package call

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Value returns the value of a variable; empty when no step has set it.
func (c *Session) Value(name string) string {
	for i := range c.Variables {
		if c.Variables[i].Name == name {
			return c.Variables[i].Value
		}
	}
	return ""
}

// Set gives a variable its value. What is too long for a session is left out: then the variable is empty, and Set
// returns false.
func (c *Session) Set(name, value string) bool {
	bytes, index := len(name), -1
	for i := range c.Variables {
		if c.Variables[i].Name == name {
			index = i
			continue
		}
		bytes += len(c.Variables[i].Name) + len(c.Variables[i].Value)
	}
	fits := len(value) <= MaxValueLength && bytes+len(value) <= MaxVariableBytes
	if !fits {
		value = ""
	}
	switch {
	case index >= 0:
		c.Variables[index].Value = value
	case fits && len(c.Variables) < MaxVariables:
		c.Variables = append(c.Variables, Variable{name, value})
	default:
		return false
	}
	return fits
}

// AppendPath notes a step and the exit it was left by, while there is room.
func (c *Session) AppendPath(step, exit string) {
	if len(c.Path)+len(step)+len(exit)+2 > MaxPathLength {
		return
	}
	if len(c.Path) > 0 {
		c.Path = append(c.Path, ' ')
	}
	c.Path = append(c.Path, step...)
	c.Path = append(c.Path, ':')
	c.Path = append(c.Path, exit...)
}

// LastCause is the Q.850 cause of the last leg, 0 while there was none.
func (c *Session) LastCause() int {
	if len(c.Legs) == 0 {
		return 0
	}
	return c.Legs[len(c.Legs)-1].Cause
}

// AddLegs keeps what became of the targets of the connect under way. A node may tell of each target, or only of the last.
func (c *Session) AddLegs(results []Result) {
	c.Legs = appendLegs(c.Legs, c.Targets, results, c.Payment)
	c.Talk = appendTalk(c.Talk, c.Targets, results, c.Payment)
}

// appendLegs appends a leg for each result of a connect to targets. Over MaxLegs the oldest leg that nobody answered is
// forgotten: how the call ended, and who was spoken to, must not be. payment is the charge that pays for the connect.
func appendLegs(legs []Leg, targets []Target, results []Result, payment int) []Leg {
	for i := range results {
		result := &results[i]
		if result.Op != OpConnect || result.Target < 0 || result.Target >= len(targets) {
			continue
		}
		if len(legs) >= MaxLegs {
			oldest := slices.IndexFunc(legs, func(leg Leg) bool { return leg.Status != StatusAnswer })
			legs = slices.Delete(legs, max(oldest, 0), max(oldest, 0)+1)
		}
		cause := result.Cause
		if cause < 0 || cause > 127 {
			cause = 0
		}
		target := &targets[result.Target]
		legs = append(legs, Leg{
			Trunk: target.Trunk, Number: target.Number, Status: result.Status, Cause: cause,
			DialStatus: result.DialStatus[:min(len(result.DialStatus), MaxDialStatus)], TalkMilliseconds: max(result.Talk, 0).Milliseconds(), Charge: payment,
		})
	}
	return legs
}

// AddRecord adds a record to the call, its text made one line of at most MaxRecordLength bytes of UTF-8; false when the
// call has MaxRecords already.
func (c *Session) AddRecord(record Record) bool {
	if len(c.Records) >= MaxRecords {
		return false
	}
	record.Text = oneLine(record.Text, MaxRecordLength)
	c.Records = append(c.Records, record)
	return true
}

// oneLine makes of text what any database and terminal takes: valid UTF-8 without control characters, cut between two
// characters.
func oneLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 {
			return ' '
		}
		return r // an invalid byte becomes U+FFFD
	}, text)
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// Seed is a number that this call keeps for ever: what a percentage draws by. The same call draws the same branch, on
// whatever engine and however often it is asked.
func (c *Session) Seed(salt string) uint64 { return Hash(c.CallID, salt) }

// Hash spreads texts evenly over all 64-bit numbers (FNV-1a with a final mix, so that near texts land far apart).
func Hash(text, salt string) uint64 { return mix(fnv1a(fnv1a(fnvOffset, text), salt)) }

const fnvOffset = 14695981039346656037

func fnv1a(state uint64, text string) uint64 {
	for i := range len(text) {
		state = (state ^ uint64(text[i])) * 1099511628211
	}
	return state
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
