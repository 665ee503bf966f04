package rpc

import (
	"encoding/binary"
	"math"
	"time"

	"ringmaster/logic"
	"ringmaster/rpc/wire"
)

// The types of members.
const (
	textKind    = kinds(1) << wire.String
	intKind     = kinds(1) << wire.Int
	booleanKind = kinds(1) << wire.Boolean
	arrayKind   = kinds(1) << wire.Array
	timeKinds   = kinds(1)<<wire.DateTime | textKind
	secondKinds = kinds(1)<<wire.Double | intKind
)

// Limits of members.
const (
	maxCallID       = 128 // characters
	maxName         = 64  // bytes of a trunk's or a node's name, a boot id, a hangup source
	maxChannel      = 128 // bytes of a channel's name
	maxDigits       = 64  // digits of one entry
	maxDialStatus   = 32  // bytes
	maxResults      = 64  // results of one report
	maxLiveCalls    = 1024
	maxCause        = 127             // Q.850: seven bits
	maxCallDuration = 366 * 24 * 3600 // seconds
	maxChannels     = 100_000
	minYear         = 1970 // of instants: a clock that was never set still counts
	maxYear         = 2199
)

// isWord reports whether b is 1 to most printable ASCII characters without spaces.
func isWord(b []byte, most int) bool {
	if len(b) == 0 || len(b) > most {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// isNumber reports whether b is a number as a node may say it: digits, * and #, with or without a leading plus sign.
func isNumber(b []byte) bool {
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > logic.MaxNumberLength {
		return false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && c != '*' && c != '#' {
			return false
		}
	}
	return true
}

// isDigits reports whether b is what a caller can dial, up to maxDigits keys.
func isDigits(b []byte) bool {
	if len(b) > maxDigits {
		return false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && c != '*' && c != '#' && (c < 'A' || c > 'D') {
			return false
		}
	}
	return true
}

// isLine reports whether b is at most so many bytes of text without control characters.
func isLine(b []byte, most int) bool {
	if len(b) > most {
		return false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7F {
			return false
		}
	}
	return true
}

func checkNumber(name string, v wire.Value, needed bool) *wire.Fault {
	if b := v.Bytes(); (len(b) > 0 || needed) && !isNumber(b) {
		return invalid("member %s: must be 1 to %d digits, * or #, with or without a leading +, is %s", name, logic.MaxNumberLength, quoted(b))
	}
	return nil
}

func checkWord(name string, v wire.Value, needed bool) *wire.Fault {
	if b := v.Bytes(); (len(b) > 0 || needed) && !isWord(b, maxName) {
		return invalid("member %s: must be 1 to %d printable ASCII characters without spaces, is %s", name, maxName, quoted(b))
	}
	return nil
}

func checkLine(name string, v wire.Value, most int) *wire.Fault {
	if b := v.Bytes(); !isLine(b, most) {
		return invalid("member %s: must be at most %d bytes without control characters, is %s", name, most, quoted(b))
	}
	return nil
}

func checkInt(name string, v wire.Value, most int64) *wire.Fault {
	if n := v.Int(); n < 0 || n > most {
		return invalid("member %s: must be 0 to %d, is %d", name, most, n)
	}
	return nil
}

func presentation(v wire.Value) (logic.Presentation, *wire.Fault) {
	b := v.Bytes()
	if len(b) == 0 {
		return logic.PresentationAllowed, nil
	}
	p, ok := logic.ParsePresentation(string(b))
	if !ok {
		return 0, invalid("member presentation: must be allowed, restricted or unavailable, is %s", quoted(b))
	}
	return p, nil
}

// instant reads a dateTime.iso8601 (UTC) or a string in RFC 3339. Absent is the zero time.
func instant(name string, v wire.Value) (t time.Time, fault *wire.Fault) {
	switch v.Kind() {
	case wire.DateTime:
		t = v.Time()
	case wire.String:
		var err error
		if t, err = time.Parse(time.RFC3339Nano, v.Text()); err != nil {
			return t, invalid("member %s: must be RFC 3339 such as 2026-04-01T12:00:00Z, is %s", name, quoted(v.Bytes()))
		}
		t = t.UTC()
	default:
		return t, nil
	}
	if year := t.Year(); year < minYear || year > maxYear {
		return t, invalid("member %s: must be in the years %d to %d, is %s", name, minYear, maxYear, t.Format(time.RFC3339))
	}
	return t, nil
}

// duration reads seconds as an int or a double and keeps milliseconds. Absent is 0.
func duration(name string, v wire.Value) (time.Duration, *wire.Fault) {
	seconds := v.Double()
	if v.Kind() == wire.Int {
		seconds = float64(v.Int())
	}
	if !(seconds >= 0 && seconds <= maxCallDuration) {
		return 0, invalid("member %s: must be 0 to %d seconds, is %g", name, maxCallDuration, seconds)
	}
	return time.Duration(math.Round(seconds*1000)) * time.Millisecond, nil
}

// canonical collects the texts of a query: what makes two bodies the same query, and, as one string, the memory of
// the session's texts.
type canonical struct{ buf []byte }

func (c *canonical) text(b []byte) (from, to int) {
	c.buf = binary.AppendUvarint(c.buf, uint64(len(b)))
	from = len(c.buf)
	c.buf = append(c.buf, b...)
	return from, len(c.buf)
}

func (c *canonical) integer(n int64) { c.buf = binary.AppendVarint(c.buf, n) }
