package contract

import (
	"math"
	"time"

	"ringmaster/rpc/wire"
)

// Limits of requests, besides those of wire on every body.
const (
	MaxNumber    = 32      // digits of a number, as the core takes them
	MaxCause     = 127     // Q.850: seven bits
	MaxResults   = 64      // results of one report
	MaxLiveCalls = 1024    // calls in one heartbeat
	MaxChannels  = 100_000 // of one node
	MaxMulticall = 64      // calls in one system.multicall
)

// Limits of members that no other package has to know.
const (
	maxCallID       = 128             // characters
	maxWord         = 64              // bytes of a trunk's or an account's name, a boot id, a voucher
	maxChannel      = 128             // bytes of a channel's name, which a hangup source is too
	maxDigits       = 64              // digits of one entry
	maxDialStatus   = 32              // bytes
	maxCallDuration = 366 * 24 * 3600 // seconds
	minYear         = 1970            // of instants: a clock that was never set still counts
	maxYear         = 2199
)

// IsCallID reports whether b is a call id: 1 to 128 printable ASCII characters without spaces.
func IsCallID(b []byte) bool { return isPrintable(b, maxCallID) }

// IsWord reports whether b is a name such as a trunk's: 1 to 64 printable ASCII characters without spaces.
func IsWord(b []byte) bool { return isPrintable(b, maxWord) }

// isPrintable reports whether b is 1 to most printable ASCII characters without spaces.
func isPrintable(b []byte, most int) bool {
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

// IsNumber reports whether b is a number as a node may say it: 1 to MaxNumber digits, * and #, with or without a
// leading plus sign.
func IsNumber(b []byte) bool {
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > MaxNumber {
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

// CheckCallID refuses a member that is no call id. Like all checks it gives fault −32602 with the member's name, or nil.
func CheckCallID(name string, v wire.Value) *wire.Fault {
	if b := v.Bytes(); !IsCallID(b) {
		return Invalid("member %s: must be 1 to %d printable ASCII characters without spaces, is %s", name, maxCallID, Quoted(b))
	}
	return nil
}

// CheckWord refuses a member that is no word (see IsWord). An absent or empty one is refused only when it is needed.
func CheckWord(name string, v wire.Value, needed bool) *wire.Fault {
	if b := v.Bytes(); (len(b) > 0 || needed) && !IsWord(b) {
		return Invalid("member %s: must be 1 to %d printable ASCII characters without spaces, is %s", name, maxWord, Quoted(b))
	}
	return nil
}

// CheckNumber refuses a member that is no number (see IsNumber). An absent or empty one is refused only when it is needed.
func CheckNumber(name string, v wire.Value, needed bool) *wire.Fault {
	if b := v.Bytes(); (len(b) > 0 || needed) && !IsNumber(b) {
		return Invalid("member %s: must be 1 to %d digits, * or #, with or without a leading +, is %s", name, MaxNumber, Quoted(b))
	}
	return nil
}

// CheckChannel refuses a member that is no channel's name: up to 128 bytes of text without control characters. It may be empty.
func CheckChannel(name string, v wire.Value) *wire.Fault {
	if b := v.Bytes(); !isLine(b, maxChannel) {
		return Invalid("member %s: must be at most %d bytes without control characters, is %s", name, maxChannel, Quoted(b))
	}
	return nil
}

// CheckDigits refuses a member that no caller can have dialled: up to 64 keys, A to D among them. It may be empty.
func CheckDigits(name string, v wire.Value) *wire.Fault {
	if !isDigits(v.Bytes()) {
		// What the caller dialled may be a secret, so it is not repeated.
		return Invalid("member %s: must be at most %d of 0–9, A–D, * and #", name, maxDigits)
	}
	return nil
}

// CheckDialStatus refuses a member that Asterisk's DIALSTATUS cannot be: more than 32 characters, or not printable
// ASCII. It may be empty.
func CheckDialStatus(name string, v wire.Value) *wire.Fault {
	if b := v.Bytes(); len(b) > 0 && !isPrintable(b, maxDialStatus) {
		return Invalid("member %s: must be a DIALSTATUS, is %s", name, Quoted(b))
	}
	return nil
}

// CheckInt refuses a member that is not 0 to most. An absent one is 0.
func CheckInt(name string, v wire.Value, most int64) *wire.Fault {
	if n := v.Int(); n < 0 || n > most {
		return Invalid("member %s: must be 0 to %d, is %d", name, most, n)
	}
	return nil
}

// Instant reads a dateTime.iso8601 (UTC) or a string in RFC 3339, in the years 1970 to 2199. Absent is the zero time.
// Else it gives fault −32602.
func Instant(name string, v wire.Value) (t time.Time, fault *wire.Fault) {
	switch v.Kind() {
	case wire.DateTime:
		t = v.Time()
	case wire.String:
		var err error
		if t, err = time.Parse(time.RFC3339Nano, v.Text()); err != nil {
			return t, Invalid("member %s: must be RFC 3339 such as 2026-04-01T12:00:00Z, is %s", name, Quoted(v.Bytes()))
		}
		t = t.UTC()
	default:
		return t, nil
	}
	if year := t.Year(); year < minYear || year > maxYear {
		return t, Invalid("member %s: must be in the years %d to %d, is %s", name, minYear, maxYear, t.Format(time.RFC3339))
	}
	return t, nil
}

// Duration reads seconds, 0 to 366 days of them, as an int or a double and keeps milliseconds. Absent is 0. Else it gives fault −32602.
func Duration(name string, v wire.Value) (time.Duration, *wire.Fault) {
	seconds := v.Double()
	if v.Kind() == wire.Int {
		seconds = float64(v.Int())
	}
	if !(seconds >= 0 && seconds <= maxCallDuration) {
		return 0, Invalid("member %s: must be 0 to %d seconds, is %g", name, maxCallDuration, seconds)
	}
	return time.Duration(math.Round(seconds*1000)) * time.Millisecond, nil
}
