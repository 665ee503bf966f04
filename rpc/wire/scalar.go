package wire

import (
	"math"
	"strconv"
	"time"
)

func isMethodName(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '.', c == ':', c == '/':
		default:
			return false
		}
	}
	return len(b) > 0
}

func isAllSpace(b []byte) bool {
	for _, c := range b {
		if !isSpace(c) {
			return false
		}
	}
	return true
}

// parseInt reads a sign that may be missing and decimal digits, as an integer
// of that many bits, and gives it in two's complement.
func parseInt(b []byte, bits int) (uint64, bool) {
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	limit := uint64(1)<<(bits-1) - 1
	if negative {
		limit++
	}
	var v uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || v > (limit-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	if negative {
		v = -v
	}
	return v, true
}

func parseBoolean(b []byte) (uint64, bool) {
	if len(b) != 1 || b[0] != '0' && b[0] != '1' {
		return 0, false
	}
	return uint64(b[0] - '0'), true
}

// parseDouble reads a decimal number and gives its bits. The specification has
// a sign, digits, a point and digits; an exponent is taken as well, because
// most languages write one. Infinities, NaN and what overflows are refused.
func parseDouble(b []byte) (uint64, bool) {
	i, digits := 0, 0
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		i++
	}
	skipDigits := func() {
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
			digits++
		}
	}
	skipDigits()
	if i < len(b) && b[i] == '.' {
		i++
		skipDigits()
	}
	if digits == 0 {
		return 0, false
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '-' || b[i] == '+') {
			i++
		}
		if digits = 0; i < len(b) {
			skipDigits()
		}
		if digits == 0 {
			return 0, false
		}
	}
	if i != len(b) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return 0, false
	}
	return math.Float64bits(f), true
}

// parseDateTime reads 20060102T15:04:05, the one form of the specification, or
// the same with hyphens in the date, a fraction of a second, or a zone (Z,
// +01:00 or +0100). Without a zone it is UTC.
func parseDateTime(b []byte) (time.Time, bool) {
	ok := true
	number := func(n int) int { // the next n digits
		v := 0
		for ; n > 0 && ok; n-- {
			if len(b) == 0 || b[0] < '0' || b[0] > '9' {
				ok = false
				break
			}
			v = v*10 + int(b[0]-'0')
			b = b[1:]
		}
		return v
	}
	skip := func(c byte) bool {
		if len(b) > 0 && b[0] == c {
			b = b[1:]
			return true
		}
		return false
	}
	must := func(c byte) { ok = skip(c) && ok }

	year := number(4)
	hyphens := skip('-')
	month := number(2)
	if hyphens {
		must('-')
	}
	day := number(2)
	must('T')
	hour := number(2)
	must(':')
	minute := number(2)
	must(':')
	second := number(2)
	if !ok || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	nanosecond := 0
	if skip('.') {
		nanosecond = number(1) * 1e8
		for scale := int(1e7); len(b) > 0 && '0' <= b[0] && b[0] <= '9'; scale /= 10 {
			nanosecond += number(1) * scale
		}
	}
	offset := 0
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		sign := 1
		if b[0] == '-' {
			sign = -1
		}
		b = b[1:]
		hours := number(2)
		skip(':')
		minutes := number(2)
		ok = ok && hours <= 23 && minutes <= 59
		offset = sign * (hours*3600 + minutes*60)
	} else {
		skip('Z')
	}
	if !ok || len(b) != 0 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second-offset, nanosecond, time.UTC)
	return t, 0 <= t.Year() && t.Year() <= 9999
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// base64 decodes text (RFC 4648, section 4, padded, white space skipped) to
// s.text.
func (s *scanner) base64(text span) (span, bool) {
	out, dst := len(s.text), s.text
	var group, n, padding uint32
	for _, c := range s.bytes(text) {
		if isSpace(c) {
			continue
		}
		if c == '=' {
			padding++
			continue
		}
		v := base64Values[c]
		if v == notBase64 || padding > 0 {
			return span{}, false
		}
		group = group<<6 | uint32(v)
		if n++; n == 4 {
			dst = append(dst, byte(group>>16), byte(group>>8), byte(group))
			group, n = 0, 0
		}
	}
	// The bits of the last group that are no byte have to be zero.
	switch {
	case n == 0 && padding == 0:
	case n == 2 && padding == 2 && group&0xF == 0:
		dst = append(dst, byte(group>>4))
	case n == 3 && padding == 1 && group&0x3 == 0:
		dst = append(dst, byte(group>>10), byte(group>>2))
	default:
		return span{}, false
	}
	s.text = dst
	return span{off: int32(out), end: int32(len(dst)), decoded: true}, true
}

const notBase64 = 0xFF

var base64Values = func() (t [256]byte) {
	for i := range t {
		t[i] = notBase64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	return t
}()
